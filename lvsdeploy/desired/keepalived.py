"""keepalived.conf: what its templates are given.

Written for keepalived 2.0 to 2.3; each keyword was looked up in keepalived's parsers
(`keepalived/vrrp/vrrp_parser.c`, `keepalived/check/check_parser.c`) at v2.0.0 and v2.2.7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.scripts import scripts_of
from lvsdeploy.desired.table import netmask_shown
from lvsdeploy.desired.templates import words
from lvsdeploy.desired.vrrp import groups_of, password_of, sync_words, timeout_words
from lvsdeploy.inventory.model import IPV6, HttpCheck, NoCheck, TcpCheck

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import (
        Cluster,
        Destination,
        Director,
        HealthCheck,
        IPAddress,
        Service,
    )

CHECK_TEMPLATES: dict[type[HealthCheck], str] = {
    TcpCheck: "keepalived/checks/tcp.j2",
    HttpCheck: "keepalived/checks/http.j2",
}
"""Health check -> its template. NoCheck has none: such a real server always counts as alive."""


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
    groups = groups_of(cluster, director)
    return templates.render(
        "keepalived/keepalived.conf.j2",
        cluster=cluster,
        director=director,
        groups=groups,
        track_scripts=cluster.vrrp.track_scripts,
        scripts=bool(scripts_of(cluster)),
        sync_words=sync_words(cluster, groups),
        timeouts=timeout_words(cluster),
        password=password_of(cluster),
        virtual_servers=_virtual_servers(cluster),
    )


def _virtual_servers(cluster: Cluster) -> tuple[VirtualServer, ...]:
    """In inventory order: it depends on no director, so it is the same on all of them."""
    return tuple(
        VirtualServer(service, vip.ip, pool.port, pool.destinations)
        for service in cluster.services
        for pool in service.pools
        for vip in (pool.vips[:1] if service.fwmark else pool.vips)
    )
