"""What the services of a cluster ask of each host, looked up once and not once a host."""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.model import IPV6, Director, ForwardingMethod, RealServer

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster, IPAddress, IPInterface, Nat, Part, Vip

_LAST_ROUTER_ID = 255


class Roles:
    """A cluster's hosts and what they are there for. LvsdeployError for a cluster nothing here renders."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nat = nat_in_use(cluster)

    def find(self, name: str) -> Director | RealServer:
        """The director or managed real server of this name; LvsdeployError when there is none."""
        host = self._hosts.get(name)
        if host is None:
            raise LvsdeployError(f"cluster {self.cluster.name} has no host {name}")
        if isinstance(host, RealServer) and not host.managed:
            raise LvsdeployError(f"{name} is declared `managed: false`: nothing is put there")
        return host

    def managed(self) -> tuple[Director | RealServer, ...]:
        """The hosts that are logged in to, real servers first."""
        hosts = self.cluster.hosts()
        return tuple(host for host in hosts if isinstance(host, Director) or host.managed)

    def dr_vips(self, server: RealServer) -> tuple[IPAddress, ...]:
        """The VIPs that this machine must hold, sorted, each once."""
        parts = [part for part in self.parts_of(server) if part.mode is ForwardingMethod.DR]
        vips = {vip.ip for part in parts for vip in part.pool.vips}
        return tuple(sorted(vips, key=lambda ip: (ip.version, int(ip))))

    def inside_of(self, server: RealServer) -> Nat | None:
        """The inside that this machine's replies go through, when it serves in NAT."""
        return self.nat if any(p.mode is ForwardingMethod.NAT for p in self.parts_of(server)) else None

    def gateways(self, server: RealServer) -> tuple[IPInterface, ...]:
        """The gateways that this machine's default routes lead through, one for each family that needs it."""
        inside = self.inside_of(server)
        if inside is None:
            return ()
        parts = [part for part in self.parts_of(server) if part.mode is ForwardingMethod.NAT]
        versions = {part.pool.version for part in parts}
        return tuple(gateway for gateway in inside.gateways if gateway.version in versions)

    def parts_of(self, server: RealServer) -> tuple[Part, ...]:
        """Whose packets this machine may get, and how: as a real server, or as the sorry server.

        To a director its own destination is local, in any mode: it gets packets from other directors alone.
        """
        if server.name in self._directors and len(self._directors) == 1:
            return ()
        return self.cluster.parts_of(server)

    @cached_property
    def _directors(self) -> frozenset[str]:
        return frozenset(director.name for director in self.cluster.directors)

    @cached_property
    def _hosts(self) -> dict[str, Director | RealServer]:
        return {host.name: host for host in self.cluster.hosts()}


def nat_in_use(cluster: Cluster) -> Nat | None:
    """The inside of the cluster, when somebody gets packets by NAT."""
    return cluster.nat if cluster.uses(ForwardingMethod.NAT) else None


def is_localnode(cluster: Cluster) -> bool:
    """Whether a director gets clients from others, as a real server of theirs or as the sorry server."""
    serving = [cluster.serving(director.name) for director in cluster.directors]
    return len(serving) > 1 and any(server is not None and cluster.parts_of(server) for server in serving)


def route_is_managed(cluster: Cluster) -> bool:
    """Whether lvsdeploy sets the default route of NAT real servers; otherwise it is only checked."""
    nat = nat_in_use(cluster)
    return nat is not None and nat.configure_gateway


def inside_router_id(cluster: Cluster) -> int:
    """The virtual router of the inside gateway: the one after the outside's, or before it at the end."""
    outside = cluster.vrrp.virtual_router_id
    return outside + 1 if outside < _LAST_ROUTER_ID else outside - 1


def held(vip: Vip, director: Director) -> IPInterface:
    """A VIP as it stands on a director's interface.

    Of IPv6 without its prefix, where the director has an address of its own in that network. The kernel would
    take the VIP for a source: of two addresses with one prefix, the one that came last. A health check in DR
    that comes from the VIP is answered by nobody, since the real server has the VIP, too. keepalived marks
    addresses with /128, and no others, as not to be used so (deprecated: vrrp_ipaddress.c).
    """
    dip = director.dip_of(IPV6)
    if vip.ip.version == IPV6 and dip is not None and dip in vip.address.network:
        return ip_interface(vip.ip)
    return vip.address
