"""Every option of a virtual server and of a real server, read back from the kernel of a director."""

from __future__ import annotations

import os
import shlex
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
echo "$(basename "$0")" >>/run/told
"""
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
        "quorum_up": "/usr/local/bin/quorum-up",
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
                "notify_down": "/usr/local/bin/rs-down",
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
    "sip": {**WEB, "port": 5060, "protocol": "udp", "persistence": 60, "persistence_engine": "sip"},
    "packets": {**WEB, "port": 53, "protocol": "udp", "one_packet": True},
    "sctp": {**WEB, "port": 9899, "protocol": "sctp"},
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
    "directors": {"lvs1": {"address": "192.0.2.2", "interface": "eth0"}},
    "nat": {"gateway": "10.2.0.1/24", "interface": "eth1"},
    "real_servers": {
        "web1": {"address": "192.0.2.11"},
        "web2": {"address": "192.0.2.12"},
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
        cluster.run("apply")
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
    assert len(wanted) == 11 + len(SERVICES) - 2 + 11
    assert cluster.drift() == []
    assert "Nothing to do" in cluster.run("apply")


def test_a_pool_is_checked_once_for_all_its_vips(cluster: Living) -> None:
    """The checker process asks web1 on port 88 once a second, not once for each of eleven VIPs."""
    program = "exec timeout 10 tcpdump -lnni eth0 'tcp[tcpflags] & tcp-syn != 0 and dst port 88'"
    asked = cluster.sh("web1", program, check=False).count(" > 192.0.2.11.88")
    assert 4 <= asked <= 12


def test_a_lost_quorum(cluster: Living) -> None:
    """One of weight 1 is left: the sorry server serves, those with `inhibit` stay with weight 0."""
    cluster.sh("lvs1", "rm -f /run/told")
    cluster.sh("web2", "iptables -I INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    rows = {"192.0.2.11:80": 0, "192.0.2.12:80": 0, "192.0.2.99:80": 1}

    def serving() -> dict[str, int]:
        return {str(d): d.weight for d in table(cluster)[QUORUM].destinations}

    cluster.wait("the sorry server serves", lambda: serving() == rows, seconds=30)
    assert cluster.drift() == []
    assert cluster.sh("lvs1", "sort /run/told").split() == ["quorum-down", "rs-down"]
    cluster.sh("web2", "iptables -F INPUT")
    rows = {"192.0.2.11:80": 1, "192.0.2.12:80": 4, "192.0.2.99:80": 0}
    cluster.wait("the real servers serve", lambda: serving() == rows, seconds=30)
    assert cluster.drift() == []
    assert cluster.sh("lvs1", "sort /run/told").split() == ["quorum-down", "quorum-up", "rs-down", "rs-up"]


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("-e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1 -x 0 -y 0", "thresholds"),
        ("-d -t 192.0.2.105:86 -r 192.0.2.12:86", "a destination of one VIP of many"),
        ("-E -t 192.0.2.50:83 -s wlc -p 120", "the netmask of persistence"),
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
