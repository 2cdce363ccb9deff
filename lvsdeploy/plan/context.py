"""What every comparison needs to know about its host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import KEEPALIVED_CONF
from lvsdeploy.plan.change import Reason
from lvsdeploy.record import Record, Stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import IPAddress
    from lvsdeploy.observe import CheckerView
    from lvsdeploy.record import Goal
    from lvsdeploy.state.facts import Facts
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.network import Address, Route

NOBODY = Stamp("00000000T000000Z-0000", "", "")
"""Stands for who applies where nobody does: a plan, a check."""


@dataclass(frozen=True)
class Context:
    """One host: what it is to become, what it is, what we put there, and what the operator allowed."""

    host: str
    cluster: str
    goal: Goal
    actual: HostState
    facts: Facts
    record: Record = field(default_factory=Record)
    others: tuple[Record, ...] = ()  # what other clusters of lvsdeploy put there
    checkers: CheckerView | None = None
    unread: Mapping[str, str] = field(default_factory=dict)  # what could not be read -> why
    tentative: frozenset[Address] = frozenset()  # IPv6 addresses that serve nobody yet
    duplicate: frozenset[Address] = frozenset()  # and those that never will: another machine has them
    busy: str = ""  # who changes the host at this moment
    unfinished: str = ""  # whose apply broke off there
    adopt: bool = False  # files that somebody else wrote may be taken over
    keeps_leaving: bool = False  # what directors still count on stays for now, though no longer declared
    drain: int = 0  # seconds that connections of a destination get before it goes
    own: frozenset[IPAddress] = frozenset()  # addresses that the host is known by: never taken away
    rips: tuple[IPAddress, ...] = ()  # of a real server
    stamp: Stamp = NOBODY
    forgets: bool = False  # what was applied here is not to be remembered: nobody will go back to it

    @property
    def desired(self) -> HostState:
        return self.goal.state

    @property
    def managed_routes(self) -> tuple[Route, ...]:
        """The default routes that are ours to set, one a family."""
        routes = self.desired.routes if self.goal.route_is_managed else ()
        return tuple(route for route in routes if route.via is not None)

    @property
    def by_hand(self) -> bool:
        """Whether the IPVS table is ours to make, and no daemon's (engine ipvsadm)."""
        return self.desired.virtual_services is not None and KEEPALIVED_CONF not in self.desired.files

    @property
    def staying(self) -> frozenset[Address]:
        """Addresses of ours that are no longer declared, and stay for now."""
        if not self.keeps_leaving:
            return frozenset()
        return frozenset(self.record.addresses.keys() - self.desired.addresses) & self.actual.addresses

    @property
    def as_recorded(self) -> bool:
        """Whether the declaration is still the one that was last applied here, as far as files tell."""
        digests = self.record.digests
        return all(digests.get(path) == file.digest for path, file in self.desired.files.items())

    def reason(self, *, as_recorded: bool) -> Reason:
        """Why a thing differs that the record has just as declared (`as_recorded`), or has not."""
        if not self.record.known:
            return Reason.NEW
        return Reason.DRIFT if as_recorded else Reason.DECLARED
