"""LVS391, LVS393: what a tunnel is for, and what its real servers serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import ForwardingMethod, Protocol, TunnelType
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Destination, Service


@rule(
    "LVS391",
    Severity.ERROR,
    "GUE and a UDP service have one port on a real server.",
    why="The kernel of a real server listens on GUE's port on all of its addresses (`ip fou add port`). What "
    "serves cannot bind that port any more; or it has bound it already, and the tunnel does not come up.",
    fix="Give the tunnel another `port`, or leave it out: 6080 is GUE's own.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, mode: tun, tunnel: {type: gue, port: 53},
                real_servers: [web1, web2]}
    """,
    links=("https://man7.org/linux/man-pages/man8/ip-fou.8.html",),
)
def gue_where_it_serves(context: Context) -> Iterator[Hit]:
    served: dict[str, dict[int, str]] = {}  # a real server: its UDP ports, and a service of each
    for service in context.cluster.services:
        for destination in service.destinations if Protocol.UDP in service.protocols else ():
            for first, last in _ports(service, destination):
                for port in _gue_ports(context, destination.real_server):
                    if first <= port <= last:
                        served.setdefault(destination.real_server, {}).setdefault(port, service.name)
    for service in context.cluster.services:
        for name in dict.fromkeys(d.real_server for d in service.destinations if _is_gue(service)):
            other = served.get(name, {}).get(service.tunnel.port)
            if other is not None:
                path = context.place_of(service, "tunnel", "port")
                yield Hit(path, f"{name} serves '{other}' on UDP port {service.tunnel.port}, which GUE takes")
                break


@rule(
    "LVS393",
    Severity.WARNING,
    "`clamp_mss` is given for a service without TCP.",
    why="It changes the size of segments that a TCP server asks clients for. Datagrams stay as large as they "
    "are, and those that do not fit the tunnel are lost or cut into fragments.",
    fix="Remove `clamp_mss`, and keep the datagrams small or the path's MTU large enough.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, mode: tun, tunnel: {clamp_mss: true},
                real_servers: [web1, web2]}
    """,
)
def segments_of_tcp(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.tunnel.clamp_mss is not None and Protocol.TCP not in service.protocols:
            path = context.place_of(service, "tunnel", "clamp_mss")
            if path[0] != "defaults":
                yield Hit(path, f"'{service.name}' has no TCP, and clamp_mss is about nothing else")


def _is_gue(service: Service) -> bool:
    return service.mode is ForwardingMethod.TUN and service.tunnel.type is TunnelType.GUE


def _gue_ports(context: Context, name: str) -> set[int]:
    """The ports that GUE takes on a real server."""
    return {
        service.tunnel.port
        for service in context.cluster.services
        if _is_gue(service) and any(destination.real_server == name for destination in service.destinations)
    }


def _ports(service: Service, destination: Destination) -> tuple[tuple[int, int], ...]:
    """The ports that a destination serves on, as ranges."""
    return ((destination.port, destination.port),) if destination.port else service.port_ranges
