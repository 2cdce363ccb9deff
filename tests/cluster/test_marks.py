"""Services by firewall mark, and clients beside the real servers: by packets, on directors that run systemd.

The lab's kernel of directors has no nf_tables but for bridges, so iptables loads the rules: on lvs1, which
has the program nft, since its kernel refuses; on lvs2 there is no nft. What nft itself does is tried without
IPVS, in tests/desired/test_rules_work.py, and in tests/state, tests/observe and tests/execute.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

PAGE, GAME, API = "192.0.2.50", "192.0.2.52", "192.0.2.51"
CHECK = {"type": "tcp", "interval": 1, "timeout": 1}
WEB = ["web1", {"name": "web2", "weight": 1}]
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "marks",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "nat": {"gateway": "10.2.0.1/24", "interface": "eth1", "configure_gateway": True, "masquerade": True},
    "real_servers": {
        "web1": {"address": "192.0.2.11"},
        "web2": {"address": "192.0.2.12"},
        "db1": {"address": "10.2.0.21"},
        "db2": {"address": "10.2.0.22"},
        "beside": {"address": "10.2.0.99"},  # serves nothing: it stands for a client in that network
    },
    "services": {
        "tls": {
            "vip": PAGE,
            "ports": [80, 443],
            "fwmark": 7,
            "mode": "dr",
            "persistence": 600,
            "health_check": CHECK,
            "real_servers": WEB,
        },
        "game": {
            "vip": GAME,
            "ports": ["9000-9003"],
            "protocols": ["tcp", "udp"],
            "fwmark": 9,
            "mode": "dr",
            "persistence": 600,
            "health_check": "none",
            "real_servers": WEB,
        },
        "api": {
            "vip": API,
            "port": 80,
            "mode": "nat",
            "health_check": CHECK,
            "real_servers": [{"name": "db1", "port": 8080}, {"name": "db2", "port": 8080}],
        },
    },
}
RULES = "lvs1: netfilter rules chains lvsdeploy-marks of iptables [changed on the host]"

# Answers a datagram with the machine's name.
UDP = r"""exec python3 -c '
import socket
IP_PKTINFO = 8
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
s.bind(("", 9002))
while True:
    data, extra, flags, client = s.recvmsg(99, 99)
    # from the address that was asked, which is the VIP
    s.sendmsg([socket.gethostname().encode()], extra, 0, client)
'"""
ASK = r"""python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.bind((sys.argv[1], 0))
s.connect(("%s", 9002))
s.send(b"who?")
print(s.recv(99).decode())
' """


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    web, db = [80, 443, 9001], [8080]
    serve = {"web1": web, "web2": web, "db1": db, "db2": db}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SYSTEMD, serve=serve) as cluster:
        cluster.sh("lvs2", "rm /usr/sbin/nft")
        for machine in ("web1", "web2"):
            cluster.lab.spawn(machine, UDP)
        cluster.sh("beside", f"ip route add {API} via 10.2.0.1")
        for number in range(101, 109):
            cluster.sh("client", f"ip address add 192.0.2.{number}/24 dev eth0")
        cluster.run("apply")
        yield cluster


def by_client(cluster: Living, url: str) -> dict[str, str]:
    """Which real server answers each of the client's addresses."""
    addresses = " ".join(f"192.0.2.{number}" for number in range(101, 109))
    script = f"for a in {addresses}; do echo $a $(curl -s --max-time 3 --interface $a {url}); done"
    lines = cluster.sh("client", script).splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


def rules(cluster: Living, director: str) -> list[str]:
    return [line for line in cluster.sh(director, "iptables-save").splitlines() if "lvsdeploy" in line]


def test_what_is_declared_is_in_the_kernel(cluster: Living) -> None:
    assert cluster.drift() == []
    assert "Nothing to do" in cluster.run("apply")
    add = "-A lvsdeploy-marks-in"
    for director in ("lvs1", "lvs2"):
        cluster.wait(
            "the checks have succeeded",
            lambda d=director: "-a -f 7 -r 192.0.2.12:0 -g -w 1" in cluster.sh(d, "ipvsadm -Sn"),
        )
        table = cluster.table(director)
        assert "-A -f 7 -s wlc -p 600" in table
        assert "-a -f 9 -r 192.0.2.11:0 -g -w 1" in table
        assert rules(cluster, director) == [
            ":lvsdeploy-marks-nat - [0:0]",
            "-A POSTROUTING -j lvsdeploy-marks-nat",
            f"-A lvsdeploy-marks-nat -s 10.2.0.0/24 -m conntrack --ctorigdst {API} -j MASQUERADE",
            ":lvsdeploy-marks-in - [0:0]",
            "-A PREROUTING -j lvsdeploy-marks-in",
            f"{add} -d {PAGE}/32 -p tcp -m multiport --dports 80,443 -j MARK --set-xmark 0x7/0xffffffff",
            f"{add} -d {GAME}/32 -p tcp -m tcp --dport 9000:9003 -j MARK --set-xmark 0x9/0xffffffff",
            f"{add} -d {GAME}/32 -p udp -m udp --dport 9000:9003 -j MARK --set-xmark 0x9/0xffffffff",
        ]
        assert cluster.sh(director, "cat /proc/sys/net/ipv4/vs/conntrack").strip() == "1"


