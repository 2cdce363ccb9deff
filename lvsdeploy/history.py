"""What changed the hosts, put together from what each of them remembers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.plan.change import Failure
from lvsdeploy.record import manifest_path
from lvsdeploy.results import History, PastApply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lvsdeploy.plan.change import Plan
    from lvsdeploy.record import Record, Stamp


def history_of(plan: Plan, records: Mapping[str, Record]) -> History:
    """The newest first; a host that an apply did not change is not among that apply's.

    `plan` and `records` are of the same reading.
    """
    stamps: dict[str, Stamp] = {}
    changes: dict[str, dict[str, tuple[str, ...]]] = {}
    for host, record in records.items():
        for entry in record.history:
            stamps[entry.stamp.id] = entry.stamp
            changes.setdefault(entry.stamp.id, {})[host] = entry.changes
    applies = tuple(
        PastApply(s.id, s.at, s.by, s.what, s.inventory, changes[s.id])
        for s in sorted(stamps.values(), key=lambda stamp: stamp.id, reverse=True)
    )
    return History(plan.cluster, applies, (*plan.failures, *_cannot_be_used(plan)))


def _cannot_be_used(plan: Plan) -> Iterable[Failure]:
    """Records that are there, and tell nothing: their hosts' applies are not among those that are listed."""
    record = manifest_path(plan.cluster)
    for finding in plan.all_findings():
        if finding.is_error and finding.host is not None and record in finding.summary:
            yield Failure(finding.host, finding.summary, hint=finding.fix)
