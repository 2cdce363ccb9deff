"""Netfilter rules: what the firewall of a host does to the packets of virtual services.

`nft.py` and `iptables.py` beside this write them for the two programs, and read what the kernel shows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import groupby
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Network, IPv6Network

    from lvsdeploy.inventory.model import IPAddress, Protocol

    IPNetwork = IPv4Network | IPv6Network

LAST_PORT = 65535
MOST_ADDRESSES = 65536
"""So many addresses of one rule are believed: what a host shows may be anything."""
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
        return str(MarkGroup(((self.address, self.address),), self.protocol, self.ports, self.mark))


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
                    marks.items(),
                    key=lambda item: (item[0][0], item[0][1].version, item[0][2], item[1], int(item[0][1])),
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
    found = _joined(ports)
    return () if found == [(0, LAST_PORT)] else tuple(found)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


@dataclass(frozen=True)
class MarkGroup:
    """Marks that differ in their address alone, as one rule: a packet meets few rules, however many the VIPs.

    `ranges` of addresses are (first, last), sorted and apart from each other.
    """

    ranges: tuple[tuple[IPAddress, IPAddress], ...]
    protocol: Protocol
    ports: tuple[tuple[int, int], ...]
    mark: int

    def __str__(self) -> str:
        addresses = [str(first) if first == last else f"{first}-{last}" for first, last in self.ranges]
        ports = ", ".join(map(shown, self.ports)) or "all"
        return f"mark {self.mark} for {self.protocol} to {', '.join(addresses)}, ports {ports}"

    @property
    def version(self) -> int:
        """The address family, 4 or 6."""
        return self.ranges[0][0].version

    def marks(self) -> Iterator[Mark]:
        """A mark for each address."""
        for first, last in self.ranges:
            for number in range(int(first), int(last) + 1):
                yield Mark(type(first)(number), self.protocol, self.ports, self.mark)

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return sum(int(last) - int(first) + 1 for first, last in self.ranges)


def _but_address(mark: Mark) -> tuple[int, Protocol, tuple[tuple[int, int], ...], int]:
    return mark.address.version, mark.protocol, mark.ports, mark.mark


def grouped(marks: Iterable[Mark]) -> Iterator[MarkGroup]:
    """Marks that stand beside each other and go together, in their order."""
    for (version, *_), several in groupby(marks, _but_address):
        same = list(several)
        kind = IPv4Address if version == IPV4 else IPv6Address
        numbers = _joined({(int(mark.address), int(mark.address)) for mark in same})
        ranges = tuple((kind(first), kind(last)) for first, last in numbers)
        yield MarkGroup(ranges, same[0].protocol, same[0].ports, same[0].mark)


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


def read_addresses(text: str) -> tuple[IPAddress, IPAddress]:
    """(first, last) of an address, a range `A-B` or a prefix `A/N`. ValueError for anything else."""
    first, found, last = text.strip().partition("-")
    if not found:
        network = ip_network(first)
        return network[0], network[-1]
    ends = ip_address(first), ip_address(last)
    if ends[0].version != ends[1].version or int(ends[0]) > int(ends[1]):
        raise ValueError(text)
    return ends


def read_marks(
    ranges: tuple[tuple[IPAddress, IPAddress], ...],
    protocol: Protocol,
    ports: tuple[tuple[int, int], ...],
    mark: int,
) -> list[Rule]:
    """The marks of one rule. ValueError for more addresses than anybody declares."""
    group = MarkGroup(ranges, protocol, ports, mark)
    if group.size > MOST_ADDRESSES:
        raise ValueError("too many addresses")
    return list(group.marks())


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
