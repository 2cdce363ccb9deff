"""The record on the host, kept up with what the other changes do.

It is written in the same transaction as the rest. It is told as a change of its own only where nothing else
changes: then somebody has edited or lost it, or the inventory names other hosts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT
from lvsdeploy.desired.table_at_boot import UNITS as TABLE_UNITS
from lvsdeploy.inventory.model import IPV4, IPV6
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, HostPlan, Kind, Phase, Reason, Role, Step
from lvsdeploy.plan.files import differences
from lvsdeploy.record import (
    KEPT,
    Entry,
    Record,
    RecordedFile,
    RecordedRoute,
    RecordedSysctl,
    RecordedTimeout,
    RecordedUnit,
    cluster_of,
    dump_goal,
    folders_of,
    history_path,
    manifest_of,
    manifest_path,
    read_record,
)
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import TIMEOUTS
from lvsdeploy.state.sysctl import IPVS, of_ipvs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.network import Address
    from lvsdeploy.state.sysctl import Value
    from lvsdeploy.state.tunnel import GuePort

PRIVATE = 0o600
_LINES = 20  # of changes that an entry of the history holds


@dataclass(frozen=True)
class WrittenDown:
    """The steps that write the record, and it as a change of its own where nothing else changes."""

    steps: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()


def plan(context: Context, changes: Sequence[Change]) -> WrittenDown:
    """What to write down when `changes` are made."""
    path = manifest_path(context.cluster)
    there = context.actual.files.get(path)
    if path in context.unread or (there is not None and there.kind is not FileKind.REGULAR):
        return WrittenDown()
    if context.record.problem and not context.adopt:
        return WrittenDown()
    wanted = next_record(context, changes)
    if wanted.empty and not _keeps_history(context):
        if there is None:
            return WrittenDown()
        steps, action = tuple(_forget(context)), Action.DELETE
    elif wanted == context.record and not changes and not _spoiled(context, wanted):
        return WrittenDown()
    else:
        steps, action = tuple(_write(context, wanted, changes)), Action.UPDATE if there else Action.CREATE
    if changes:
        return WrittenDown(steps)
    detail = "; ".join(_news(context, wanted)) if action is Action.UPDATE else ""
    change = Change(Kind.RECORD, path, action, _reason(context, wanted), detail, steps=steps)
    return WrittenDown((), (change,))


def findings(context: Context) -> Iterator[Finding]:
    """A record that cannot be used, and what happens to the host at this moment."""
    path = manifest_path(context.cluster)
    there = context.actual.files.get(path)
    if there is not None and there.kind is not FileKind.REGULAR:
        yield codes.NOT_A_FILE.finding(
            f"{path} is a {there.kind.value}, not a regular file",
            host=context.host,
            fix=f"Move it away (mv {path} {path}.old) and apply again.",
        )
    if context.record.problem and not context.adopt:
        yield codes.NO_RECORD.finding(f"{path} cannot be used: {context.record.problem}", host=context.host)
    if not context.adopt:
        yield from _neighbours(context)
    if context.busy:
        yield codes.BUSY.finding(f"being changed by {context.busy}", host=context.host)
    elif context.unfinished:
        broken = codes.UNFINISHED.finding(f"an apply broke off here: {context.unfinished}", host=context.host)
        yield replace(broken, drift=True)


def next_record(context: Context, changes: Sequence[Change] = ()) -> Record:
    """What the record says when the host has become what it is to become by `changes`."""
    record, desired = context.record, context.desired
    wanted = Record(
        path=manifest_path(context.cluster),
        cluster=context.cluster,
        files={
            path: RecordedFile(file.digest, _before(context, path)) for path, file in desired.files.items()
        },
        sysctls={
            **(record.sysctls if context.staying else {}),
            **{key: RecordedSysctl(n, _sysctl_before(context, key)) for key, n in desired.sysctls.items()},
        },
        timeouts={
            name: RecordedTimeout(seconds, _timeout_before(context, name))
            for name, seconds in desired.timeouts.items()
        },
        addresses={a: _was_there(context, a) for a in desired.addresses | context.staying},
        tunnels={
            **(record.tunnels if context.keeps_leaving else {}),
            **{name: _was_up(context, name) for name in desired.tunnels},
        },
        gue_ports={
            **(record.gue_ports if context.keeps_leaving else {}),
            **{port: _had_port(context, port) for port in desired.gue_ports},
        },
        routes=tuple(_routes(context)),
        units={name: record.units.get(name, _unit_before(context, name)) for name in desired.units},
        packages=tuple(sorted({*record.packages, *(c.name for c in changes if c.kind is Kind.PACKAGE)})),
        services=tuple(sorted(desired.virtual_services or ())) if context.by_hand else (),
        hosts=context.goal.hosts,
        former=_former(context),
        drained=context.goal.drained,
    )
    if wanted.empty and not _keeps_history(context):
        return wanted
    return replace(wanted, folders=tuple(sorted(_folders(context, wanted))))


def _keeps_history(context: Context) -> bool:
    """A host that nothing is declared for any more can be gone back to until it is destroyed."""
    return bool(context.record.history) and not context.forgets


def forget_hosts(context: Context, addresses: frozenset[str]) -> HostPlan:
    """A director's plan that only stops naming former hosts."""
    record = context.record
    former = {name: address for name, address in record.former.items() if address not in addresses}
    hosts = {name: address for name, address in record.hosts.items() if address not in addresses}
    if not record.known or (former, hosts) == (record.former, record.hosts):
        return HostPlan(context.host, Role.DIRECTOR)
    private = context.actual.files[record.path].mode == PRIVATE
    left = replace(record, former=former, hosts=hosts)
    steps = tuple(_place_manifest(context, left, private=private))
    detail = "forget what has been cleaned"
    change = Change(Kind.RECORD, record.path, Action.UPDATE, Reason.LEFT_OVER, detail, steps=steps)
    return HostPlan(context.host, Role.DIRECTOR, (change,))


