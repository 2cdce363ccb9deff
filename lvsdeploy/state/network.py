"""Addresses on interfaces, and routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from lvsdeploy.inventory.model import IPAddress, IPInterface


LOOPBACK = "lo"
MAIN = "main"
"""The table of routes that is looked at unless a rule says otherwise."""


@dataclass(frozen=True)
class Address:
    """One address on one interface."""

    interface: str
    address: IPInterface

    def __str__(self) -> str:
        return f"{self.address} on {self.interface}"


@dataclass(frozen=True)
class Route:
    """A default route. `metric` 0 is the kernel's default and the most preferred.

    `interface` is None when any will do (a declared route leaves it to the kernel). `words` are those that
    `ip route show` printed, which put the route back as it was; empty when they are not known or not plain.
    `version` is the address family, 4 or 6. `advertised`: a router's advertisement set it (RFC 4861), and
    sets it again and again.
    """

    via: IPAddress | None
    interface: str | None = None
    metric: int = 0
    version: int = 4
    words: tuple[str, ...] = field(default=(), compare=False, repr=False)
    advertised: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        words = ["default"]
        if self.via is not None:
            words.append(f"via {self.via}")
        if self.interface is not None:
            words.append(f"dev {self.interface}")
        return " ".join(words)


@dataclass(frozen=True)
class Rule:
    """A rule of policy routing that asks for the source alone: whose routes a packet takes.

    `source` None: every packet. `passes_default`: the table's default route does not count, only those that
    say more (suppress_prefixlength of ip-rule(8)).
    """

    source: IPv4Network | IPv6Network | None
    table: str
    passes_default: bool = False

    def matches(self, source: IPAddress) -> bool:
        """Whether packets from `source` go by this rule."""
        return self.source is None or source in self.source


@dataclass(frozen=True)
class Way:
    """How the kernel would send to one address: by which interface, and in packets of how many bytes at most.

    `mtu` None: as many as the interface takes.
    """

    interface: str
    mtu: int | None = None


def default_route(via: IPAddress) -> Route:
    """A default route as it is declared."""
    return Route(via, version=via.version)
