"""Results as text for people, through rich; plain when stdout is no terminal."""

from __future__ import annotations

from collections import Counter
from functools import singledispatch
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lvsdeploy.diagnostics import Finding, Severity
from lvsdeploy.plan.change import Action, Change, Failure, HostPlan, Kind, Plan
from lvsdeploy.printable import printable, visible
from lvsdeploy.results import Applied, Checked, DirectorStatus, Planned, Result, Status, Validated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_SIGN = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-"}
_COLOUR = {Action.CREATE: "green", Action.UPDATE: "yellow", Action.DELETE: "red"}
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
    plan = result.plan
    parts = [
        *_hosts(plan.hosts, verbose=verbose),
        *_findings(plan.all_findings(), verbose=verbose),
        *_failures(plan.failures),
    ]
    return Group(*parts, _summary(plan, "Plan", "Nothing to do", "is as declared"))


@as_text.register
def _(result: Checked, *, verbose: bool = False) -> RenderableType:
    plan = result.plan
    parts = [
        *_hosts(plan.hosts, verbose=verbose),
        *_findings(plan.all_findings(), verbose=verbose),
        *_failures(plan.failures),
    ]
    if plan.hosts and not plan.changes and not plan.as_declared:
        parts.append(Text("Not as declared: see the findings above", "bold red"))
    else:
        parts.append(_summary(plan, "Not as declared", "As declared", "checked: files and kernel"))
    return Group(*parts)


@as_text.register
def _(result: Applied, *, verbose: bool = False) -> RenderableType:
    parts: list[RenderableType] = [
        *_findings(result.after.all_findings(), verbose=verbose),
        *_failures(result.left),
        *_failures(result.failures),
    ]
    counts = Counter(change.action for host in result.changed for change in host.changes)
    if result.changed:
        names = ", ".join(host.host for host in result.changed)
        done = Text(f"Applied to {names}: {_counted(counts, _DONE)}", "bold green")
        done.append("; read back and as declared" if result.exit_code == 0 else "")
        parts.append(done)
    elif result.exit_code == 0:
        hosts = _count(len(result.after.hosts), "host")
        parts.append(Text(f"Nothing to do: {hosts} as declared", "bold green"))
    else:
        parts.append(Text("Nothing was changed", "bold red"))
    return Group(*parts)


@as_text.register
def _(result: Status, *, verbose: bool = False) -> RenderableType:
    parts: list[RenderableType] = []
    for director in result.directors:
        parts += _director(director)
    parts += _findings(result.findings, verbose=verbose)
    parts += _failures(result.failures)
    return Group(*parts)


def finding_text(finding: Finding, *, verbose: bool = False) -> Text:
    """A finding: where, what, the line with a caret, why, what to do."""
    where = str(finding.place) if finding.place else (finding.host or "")
    text = Text()
    if where:
        text.append(f"{where}: ", "bold")
    text.append(f"{finding.severity.value}[{finding.code}]", _SEVERITY[finding.severity])
    text.append(f": {printable(finding.summary)}\n")
    if finding.place is not None and finding.place.text:
        line = visible(finding.place.text.rstrip())
        number = f"{finding.place.line:>5} | "
        text.append(f"{number}{line}\n", "dim")
        text.append(" " * (len(number) + finding.place.column - 1) + "^\n", _SEVERITY[finding.severity])
    if finding.why and (verbose or finding.is_error or finding.drift):
        text.append(f"      why: {finding.why}\n")
    if finding.fix:
        text.append(f"      do:  {finding.fix}\n")
    return text


def _hosts(plans: Sequence[HostPlan], *, verbose: bool) -> Iterator[RenderableType]:
    """Hosts with the same changes are shown once."""
    groups: dict[tuple[object, ...], list[HostPlan]] = {}
    for plan in plans:
        if plan.changes:
            key = (plan.role, *(_looks(change) for change in plan.changes))
            groups.setdefault(key, []).append(plan)
    for group in groups.values():
        names = ", ".join(plan.host for plan in group)
        role = group[0].role.value + ("s" if len(group) > 1 else "")
        yield Text.assemble((names, "bold"), f" ({role})")
        for change in group[0].changes:
            yield from _change(change, verbose=verbose)
        yield Text("")


