"""What stands around a host: read by the probe in a namespace of its own, and from odd lines."""

from __future__ import annotations

import shutil
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.observe import Request
from lvsdeploy.observe.surroundings import Listener, parse
from tests.observe.sandbox import needs_namespaces

if TYPE_CHECKING:
    from tests.observe.sandbox import Sandbox

SERVER = 'import socket, time; s = socket.create_server(("192.0.2.11", 80)); time.sleep(20)'
SS = """\
udp   UNCONN 0      0            127.0.0.1%lo:53         0.0.0.0:*
tcp   LISTEN 0      128           192.0.2.11:80          0.0.0.0:*
tcp   LISTEN 0      128                    *:8080              *:*
tcp   LISTEN 0      128                 [::]:22             [::]:*
tcp   LISTEN 0      128      [fe80::1]%eth0:81             [::]:*
""".splitlines()


def test_sockets() -> None:
    seen = parse(SS, [], [], "", [])
    assert seen.listeners is not None
    assert set(seen.listeners) == {
        Listener(Protocol.UDP, "127.0.0.1", 53),
        Listener(Protocol.TCP, "192.0.2.11", 80),
        Listener(Protocol.TCP, "*", 8080),
        Listener(Protocol.TCP, "::", 22),
        Listener(Protocol.TCP, "fe80::1", 81),
    }
    assert parse(None, [], [], "", []).listeners is None
    assert parse([], [], [], "", []).listeners == frozenset[Listener]()


@pytest.mark.parametrize(
    "line", ["", "tcp", "tcp LISTEN 0 0 x:80 y", "tcp LISTEN 0 0 192.0.2.1:http *:*", "tcp L 0 0 *:999999 *"]
)
def test_lines_that_make_no_sense(line: str) -> None:
    assert parse([line], [line], [line], "\x1b[1m", [line]).listeners == frozenset()


def test_neighbours_and_own_addresses() -> None:
    lines = [
        r"2: eth0: <UP> mtu 1500 qdisc noqueue\    link/ether 52:54:00:00:00:02 brd ff:ff:ff:ff:ff:ff",
        "192.0.2.50 dev eth0 lladdr 52:54:00:00:00:11 STALE ",
        "192.0.2.51 dev eth0  FAILED",
        "2001:db8::50 dev eth0 lladdr 52:54:00:00:00:12 router REACHABLE ",
    ]
    seen = parse(None, lines, [], "", [])
    assert seen.macs == {"52:54:00:00:00:02"}
    assert seen.silent == {"192.0.2.51"}
    assert seen.neighbours == {("192.0.2.50", "52:54:00:00:00:11"), ("2001:db8::50", "52:54:00:00:00:12")}


def test_offloads_that_are_on() -> None:
    lines = [
        "eth0 large-receive-offload: on",
        "eth0 rx-gro-hw: on [fixed]",
        "eth1 large-receive-offload: off [fixed]",
    ]
    assert parse(None, [], lines, "", []).offloads == {"eth0": ("large-receive-offload", "rx-gro-hw")}


@needs_namespaces
def test_the_probe_tells(sandbox: Sandbox) -> None:
    sandbox.setup = [
        "ip link add eth0 type veth peer name far; ip link set eth0 address 52:54:00:00:00:02 up",
        "ip address add 192.0.2.11/24 dev eth0; ip link set lo up",
        "ip neighbour add 192.0.2.50 lladdr 52:54:00:00:00:11 dev eth0",
        f"python3 -c '{SERVER}' </dev/null >/dev/null 2>&1 & sleep 0.5",
    ]
    asked = Request(
        listeners=True,
        firewall=True,
        offloads=("eth0", "none0"),
        neighbours=(ip_address("192.0.2.50"), ip_address("2001:db8::50")),
    )
    seen = sandbox.observe(asked)
    around = seen.surroundings
    assert "192.0.2.11/24 on eth0" in {str(address) for address in seen.state.addresses}
    assert around.neighbours == {("192.0.2.50", "52:54:00:00:00:11")}
    assert "52:54:00:00:00:02" in around.macs
    if shutil.which("ss"):
        assert around.listeners == frozenset({Listener(Protocol.TCP, "192.0.2.11", 80)})
    if shutil.which("nft"):
        assert around.firewall_kind == "nft"


@needs_namespaces
def test_what_is_not_asked_for_costs_nothing(sandbox: Sandbox) -> None:
    around = sandbox.observe(Request()).surroundings
    assert (around.listeners, around.firewall_kind, around.neighbours) == (None, "", frozenset())
