"""A cluster as declared: the typed, frozen form of an inventory that has no errors.

Everything here is resolved: defaults are filled in, `defaults:` is merged, groups and VIP names are
looked up, secrets are read. Addresses are `ipaddress` objects. Nothing refers to YAML any more, but every
object knows its `path` in the document (`("services", "http")`), so that rules can say where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path  # noqa: TC003 - the dataclasses' types can be resolved at run time
from typing import TYPE_CHECKING

from lvsdeploy.inventory.health_checks import HealthCheck, TcpCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPV4, IPV6 = 4, 6


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


class TunnelType(StrEnum):
    """What a packet is wrapped in on its way to a real server, in mode tun."""

    IPIP = "ipip"
    GRE = "gre"
    GUE = "gue"


@dataclass(frozen=True)
class Director:
    """A machine that runs IPVS. `address` is where SSH connects; `dip` the address it forwards from.

    `dip6` is an IPv6 DIP beside an IPv4 one, for VIPs of both families.
    """

    name: str
    address: str
    dip: IPAddress
    interface: str
    priority: int  # VRRP, 1 to 254 (255 is the owner's)
    ssh: SshSettings = SshSettings()
    dip6: IPv6Address | None = None
    path: tuple[str, ...] = ()

    def dip_of(self, version: int) -> IPAddress | None:
        """The DIP of an address family (4 or 6)."""
        return _of_family(self.dip, self.dip6, version)

    @property
    def dips(self) -> tuple[IPAddress, ...]:
        """Every DIP, the first one first."""
        return (self.dip,) if self.dip6 is None else (self.dip, self.dip6)


@dataclass(frozen=True)
class RealServer:
    """A machine that serves. `managed` false: never logged in to.

    `rip6` is an IPv6 RIP beside an IPv4 one. A real server with a director's name is that director.
    """

    name: str
    address: str
    rip: IPAddress
    interface: str | None = None  # the one that carries the RIP; None: found on the host
    tags: tuple[str, ...] = ()
    managed: bool = True
    ssh: SshSettings = SshSettings()
    rip6: IPv6Address | None = None
    path: tuple[str, ...] = ()

    def rip_of(self, version: int) -> IPAddress | None:
        """The RIP of an address family (4 or 6)."""
        return _of_family(self.rip, self.rip6, version)

    @property
    def rips(self) -> tuple[IPAddress, ...]:
        """Every RIP, the first one first."""
        return (self.rip,) if self.rip6 is None else (self.rip, self.rip6)


def _of_family(first: IPAddress, sixth: IPv6Address | None, version: int) -> IPAddress | None:
    return first if first.version == version else sixth if version == IPV6 else None


@dataclass(frozen=True)
class Vip:
    """A virtual address. `address` keeps the prefix that the directors' interface gets (default /32)."""

    address: IPInterface
    interface: str | None = None  # on the directors; None: the director's own `interface`
    name: str | None = None
    path: tuple[str, ...] = ()
    group: str = ""  # of `vrrp.groups`; "" for the one of all VIPs without a group

    @property
    def ip(self) -> IPAddress:
        return self.address.ip


@dataclass(frozen=True)
class TrackedInterface:
    """An interface that VRRP watches. `weight` 0: without it the director gives up its VIPs."""

    interface: str
    weight: int = 0


@dataclass(frozen=True)
class TrackScript:
    """A program that VRRP runs again and again. Times are seconds. `weight` as of an interface."""

    name: str
    path: str
    arguments: tuple[str, ...] = ()
    interval: int = 1
    timeout: int | None = None  # None: keepalived's, the interval
    rise: int = 1
    fall: int = 1
    weight: int = 0
    user: str | None = None  # None: root


@dataclass(frozen=True)
class Garp:
    """How often a MASTER says where its VIPs are. Times are seconds; None: as keepalived does by itself."""

    delay: int = 2
    repeat: int | None = None
    refresh: int = 60
    refresh_repeat: int | None = None
    interval: float | None = None
    lower_prio_delay: int | None = None
    lower_prio_repeat: int | None = None