def test_both_ports_of_a_client_go_to_one_real_server(cluster: Living) -> None:
    plain, secure = (by_client(cluster, f"http://{PAGE}:{port}/") for port in (80, 443))
    assert plain == secure
    assert set(plain.values()) == {"web1", "web2"}
    assert cluster.requests("client", f"http://{PAGE}:81/", 1) == {"": 1}, "not of the group"


def test_both_protocols_of_a_client_go_to_one_real_server(cluster: Living) -> None:
    seen = defaultdict(set)
    for address, server in by_client(cluster, f"http://{GAME}:9001/").items():
        seen[address].add(server)
        seen[address].add(cluster.sh("client", ASK % GAME + address).strip())
    assert all(len(servers) == 1 for servers in seen.values()), seen
    assert {server for servers in seen.values() for server in servers} == {"web1", "web2"}


def test_a_client_beside_the_real_servers_gets_its_answer(cluster: Living) -> None:
    said = cluster.sh("beside", f"for i in 1 2 3 4; do curl -s --max-time 3 http://{API}/; done").split()
    assert set(said[::2]) == {"db1", "db2"}
    (seen,) = set(said[1::2])
    assert f"inet {seen}/24" in cluster.sh("lvs1", "ip address show dev eth1")


def test_other_clients_keep_their_address(cluster: Living) -> None:
    for machine in ("client", "remote"):
        said = cluster.sh(machine, f"curl -s --max-time 3 http://{API}/").split()
        assert f"inet {said[1]}/" in cluster.sh(machine, "ip address show dev eth0")


@pytest.mark.parametrize(
    "change",
    [
        "iptables -t mangle -D lvsdeploy-marks-in 1",
        "iptables -t mangle -I lvsdeploy-marks-in -p tcp --dport 443 -j RETURN",
        "iptables -t mangle -F PREROUTING",
        "iptables -t nat -F lvsdeploy-marks-nat",
        "iptables -t mangle -F; iptables -t mangle -X; iptables -t nat -F; iptables -t nat -X",
    ],
)
def test_what_somebody_did_is_found_and_mended(cluster: Living, change: str) -> None:
    before = rules(cluster, "lvs1")
    cluster.sh("lvs1", change)
    assert cluster.drift() == [RULES]
    cluster.run("apply")
    assert cluster.drift() == []
    assert sorted(rules(cluster, "lvs1")) == sorted(before)
    assert set(by_client(cluster, f"http://{PAGE}:443/").values()) == {"web1", "web2"}


def test_a_real_server_that_fails_its_check_is_no_drift(cluster: Living) -> None:
    line = "-a -f 7 -r 192.0.2.12:0 -g -w 1"
    cluster.sh("web2", "iptables -I INPUT -p tcp --dport 80 -s 192.0.2.2 -j REJECT --reject-with tcp-reset")
    cluster.wait("keepalived took it out", lambda: line not in cluster.table("lvs1"))
    assert cluster.drift() == []
    assert "192.0.2.12:0 of fwmark 7 is out of the table: its health check fails" in cluster.run("check")
    assert set(by_client(cluster, f"http://{PAGE}:443/").values()) == {"web1"}
    cluster.sh("web2", "iptables -F INPUT")
    cluster.wait("it is back", lambda: line in cluster.table("lvs1"))


def test_a_drained_real_server_of_a_mark(cluster: Living) -> None:
    assert cluster.lab.run([*cluster.argv("drain"), "web1"]).returncode == 0
    assert "-a -f 7 -r 192.0.2.11:0 -g -w 0" in cluster.table("lvs1")
    assert "-a -f 9 -r 192.0.2.11:0 -g -w 0" in cluster.table("lvs2")
    assert cluster.drift() == []
    assert cluster.lab.run([*cluster.argv("undrain"), "web1"]).returncode == 0
    assert "-a -f 7 -r 192.0.2.11:0 -g -w 1" in cluster.table("lvs1")


def test_a_director_that_was_restarted_marks_again(cluster: Living) -> None:
    before = rules(cluster, "lvs1")
    cluster.lab.reboot("lvs1")
    cluster.wait("lvs1 is MASTER again", lambda: cluster.master() == "lvs1", seconds=60)
    assert rules(cluster, "lvs1") == before
    assert cluster.sh("lvs1", "systemctl is-active lvsdeploy-marks").strip() == "active"
    cluster.wait("the checks have succeeded", lambda: cluster.drift() == [], seconds=30)
    assert set(by_client(cluster, f"http://{PAGE}:443/").values()) == {"web1", "web2"}


def test_marks_change_with_the_inventory(cluster: Living) -> None:
    other = cluster.variant(
        "other", {"services": {"tls": {"fwmark": 17, "ports": [80, 443, 8443]}, "game": None}}
    )
    cluster.run("apply", inventory=other)
    assert cluster.drift(inventory=other) == []
    assert not [line for line in rules(cluster, "lvs1") if GAME in line or "0x7/" in line]
    assert "-A -f 17 -s wlc -p 600" in cluster.table("lvs1")
    assert set(by_client(cluster, f"http://{PAGE}:443/").values()) == {"web1", "web2"}
    cluster.run("rollback", "--yes")
    assert cluster.drift() == []
    assert "-A -f 7 -s wlc -p 600" in cluster.table("lvs1")


def test_destroy_leaves_nothing(cluster: Living) -> None:
    cluster.run("destroy", "--yes")
    for director in ("lvs1", "lvs2"):
        assert rules(cluster, director) == []
        assert cluster.sh(director, "find /etc -name '*lvsdeploy*'").strip() == ""
