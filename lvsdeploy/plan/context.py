"""What every comparison needs to know about its host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lvsdeploy.plan.change import Reason
from lvsdeploy.plan.record import Record, is_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.observe import CheckerView
    from lvsdeploy.state.facts import Facts
    from lvsdeploy.state.host import HostState


@dataclass(frozen=True)
class Context:
    """One host: what it should be, what it is, what we put there, and what the operator allowed."""

    host: str
    desired: HostState
    actual: HostState
    facts: Facts
    record: Record = field(default_factory=Record)
    checkers: CheckerView | None = None
    unread: Mapping[str, str] = field(default_factory=dict)  # what could not be read -> why
    adopt: bool = False  # files that somebody else wrote may be taken over
    route_is_managed: bool = True  # the default route is set by us; False: only checked

    @property
    def as_recorded(self) -> bool:
        """Whether the declaration is still the one that was last applied here, as far as files tell."""
        return all(
            self.record.files.get(path) == file.digest
            for path, file in self.desired.files.items()
            if not is_record(path)
        )

    def reason(self, *, as_recorded: bool) -> Reason:
        """Why a thing differs that the record has just as declared (`as_recorded`), or has not."""
        if not self.record.known:
            return Reason.NEW
        return Reason.DRIFT if as_recorded else Reason.DECLARED
