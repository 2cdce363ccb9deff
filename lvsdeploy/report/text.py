"""Results as text for people, through rich; plain when stdout is no terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from lvsdeploy.diagnostics import Finding, Severity
from lvsdeploy.plan.change import Action, Change, Failure, HostPlan, Plan
from lvsdeploy.printable import printable, visible
from lvsdeploy.results import (
    Applied,
    Checked,
    DirectorStatus,
    History,
    PastApply,
    Planned,
    Result,
    Status,
    Validated,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_SIGN = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-"}
_COLOUR = {Action.CREATE: "green", Action.UPDATE: "yellow", Action.DELETE: "red"}
_LONGEST = (
    10_000  # characters of a message: it is one line, and is not cut before a person would stop reading
)
_TAB = 8
_SEVERITY = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@singledispatch
def as_text(result: Result, *, verbose: bool = False) -> RenderableType:
    """A result for the console. `verbose` adds what is left out otherwise (diffs of records, causes)."""
    raise TypeError(type(result), verbose)


@as_text.register
def _(result: Validated, *, verbose: bool = False) -> RenderableType:
    lines: list[RenderableType] = []
    for file in result.files:
        lines += [finding_text(finding, verbose=verbose) for finding in file.findings]
        errors = sum(finding.is_error for finding in file.findings)
        others = len(file.findings) - errors
        if errors:
            lines.append(Text(f"{file.file}: {_count(errors, 'error')}", "bold red"))
        else:
            tail = f", {_count(others, 'remark')}" if others else ""
            lines.append(Text(f"{file.file}: cluster {file.cluster} is valid{tail}", "green"))
    return Group(*lines)


@as_text.register
def _(result: Planned, *, verbose: bool = False) -> RenderableType:
    return Group(
        *_plan(result.plan, verbose=verbose), _summary(result.plan, "Plan", "Nothing to do", "as declared")
    )


@as_text.register
def _(result: Checked, *, verbose: bool = False) -> RenderableType:
    return Group(
        *_plan(result.plan, verbose=verbose),
        _summary(result.plan, "Not as declared", "As declared", "checked, files and kernel"),
    )


@as_text.register
def _(result: Applied, *, verbose: bool = False) -> RenderableType:
    words = _WORDS[result.command]
    parts: list[RenderableType] = [
        *(
            Text(f"{host.host}: put back first what had broken off there: {printable(host.whose)}", "yellow")
            for host in result.recovered
        ),
        *_findings(result.after.all_findings(), verbose=verbose),
        *_failures(result.left),
        *_failures(result.failures),
    ]
    undone = len(result.failures) + len(result.left)
    well = result.exit_code == 0
    if result.changed:
        names = ", ".join(host.host for host in result.changed)
        counts = _counted((change for host in result.changed for change in host.changes), _DONE)
        tail = f"; read back and {words.state}" if well else ""
        parts.append(Text(f"{words.done} {names}: {counts}{tail}", "bold green"))
    if well:
        if not result.changed:
            hosts = _count(len(result.after.hosts), "host")
            parts.append(Text(f"Nothing to do: {hosts} {words.state}", "bold green"))
    elif undone:
        told = [_count(len(result.failures), "host") + " failed"] if result.failures else []
        told += [_count(len(result.left), "host") + " left unchanged"] if result.left else []
        head = words.partly if result.changed else "Nothing was changed"
        parts.append(Text(f"{head}: {', '.join(told)}", "bold red"))
    else:
        head = f"{words.partly}, or not as it should be" if result.changed else "Nothing was changed"
        parts.append(Text(f"{head}: see the errors above", "bold red"))
    return Group(*parts)


@dataclass(frozen=True)
class _Words:
    """What a command that changes hosts says at its end."""

    done: str
    partly: str
    state: str


_WORDS = {
    "apply": _Words("Applied to", "Not all was applied", "as declared"),
    "rollback": _Words("Rolled back", "Not all was rolled back", "as it was then"),
    "destroy": _Words("Cleaned", "Not all was cleaned", "without anything of lvsdeploy's"),
    "drain": _Words("Drained on", "Not drained everywhere", "as asked"),
    "undrain": _Words("Undrained on", "Not undrained everywhere", "as asked"),
}


@as_text.register
def _(result: History, *, verbose: bool = False) -> RenderableType:
    parts: list[RenderableType] = []
    for apply in result.applies:
        parts += _past(apply, verbose=verbose)
    if not result.applies and not result.failures:
        parts.append(Text(f"Nothing was applied yet: cluster {result.cluster}"))
    parts += _failures(result.failures)
    return Group(*parts)


def _past(apply: PastApply, *, verbose: bool) -> Iterator[RenderableType]:
    """One apply; its changes in short unless `verbose`."""
    head = Text.assemble((apply.id, "bold"), f"  {printable(apply.what)}  {printable(apply.at)}  ")
    head.append(printable(apply.by))
    yield head
    groups: dict[tuple[str, ...], list[str]] = {}
    for host, lines in apply.changes.items():
        groups.setdefault(lines, []).append(host)
    for lines, hosts in groups.items():
        shown = lines if verbose else lines[:_SHORT]
        yield Text(f"    {', '.join(hosts)}: {_count(len(lines), 'change')}")
        for line in shown:
            yield Text(f"      {printable(line)}", "dim")
        if len(lines) > len(shown):
            yield Text(f"      and {len(lines) - len(shown)} more (-v shows them)", "dim")
    if verbose and apply.inventory:
        yield Text(f"    inventory {apply.inventory}", "dim")


_SHORT = 5  # changes of a past apply


@as_text.register
def _(result: Status, *, verbose: bool = False) -> RenderableType:
    parts: list[RenderableType] = []
    for director in result.directors:
        parts += _director(director)
    parts += _findings(result.findings, verbose=verbose)
    parts += _failures(result.failures)
    return Group(*parts)


def finding_text(finding: Finding, *, verbose: bool = False, hosts: str = "") -> Text:
    """A finding: where (`hosts`: of several hosts), what, the line with a caret, why, what to do."""
    where = str(finding.place) if finding.place else (hosts or finding.host or "")
    text = Text()
    if where:
        text.append(f"{printable(where, longest=_LONGEST)}: ", "bold")
    text.append(f"{finding.severity.value}[{finding.code}]", _SEVERITY[finding.severity])
    text.append(f": {printable(finding.summary, longest=_LONGEST)}\n")
    if finding.place is not None and finding.place.text:
        number = f"{finding.place.line:>5} | "
        line, column = _line_and_column(finding.place.text, finding.place.column)
        text.append(f"{number}{line}".rstrip() + "\n", "dim")
        text.append(" " * (len(number) + column) + "^\n", _SEVERITY[finding.severity])
    if finding.why and (verbose or finding.is_error or finding.drift):
        text.append(f"      why: {printable(finding.why, longest=_LONGEST)}\n")
    if finding.fix:
        text.append(f"      do:  {printable(finding.fix, longest=_LONGEST)}\n")
    return text


def _line_and_column(line: str, column: int) -> tuple[str, int]:
    """A source line as it is shown, and how many cells come before its character `column` (from 1).

    Tabs go to every eighth cell, as in a terminal; wide characters take two cells, escaped ones several.
    """
    shown, cells, before = "", 0, None
    for number, character in enumerate(line.rstrip("\r\n"), 1):
        if number == column:
            before = cells
        piece = " " * (_TAB - cells % _TAB) if character == "\t" else visible(character)
        shown += piece
        cells += cell_len(piece)
    # A place behind the line's end is where something is missing.
    return shown, cells + max(0, column - len(line) - 1) if before is None else before


def _plan(plan: Plan, *, verbose: bool) -> Iterator[RenderableType]:
    """All changes first, then their diffs; what the final line is about stands right above it."""
    yield from _changes(plan.hosts)
    diffs = list(_diffs(plan.hosts))
    yield from diffs
    yield from _findings(plan.all_findings(), verbose=verbose)
    yield from _failures(plan.failures)
    if plan.failures:
        yield Text("")
    if diffs or (plan.changes and (plan.failures or plan.refused)):
        yield from _by_host(plan)


def _changes(plans: Sequence[HostPlan]) -> Iterator[RenderableType]:
    """Hosts with the same changes are shown once."""
    groups: dict[tuple[object, ...], list[HostPlan]] = {}
    for plan in plans:
        if plan.changes:
            key = (plan.role, *(_looks(change) for change in plan.changes))
            groups.setdefault(key, []).append(plan)
    for group in groups.values():
        role = group[0].role.value + ("s" if len(group) > 1 else "")
        yield Text.assemble((_names(group), "bold"), f" ({role})")
        for change in group[0].changes:
            line = Text(f"  {_SIGN[change.action]} {change.kind.value} ", _COLOUR[change.action])
            line.append(printable(change.name, longest=_LONGEST), "bold")
            detail = f": {printable(change.detail, longest=_LONGEST)}" if change.detail else ""
            line.append(f"{detail} [{change.reason.value}]")
            yield line
        yield Text("")


def _diffs(plans: Sequence[HostPlan]) -> Iterator[RenderableType]:
    """Each diff once, with the hosts it is of."""
    found: dict[tuple[str, str], list[HostPlan]] = {}
    for plan in plans:
        for change in plan.changes:
            if change.diff:
                found.setdefault((change.name, change.diff), []).append(plan)
    for (name, diff), hosts in found.items():
        yield Text(f"{_names(hosts)}: {printable(name, longest=_LONGEST)}", "bold")
        for text in diff.removesuffix("\n").split("\n"):
            style = {"+": "green", "-": "red", "@": "cyan"}.get(text[:1], "dim")
            yield Text(f"      {visible(text)}".rstrip(), style)
        yield Text("")


def _by_host(plan: Plan) -> Iterator[RenderableType]:
    """What happens on which host, in a line each: after long diffs the list above is out of sight."""
    groups: dict[str, list[str]] = {}
    for host in plan.hosts:
        words = _counted(host.changes) or "nothing to change"
        refused = "; refused, see its errors above" if host.host in plan.refused else ""
        groups.setdefault(words + refused, []).append(host.host)
    for failure in plan.failures:
        groups.setdefault("could not be read", []).append(failure.host)
    for words, names in groups.items():
        yield Text.assemble("  ", (", ".join(names), "bold"), f": {words}")


def _names(plans: Iterable[HostPlan]) -> str:
    return ", ".join(plan.host for plan in plans)


def _looks(change: Change) -> tuple[object, ...]:
    return (change.kind, change.name, change.action, change.reason, change.detail, change.diff)


def _findings(findings: Iterable[Finding], *, verbose: bool) -> Iterator[Text]:
    """Findings in order, those that several hosts share once."""
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, host=None), []).append(finding.host or "")
    for finding, hosts in groups.items():
        yield finding_text(finding, verbose=verbose, hosts=", ".join(filter(None, hosts)))


def _failures(failures: Iterable[Failure]) -> Iterator[Text]:
    for failure in failures:
        yield failure_text(failure)


def failure_text(failure: Failure) -> Text:
    """A host that could not be read or changed, and what its programs said."""
    message = printable(failure.message, longest=_LONGEST)
    text = Text.assemble((f"{failure.host}: ", "bold"), (message, "red"))
    for line in failure.detail.removesuffix("\n").split("\n") if failure.detail else ():
        text.append(f"\n      | {visible(line)}".rstrip(" "))
    if failure.hint:
        text.append(f"\n      do:  {printable(failure.hint, longest=_LONGEST)}")
    return text


def _summary(plan: Plan, some: str, none: str, state: str) -> Text:
    """The final line."""
    if plan.changes:
        touched = sum(bool(host.changes) for host in plan.hosts)
        counts = _counted(change for host in plan.hosts for change in host.changes)
        tail = f"; {len(plan.refused)} refused" if plan.refused else ""
        tail += f"; {len(plan.failures)} could not be read" if plan.failures else ""
        total = len(plan.hosts) + len(plan.failures)
        return Text(f"{some}: {counts} on {_count(touched, 'host')} of {total}{tail}", "bold yellow")
    if plan.failures:
        others = f"; {_count(len(plan.hosts), 'other')} read, nothing to change" if plan.hosts else ""
        return Text(f"{_count(len(plan.failures), 'host')} could not be read{others}", "bold red")
    if plan.as_declared:
        hosts = _count(len(plan.hosts), "host")
        return Text(f"{none}: cluster {plan.cluster}, {hosts} {state}", "bold green")
    return Text("Not as declared, and nothing that apply may change: see the findings above", "bold red")


_TO_DO = {Action.CREATE: "to create", Action.UPDATE: "to change", Action.DELETE: "to remove"}
_DONE = {Action.CREATE: "created", Action.UPDATE: "changed", Action.DELETE: "removed"}


def _counted(changes: Iterable[Change], words: Mapping[Action, str] = _TO_DO) -> str:
    counts = Counter(change.action for change in changes)
    return ", ".join(f"{counts[action]} {word}" for action, word in words.items() if counts[action])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _director(director: DirectorStatus) -> Iterator[RenderableType]:
    style = {"MASTER": "bold green", "BACKUP": "cyan"}.get(director.role.partition(" ")[0], "bold red")
    holds = f", holds {', '.join(director.holds)}" if director.holds else ""
    yield Text.assemble((director.name, "bold"), ": ", (director.role, style), holds)
    if not director.services:
        yield Text("  the IPVS table is empty\n")
        return
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for service in director.services:
        words = [service.service.scheduler]
        if service.service.persistence is not None:
            words.append(f"persistent {service.service.persistence}s")
        first = (service.name or "(not declared)", str(service.service.key), " ".join(words))
        for destination in service.destinations:
            row = (
                destination.name,
                destination.address,
                destination.forwarding,
                *map(str, (destination.weight, destination.active, destination.inactive)),
                destination.words,
            )
            rows.append(tuple(map(printable, (*first, *row))))
            first = ("", "", "")
        if not service.destinations:
            rows.append((*first, "none", *[""] * (len(_COLUMNS) - 4)))
    yield from _table(rows)
    yield Text("")


_COLUMNS = (
    "service",
    "virtual service",
    "scheduler",
    "real server",
    "address",
    "method",
    "weight",
    "active",
    "inactive",
    "state",
)
_NUMBERS = {"weight", "active", "inactive"}


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[Text]:
    """Rows in columns, the last one coloured; a line is never cut, however narrow the terminal."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(
            " " * (width - cell_len(cell)) + cell
            if name in _NUMBERS
            else cell + " " * (width - cell_len(cell))
            for name, cell, width in zip(_COLUMNS[:-1], row, widths, strict=False)
        )
        state = "bold" if number == 0 else "green" if row[-1].partition(" (")[0] == "up" else "red"
        text = Text(line, "bold" if number == 0 else "")
        text.append(f"  {row[-1]}", state)
        text.rstrip()
        yield text
