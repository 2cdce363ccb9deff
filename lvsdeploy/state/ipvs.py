"""The IPVS table: virtual services and their destinations, in ipvsadm's terms.

`ipvsadm -Sn` is read into these, and commands for `ipvsadm` are written from them; `parse(render(x)) == x`.
Words stand in the order in which `ipvsadm -Sn` prints them, so that a command can be found in what it prints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPAddress, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_IPV4, _IPV6 = 4, 6
LARGEST_PORT = 65535
LARGEST_MARK = 2**32 - 1


TIMEOUTS = {"tcp": 900, "tcp_fin": 120, "udp": 300}
"""How long the kernel remembers idle connections by itself, in seconds, in ipvsadm's order
(net/netfilter/ipvs/ip_vs_proto_tcp.c and _udp.c)."""


class Forwarding(StrEnum):
    """How packets reach a destination, by ipvsadm's flag."""

    DR = "-g"
    NAT = "-m"
    TUN = "-i"


class TunnelKind(StrEnum):
    """How a packet to a TUN destination is wrapped, by ipvsadm's word."""

    IPIP = "ipip"
    GRE = "gre"
    GUE = "gue"


class Checksum(StrEnum):
    """The checksum of a gre or gue tunnel's outer header, by ipvsadm's word."""

    NONE = "nocsum"
    CSUM = "csum"
    REMCSUM = "remcsum"  # gue only: remote checksum offload


@dataclass(frozen=True)
class Tunnel:
    """The tunnel to a TUN destination. `port` is the UDP port of gue, 0 for the other kinds.

    ValueError for what ipvsadm does not take (its table `tunnel_types_v_options`).
    """

    kind: TunnelKind = TunnelKind.IPIP
    port: int = 0
    checksum: Checksum = Checksum.NONE

    def __post_init__(self) -> None:
        if bool(self.port) is not (self.kind is TunnelKind.GUE):
            raise ValueError(f"a tunnel of type {self.kind} with port {self.port}")
        if self.checksum is not Checksum.NONE and (
            self.kind is TunnelKind.IPIP
            or (self.kind is TunnelKind.GRE and self.checksum is Checksum.REMCSUM)
        ):
            raise ValueError(f"a tunnel of type {self.kind} with {self.checksum}")

    def __str__(self) -> str:
        words: list[str] = [self.kind]
        if self.port:
            words.append(f"port {self.port}")
        if self.checksum is not Checksum.NONE:
            words.append(self.checksum)
        return " ".join(words)

    def options(self) -> tuple[str, ...]:
        """The words of `ipvsadm -a`. None for ipip, its default: before 1.30 ipvsadm knew no other kind."""
        if self.kind is TunnelKind.IPIP:
            return ()
        port = ("--tun-port", str(self.port)) if self.port else ()
        return ("--tun-type", self.kind.value, *port, f"--tun-{self.checksum}")


_FLAGS = {Protocol.TCP: "-t", Protocol.UDP: "-u", Protocol.SCTP: "--sctp-service"}
_PROTOCOLS = {flag: protocol for protocol, flag in _FLAGS.items()}


@dataclass(frozen=True)
class ServiceKey:
    """What tells virtual services apart: protocol, VIP and port, or a firewall mark and a family.

    `family` is 4 or 6. That of an address service is its VIP's, whatever is given.
    """

    protocol: Protocol | None
    address: str  # the VIP in its canonical form; "" for a firewall mark
    port: int
    fwmark: int = 0
    family: int = _IPV4

    def __post_init__(self) -> None:
        if not self.fwmark:
            object.__setattr__(self, "family", _IPV6 if ":" in self.address else _IPV4)
        elif self.family not in (_IPV4, _IPV6):
            raise ValueError(f"a firewall mark of family {self.family}")

    def __lt__(self, other: ServiceKey) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[int, int, str, str, int]:
        family = self.family if self.fwmark else 0
        return self.fwmark, family, self.protocol or "", self.address, self.port

    def __str__(self) -> str:
        if self.fwmark:
            return f"fwmark {self.fwmark}" + (" IPv6" if self.family == _IPV6 else "")
        assert self.protocol is not None  # noqa: S101 — only a mark has none
        return f"{self.protocol} {_with_port(self.address, self.port)}"

    def flags(self) -> tuple[str, ...]:
        """The words that name this service in an ipvsadm command."""
        if self.fwmark:
            return ("-f", str(self.fwmark), *(("-6",) if self.family == _IPV6 else ()))
        assert self.protocol is not None  # noqa: S101 — only a mark has none
        return (_FLAGS[self.protocol], _with_port(self.address, self.port))


