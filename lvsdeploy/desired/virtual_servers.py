"""The virtual servers of keepalived.conf, with their real servers and health checks.

A pool with one VIP is a `virtual_server VIP PORT`. One with several is a `virtual_server group`: its real
servers are checked once, however many VIPs there are. What belongs to health checks and stands outside of
virtual servers (BFD sessions, watched files) is collected here, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from ipaddress import IPv4Address, ip_address
from itertools import pairwise
from typing import TYPE_CHECKING

from lvsdeploy.desired.table import netmask_shown, sorry_port, tunnel_shown
from lvsdeploy.inventory.health_checks import (
    PLACEHOLDERS,
    BfdCheck,
    DnsCheck,
    FileCheck,
    HealthCheck,
    HttpCheck,
    NoCheck,
    PingCheck,
    ScriptCheck,
    SmtpCheck,
    TcpCheck,
    UdpCheck,
    WithPort,
    port_of,
    timing_of,
)
from lvsdeploy.inventory.model import IPV6, ForwardingMethod
from lvsdeploy.state.ipvs import Checksum, TunnelKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lvsdeploy.inventory.model import (
        Cluster,
        Destination,
        Director,
        IPAddress,
        Pool,
        Program,
        Service,
        SorryServer,
        Tunnel,
    )

CHECK_TEMPLATES: Mapping[type[HealthCheck], str] = {
    TcpCheck: "keepalived/checks/tcp.j2",
    HttpCheck: "keepalived/checks/http.j2",
    DnsCheck: "keepalived/checks/dns.j2",
    SmtpCheck: "keepalived/checks/smtp.j2",
    UdpCheck: "keepalived/checks/udp.j2",
    PingCheck: "keepalived/checks/ping.j2",
    ScriptCheck: "keepalived/checks/script.j2",
    FileCheck: "keepalived/checks/file.j2",
    BfdCheck: "keepalived/checks/bfd.j2",
}
"""Health check -> its template. NoCheck has none: such a real server always counts as alive."""

_LONGEST_BFD_NAME = 31
"""keepalived/include/bfd.h, BFD_INAME_MAX."""
_ANY_BYTE = "xx"
_LONGEST_REPLY = 65535


@dataclass(frozen=True)
class CheckedServer:
    """One real_server of a virtual server, and how it is checked."""

    server: VirtualServer
    destination: Destination

    @property
    def check(self) -> HealthCheck:
        """Its check, with the placeholders filled in."""
        return _for(self.server.service.check_of(self.destination), self.destination, self.check_port)

    @property
    def template(self) -> str:
        """Name of the health check's template, "" when there is none."""
        return CHECK_TEMPLATES.get(type(self.server.service.check_of(self.destination)), "")

    @property
    def connect_port(self) -> int | None:
        """The port to ask on, where keepalived cannot take the one that serves."""
        check = self.server.service.check_of(self.destination)
        if not isinstance(check, WithPort):
            return None
        named = port_of(check)
        return named or (None if self.destination.port else self.check_port or None)

    @property
    def check_port(self) -> int:
        """The port that a check is about; that of a firewall mark is its first one."""
        service = self.server.service
        if self.destination.port:
            return self.destination.port
        return next((first for first, _ in service.port_ranges if first), 0)

    @property
    def interval(self) -> float | None:
        """Seconds between two checks, where that is not as the virtual server says."""
        timing = timing_of(self.check)
        return None if timing is None or timing.interval == self.server.interval else timing.interval

    @property
    def warmup(self) -> float | None:
        """Seconds that the first check may wait for, where that is not as the virtual server says."""
        timing = timing_of(self.check)
        return None if timing is None or timing.warmup == self.server.warmup else timing.warmup

    @property
    def inhibit(self) -> bool:
        """Whether it stays in the table, with weight 0, when its check fails."""
        own = self.destination.inhibit_on_failure
        return self.server.service.inhibit_on_failure if own is None else own

    @property
    def lvs_method(self) -> tuple[str, ...]:
        """Its forwarding method, where that is not the virtual server's.

        The word sets all of it: a tunnel without a type is ipip (check_parser.c, svr_forwarding_handler).
        """
        service = self.server.service
        own = _lvs_method(service.mode_of(self.destination), service.tunnel_of(self.destination))
        return () if own == self.server.lvs_method else own

    @property
    def sni(self) -> bool:
        """https: whether there is a name for the TLS handshake."""
        check = self.check
        return (
            isinstance(check, HttpCheck)
            and check.tls
            and check.sni
            and (self.server.service.virtualhost is not None or any(url.host for url in check.urls))
        )

    @property
    def notify_up(self) -> Program | None:
        return self._notify(self.destination.notify_up)

    @property
    def notify_down(self) -> Program | None:
        return self._notify(self.destination.notify_down)

    def _notify(self, program: Program | None) -> Program | None:
        if program is None:
            return None
        return replace(program, arguments=_filled(program.arguments, self.destination, self.check_port))

    @property
    def bfd_name(self) -> str:
        return bfd_name(self.destination)

    @property
    def reply(self) -> str | None:
        """udp: what the answer begins with.

        keepalived looks at lengths only where there is such a thing (check_udp.c, udp_check_thread: without
        reply_data, check_udp_reply is not called). And it refuses one whose last byte is ff (lib/parser.c,
        read_hex_str, takes that for its own sign of a bad digit): any byte behind it changes nothing.
        """
        check = self.check
        if not isinstance(check, UdpCheck):
            return None
        lengths = check.reply_min is not None or check.reply_max is not None
        if check.reply and check.reply.lower().endswith("ff"):
            return check.reply + _ANY_BYTE
        return check.reply or (_ANY_BYTE if lengths else None)

    @property
    def reply_max(self) -> int | None:
        """udp: the most bytes of an answer. keepalived's own default is 255, and what is longer fails."""
        check = self.check
        if not isinstance(check, UdpCheck) or self.reply is None:
            return None
        return _LONGEST_REPLY if check.reply_max is None else check.reply_max


