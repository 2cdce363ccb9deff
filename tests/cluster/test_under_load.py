"""Changes of a cluster that is in use: not one request of a steady load fails.

The tests of this module build on each other, in order: each starts from what the one before has applied.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living
from tests.cluster.load import Load, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

DR, NAT = "http://192.0.2.50/", "http://192.0.2.51/"
WEBS = ["web1", "web2", "web3"]
DBS = [{"name": name, "port": 8080} for name in ("db1", "db2", "db3")]
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "nat": {"gateway": "10.2.0.1/24", "interface": "eth1", "configure_gateway": True},
    "real_servers": {
        "web1": {"address": "192.0.2.11"},
        "web2": {"address": "192.0.2.12"},
        "web3": {"address": "192.0.2.13"},
        "web4": {"address": "192.0.2.14"},
        "db1": {"address": "10.2.0.21"},
        "db2": {"address": "10.2.0.22"},
        "db3": {"address": "10.2.0.23"},
    },
    "services": {
        "http": {
            "vip": "192.0.2.50",
            "port": 80,
            "mode": "dr",
            "scheduler": "wrr",
            "health_check": {"type": "tcp", "interval": 3, "timeout": 2},
            "real_servers": WEBS,
        },
        "api": {"vip": "192.0.2.51", "port": 80, "mode": "nat", "scheduler": "rr", "real_servers": DBS[:2]},
    },
}
HTTP_CHECK = {"type": "http", "path": "/healthz", "interval": 2, "timeout": 1}

# What each test applies, as it differs from DECLARED.
MORE = {"http": {"real_servers": [*WEBS, "web4"]}}
HEAVIER = {"http": {"real_servers": [*WEBS, {"name": "web4", "weight": 3}]}}
CHECKED = {"http": {**HEAVIER["http"], "health_check": HTTP_CHECK}}
FEWER = {"http": {"real_servers": WEBS, "health_check": HTTP_CHECK}, "api": {"real_servers": DBS[:1]}}
REPLACED = {**CHECKED, "api": {"real_servers": DBS[2:]}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {web: [80] for web in (*WEBS, "web4")} | {db: [8080] for db in ("db1", "db2", "db3")}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SSHD, serve=serve) as cluster:
        # Few ports, so that each is soon used again, as behind a busy proxy. IPVS remembers a closed
        # connection, and where it went, for two minutes: unless told otherwise (expire_nodest_conn,
        # conn_reuse_mode), it sends a new one from that port there, too, or nowhere when that is gone.
        cluster.sh("client", "echo 40000 40999 >/proc/sys/net/ipv4/ip_local_port_range")
        cluster.run("apply")
        cluster.wait("lvs1 is MASTER", lambda: cluster.master() == "lvs1")
        yield cluster


@dataclass(frozen=True)
class Seen:
    """The requests around a change, and when it began and ended."""

    load: Load
    began: float
    ended: float

    def before(self, url: str) -> set[str]:
        """Who answered before the change began."""
        return {r.machine for r in self.load.requests if r.url == url and r.at < self.began - 1}


def under_load(cluster: Living, *verb: str, inventory: Path, then: Path | None = None) -> Seen:
    """Runs a verb amid requests, none of which may fail; the cluster is then as `then` declares."""
    with load(cluster, "client", [DR, NAT]) as running:
        running.flows(3)
        began = time.time()
        cluster.run(*verb, inventory=inventory)
        ended = time.time()
        running.flows(4)
    failed = running.failed
    assert not failed, f"{len(failed)} of {running.total}\n" + "\n".join(str(r) for r in failed[:20])
    assert running.total > 300
    cluster.run("check", inventory=then or inventory)
    return Seen(running, began, ended)


def declared(cluster: Living, name: str, services: dict[str, Any]) -> Path:
    return cluster.variant(name, {"services": services})


def test_a_new_real_server(cluster: Living) -> None:
    seen = under_load(cluster, "apply", inventory=declared(cluster, "more", MORE))
    assert seen.before(DR) == set(WEBS)
    assert seen.load.by_machine(DR, since=seen.ended)["web4"] > 5


def test_a_weight(cluster: Living) -> None:
    seen = under_load(cluster, "apply", inventory=declared(cluster, "heavier", HEAVIER))
    answered = seen.load.by_machine(DR, since=seen.ended)
    assert answered["web4"] > 2 * answered["web1"] > 0


def test_a_health_check(cluster: Living) -> None:
    seen = under_load(cluster, "apply", inventory=declared(cluster, "checked", CHECKED))
    for director in ("lvs1", "lvs2"):
        assert "path /healthz" in cluster.sh(director, "cat /etc/keepalived/keepalived.conf")
    assert set(seen.load.by_machine(DR, since=seen.ended)) == {*WEBS, "web4"}


def test_removed_real_servers_end_what_they_have_begun(cluster: Living) -> None:
    inventory = declared(cluster, "fewer", FEWER)
    seen = under_load(cluster, "apply", "--drain-timeout", "20", inventory=inventory)
    for url, removed in ((DR, "web4"), (NAT, "db2")):
        assert removed in seen.before(url)
        assert removed not in seen.load.by_machine(url, since=seen.ended)
        own = [r for r in seen.load.requests if r.url == url and r.machine == removed]
        drained = max(r.at for r in own if r.kind == "short")
        assert any(r.kind == "long" and r.at < drained < r.at + r.seconds - 0.5 for r in own)


def test_a_rollback(cluster: Living) -> None:
    fewer, checked = declared(cluster, "fewer", FEWER), declared(cluster, "checked", CHECKED)
    seen = under_load(cluster, "rollback", "--yes", inventory=fewer, then=checked)
    answered = seen.load.by_machine(DR, since=seen.ended)
    assert answered["web4"] > 2 * answered["web1"] > 0
    assert set(seen.load.by_machine(NAT, since=seen.ended)) == {"db1", "db2"}


def test_every_real_server_replaced_by_another(cluster: Living) -> None:
    # The new one must serve before the last of the others takes no more connections.
    inventory = declared(cluster, "replaced", REPLACED)
    seen = under_load(cluster, "apply", "--drain-timeout", "20", inventory=inventory)
    assert set(seen.load.by_machine(NAT, since=seen.ended)) == {"db3"}
