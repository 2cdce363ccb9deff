"""The kernel's IPVS table against the declared one.

A reload of keepalived compares its new configuration with its previous one, not with the kernel
(https://github.com/acassen/keepalived/issues/1877), so what somebody changed with ipvsadm stays changed.
Such drift is mended in the kernel itself, by the smallest commands: connections of other destinations go on.
Where keepalived.conf changes too, or keepalived is started, keepalived makes the table and no command of ours
gets in its way, but for what stands there already: a keepalived that starts adds what is missing, and neither
alters nor removes what it finds. Where keepalived runs with another configuration than the file's (somebody
put the file right and did not reload), a reload is what is needed.

A destination that is missing, or has weight 0, because keepalived's health check took it out is not
drift: it is a finding of its own.

With the engine ipvsadm there is no keepalived, and all of it is ours to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT
from lvsdeploy.desired.table_at_boot import saved_path
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.ipvs import ServiceKey, TableDestination, VirtualService


def changes(context: Context) -> Iterator[Change]:
    """What differs in the table, health checks' doing aside."""
    desired, actual = context.desired.virtual_services, context.actual.virtual_services
    if actual is None:
        return
    doer = _Doer.of(context)
    if desired is None:
        for key in sorted(actual.keys() & set(context.record.services)):
            yield from _service_changes(context, doer, None, actual[key])
        return
    foreign = _foreign(context)
    for key in sorted(desired.keys() | actual.keys()):
        if key not in foreign or context.adopt:
            yield from _service_changes(context, doer, desired.get(key), actual.get(key))


def expected(context: Context) -> tuple[VirtualService, ...]:
    """What the table is to hold, as far as health checks go at present: without those that fail."""
    return tuple(
        replace(
            service,
            destinations=tuple(
                _as_checked(context, service, d)
                for d in service.destinations
                if not _failed(context, key, d.key)
            ),
        )
        for key, service in (context.desired.virtual_services or {}).items()
    )


def replaced(context: Context) -> tuple[str, ...]:
    """The virtual services that have destinations now, and none of them afterwards, but others.

    Taken out and in at once, there would be nobody to serve until the first health check of a new one. Where
    there are no health checks, the new ones come first, and serve at once.
    """
    if context.by_hand:
        return ()
    actual = context.actual.virtual_services or {}
    return tuple(
        str(key)
        for key, wanted in (context.desired.virtual_services or {}).items()
        if key in actual
        and any(d.weight and not _is_sorry_server(context, key, d.key) for d in actual[key].destinations)
        and any(d.weight for d in wanted.destinations)
        and not _something_stays(wanted, actual[key])
    )


def _something_stays(wanted: VirtualService, there: VirtualService) -> bool:
    """A destination that serves now goes on to."""
    declared = {d.key for d in wanted.destinations if d.weight}
    return any(d.weight and d.key in declared for d in there.destinations)


def findings(context: Context) -> Iterator[Finding]:
    """Destinations that a health check keeps out of the table, and what is not ours to change."""
    desired, actual = context.desired.virtual_services, context.actual.virtual_services
    if desired is None or actual is None:
        return
    foreign = _foreign(context)
    if foreign and not context.adopt:
        names = ", ".join(str(key) for key in sorted(foreign))
        yield codes.FOREIGN_TABLE.finding(
            f"the IPVS table holds what somebody else put there: {names}", host=context.host
        )
    if context.by_hand and not saved_path(context.facts):
        name = context.facts.os_id or "of this host"
        yield codes.NOT_SAVED.finding(f"the distribution {name} restores no table at boot", host=context.host)
    doer = _Doer.of(context)
    unknown = doer.ours and not doer.by_hand and context.checkers is None
    for key, wanted in sorted(desired.items()):
        there = _by_key(actual.get(key))
        for destination in wanted.destinations:
            now = there.get(destination.key)
            if not _may_have_failed(destination, now):
                continue
            state = "out of the table" if now is None else "at weight 0"
            if unknown and key in actual:
                finding = codes.CHECK_UNKNOWN.finding(
                    f"{destination} of {key} is {state}, and keepalived does not tell why", host=context.host
                )
                yield replace(finding, drift=True)
            elif _failed(context, key, destination.key):
                yield codes.CHECK_FAILS.finding(
                    f"{destination} of {key} is {state}: its health check fails", host=context.host
                )


def _foreign(context: Context) -> frozenset[ServiceKey]:
    """Virtual services that somebody else made, on a host that lvsdeploy has put nothing on yet.

    One that is as declared, or lacks destinations, may stay: nothing of it would be lost.
    """
    if context.record.known:
        return frozenset()
    desired = context.desired.virtual_services or {}
    found = set()
    for key, there in (context.actual.virtual_services or {}).items():
        wanted = desired.get(key)
        if (
            wanted is None
            or wanted.options() != there.options()
            or any(
                destination not in wanted.destinations
                and not _is_sorry_server(context, key, destination.key)
                and not (destination.weight == 0 and _failed(context, key, destination.key))
                for destination in there.destinations
            )
        ):
            found.add(key)
    return frozenset(found)


