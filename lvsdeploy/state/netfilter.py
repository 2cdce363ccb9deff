"""Netfilter rules: what the firewall of a host does to the packets of virtual services.

`nft.py` and `iptables.py` beside this write them for the two programs, and read what the kernel shows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network, IPv6Network

    from lvsdeploy.inventory.model import IPAddress, Protocol

    IPNetwork = IPv4Network | IPv6Network

LAST_PORT = 65535
_LONGEST = 24
"""A chain's name has 28 characters at most (XT_EXTENSION_MAXNAMELEN, x_tables.h), and ours has an ending."""


class Firewall(StrEnum):
    """The program that rules are loaded with."""

    NFT = "nft"
    IPTABLES = "iptables"


@dataclass(frozen=True)
class Mark:
    """Packets to `address` and these ports get the firewall mark, before IPVS sees them.

    `ports` are ranges (first, last), sorted and apart from each other; () for all ports.
    """

    address: IPAddress
    protocol: Protocol
    ports: tuple[tuple[int, int], ...]
    mark: int

    def __str__(self) -> str:
        ports = ", ".join(map(shown, self.ports)) or "all"
        return f"mark {self.mark} for {self.protocol} to {self.address}, ports {ports}"


@dataclass(frozen=True)
class Masquerade:
    """Requests to the VIP that come from `clients` leave with the director's own address as their source.

    For clients beside the real servers, whose answers would reach them directly. IPVS has then changed the
    destination already: the connection tracking still knows the VIP, if net.ipv4.vs.conntrack is 1.
    https://docs.kernel.org/networking/ipvs-sysctl.html (conntrack)
    """

    vip: IPAddress
    clients: IPNetwork

    def __str__(self) -> str:
        return f"masquerade {self.clients} on the way to {self.vip}"


@dataclass(frozen=True)
class ClampMss:
    """No answer to a new connection to the VIP asks for TCP segments of more than `mss` bytes."""

    vip: IPAddress
    mss: int

    def __str__(self) -> str:
        return f"MSS of {self.vip} at most {self.mss}"


Rule = Mark | Masquerade | ClampMss


@dataclass(frozen=True)
class Ruleset:
    """The rules of one cluster on one host; `of` puts them in order, and only then two can be compared.

    `strange` is what else was found among them, or was missing around them, in the host's own words.
    """

    program: Firewall
    marks: tuple[Mark, ...] = ()
    masquerades: tuple[Masquerade, ...] = ()
    clamps: tuple[ClampMss, ...] = ()
    strange: tuple[str, ...] = ()

    @classmethod
    def of(cls, program: Firewall, rules: Iterable[Rule], strange: Iterable[str] = ()) -> Ruleset:
        """These rules in order, each once; marks that differ in their ports alone are one."""
        every = tuple(dict.fromkeys(rules))
        marks: dict[tuple[int, IPAddress, Protocol], tuple[tuple[int, int], ...]] = {}
        for rule in every:
            if isinstance(rule, Mark):
                key = (rule.mark, rule.address, rule.protocol)
                before = marks.get(key)
                whole = rule.ports == () or before == ()
                marks[key] = () if whole else joined((*(before or ()), *rule.ports))
        return cls(
            program,
            tuple(
                Mark(address, protocol, ports, mark)
                for (mark, address, protocol), ports in sorted(
                    marks.items(), key=lambda item: (item[0][0], _order(item[0][1]), item[0][2])
                )
            ),
            tuple(
                sorted(
                    (rule for rule in every if isinstance(rule, Masquerade)),
                    key=lambda rule: (_order(rule.vip), int(rule.clients[0]), rule.clients.prefixlen),
                )
            ),
            tuple(
                sorted(
                    (rule for rule in every if isinstance(rule, ClampMss)),
                    key=lambda rule: (_order(rule.vip), rule.mss),
                )
            ),
            tuple(strange),
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (*self.marks, *self.masquerades, *self.clamps)

    def has_family(self, version: int) -> bool:
        """Whether a rule is about addresses of this family, 4 or 6."""
        return any(address_of(rule).version == version for rule in self.rules)

    def lacks(self, wanted: Ruleset) -> tuple[Rule, ...]:
        """What `wanted` has and this has not."""
        return tuple((Counter(wanted.rules) - Counter(self.rules)).elements())


def address_of(rule: Rule) -> IPAddress:
    """The VIP that a rule is about."""
    return rule.address if isinstance(rule, Mark) else rule.vip


def joined(ports: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Port ranges, sorted, those that meet joined; () for all ports."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ports):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return () if found == [(0, LAST_PORT)] else tuple(found)


def shown(ports: tuple[int, int], between: str = "-") -> str:
    """A range of ports; a single one by itself."""
    first, last = ports
    return str(first) if first == last else f"{first}{between}{last}"


def read_ports(text: str, between: str = "-") -> tuple[int, int]:
    """The range that `shown` wrote. ValueError for anything else."""
    first, found, last = text.strip().partition(between)
    ports = (number(first, LAST_PORT), number(last if found else first, LAST_PORT))
    if ports[0] > ports[1]:
        raise ValueError(text)
    return ports


def number(text: str, largest: int) -> int:
    """A plain decimal number up to `largest`. ValueError for anything else."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(largest)) or int(text) > largest:
        raise ValueError(text)
    return int(text)


def table_name(cluster: str) -> str:
    """What the table of a cluster is called in nft."""
    return f"lvsdeploy-{cluster}"


def chain_name(cluster: str) -> str:
    """What the names of a cluster's chains in iptables begin with: as the table, if it is not too long."""
    name = table_name(cluster)
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 7]}-{hashlib.sha256(cluster.encode()).hexdigest()[:6]}"


def _order(address: IPAddress) -> tuple[int, int]:
    return address.version, int(address)
