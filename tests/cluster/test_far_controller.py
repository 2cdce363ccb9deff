"""NAT, applied from behind a router: the change of the default route must not cut off who makes it.

With the route changed before the director has the gateway, the real server could answer nobody any more.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Completed, Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("cluster.yaml", "lab/id_ed25519", "lab/known_hosts"):
                tar.add(folder / name, f"root/far/{name}")
        cluster.lab.exec("remote", "tar -x -C /", input=archive.getvalue())
        yield cluster


def from_afar(cluster: Living, verb: str) -> Completed:
    """`lvsdeploy VERB -v` on the machine behind the router."""
    checkout = shlex.quote(str(Path(__file__).parents[2]))
    command = f"cd {checkout} && {shlex.quote(sys.executable)} -m lvsdeploy {verb} -v /root/far/cluster.yaml"
    return cluster.lab.exec("remote", command, timeout=120, check=False)


def test_a_first_apply_from_behind_the_router(cluster: Living) -> None:
    done = from_afar(cluster, "apply")
    assert done.code == 0, done.stdout + done.stderr
    told = done.stderr.splitlines()
    assert told.index("lvs1: done") < told.index("db1: applying"), "first who has the gateway"
    for server in ("db1", "db2"):
        assert cluster.sh(server, "ip route show default").startswith("default via 10.2.0.1 ")
    assert set(cluster.requests("remote", "http://192.0.2.51/", 4)) == {"db1", "db2"}
    assert from_afar(cluster, "check").code == 0


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