def _neighbours(context: Context) -> Iterator[Finding]:
    """Records of other clusters that cannot be used: there is no telling what those need of this host."""
    for path, file in context.actual.files.items():
        other = cluster_of(path)
        if other in ("", context.cluster) or path in context.unread:
            continue
        if problem := read_record(file).problem:
            yield codes.NO_RECORD.finding(
                f"{path}, another cluster's, cannot be used: {problem}",
                host=context.host,
                fix=f"Apply the inventory of cluster {other} with the lvsdeploy that wrote it. Or run `apply "
                "--adopt`, which goes on as if that cluster had nothing here.",
            )


def _before(context: Context, path: str) -> str | None:
    if path in context.record.files:
        return context.record.files[path].before
    there = context.actual.files.get(path)
    return None if there is None or _is_ours(context, path) else there.digest


def _is_ours(context: Context, path: str) -> bool:
    """Whether the very text that is declared is there: it names lvsdeploy, even if no record does."""
    there, wanted = context.actual.files.get(path), context.desired.files.get(path)
    return there is not None and wanted is not None and there.content == wanted.content


def _record_was_lost(context: Context) -> bool:
    """Whether lvsdeploy was here, and nothing tells what was here before it.

    Then what is set as declared was set by lvsdeploy, and not found like that.
    """
    return not context.record.known and any(_is_ours(context, path) for path in context.desired.files)


def _sysctl_before(context: Context, key: str) -> Value | None:
    """The value before any cluster of lvsdeploy set it."""
    for record in (context.record, *context.others):
        if key in record.sysctls:
            return record.sysctls[key].before
    if _record_was_lost(context):
        return None
    before = context.actual.sysctls.get(key)
    return IPVS.get(key.rpartition(".")[2]) if before is None and of_ipvs(key) else before


def _timeout_before(context: Context, name: str) -> int:
    recorded = context.record.timeouts.get(name)
    if recorded is not None:
        return recorded.before
    return context.actual.timeouts.get(name, TIMEOUTS[name])


def _was_there(context: Context, address: Address) -> bool:
    for record in (context.record, *context.others):
        if address in record.addresses:
            return record.addresses[address]
    if context.by_hand and KEEPALIVED_CONF in context.record.files:
        return False  # a keepalived of ours has put it there
    return address in context.actual.addresses and not _record_was_lost(context)


def _was_up(context: Context, name: str) -> bool:
    """Whether a tunnel interface was up before us. One with a name of ours was never somebody else's."""
    for record in (context.record, *context.others):
        if name in record.tunnels:
            return record.tunnels[name]
    there = context.actual.tunnels.get(name)
    return there is not None and there.built_in and there.up and not _record_was_lost(context)


def _had_port(context: Context, port: GuePort) -> bool:
    for record in (context.record, *context.others):
        if port in record.gue_ports:
            return record.gue_ports[port]
    return port in context.actual.gue_ports and not _record_was_lost(context)


def _unit_before(context: Context, name: str) -> RecordedUnit:
    """Only services of the distribution can have been there before us.

    keepalived did nothing without a configuration. What restores the table is never started or stopped.
    """
    there = context.actual.units.get(name)
    if there is not None and name in TABLE_UNITS:
        return RecordedUnit(there.enabled)
    if there is None or name != KEEPALIVED_UNIT or _is_ours(context, KEEPALIVED_CONF):
        return RecordedUnit()
    return RecordedUnit(there.enabled, there.active and KEEPALIVED_CONF in context.actual.files)


def _routes(context: Context) -> Iterator[RecordedRoute]:
    """Of each family, the default route of ours and the one before."""
    ours = {route.version: route.via for route in context.managed_routes}
    for version in (IPV4, IPV6):
        recorded = context.record.route_of(version)
        via = ours.get(version)
        if via is not None:
            yield RecordedRoute(via, _route_before(context, version))
        elif recorded is not None and context.keeps_leaving:
            yield recorded


