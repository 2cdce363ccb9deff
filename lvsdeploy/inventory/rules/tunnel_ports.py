"""LVS391, LVS393: what a tunnel is for, and what its real servers serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import ForwardingMethod, Protocol, TunnelType
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Destination, Part, Service


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
    cluster = context.cluster
    taken: dict[str, dict[int, Part]] = {}  # a real server: GUE's ports, and the first part of each
    for server in cluster.real_servers:
        for part in cluster.parts_of(server):
            if part.mode is ForwardingMethod.TUN and part.tunnel.type is TunnelType.GUE:
                taken.setdefault(server.name, {}).setdefault(part.tunnel.port, part)
    told: set[tuple[str, ...]] = set()
    for service in cluster.services:
        for destination in service.destinations if Protocol.UDP in service.protocols else ():
            name = destination.real_server
            for first, last in _ports(service, destination):
                for port, part in taken.get(name, {}).items():
                    path = context.said(part, "tunnel", "port")
                    if first <= port <= last and path not in told:
                        told.add(path)
                        summary = f"{name} serves '{service.name}' on UDP port {port}, which GUE takes"
                        yield Hit(path, summary)


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
    told: set[tuple[str, ...]] = set()
    for part in context.cluster.parts:
        if part.tunnel.clamp_mss is None or Protocol.TCP in part.service.protocols:
            continue
        path = context.said(part, "tunnel", "clamp_mss")
        if path[0] != "defaults" and path not in told:
            told.add(path)
            yield Hit(path, f"'{part.service.name}' has no TCP, and clamp_mss is about nothing else")


def _ports(service: Service, destination: Destination) -> tuple[tuple[int, int], ...]:
    """The ports that a destination serves on, as ranges."""
    return ((destination.port, destination.port),) if destination.port else service.port_ranges
