"""A session with hosts that are made up: what each one's plan is, and what happens to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any, cast

from lvsdeploy.execute.cluster import Pace, Session
from lvsdeploy.execute.host import Host
from lvsdeploy.inventory import load
from lvsdeploy.observe import Observation
from lvsdeploy.plan.change import Action, Change, HostPlan, Kind, Reason
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.host import HostState
from lvsdeploy.state.network import Address

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.execute.aims import Aim, Options
    from lvsdeploy.execute.waves import Serial
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.results import Applied
    from lvsdeploy.ssh import Connector

FILE = Change(Kind.FILE, "/etc/x", Action.UPDATE, Reason.DECLARED)
VIP_GOES = Change(Kind.ADDRESS, "192.0.2.50/32 on lo", Action.DELETE, Reason.LEFT_OVER)
ARP_GOES = Change(Kind.SYSCTL, "net.ipv4.conf.all.arp_ignore", Action.UPDATE, Reason.LEFT_OVER)
VIP_STRAY = replace(VIP_GOES, name="192.0.2.50/32 on eth0", reason=Reason.DRIFT)
VIP_COMES = Change(Kind.ADDRESS, "192.0.2.51/32 on lo", Action.CREATE, Reason.DECLARED)
ROUTE = Change(Kind.ROUTE, "default", Action.UPDATE, Reason.DECLARED)
SERVER_COMES = Change(Kind.DESTINATION, "192.0.2.21:80 of tcp 192.0.2.50:80", Action.CREATE, Reason.DECLARED)
SERVER_GOES = replace(SERVER_COMES, action=Action.DELETE, reason=Reason.LEFT_OVER)
ROUTE_GOES = Change(Kind.ROUTE, "default via 10.2.0.1 dev eth0", Action.UPDATE, Reason.LEFT_OVER)


def inventory(real_servers: int = 2, more: str = "") -> str:
    """Two directors and so many real servers, web1 and so on, all in one service."""
    names = [f"web{number}" for number in range(1, real_servers + 1)]
    lines = [f"  {name}: {{address: 192.0.2.{number}}}" for number, name in enumerate(names, 11)]
    return "\n".join(
        [
            "version: 1",
            "cluster: shop",
            "directors:",
            "  lvs1: {address: 192.0.2.2, interface: eth0, priority: 150}",
            "  lvs2: {address: 192.0.2.3, interface: eth0, priority: 100}",
            "real_servers:",
            *lines,
            "services:",
            f"  http: {{vip: 192.0.2.50, port: 80, real_servers: [{', '.join(names)}]}}",
            more,
        ]
    )


@dataclass
class Story:
    """What each host's plan is, what happens when it is read or changed, and who was changed, in order."""

    cluster: Cluster
    plans: dict[str, tuple[Change, ...]] = field(default_factory=dict)
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    on_read: dict[str, Exception | Callable[[], object]] = field(default_factory=dict)
    on_change: dict[str, Exception | Callable[[], object]] = field(default_factory=dict)
    replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)  # services none of whose servers stay
    changed: list[str] = field(default_factory=list)
    made: dict[str, list[tuple[Change, ...]]] = field(default_factory=dict)  # by each change of a host
    progress: list[str] = field(default_factory=list)
    at_work: int = 0
    most_at_work: int = 0
    done: dict[str, set[Change]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(
        self,
        *,
        parallel: int = 1,
        serial: Serial | None = None,
        max_failures: int = 0,
        aim: Aim | None = None,
        options: Options | None = None,
        without: tuple[str, ...] = (),
    ) -> Applied:
        """Plan and apply."""
        with Session(
            self.cluster,
            cast("Connector", None),
            hosts=[host for host in self.cluster.hosts() if host.name not in without],
            aim=aim,
            options=options,
            pace=Pace(parallel, serial, max_failures),
            progress=self.progress.append,
        ) as session:
            session.read()
            return session.apply()

    def tell(self, **how: Any) -> tuple[list[str], dict[str, str], dict[str, str]]:
        """Plan and apply: (who was changed, why others were left, what failed)."""
        result = self.apply(**how)
        left = {failure.host: failure.message for failure in result.left}
        return self.changed, left, {failure.host: failure.message for failure in result.failures}

    def read(self, host: Host) -> None:
        self._happens(self.on_read.get(host.name))
        own = Address("eth0", ip_interface(f"{host.declared.address}/24"))
        host.observation = Observation(Facts(), HostState(addresses=frozenset({own})))
        self.plan_anew(host)

    def plan_anew(self, host: Host) -> None:
        if host.observation is None:
            return
        done = self.done.get(host.name, set())
        waits = {VIP_GOES, SERVER_GOES} if getattr(host, "keeps_leaving", False) else set()
        changes = tuple(c for c in self.plans.get(host.name, (FILE,)) if c not in done | waits)
        host.plan = HostPlan(
            host.name,
            host.role,
            changes,
            self.findings.get(host.name, ()),
            replaced=self.replaced.get(host.name, ()),
        )

    def change(self, host: Host) -> None:
        with self.lock:
            self.changed.append(host.name)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            self._happens(self.on_change.get(host.name))
        finally:
            with self.lock:
                self.at_work -= 1
        assert host.plan is not None
        host.changed = True
        self.made.setdefault(host.name, []).append(host.plan.changes)
        self.done.setdefault(host.name, set()).update(host.plan.changes)
        self.plan_anew(host)

    def _happens(self, event: Exception | Callable[[], object] | None) -> None:
        if isinstance(event, Exception):
            raise event
        if event is not None:
            event()


def story_of(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Story:
    """A story with the hosts of an inventory's text."""
    path = folder / "inventory.yaml"
    path.write_text(text)
    story = Story(load(path).cluster)

    def read(host: Host, _connector: Any) -> None:
        with host._failing():
            story.read(host)

    def change(host: Host) -> None:
        story.change(host)

    def plan_anew(host: Host) -> None:
        story.plan_anew(host)

    monkeypatch.setattr(Host, "read", read)
    monkeypatch.setattr(Host, "_change", change)
    monkeypatch.setattr(Host, "plan_anew", plan_anew)
    return story
