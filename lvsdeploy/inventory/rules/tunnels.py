"""LVS13x: mode tun."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import IPV4, ForwardingMethod, TunnelType
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import IPAddress, Part, Service

_IPVSADM = "https://man7.org/linux/man-pages/man8/ipvsadm.8.html"
_PATH = 1500  # bytes of a usual network's packets
_OUTER = {4: 20, 6: 40}  # bytes of an IP header
_WRAP = {TunnelType.IPIP: 0, TunnelType.GRE: 4, TunnelType.GUE: 8 + 4}
_SUMS = {"csum": {TunnelType.GRE: 4}, "remcsum": {TunnelType.GUE: 8}}
_TCP = 20


@rule(
    "LVS130",
    Severity.WARNING,
    "A `tunnel` is given, and the mode is not tun.",
    why="Nothing is wrapped in the other modes: what the section says has no effect.",
    fix="Set `mode: tun`, or remove the section.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, tunnel: {type: gre}, real_servers: [web1, web2]}
    """,
)
def tunnel_without_tun(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        path = (*service.path, "tunnel")
        if ForwardingMethod.TUN not in service.modes and context.written(*path):
            yield Hit(path, f"'{service.name}' has a tunnel and mode {service.mode}", key=True)
        own = {}
        for part in service.parts:
            path = context.said(part, "tunnel")
            where = context.place_of(service, "sorry_server") if part.is_sorry_server else part.path
            if part.mode is not ForwardingMethod.TUN and path == (*where, "tunnel"):
                own[path] = f"{part.who} has a tunnel and mode {part.mode}"
        yield from (Hit(path, summary, key=True) for path, summary in own.items())


@rule(
    "LVS131",
    Severity.ERROR,
    "A checksum is asked for that this type of tunnel has not.",
    why="IP in IP has no checksum of its own, GRE has csum, GUE has csum and remcsum; ipvsadm refuses "
    "others.",
    fix="Remove `checksum`, or choose the type that has it.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, mode: tun, tunnel: {type: gre, checksum: remcsum},
                 real_servers: [web1, web2]}
    """,
    links=(_IPVSADM,),
)
def checksum_of_type(context: Context) -> Iterator[Hit]:
    has = {TunnelType.IPIP: {""}, TunnelType.GRE: {"", "csum"}, TunnelType.GUE: {"", "csum", "remcsum"}}
    for path, parts in _by_place(context, "checksum").items():
        tunnel = parts[0].tunnel
        if tunnel.checksum not in has[tunnel.type]:
            yield Hit(path, f"{tunnel.type} has no {tunnel.checksum}")


@rule(
    "LVS132",
    Severity.WARNING,
    "A port is given for a tunnel that has none.",
    why="Only GUE travels in UDP; nothing looks at the port of the other types.",
    fix="Remove the port, or use `type: gue`.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, mode: tun, tunnel: {type: ipip, port: 6080},
                 real_servers: [web1, web2]}
    """,
)
def port_of_type(context: Context) -> Iterator[Hit]:
    for path, parts in _by_place(context, "port").items():
        tunnel = parts[0].tunnel
        if tunnel.type is not TunnelType.GUE and path[-1] == "port":
            yield Hit(path, f"{tunnel.type} has no port")


@rule(
    "LVS133",
    Severity.WARNING,
    "clamp_mss is too large for the tunnel on a usual network.",
    why="The clients' segments, wrapped, must fit the path from director to real server. Over 1500 bytes "
    "those of this size do not, and large requests stall.",
    fix="Lower clamp_mss, or write true for one that always fits. If the path carries larger packets, "
    "ignore this.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, mode: tun, tunnel: {clamp_mss: 1460}, real_servers: [web1, web2]}
    """,
)
def clamp_fits(context: Context) -> Iterator[Hit]:
    for path, parts in _by_place(context, "clamp_mss").items():
        tunnel, most = parts[0].tunnel, min(map(_room, parts))
        if tunnel.clamp_mss is not None and tunnel.clamp_mss > most:
            yield Hit(
                path, f"with {tunnel.type}, segments of {tunnel.clamp_mss} bytes do not fit 1500: {most} do"
            )


@rule(
    "LVS134",
    Severity.NOTE,
    "All real servers of a service that are in mode tun are beside the directors.",
    why="Tunnelling is for real servers in other networks. In the directors' own network DR does the same "
    "without the wrapping, and without its trouble with large packets.",
    fix="Use mode dr, unless the tunnel is meant.",
    example="services:\\n  http: {vip: 192.0.2.50, port: 80, mode: tun, real_servers: [web1, web2]}",
)
def direct_would_do(context: Context) -> Iterator[Hit]:
    directors = context.cluster.directors
    own = {director.name for director in directors}  # to those, what they serve is local
    for service in context.cluster.services:
        parts = [p for p in _tunnelled(service) if not p.is_sorry_server and p.real_server not in own]
        rips = {part.address for part in parts}
        if rips and all(_beside(rip, d.dip_of(rip.version)) for rip in rips for d in directors):
            names = dict.fromkeys(part.real_server for part in parts)
            every = names.keys() == {d.real_server for d in service.destinations}
            who = "the real servers" if every else "those in mode tun"
            path = context.said(parts[0], "mode")
            yield Hit(path, f"{who} of '{service.name}' are beside the directors: dr would do")


@rule(
    "LVS135",
    Severity.ERROR,
    "A real server gets GRE packets with a checksum and without one.",
    why="A real server has one GRE interface for its RIP, and that takes either packets with a checksum or "
    "packets without: the others are dropped.",
    fix="Give all services of mode tun and type gre on one real server the same `checksum`.",
    example="""
        services:
          a: {vip: 192.0.2.50, port: 80, mode: tun, real_servers: [web1], tunnel: {type: gre}}
          b: {vip: 192.0.2.51, port: 80, mode: tun, real_servers: [web1],
              tunnel: {type: gre, checksum: csum}}
    """,
)
def one_sort_of_gre(context: Context) -> Iterator[Hit]:
    seen: dict[IPAddress, Part] = {}
    for service in context.cluster.services:
        for part in _tunnelled(service):
            if part.tunnel.type is not TunnelType.GRE:
                continue
            first = seen.setdefault(part.address, part)
            if bool(first.tunnel.checksum) is not bool(part.tunnel.checksum):
                summary = (
                    f"{part.who} gets GRE from '{service.name}' and from '{first.service.name}', and "
                    "just one of them has a checksum"
                )
                yield Hit(context.place_of_part(part), summary)
                break


def _beside(rip: IPAddress, dip: IPAddress | None) -> bool:
    """Whether two addresses are of one network as large as a LAN is."""
    return dip is not None and dip in ip_network((rip, 24 if rip.version == IPV4 else 64), strict=False)


def _tunnelled(service: Service) -> list[Part]:
    return [part for part in service.parts if part.mode is ForwardingMethod.TUN]


def _by_place(context: Context, key: str) -> dict[tuple[str, ...], list[Part]]:
    """Who gets packets by a tunnel, by where the inventory says a key of it."""
    found: dict[tuple[str, ...], list[Part]] = {}
    for service in context.cluster.services:
        for part in _tunnelled(service):
            found.setdefault(context.said(part, "tunnel", key), []).append(part)
    return found


def _room(part: Part) -> int:
    """Bytes of a client's segment that fit a usual path, wrapped."""
    tunnel = part.tunnel
    wrap = _WRAP[tunnel.type] + _SUMS.get(tunnel.checksum, {}).get(tunnel.type, 0)
    return _PATH - _OUTER[part.address.version] - wrap - _OUTER[part.pool.version] - _TCP
