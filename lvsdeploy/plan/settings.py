"""IPVS's timeouts and its sync daemons, in the kernel against the declared ones.

keepalived sets both when it starts and when it reloads, and never looks at them again; a sync daemon that its
configuration does not name any more goes on (vrrp_daemon.c, reload_vrrp_thread). So what differs is mended in
the kernel itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.state.ipvs import TIMEOUTS
from lvsdeploy.state.sync import SyncRole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.sync import SyncDaemon


def changes(context: Context) -> Iterator[Change]:
    """Timeouts and sync daemons that are not as declared, or left over."""
    yield from _timeouts(context)
    yield from _daemons(context)


def findings(context: Context) -> Iterator[Finding]:
    """Sync daemons that somebody else started, on a host that lvsdeploy has put nothing on yet."""
    if context.record.known or context.adopt:
        return
    wanted = _wanted(context)
    for there in sorted(context.actual.sync_daemons or (), key=str):
        declared = wanted.get(_role(there))
        if context.desired.sync_daemons is not None and (declared is None or not declared.is_met_by(there)):
            yield codes.FOREIGN_SYNC.finding(
                f"a {_role(there)} sync daemon runs that is not declared: {there}", host=context.host
            )


def _timeouts(context: Context) -> Iterator[Change]:
    desired, recorded = context.desired.timeouts, context.record.timeouts
    now = {**TIMEOUTS, **context.actual.timeouts}  # while ip_vs is not loaded, they are what they will be
    right = dict(now)
    for name, wanted in desired.items():
        right[name] = wanted
        if now[name] != wanted:
            yield Change(
                Kind.TIMEOUT,
                name,
                Action.UPDATE,
                context.reason(as_recorded=name in recorded and recorded[name].value == wanted),
                f"is {now[name]} s, declared {wanted} s",
                steps=_setting(name, wanted, now),
            )
    for name, was in recorded.items():
        # A value that is neither is somebody else's by now.
        if name not in desired and context.actual.timeouts.get(name) == was.value != was.before:
            yield Change(
                Kind.TIMEOUT,
                name,
                Action.UPDATE,
                Reason.LEFT_OVER,
                f"is {was.value} s, was {was.before} s before lvsdeploy",
                steps=_setting(name, was.before, now),
            )


def _setting(name: str, seconds: int, now: Mapping[str, int]) -> tuple[Step, ...]:
    """One of the three is set; 0 leaves the others alone (ipvsadm(8), --set)."""
    words = [str(seconds if each == name else 0) for each in TIMEOUTS]
    back = [str(now[name] if each == name else 0) for each in TIMEOUTS]
    return (Step(Phase.TABLE, ("ipvs_timeouts", *words, *back)),)


def _daemons(context: Context) -> Iterator[Change]:
    running = context.actual.sync_daemons
    if context.desired.sync_daemons is None or running is None:
        return
    wanted = _wanted(context)
    there = {_role(daemon): daemon for daemon in running}
    if not (context.record.known or context.adopt) and list(findings(context)):
        return
    for role in SyncRole:
        declared, now = wanted.get(role), there.get(role)
        if declared is None and now is not None:
            yield Change(
                Kind.SYNC_DAEMON,
                role.value,
                Action.DELETE,
                _reason(context, Action.DELETE),
                f"{now}: not declared" if not context.desired.sync_daemons else f"{now}: {_as_backup(role)}",
                steps=(Step(Phase.TABLE, ("sync_stop", role.value, *now.options())),),
            )
    for role in SyncRole:
        declared, now = wanted.get(role), there.get(role)
        if declared is None or (now is not None and declared.is_met_by(now)):
            continue
        yield Change(
            Kind.SYNC_DAEMON,
            role.value,
            Action.CREATE if now is None else Action.UPDATE,
            _reason(context, Action.CREATE if now is None else Action.UPDATE),
            "does not run" if now is None else f"is {now}, declared {declared}",
            steps=_starting(context, declared, now),
        )


def _starting(context: Context, declared: SyncDaemon, now: SyncDaemon | None) -> tuple[Step, ...]:
    role = _role(declared).value
    if not _is_ours_to_start(context):
        # It starts it when it starts, or reloads; what is still missing then is seen when the host is read.
        return (Step(Phase.SETTLE, ("await_sync", role, declared.interface, str(declared.syncid))),)
    stop = () if now is None else (Step(Phase.TABLE, ("sync_stop", role, *now.options())),)
    return (*stop, Step(Phase.TABLE, ("sync_start", role, *declared.options())))


def _wanted(context: Context) -> dict[SyncRole, SyncDaemon]:
    """What is to run at this moment: a daemon that follows VRRP has the role that VRRP gives the host."""
    held = context.actual.answers_for
    found = (daemon.on_host_with(held) for daemon in context.desired.sync_daemons or ())
    return {_role(daemon): daemon for daemon in found}


def _role(daemon: SyncDaemon) -> SyncRole:
    assert daemon.role is not None  # noqa: S101 — it runs, or VRRP has given it one
    return daemon.role


def _as_backup(role: SyncRole) -> str:
    return "the director is BACKUP" if role is SyncRole.MASTER else "the director is MASTER"


def _is_ours_to_start(context: Context) -> bool:
    """Whether no keepalived is about to start it: with its configuration as declared it runs already."""
    wanted = context.desired.files.get(KEEPALIVED_CONF)
    there = context.actual.files.get(KEEPALIVED_CONF)
    if wanted is None:
        return True
    return context.actual.runs(KEEPALIVED_UNIT) and there is not None and wanted.content == there.content


def _reason(context: Context, action: Action) -> Reason:
    if not context.record.known:
        return Reason.NEW if action is Action.CREATE else Reason.FOREIGN
    wanted = context.desired.files.get(KEEPALIVED_CONF)
    if wanted is not None and context.record.digests.get(KEEPALIVED_CONF) != wanted.digest:
        return Reason.LEFT_OVER if action is Action.DELETE else Reason.DECLARED
    return Reason.DRIFT
