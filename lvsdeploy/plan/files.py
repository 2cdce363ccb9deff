"""Files: written whole, beside their place, and renamed into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT
from lvsdeploy.desired.table_at_boot import says_nothing
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.plan.diffs import diff
from lvsdeploy.record import RecordedUnit, is_record
from lvsdeploy.state.file import File, FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.record import RecordedFile

_VMAC = re.compile(rb"^\s*(use_vmac\S*.*)$", re.MULTILINE)
_UNIT_FOLDER = "/etc/systemd/system/"


def changes(context: Context) -> Iterator[Change]:
    """Files to write and left-over files to remove. What could not be read is left alone."""
    for path, wanted in context.desired.files.items():
        there = context.actual.files.get(path)
        if path in context.unread or (there is not None and there.kind is not FileKind.REGULAR):
            continue
        if _others(context, path) or (_foreign(context, wanted, there) and not context.adopt):
            continue
        if there is None or differences(wanted, there):
            yield _write(context, wanted, there)
    for path, recorded in context.record.files.items():
        if path not in context.desired.files and path not in context.unread and not _others(context, path):
            yield from _left_over(context, path, recorded)


def findings(context: Context) -> Iterator[Finding]:
    """Paths that must not be written to."""
    for path, there in context.actual.files.items():
        wanted = context.desired.files.get(path)
        if wanted is None:
            continue
        if there.kind is not FileKind.REGULAR:
            yield codes.NOT_A_FILE.finding(
                f"{path} is a {there.kind.value}, not a regular file",
                host=context.host,
                fix=f"Move it away (mv {path} {path}.old) and apply again.",
            )
        elif clusters := _others(context, path):
            yield codes.ANOTHER_CLUSTERS.finding(
                f"{path} belongs to cluster {', '.join(clusters)}", host=context.host
            )
        elif _foreign(context, wanted, there) and not (context.adopt or _unknown(context, path)):
            yield codes.FOREIGN.finding(f"{path} was written by somebody else", host=context.host)


def _others(context: Context, path: str) -> list[str]:
    """Other clusters whose file this is."""
    return [other.cluster for other in context.others if path in other.files]


def _foreign(context: Context, wanted: File, there: File | None) -> bool:
    return (
        there is not None
        and there.kind is FileKind.REGULAR
        and wanted.path not in context.record.files
        and there.content != wanted.content
        and not says_nothing(there)
    )


def _unknown(context: Context, path: str) -> bool:
    """Whether there is no telling whose a file is; another finding says why."""
    return (
        path in context.unread
        or bool(context.record.problem)
        or any(is_record(unread) for unread in context.unread)
    )


def differences(wanted: File, there: File) -> list[str]:
    """What of a file is not as declared, in words."""
    found = []
    if wanted.content != there.content:
        found.append("content")
    if wanted.mode != there.mode:
        found.append(f"mode {there.mode:04o}, declared {wanted.mode:04o}")
    if wanted.owner != there.owner:
        found.append(f"owner {there.owner}, declared {wanted.owner}")
    return found


def _write(context: Context, wanted: File, there: File | None) -> Change:
    path = wanted.path
    recorded = context.record.digests.get(path)
    if there is None:
        reason = context.reason(as_recorded=recorded is not None)
        reason = Reason.NEW if reason is Reason.DECLARED else reason
        action, detail = Action.CREATE, "missing" if reason is Reason.DRIFT else ""
    else:
        action, detail = Action.UPDATE, "; ".join(differences(wanted, there))
        if recorded is None:
            reason = Reason.FOREIGN
        else:
            edited = there.digest != recorded or there.content == wanted.content
            reason = Reason.DRIFT if edited else Reason.DECLARED
            if recorded not in (there.digest, wanted.digest) and there.content != wanted.content:
                detail += " (edited on the host, and declared otherwise than at the last apply)"
    steps = [
        Step(Phase.STAGE, ("stage", path, f"{wanted.mode:04o}", wanted.owner), wanted.content),
        Step(Phase.PLACE, ("place", path)),
    ]
    if reason is Reason.FOREIGN and there is not None and there.content != wanted.content:
        steps.append(Step(Phase.WITHDRAW, ("keep_copy", path)))
    steps += _around(context, path, content_changes=there is None or there.content != wanted.content)
    return Change(Kind.FILE, path, action, reason, detail, diff(path, there, wanted), tuple(steps))


def _around(context: Context, path: str, *, content_changes: bool) -> Iterator[Step]:
    """What a new content of some files calls for."""
    if not content_changes:
        return
    if path == KEEPALIVED_CONF:
        yield Step(Phase.TEST, ("test_keepalived", path))
        if context.actual.runs(KEEPALIVED_UNIT):
            does = "unit_restart" if _needs_restart(context) else "unit_reload"
            yield Step(Phase.PREPARE, ("on_undo", does, KEEPALIVED_UNIT))
            yield Step(Phase.UNIT, (does, KEEPALIVED_UNIT))
    yield from _reread_units(path)


def _needs_restart(context: Context) -> bool:
    """VIPs that get interfaces of their own (VMAC), or lose them, stay where they are at a reload."""
    both = (context.actual.files, context.desired.files)
    texts = [files[KEEPALIVED_CONF].content for files in both if KEEPALIVED_CONF in files]
    return len({frozenset(_VMAC.findall(text)) for text in texts}) > 1


def _reread_units(path: str) -> Iterator[Step]:
    """Let systemd read its units again: it keeps what it has read until it is told."""
    if path.startswith(_UNIT_FOLDER):
        yield Step(Phase.PREPARE, ("on_undo", "manager_reload"))
        yield Step(Phase.MANAGER, ("manager_reload",))


def _left_over(context: Context, path: str, recorded: RecordedFile) -> Iterator[Change]:
    """A file of ours that nothing declares any more goes; what stood there before comes back."""
    there = context.actual.files.get(path)
    if there is not None and there.kind is not FileKind.REGULAR:
        return  # lvsdeploy writes no others: this one took the place of ours
    digest = there.digest if there is not None else None
    if digest == recorded.before:
        return
    detail = "edited since lvsdeploy wrote it" if digest not in (None, recorded.sha256) else ""
    if recorded.before is None:
        action, steps = Action.DELETE, [Step(Phase.PLACE, ("remove", path))]
    else:
        action = Action.UPDATE if there is not None else Action.CREATE
        steps = [Step(Phase.PLACE, ("give_back", path, recorded.before))]
        detail = "; ".join(filter(None, (detail, "what stood there before lvsdeploy comes back")))
        before = context.record.units.get(KEEPALIVED_UNIT, RecordedUnit())
        # With the engine ipvsadm it is stopped, whatever it was before us.
        goes_on = before.active and context.actual.runs(KEEPALIVED_UNIT) and not context.by_hand
        if path == KEEPALIVED_CONF and goes_on:
            steps.append(Step(Phase.PREPARE, ("on_undo", "unit_reload", KEEPALIVED_UNIT)))
            steps.append(Step(Phase.UNIT, ("unit_reload", KEEPALIVED_UNIT)))
    steps += _reread_units(path)
    # What goes as it was written needs not be read once more.
    text = diff(path, there, None) if recorded.before is None and digest != recorded.sha256 else ""
    yield Change(Kind.FILE, path, action, Reason.LEFT_OVER, detail, text, tuple(steps))