@dataclass(frozen=True)
class VrrpNotify:
    """Programs of the directors that are run when VRRP's state changes."""

    master: str | None = None
    backup: str | None = None
    fault: str | None = None
    stop: str | None = None
    any: str | None = None
    user: str | None = None  # None: root

    def scripts(self) -> tuple[tuple[str, str], ...]:
        """(what happened, the program) of those that are declared."""
        named = (
            ("master", self.master),
            ("backup", self.backup),
            ("fault", self.fault),
            ("stop", self.stop),
            ("any", self.any),
        )
        return tuple((name, path) for name, path in named if path is not None)


@dataclass(frozen=True)
class VrrpGroup:
    """Several VIPs with a virtual router and a MASTER of their own. `master` None: as priorities say."""

    name: str
    virtual_router_id: int
    master: str | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyncDaemonOptions:
    """How directors copy their connections to each other; None: the kernel's own default."""

    interface: str
    syncid: int
    max_length: int | None = None  # bytes
    port: int | None = None
    group: IPAddress | None = None
    ttl: int | None = None


@dataclass(frozen=True)
class Vrrp:
    """How the directors agree who holds the VIPs."""

    virtual_router_id: int = 51
    advert_interval: float = 1.0  # seconds
    preempt: bool = True
    unicast: bool = True
    password: Secret | None = None
    path: tuple[str, ...] = ("vrrp",)
    version: int | None = None  # 2 or 3; None: what the family and the interval need
    preempt_delay: float = 0.0  # seconds
    track_interfaces: tuple[TrackedInterface, ...] = ()
    track_scripts: tuple[TrackScript, ...] = ()
    garp: Garp = Garp()
    notify: VrrpNotify = VrrpNotify()
    vmac: bool = False
    groups: tuple[VrrpGroup, ...] = ()
    sync_daemon: SyncDaemonOptions | None = None

    def group(self, name: str) -> VrrpGroup | None:
        """A group by its name; None for the one of all VIPs without a group."""
        return next((group for group in self.groups if group.name == name), None)


@dataclass(frozen=True)
class IpvsTimeouts:
    """How long a director remembers an idle connection, in seconds; None leaves it alone."""

    tcp: int | None = None
    tcp_fin: int | None = None
    udp: int | None = None

    def given(self) -> dict[str, int]:
        """Those that are declared, by name."""
        named = {"tcp": self.tcp, "tcp_fin": self.tcp_fin, "udp": self.udp}
        return {name: seconds for name, seconds in named.items() if seconds is not None}


@dataclass(frozen=True)
class Ipvs:
    """The directors' IPVS itself. `sysctls`: (NAME of net.ipv4.vs.NAME, value), sorted.

    A value is a number, or a text where the kernel has several: `sync_threshold` ("3 50"), `est_cpulist`.
    """

    timeouts: IpvsTimeouts = IpvsTimeouts()
    sysctls: tuple[tuple[str, int | str], ...] = ()
    path: tuple[str, ...] = ("ipvs",)


@dataclass(frozen=True)
class Nat:
    """The inside of a NAT cluster. `gateway6` is an IPv6 gateway beside an IPv4 one."""

    gateway: IPInterface
    interface: str
    configure_gateway: bool = False
    masquerade: bool = False
    gateway6: IPv6Interface | None = None
    path: tuple[str, ...] = ("nat",)

    @property
    def gateways(self) -> tuple[IPInterface, ...]:
        """Every gateway, the first one first."""
        return (self.gateway,) if self.gateway6 is None else (self.gateway, self.gateway6)

    def gateway_of(self, version: int) -> IPInterface | None:
        """The gateway of an address family (4 or 6)."""
        return next((gateway for gateway in self.gateways if gateway.version == version), None)


@dataclass(frozen=True)
class Tunnel:
    """How packets travel to real servers in mode tun.

    `port` is GUE's UDP port; `checksum` "" for none, or `csum`, `remcsum`. `clamp_mss`: the largest TCP
    segment that a real server asks clients for, in bytes; None leaves it alone.
    """

    type: TunnelType = TunnelType.IPIP
    port: int = 6080
    checksum: str = ""
    clamp_mss: int | None = None