@dataclass(frozen=True)
class VirtualServer:
    """One virtual_server: a pool of a service."""

    service: Service
    pool: Pool

    @property
    def group(self) -> str | None:
        """The name of its virtual_server_group; None for a single VIP, and for a firewall mark."""
        if self.service.fwmark or len(self.pool.vips) == 1:
            return None
        family = ":6" if self.pool.version == IPV6 else ""
        return f"{self.service.name}:{self.pool.port}{family}"

    @property
    def head(self) -> tuple[str, ...]:
        """What stands behind `virtual_server`."""
        if self.service.fwmark:
            return ("fwmark", str(self.service.fwmark))
        if self.group is not None:
            return ("group", self.group)
        return (str(self.pool.vips[0].ip), str(self.pool.port))

    @property
    def family(self) -> str:
        """That of a mark's virtual server: it has no address that tells. A word after the mark is ignored."""
        if not self.service.fwmark:
            return ""
        return "inet6" if self.pool.version == IPV6 else "inet"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The group's VIPs; runs of IPv4 addresses are one range."""
        return tuple(_ranges([vip.ip for vip in self.pool.vips]))

    @property
    def flags(self) -> tuple[str, ...]:
        """Scheduler flags; each is a keyword that must come after lvs_sched (lbflags_handler)."""
        return tuple(sorted(self.service.scheduler_flags))

    @property
    def granularity(self) -> str:
        """What counts as one client: a netmask, or for IPv6 the length of a prefix; "" for each by itself."""
        if self.pool.version == IPV6:
            return str(self.service.persistence_prefix or "")
        return netmask_shown(self.service.persistence_netmask)

    @property
    def lvs_method(self) -> tuple[str, ...]:
        """The forwarding method, which real servers inherit."""
        return _lvs_method(self.service.mode, self.service.tunnel)

    @property
    def sorry_method(self) -> tuple[str, ...]:
        """That of the sorry server."""
        return _lvs_method(self.service.sorry_mode, self.service.sorry_tunnel)

    @property
    def sorry_server(self) -> SorryServer | None:
        """The one that it can have: keepalived refuses one of the other family, but for a tunnel."""
        return self.service.sorry_of(self.pool)

    @property
    def sorry_port(self) -> int:
        return sorry_port(self.service, self.pool)

    @property
    def real_servers(self) -> tuple[CheckedServer, ...]:
        return tuple(CheckedServer(self, destination) for destination in self.pool.destinations)

    @property
    def checked(self) -> bool:
        """Whether any of its real servers is checked."""
        return any(not isinstance(self.service.check_of(d), NoCheck) for d in self.pool.destinations)

    @property
    def interval(self) -> float | None:
        """Seconds between two checks of a real server that says nothing else."""
        timing = timing_of(self.service.health_check)
        return None if timing is None else timing.interval

    @property
    def warmup(self) -> float:
        timing = timing_of(self.service.health_check)
        return 0.0 if timing is None else timing.warmup


