"""Every option of a virtual server and of a real server, read back from the kernel of a director.

And those that packets show: one-packet scheduling, thresholds, associations of SCTP.
"""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.desired.table import expected_table
from lvsdeploy.inventory import load
from lvsdeploy.inventory.model import Protocol
from lvsdeploy.lab import Init
from lvsdeploy.observe.ipvs_table import parse
from lvsdeploy.state.ipvs import ServiceKey, TableDestination, VirtualService
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP = "192.0.2.50"
TELL = """#!/bin/sh
echo "$(basename "$0")" "$@" "$(id -un)" >>"/run/told.$(id -un)"
"""
# On a real server: says its name to whoever comes, and keeps the connection.
NAMES_ITSELF = """python3 - <<'EOF'
import socket, sys, threading
name = socket.gethostname().encode()
def keep(port, kind, protocol):
    server = socket.socket(socket.AF_INET, kind, protocol)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("192.0.2.50", port))
    if kind == socket.SOCK_DGRAM:
        while True:
            server.sendto(name, server.recvfrom(100)[1])
    server.listen(50)
    kept = []
    while True:
        client = server.accept()[0]
        client.send(name)
        kept.append(client)
for port, kind, protocol in [
    (53, socket.SOCK_DGRAM, 0), (54, socket.SOCK_DGRAM, 0), (70, socket.SOCK_STREAM, 0),
]:
    threading.Thread(target=keep, args=(port, kind, protocol)).start()
EOF"""
DATAGRAMS = """python3 - {port} <<'EOF'
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("192.0.2.50", int(sys.argv[1])))
client.settimeout(5)
for _ in range(12):
    client.send(b"?")
    print(client.recv(100).decode())
EOF"""
# The director's kernel is a lab's own, those of the others are this machine's and may have no SCTP: so both
# ends make its packets themselves (RFC 9260, 3.1 and 3.3): INIT, then COOKIE ECHO; each answer has a name.
_SCTP = """python3 - {end} <<'EOF'
import socket, struct, sys
INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 1, 2, 10, 11
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF
def packet(source, target, tag, kind, value):
    head = struct.pack("!HHI", source, target, tag)
    chunk = struct.pack("!BBH", kind, 0, 4 + len(value)) + value
    chunk += bytes(-len(chunk) % 4)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk
def received(raw):
    data = raw.recv(2000)
    data = data[(data[0] & 15) * 4:]
    source, target, tag = struct.unpack("!HHI", data[:8])
    kind, _, length = struct.unpack("!BBH", data[12:16])
    return source, target, kind, data[16:12 + length]
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
if sys.argv[1] == "server":
    raw.bind(("192.0.2.50", 0))
    while True:
        data, client = raw.recvfrom(2000)
        data = data[(data[0] & 15) * 4:]
        source, target, _ = struct.unpack("!HHI", data[:8])
        answer = {INIT: INIT_ACK, COOKIE_ECHO: COOKIE_ACK}.get(data[12])
        if answer:
            raw.sendto(packet(target, source, 7, answer, socket.gethostname().encode()), client)
raw.settimeout(10)
for port in range(40001, 40005):
    said = []
    for tag, kind, value in [(0, INIT, struct.pack("!IIHHI", 7, 65536, 1, 1, 1)), (7, COOKIE_ECHO, b"cook")]:
        raw.sendto(packet(port, 9899, tag, kind, value), ("192.0.2.50", 0))
        while True:
            source, target, answer, name = received(raw)
            if (source, target, answer) == (9899, port, kind + 1):
                said.append(name.decode())
                break
    print(*said)
EOF"""
ASSOCIATIONS, ASSOCIATED = _SCTP.replace("{end}", "client"), _SCTP.replace("{end}", "server")
# A reset connection is forgotten after 10 s (ip_vs_proto_tcp.c, tcp_timeouts, IP_VS_TCP_S_CLOSE).
FILLS = """python3 - <<'EOF'
import json, socket, struct, time
kept = {"web1": [], "web2": []}
def come(count):
    said = []
    for _ in range(count):
        client = socket.create_connection(("192.0.2.50", 70), timeout=10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        said.append(client.recv(100).decode())
        kept[said[-1]].append(client)
    return sorted(said)
def leave():
    kept["web1"].pop().close()
    time.sleep(14)
rounds = [come(8)]
leave()
rounds.append(come(2))
leave()
rounds.append(come(2))
print(json.dumps(rounds))
EOF"""
NAMES = ("quorum-up", "quorum-down", "rs-up", "rs-down")
QUICK = {"type": "tcp", "interval": 1, "timeout": 1, "retries": 0}
WEB: dict[str, Any] = {"vip": VIP, "mode": "dr", "health_check": "none", "real_servers": ["web1", "web2"]}
SERVICES: dict[str, Any] = {
    "quorum": {
        **WEB,
        "port": 80,
        "scheduler": "wrr",
        "health_check": QUICK,
        "quorum": 3,
        "hysteresis": 1,
        "quorum_up": {
            "path": "/usr/local/bin/quorum-up",
            "arguments": ["it's $HOME", "{}"],
            "user": "daemon",
        },
        "quorum_down": "/usr/local/bin/quorum-down",
        "inhibit_on_failure": True,
        "sorry_server": {"address": "192.0.2.99", "inhibit": True},
        "omega": True,
        "virtualhost": "shop.example",
        "real_servers": [
            {"name": "web1", "weight": 1, "upper": 1000, "lower": 600},
            {
                "name": "web2",
                "weight": 4,
                "upper": 50,
                "notify_up": "/usr/local/bin/rs-up",
                "notify_down": {
                    "path": "/usr/local/bin/rs-down",
                    "arguments": ["{real_server}", "{rip}", "{port}"],
                },
            },
        ],
    },
    "removed": {
        **WEB,
        "port": 81,
        "health_check": QUICK,
        "alpha": False,
        "real_servers": ["web1", {"name": "web2", "health_check": {**QUICK, "port": 9}}],
    },
    "own": {
        **WEB,
        "port": 82,
        "inhibit_on_failure": True,
        "real_servers": [
            {"name": "web1", "health_check": QUICK},
            {"name": "web2", "health_check": {**QUICK, "port": 9}, "inhibit_on_failure": False},
        ],
    },
    "nets": {**WEB, "port": 83, "persistence": 120, "persistence_netmask": "255.255.0.0"},
    "both": {
        **{key: value for key, value in WEB.items() if key != "vip"},
        "vips": [VIP, "six"],
        "port": 89,
        "persistence": 120,
        "persistence_netmask": {"ipv4": 24, "ipv6": 56},
    },
    "sip": {**WEB, "port": 5060, "protocol": "udp", "persistence": 60, "persistence_engine": "sip"},
    "packets": {**WEB, "port": 53, "protocol": "udp", "one_packet": True, "scheduler": "rr"},
    "flows": {**WEB, "port": 54, "protocol": "udp", "scheduler": "rr"},
    "sctp": {**WEB, "port": 9899, "protocol": "sctp", "scheduler": "rr"},
    "filled": {
        **WEB,
        "port": 70,
        "scheduler": "rr",
        "real_servers": [{"name": "web1", "upper": 3, "lower": 2}, "web2"],
    },
    "flags": {**WEB, "port": 84, "scheduler": "sh", "scheduler_flags": ["flag-1", "flag-2"]},
    "maglev": {**WEB, "port": 85, "scheduler": "mh", "scheduler_flags": ["mh-port", "mh-fallback"]},
    "range": {**WEB, "ports": [90, "8000-8009"], "health_check": {**QUICK, "port": 80}, "weight": 7},
    "many": {
        **{key: value for key, value in WEB.items() if key != "vip"},
        "vips": ["192.0.2.100-108", "192.0.2.120", "192.0.2.109"],
        "port": 86,
        "health_check": {**QUICK, "type": "http", "port": 88},
    },
    "other": {
        **WEB,
        "port": 87,
        "mode": "nat",
        "sorry_server": {"address": "192.0.2.99", "mode": "dr"},
        "real_servers": [{"name": "db1", "port": 8080, "upper": 10}],
    },
}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "options",
    "directors": {"lvs1": {"address": "192.0.2.2", "dip6": "2001:db8::2", "interface": "eth0"}},
    "vips": {"six": {"address": "2001:db8::50/64"}},
    "nat": {"gateway": "10.2.0.1/24", "interface": "eth1"},
    "real_servers": {
        "web1": {"address": "192.0.2.11", "rip6": "2001:db8::11"},
        "web2": {"address": "192.0.2.12", "rip6": "2001:db8::12"},
        "db1": {"address": "10.2.0.21"},
    },
    "services": SERVICES,
}
QUORUM = ServiceKey(Protocol.TCP, VIP, 80)
FAILING = ("192.0.2.12:81", "192.0.2.12:82")
"""What has a check that fails, all the time."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {"web1": [80, 81, 82, 88], "web2": [80, 81, 82, 88], "db1": [8080]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SSHD, serve=serve) as cluster:
        for name in NAMES:
            file = f"/usr/local/bin/{name}"
            cluster.sh("lvs1", f"printf %s {shlex.quote(TELL)} >{file}; chmod 755 {file}")
        cluster.sh("lvs1", "chmod 1777 /run")
        cluster.run("apply")
        for server in ("web1", "web2"):
            cluster.lab.spawn(server, NAMES_ITSELF)
            cluster.lab.spawn(server, ASSOCIATED)
        yield cluster


def table(cluster: Living) -> Mapping[ServiceKey, VirtualService]:
    return parse(cluster.sh("lvs1", "ipvsadm -Sn"), cluster.sh("lvs1", "ipvsadm -Ln --thresholds"))


def without(service: VirtualService, *destinations: str) -> tuple[TableDestination, ...]:
    return tuple(d for d in service.destinations if str(d) not in destinations)


def test_every_option_reads_back(cluster: Living) -> None:
    wanted = expected_table(load(cluster.inventory).cluster)

    def as_declared() -> bool:
        actual = table(cluster)
        return actual.keys() == wanted.keys() and all(
            actual[key].options() == service.options() and without(actual[key]) == without(service, *FAILING)
            for key, service in wanted.items()
        )

    cluster.wait("the table is as declared", as_declared, seconds=40)
    assert len(wanted) == 11 + len(SERVICES) - 2 + 11 + 1
    assert cluster.drift() == []
    assert "Nothing to do" in cluster.run("apply")


def test_a_pool_is_checked_once_for_all_its_vips(cluster: Living) -> None:
    """The checker process asks web1 on port 88 once a second, not once for each of eleven VIPs."""
    program = "exec timeout 10 tcpdump -lnni eth0 'tcp[tcpflags] & tcp-syn != 0 and dst port 88'"
    asked = cluster.sh("web1", program, check=False).count(" > 192.0.2.11.88")
    assert 4 <= asked <= 12


def test_a_lost_quorum(cluster: Living) -> None:
    """One of weight 1 is left: the sorry server serves, those with `inhibit` stay with weight 0."""
    cluster.sh("lvs1", "rm -f /run/told.*")
    cluster.sh("web2", "iptables -I INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    rows = {"192.0.2.11:80": 0, "192.0.2.12:80": 0, "192.0.2.99:80": 1}

    def serving() -> dict[str, int]:
        return {str(d): d.weight for d in table(cluster)[QUORUM].destinations}

    cluster.wait("the sorry server serves", lambda: serving() == rows, seconds=30)
    assert cluster.drift() == []
    down = ["quorum-down root", "rs-down web2 192.0.2.12 80 root"]
    assert cluster.sh("lvs1", "sort /run/told.*").splitlines() == down
    cluster.sh("web2", "iptables -F INPUT")
    rows = {"192.0.2.11:80": 1, "192.0.2.12:80": 4, "192.0.2.99:80": 0}
    cluster.wait("the real servers serve", lambda: serving() == rows, seconds=30)
    assert cluster.drift() == []
    up = ["quorum-up it's $HOME {} daemon", "rs-up root"]
    assert cluster.sh("lvs1", "sort /run/told.*").splitlines() == sorted([*down, *up])


def test_ipv6_clients_of_one_prefix_count_as_one(cluster: Living) -> None:
    lines = [line for line in cluster.table("lvs1") if line.startswith("-A ") and ":89 " in line]
    assert sorted(line.split(" -p ")[1] for line in lines) == ["120 -M 255.255.255.0", "120 -M 56"]


def test_each_datagram_is_scheduled_by_itself_only_where_declared(cluster: Living) -> None:
    """All from one port of the client: without `one_packet` they are one connection."""
    said = cluster.sh("client", DATAGRAMS.replace("{port}", "53")).split()
    assert Counter(said) == Counter(web1=6, web2=6)
    said = cluster.sh("client", DATAGRAMS.replace("{port}", "54")).split()
    assert list(Counter(said).values()) == [12]


def test_associations_of_sctp_are_balanced(cluster: Living) -> None:
    """Each by one real server, which gets both of its packets."""
    said = cluster.sh("client", ASSOCIATIONS).splitlines()
    assert Counter(said) == {"web1 web1": 2, "web2 web2": 2}
    entries = [line.split() for line in cluster.sh("lvs1", "ipvsadm -Lcn").splitlines() if "SCTP" in line]
    ports = {entry[3].rpartition(":")[2] for entry in entries}
    assert ports == {"40001", "40002", "40003", "40004"}


def test_a_full_real_server_gets_no_more_until_it_has_room(cluster: Living) -> None:
    """`upper: 3`, `lower: 2`: three and no more; with two left still none, with one left again."""
    full, still_full, room = json.loads(cluster.sh("client", FILLS))
    assert Counter(full) == Counter(web1=3, web2=5)
    assert still_full == ["web2", "web2"]
    assert room == ["web1", "web2"]


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("-e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1 -x 0 -y 0", "thresholds"),
        ("-d -t 192.0.2.105:86 -r 192.0.2.12:86", "a destination of one VIP of many"),
        ("-E -t 192.0.2.50:83 -s wlc -p 120", "the netmask of persistence"),
        ("-E -t [2001:db8::50]:89 -s wlc -p 120 -M 64", "the prefix of persistence"),
        ("-D -t 192.0.2.120:86", "one VIP of many"),
        ("-d -t 192.0.2.50:80 -r 192.0.2.99:80", "the sorry server that waits"),
    ],
)
def test_what_is_changed_in_the_kernel_is_drift(cluster: Living, change: str, back: str) -> None:
    cluster.sh("lvs1", f"ipvsadm {change}")
    assert cluster.drift(), back
    cluster.run("apply")
    assert cluster.drift() == []


def test_a_vip_that_leaves_the_pool(cluster: Living) -> None:
    changes = {"services": {"many": {"vips": ["192.0.2.100-104", "192.0.2.120", "192.0.2.130"]}}}
    other = cluster.variant("fewer", changes)
    cluster.run("apply", inventory=other)
    assert cluster.drift(inventory=other) == []
    vips = {key.address for key in table(cluster) if key.port == 86}
    assert vips == {f"192.0.2.{number}" for number in (100, 101, 102, 103, 104, 120, 130)}
    assert set(cluster.requests("client", "http://192.0.2.130:80/", 1)) == {""}
    cluster.run("apply")
    assert cluster.drift() == []