@dataclass(frozen=True)
class Program:
    """A program of the directors that keepalived runs when something happens."""

    path: str
    arguments: tuple[str, ...] = ()
    user: str = "root"

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return (self.path, *self.arguments)


@dataclass(frozen=True)
class SorryServer:
    """Where clients go when no real server is left. `port` None: the virtual service's own.

    `mode` and `tunnel` None: the service's own. `inhibit`: it stays in the table with weight 0 while it is
    not needed.
    """

    address: IPAddress
    port: int | None = None
    mode: ForwardingMethod | None = None
    inhibit: bool = False
    tunnel: Tunnel | None = None


@dataclass(frozen=True)
class Destination:
    """One real server in one virtual service.

    `port` is 0 in a service by firewall mark, unless it has one of its own. What is None is as the service
    says.
    """

    real_server: str  # its name
    address: IPAddress  # its RIP
    port: int
    weight: int = 1
    path: tuple[str, ...] = ()
    upper: int = 0  # at so many connections it gets no new one; 0: no limit
    lower: int = 0  # until there are fewer than this; 0: three quarters of `upper`
    health_check: HealthCheck | None = None
    inhibit_on_failure: bool | None = None
    notify_up: Program | None = None  # {rip}, {port} and {real_server} in its arguments are filled in
    notify_down: Program | None = None
    mode: ForwardingMethod | None = None
    tunnel: Tunnel | None = None


@dataclass(frozen=True)
class Pool:
    """What one virtual service, or several that differ in their VIP alone, is made of.

    `vips` are of one address family. `port` is 0 for all ports, and for a firewall mark.
    """

    port: int
    vips: tuple[Vip, ...]
    destinations: tuple[Destination, ...]

    @property
    def version(self) -> int:
        """The VIPs' address family, 4 or 6."""
        return self.vips[0].ip.version


