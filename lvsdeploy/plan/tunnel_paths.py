"""Mode tun on live hosts: the way to the real servers, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import overhead
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
            interface = _leaves_by(state, rip)
            mtu, added = state.mtus.get(interface, packet * 2), overhead(part.tunnel, rip.version)
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


def _leaves_by(state: HostState, rip: IPAddress) -> str:
    """The interface toward a RIP; "" where neither an address nor a default route tells."""
    near = [
        address
        for address in state.addresses
        if rip in address.address.network
        and address.address.network.prefixlen < address.address.max_prefixlen
        and address.address.ip != rip
    ]
    if near:
        return max(near, key=lambda address: (address.address.network.prefixlen, address.interface)).interface
    ways = [
        route.interface
        for route in state.routes
        if route.interface and (route.via.version if route.via is not None else IPV4) == rip.version
    ]
    return ways[0] if ways else ""


def _ways_back(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """Real servers whose default route leads to a director."""
    directors = {
        address.address.ip: director.name
        for director in cluster.directors
        if director.name in states
        for address in states[director.name].addresses
    }
    directors |= {dip: d.name for d in cluster.directors for dip in (d.dip, d.dip6) if dip is not None}
    for server in cluster.real_servers:
        state = states.get(server.name)
        if state is None:
            continue
        tunnelled = {p.pool.version for p in cluster.parts_of(server) if p.mode is ForwardingMethod.TUN}
        for version in (4, 6):
            first = next((r for r in state.routes if r.via is not None and r.via.version == version), None)
            if version in tunnelled and first is not None and first.via in directors:
                yield codes.BACK_THROUGH_DIRECTOR.finding(
                    f"the default route is `{first}`, and that is {directors[first.via]}, which drops what "
                    "comes from its own VIP",
                    host=server.name,
                )
