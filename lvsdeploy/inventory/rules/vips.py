"""LVS2xx: VIPs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.addresses import expanded
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import IPAddress, Protocol, Vip

_SHORTEST_PREFIX = {4: 8, 6: 16}
"""Of a network that one site can have: IPv4's largest were /8, and 2000::/3 is given out from /16 on."""


@rule(
    "LVS201",
    Severity.ERROR,
    "Two services have the same protocol, VIP and port.",
    why="(protocol, VIP, port) is what IPVS knows a virtual service by: there can be one.",
    fix="Change the port or the VIP of one, or make them one service.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [web1]}
          web: {vip: 192.0.2.50, ports: [80, 443], real_servers: [web2]}
    """,
)
def one_service_each(context: Context) -> Iterator[Hit]:
    seen: dict[tuple[Protocol, IPAddress, int], str] = {}
    for service in context.cluster.services:
        if service.fwmark:
            continue
        shared: dict[str, list[tuple[IPAddress, int]]] = {}
        for pool in service.pools:
            for vip in pool.vips:
                other = seen.setdefault((service.protocol, vip.ip, pool.port), service.name)
                if other != service.name:
                    shared.setdefault(other, []).append((vip.ip, pool.port))
        for other, ((vip_ip, port), *more) in shared.items():
            what = f"{service.protocol} {vip_ip} port {port}" + (f" ({len(more)} more)" if more else "")
            yield Hit(service.path, f"'{service.name}' has {what}, and so has '{other}'")


@rule(
    "LVS202",
    Severity.ERROR,
    "A VIP is a host's own address.",
    why="A VIP comes and goes with VRRP, and real servers hide it from ARP: a host whose own address it is "
    "would become unreachable, or the network would know two owners of it.",
    fix="Take a free address for the VIP.",
    example="""
        real_servers:
          web1: {address: 192.0.2.50}
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [web1]}
    """,
)
def vip_is_free(context: Context) -> Iterator[Hit]:
    owners: dict[str, str] = {}
    for director in context.cluster.directors:
        owners.setdefault(director.address, director.name)
        owners.setdefault(str(director.dip), director.name)
        owners.setdefault(str(director.dip6), director.name)
    for real_server in context.cluster.real_servers:
        owners.setdefault(real_server.address, real_server.name)
        for rip in real_server.rips:
            owners.setdefault(str(rip), real_server.name)
    for vip in context.cluster.vips:
        if owner := owners.get(str(vip.ip)):
            path = (*vip.path, "address") if vip.name else vip.path
            yield Hit(path, f"the VIP {vip.ip} is {owner}'s own address")
    for service in context.cluster.services:
        sorry = service.sorry_server
        if sorry and sorry.address in {vip.ip for vip in service.vips}:
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(path, f"the sorry server's address {sorry.address} is the VIP")


@rule(
    "LVS248",
    Severity.WARNING,
    "A service names a VIP twice.",
    why="A VIP is in a service once: a name, an address and a range may stand for the same one. The second "
    "is probably a slip for another VIP.",
    fix="Take out one of the two, or correct it.",
    example="""
        services:
          http: {vips: ["192.0.2.50-59", 192.0.2.55], port: 80, real_servers: [web1, web2]}
    """,
)
def vips_once(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if not context.written(*service.path, "vips"):
            continue
        seen: set[IPAddress] = set()
        for index, text in enumerate(context.data["services"][service.name]["vips"]):
            twice = [ip for ip in _stands_for(context, text) if ip in seen]
            if twice:
                more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
                path = (*service.path, "vips", str(index))
                yield Hit(path, f"'{service.name}' has the VIP {twice[0]}{more} already")
            seen.update(_stands_for(context, text))


@rule(
    "LVS212",
    Severity.ERROR,
    "A VIP is the network or broadcast address of its own prefix.",
    why="These two addresses of a network stand for all of it; no host can have one.",
    fix="Take a host's address of the network, or correct the prefix.",
    example="vips:\n  public: {address: 192.0.2.0/24}",
)
def vip_is_host_address(context: Context) -> Iterator[Hit]:
    for vip in context.cluster.vips:
        network = vip.address.network
        if vip.ip.version != 4 or network.prefixlen >= 31:  # noqa: PLR2004 - RFC 3021
            continue
        if vip.ip in {network.network_address, network.broadcast_address}:
            kind = "network" if vip.ip == network.network_address else "broadcast"
            path = (*vip.path, "address") if vip.name else vip.path
            yield Hit(path, f"{vip.ip} is the {kind} address of {network}")


@rule(
    "LVS231",
    Severity.ERROR,
    "A VIP's prefix takes in what is not its network.",
    why="With the VIP the directors get a route to its whole network on that interface: prefixes up to /7, "
    "of IPv6 up to /15, are large parts of the internet. On lo all addresses of the network are the "
    "director's own, and it reaches none of the hosts in it.",
    fix="Write the prefix of the network that the VIP is in, or none.",
    example="vips:\n  public: {address: 192.0.2.50/0}",
)
def prefix_of_a_network(context: Context) -> Iterator[Hit]:
    for vip in context.cluster.vips:
        length, whole = vip.address.network.prefixlen, vip.address.network.max_prefixlen
        if length < _SHORTEST_PREFIX[vip.ip.version]:
            yield Hit(_place(vip), f"/{length} of the VIP {vip.ip} is no network of a site")
        elif vip.interface == "lo" and length < whole:
            by = "/32" if whole == 32 else "/128"  # noqa: PLR2004 - bits of IPv4
            summary = f"on lo the director would take all of {vip.address.network} for itself"
            yield Hit(_place(vip), summary, fix=f"Leave the prefix out: {by} is the default.")


@rule(
    "LVS213",
    Severity.ERROR,
    "An address cannot be used on a network.",
    why="Loopback, multicast, unspecified and reserved addresses reach no other machine. An IPv6 address "
    "that is link-local, or has a scope (`%eth0`), means something on one link only, and IPVS has no place "
    "for the link; one with an IPv4 address in it (::ffff:192.0.2.1) is never on the wire.",
    fix="Use the address that the machine has on its network.",
    example="real_servers:\n  web1: {address: 127.0.0.1}",
)
def usable_addresses(context: Context) -> Iterator[Hit]:
    for path, address in _addresses(context):
        kind = _unusable(address)
        if kind == "a loopback" and "sorry_server" in path:
            continue  # the director's own page: LVS126 looks at it
        if kind:
            yield Hit(path, f"{address} is {kind} address")


@rule(
    "LVS214",
    Severity.NOTE,
    "A VIP is declared and no service uses it.",
    why="Only VIPs of services are put on the directors.",
    fix="Use it in a service, or remove it.",
    example="vips:\n  spare: {address: 192.0.2.60/24}",
    needs=("services", "vips"),
)
def vip_unused(context: Context) -> Iterator[Hit]:
    used = {vip.ip for vip in context.cluster.vips}
    declared = context.data.get("vips") or {}
    named = {vip.name for vip in context.cluster.vips}
    for name, entry in declared.items():
        bare = str(entry["address"]).partition("/")[0]
        if name not in named and bare not in {str(ip) for ip in used}:
            yield Hit(("vips", name), f"no service uses the VIP '{name}'", key=True)


def _place(vip: Vip) -> tuple[str, ...]:
    return (*vip.path, "address") if vip.name else vip.path


def _addresses(context: Context) -> Iterator[tuple[tuple[str, ...], IPAddress]]:
    cluster = context.cluster
    for director in cluster.directors:
        key = "dip" if context.written(*director.path, "dip") else "address"
        yield (*director.path, key), director.dip
        if director.dip6:
            yield (*director.path, "dip6"), director.dip6
    for real_server in cluster.real_servers:
        key = "rip" if context.written(*real_server.path, "rip") else "address"
        yield (*real_server.path, key), real_server.rip
        if real_server.rip6:
            yield (*real_server.path, "rip6"), real_server.rip6
    for vip in cluster.vips:
        yield (*vip.path, "address") if vip.name else vip.path, vip.ip
    if cluster.nat:
        yield ("nat", "gateway"), cluster.nat.gateway.ip
        if cluster.nat.gateway6:
            yield ("nat", "gateway6"), cluster.nat.gateway6.ip
    for service in cluster.services:
        if service.sorry_server:
            path = context.place_of(service, "sorry_server", "address")
            yield path, service.sorry_server.address


def _stands_for(context: Context, text: str) -> list[IPAddress]:
    """The VIPs of one item of `vips`: a name, an address, or a range in the last number."""
    entry = (context.data.get("vips") or {}).get(text)
    return [ip_address(one.partition("/")[0]) for one in expanded(str(entry["address"] if entry else text))]


def _unusable(address: IPAddress) -> str:
    kinds = {
        "the unspecified": address.is_unspecified,
        "a loopback": address.is_loopback,
        "a multicast": address.is_multicast,
        **(_unusable_fourth(address) if isinstance(address, IPv4Address) else _unusable_sixth(address)),
    }
    return next((kind for kind, so in kinds.items() if so), "")


def _unusable_fourth(address: IPv4Address) -> dict[str, bool]:
    return {"a reserved": address.is_reserved or int(address) >> 24 == 0}  # 240.0.0.0/4 and 0.0.0.0/8


def _unusable_sixth(address: IPv6Address) -> dict[str, bool]:
    return {
        "a link-local": address.is_link_local,
        "a scoped": address.scope_id is not None,
        "an IPv4-mapped": address.ipv4_mapped is not None,
        "an IPv4-compatible": int(address) >> 32 == 0,  # ::/96, deprecated by RFC 4291
    }
