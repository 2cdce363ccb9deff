"""What changed the hosts, put together from what each of them remembers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.results import History, PastApply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.plan.change import Failure
    from lvsdeploy.record import Record, Stamp


def history_of(cluster: str, records: Mapping[str, Record], failures: tuple[Failure, ...] = ()) -> History:
    """The newest first; a host that an apply did not change is not among that apply's."""
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
    return History(cluster, applies, failures)
