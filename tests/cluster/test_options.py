"""One director, and what else a service can be declared with: the kernel's table must be the declared one.

The NAT part leaves the default route to the operator (`configure_gateway: false`): checked, and not set.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.model import Scheduler
from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP = "192.0.2.50"
WEB: dict[str, Any] = {"vip": VIP, "mode": "dr", "real_servers": ["web1", {"name": "web2", "weight": 3}]}
SERVICES: dict[str, Any] = {
    **{
        f"by-{scheduler}": {**WEB, "port": 1000 + number, "scheduler": str(scheduler), "health_check": "none"}
        for number, scheduler in enumerate(Scheduler)
        if scheduler is not Scheduler.TWOS  # Debian's 6.1 has no ip_vs_twos: see the test of that
    },
    "web": {
        **WEB,
        "ports": [80, 81],
        "health_check": {"type": "http", "path": "/", "interval": 1, "timeout": 2},
    },
    "sticky": {**WEB, "port": 82, "persistence": 600, "health_check": "none"},
    "sticky-nets": {
        **WEB,
        "port": 83,
        "persistence": 120,
        "persistence_netmask": "255.255.255.0",
        "health_check": "none",
    },
    "all-ports": {**WEB, "vip": "192.0.2.52", "port": 0, "persistence": 300, "health_check": "none"},
    "hashed": {
        **WEB,
        "port": 84,
        "scheduler": "sh",
        "scheduler_flags": ["sh-fallback", "sh-port"],
        "health_check": "none",
    },
    "maglev": {**WEB, "port": 85, "scheduler": "mh", "scheduler_flags": ["mh-port"], "health_check": "none"},
    "dns": {**WEB, "port": 53, "protocol": "udp", "one_packet": True, "health_check": "none"},
    "sctp": {**WEB, "port": 86, "protocol": "sctp", "health_check": "none"},
    "sorry": {
        "vip": VIP,
        "port": 87,
        "mode": "dr",
        "real_servers": ["web1"],
        "sorry_server": {"address": "192.0.2.12", "port": 87},
        "health_check": {"type": "tcp", "interval": 1, "timeout": 1},
    },
    "quorum": {**WEB, "port": 88, "quorum": 2, "health_check": "none"},
    "api": {
        "vip": "192.0.2.51",
        "port": 80,
        "mode": "nat",
        "real_servers": [{"name": "db1", "port": 8080}],
        "health_check": {"type": "http", "path": "/", "status": [200, 204], "host": "api.example"},
    },
}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "options",
    "directors": {"lvs1": {"address": "192.0.2.2", "interface": "eth0"}},
    "nat": {"gateway": "10.2.0.1/24", "interface": "eth1"},
    "real_servers": {
        "web1": {"address": "192.0.2.11"},
        "web2": {"address": "192.0.2.12"},
        "db1": {"address": "10.2.0.21"},
    },
    "services": SERVICES,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {"web1": [80, 81, 87], "web2": [80, 81, 87], "db1": [8080]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SSHD, serve=serve) as cluster:
        cluster.run("apply")
        yield cluster


def test_every_option_reads_back_as_declared(cluster: Living) -> None:
    assert cluster.drift() == []
    assert "Nothing to do" in cluster.run("apply")
    table = cluster.sh("lvs1", "ipvsadm -Sn")
    assert table.count("\n-A ") + table.startswith("-A ") == len(SERVICES) + 1


def test_one_director_balances(cluster: Living) -> None:
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}
    assert set(cluster.requests("client", f"http://{VIP}/", 8)) == {"web1", "web2"}
    assert set(cluster.requests("client", "http://192.0.2.51/", 3)) == {"db1"}
    said = cluster.run("status", "--output", "json")
    assert [d["role"] for d in json.loads(said)["directors"]] == ["MASTER"]


@pytest.mark.parametrize(
    ("service", "change"),
    [
        (f"-t {VIP}:82", "-s wlc"),  # persistence taken away
        (f"-t {VIP}:83", "-s wlc -p 120 -M 255.255.0.0"),
        (f"-t {VIP}:84", "-s sh -b sh-port"),
        (f"-u {VIP}:53", "-s wlc"),  # each datagram no longer by itself
    ],
)
def test_an_option_changed_in_the_kernel_is_drift(cluster: Living, service: str, change: str) -> None:
    cluster.sh("lvs1", f"ipvsadm -E {service} {change}")
    (found,) = cluster.drift()
    assert found.startswith("lvs1: virtual service ")
    cluster.run("apply")
    assert cluster.drift() == []


def test_the_sorry_server_serves_and_is_no_drift(cluster: Living) -> None:
    cluster.sh("web1", "iptables -I INPUT -p tcp --dport 87 -j REJECT --reject-with tcp-reset")
    cluster.wait(
        "the sorry server is in the table",
        lambda: "-a -t 192.0.2.50:87 -r 192.0.2.12:87" in cluster.sh("lvs1", "ipvsadm -Sn"),
        seconds=40,
    )
    assert set(cluster.requests("client", f"http://{VIP}:87/", 3)) == {"web2"}
    assert cluster.drift() == []
    cluster.sh("web1", "iptables -F INPUT")
    cluster.wait(
        "the real server is back",
        lambda: "-a -t 192.0.2.50:87 -r 192.0.2.11:87" in cluster.sh("lvs1", "ipvsadm -Sn"),
        seconds=40,
    )
    assert cluster.drift() == []


def test_a_default_route_that_is_only_checked(cluster: Living) -> None:
    cluster.sh("db1", "ip route replace default via 10.2.0.253")
    assert cluster.drift() == ["db1: LVS512"]
    said = cluster.run("check", code=2)
    assert "the default route is `default via 10.2.0.253 dev eth0`, so replies bypass the director" in said
    cluster.run("apply", code=0)
    assert "10.2.0.253" in cluster.sh("db1", "ip route show default"), "it is not ours to set"
    cluster.sh("db1", "ip route replace default via 10.2.0.1")
    assert cluster.drift() == []


def test_a_removed_service_goes_from_every_host(cluster: Living) -> None:
    import yaml  # noqa: PLC0415 — this test alone writes an inventory

    fewer = {name: service for name, service in SERVICES.items() if name not in ("all-ports", "sorry")}
    smaller = cluster.inventory.with_name("smaller.yaml")
    smaller.write_text(yaml.safe_dump({**cluster.declared, "services": fewer}, sort_keys=False))
    said = cluster.run("plan", inventory=smaller)
    assert "192.0.2.52/32 on lo" in said
    assert "[no longer declared]" in said
    cluster.run("apply", inventory=smaller)
    assert "Nothing to do" in cluster.run("apply", inventory=smaller)
    assert "192.0.2.52" not in cluster.sh("web1", "ip address")
    assert "192.0.2.52" not in cluster.sh("lvs1", "ip address; ipvsadm -Sn")
    assert set(cluster.requests("client", f"http://{VIP}/", 4)) == {"web1", "web2"}


def test_a_scheduler_that_the_kernel_lacks_is_refused_before_anything_changes(cluster: Living) -> None:
    if "ip_vs_twos" in cluster.sh("lvs1", "find /lib/modules/$(uname -r) -name 'ip_vs_twos*'"):
        pytest.skip("this kernel has every scheduler")
    other = cluster.variant("twos", {"services": {"web": {**SERVICES["web"], "scheduler": "twos"}}})
    before = cluster.sh("lvs1", "ipvsadm -Sn; sha256sum /etc/keepalived/keepalived.conf")
    said = cluster.run("apply", code=1, inventory=other)
    assert "has no scheduler twos (ip_vs_twos)" in said
    assert cluster.sh("lvs1", "ipvsadm -Sn; sha256sum /etc/keepalived/keepalived.conf") == before
