"""The way to real servers in mode tun, and from those in mode dr and tun to the clients, on live hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import nat_in_use, overhead
from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import IPV4, ForwardingMethod, TunnelType
from lvsdeploy.plan import codes
from lvsdeploy.state.tunnel import GUE_MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster, Director, IPAddress, Part, Pool, Tunnel
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.network import Route

_WITH_THE_VIP = frozenset({ForwardingMethod.DR, ForwardingMethod.TUN})
_ANY = 1 << 16  # bytes: more than any packet has
_USUAL = 1500  # bytes: what clients on an Ethernet send
_HEADERS = {4: 40, 6: 60}  # of IP and TCP


def missing_modules(context: Context) -> Iterator[Finding]:
    """On a real server: kinds of tunnels that its kernel lacks."""
    facts, desired = context.facts, context.desired
    needed = {link.kind.module for link in desired.tunnels.values()} | (
        {GUE_MODULE} if desired.gue_ports else set()
    )
    for module in sorted(needed - facts.modules - facts.available_modules):
        yield codes.NO_TUNNEL.finding(
            f"kernel {facts.kernel or 'of this host'} has no module {module}",
            host=context.host,
            severity=Severity.ERROR if facts.modules_listed else Severity.WARNING,
        )


def findings(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """What shows only when hosts are seen together."""
    for director in cluster.directors:
        if director.name in states:
            yield from _sizes(cluster, director, states[director.name])
    yield from _ways_back(cluster, states)


def _sizes(cluster: Cluster, director: Director, state: HostState) -> Iterator[Finding]:
    """Each service once, by the first real server that a client's largest packet does not reach."""
    for service in cluster.services:
        told: set[tuple[str, int, int]] = set()
        for part in service.parts:
            if part.mode is not ForwardingMethod.TUN:
                continue
            rip, packet = part.address, _largest(part.tunnel, part.pool)
            interface, mtu = _leaves_by(state, rip)
            mtu, added = mtu or packet * 2, overhead(part.tunnel, rip.version)
            if mtu - added < packet and (interface, added, packet) not in told:
                told.add((interface, added, packet))
                yield codes.TOO_LARGE.finding(
                    f"{service.name}: of the MTU of {interface}, {mtu}, {_named(part.tunnel)} to "
                    f"{part.who} ({rip}) takes {added}, and a client's packet of {packet} does not fit",
                    host=director.name,
                    fix=_fix(part, mtu - added, packet + added),
                )


def _fix(part: Part, room: int, needed: int) -> str:
    clamp = "true" if part.tunnel.clamp_mss is None else str(room - _HEADERS[part.pool.version])
    return (
        f"Let the real servers ask for smaller segments with `tunnel: {{clamp_mss: {clamp}}}`, or raise the "
        f"MTU to {needed} on the whole way to the real servers."
    )


def _largest(tunnel: Tunnel, pool: Pool) -> int:
    """Of a client's packet."""
    return _USUAL if tunnel.clamp_mss is None else tunnel.clamp_mss + _HEADERS[pool.version]


def _named(tunnel: Tunnel) -> str:
    return tunnel.type.value if tunnel.type is not TunnelType.GUE else "gue (in UDP)"


def _leaves_by(state: HostState, rip: IPAddress) -> tuple[str, int]:
    """The interface toward a RIP, and the MTU of that way; "" and 0 for what is not known.

    The kernel was asked for the way. Where it did not tell, addresses and the default route do.
    """
    if rip in state.ways:
        way = state.ways[rip]
        return way.interface, min(way.mtu or _ANY, state.mtus.get(way.interface, way.mtu or 0))
    near = [
        address
        for address in state.addresses
        if rip in address.address.network
        and address.address.network.prefixlen < address.address.max_prefixlen
        and address.address.ip != rip
    ]
    if near:
        closest = max(near, key=lambda address: (address.address.network.prefixlen, address.interface))
        return closest.interface, state.mtus.get(closest.interface, 0)
    ways = [
        route.interface
        for route in state.routes
        if route.interface and (route.via.version if route.via is not None else IPV4) == rip.version
    ]
    return (ways[0], state.mtus.get(ways[0], 0)) if ways else ("", 0)


def _ways_back(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """Real servers in mode dr or tun whose replies to clients elsewhere would go to a director."""
    directors = _addresses(cluster, states)
    told: set[tuple[str, Route]] = set()
    for name, vip in _answering(cluster):
        for route in states[name].defaults_from(vip) if name in states else ():
            if route.via in directors and (name, route) not in told:
                told.add((name, route))
                yield codes.BACK_THROUGH_DIRECTOR.finding(
                    f"the default route is `{route}`, and that is {directors[route.via]}, which drops what "
                    "comes from its own VIP",
                    host=name,
                )


def _answering(cluster: Cluster) -> Iterator[tuple[str, IPAddress]]:
    """The real servers that answer clients by themselves, each with the VIPs that it answers from."""
    for server in cluster.real_servers:
        for part in cluster.parts_of(server):
            if part.mode in _WITH_THE_VIP:
                yield from ((server.name, vip.ip) for vip in part.pool.vips)


def _addresses(cluster: Cluster, states: Mapping[str, HostState]) -> dict[IPAddress | None, str]:
    """Every address that leads to a director -> whose it is."""
    nat = nat_in_use(cluster)
    found: dict[IPAddress | None, str] = {}
    if nat is not None:
        found |= {gateway.ip: "the directors' gateway" for gateway in nat.gateways}
    for director in cluster.directors:
        found |= dict.fromkeys(director.dips, director.name)
        if director.name in states:
            found |= {a.address.ip: director.name for a in states[director.name].addresses}
    return found