@dataclass(frozen=True)
class Service:
    """One entry of `services`.

    It stands for a virtual service for each VIP of each pool; with a firewall mark, for one a pool.
    """

    name: str
    protocol: Protocol
    mode: ForwardingMethod
    scheduler: Scheduler
    pools: tuple[Pool, ...]  # ports in their order, and for each IPv4 before IPv6
    port_ranges: tuple[tuple[int, int], ...] = ()  # as written: (first, last), a single port as both
    fwmark: int = 0
    protocols: tuple[Protocol, ...] = ()  # what is marked; without a mark, `protocol` alone
    tunnel: Tunnel = Tunnel()
    scheduler_flags: tuple[str, ...] = ()
    persistence: int | None = None  # seconds
    persistence_netmask: IPv4Address | None = None
    persistence_prefix: int | None = None  # the same for IPv6, in bits
    persistence_engine: str = ""
    one_packet: bool = False
    health_check: HealthCheck = field(default_factory=TcpCheck)
    alpha: bool = True  # a real server counts as failed until its first check has succeeded
    omega: bool = False  # notify scripts run when keepalived stops, too
    quorum: int = 1
    hysteresis: int = 0
    quorum_up: Program | None = None
    quorum_down: Program | None = None
    sorry_server: SorryServer | None = None
    inhibit_on_failure: bool = False
    virtualhost: str | None = None
    path: tuple[str, ...] = ()

    @property
    def vips(self) -> tuple[Vip, ...]:
        """Every VIP, each once, in order of first use."""
        return tuple({vip.ip: vip for pool in self.pools for vip in pool.vips}.values())

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the virtual services, each once; (0,) for a firewall mark."""
        return tuple(dict.fromkeys(pool.port for pool in self.pools))

    @property
    def destinations(self) -> Iterator[Destination]:
        """Every destination of every pool."""
        return (destination for pool in self.pools for destination in pool.destinations)

    @property
    def sorry_mode(self) -> ForwardingMethod:
        """The sorry server's forwarding method."""
        return (self.sorry_server.mode if self.sorry_server else None) or self.mode

    @property
    def sorry_tunnel(self) -> Tunnel:
        """What the sorry server's packets are wrapped in, in mode tun."""
        return (self.sorry_server.tunnel if self.sorry_server else None) or self.tunnel

    def sorry_of(self, pool: Pool) -> SorryServer | None:
        """The sorry server of a pool. One of the other address family can be reached by a tunnel alone."""
        sorry = self.sorry_server
        if sorry is None or self.sorry_mode is ForwardingMethod.TUN or sorry.address.version == pool.version:
            return sorry
        return None

    def mode_of(self, destination: Destination) -> ForwardingMethod:
        """The forwarding method of one destination."""
        return destination.mode or self.mode

    def tunnel_of(self, destination: Destination) -> Tunnel:
        """What the packets of one destination are wrapped in, in mode tun."""
        return destination.tunnel or self.tunnel

    def check_of(self, destination: Destination) -> HealthCheck:
        """The health check of one destination."""
        return self.health_check if destination.health_check is None else destination.health_check

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Who gets its packets, and how: every destination and the sorry server, once an address family."""
        first: dict[int, Pool] = {}
        for pool in self.pools:
            first.setdefault(pool.version, pool)
        found = []
        for pool in first.values():
            found += [
                Part(self, pool, d.real_server, d.address, self.mode_of(d), self.tunnel_of(d), d.path)
                for d in pool.destinations
            ]
            if (sorry := self.sorry_of(pool)) is not None:
                path = (*self.path, "sorry_server")
                found.append(Part(self, pool, "", sorry.address, self.sorry_mode, self.sorry_tunnel, path))
        return tuple(found)

    @cached_property
    def modes(self) -> frozenset[ForwardingMethod]:
        """Every forwarding method that it uses."""
        return frozenset(part.mode for part in self.parts)


@dataclass(frozen=True)
class Part:
    """What a machine is in a service, for the VIPs of one address family: real server or sorry server.

    `pool` is the first one of that family: the others differ in their port alone.
    """

    service: Service
    pool: Pool
    real_server: str  # its name; "" for the sorry server
    address: IPAddress
    mode: ForwardingMethod
    tunnel: Tunnel
    path: tuple[str, ...] = ()

    @property
    def is_sorry_server(self) -> bool:
        return not self.real_server

    @property
    def who(self) -> str:
        """Its name in a sentence."""
        return self.real_server or "the sorry server"


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
    ipvs: Ipvs = Ipvs()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    source: str = ""  # the inventory's file name as the user gave it
    ssh: SshSettings = SshSettings()  # how a host is reached that says nothing of its own

    def hosts(self) -> tuple[Director | RealServer, ...]:
        """Every machine once, real servers first (the order in which things are added).

        A director that is also a real server is among the directors.
        """
        directors = {director.name for director in self.directors}
        return (*(server for server in self.real_servers if server.name not in directors), *self.directors)

    def serving(self, director: str) -> RealServer | None:
        """The real server that a director is, too (its localnode)."""
        return next((server for server in self.real_servers if server.name == director), None)

    def uses(self, mode: ForwardingMethod) -> bool:
        """Whether packets go to anybody by this forwarding method."""
        return any(mode in service.modes for service in self.services)

    @property
    def parts(self) -> Iterator[Part]:
        """Who gets packets, and how, in the order of the services."""
        return (part for service in self.services for part in service.parts)

    def parts_of(self, server: RealServer) -> tuple[Part, ...]:
        """What a machine is in services: a real server of theirs, or their sorry server."""
        return tuple(self._parts.get(server.name, ()))

    @cached_property
    def _parts(self) -> dict[str, list[Part]]:
        """The parts of each real server."""
        owners: dict[IPAddress, list[str]] = {}
        for server in self.real_servers:
            for rip in server.rips:
                owners.setdefault(rip, []).append(server.name)
        found: dict[str, list[Part]] = {}
        for part in self.parts:
            for name in owners.get(part.address, ()) if part.is_sorry_server else (part.real_server,):
                found.setdefault(name, []).append(part)
        return found

    def services_of(self, real_server: str) -> tuple[Service, ...]:
        """The services that a real server is part of."""
        return tuple(
            service
            for service in self.services
            if any(d.real_server == real_server for d in service.destinations)
        )
