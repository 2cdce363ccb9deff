"""What a command wants of a host: what has to be read there, and the plan that follows from it. Pure.

`apply`, `check`, `drain` want what is declared, `destroy` nothing at all, `rollback` what an earlier apply
left. All of them go through the same plan and the same transaction.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.desired import (
    KEEPALIVED_CONF,
    KEEPALIVED_UNIT,
    desired_goal,
    expected_table,
    has_rules,
    kernel_modules,
    probe_paths,
    unit_names,
    with_leaving,
)
from lvsdeploy.desired.director import PROGRAMS
from lvsdeploy.desired.firewall import LOADERS
from lvsdeploy.desired.scripts import scripts_of
from lvsdeploy.desired.table_at_boot import PATHS as TABLE_PATHS
from lvsdeploy.desired.table_at_boot import UNITS as TABLE_UNITS
from lvsdeploy.inventory.model import IPV6, Director, Engine, ForwardingMethod, Scheduler
from lvsdeploy.observe import Request
from lvsdeploy.plan import bookkeeping, codes
from lvsdeploy.plan.change import HostPlan, Role
from lvsdeploy.plan.context import NOBODY, Context
from lvsdeploy.plan.host import plan_host
from lvsdeploy.plan.unmanaged import unmanaged
from lvsdeploy.record import (
    KEPT,
    Goal,
    Record,
    Stamp,
    cluster_of,
    folders_of,
    history_path,
    load_goal,
    manifest_path,
    read_record,
)
from lvsdeploy.state.file import FileKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from lvsdeploy.inventory.model import Cluster, IPAddress, RealServer
    from lvsdeploy.observe import Observation
    from lvsdeploy.record import Drained


MOST_NEIGHBOURS = 64
"""So many VIPs are asked about, and so many real servers that are not managed, each time a host is read."""

MOST_WAYS = 1024
"""And so many real servers in mode tun."""


@dataclass(frozen=True)
class Options:
    """What the operator asked for and allowed."""

    adopt: bool = False  # files that somebody else wrote may be taken over
    counters: bool = False  # read how many connections each destination has
    drain: int = 0  # seconds that connections of a destination get before it goes
    confirm: int = 0  # seconds within which a change is confirmed, or put back by the host itself; 0: never
    stamp: Stamp = NOBODY


def role_of(declared: Director | RealServer) -> Role:
    """What a host is declared to be."""
    return Role.DIRECTOR if isinstance(declared, Director) else Role.REAL_SERVER


@dataclass(frozen=True)
class Scene:
    """A host as it was read."""

    cluster: Cluster
    declared: Director | RealServer
    observation: Observation
    options: Options = Options()
    keeps_leaving: bool = False  # addresses and destinations that go stay for now

    @property
    def host(self) -> str:
        return self.declared.name

    @property
    def role(self) -> Role:
        return role_of(self.declared)

    @property
    def record(self) -> Record:
        return read_record(self.observation.state.files.get(manifest_path(self.cluster.name)))

    @property
    def _rips(self) -> tuple[IPAddress, ...]:
        """Those of the host, if it is a real server."""
        host = self.cluster.serving(self.host) if isinstance(self.declared, Director) else self.declared
        return host.rips if host is not None else ()

    def context(self, goal: Goal, record: Record | None = None) -> Context:
        """What the comparison with `goal` needs."""
        files = self.observation.state.files
        others = [
            read_record(file)
            for path, file in files.items()
            if cluster_of(path) not in ("", self.cluster.name)
        ]
        return Context(
            host=self.host,
            cluster=self.cluster.name,
            goal=goal,
            actual=self.observation.state,
            facts=self.observation.facts,
            record=record if record is not None else self.record,
            others=tuple(other for other in others if other.known),
            checkers=self.observation.checkers,
            unread=self.observation.unread,
            tentative=self.observation.tentative,
            duplicate=self.observation.duplicate,
            busy=self.observation.busy,
            unfinished=self.observation.unfinished,
            adopt=self.options.adopt,
            keeps_leaving=self.keeps_leaving,
            drain=self.options.drain,
            stamp=self.options.stamp,
            own=_own_addresses(self.declared),
            rips=self._rips,
        )


def _own_addresses(declared: Director | RealServer) -> frozenset[IPAddress]:
    """The addresses by which a host is known, and perhaps reached."""
    if isinstance(declared, Director):
        found = [declared.dip, *([declared.dip6] if declared.dip6 is not None else [])]
    else:
        found = [*declared.rips]
    with suppress(ValueError):  # a name
        found.append(ip_address(declared.address))
    return frozenset(found)


class Aim:
    """What a command wants: here, what the inventory declares."""

    declared = True
    """Whether the hosts should be as declared afterwards, so that the cluster can be judged as a whole."""

    def __init__(
        self, drains: Callable[[tuple[Drained, ...]], tuple[Drained, ...]] = lambda drained: drained
    ) -> None:
        """`drains` makes the new drains of a director of those that it remembers."""
        self._drains = drains

    def request(self, cluster: Cluster, declared: Director | RealServer, options: Options) -> Request:
        """What to read."""
        is_director = isinstance(declared, Director)
        name = declared.name
        server = cluster.serving(name) if isinstance(declared, Director) else declared
        serves = server is not None and bool(cluster.parts_of(server))
        ruled = has_rules(cluster, name)
        return Request(
            files={p: tuple(known.values()) for p, known in probe_paths(cluster, name).items()},
            units=unit_names(cluster, name),
            programs=tuple(sorted({*(PROGRAMS if is_director else ("ip",)), *(LOADERS if ruled else ())})),
            modules=kernel_modules(cluster, name),
            table=frozenset(expected_table(cluster).values()) if is_director else None,
            counters=is_director and options.counters,
            daemons=is_director,
            timeouts=is_director and bool(cluster.ipvs.timeouts.given()),
            listeners=serves,
            firewall=is_director or (serves and _by_tunnel(cluster)),
            offloads=(declared.interface,) if isinstance(declared, Director) else (),
            neighbours=(*_vips(cluster), *(_unmanaged(cluster) if is_director else ())),
            ways=_far_servers(cluster) if is_director else (),
            policy=serves and not is_director and any(vip.ip.version == IPV6 for vip in cluster.vips),
            record=manifest_path(cluster.name),
            scripts=_scripts(cluster) if is_director else (),
            rules_of=cluster.name,
            ruled=ruled,
        )

    def further(self, cluster: Cluster, record: Record) -> tuple[str, ...]:  # noqa: ARG002 — others use them
        """Files that are to be read when the record is known."""
        return ()

    def plan(self, scene: Scene) -> HostPlan:
        """What has to change."""
        record, seen = scene.record, scene.observation
        cluster = scene.cluster
        if scene.keeps_leaving and scene.role is Role.DIRECTOR:
            cluster = with_leaving(cluster, seen.state.virtual_services or {})
        goal = desired_goal(cluster, scene.host, seen.facts, seen.state, drained=self._drains(record.drained))
        return plan_host(scene.context(goal, record), scene.role)


def _scripts(cluster: Cluster) -> tuple[tuple[str, str], ...]:
    """The programs that a director's keepalived is to run, with their users."""
    if cluster.engine is not Engine.KEEPALIVED:
        return ()
    return tuple(sorted({(script.path, script.user) for script in scripts_of(cluster)}))