@dataclass(frozen=True)
class _Doer:
    """Who mends the table: we, with ipvsadm, or keepalived, when it is started or reloaded."""

    ours: bool
    by_hand: bool  # there is no keepalived: engine ipvsadm
    starts: bool  # keepalived does not run yet
    known: bool  # lvsdeploy has been here before
    recorded: bool  # and what makes the table is still declared as it was then
    patience: int  # seconds that connections of a destination get before it goes

    @classmethod
    def of(cls, context: Context) -> _Doer:
        by_hand = context.by_hand or context.desired.virtual_services is None
        path = saved_path(context.facts) if by_hand else KEEPALIVED_CONF
        wanted, there = context.desired.files.get(path), context.actual.files.get(path)
        same_file = wanted is not None and there is not None and wanted.content == there.content
        runs = context.actual.runs(KEEPALIVED_UNIT)
        return cls(
            ours=by_hand or (runs and same_file),
            by_hand=by_hand,
            starts=not by_hand and not runs,
            known=context.record.known,
            recorded=wanted is not None and context.record.digests.get(path) == wanted.digest,
            patience=context.drain if by_hand or runs or context.record.services else 0,
        )

    def reason(self, action: Action) -> Reason:
        if not self.known:
            return Reason.NEW if action is Action.CREATE else Reason.FOREIGN
        if self.recorded:
            return Reason.DRIFT
        return Reason.LEFT_OVER if action is Action.DELETE else Reason.DECLARED

    def steps(self, *commands: _Command, stale: bool = False) -> tuple[Step, ...]:
        """Steps for ipvsadm's commands; a wait where keepalived acts.

        `stale`: keepalived runs with another configuration than the file's.
        """
        waits = (Step(Phase.SETTLE, ("await_table",)),)
        if not self.ours and not (self.starts and commands and commands[0].on_what_is_there):
            return waits
        if stale and not self.by_hand and not self.starts:
            return (Step(Phase.UNIT, ("unit_reload", KEEPALIVED_UNIT)), *waits)
        steps = [step for command in commands for step in command.steps(by_hand=self.by_hand)]
        return tuple(steps) if self.ours else (*steps, *waits)

    def drain(self, key: ServiceKey, destination: TableDestination) -> tuple[Step, ...]:
        """Before keepalived takes a destination out: nothing new goes there, and what is there may end.

        A destination that is taken out breaks its connections. One that somebody put there by hand, behind
        keepalived's back or ours, goes at once.
        """
        if not self.patience or (self.recorded if self.by_hand else self.ours):
            return ()
        back, command = _edit(key, destination), _edit(key, replace(destination, weight=0))
        service = " ".join(key.flags())
        words = ("quiesce", service, str(destination), str(len(back)), *back, *command)
        return (
            Step(Phase.QUIESCE, words),
            Step(Phase.QUIET, ("await_quiet", str(self.patience))),
        )


@dataclass(frozen=True)
class _Command:
    """One command of ipvsadm, and those that undo it, the first one first."""

    words: tuple[str, ...]
    undo: tuple[tuple[str, ...], ...] = ()

    @property
    def on_what_is_there(self) -> bool:
        """Whether it alters or removes something."""
        return self.words[0] not in ("-A", "-a")

    def steps(self, *, by_hand: bool) -> Iterator[Step]:
        """A VIP comes after its virtual service, and goes before it: in between it would refuse clients."""
        phase = Phase.SYSCTL if by_hand and self.words[0] not in ("-D", "-d") else Phase.TABLE
        for words in reversed(self.undo[1:]):
            yield Step(phase, ("on_undo", "table_back", *words))
        first = self.undo[0] if self.undo else ()
        yield Step(phase, ("table", str(len(first)), *first, *self.words))


def _service_changes(
    context: Context, doer: _Doer, wanted: VirtualService | None, there: VirtualService | None
) -> Iterator[Change]:
    checked = context.checkers.services if context.checkers is not None else None
    if wanted is None:
        assert there is not None  # noqa: S101 — the key came from one of the two
        key = there.key
        # Its destinations go with it, and an undo brings them back, too.
        undo = [("-A", *key.flags(), *there.options()), *(_add(key, d) for d in there.destinations)]
        command = _Command(("-D", *key.flags()), tuple(undo))
        yield Change(
            Kind.VIRTUAL_SERVICE,
            str(key),
            Action.DELETE,
            doer.reason(Action.DELETE),
            "in the kernel, and not declared",
            steps=(
                *(step for destination in there.destinations for step in doer.drain(key, destination)),
                *doer.steps(command, stale=checked is not None and key in checked),
            ),
        )
    elif there is None:
        key = wanted.key
        commands = [_Command(("-A", *key.flags(), *wanted.options()), (("-D", *key.flags()),))]
        commands += [
            _Command(_add(key, destination))
            for destination in wanted.destinations
            if not _failed(context, key, destination.key)
        ]
        yield Change(
            Kind.VIRTUAL_SERVICE,
            str(key),
            Action.CREATE,
            doer.reason(Action.CREATE),
            "not in the kernel",
            steps=doer.steps(*commands, stale=checked is not None and key not in checked),
        )
    else:
        if wanted.options() != there.options():
            edit = ("-E", *wanted.key.flags())
            yield Change(
                Kind.VIRTUAL_SERVICE,
                str(wanted.key),
                Action.UPDATE,
                doer.reason(Action.UPDATE),
                f"is `{' '.join(there.options())}`, declared `{' '.join(wanted.options())}`",
                steps=doer.steps(_Command((*edit, *wanted.options()), ((*edit, *there.options()),))),
            )
        yield from _destination_changes(context, doer, wanted, there)