@dataclass(frozen=True)
class BfdSession:
    """One bfd_instance: a session between this director and a real server."""

    name: str
    source: IPAddress
    neighbor: IPAddress
    check: BfdCheck


def virtual_servers(cluster: Cluster) -> tuple[VirtualServer, ...]:
    """In inventory order: it depends on no director, so it is the same on all of them."""
    return tuple(VirtualServer(service, pool) for service in cluster.services for pool in service.pools)


def bfd_sessions(cluster: Cluster, director: Director) -> tuple[BfdSession, ...]:
    """One a real server and address family, however many services use it; sorted by name."""
    found = {}
    for entry in _entries(cluster):
        check, destination = entry.check, entry.destination
        source = director.dip_of(destination.address.version)
        if isinstance(check, BfdCheck) and source is not None:
            name = bfd_name(destination)
            found[name] = BfdSession(name, source, destination.address, check)
    return tuple(found[name] for name in sorted(found))


def track_files(cluster: Cluster) -> tuple[str, ...]:
    """The files that health checks watch, each once, sorted. They are called by their paths."""
    return tuple(
        sorted({entry.check.path for entry in _entries(cluster) if isinstance(entry.check, FileCheck)})
    )


def bfd_name(destination: Destination) -> str:
    """A session's name: the real server's, shortened where keepalived would cut it."""
    family = "/6" if destination.address.version == IPV6 else ""
    name = destination.real_server + family
    if len(name) <= _LONGEST_BFD_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:10]
    return f"{name[: _LONGEST_BFD_NAME - len(digest) - 1]}/{digest}"


def _entries(cluster: Cluster) -> Iterator[CheckedServer]:
    for server in virtual_servers(cluster):
        yield from server.real_servers


def _for(check: HealthCheck, destination: Destination, port: int) -> HealthCheck:
    """A check of one real server: what stands in braces filled in."""
    if isinstance(check, ScriptCheck):
        return replace(check, arguments=_filled(check.arguments, destination, port))
    if isinstance(check, FileCheck):
        return replace(check, path=_filled((check.path,), destination, port)[0])
    return check


def _filled(texts: Iterable[str], destination: Destination, port: int) -> tuple[str, ...]:
    """Texts with what stands in braces filled in."""
    values = dict(zip(PLACEHOLDERS, (destination.address, port, destination.real_server), strict=True))

    def filled(text: str) -> str:
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    return tuple(map(filled, texts))


def _ranges(addresses: Iterable[IPAddress]) -> Iterator[str]:
    """`192.0.2.50-59` for those that follow one another in the last byte, which is all keepalived counts.

    (keepalived/check/check_data.c, alloc_vsg_entry.)
    """
    fours = sorted(int(address) for address in addresses if isinstance(address, IPv4Address))
    starts = [0] + [at for at, (a, b) in enumerate(pairwise(fours), 1) if b != a + 1 or b % 256 == 0]
    for start, end in zip(starts, [*starts[1:], len(fours)], strict=True):
        first, last = fours[start:end][:1], fours[start:end][-1:]
        if first:
            yield str(ip_address(first[0])) + (f"-{last[0] % 256}" if last != first else "")
    yield from (str(address) for address in addresses if not isinstance(address, IPv4Address))


def _lvs_method(mode: ForwardingMethod, declared: Tunnel) -> tuple[str, ...]:
    """`TUN type gue port 6080 csum` (check_parser.c, svr_forwarding_handler, since 2.0.18).

    ipip is the default, which older ones have no word for.
    """
    tunnel = tunnel_shown(mode, declared)
    words = [mode.upper()]
    if tunnel is None:
        return tuple(words)
    if tunnel.kind is not TunnelKind.IPIP:
        words += ["type", tunnel.kind.value]
        words += ["port", str(tunnel.port)] if tunnel.port else []
        words += [tunnel.checksum.value] if tunnel.checksum is not Checksum.NONE else []
    return tuple(words)
