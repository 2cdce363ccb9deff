"""LVS1xx: what NAT asks for. Replies must come back through the director that sent the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import IPV4, IPV6, ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network, IPv6Network

    from lvsdeploy.inventory.model import IPAddress, IPInterface, Part, Service, Vip

_LVS_HOWTO = "http://www.austintek.com/LVS/LVS-HOWTO/HOWTO/LVS-HOWTO.LVS-NAT.html"
_KEYS = ("gateway", "gateway6")


@rule(
    "LVS105",
    Severity.ERROR,
    "A service has mode nat, and the inventory has no `nat` section.",
    why="In NAT the real servers' replies must cross the director, or the client gets them from a RIP it "
    "never spoke to and drops them. The way back is the directors' inside address, `nat.gateway`.",
    fix="Add `nat: {gateway: ADDRESS/PREFIX, interface: INSIDE}`.",
    example="""
        services:
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [db1]}
    """,
    links=(_LVS_HOWTO,),
    needs=("nat",),
)
def nat_section(context: Context) -> Iterator[Hit]:
    if context.cluster.nat is not None:
        return
    for service in context.cluster.services:
        told = {}
        for part in _by_nat(service):
            path = context.said(part, "mode")
            whole = path == context.place_of(service, "mode")
            who = f"'{service.name}'" if whole else f"{part.who} of '{service.name}'"
            told[path] = f"{who} has mode nat, and there is no `nat` section"
        yield from (Hit(path, summary) for path, summary in told.items())


@rule(
    "LVS106",
    Severity.ERROR,
    "`nat.gateway` has no usable prefix.",
    why="The gateway is an address in the real servers' network; its prefix says how large that network is, "
    "and the directors add it to their inside interface with it.",
    fix="Write the address with its network's prefix, such as 10.2.0.1/24.",
    example="nat: {gateway: 10.2.0.1, interface: eth1}",
)
def gateway_prefix(context: Context) -> Iterator[Hit]:
    for path, gateway in _gateways(context):
        network, address = gateway.network, gateway.ip
        if network.prefixlen == network.max_prefixlen:
            summary = f"the gateway {address} has no prefix, or one that leaves no room for real servers"
            yield Hit(path, summary)
        elif network.prefixlen == 0:
            yield Hit(path, f"the gateway {gateway} claims every address there is")
        elif network.num_addresses > 2 and address in _of_all(network):  # noqa: PLR2004 - a /31 has none
            kind = "network" if address == network.network_address else "broadcast"
            yield Hit(path, f"the gateway {address} is the {kind} address of {network}")


def _of_all(network: IPv4Network | IPv6Network) -> set[IPAddress]:
    """The addresses that stand for a network; IPv6 has no broadcast, and its first is every router's."""
    if network.version == IPV4:
        return {network.network_address, network.broadcast_address}
    return {network.network_address}


