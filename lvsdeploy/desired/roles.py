"""What the services of a cluster ask of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.model import Director, Engine, ForwardingMethod, RealServer

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster, IPAddress, Nat, Service


def find_host(cluster: Cluster, name: str) -> Director | RealServer:
    """The director or managed real server of this name; LvsdeployError when there is none."""
    for host in cluster.hosts():
        if host.name == name:
            if isinstance(host, RealServer) and not host.managed:
                raise LvsdeployError(f"{name} is declared `managed: false`: nothing is put there")
            return host
    raise LvsdeployError(f"cluster {cluster.name} has no host {name}")


def managed_hosts(cluster: Cluster) -> tuple[Director | RealServer, ...]:
    """The hosts that are logged in to, real servers first."""
    return tuple(
        host for host in cluster.hosts() if isinstance(host, Director) or host.managed
    )


def refuse_unbuilt(cluster: Cluster) -> None:
    """LvsdeployError for what an inventory may name and nothing here renders."""
    if cluster.engine is not Engine.KEEPALIVED:
        raise LvsdeployError(f"engine {cluster.engine} is not built yet; use keepalived")
    for service in cluster.services:
        if service.mode is ForwardingMethod.TUN:
            raise LvsdeployError(
                f"service {service.name}: mode tun is not built yet; use dr or nat"
            )


def nat_in_use(cluster: Cluster) -> Nat | None:
    """The inside of the cluster, when a service needs it."""
    if any(service.mode is ForwardingMethod.NAT for service in cluster.services):
        return cluster.nat
    return None


def route_is_managed(cluster: Cluster) -> bool:
    """Is the default route of NAT real servers set by lvsdeploy? Otherwise it is only checked."""
    nat = nat_in_use(cluster)
    return nat is not None and nat.configure_gateway


def inside_router_id(cluster: Cluster) -> int:
    """The virtual router of the inside gateway: the one after the outside's, or before it at the end."""
    outside = cluster.vrrp.virtual_router_id
    return outside + 1 if outside < _LAST_ROUTER_ID else outside - 1


def services_of(cluster: Cluster, server: RealServer) -> tuple[Service, ...]:
    """The services whose packets this machine may get: as a real server, or as the sorry server."""
    regular = cluster.services_of(server.name)
    return tuple(
        service
        for service in cluster.services
        if service in regular
        or (service.sorry_server is not None and service.sorry_server.address == server.rip)
    )


def dr_vips(cluster: Cluster, server: RealServer) -> tuple[IPAddress, ...]:
    """The VIPs that this machine must hold, sorted, each once."""
    vips = {
        service.vip.ip
        for service in services_of(cluster, server)
        if service.mode is ForwardingMethod.DR
    }
    return tuple(sorted(vips, key=lambda ip: (ip.version, int(ip))))


def needs_gateway(cluster: Cluster, server: RealServer) -> Nat | None:
    """The inside that this machine's replies go through, when it serves in NAT."""
    nat = nat_in_use(cluster)
    in_nat = any(s.mode is ForwardingMethod.NAT for s in services_of(cluster, server))
    return nat if in_nat else None


_LAST_ROUTER_ID = 255
