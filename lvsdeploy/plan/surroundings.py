"""Findings about what stands around the hosts: reasons why a cluster as declared may still not serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import nat_in_use, sorry_port
from lvsdeploy.inventory.model import IPV4, Destination, Engine, ForwardingMethod, Protocol, TunnelType
from lvsdeploy.plan import codes
from lvsdeploy.plan.firewall import Packet, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster, Director, IPAddress, Pool, Service, Tunnel
    from lvsdeploy.observe import Surroundings

_UDP = ("udp", "17")
_VRRP = ("vrrp", "112", "carp")
_VIRTUAL_MAC = ("00:00:5e:00:01:", "00:00:5e:00:02:")  # RFC 5798, 7.3
_SEEN_BY_SS = {Protocol.TCP, Protocol.UDP}


def findings(cluster: Cluster, seen: Mapping[str, Surroundings]) -> Iterator[Finding]:
    """`seen`: what was found around each host that was read."""
    yield from _listening(cluster, seen)
    yield from _firewalls(cluster, seen)
    yield from _offloads(cluster, seen)
    yield from _other_owners(cluster, seen)


def _listening(cluster: Cluster, seen: Mapping[str, Surroundings]) -> Iterator[Finding]:
    """Each real server has a socket that takes what the directors send it."""
    told: set[tuple[str, str]] = set()
    for service, pool, destination in _destinations(cluster):
        around = seen.get(destination.real_server)
        if around is None or around.listeners is None:
            continue
        for protocol, port in _ports(service, pool, destination):
            sockets = [s for s in around.listeners if (s.protocol, s.port) == (protocol, port)]
            nat = service.mode_of(destination) is ForwardingMethod.NAT
            wanted = [destination.address] if nat else _vips(pool)
            missed = [ip for ip in wanted if not any(socket.takes(ip) for socket in sockets)]
            if not missed:
                continue
            if sockets:
                there = ", ".join(sorted({socket.address for socket in sockets}))
                what = f"{protocol} port {port} is listened on at {there}, and not at {missed[0]}"
                finding = codes.LISTENS_ELSEWHERE.finding(what, host=destination.real_server)
            else:
                what = f"nothing listens on {protocol} port {port}, which {service.name} is to serve on"
                finding = codes.NOT_LISTENING.finding(what, host=destination.real_server)
            if (destination.real_server, what) not in told:
                told.add((destination.real_server, what))
                yield finding


def _destinations(cluster: Cluster) -> Iterator[tuple[Service, Pool, Destination]]:
    """Every destination; a sorry server, too, where it is one of the real servers."""
    owners = {rip: server.name for server in cluster.real_servers for rip in server.rips}
    for service in cluster.services:
        for pool in service.pools:
            yield from ((service, pool, destination) for destination in pool.destinations)
            sorry = service.sorry_of(pool)
            if sorry is not None and sorry.address in owners:
                port = sorry_port(service, pool)
                mode, tunnel = service.sorry_mode, service.sorry_tunnel
                yield (
                    service,
                    pool,
                    Destination(owners[sorry.address], sorry.address, port, mode=mode, tunnel=tunnel),
                )


def _ports(service: Service, pool: Pool, destination: Destination) -> Iterator[tuple[Protocol, int]]:
    """What a destination is to listen on, where it is one port."""
    for protocol in service.protocols or (service.protocol,):
        if protocol not in _SEEN_BY_SS:
            continue
        if destination.port:
            yield protocol, destination.port
        elif service.fwmark and not pool.port:
            yield from ((protocol, first) for first, last in service.port_ranges if first == last and first)


def _vips(pool: Pool) -> list[IPAddress]:
    return [vip.ip for vip in pool.vips]


def _firewalls(cluster: Cluster, seen: Mapping[str, Surroundings]) -> Iterator[Finding]:
    """VRRP reaches the directors, and tunnelled packets the real servers."""
    wanted: list[tuple[str, Packet, str]] = []
    if len(cluster.directors) > 1 and cluster.engine is Engine.KEEPALIVED:
        over = {4: "VRRP (IP protocol 112)", 6: "VRRP (IP protocol 112) over IPv6"}
        wanted += [
            (director.name, Packet(_VRRP, version), over[version])
            for director in cluster.directors
            for version in _advertised(cluster, director)
        ]
    for service, pool, destination in _destinations(cluster):
        tunnel = service.tunnel_of(destination)
        if service.mode_of(destination) is ForwardingMethod.TUN:
            packet, what = _tunnelled(tunnel, pool, destination)
            wanted.append((destination.real_server, packet, what))
    for host, packet, what in dict.fromkeys(wanted):
        around = seen.get(host)
        if around is None or not around.firewall_kind:
            continue
        if words := refusal(around.firewall_kind, around.firewall, packet):
            yield codes.FIREWALL.finding(f"the firewall drops {what}: {words[:150]}", host=host)


def _advertised(cluster: Cluster, director: Director) -> list[int]:
    """The families that directors tell each other in who is MASTER: those of the VIPs and gateways."""
    moving: set[int] = {vip.ip.version for vip in cluster.vips}
    if (nat := nat_in_use(cluster)) is not None:
        moving |= {gateway.version for gateway in nat.gateways}
    found = sorted(version for version in moving if director.dip_of(version) is not None)
    return found or [director.dip.version]


def _tunnelled(tunnel: Tunnel, pool: Pool, destination: Destination) -> tuple[Packet, str]:
    """What arrives at a real server in a tunnel: the outer protocol."""
    outer = destination.address.version
    if tunnel.type is TunnelType.GUE:
        port = tunnel.port
        return Packet(_UDP, outer, port), f"GUE (UDP port {port})"
    if tunnel.type is TunnelType.GRE:
        return Packet(("gre", "47"), outer), "GRE (IP protocol 47)"
    if pool.version == IPV4:
        return Packet(("ipencap", "4", "ipip", "ipv4"), outer), "IP in IP (IP protocol 4)"
    return Packet(("ipv6", "41"), outer), "IPv6 in IP (IP protocol 41)"


def _offloads(cluster: Cluster, seen: Mapping[str, Surroundings]) -> Iterator[Finding]:
    """Segments that the director's interface joins are too large to go on in DR and TUN."""
    if not cluster.uses(ForwardingMethod.DR) and not cluster.uses(ForwardingMethod.TUN):
        return
    for director in cluster.directors:
        around = seen.get(director.name)
        for interface, names in sorted((around.offloads if around is not None else {}).items()):
            yield codes.OFFLOAD.finding(f"{' and '.join(names)} is on for {interface}", host=director.name)


def _other_owners(cluster: Cluster, seen: Mapping[str, Surroundings]) -> Iterator[Finding]:
    """Nobody but a director answers for a VIP."""
    directors = [director.name for director in cluster.directors]
    if any(name not in seen or not seen[name].macs for name in directors):
        return
    ours = {mac for name in directors for mac in seen[name].macs}
    owner = {mac: name for name, around in seen.items() for mac in around.macs}
    vips = {str(vip.ip) for vip in cluster.vips}
    found: dict[tuple[str, str], list[str]] = {}
    for name, around in seen.items():
        for address, mac in sorted(around.neighbours):
            if address in vips and mac not in ours and not mac.startswith(_VIRTUAL_MAC):
                found.setdefault((address, mac), []).append(name)
    for (address, mac), hosts in sorted(found.items()):
        whose = f"{owner[mac]}'s" if mac in owner else "no host's of this cluster"
        yield codes.OTHER_OWNER.finding(
            f"{', '.join(sorted(hosts))} has {mac} as the owner of {address}: {whose}"
        )
