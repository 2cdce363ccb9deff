"""LVS1xx: what direct routing asks for, and what every forwarding method does."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import IPV4, Engine, ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Destination, IPAddress, Part

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
        # LVS346 looks at a sorry server with a mode of its own.
        mapped = service.mode in _WITHOUT_PORT_MAPPING and service.sorry_mode is service.mode
        sorry = service.sorry_server if mapped else None
        if sorry and sorry.port is not None and any(port != sorry.port for port in service.ports):
            summary = f"the sorry server's port {sorry.port} differs, in mode {service.mode}"
            yield Hit(context.place_of(service, "sorry_server", "port"), summary)
        wrong: dict[tuple[str, ...], tuple[Destination, int]] = {}
        for pool in service.pools:
            for destination in pool.destinations:
                mode = service.mode_of(destination)
                if mode in _WITHOUT_PORT_MAPPING and destination.port != pool.port:
                    wrong.setdefault(destination.path, (destination, pool.port))
        for path, (destination, port) in wrong.items():
            what = "the packet's own port" if service.fwmark else f"the service's port {port}"
            mode = service.mode_of(destination)
            yield Hit((*path, "port"), f"port {destination.port} differs from {what}, in mode {mode}")


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
    for part in _direct(context):
        networks, rip = {vip.address.network for vip in part.pool.vips}, part.address
        if any(network.prefixlen == network.max_prefixlen for network in networks):
            continue
        if rip.version != part.pool.version or any(rip in network for network in networks):
            continue
        if _all_near(context, rip) or (part.is_sorry_server and rip.is_loopback):
            continue  # the VIP may have a network of its own, beside that of the DIPs and RIPs
        whose = f"the sorry server {rip}" if part.is_sorry_server else f"{part.real_server}'s RIP {rip}"
        outside = next(iter(networks))
        yield Hit(context.place_of_part(part), f"{whose} is outside {outside}, in mode {part.mode}")


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
    for part in _direct(context):
        if all(vip.address.network.prefixlen < vip.address.max_prefixlen for vip in part.pool.vips):
            continue
        if part.is_sorry_server:
            continue
        rip = part.address
        near = _near(rip, 16 if rip.version == IPV4 else 48)
        dips = [director.dip_of(rip.version) for director in context.cluster.directors]
        if None not in dips and not any(dip in near for dip in dips if dip is not None):
            yield Hit(part.path, f"{part.real_server}'s RIP {rip} is far from every DIP, in mode dr")


@rule(
    "LVS112",
    Severity.ERROR,
    "A VIP and a real server are of different address families.",
    why="NAT and DR cannot turn IPv4 packets into IPv6 ones; only a tunnel carries one in the other.",
    fix="Give the real server an address of the VIP's family, or mode tun.",
    example="""
        real_servers:
          web1: {address: 192.0.2.11}
        services:
          http: {vip: "2001:db8::50", port: 80, real_servers: [web1]}
    """,
)
def families(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        for part in service.parts:
            version = part.pool.version
            if part.mode is not ForwardingMethod.TUN and part.address.version != version:
                yield Hit(part.path, f"the VIP is IPv{version}, {part.real_server} is not")
        if service.sorry_server and not any(service.sorry_of(pool) for pool in service.pools):
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(path, f"the VIP is IPv{service.pools[0].version}, the sorry server is not")


@rule(
    "LVS114",
    Severity.WARNING,
    "A real server is in NAT and in DR or TUN services at once.",
    why="It needs two default routes. Its replies of NAT services come from its RIP, and must go back "
    "through the director. Those of its DR and TUN services come from the VIP; sent to the director they are "
    "dropped, since the director holds that address itself (a martian source).",
    fix="Set configure_gateway to false, let the default route lead to the network's router, and let rules "
    "lead what comes from the RIP through the gateway; or split the services.",
    more="""
The rules, with the real server's own RIP and the gateway of `nat`, in a table that nobody else uses:

    ip route add default via GATEWAY table 100
    ip rule add from RIP lookup main suppress_prefixlength 0 priority 98
    ip rule add from RIP lookup 100 priority 99

The first rule lets the real server answer its neighbours directly: of the main table it passes over the
default route alone. Write them down where the distribution keeps its network's configuration, or they are
gone after a reboot. `lvsdeploy check` reads them: it tells when NAT's replies bypass the director (LVS512)
and when those of DR and TUN go there (LVS545). It needs iproute2 on the real server; busybox's `ip` does not
tell tables apart.
""",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1, configure_gateway: true}
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [web1]}
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [web1]}
    """,
    links=("https://man7.org/linux/man-pages/man8/ip-rule.8.html",),
)
def direct_through_gateway(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    if not cluster.nat:
        return
    directors = {director.name for director in cluster.directors}  # to those, what they serve is local
    for real_server in cluster.real_servers:
        own = {part.mode for part in cluster.parts_of(real_server)}
        if real_server.name not in directors and ForwardingMethod.NAT in own and len(own) > 1:
            what = f"{real_server.name} is in {' and '.join(sorted(mode.upper() for mode in own))} services"
            if cluster.nat.configure_gateway and real_server.managed:
                yield Hit(real_server.path, f"{what}, with its route set to the director")
            else:
                summary = f"{what}: from its RIP it needs another default route than from the VIP"
                fix = (
                    "Let rules lead what comes from the RIP through the gateway: `lvsdeploy explain LVS114` "
                    "has them. Or split the services."
                )
                # It may have the rules already: `check` looks.
                yield Hit(real_server.path, summary, fix=fix, severity=Severity.NOTE)


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
    "A service has a sorry server that this inventory does not configure.",
    why="The sorry server gets packets as real servers do. In DR it needs the VIP on lo and the ARP sysctls, "
    "in TUN a tunnel interface with the VIP, or it drops them; in NAT its answers must go back through the "
    "director.",
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
    known |= {dip for director in context.cluster.directors for dip in director.dips}  # LVS144 tells of those
    needs = {
        ForwardingMethod.DR: "the VIP on lo",
        ForwardingMethod.NAT: "its route through the gateway",
        ForwardingMethod.TUN: "a tunnel interface with the VIP",
    }
    told: set[tuple[str, ...]] = set()
    for part in context.cluster.parts if context.cluster.engine is not Engine.IPVSADM else ():
        if not part.is_sorry_server or part.address.is_loopback or part.address in known:
            continue  # at a loopback address the director answers by itself
        path = context.place_of_part(part)
        if (*path, part.service.name) not in told:
            told.add((*path, part.service.name))
            yield Hit(path, f"the sorry server {part.address} needs {needs[part.mode]}, set up by hand")


def _direct(context: Context) -> list[Part]:
    return [part for part in context.cluster.parts if part.mode is ForwardingMethod.DR]


def _all_near(context: Context, rip: IPAddress) -> bool:
    """Whether every director has a DIP in the network around a RIP."""
    near, directors = _near(rip), context.cluster.directors
    return all((dip := d.dip_of(rip.version)) is not None and dip in near for d in directors)


def _near(address: IPAddress, prefix: int | None = None) -> IPv4Network | IPv6Network:
    """The network around an address; by default one as large as a LAN is."""
    usual = 24 if address.version == 4 else 64  # noqa: PLR2004 - IP versions
    return ip_network((address, usual if prefix is None else prefix), strict=False)
