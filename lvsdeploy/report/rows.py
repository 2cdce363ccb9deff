"""A result as rows, for the formats that are lists: who, what, how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING

from lvsdeploy.results import Applied, Checked, History, Planned, Result, Status, Validated

if TYPE_CHECKING:
    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.change import Failure, HostPlan, Plan


@dataclass(frozen=True)
class Row:
    """One line of a list. `bad` is what a pipeline should stop for; `detail` may have several lines."""

    subject: str  # a host, a file or a director
    title: str
    detail: str = ""
    bad: bool = False


@singledispatch
def rows(result: Result) -> Iterator[Row]:
    """The rows of a result; a subject that is as it should be has one row that says so."""
    raise TypeError(type(result))


@rows.register
def _(result: Validated) -> Iterator[Row]:
    for file in result.files:
        if not file.findings:
            yield Row(file.file, "valid")
        for finding in file.findings:
            yield _finding(finding, file.file)


@rows.register(Planned)
def _(result: Planned) -> Iterator[Row]:
    yield from _plan(result.plan, changes_are_bad=False)


@rows.register(Checked)
def _(result: Checked) -> Iterator[Row]:
    yield from _plan(result.plan, changes_are_bad=True)


@rows.register
def _(result: Applied) -> Iterator[Row]:
    for host in result.changed:
        yield Row(host.host, f"changed: {len(host.changes)}", _changes(host))
    for broken in result.recovered:
        yield Row(broken.host, f"put back first what had broken off: {broken.whose}")
    changed = {host.host for host in result.changed}
    for host in result.after.hosts:
        if host.host not in changed:
            yield Row(host.host, "as declared" if host.as_declared else "not as declared")
    yield from (_finding(finding, result.after.cluster) for finding in result.after.all_findings())
    yield from (_failure(failure) for failure in (*result.left, *result.failures))


@rows.register
def _(result: Status) -> Iterator[Row]:
    for director in result.directors:
        lines = [
            f"{service.service.key} {service.service.scheduler}: "
            + ", ".join(
                f"{d.name or d.address} weight {d.weight} {d.words} ({d.active} active)"
                for d in service.destinations
            )
            for service in director.services
        ]
        yield Row(director.name, director.role, "\n".join(lines))
    yield from (_finding(finding, result.cluster) for finding in result.findings)
    yield from (_failure(failure) for failure in result.failures)


@rows.register
def _(result: History) -> Iterator[Row]:
    for apply in result.applies:
        detail = "\n".join(f"{host}: {line}" for host, lines in apply.changes.items() for line in lines)
        yield Row(apply.id, f"{apply.what}, {apply.at}, by {apply.by}", detail)
    if not result.applies:
        yield Row(result.cluster, "nothing was applied yet")
    yield from (_failure(failure) for failure in result.failures)


def _plan(plan: Plan, *, changes_are_bad: bool) -> Iterator[Row]:
    for host in plan.hosts:
        if not host.changes:
            yield Row(host.host, "nothing to change")
        for change in host.changes:
            title = f"{change.action.value} {change.kind.value} {change.name} [{change.reason.value}]"
            detail = "\n".join(filter(None, (change.detail, change.diff)))
            yield Row(host.host, title, detail, bad=changes_are_bad)
    yield from (_finding(finding, plan.cluster) for finding in plan.all_findings())
    yield from (_failure(failure) for failure in plan.failures)


def _changes(host: HostPlan) -> str:
    return "\n".join(f"{change.action.value} {change.kind.value} {change.name}" for change in host.changes)


def _finding(finding: Finding, subject: str) -> Row:
    where = str(finding.place) if finding.place else (finding.host or subject)
    detail = "\n".join(filter(None, (finding.why, finding.fix)))
    title = f"{finding.severity.value}[{finding.code}]: {finding.summary}"
    return Row(where, title, detail, bad=finding.is_error or finding.drift)


def _failure(failure: Failure) -> Row:
    detail = "\n".join(filter(None, (failure.detail, failure.hint)))
    return Row(failure.host, failure.message, detail, bad=True)