def _destination_changes(
    context: Context, doer: _Doer, wanted: VirtualService, there: VirtualService
) -> Iterator[Change]:
    key, now = wanted.key, _by_key(there)
    declared = _by_key(wanted)
    untold = doer.ours and not doer.by_hand and context.checkers is None
    for destination in wanted.destinations:
        name = f"{destination} of {key}"
        current = now.get(destination.key)
        if current == destination:
            continue
        if _may_have_failed(destination, current) and (untold or _failed(context, key, destination.key)):
            continue
        if current is not None and _is_a_checks_doing(context, wanted, destination, current, untold=untold):
            continue
        if current is None:
            yield Change(
                Kind.DESTINATION,
                name,
                Action.CREATE,
                doer.reason(Action.CREATE),
                "not in the kernel",
                steps=doer.steps(_Command(_add(key, destination), (_delete(key, destination),))),
            )
        else:
            yield Change(
                Kind.DESTINATION,
                name,
                Action.UPDATE,
                doer.reason(Action.UPDATE),
                f"is `{_plain(current)}`, declared `{_plain(destination)}`",
                steps=doer.steps(_Command(_edit(key, destination), (_edit(key, current),))),
            )
    for current in there.destinations:
        if current.key in declared or _is_sorry_server(context, key, current.key):
            continue
        yield Change(
            Kind.DESTINATION,
            f"{current} of {key}",
            Action.DELETE,
            doer.reason(Action.DELETE),
            "in the kernel, and not declared",
            # Nothing new goes to what leaves, if there is somebody else to take it.
            steps=(
                *(doer.drain(key, current) if _something_stays(wanted, there) else ()),
                *doer.steps(_Command(_delete(key, current), (_add(key, current),))),
            ),
        )


def _by_key(service: VirtualService | None) -> Mapping[tuple[str, int], TableDestination]:
    return {d.key: d for d in service.destinations} if service is not None else {}


def _may_have_failed(wanted: TableDestination, now: TableDestination | None) -> bool:
    """Whether a destination is in the state that a failed health check leaves, and need not be in it."""
    return now is None or (now.weight == 0 and now != wanted)


def _failed(context: Context, key: ServiceKey, destination: tuple[str, int]) -> bool:
    return context.checkers is not None and context.checkers.is_down(key, destination)


def _as_checked(context: Context, service: VirtualService, destination: TableDestination) -> TableDestination:
    """A destination with the weight that its check gives it at present."""
    if context.checkers is None or destination.key not in service.free_weights:
        return destination
    checked = context.checkers.services.get(service.key)
    weight = checked.weights.get(destination.key) if checked is not None else None
    return destination if weight is None else replace(destination, weight=weight)


def _is_a_checks_doing(
    context: Context,
    service: VirtualService,
    wanted: TableDestination,
    now: TableDestination,
    *,
    untold: bool,
) -> bool:
    """Whether a destination differs by its weight alone, and keepalived itself has given it that.

    It does so for a check that sets weights, and for a sorry server that waits in the table with weight 0.
    """
    if replace(now, weight=wanted.weight) != wanted:
        return False
    if _is_sorry_server(context, service.key, wanted.key):
        return True
    if wanted.key not in service.free_weights:
        return False
    checked = context.checkers.services.get(service.key) if context.checkers is not None else None
    return untold if checked is None else checked.weights.get(wanted.key) == now.weight


def _is_sorry_server(context: Context, key: ServiceKey, destination: tuple[str, int]) -> bool:
    """Keepalived puts the sorry server in the table by itself while the quorum is lost."""
    return context.checkers is not None and context.checkers.sorry_server_in_use(key, destination)


def _add(key: ServiceKey, destination: TableDestination) -> tuple[str, ...]:
    return ("-a", *key.flags(), *destination.options())


def _edit(key: ServiceKey, destination: TableDestination) -> tuple[str, ...]:
    return ("-e", *key.flags(), *destination.options())


def _delete(key: ServiceKey, destination: TableDestination) -> tuple[str, ...]:
    return ("-d", *key.flags(), "-r", str(destination))


def _plain(destination: TableDestination) -> str:
    words = [destination.forwarding.name, f"weight {destination.weight}"]
    if destination.tunnel is not None:
        words.insert(1, str(destination.tunnel))
    if destination.upper or destination.lower:
        words.append(f"thresholds {destination.upper} and {destination.lower}")
    return " ".join(words)