@rule(
    "LVS107",
    Severity.ERROR,
    "A real server of a NAT service is outside the gateway's network.",
    why="A default route's next hop must be a neighbour: from elsewhere the real server cannot send its "
    "replies to the directors' inside address.",
    fix="Give the real server an address in the gateway's network, or correct the gateway's prefix.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        real_servers:
          db1: {address: 10.3.0.21}
        services:
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [db1]}
    """,
    links=(_LVS_HOWTO,),
)
def real_server_behind_gateway(context: Context) -> Iterator[Hit]:
    insides = _insides(context)
    directors = {director.name for director in context.cluster.directors}  # what they serve is local
    for service in context.cluster.services:
        told: set[IPAddress] = set()
        for part in _by_nat(service):
            address = part.address
            network = insides.get(address.version) if part.real_server not in directors else None
            if network is None or address in network or address in told or address.is_loopback:
                continue
            told.add(address)
            own = part.is_sorry_server
            whose = f"the sorry server {address}" if own else f"{part.real_server}'s RIP {address}"
            yield Hit(context.place_of_part(part), f"{whose} is outside {network}")


@rule(
    "LVS108",
    Severity.ERROR,
    "`nat.gateway` is a director's own address.",
    why="The gateway is an address that VRRP adds to the MASTER and removes again. One director's own "
    "address would not move: after a failover replies would go to the wrong director; and removing it would "
    "cut the director off.",
    fix="Take a free address of the inside network; each director keeps its own address beside it.",
    example="""
        directors:
          lvs1: {address: 10.2.0.1, interface: eth0}
        nat: {gateway: 10.2.0.1/24, interface: eth1}
    """,
)
def gateway_moves(context: Context) -> Iterator[Hit]:
    for path, gateway in _gateways(context):
        for director in context.cluster.directors:
            if str(gateway.ip) in {director.address, *map(str, director.dips)}:
                yield Hit(path, f"the gateway {gateway.ip} is {director.name}'s own address")


@rule(
    "LVS109",
    Severity.ERROR,
    "`nat.gateway` is a real server's address or a VIP.",
    why="Two machines, or two roles, with one address: replies would end where nobody forwards them.",
    fix="Take a free address of the inside network.",
    example="""
        nat: {gateway: 10.2.0.21/24, interface: eth1}
        real_servers:
          db1: {address: 10.2.0.21}
    """,
)
def gateway_is_free(context: Context) -> Iterator[Hit]:
    for path, gateway in _gateways(context):
        address = gateway.ip
        for real_server in context.cluster.real_servers:
            if str(address) in {real_server.address, *map(str, real_server.rips)}:
                yield Hit(path, f"the gateway {address} is {real_server.name}'s address")
        if any(vip.ip == address for vip in context.cluster.vips):
            yield Hit(path, f"the gateway {address} is a VIP of a service too")


@rule(
    "LVS110",
    Severity.WARNING,
    "The VIP of a NAT service lies in the real servers' own network.",
    why="Clients of that network get the replies from the real server directly, with the RIP as the source, "
    "and drop them: only clients elsewhere are served.",
    fix="Use a VIP of another network, or make sure that no client sits beside the real servers.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        services:
          api: {vip: 10.2.0.50, port: 80, mode: nat, real_servers: [db1]}
    """,
    links=(_LVS_HOWTO,),
)
def clients_beside(context: Context) -> Iterator[Hit]:
    nat = context.cluster.nat
    if nat is None or nat.masquerade:
        return
    insides = _insides(context)
    for service in context.cluster.services:
        for vip in _nat_vips(service):
            network = insides.get(vip.ip.version)
            if network is not None and vip.ip in network:
                key = "vip" if context.written(*service.path, "vip") else "vips"
                summary = f"the VIP {vip.ip} is in the real servers' network {network}"
                yield Hit((*service.path, key), summary)


