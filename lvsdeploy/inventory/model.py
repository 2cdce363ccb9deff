"""A cluster as declared: the typed, frozen form of an inventory that has no errors.

Everything here is resolved: defaults are filled in, `defaults:` is merged, groups and VIP names are
looked up, secrets are read. Addresses are `ipaddress` objects. Nothing refers to YAML any more, but every
object knows its `path` in the document (`("services", "http")`), so that rules can say where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path  # noqa: TC003 - the dataclasses' types can be resolved at run time

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface


class Engine(StrEnum):
    """What drives IPVS on a director."""

    KEEPALIVED = "keepalived"
    IPVSADM = "ipvsadm"


class ForwardingMethod(StrEnum):
    """How a director hands packets to a real server."""

    DR = "dr"
    NAT = "nat"
    TUN = "tun"


class Protocol(StrEnum):
    """Transport protocol of a virtual service."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class Scheduler(StrEnum):
    """IPVS schedulers, by the names that ipvsadm takes."""

    RR = "rr"
    WRR = "wrr"
    LC = "lc"
    WLC = "wlc"
    LBLC = "lblc"
    LBLCR = "lblcr"
    SH = "sh"
    DH = "dh"
    SED = "sed"
    NQ = "nq"
    FO = "fo"
    OVF = "ovf"
    MH = "mh"
    TWOS = "twos"


@dataclass(frozen=True)
class Secret:
    """A secret's value. It shows as asterisks wherever it is printed by accident."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "********"


@dataclass(frozen=True)
class SshSettings:
    """How a host is reached; None means: what ~/.ssh/config and OpenSSH's defaults say."""

    user: str | None = None
    port: int | None = None
    become: bool = False
    identity_file: Path | None = None
    known_hosts: Path | None = None
    proxy_jump: str | None = None
    connect_timeout: float | None = None  # seconds


@dataclass(frozen=True)
class Director:
    """A machine that runs IPVS. `address` is where SSH connects; `dip` the address it forwards from."""

    name: str
    address: str
    dip: IPAddress
    interface: str
    priority: int  # VRRP, 1 to 254 (255 is the owner's)
    ssh: SshSettings = SshSettings()
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class RealServer:
    """A machine that serves. `managed` false: never logged in to."""

    name: str
    address: str
    rip: IPAddress
    interface: str | None = None  # the one that carries the RIP; None: found on the host
    tags: tuple[str, ...] = ()
    managed: bool = True
    ssh: SshSettings = SshSettings()
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vip:
    """A virtual address. `address` keeps the prefix that the directors' interface gets (default /32)."""

    address: IPInterface
    interface: str | None = None  # on the directors; None: the director's own `interface`
    name: str | None = None
    path: tuple[str, ...] = ()

    @property
    def ip(self) -> IPAddress:
        return self.address.ip


@dataclass(frozen=True)
class Vrrp:
    """How the directors agree who holds the VIPs."""

    virtual_router_id: int = 51
    advert_interval: float = 1.0  # seconds
    preempt: bool = True
    unicast: bool = True
    password: Secret | None = None
    path: tuple[str, ...] = ("vrrp",)


@dataclass(frozen=True)
class Nat:
    """The inside of a NAT cluster."""

    gateway: IPInterface
    interface: str
    configure_gateway: bool = False
    path: tuple[str, ...] = ("nat",)


@dataclass(frozen=True)
class CheckTiming:
    """Pace of a health check, in seconds; the defaults are lvsdeploy's own, and are written out."""

    interval: float = 6.0  # keepalived: delay_loop
    timeout: float = 3.0  # connect_timeout
    retries: int = 1  # further tries before a real server counts as failed
    retry_delay: float = 1.0  # delay_before_retry


@dataclass(frozen=True)
class TcpCheck:
    """The real server accepts a TCP connection."""

    port: int | None = None  # None: the port that serves
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class HttpCheck:
    """A GET of `path` is answered with one of `status`; `tls` makes it HTTPS."""

    path: str = "/"
    status: tuple[int, ...] = (200,)
    host: str | None = None  # the Host header (and SNI)
    tls: bool = False
    port: int | None = None
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class NoCheck:
    """No health check: a real server always counts as alive."""


HealthCheck = TcpCheck | HttpCheck | NoCheck


@dataclass(frozen=True)
class SorryServer:
    """Where clients go when no real server is left. `port` None: the virtual service's own."""

    address: IPAddress
    port: int | None = None


@dataclass(frozen=True)
class Destination:
    """One real server in one virtual service."""

    real_server: str  # its name
    address: IPAddress  # its RIP
    port: int
    weight: int = 1
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """One entry of `services`. It stands for one virtual service a port."""

    name: str
    vip: Vip
    ports: tuple[int, ...]
    protocol: Protocol
    mode: ForwardingMethod
    scheduler: Scheduler
    destinations: tuple[tuple[Destination, ...], ...]  # one tuple a port, in the order of `ports`
    scheduler_flags: tuple[str, ...] = ()
    persistence: int | None = None  # seconds
    persistence_netmask: IPv4Address | None = None
    one_packet: bool = False
    health_check: HealthCheck = TcpCheck()
    quorum: int = 1
    sorry_server: SorryServer | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """A whole inventory."""

    name: str
    directors: tuple[Director, ...]
    real_servers: tuple[RealServer, ...]
    services: tuple[Service, ...]
    vips: tuple[Vip, ...]  # every VIP that a service uses, each once, in order of first use
    engine: Engine = Engine.KEEPALIVED
    vrrp: Vrrp = Vrrp()
    nat: Nat | None = None
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    source: str = ""  # the inventory's file name as the user gave it
    ssh: SshSettings = SshSettings()  # how a host is reached that says nothing of its own

    def hosts(self) -> tuple[Director | RealServer, ...]:
        """Every machine, real servers first (the order in which things are added)."""
        return (*self.real_servers, *self.directors)

    def services_of(self, real_server: str) -> tuple[Service, ...]:
        """The services that a real server is part of."""
        return tuple(
            service
            for service in self.services
            if any(d.real_server == real_server for row in service.destinations for d in row)
        )
