"""A whole cluster, read, changed in order, and read again.

The order is what keeps clients served: real servers before directors, since a director must not send packets
to a machine that would drop them; among the directors first those that hold no VIP, then the one that does.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from lvsdeploy.execute.host import Host
from lvsdeploy.plan import live
from lvsdeploy.plan.change import Failure, Plan, Role
from lvsdeploy.results import Applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.observe import Observation
    from lvsdeploy.ssh import Connector

MOST_AT_ONCE = 100
VRRP_SETTLES = 15.0  # seconds: three advert intervals and the skew, for a slow machine


class Session:
    """The hosts of a cluster, one connection each, kept from the first reading to the last."""

    def __init__(
        self,
        cluster: Cluster,
        connector: Connector,
        *,
        hosts: frozenset[str],
        parallel: int = MOST_AT_ONCE,
        adopt: bool = False,
        counters: bool = False,
        progress: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.cluster = cluster
        self.hosts = [
            Host(cluster, h, adopt=adopt, counters=counters) for h in cluster.hosts() if h.name in hosts
        ]
        self._connector = connector
        self._parallel = max(1, min(parallel, MOST_AT_ONCE, len(self.hosts) or 1))
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self.hosts:
            host.close()

    def observations(self) -> dict[str, Observation]:
        """What was last seen, by host, of those that could be read."""
        return {h.name: h.observation for h in self.hosts if h.observation is not None}

    def read(self) -> Plan:
        """Reads every host at once and plans."""
        self._at_once(lambda host: host.read(self._connector), self.hosts)
        return self.plan()

    def plan(self) -> Plan:
        """The plan from what was last seen."""
        return Plan(
            cluster=self.cluster.name,
            hosts=tuple(h.plan for h in self.hosts if h.plan is not None),
            failures=tuple(h.failure for h in self.hosts if h.failure is not None),
            findings=self._about_the_cluster(),
        )

    def apply(self) -> Applied:
        """Carries out the plan in order and reads again; what failed stops what depends on it."""
        before = {h.name: h.plan for h in self.hosts if h.plan is not None}
        left: list[Failure] = []
        real_servers = [h for h in self.hosts if h.role is Role.REAL_SERVER]
        self._wave(real_servers, left)
        not_ready = [h.name for h in real_servers if h.failure is not None or self._refused(h)]
        for director in self._directors_in_order():
            if not_ready and _to_change(director):
                left.append(_left(director, f"not every real server is ready: {', '.join(not_ready)}"))
            else:
                self._wave([director], left)
        if any(h.changed for h in self._directors_in_order()):
            self._let_vrrp_settle()
        return Applied(
            changed=tuple(before[h.name] for h in self.hosts if h.changed),
            left=tuple(left),
            failures=tuple(h.failure for h in self.hosts if h.failure is not None),
            after=self.plan(),
        )

    def _wave(self, hosts: Sequence[Host], left: list[Failure]) -> None:
        left += [
            _left(host, "its findings refuse the change")
            for host in hosts
            if _to_change(host) and self._refused(host)
        ]
        ready = [h for h in hosts if _to_change(h) and not self._refused(h)]
        for host in ready:
            self._progress(f"{host.name}: applying")
        self._at_once(Host.change, ready)
        for host in ready:
            self._progress(f"{host.name}: {'failed' if host.failure else 'done'}")

    def _directors_in_order(self) -> list[Host]:
        """BACKUP directors first."""
        states = {name: seen.state for name, seen in self.observations().items()}
        holders = {n for names in live.holders_of(self.cluster, states).values() for n in names}
        directors = [h for h in self.hosts if h.role is Role.DIRECTOR]
        return sorted(directors, key=lambda host: host.name in holders)

    def _let_vrrp_settle(self) -> None:
        """Reads the directors again until each VIP has one holder.

        A keepalived that has just started is BACKUP until three advert intervals have passed in silence.
        """
        directors = [h for h in self.hosts if h.role is Role.DIRECTOR and h.observation is not None]
        deadline = time.monotonic() + VRRP_SETTLES + 4 * self.cluster.vrrp.advert_interval
        while self._about_the_cluster() and time.monotonic() < deadline:
            time.sleep(0.5)
            self._at_once(lambda host: host.read(self._connector), directors)

    def _about_the_cluster(self) -> tuple[Finding, ...]:
        seen = self.observations()
        states = {name: observation.state for name, observation in seen.items()}
        return live.about_the_cluster(self.cluster, states, whole=self._whole())

    def _refused(self, host: Host) -> bool:
        own = host.plan.findings if host.plan is not None else ()
        return any(f.is_error and f.host == host.name for f in (*own, *self._about_the_cluster()))

    def _whole(self) -> bool:
        """All directors were read, and keepalived runs on each."""
        directors = {h.name: h for h in self.hosts if h.role is Role.DIRECTOR}
        return len(directors) == len(self.cluster.directors) and all(
            host.observation is not None
            and (unit := host.observation.state.units.get("keepalived")) is not None
            and unit.active
            for host in directors.values()
        )

    def _at_once(self, action: Callable[[Host], None], hosts: Iterable[Host]) -> None:
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="host") as pool:
            list(pool.map(action, hosts))


def _to_change(host: Host) -> bool:
    return host.failure is None and host.plan is not None and bool(host.plan.changes)


def _left(host: Host, why: str) -> Failure:
    return Failure(host.name, f"not changed: {why}")
