"""LVS1xx: what direct routing asks for, and what every forwarding method does."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import IPV4, Engine, ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import IPAddress, Pool, Service

_LVS_HOWTO = "http://www.austintek.com/LVS/LVS-HOWTO/HOWTO/LVS-HOWTO.LVS-DR.html"
_WITHOUT_PORT_MAPPING = frozenset({ForwardingMethod.DR, ForwardingMethod.TUN})


@rule(
    "LVS101",
    Severity.ERROR,
    "A real server's port differs from the service's, and the mode is not nat.",
    why="DR and TUN hand the client's packet on as it is: nothing above the frame is rewritten, so the real "
    "server gets it on the service's own port. keepalived resets such a port without failing.",
    fix="Remove the port and let the real server listen on the service's port, or use mode nat.",
    example="""
        services:
          http:
            {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [{name: web1, port: 8080}]}
    """,
    links=(_LVS_HOWTO,),
)
def port_mapping(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.mode not in _WITHOUT_PORT_MAPPING:
            continue
        # LVS346 looks at a sorry server with a mode of its own.
        sorry = service.sorry_server if service.sorry_mode is service.mode else None
        if sorry and sorry.port is not None and any(port != sorry.port for port in service.ports):
            summary = f"the sorry server's port {sorry.port} differs, in mode {service.mode}"
            yield Hit(context.place_of(service, "sorry_server", "port"), summary)
        wrong: dict[tuple[str, ...], tuple[int, int]] = {}
        for pool in service.pools:
            for destination in pool.destinations:
                if destination.port != pool.port:
                    wrong.setdefault(destination.path, (destination.port, pool.port))
        for path, (own, port) in wrong.items():
            what = "the packet's own port" if service.fwmark else f"the service's port {port}"
            summary = f"port {own} differs from {what}, in mode {service.mode}"
            yield Hit((*path, "port"), summary)


@rule(
    "LVS102",
    Severity.ERROR,
    "A real server of a DR service is outside the directors' network.",
    why="In DR the director only rewrites the destination MAC of the frame: the real server must be in the "
    "same layer 2 network, so its RIP lies in a network of the director's interface.",
    fix="Put the real server in that network, correct the VIP's prefix, or use mode nat.",
    more="The network is known here from the prefix of the service's VIP. Without one, `lvsdeploy check` "
    "compares the RIPs with the addresses of the directors' interfaces.",
    example="""
        vips:
          public: {address: 192.0.2.50/24}
        real_servers:
          web1: {address: 198.51.100.11}
        services:
          http: {vip: public, port: 80, mode: dr, real_servers: [web1]}
    """,
    links=(_LVS_HOWTO,),
)
def real_server_in_network(context: Context) -> Iterator[Hit]:
    for service, pool in _direct_pools(context):
        networks = {vip.address.network for vip in pool.vips}
        if any(network.prefixlen == network.max_prefixlen for network in networks):
            continue
        for destination in pool.destinations:
            name, rip = destination.real_server, destination.address
            if rip.version != pool.version or any(rip in network for network in networks):
                continue
            if _all_near(context, rip):
                continue  # the VIP has a network of its own, beside that of the DIPs and RIPs
            outside = next(iter(networks))
            yield Hit(destination.path, f"{name}'s RIP {rip} is outside {outside}, in mode {service.mode}")
        sorry = service.sorry_server
        if sorry is None or service.sorry_mode is not ForwardingMethod.DR or sorry.address.is_loopback:
            continue
        address, outside = sorry.address, next(iter(networks))
        near = any(address in network for network in networks) or _all_near(context, address)
        if address.version == pool.version and not near:
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(path, f"the sorry server {address} is outside {outside}, in mode {service.sorry_mode}")


@rule(
    "LVS103",
    Severity.WARNING,
    "A real server of a DR service has an address far from every director's.",
    why="In DR director and real server share one layer 2 network; these addresses do not even share their "
    "first 16 bits.",
    fix="Check the addresses; give the VIP its prefix under `vips`, or use mode nat.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
        real_servers:
          web1: {address: 10.2.0.11}
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [web1]}
    """,
    needs=("directors",),
)
def real_server_far_away(context: Context) -> Iterator[Hit]:
    for _, pool in _direct_pools(context):
        if all(vip.address.network.prefixlen < vip.address.max_prefixlen for vip in pool.vips):
            continue
        for destination in pool.destinations:
            rip = destination.address
            near = _near(rip, 16 if rip.version == IPV4 else 48)
            dips = [director.dip_of(rip.version) for director in context.cluster.directors]
            if None not in dips and not any(dip in near for dip in dips if dip is not None):
                summary = f"{destination.real_server}'s RIP {rip} is far from every DIP, in mode dr"
                yield Hit(destination.path, summary)