def _looks(change: Change) -> tuple[object, ...]:
    diff = "" if _is_record(change) else change.diff
    return (change.kind, change.name, change.action, change.reason, change.detail, diff)


def _is_record(change: Change) -> bool:
    """The record of what lvsdeploy put there follows from all else, and its diff says nothing new."""
    return change.kind is Kind.FILE and change.name.startswith("/var/lib/lvsdeploy/")


def _change(change: Change, *, verbose: bool) -> Iterator[Text]:
    line = Text(f"  {_SIGN[change.action]} {change.kind.value} ", _COLOUR[change.action])
    line.append(printable(change.name), "bold")
    detail = f": {printable(change.detail)}" if change.detail else ""
    line.append(f"{detail} [{change.reason.value}]")
    yield line
    if change.diff and (verbose or not _is_record(change)):
        for text in change.diff.splitlines():
            style = {"+": "green", "-": "red", "@": "cyan"}.get(text[:1], "dim")
            yield Text(f"      {visible(text)}", style)


def _findings(findings: Iterable[Finding], *, verbose: bool) -> Iterator[Text]:
    for finding in findings:
        yield finding_text(finding, verbose=verbose)


def _failures(failures: Iterable[Failure]) -> Iterator[Text]:
    for failure in failures:
        yield failure_text(failure)


def failure_text(failure: Failure) -> Text:
    """A host that could not be read or changed, and what its programs said."""
    text = Text.assemble((f"{failure.host}: ", "bold"), (printable(failure.message), "red"))
    for line in failure.detail.splitlines():
        text.append(f"\n      | {visible(line)}")
    if failure.hint:
        text.append(f"\n      do:  {failure.hint}")
    return text


def _summary(plan: Plan, some: str, none: str, state: str) -> Text:
    if plan.changes:
        counts = Counter(change.action for host in plan.hosts for change in host.changes)
        touched = sum(bool(host.changes) for host in plan.hosts)
        text = f"{some}: {_counted(counts)} on {_count(touched, 'host')} of {len(plan.hosts)}"
        return Text(text, "bold yellow")
    if plan.failures:
        return Text(f"{_count(len(plan.failures), 'host')} could not be read", "bold red")
    return Text(f"{none}: cluster {plan.cluster}, {_count(len(plan.hosts), 'host')} {state}", "bold green")


_TO_DO = {Action.CREATE: "to create", Action.UPDATE: "to change", Action.DELETE: "to remove"}
_DONE = {Action.CREATE: "created", Action.UPDATE: "changed", Action.DELETE: "removed"}


def _counted(counts: Counter[Action], words: Mapping[Action, str] = _TO_DO) -> str:
    return ", ".join(f"{counts[action]} {word}" for action, word in words.items() if counts[action])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _director(director: DirectorStatus) -> Iterator[RenderableType]:
    style = {"MASTER": "bold green", "BACKUP": "cyan"}.get(director.role, "bold red")
    holds = f", holds {', '.join(director.holds)}" if director.holds else ""
    yield Text.assemble((director.name, "bold"), ": ", (director.role, style), holds)
    if not director.services:
        yield Text("  the IPVS table is empty\n")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    columns = ("service", "virtual service", "scheduler", "real server", "address", "method")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=True)
    for column in ("weight", "active", "inactive"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for service in director.services:
        words = [service.service.scheduler]
        if service.service.persistence is not None:
            words.append(f"persistent {service.service.persistence}s")
        first = (service.name or "(not declared)", str(service.service.key), " ".join(words))
        for destination in service.destinations:
            table.add_row(
                *first,
                destination.name,
                destination.address,
                destination.forwarding,
                str(destination.weight),
                str(destination.active),
                str(destination.inactive),
                Text(destination.state, "green" if destination.state == "up" else "red"),
            )
            first = ("", "", "")
        if not service.destinations:
            table.add_row(*first, "none")
    yield table
    yield Text("")
