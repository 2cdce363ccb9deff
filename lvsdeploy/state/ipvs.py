"""The IPVS table: virtual services and their destinations, in ipvsadm's terms.

`ipvsadm -Sn` is read into these, and lines for `ipvsadm` are written from them; `parse(render(x)) == x`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from lvsdeploy.inventory.model import IPAddress, Protocol


class Forwarding(StrEnum):
    """How packets reach a destination, by ipvsadm's flag."""

    DR = "-g"
    NAT = "-m"
    TUN = "-i"


@dataclass(frozen=True)
class ServiceKey:
    """What tells virtual services apart: protocol, VIP and port, or a firewall mark."""

    protocol: Protocol | None
    address: str  # the VIP in its canonical form; "" for a firewall mark
    port: int
    fwmark: int = 0

    def __lt__(self, other: ServiceKey) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[int, str, str, int]:
        return self.fwmark, self.protocol or "", self.address, self.port

    def __str__(self) -> str:
        if self.fwmark:
            return f"fwmark {self.fwmark}"
        assert self.protocol is not None  # noqa: S101 — only a mark has none
        return f"{self.protocol} {_with_port(self.address, self.port)}"

    def flags(self) -> tuple[str, ...]:
        """The words that name this service in an ipvsadm command."""
        if self.fwmark:
            return ("-f", str(self.fwmark))
        flag = {Protocol.TCP: "-t", Protocol.UDP: "-u", Protocol.SCTP: "--sctp-service"}
        assert self.protocol is not None  # noqa: S101 — only a mark has none
        return (flag[self.protocol], _with_port(self.address, self.port))


@dataclass(frozen=True, order=True)
class TableDestination:
    """A destination as it stands in the table."""

    address: str  # the RIP in its canonical form
    port: int
    forwarding: Forwarding
    weight: int

    @property
    def key(self) -> tuple[str, int]:
        return (self.address, self.port)

    def __str__(self) -> str:
        return _with_port(self.address, self.port)

    def options(self) -> tuple[str, ...]:
        return ("-r", str(self), self.forwarding.value, "-w", str(self.weight))


@dataclass(frozen=True)
class VirtualService:
    """A virtual service as it stands in the table. Destinations are sorted by address and port."""

    key: ServiceKey
    scheduler: str
    scheduler_flags: tuple[str, ...] = ()
    persistence: int | None = None  # seconds
    netmask: str = ""  # of persistence, "" for one client each
    one_packet: bool = False
    destinations: tuple[TableDestination, ...] = ()

    def options(self) -> tuple[str, ...]:
        """The words of `ipvsadm -A` after the service."""
        words = ["-s", self.scheduler]
        if self.persistence is not None:
            words += ["-p", str(self.persistence)]
            if self.netmask:
                words += ["-M", self.netmask]
        if self.one_packet:
            words.append("-o")
        if self.scheduler_flags:
            words += ["-b", ",".join(self.scheduler_flags)]
        return tuple(words)


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def canonical(address: IPAddress | str) -> str:
    """An address as the tables and messages here write it."""
    return str(ip_address(address) if isinstance(address, str) else address)