@rule(
    "LVS112",
    Severity.ERROR,
    "A VIP and a real server are of different address families.",
    why="NAT and DR cannot turn IPv4 packets into IPv6 ones; only a tunnel carries one in the other.",
    fix="Give the real server an address of the VIP's family.",
    example="""
        real_servers:
          web1: {address: 192.0.2.11}
        services:
          http: {vip: "2001:db8::50", port: 80, real_servers: [web1]}
    """,
)
def families(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.mode is ForwardingMethod.TUN:
            continue
        versions = sorted({pool.version for pool in service.pools})
        for version in versions:
            pool = next(pool for pool in service.pools if pool.version == version)
            for destination in pool.destinations:
                if destination.address.version != version:
                    summary = f"the VIP is IPv{version}, {destination.real_server} is not"
                    yield Hit(destination.path, summary)
        if service.sorry_server and service.sorry_server.address.version not in versions:
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(path, f"the VIP is IPv{versions[0]}, the sorry server is not")


@rule(
    "LVS114",
    Severity.WARNING,
    "A real server is in NAT and in DR or TUN services at once, with its default route set to the director.",
    why="The replies of its DR and TUN services carry the VIP as their source; sent to the director they "
    "are dropped, since the director holds that address itself (a martian source).",
    fix="Set configure_gateway to false and route by source on that host, or split the services.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1, configure_gateway: true}
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [web1]}
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [web1]}
    """,
)
def direct_through_gateway(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    if not cluster.nat or not cluster.nat.configure_gateway:
        return
    modes: dict[str, set[ForwardingMethod]] = {}
    for service in cluster.services:
        for destination in service.destinations:
            modes.setdefault(destination.real_server, set()).add(service.mode)
    for real_server in cluster.real_servers:
        own = modes.get(real_server.name, set())
        if real_server.managed and ForwardingMethod.NAT in own and len(own) > 1:
            what = " and ".join(sorted(mode.upper() for mode in own))
            summary = f"{real_server.name} is in {what} services, with its route set to the director"
            yield Hit(real_server.path, summary)


@rule(
    "LVS126",
    Severity.ERROR,
    "A sorry server at a loopback address, in mode nat or tun.",
    why="127.0.0.1 is the director that has the packet. In DR it takes the packet as it is, for the VIP; in "
    "NAT the kernel refuses to send what comes from the network to a loopback address, and TUN has nobody "
    "to send it to.",
    fix="Give the sorry server `mode: dr`, and let a web server on the directors listen on the VIP's port; "
    "or name another machine.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        services:
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [db1],
                sorry_server: {address: 127.0.0.1}}
    """,
    links=("https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs/ip_vs_xmit.c",),
)
def sorry_page_of_the_director(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        sorry = service.sorry_server
        if sorry and sorry.address.is_loopback and service.sorry_mode is not ForwardingMethod.DR:
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(
                path, f"the sorry server {sorry.address} cannot be reached in mode {service.sorry_mode}"
            )


@rule(
    "LVS115",
    Severity.NOTE,
    "A DR service has a sorry server that this inventory does not configure.",
    why="The sorry server gets packets for the VIP as real servers do: it needs the VIP on lo and the ARP "
    "sysctls, or it drops them.",
    fix="List the sorry server under `real_servers`, or set it up by hand.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [web1, web2],
                 sorry_server: {address: 192.0.2.99}}
    """,
    needs=("real_servers",),
)
def sorry_server_holds_vip(context: Context) -> Iterator[Hit]:
    known = {rip for server in context.cluster.real_servers if server.managed for rip in server.rips}
    for service in context.cluster.services if context.cluster.engine is not Engine.IPVSADM else ():
        sorry = service.sorry_server
        if sorry is None or service.sorry_mode is not ForwardingMethod.DR or sorry.address.is_loopback:
            continue  # at a loopback address the director answers by itself
        if sorry.address not in known:
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(path, f"the sorry server {sorry.address} needs the VIP on lo, set up by hand")


def _direct(context: Context) -> list[Service]:
    return [s for s in context.cluster.services if s.mode is ForwardingMethod.DR]


def _direct_pools(context: Context) -> Iterator[tuple[Service, Pool]]:
    """Each DR service with the first pool of each address family: ports make no difference here."""
    for service in _direct(context):
        first: dict[int, Pool] = {}
        for pool in service.pools:
            first.setdefault(pool.version, pool)
        yield from ((service, pool) for pool in first.values())


def _all_near(context: Context, rip: IPAddress) -> bool:
    """Whether every director has a DIP in the network around a RIP."""
    near, directors = _near(rip), context.cluster.directors
    return all((dip := d.dip_of(rip.version)) is not None and dip in near for d in directors)


def _near(address: IPAddress, prefix: int | None = None) -> IPv4Network | IPv6Network:
    """The network around an address; by default one as large as a LAN is."""
    usual = 24 if address.version == 4 else 64  # noqa: PLR2004 - IP versions
    return ip_network((address, usual if prefix is None else prefix), strict=False)
