"""A whole cluster, read, changed in order, and read again.

The order is what keeps clients served. Real servers come before directors, since a director must not send
packets to a machine that would drop them; but after them where a VIP is taken away, and where the default
route is led through a gateway that only the directors will bring up. Among the directors those that hold no
VIP come first. What fails stops what comes after it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from lvsdeploy.desired import KEEPALIVED_UNIT, nat_in_use
from lvsdeploy.execute.host import Host
from lvsdeploy.execute.interruption import Interruption
from lvsdeploy.plan import codes, live
from lvsdeploy.plan.change import Action, Failure, Kind, Plan, Reason, Role
from lvsdeploy.results import Applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster, IPAddress
    from lvsdeploy.observe import Observation
    from lvsdeploy.ssh import Connector
    from lvsdeploy.state.host import HostState

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
        self._interruption = Interruption(lambda: [h.name for h in self.hosts if h.under_way])

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
        self._at_once(self._read, self.hosts)
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
        """Carries out the plan in order and reads again; what failed stops what depends on it.

        The first Ctrl-C or SIGTERM lets what is under way on hosts come to its end, and leaves the rest.
        """
        before = {h.name: h.plan for h in self.hosts if h.plan is not None}
        left: list[Failure] = []
        real_servers = [h for h in self.hosts if h.role is Role.REAL_SERVER]
        with self._interruption:
            withdrawing = [h for h in real_servers if _withdraws(h)]
            rerouted = [] if self._gateway_is_up() else [h for h in real_servers if _changes_route(h)]
            first = [h for h in real_servers if h not in withdrawing and h not in rerouted]
            self._wave(first, left)
            not_ready = self._not_ready(first)
            self._change_directors(not_ready, left)
            if any(h.changed for h in self._directors_in_order()):
                self._let_vrrp_settle()
            self._withdraw([h for h in withdrawing if h not in rerouted], left)
            self._reroute(rerouted, left)
        return Applied(
            changed=tuple(before[h.name] for h in self.hosts if h.changed),
            left=tuple(left),
            failures=tuple(h.failure for h in self.hosts if h.failure is not None),
            after=self.plan(),
        )

    def _change_directors(self, not_ready: list[str], left: list[Failure]) -> None:
        """One after the other; one that fails leaves those after it, and their VIPs, as they are."""
        failed: list[str] = []
        for director in self._directors_in_order():
            if _to_change(director) and not_ready:
                why = f"not every real server is ready: {', '.join(not_ready)}"
                left.append(_left(director, why, self._without(not_ready)))
            elif _to_change(director) and failed:
                why = f"directors are changed one after the other, and {', '.join(failed)} is not ready"
                left.append(_left(director, why, self._without(failed)))
            else:
                self._wave([director], left)
            failed += self._not_ready([director])

    def _withdraw(self, real_servers: Sequence[Host], left: list[Failure]) -> None:
        """VIPs go from real servers only when no director sends them packets any more."""
        directors = self._directors_in_order()
        not_ready = self._not_ready(directors)
        waiting = [h.name for h in directors if _to_change(h) or h.name in not_ready]
        if not waiting:
            self._wave(real_servers, left)
            return
        why = f"it gives up a VIP, and directors may still send packets there: {', '.join(waiting)}"
        left += [_left(h, why, self._without(waiting)) for h in real_servers]

    def _gateway_is_up(self) -> bool:
        """A director holds the inside gateway, or nobody can tell: no director is among the hosts."""
        nat = nat_in_use(self.cluster)
        asked = any(h.role is Role.DIRECTOR and h.observation is not None for h in self.hosts)
        return nat is None or not asked or bool(self._holders()[nat.gateway.ip])

    def _reroute(self, real_servers: Sequence[Host], left: list[Failure]) -> None:
        """A default route through a gateway that nobody holds yet would cut the host off, and us from it."""
        if self._gateway_is_up():
            self._wave(real_servers, left)
            return
        why = "its default route would lead to the inside gateway, which no director holds yet"
        left += [_left(h, why, "Bring up the directors, then apply again.") for h in real_servers]

    def _without(self, names: Sequence[str]) -> str:
        others = ",".join(h.name for h in self.hosts if h.name not in names)
        return f"Mend {', '.join(names)} and apply again, or go on without: --limit {others}"

    def _wave(self, hosts: Sequence[Host], left: list[Failure]) -> None:
        refused = self.plan().refused
        to_change = [h for h in hosts if _to_change(h)]
        left += [_left(h, "its findings refuse the change") for h in to_change if h.name in refused]
        ready = [h for h in to_change if h.name not in refused]
        self._at_once(self._change, ready)
        missed = [h for h in ready if not h.changed and h.failure is None]
        left += [_left(h, "interrupted before its turn") for h in missed]

    def _read(self, host: Host) -> None:
        began = time.monotonic()
        host.read(self._connector)
        end = "not read" if host.failure else f"read in {time.monotonic() - began:.1f} s"
        self._progress(f"{host.name}: {end}")

    def _change(self, host: Host) -> None:
        if self._interruption.asked:
            return
        self._progress(f"{host.name}: applying")
        host.change()
        self._progress(f"{host.name}: {'failed' if host.failure else 'done'}")

    def _directors_in_order(self) -> list[Host]:
        """BACKUP directors first."""
        holders = {name for names in self._holders().values() for name in names}
        directors = [h for h in self.hosts if h.role is Role.DIRECTOR]
        return sorted(directors, key=lambda host: host.name in holders)

    def _let_vrrp_settle(self) -> None:
        """Reads the directors again until each VIP has one holder.

        A keepalived that has just started is BACKUP until three advert intervals have passed in silence.
        """
        directors = [
            h
            for h in self.hosts
            if h.role is Role.DIRECTOR and h.observation is not None and h.failure is None
        ]
        if self._unsettled():
            self._progress("waiting until each VIP is on one director")
        deadline = time.monotonic() + VRRP_SETTLES + 4 * self.cluster.vrrp.advert_interval
        while self._unsettled() and time.monotonic() < deadline and not self._interruption.asked:
            time.sleep(0.5)
            self._at_once(lambda host: host.read(self._connector), directors)

    def _unsettled(self) -> bool:
        """Some VIP is on no director, or on two."""
        vrrp = {codes.NO_HOLDER.code, codes.TWO_HOLDERS.code}
        return any(finding.code in vrrp for finding in self._about_the_cluster())

    def _about_the_cluster(self) -> tuple[Finding, ...]:
        return live.about_the_cluster(self.cluster, self._states(), whole=self._whole())

    def _states(self) -> dict[str, HostState]:
        return {name: seen.state for name, seen in self.observations().items()}

    def _holders(self) -> dict[IPAddress, tuple[str, ...]]:
        return live.holders_of(self.cluster, self._states())

    def _not_ready(self, hosts: Iterable[Host]) -> list[str]:
        refused = self.plan().refused
        return [h.name for h in hosts if h.failure is not None or h.name in refused]

    def _whole(self) -> bool:
        """All directors were read, and keepalived runs on each."""
        directors = {h.name: h for h in self.hosts if h.role is Role.DIRECTOR}
        return len(directors) == len(self.cluster.directors) and all(
            host.observation is not None and host.observation.state.runs(KEEPALIVED_UNIT)
            for host in directors.values()
        )

    def _at_once(self, action: Callable[[Host], None], hosts: Iterable[Host]) -> None:
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="host")
        try:
            list(pool.map(action, hosts))
        finally:
            # Not waited for: after Ctrl-C, hosts that are slow to be read are of no interest.
            pool.shutdown(wait=False, cancel_futures=True)


def _to_change(host: Host) -> bool:
    return host.failure is None and host.plan is not None and bool(host.plan.changes)


def _changes_route(host: Host) -> bool:
    changes = host.plan.changes if _to_change(host) and host.plan is not None else ()
    return any(change.kind is Kind.ROUTE for change in changes)


def _withdraws(host: Host) -> bool:
    """A VIP that was declared goes from this host, and none comes."""
    changes = host.plan.changes if host.plan is not None else ()
    addresses = [change for change in changes if change.kind is Kind.ADDRESS]
    comes = any(change.action is Action.CREATE for change in addresses)
    return not comes and any(change.reason is Reason.LEFT_OVER for change in addresses)


def _left(host: Host, why: str, hint: str = "") -> Failure:
    return Failure(host.name, f"not changed: {why}", hint=hint)
