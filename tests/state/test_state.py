"""The resources: how they are named, ordered, and written as words of commands."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address, ip_interface

import pytest

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService, canonical
from lvsdeploy.state.network import Address, Route


@pytest.mark.parametrize(
    ("key", "name", "flags"),
    [
        (ServiceKey(Protocol.TCP, "192.0.2.50", 80), "tcp 192.0.2.50:80", ("-t", "192.0.2.50:80")),
        (ServiceKey(Protocol.UDP, "2001:db8::50", 53), "udp [2001:db8::50]:53", ("-u", "[2001:db8::50]:53")),
        (
            ServiceKey(Protocol.SCTP, "192.0.2.50", 9),
            "sctp 192.0.2.50:9",
            ("--sctp-service", "192.0.2.50:9"),
        ),
        (ServiceKey(None, "", 0, 7), "fwmark 7", ("-f", "7")),
    ],
)
def test_keys(key: ServiceKey, name: str, flags: tuple[str, ...]) -> None:
    assert str(key) == name
    assert key.flags() == flags


def test_keys_have_an_order() -> None:
    mark = ServiceKey(None, "", 0, 7)
    tcp = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    later = ServiceKey(Protocol.TCP, "192.0.2.50", 443)
    udp = ServiceKey(Protocol.UDP, "192.0.2.1", 1)
    assert sorted([mark, udp, later, tcp]) == [tcp, later, udp, mark]


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({}, "-s rr"),
        ({"persistence": 300}, "-s rr -p 300"),
        ({"persistence": 300, "netmask": "255.255.255.0"}, "-s rr -p 300 -M 255.255.255.0"),
        ({"netmask": "255.255.255.0"}, "-s rr"),
        ({"one_packet": True}, "-s rr -o"),
        ({"scheduler_flags": ("sh-fallback", "sh-port")}, "-s rr -b sh-fallback,sh-port"),
    ],
)
def test_options(service: dict[str, object], words: str) -> None:
    key = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    assert " ".join(VirtualService(key, "rr", **service).options()) == words  # type: ignore[arg-type]


def test_destinations() -> None:
    destination = TableDestination("2001:db8::11", 80, Forwarding.TUN, 3)
    assert str(destination) == "[2001:db8::11]:80"
    assert destination.options() == ("-r", "[2001:db8::11]:80", "-i", "-w", "3")
    assert destination.key == ("2001:db8::11", 80)


def test_canonical_addresses() -> None:
    assert canonical("2001:DB8:0:0::50") == canonical(ip_address("2001:db8::50")) == "2001:db8::50"
    with pytest.raises(ValueError, match=r"192\.0\.2\.050"):
        canonical("192.0.2.050")


def test_addresses_and_routes_in_words() -> None:
    assert str(Address("lo", ip_interface("192.0.2.50/32"))) == "192.0.2.50/32 on lo"
    assert str(Route(ip_address("10.2.0.1"))) == "default via 10.2.0.1"
    assert str(Route(ip_address("10.2.0.1"), "eth1", 100)) == "default via 10.2.0.1 dev eth1"
    assert str(Route(None, "ppp0")) == "default dev ppp0"


def test_files() -> None:
    file = File("/f", b"a\xff\n")
    assert file.digest == hashlib.sha256(b"a\xff\n").hexdigest()
    assert file.shown() == "a\ufffd\n"
    assert (file.mode, file.owner, file.kind, file.secret) == (0o644, "root:root", FileKind.REGULAR, False)
    assert file.secrets() == ()
