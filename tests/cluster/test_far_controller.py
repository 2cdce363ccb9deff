"""NAT, applied from behind a router: the change of the default route must not cut off who makes it.

With the route changed before the director has the gateway, the real server could answer nobody any more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "far",
    "directors": {"lvs1": {"address": "192.0.2.2", "interface": "eth0"}},
    "nat": {"gateway": "10.2.0.1/24", "interface": "eth1", "configure_gateway": True},
    "real_servers": {"db1": {"address": "10.2.0.21"}, "db2": {"address": "10.2.0.22"}},
    "services": {
        "api": {
            "vip": "192.0.2.51",
            "port": 80,
            "mode": "nat",
            "scheduler": "rr",
            "real_servers": [{"name": "db1", "port": 8080}, {"name": "db2", "port": 8080}],
        },
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("lab")
    with living(folder, DECLARED, Init.SSHD, serve={"db1": [8080], "db2": [8080]}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def afar(cluster: Living) -> Path:
    """The inventory with every login made from the machine behind the router."""
    address = cluster.sh("remote", "hostname -I").split()[0]
    return cluster.variant("afar", {"ssh": {"proxy_jump": f"root@{address}"}})


def test_a_first_apply_from_behind_the_router(cluster: Living, afar: Path) -> None:
    done = cluster.attempt("apply", "-v", inventory=afar)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stderr.splitlines()
    assert told.index("lvs1: done") < told.index("db1: changing"), "first who has the gateway"
    for server in ("db1", "db2"):
        assert cluster.sh(server, "ip route show default").startswith("default via 10.2.0.1 ")
    assert set(cluster.requests("remote", "http://192.0.2.51/", 4)) == {"db1", "db2"}
    assert cluster.attempt("check", inventory=afar).returncode == 0


def test_no_route_leads_to_a_gateway_that_nobody_holds(cluster: Living) -> None:
    cluster.sh("db1", "ip route replace default via 10.2.0.253")
    cluster.sh("lvs1", "ip link set eth1 down")
    cluster.wait("FAULT", lambda: "10.2.0.1/24" not in cluster.sh("lvs1", "ip -o address"))
    said = cluster.run("apply", code=1)
    assert "db1: not changed: its default route would lead to the inside gateway" in said
    assert cluster.sh("db1", "ip route show default").startswith("default via 10.2.0.253 ")
    cluster.sh("lvs1", "ip link set eth1 up")
    cluster.wait("MASTER", lambda: "10.2.0.1/24" in cluster.sh("lvs1", "ip -o address"))
    cluster.run("apply")
    assert cluster.drift() == []
