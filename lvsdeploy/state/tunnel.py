"""Tunnel interfaces, which unwrap the packets of mode tun, and the UDP ports of GUE.

The kernel gives an unwrapped packet to the interface of the outer packet's protocol that fits its addresses
best: one for this RIP, or else the protocol's own, which comes with its module (`tunl0`, `gre0` ...).
https://man7.org/linux/man-pages/man8/ip-link.8.html, ip-fou(8)
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import IPAddress

TUNL0 = "tunl0"
"""The interface of IPv4 in IPv4; it comes with the module ipip, and only with that does it go."""
OURS = re.compile(r"tunl0|lvs-(?:gre6?|sit|ip6)-[0-9a-f]{6}")
"""Interfaces that lvsdeploy makes or uses."""


class LinkKind(StrEnum):
    """What an interface unwraps, by the word of `ip link add type`."""

    IPIP = "ipip"  # IPv4 in IPv4
    SIT = "sit"  # IPv6 in IPv4
    IP6TNL = "ip6tnl"  # both in IPv6
    GRE = "gre"  # both in GRE in IPv4
    IP6GRE = "ip6gre"  # both in GRE in IPv6

    @property
    def module(self) -> str:
        """The kernel module that has it."""
        return _MODULES[self]


_MODULES = {
    LinkKind.IPIP: "ipip",
    LinkKind.SIT: "sit",
    LinkKind.IP6TNL: "ip6_tunnel",
    LinkKind.GRE: "ip_gre",
    LinkKind.IP6GRE: "ip6_gre",
}
_NAMES = {
    LinkKind.SIT: "lvs-sit",
    LinkKind.IP6TNL: "lvs-ip6",
    LinkKind.GRE: "lvs-gre",
    LinkKind.IP6GRE: "lvs-gre6",
}
GUE_MODULE = "fou"


@dataclass(frozen=True)
class TunnelLink:
    """A tunnel interface that takes packets from every director.

    `local`: the RIP that they are sent to; None takes all that no other interface is for. `options` are
    those words of `ip -d link show` that decide which packets it takes: `any` (ip6tnl: IPv4 and IPv6),
    `icsum` (gre: packets with a checksum, and no others), `external`, `ikey`; None: not read.
    """

    name: str
    kind: LinkKind
    local: IPAddress | None = None
    up: bool = True
    options: frozenset[str] | None = frozenset()

    @property
    def built_in(self) -> bool:
        """Whether it comes with its module and stays as it is, but for up and down."""
        return self.name == TUNL0

    @property
    def words(self) -> tuple[str, ...]:
        """What `ip link add name NAME` takes."""
        if self.built_in:
            return ("type", self.kind.value)
        options = self.options or frozenset()
        words = ["type", self.kind.value]
        if self.kind is LinkKind.IP6TNL:
            words += ["mode", "any"] if "any" in options else []
        if self.local is not None:
            words += ["local", str(self.local)]
        return (*words, "remote", "any", *sorted(options - {"any"}))

    def differs(self, other: TunnelLink) -> bool:
        """Whether another link of this name would not take the same packets, up or down."""
        if self.built_in:
            return False
        known = None not in (self.options, other.options)
        return (self.kind, self.local) != (other.kind, other.local) or (
            known and self.options != other.options
        )


def link_for(kind: LinkKind, rip: IPAddress, *, checksum: bool = False) -> TunnelLink:
    """The interface that unwraps what directors send to `rip`; `checksum` is GRE's.

    It asks for the checksum or has none of it (ip_tunnel_rcv), and there is one such interface for a RIP. The
    name is the same in each cluster that needs the same.
    """
    if kind is LinkKind.IPIP:
        return TunnelLink(TUNL0, kind)
    options = {"any"} if kind is LinkKind.IP6TNL else {"icsum"} if checksum else set()
    digest = hashlib.sha256(f"{kind} {rip}".encode()).hexdigest()
    return TunnelLink(f"{_NAMES[kind]}-{digest[:6]}", kind, rip, options=frozenset(options))


@dataclass(frozen=True, order=True)
class GuePort:
    """A UDP port on which the kernel unwraps GUE; `version` of IP, 4 or 6."""

    port: int
    version: int = IPV4

    def __str__(self) -> str:
        return f"{self.port}/{self.version}"

    @property
    def words(self) -> tuple[str, ...]:
        """What `ip` takes before and after `fou add`: the family, the port."""
        return f"-{self.version}", str(self.port)