@rule(
    "LVS111",
    Severity.NOTE,
    "There is a `nat` section, and no service has mode nat.",
    why="Nothing is forwarded by NAT; the inside gateway serves nobody.",
    fix="Remove the section, or set a service's mode to nat.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [web1, web2]}
    """,
    needs=("services",),
)
def nat_unused(context: Context) -> Iterator[Hit]:
    if context.cluster.nat and not context.cluster.uses(ForwardingMethod.NAT):
        yield Hit(("nat",), "no service has mode nat")


@rule(
    "LVS116",
    Severity.WARNING,
    "A NAT service maps several ports onto one port of a real server.",
    why="A port given for a real server replaces every port of the service.",
    fix="Split the service, one a port, when each port has a target of its own.",
    example="""
        services:
          web: {vip: 192.0.2.51, ports: [80, 443], mode: nat,
                real_servers: [{name: db1, port: 8080}]}
    """,
)
def ports_collapse(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if 0 in service.ports and not service.fwmark:
            everything = next(pool for pool in service.pools if pool.port == 0)
            for destination in everything.destinations:
                if destination.port and service.mode_of(destination) is ForwardingMethod.NAT:
                    summary = f"all ports of '{service.name}' go to port {destination.port}"
                    yield Hit((*destination.path, "port"), summary)
            continue
        if len(service.ports) == 1:
            continue
        one, other = (next(p for p in service.pools if p.port == port) for port in service.ports[:2])
        for first, second in zip(one.destinations, other.destinations, strict=True):
            if first.port == second.port and service.mode_of(first) is ForwardingMethod.NAT:
                ranges = service.port_ranges
                ports = ", ".join(f"{low}-{high}" if low != high else str(low) for low, high in ranges)
                yield Hit((*first.path, "port"), f"ports {ports} all go to port {first.port}")


@rule(
    "LVS117",
    Severity.ERROR,
    "A NAT service has a VIP of an address family that has no gateway.",
    why="The director rewrites the source of every reply, so replies must come back to it. Each family has a "
    "default route of its own on the real servers, and a gateway of its own on the directors.",
    fix="Add `gateway6` (or an IPv4 `gateway`) to the `nat` section, or take the VIP out.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        real_servers:
          db1: {address: 10.2.0.21, rip6: "2001:db8:2::21"}
        services:
          api: {vips: [192.0.2.51, "2001:db8::51"], port: 80, mode: nat, real_servers: [db1]}
    """,
    needs=("nat",),
)
def gateway_of_each_family(context: Context) -> Iterator[Hit]:
    nat = context.cluster.nat
    if nat is None:
        return
    for service in context.cluster.services:
        for version in sorted({part.pool.version for part in _by_nat(service)}):
            if nat.gateway_of(version) is None:
                key = "vip" if context.written(*service.path, "vip") else "vips"
                vip = next(vip.ip for vip in service.vips if vip.ip.version == version)
                yield Hit((*service.path, key), f"the VIP {vip} is IPv{version}, and no gateway is")


@rule(
    "LVS118",
    Severity.WARNING,
    "NAT of IPv6 with one interface for both sides.",
    why="A router that sends an IPv6 packet out of the interface it came in on tells the sender of the "
    "shorter way (RFC 4861, 8.2), and Linux has no sysctl that keeps it from doing so, as it has for IPv4. A "
    "real server that heeds it sends its replies past the director.",
    fix="Give the inside an interface of its own, or set net.ipv6.conf.all.accept_redirects=0 on the real "
    "servers.",
    example="""
        directors:
          lvs1: {address: "2001:db8::2", interface: eth0}
        nat: {gateway: "2001:db8:2::1/64", interface: eth0}
        real_servers:
          db1: {address: "2001:db8:2::21"}
        services:
          api: {vip: "2001:db8::51", port: 80, mode: nat, real_servers: [db1]}
    """,
    links=("https://www.rfc-editor.org/rfc/rfc4861#section-8.2",),
)
def one_armed(context: Context) -> Iterator[Hit]:
    nat = context.cluster.nat
    if nat is None:
        return
    vips = [vip for s in context.cluster.services for vip in _nat_vips(s) if vip.ip.version == IPV6]
    for director in context.cluster.directors:
        if any((vip.interface or director.interface) == nat.interface for vip in vips):
            summary = f"{director.name} has IPv6 VIPs of NAT services and the inside on {nat.interface}"
            yield Hit(("nat", "interface"), summary)


def _gateways(context: Context) -> Iterator[tuple[tuple[str, ...], IPInterface]]:
    """Each gateway, and where it stands."""
    nat = context.cluster.nat
    for key, gateway in zip(_KEYS, nat.gateways if nat is not None else (), strict=False):
        yield ("nat", key), gateway


def _insides(context: Context) -> dict[int, IPv4Network | IPv6Network]:
    """The inside network of each address family, where the gateway's prefix tells it."""
    nat = context.cluster.nat
    gateways = nat.gateways if nat is not None else ()
    return {g.version: g.network for g in gateways if g.network.prefixlen < g.max_prefixlen}


def _by_nat(service: Service) -> list[Part]:
    return [part for part in service.parts if part.mode is ForwardingMethod.NAT]


def _nat_vips(service: Service) -> list[Vip]:
    """The VIPs from which somebody gets packets by NAT, each once."""
    return list({vip.ip: vip for part in _by_nat(service) for vip in part.pool.vips}.values())