@dataclass(frozen=True)
class TableDestination:
    """A destination as it stands in the table.

    `upper`: at so many connections it gets no new ones, until there are fewer than `lower` (0: three
    quarters of `upper`); `upper` 0 is no limit. `tunnel` is that of TUN (ipip, if none is given), and None
    with the other methods.
    """

    address: str  # the RIP in its canonical form
    port: int
    forwarding: Forwarding
    weight: int
    upper: int = 0
    lower: int = 0
    tunnel: Tunnel | None = None

    def __post_init__(self) -> None:
        if self.forwarding is Forwarding.TUN and self.tunnel is None:
            object.__setattr__(self, "tunnel", Tunnel())
        elif self.forwarding is not Forwarding.TUN and self.tunnel is not None:
            raise ValueError(f"a tunnel to a destination with {self.forwarding.name}")

    def __lt__(self, other: TableDestination) -> bool:
        return self.key < other.key

    @property
    def key(self) -> tuple[str, int]:
        return (self.address, self.port)

    def __str__(self) -> str:
        return _with_port(self.address, self.port)

    def options(self) -> tuple[str, ...]:
        """The words of `ipvsadm -a` after the service; an edit sets all of them, so all are given."""
        limits = []
        if self.upper:
            limits += ["-x", str(self.upper)]
        if self.lower:
            limits += ["-y", str(self.lower)]
        return ("-r", str(self), *self.method(), *limits)

    def method(self, weight: int | None = None) -> tuple[str, ...]:
        """Forwarding, weight (its own, if none is given) and tunnel: what `ipvsadm -Sn` shows."""
        shown = self.weight if weight is None else weight
        tunnel = self.tunnel.options() if self.tunnel is not None else ()
        return (self.forwarding.value, "-w", str(shown), *tunnel)


@dataclass(frozen=True)
class VirtualService:
    """A virtual service as it stands in the table. Destinations are sorted by address and port.

    `free_weights` are those of them whose weight a health check sets; a table that was read has none.
    """

    key: ServiceKey
    scheduler: str
    scheduler_flags: tuple[str, ...] = ()
    persistence: int | None = None  # seconds
    netmask: str = ""  # of persistence, "" for one client each
    one_packet: bool = False
    destinations: tuple[TableDestination, ...] = ()
    engine: str = ""  # of persistence: sip, or none
    free_weights: frozenset[tuple[str, int]] = field(default=frozenset(), compare=False)

    def options(self) -> tuple[str, ...]:
        """The words of `ipvsadm -A` after the service."""
        words = ["-s", self.scheduler]
        if self.persistence is not None:
            words += ["-p", str(self.persistence)]
            if self.netmask:
                words += ["-M", self.netmask]
        if self.engine:
            words += ["--pe", self.engine]
        if self.one_packet:
            words.append("-o")
        if self.scheduler_flags:
            words += ["-b", ",".join(self.scheduler_flags)]
        return tuple(words)


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def commands(table: Iterable[VirtualService]) -> Iterator[tuple[str, ...]]:
    """The words of the commands that make this table of an empty one; `ipvsadm -R` takes them as lines."""
    for service in table:
        words = service.key.flags()
        yield ("-A", *words, *service.options())
        for destination in service.destinations:
            yield ("-a", *words, *destination.options())


def key_of(words: Sequence[str]) -> tuple[ServiceKey, Sequence[str]]:
    """The service that words of an ipvsadm command begin with, and the other words; ValueError for none."""
    if len(words) <= 1:
        raise ValueError(words)
    flag, name, *rest = words
    if flag == "-f":
        sixth = rest[:1] == ["-6"]
        return ServiceKey(None, "", 0, mark_of(name), _IPV6 if sixth else _IPV4), rest[int(sixth) :]
    if flag not in _PROTOCOLS:
        raise ValueError(flag)
    return ServiceKey(_PROTOCOLS[flag], *split_port(name)), rest


def canonical(address: IPAddress | str) -> str:
    """An address as the tables and messages here write it."""
    return str(ip_address(address) if isinstance(address, str) else address)


def mark_of(text: str) -> int:
    """A mark as ipvsadm prints it: of the larger half it takes the highest bit for a sign."""
    shown = number(text.removeprefix("-"), LARGEST_MARK)
    mark = LARGEST_MARK + 1 - shown if text.startswith("-") else shown
    if not 0 < mark <= LARGEST_MARK:
        raise ValueError(text)
    return mark


def split_port(text: str) -> tuple[str, int]:
    """(canonical address, port) of `192.0.2.50:80` or `[2001:db8::50]:80`."""
    address, _, port = text.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return canonical(address), number(port, LARGEST_PORT)


def number(text: str, largest: int = 2**31 - 1) -> int:
    """A number as ipvsadm prints it, up to `largest`; ValueError for anything else."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(largest)):
        raise ValueError(text)
    value = int(text)
    if value > largest:
        raise ValueError(text)
    return value
