"""Whatever was applied before, the host becomes what the last inventory says, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.cli.acting import FOLDER, MANIFEST
from tests.hosts import INSIDE, OUTSIDE, needs_namespaces
from tests.plan.inventories import inventories

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces

TUNNELS = all(Path("/sys/module", name).exists() for name in ("ipip", "ip_gre", "fou"))
"""Whether this machine's kernel has them now; tests/cluster/test_tunnel.py has a kernel that does."""
MANAGED = {"web2": f"{OUTSIDE}12", "db1": f"{INSIDE}21"}
"""Hosts that each such inventory has, with their RIPs: one for DR, one for NAT."""


def written(site: Site, name: str, document: dict[str, Any], host: NamespaceHost) -> Path:
    """An inventory of this host; the others are never asked."""
    servers = {**document["real_servers"]}
    servers[host.name] = {**servers[host.name], "address": host.sshd.address, "rip": MANAGED[host.name]}
    return site.inventory(name, **{**document, "cluster": "shop", "real_servers": servers})


def state(host: NamespaceHost) -> dict[str, object]:
    """All that an apply could have changed, but for who applied and when."""
    files = host.files("/etc", "/var/lib")
    record = {k: v for k, v in host.manifest().items() if k != "history"} if host.exists(MANIFEST) else {}
    if not any(record.get(kind) for kind in ("files", "sysctls", "addresses", "units", "route")):
        record = {}  # it only remembers what once was
    kept = {path: words for path, words in files.items() if not path.startswith(FOLDER)}
    live = host.live()
    live["addresses"].sort()  # the kernel lists the oldest first
    return {**live, "files": kept, "record": record, "run": host.run_files()}


@dataclass
class Hosts:
    """By name: one for one inventory after another, and a fresh one. Kept while they end as they began."""

    site: Site
    pairs: dict[str, tuple[NamespaceHost, NamespaceHost]] = field(default_factory=dict)
    before: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def pair(self, name: str) -> tuple[NamespaceHost, NamespaceHost]:
        if name not in self.pairs:
            number = int(MANAGED[name].split(".")[3])
            self.pairs[name] = self.site.host(name, number), self.site.host(name, number)
            self.before[name] = [host.everything(times=True) for host in self.pairs[name]]
        return self.pairs[name]

    def stop(self) -> None:
        self.site.stop()
        self.pairs.clear()


@pytest.fixture
def hosts(site: Site) -> Hosts:
    return Hosts(site)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # it would stand before the failure itself
@settings(
    derandomize=True,
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],  # to shrink an example takes many applies
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    first=inventories(tunnelled=TUNNELS),
    second=inventories(tunnelled=TUNNELS),
    name=st.sampled_from(list(MANAGED)),
)
def test_one_apply_after_another_is_as_the_other_alone_and_nothing_is_left_of_either(
    hosts: Hosts, run: Callable[..., Done], first: dict[str, Any], second: dict[str, Any], name: str
) -> None:
    def does(verb: str, document: dict[str, Any], host: NamespaceHost) -> int:
        done = run(verb, "--limit", name, written(hosts.site, "shop", document, host))
        note(done.out + done.err)
        return done.code

    used, fresh = hosts.pair(name)
    try:
        does("apply", first, used)
        assert does("apply", second, used) == does("apply", second, fresh)
        one, other = state(used), state(fresh)
        for kind, words in one.items():
            assert words == other[kind], kind
        for host, before in zip((used, fresh), hosts.before[name], strict=True):
            assert does("destroy", second, host) == 0
            after = host.everything(times=True)
            for kind, words in before.items():
                assert after[kind] == words, kind
    except BaseException:
        hosts.stop()
        raise
