"""keepalived.conf: what its templates are given.

Written for keepalived 2.0 to 2.3; each keyword was looked up in keepalived's parsers
(`keepalived/vrrp/vrrp_parser.c`, `keepalived/check/check_parser.c`) at v2.0.0 and v2.2.7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.roles import inside_router_id, nat_in_use
from lvsdeploy.desired.table import netmask_shown
from lvsdeploy.desired.templates import words
from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.model import IPV6, HttpCheck, NoCheck, TcpCheck

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import (
        Cluster,
        Destination,
        Director,
        HealthCheck,
        IPAddress,
        IPInterface,
        Service,
    )

CHECK_TEMPLATES: dict[type[HealthCheck], str] = {
    TcpCheck: "keepalived/checks/tcp.j2",
    HttpCheck: "keepalived/checks/http.j2",
}
"""Health check -> its template. NoCheck has none: such a real server always counts as alive."""

_PASSWORD_LENGTH = 8
"""Longer ones are cut by keepalived, with a warning (vrrp_parser.c, vrrp_auth_pass_handler)."""


@dataclass(frozen=True)
class MovingAddress:
    """An address that the MASTER holds, on `interface`."""

    address: IPInterface
    interface: str


@dataclass(frozen=True)
class Instance:
    """One vrrp_instance.

    `advertised` is the address in its adverts, `others` move with it. One address is enough in the
    adverts, and more do harm: a director drops adverts whose addresses are not exactly its own
    (vrrp.c, vrrp_check_packet), so while directors are changed one after the other, a VIP that only one
    of them knows would make both MASTER.
    `tracked` are further interfaces whose failure gives the addresses to the other director.
    """

    name: str
    state: str
    router_id: int
    advertised: MovingAddress
    others: tuple[MovingAddress, ...] = ()
    tracked: tuple[str, ...] = ()


@dataclass(frozen=True)
class VirtualServer:
    """One virtual_server: one VIP and port of a service."""

    service: Service
    vip: IPAddress
    port: int
    destinations: tuple[Destination, ...]

    @property
    def head(self) -> str:
        """What names it: a firewall mark, or VIP and port."""
        mark = self.service.fwmark
        return words(("fwmark", mark) if mark else (self.vip, self.port))

    @property
    def family(self) -> str:
        """That of a mark's virtual server: it has no address that tells. A word after the mark is ignored."""
        return ("inet6" if self.vip.version == IPV6 else "inet") if self.service.fwmark else ""

    @property
    def flags(self) -> tuple[str, ...]:
        """Scheduler flags; each is a keyword that must come after lvs_sched (lbflags_handler)."""
        return tuple(sorted(self.service.scheduler_flags))

    @property
    def netmask(self) -> str:
        return netmask_shown(self.service.persistence_netmask)

    @property
    def check(self) -> HealthCheck:
        return self.service.health_check

    def check_for(self, destination: Destination) -> HealthCheck:
        """The check of one real server. Behind a mark it may have no port: then the first one is checked."""
        check, ranges = self.check, self.service.port_ranges
        if destination.port or isinstance(check, NoCheck) or check.port or not ranges:
            return check
        return replace(check, port=ranges[0][0])

    @property
    def check_template(self) -> str:
        """Name of the health check's template, "" when there is none."""
        return "" if isinstance(self.check, NoCheck) else CHECK_TEMPLATES[type(self.check)]


def keepalived_conf(cluster: Cluster, director: Director, templates: Templates) -> bytes:
    """A director's keepalived.conf. LvsdeployError for what keepalived cannot do."""
    return templates.render(
        "keepalived/keepalived.conf.j2",
        cluster=cluster,
        director=director,
        instances=_instances(cluster, director),
        peers=_peers(cluster, director),
        password=_password(cluster),
        version=_version(cluster),
        virtual_servers=_virtual_servers(cluster),
    )


def _instances(cluster: Cluster, director: Director) -> tuple[Instance, ...]:
    state = _first_state(cluster, director)
    moving = [MovingAddress(v.address, v.interface or director.interface) for v in cluster.vips]
    # The adverts travel between the DIPs, so they carry an address of the DIPs' family.
    advertised = next((m for m in moving if m.address.version == director.dip.version), None)
    if advertised is None:
        raise LvsdeployError(
            f"cluster {cluster.name} has no VIP of its directors' address family (IPv{director.dip.version})",
            hint="Declare DIPs (`dip:`) of the VIPs' family.",
        )
    others = sorted(
        (m for m in moving if m != advertised), key=lambda m: (m.address.version, int(m.address.ip))
    )
    outside = Instance(
        name=f"{cluster.name}-outside",
        state=state,
        router_id=cluster.vrrp.virtual_router_id,
        advertised=advertised,
        others=tuple(others),
        tracked=_tracked(director, moving),
    )
    nat = nat_in_use(cluster)
    if nat is None:
        return (outside,)
    gateway = MovingAddress(nat.gateway, nat.interface)
    inside = Instance(
        name=f"{cluster.name}-inside",
        state=state,
        router_id=inside_router_id(cluster),
        advertised=gateway,
        tracked=_tracked(director, [gateway]),
    )
    return (outside, inside)


def _tracked(director: Director, moving: list[MovingAddress]) -> tuple[str, ...]:
    return tuple(sorted({m.interface for m in moving} - {director.interface}))


def _first_state(cluster: Cluster, director: Director) -> str:
    """MASTER for the director that is to be it. nopreempt wants BACKUP on all (keepalived.conf(5))."""
    if not cluster.vrrp.preempt:
        return "BACKUP"
    highest = max(cluster.directors, key=lambda d: d.priority)  # of equals, the first
    return "MASTER" if director == highest else "BACKUP"


def _peers(cluster: Cluster, director: Director) -> tuple[IPAddress, ...]:
    """The other directors' DIPs; empty for multicast.

    A director alone has no peers and sends by multicast, which nobody answers: a second director can
    be added without touching what a VIP hangs on.
    """
    if not cluster.vrrp.unicast:
        return ()
    return tuple(sorted((d.dip for d in cluster.directors if d != director), key=str))


def _password(cluster: Cluster) -> str | None:
    if cluster.vrrp.password is None:
        return None
    password = cluster.vrrp.password.reveal()
    if len(password.encode()) > _PASSWORD_LENGTH:
        raise LvsdeployError(
            f"the VRRP password has more than {_PASSWORD_LENGTH} characters",
            hint="VRRP has no room for more, and keepalived would cut it.",
        )
    if _version(cluster) is not None:
        raise LvsdeployError(
            "a VRRP password needs `advert_interval` in whole seconds",
            hint="Fractions need VRRP version 3, which has no passwords (RFC 5798).",
        )
    return password


def _version(cluster: Cluster) -> int | None:
    """VRRP version to ask for: 2, the default, has whole seconds only."""
    return None if float(cluster.vrrp.advert_interval).is_integer() else 3


def _virtual_servers(cluster: Cluster) -> tuple[VirtualServer, ...]:
    """In inventory order: it depends on no director, so it is the same on all of them."""
    return tuple(
        VirtualServer(service, vip.ip, pool.port, pool.destinations)
        for service in cluster.services
        for pool in service.pools
        for vip in (pool.vips[:1] if service.fwmark else pool.vips)
    )