def _vips(cluster: Cluster) -> tuple[IPAddress, ...]:
    return tuple(vip.ip for vip in cluster.vips)[:MOST_NEIGHBOURS]


def _unmanaged(cluster: Cluster) -> tuple[IPAddress, ...]:
    """The RIPs of machines that are looked at from outside alone."""
    return tuple(rip for server in unmanaged(cluster) for rip in server.rips)[:MOST_NEIGHBOURS]


def _far_servers(cluster: Cluster) -> tuple[IPAddress, ...]:
    """The RIPs that get wrapped packets: those may be too large for the way there."""
    rips = dict.fromkeys(part.address for part in cluster.parts if part.mode is ForwardingMethod.TUN)
    return tuple(rips)[:MOST_WAYS]


def _by_tunnel(cluster: Cluster) -> bool:
    return cluster.uses(ForwardingMethod.TUN)


class Remove(Aim):
    """Nothing of lvsdeploy's: what was there before."""

    declared = False

    def request(self, cluster: Cluster, declared: Director | RealServer, options: Options) -> Request:  # noqa: ARG002
        # The record names the rest.
        manifest = manifest_path(cluster.name)
        request = Request(files={manifest: ()}, programs=("ip",), record=manifest, rules_of=cluster.name)
        if isinstance(declared, Director):  # the table may be ours, and no daemon's that takes it along
            return replace(request, programs=("ip", "ipvsadm"), table=frozenset())
        return request

    def plan(self, scene: Scene) -> HostPlan:
        return plan_host(replace(scene.context(Goal()), forgets=True), scene.role)


