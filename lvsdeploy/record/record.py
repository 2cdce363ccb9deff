"""The record of a host: what lvsdeploy put there, and what was there before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address, IPv6Address

    from lvsdeploy.record.goal import Drained
    from lvsdeploy.state.ipvs import ServiceKey
    from lvsdeploy.state.network import Address
    from lvsdeploy.state.sysctl import Value
    from lvsdeploy.state.tunnel import GuePort

KEPT = 10
"""So many applies are remembered, and can be gone back to."""


@dataclass(frozen=True)
class Stamp:
    """One apply: the same on every host that it changes.

    `id` sorts by time (20261123T150634Z-1a2b), `at` is ISO 8601 in UTC, `inventory` the SHA-256 of its text.
    """

    id: str
    at: str
    by: str
    what: str = "apply"
    inventory: str = ""


@dataclass(frozen=True)
class Entry:
    """What one apply did on this host, a line a change."""

    stamp: Stamp
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedFile:
    """A file of ours, and the SHA-256 of what stood there before (None: nothing)."""

    sha256: str
    before: str | None = None


@dataclass(frozen=True)
class RecordedSysctl:
    """A value of ours, and the raw one before (None: there was no such key)."""

    value: Value
    before: Value | None = None


@dataclass(frozen=True)
class RecordedTimeout:
    """A timeout of IPVS of ours, and the one before, in seconds."""

    value: int
    before: int


@dataclass(frozen=True)
class RecordedUnit:
    """How a service was before us."""

    enabled: bool = False
    active: bool = False


@dataclass(frozen=True)
class RecordedRoute:
    """The default route of ours, and the one before, in the words that `ip route` takes; () for none."""

    via: IPv4Address | IPv6Address
    before: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """The address family, 4 or 6."""
        return self.via.version


@dataclass(frozen=True)
class Record:
    """What lvsdeploy remembers on a host of one cluster. An empty one: nothing yet.

    Two are equal when they mean the same, whoever wrote them and when.
    """

    path: str = field(default="", compare=False)  # of the manifest it was read from; "" for none
    digest: str = field(default="", compare=False)  # of the manifest's text, "" for none
    problem: str = field(default="", compare=False)  # why a manifest that is there counts as none
    cluster: str = ""
    files: Mapping[str, RecordedFile] = field(default_factory=dict)
    folders: tuple[str, ...] = ()  # made by us, sorted
    sysctls: Mapping[str, RecordedSysctl] = field(default_factory=dict)
    timeouts: Mapping[str, RecordedTimeout] = field(default_factory=dict)  # IPVS's, by name
    addresses: Mapping[Address, bool] = field(default_factory=dict)  # -> was it there before us
    tunnels: Mapping[str, bool] = field(default_factory=dict)  # interface -> was it up before us
    gue_ports: Mapping[GuePort, bool] = field(default_factory=dict)  # -> was it there before us
    routes: tuple[RecordedRoute, ...] = ()  # of IPv4, of IPv6
    units: Mapping[str, RecordedUnit] = field(default_factory=dict)
    packages: tuple[str, ...] = ()  # installed by us, sorted
    services: tuple[ServiceKey, ...] = ()  # virtual services that no daemon made, but we, sorted
    hosts: Mapping[str, str] = field(default_factory=dict)  # on a director: the cluster's, name -> address
    former: Mapping[str, str] = field(default_factory=dict)  # those that no inventory names any more
    drained: tuple[Drained, ...] = ()
    history: tuple[Entry, ...] = field(default=(), compare=False)  # the oldest first

    @property
    def known(self) -> bool:
        """Whether lvsdeploy has put anything on this host."""
        return bool(self.path)

    def route_of(self, version: int) -> RecordedRoute | None:
        """The default route of an address family (4 or 6)."""
        return next((route for route in self.routes if route.version == version), None)

    @property
    def digests(self) -> Mapping[str, str]:
        """Every file of ours with its SHA-256, the manifest aside."""
        return {path: file.sha256 for path, file in self.files.items()}

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remember."""
        ours = (
            self.files,
            self.sysctls,
            self.timeouts,
            self.addresses,
            self.tunnels,
            self.gue_ports,
            self.units,
            self.routes,
            self.services,
        )
        return not any(ours)
