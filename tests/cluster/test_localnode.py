"""Two directors that serve, too, and a third machine that serves alone: every packet is served once.

A director that is BACKUP gets the MASTER's packets as a real server, and has the same IPVS table: without
`net.ipv4.vs.backup_only` it would schedule them once more and send them back.
"""

from __future__ import annotations

import os
from collections import Counter
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

VIP = "192.0.2.50"
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "vrrp": {"sync_daemon": {"interface": "eth0"}},
    "real_servers": {
        "lvs1": {"address": "192.0.2.2"},
        "lvs2": {"address": "192.0.2.3"},
        "web1": {"address": "192.0.2.11"},
    },
    "services": {
        "http": {
            "vip": VIP,
            "port": 80,
            "scheduler": "rr",
            "health_check": {"type": "tcp", "interval": 2, "timeout": 1},
            "real_servers": ["lvs1", "lvs2", "web1"],
        },
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("lab")
    serve = {name: [80] for name in DECLARED["real_servers"]}
    with living(folder, DECLARED, Init.SSHD, serve=serve) as cluster:
        yield cluster


def balanced(cluster: Living, count: int = 30) -> Counter[str]:
    return cluster.requests("client", f"http://{VIP}/", count)


def packets_in(cluster: Living, director: str) -> int:
    """Packets that a director's IPVS has taken for the service."""
    stats = cluster.sh(director, f"sleep 2.5; ipvsadm -Ln --stats --exact -t {VIP}:80").splitlines()
    return int(next(line for line in stats if line.startswith("TCP")).split()[3])


def test_apply(cluster: Living) -> None:
    assert "read back and as declared" in cluster.run("apply")
    assert cluster.drift() == []
    cluster.wait("checks", lambda: all(len(cluster.table(d)) == 4 for d in ("lvs1", "lvs2")))
    assert f"{VIP}/32" in cluster.sh("lvs2", "ip -o address show dev lo")
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}


def test_each_serves_its_share_and_the_backup_sends_nothing_on(cluster: Living) -> None:
    assert balanced(cluster) == Counter(lvs1=10, lvs2=10, web1=10)
    assert packets_in(cluster, "lvs2") == 0
    assert packets_in(cluster, "lvs1") > 100


def test_without_backup_only_packets_go_to_and_fro(cluster: Living) -> None:
    """What the sysctl is for; `check` finds it missing, and `apply` mends it."""
    cluster.sh("lvs2", "echo 0 >/proc/sys/net/ipv4/vs/backup_only")
    assert balanced(cluster, 12) != Counter(lvs1=4, lvs2=4, web1=4)
    assert packets_in(cluster, "lvs2") > 0
    assert cluster.drift() == ["lvs2: sysctl net.ipv4.vs.backup_only [changed on the host]"]
    cluster.run("apply")
    assert balanced(cluster) == Counter(lvs1=10, lvs2=10, web1=10)


def test_after_a_failover_the_other_one_balances(cluster: Living) -> None:
    first = "$(cat /run/keepalived.pid /run/keepalived/keepalived.pid 2>/dev/null | head -n 1)"
    cluster.sh("lvs1", f"kill {first}")
    cluster.wait("lvs2 holds the VIP", lambda: VIP in cluster.sh("lvs2", "ip -o address show dev eth0"))
    cluster.wait("lvs2 serves", lambda: "" not in balanced(cluster, 3))
    assert balanced(cluster) == Counter(lvs1=10, lvs2=10, web1=10)
    cluster.run("apply")
    cluster.wait("lvs1 is MASTER again", lambda: cluster.master() == "lvs1")
    assert balanced(cluster) == Counter(lvs1=10, lvs2=10, web1=10)
    assert cluster.drift() == []


def test_drained_like_any_real_server(cluster: Living) -> None:
    with_host = [*cluster.argv("drain"), "lvs2"]
    assert cluster.lab.run(with_host, timeout=120).returncode == 0
    assert balanced(cluster, 12) == Counter(lvs1=6, web1=6)
    assert cluster.lab.run([*cluster.argv("undrain"), "lvs2"], timeout=120).returncode == 0
    assert balanced(cluster, 12) == Counter(lvs1=4, lvs2=4, web1=4)


def test_the_backup_as_the_sorry_server_takes_what_it_gets(cluster: Living) -> None:
    spare = {
        "vip": "192.0.2.51",
        "port": 82,
        "health_check": {"type": "tcp", "interval": 2, "timeout": 1},
        "real_servers": ["web1"],
        "sorry_server": {"address": "192.0.2.3"},
    }
    inventory = cluster.variant("spare", {"services": {"spare": spare}})
    cluster.serve({"web1": [82], "lvs2": [82]})

    def served(count: int) -> Counter[str]:
        return cluster.requests("client", "http://192.0.2.51:82/", count)

    cluster.run("apply", inventory=inventory)
    assert "192.0.2.51/32" in cluster.sh("lvs2", "ip -o address show dev lo")
    cluster.wait("web1 serves", lambda: served(1) == Counter(["web1"]))
    cluster.sh("web1", "iptables -I INPUT -p tcp --dport 82 -j DROP")
    cluster.wait("lvs2 takes over", lambda: served(1) == Counter(["lvs2"]), 30)
    assert served(10) == Counter(lvs2=10)
    assert cluster.drift(inventory=inventory) == []
    cluster.sh("web1", "iptables -F INPUT")
    cluster.wait("web1 serves again", lambda: served(1) == Counter(["web1"]), 30)
    cluster.run("apply", "--drain-timeout", "0")
    assert "192.0.2.51" not in cluster.sh("lvs2", "ip -o address")


def test_destroy_leaves_nothing(cluster: Living) -> None:
    cluster.run("destroy", "--yes")
    assert f"{VIP}/32" not in cluster.sh("lvs1", "ip -o address")
    assert "backup_only" not in cluster.sh("lvs1", "cat /etc/sysctl.d/* 2>/dev/null", check=False)
