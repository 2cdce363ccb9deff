"""A whole cluster, read, changed in order, and read again.

The order is what keeps clients served. Real servers come before directors, since a director must not send
packets to a machine that would drop them; but after them where a VIP is taken away, and where the default
route is led through a gateway that only the directors will bring up. Among the directors those that hold no
VIP come first. What fails stops what comes after it.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from lvsdeploy.desired import KEEPALIVED_UNIT, nat_in_use
from lvsdeploy.errors import HostError, LvsdeployError
from lvsdeploy.execute.aims import Aim, Options
from lvsdeploy.execute.health import check_time, failing
from lvsdeploy.execute.host import Host, as_failure
from lvsdeploy.execute.interruption import Interruption
from lvsdeploy.execute.stamp import later_than
from lvsdeploy.plan import live
from lvsdeploy.plan.change import Action, Failure, Kind, Plan, Reason, Role
from lvsdeploy.results import Applied, Recovered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.execute.waves import Serial
    from lvsdeploy.inventory.model import Cluster, Director, IPAddress, RealServer
    from lvsdeploy.observe import Observation
    from lvsdeploy.record import Record
    from lvsdeploy.ssh import Connector
    from lvsdeploy.ssh.connection import Held
    from lvsdeploy.state.host import HostState

MOST_AT_ONCE = 100
VRRP_SETTLES = 15.0  # seconds: three advert intervals and the skew, for a slow machine
LEASE_PAUSE = 1.0  # seconds between two tries to get the lease


@dataclass(frozen=True)
class Pace:
    """How many hosts at once, and when to stop."""

    parallel: int = MOST_AT_ONCE
    serial: Serial | None = None  # real servers that are changed together; None: all
    max_failures: int = 0  # real servers that may fail before the next wave


@dataclass
class _Course:
    """What has become of an apply so far."""

    left: list[Failure] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # real servers
    stopped: str = ""  # why no further wave of real servers is begun


class Session:
    """The hosts of a cluster, one connection each, kept from the first reading to the last."""

    def __init__(
        self,
        cluster: Cluster,
        connector: Connector,
        *,
        hosts: Iterable[Director | RealServer],
        aim: Aim | None = None,
        options: Options | None = None,
        pace: Pace | None = None,
        progress: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """`hosts` are those to deal with, real servers first."""
        self.cluster = cluster
        self.options = options or Options()
        self.aim = aim or Aim()
        self.hosts = [Host(cluster, declared, self.aim, self.options) for declared in hosts]
        self._connector = connector
        self._pace = pace or Pace()
        self._parallel = max(1, min(self._pace.parallel, MOST_AT_ONCE, len(self.hosts) or 1))
        self._progress = progress
        self._interruption = Interruption(lambda: [h.name for h in self.hosts if h.under_way])
        self._lease: Held | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            self._lease.release()
        for host in self.hosts:
            host.close()

    def aim_at(self, aim: Aim) -> None:
        """Another aim for hosts that have been read: they are planned anew when they are read again."""
        self.aim = aim
        for host in self.hosts:
            host.aim = aim

    def lock(self, timeout: float = 0.0) -> None:
        """Takes the cluster's lease, for as long as this session lasts.

        LvsdeployError when another has it and does not let go within `timeout` seconds; it says who. The
        lease is on the first director among the hosts that can be asked, or the first real server: the same
        for all who change the whole cluster.
        """
        in_order = sorted(self.hosts, key=lambda host: (host.role is not Role.DIRECTOR, host.name))
        deadline = time.monotonic() + timeout
        told = False
        for host in in_order:
            while True:
                try:
                    self._lease, busy = host.lease(self._connector, self.options.stamp)
                except HostError as error:
                    host.failure = as_failure(error)
                    break
                if self._lease is not None:
                    return
                if time.monotonic() >= deadline:
                    raise LvsdeployError(
                        f"{host.name}: the cluster is being changed by {busy}",
                        hint="Wait until that has ended, or let lvsdeploy wait: --lock-timeout SECONDS. "
                        "Nothing was changed.",
                    )
                if not told:
                    self._progress(f"{host.name}: waiting for {busy}")
                    told = True
                time.sleep(LEASE_PAUSE)

    def observations(self) -> dict[str, Observation]:
        """What was last seen, by host, of those that could be read."""
        return {h.name: h.observation for h in self.hosts if h.observation is not None}

    def records(self) -> dict[str, Record]:
        """What was last recorded, by host, of those that could be read."""
        return {h.name: h.record for h in self.hosts if h.observation is not None}

    def read(self) -> Plan:
        """Reads every host at once and plans."""
        self._at_once(self._read, [h for h in self.hosts if h.failure is None])
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
        self._stamp_last()
        before = {h.name: h.plan for h in self.hosts if h.plan is not None}
        course = _Course()
        real_servers = [h for h in self.hosts if h.role is Role.REAL_SERVER]
        with self._interruption:
            withdrawing = [h for h in real_servers if _withdraws(h) and not self._would_cut_off(h)]
            moving = [h for h in real_servers if _moves(h)]
            _keep_leaving(moving, until_later=True)
            rerouted = [] if self._gateway_is_up() else [h for h in real_servers if _changes_route(h)]
            first = [h for h in real_servers if h not in withdrawing and h not in rerouted]
            self._waves(first, course)
            self._change_directors(self._not_ready(first), course)
            if any(h.changed for h in self._directors_in_order()):
                self._let_vrrp_settle()
            _keep_leaving(moving, until_later=False)
            self._withdraw([h for h in (*withdrawing, *moving) if h not in rerouted], course)
            self._reroute(rerouted, course)
        return Applied(
            changed=tuple(before[h.name] for h in self.hosts if h.changed),
            left=tuple(course.left),
            failures=tuple(h.failure for h in self.hosts if h.failure is not None),
            after=self.plan(),
            what=self.options.stamp.what,
            recovered=tuple(Recovered(h.name, h.recovered) for h in self.hosts if h.recovered),
        )

    def _stamp_last(self) -> None:
        """What is done now comes last in every history."""
        ids = [entry.stamp.id for record in self.records().values() for entry in record.history]
        stamp = later_than(self.options.stamp, ids)
        if stamp is not self.options.stamp:
            self.options = replace(self.options, stamp=stamp)
            for host in self.hosts:
                host.options = self.options
                host.plan_anew()

    def _change_directors(self, not_ready: list[str], course: _Course) -> None:
        """One after the other; one that fails leaves those after it, and their VIPs, as they are."""
        failed: list[str] = []
        for director in self._directors_in_order():
            if _to_change(director) and not_ready:
                why = f"not every real server is ready: {', '.join(not_ready)}"
                course.left.append(_left(director, why, self._without(not_ready)))
            elif _to_change(director) and course.stopped:  # by a health check: some wave was not begun
                course.left.append(_left(director, course.stopped))
            elif _to_change(director) and failed:
                why = f"directors are changed one after the other, and {', '.join(failed)} is not ready"
                course.left.append(_left(director, why, self._without(failed)))
            else:
                self._wave([director], course)
            failed += self._not_ready([director])

    def _withdraw(self, real_servers: Sequence[Host], course: _Course) -> None:
        """VIPs go from real servers only when no director sends them packets any more."""
        directors = self._directors_in_order()
        not_ready = self._not_ready(directors)
        waiting = [h.name for h in directors if _to_change(h) or h.name in not_ready]
        if not waiting:
            self._waves(real_servers, course)
            return
        why = f"it gives up a VIP, and directors may still send packets there: {', '.join(waiting)}"
        course.left += [_left(h, why, self._without(waiting)) for h in real_servers]

    def _would_cut_off(self, host: Host) -> bool:
        """Without directors nobody holds the gateway that this host, and perhaps we, are reached through."""
        return not self.aim.declared and _changes_route(host)

    def _gateway_is_up(self) -> bool:
        """A director holds the inside gateway, or nobody can tell: no director is among the hosts."""
        nat = nat_in_use(self.cluster)
        asked = any(h.role is Role.DIRECTOR and h.observation is not None for h in self.hosts)
        if nat is None or not asked:
            return True
        holders = self._holders()
        return all(holders[gateway.ip] for gateway in nat.gateways)

    def _reroute(self, real_servers: Sequence[Host], course: _Course) -> None:
        """A default route through a gateway that nobody holds yet would cut the host off, and us from it."""
        if self._gateway_is_up() or not self.aim.declared:
            self._waves(real_servers, course)
            return
        why = "its default route would lead to the inside gateway, which no director holds yet"
        course.left += [_left(h, why, "Bring up the directors, then apply again.") for h in real_servers]

    def _without(self, names: Sequence[str]) -> str:
        others = ",".join(h.name for h in self.hosts if h.name not in names)
        return f"Mend {', '.join(names)} and apply again, or go on without: --limit {others}"

    def _waves(self, real_servers: Sequence[Host], course: _Course) -> None:
        """Real servers, as many at a time as was asked for; a wave that fails stops the rest."""
        serial = self._pace.serial
        to_change = [h for h in real_servers if _to_change(h)]
        waves = list(serial.waves(to_change)) if serial is not None else [to_change]
        were_failing = failing(self.plan())
        directors_wait = any(_to_change(h) for h in self._readable_directors())
        for number, wave in enumerate(waves, 1):
            if course.stopped:
                course.left += [_left(h, course.stopped) for h in wave]
                continue
            if len(waves) > 1:
                self._progress(f"wave {number} of {len(waves)}: {', '.join(h.name for h in wave)}")
            self._wave(wave, course)
            course.failed += self._not_ready(wave)
            if len(waves) == 1:
                return
            if len(course.failed) > self._pace.max_failures:
                course.stopped = f"the waves before it failed on {', '.join(course.failed)}"
            elif (number < len(waves) or directors_wait) and (ill := self._ill_after(wave, were_failing)):
                course.stopped = (
                    f"after a wave of real servers a health check fails: {'; '.join(sorted(ill))}"
                )

    def _ill_after(self, wave: Sequence[Host], before: frozenset[str]) -> frozenset[str]:
        """Health checks that fail on a director since this wave was changed, and do not recover.

        They are given the time that a check takes to notice.
        """
        directors = [h for h in self._readable_directors() if h.observation is not None]
        changed = [h.name for h in wave if h.changed]
        if not directors or not changed:
            return frozenset()
        pause = check_time(self.cluster, changed)
        self._progress(f"looking at the health checks of {', '.join(changed)} for {pause:.0f} s")
        ill: frozenset[str] = frozenset()
        for _look in range(2):  # the second one for those that fail at first: a server may be slow to come
            self._pause(pause)
            self._read_again(directors)
            ill = failing(self.plan()) - before
            if not ill or self._interruption.asked:
                break
        return ill

    def _wave(self, hosts: Sequence[Host], course: _Course) -> None:
        refused = self.plan().refused
        to_change = [h for h in hosts if _to_change(h)]
        course.left += [_left(h, "its findings refuse the change") for h in to_change if h.name in refused]
        ready = [h for h in to_change if h.name not in refused]
        self._at_once(self._change, ready)
        missed = [h for h in ready if not h.changed and h.failure is None and not h.recovered]
        course.left += [_left(h, "interrupted before its turn") for h in missed]

    def _read(self, host: Host) -> None:
        began = time.monotonic()
        host.read(self._connector)
        end = "not read" if host.failure else f"read in {time.monotonic() - began:.1f} s"
        self._progress(f"{host.name}: {end}")

    def _read_again(self, hosts: Iterable[Host]) -> None:
        self._at_once(lambda host: host.read(self._connector), hosts)

    def _change(self, host: Host) -> None:
        if self._interruption.asked:
            return
        self._progress(f"{host.name}: changing")
        if host.plan is not None and host.plan.replaced and self.aim.declared:
            self._add_first(host)
        if host.failure is None:
            host.change()
        if self.options.confirm and host.failure is None:
            if host.role is Role.DIRECTOR:
                self._let_vrrp_settle()
            if host.role is Role.DIRECTOR and self._unsettled():
                host.put_back("after the change not each VIP is on one director")
            else:
                host.confirm(self._connector)
        if host.recovered:
            self._progress(f"{host.name}: put back what {host.recovered} had left undone")
        self._progress(f"{host.name}: {'failed' if host.failure else 'done'}")

    def _add_first(self, director: Host) -> None:
        """Where no destination of a service would stay: the new ones come beside the old ones first.

        A new one gets clients after its first health check. If none passes, the old ones stay.
        """
        self._progress(f"{director.name}: new real servers beside the old ones")
        _keep_leaving([director], until_later=True)
        director.change()
        _keep_leaving([director], until_later=False)
        if director.failure is None and director.plan is not None and director.plan.replaced:
            names = ", ".join(director.plan.replaced)
            director.failure = Failure(
                director.name,
                f"no new real server of {names} passes its health check; the old ones stay beside them",
                hint="See `lvsdeploy status`, and apply again when they serve.",
            )

    def _readable_directors(self) -> list[Host]:
        return [h for h in self.hosts if h.role is Role.DIRECTOR and h.failure is None]

    def _directors_in_order(self) -> list[Host]:
        """BACKUP directors first; of several MASTERs, those that hold fewer VIPs."""
        held = Counter(name for names in self._holders().values() for name in names)
        directors = [h for h in self.hosts if h.role is Role.DIRECTOR]
        return sorted(directors, key=lambda host: held[host.name])

    def _let_vrrp_settle(self) -> None:
        """Reads the directors again until each VIP has one holder.

        A keepalived that has just started is BACKUP until three advert intervals have passed in silence.
        """
        directors = [h for h in self._readable_directors() if h.observation is not None]
        if self._unsettled():
            self._progress("waiting until each VIP is on one director")
        deadline = time.monotonic() + VRRP_SETTLES + 4 * self.cluster.vrrp.advert_interval
        while self._unsettled() and time.monotonic() < deadline and not self._interruption.asked:
            time.sleep(0.5)
            self._read_again(directors)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._interruption.asked:
            time.sleep(min(0.2, seconds))

    def _unsettled(self) -> bool:
        """Some VIP that the directors should balance is on none of them, or on two."""
        wanted = {
            service.key.address
            for host in self._readable_directors()
            if host.plan is not None
            for service in host.plan.table
        }
        whole = self._whole()
        return any(
            len(names) > 1 or (whole and not names)
            for address, names in self._holders().items()
            if str(address) in wanted or (self.aim.declared and wanted)
        )

    def _about_the_cluster(self) -> tuple[Finding, ...]:
        if not self.aim.declared:
            return ()
        around = {name: seen.surroundings for name, seen in self.observations().items()}
        return live.about_the_cluster(
            self.cluster, self._states(), self.records(), around, whole=self._whole()
        )

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
    unfinished = host.observation is not None and bool(host.observation.unfinished)
    return host.failure is None and host.plan is not None and (bool(host.plan.changes) or unfinished)


def _changes_route(host: Host) -> bool:
    changes = host.plan.changes if _to_change(host) and host.plan is not None else ()
    return any(change.kind is Kind.ROUTE for change in changes)


def _withdraws(host: Host) -> bool:
    """A VIP that was declared, or the way back of NAT's replies, goes from this host, and no VIP comes."""
    comes, goes = _comes_and_goes(host)
    return goes and not comes


def _moves(host: Host) -> bool:
    """One of them goes from this host, and a VIP comes."""
    comes, goes = _comes_and_goes(host)
    return goes and comes


def _comes_and_goes(host: Host) -> tuple[bool, bool]:
    """Does a VIP come, and does something go that directors still count on.

    Of a VIP that was there before lvsdeploy only what hides it from ARP goes.
    """
    changes = host.plan.changes if host.plan is not None else ()
    comes = any(c.kind is Kind.ADDRESS and c.action is Action.CREATE for c in changes)
    relied_on = (Kind.ADDRESS, Kind.ROUTE, Kind.SYSCTL)
    goes = any(c.kind in relied_on and c.reason is Reason.LEFT_OVER for c in changes)
    return comes, goes


def _keep_leaving(hosts: Iterable[Host], *, until_later: bool) -> None:
    """VIPs that go stay until the directors have followed."""
    for host in hosts:
        host.keeps_leaving = until_later
        host.plan_anew()


def _left(host: Host, why: str, hint: str = "") -> Failure:
    return Failure(host.name, f"not changed: {why}", hint=hint)