class Restore(Aim):
    """What the hosts were after the apply `to`, or before the apply `before`."""

    declared = False

    def __init__(self, *, to: str = "", before: str = "") -> None:
        super().__init__()
        self._to, self._before = to, before
        self._found: dict[str, Goal] = {}  # by host: to go back is one more apply, and may drop the oldest

    def _entry(self, record: Record) -> str:
        """The apply on this host to go back to; "" for before the first."""
        ids = [entry.stamp.id for entry in record.history]
        kept = [i for i in ids if (i < self._before if self._before else i <= self._to)]
        return max(kept, default="")

    def request(self, cluster: Cluster, declared: Director | RealServer, options: Options) -> Request:
        """All that any role may need: the host may have been a director then, with other schedulers."""
        request = super().request(cluster, declared, options)
        paths = (KEEPALIVED_CONF, *TABLE_PATHS)
        configuration = dict.fromkeys((*paths, *sorted(folders_of(paths))), ())
        return replace(
            request,
            files={**configuration, **request.files},
            units=tuple(sorted({*request.units, KEEPALIVED_UNIT, *TABLE_UNITS})),
            programs=tuple(sorted({*PROGRAMS, *LOADERS})),
            ruled=True,
            modules=("ip_vs", "ip_vs_pe_sip", "macvlan", *(f"ip_vs_{name}" for name in sorted(Scheduler))),
            table=request.table or frozenset(),
            daemons=True,
            timeouts=True,
        )

    def further(self, cluster: Cluster, record: Record) -> tuple[str, ...]:
        entry = self._entry(record)
        return (history_path(cluster.name, entry),) if entry else ()

    def plan(self, scene: Scene) -> HostPlan:
        if scene.host not in self._found:
            try:
                self._found[scene.host] = self._goal(scene)
            except ValueError as why:
                finding = codes.NO_WAY_BACK.finding(str(why), host=scene.host)
                return HostPlan(scene.host, scene.role, (), (finding,))
        return plan_host(scene.context(self._found[scene.host]), scene.role)

    def _goal(self, scene: Scene) -> Goal:
        """What the host was then; ValueError, with a reason, when that is not known any more."""
        record = scene.record
        entry = self._entry(record)
        if not entry:
            if len(record.history) < KEPT:
                return Goal()
            raise ValueError("what it was then is no longer kept: only the last ten applies are")
        path = history_path(scene.cluster.name, entry)
        file = scene.observation.state.files.get(path)
        if file is None or file.kind is not FileKind.REGULAR or path in scene.observation.unread:
            raise ValueError(f"{path} is not there, or cannot be read")
        try:
            goal = load_goal(file.content)
        except ValueError as error:
            raise ValueError(f"{path} cannot be used: {error}") from error
        if cleaned := _cleaned_since(goal, scene.cluster, record):
            raise ValueError(f"it would send clients to {', '.join(cleaned)}, cleaned since by `destroy`")
        return goal


def _cleaned_since(goal: Goal, cluster: Cluster, record: Record) -> list[str]:
    """Real servers that get clients in `goal`, and that nobody looks after any more.

    One that only left the inventory is still what it was: the directors remember it.
    """
    known = {host.address for host in cluster.hosts()} | {*record.hosts.values(), *record.former.values()}
    served = {d.address for s in (goal.state.virtual_services or {}).values() for d in s.destinations}
    return sorted(f"{n} ({a})" for n, a in goal.hosts.items() if a in served and a not in known)


class Forget(Remove):
    """Directors stop naming hosts that have been cleaned."""

    def __init__(self, addresses: frozenset[str]) -> None:
        super().__init__()
        self._addresses = addresses

    def plan(self, scene: Scene) -> HostPlan:
        return bookkeeping.forget_hosts(scene.context(Goal()), self._addresses)