def _route_before(context: Context, version: int) -> tuple[str, ...]:
    """The words of the default route before any cluster of lvsdeploy set one."""
    for record in (context.record, *context.others):
        if (recorded := record.route_of(version)) is not None:
            return recorded.before
    now = next((route for route in context.actual.routes if route.version == version), None)
    if now is None or now.advertised:
        return ()  # ours comes to stand before what routers advertise, and takes nothing away
    return now.words or tuple(str(now).split())


def _former(context: Context) -> dict[str, str]:
    """Hosts that were the cluster's, and whose address no host of it has any more."""
    hosts, record = context.goal.hosts, context.record
    if not hosts:
        return {}
    once = {**record.former, **record.hosts}
    return {name: address for name, address in once.items() if address not in hosts.values()}


def _folders(context: Context, record: Record) -> Iterator[str]:
    """The folders that are ours: they hold what is ours, and were not there before."""
    paths = (*record.files, record.path, history_path(context.cluster, context.stamp.id))
    made = {folder for known in (context.record, *context.others) for folder in known.folders}
    for folder in folders_of(paths):
        if folder in made or folder not in context.actual.files:
            yield folder


def _write(context: Context, record: Record, changes: Sequence[Change]) -> Iterator[Step]:
    """The manifest, and the goal itself, to come back to; the oldest one goes."""
    said = tuple(_line(change) for change in changes[:_LINES])
    if len(changes) > _LINES:
        said += (f"and {len(changes) - _LINES} more",)
    earlier = context.record.history
    if earlier and earlier[-1].stamp.id == context.stamp.id:  # the second round of one apply
        said, earlier = (*earlier[-1].changes, *said), earlier[:-1]
    history = (*earlier, Entry(context.stamp, said))
    content = dump_goal(context.goal)
    yield from _place(File(history_path(context.cluster, context.stamp.id), content, mode=PRIVATE))
    for entry in history[:-KEPT]:
        yield Step(Phase.RECORD, ("remove", history_path(context.cluster, entry.stamp.id)))
    private = _is_private(context, record)
    yield from _place_manifest(context, replace(record, history=history[-KEPT:]), private=private)
    for folder in sorted({*context.record.folders} - {*record.folders}, reverse=True):
        yield Step(Phase.RECORD, ("on_commit", "rmdir_if_empty", folder))


def _place_manifest(context: Context, record: Record, *, private: bool) -> Iterator[Step]:
    if context.record.problem:
        yield Step(Phase.WITHDRAW, ("keep_copy", record.path))
    yield from _place(manifest_of(record, secret=private))


def _place(file: File) -> Iterator[Step]:
    yield Step(Phase.STAGE, ("stage", file.path, f"{file.mode:04o}", file.owner), file.content)
    yield Step(Phase.RECORD, ("place", file.path))


def _forget(context: Context) -> Iterator[Step]:
    yield Step(Phase.RECORD, ("remove", manifest_path(context.cluster)))
    for entry in context.record.history:
        yield Step(Phase.RECORD, ("remove", history_path(context.cluster, entry.stamp.id)))
    for folder in sorted(context.record.folders, reverse=True):
        yield Step(Phase.RECORD, ("on_commit", "rmdir_if_empty", folder))


def _line(change: Change) -> str:
    return f"{change.action.value} {change.kind.value} {change.name} [{change.reason.value}]"


def _reason(context: Context, wanted: Record) -> Reason:
    """Why the record alone differs."""
    if wanted.empty:
        return Reason.LEFT_OVER
    if context.record.problem:
        return Reason.FOREIGN
    # Other hosts in the inventory need not mean another file here.
    declared = {"hosts", "former", "drained"} & set(_parts(context, wanted))
    return context.reason(as_recorded=context.as_recorded and not declared)


def _parts(context: Context, wanted: Record) -> list[str]:
    """The parts of the record that will be others."""
    names = [field.name for field in fields(Record) if field.compare]
    return [name for name in names if getattr(wanted, name) != getattr(context.record, name)]


def _news(context: Context, wanted: Record) -> list[str]:
    """What of the record is not as it should be."""
    if not context.record.known:
        return []
    other = _parts(context, wanted)
    return [*([f"{', '.join(other)}: to be written down"] if other else []), *_spoiled(context, wanted)]


def _spoiled(context: Context, wanted: Record) -> list[str]:
    """Who may read and write the manifest, where that is not as it should be."""
    there = context.actual.files[wanted.path]
    manifest = manifest_of(wanted, secret=_is_private(context, wanted))
    return differences(replace(manifest, content=there.content), there)


def _is_private(context: Context, record: Record) -> bool:
    """Whether the record has the digest of a secret; what stood there before may have held one, too."""
    before = any(file.before is not None for file in record.files.values())
    return before or any(file.secret for file in context.desired.files.values())
