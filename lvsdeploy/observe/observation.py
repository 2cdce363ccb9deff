"""What was seen on a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lvsdeploy.observe.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.observe.checkers import CheckerView
    from lvsdeploy.observe.connections import Connections
    from lvsdeploy.state.facts import Facts
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.ipvs import ServiceKey
    from lvsdeploy.state.network import Address

TABLE = "ipvs"
"""The key of `Observation.unread` for the IPVS table; the other keys are paths."""


@dataclass(frozen=True)
class Observation:
    """A host as the probe found it.

    `state` is complete for what was asked: a file that is not in `state.files` is not there, a unit that is
    unknown to the host is there as neither enabled nor active, a table of None was not asked for or could
    not be read. `unread` says why something that exists could not be read: by path (the file is in
    `state.files` all the same, its content empty) or by TABLE.

    With `Request.record`, `state` also has what that record names, and the records of other clusters. `busy`
    says who applies at this moment, `unfinished` whose apply broke off; both are "" otherwise.
    """

    facts: Facts
    state: HostState
    checkers: CheckerView | None = None  # asked for only when the table is not the expected one
    connections: Mapping[ServiceKey, Mapping[tuple[str, int], Connections]] = field(
        default_factory=dict
    )  # by destination; only when the request wants counters
    tentative: frozenset[Address] = frozenset()  # IPv6 addresses that DAD has not let through yet
    unread: Mapping[str, str] = field(default_factory=dict)
    busy: str = ""
    unfinished: str = ""
    surroundings: Surroundings = field(default_factory=Surroundings)  # as far as asked for
    duplicate: frozenset[Address] = frozenset()  # IPv6 addresses that DAD has found on another machine
