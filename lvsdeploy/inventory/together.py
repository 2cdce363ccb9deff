"""Rules across clusters: what two inventories do to each other on one network."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Finding, Severity, in_order
from lvsdeploy.inventory.registry import code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from lvsdeploy.inventory import Loaded
    from lvsdeploy.inventory.model import Cluster, IPAddress

    Network = IPv4Network | IPv6Network

ROUTER_ID_CLASH = code(
    "LVS208",
    Severity.ERROR,
    "Two clusters on one segment have the same virtual router id.",
    why="VRRP tells groups apart by this number alone: the two MASTERs take each other for a rival, and "
    "VIPs flap or vanish.",
    fix="Give each cluster a virtual_router_id of its own; a NAT cluster takes the next one too.",
    more="Clusters count as neighbours when their directors' addresses share a /24 (/64), or a VIP's prefix "
    "covers both. With `unicast: true` in both, advertisements only go to known peers, so the clash is a "
    "warning unless they share a director.",
    example="""
        # shop.yaml and blog.yaml both, with directors in one network
        vrrp: {virtual_router_id: 51, unicast: false}
    """,
    links=("https://www.rfc-editor.org/rfc/rfc3768#section-5.3.3",),
)
VIP_CLASH = code(
    "LVS209",
    Severity.ERROR,
    "Two clusters have the same VIP.",
    why="Each cluster's MASTER would hold the address, and the network would know two owners of it.",
    fix="Give each cluster VIPs of its own.",
    example="""
        # in shop.yaml and in blog.yaml
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [web1, web2]}
    """,
)
NAME_CLASH = code(
    "LVS210",
    Severity.ERROR,
    "Two inventories that share a host have the same cluster name.",
    why="The name tells the files and locks of clusters apart on a host: each apply would undo the other's.",
    fix="Give each cluster a name of its own.",
    example="# in both files\ncluster: shop",
)

MARK_CLASH = code(
    "LVS245",
    Severity.ERROR,
    "Two clusters use the same firewall mark on one director.",
    why="The mark is what IPVS knows such a virtual service by, whoever set it: there can be one on a "
    "director.",
    fix="Give each cluster marks of its own.",
    example="""
        # in shop.yaml and in blog.yaml, with one director in both
        services:
          web: {vip: 192.0.2.50, ports: [80, 443], fwmark: 7, persistence: 600,
                real_servers: [web1, web2]}
    """,
)
VIP_OF_HOST = code(
    "LVS246",
    Severity.ERROR,
    "One cluster's VIP is an address of another cluster's host.",
    why="The network would know two owners of the address: the host, and the MASTER of the cluster.",
    fix="Take a free address for the VIP.",
    example="""
        # shop.yaml
        real_servers:
          web1: {address: 192.0.2.11}
        # blog.yaml
        services:
          http: {vip: 192.0.2.11, port: 80, real_servers: [web5]}
    """,
)
GATEWAY_CLASH = code(
    "LVS247",
    Severity.ERROR,
    "Two clusters have the same inside gateway.",
    why="Each cluster's MASTER would hold the address. Replies would reach the one director or the other, "
    "and only the one that sent the request can put the VIP back.",
    fix="Give each cluster a gateway of its own, or make them one cluster.",
    example="""
        # in shop.yaml and in blog.yaml
        nat: {gateway: 10.2.0.1/24, interface: eth1}
    """,
)


def findings_between(loaded: Sequence[Loaded]) -> tuple[Finding, ...]:
    """See `lvsdeploy.inventory.check_together`."""
    found: list[Finding] = []
    for first, second in combinations(loaded, 2):
        found.extend(_router_ids(first, second))
        found.extend(_vips(first, second))
        found.extend(_names(first, second))
        found.extend(_marks(first, second))
        found.extend(_gateways(first, second))
        found.extend(_hosts(first, second))
        found.extend(_hosts(second, first))
    return in_order(dict.fromkeys(found))


def _router_ids(first: Loaded, second: Loaded) -> Iterator[Finding]:
    a, b = first.cluster, second.cluster
    common = sorted(set(router_ids(a)) & set(router_ids(b)))
    if not common or not _segments(a) & _segments(b):
        return
    shared = _dips(a) & _dips(b)
    severity = Severity.ERROR
    if a.vrrp.unicast and b.vrrp.unicast and not shared:
        severity = Severity.WARNING
    number = ", ".join(map(str, common))
    summary = f"virtual router id {number} is taken by the cluster '{a.name}' ({a.source}) on this segment"
    place = second.document.place(("vrrp", "virtual_router_id"))
    yield ROUTER_ID_CLASH.finding(summary, place=place, severity=severity)


def router_ids(cluster: Cluster) -> tuple[int, ...]:
    """The virtual router ids a cluster uses: of each group of VIPs, and NAT's inside gateway has its own.

    A lone director has nobody to advertise to, but takes its ids all the same: a second one may come.
    """
    outside = cluster.vrrp.virtual_router_id
    inside = (outside + 1,) if cluster.nat and len(cluster.directors) > 1 else ()
    return (outside, *inside, *(group.virtual_router_id for group in cluster.vrrp.groups))


def _dips(cluster: Cluster) -> set[IPAddress]:
    return {director.dip for director in cluster.directors}


def _segments(cluster: Cluster) -> set[Network]:
    """The networks that a cluster advertises in, as far as the inventory shows them."""
    addresses = [*_dips(cluster), *(vip.ip for vip in cluster.vips)]
    found: set[Network] = set()
    for address in addresses:
        prefix = 24 if address.version == 4 else 64  # noqa: PLR2004 - IP versions
        found.add(ip_network((address, prefix), strict=False))
    return found


def _vips(first: Loaded, second: Loaded) -> Iterator[Finding]:
    taken = {vip.ip for vip in first.cluster.vips}
    for vip in second.cluster.vips:
        if vip.ip in taken:
            other = first.cluster
            summary = f"the VIP {vip.ip} belongs to the cluster '{other.name}' ({other.source}) too"
            path = (*vip.path, "address") if vip.name else vip.path
            yield VIP_CLASH.finding(summary, place=second.document.place(path))


def _names(first: Loaded, second: Loaded) -> Iterator[Finding]:
    if first.cluster.name != second.cluster.name:
        return
    hosts = {host.address for host in first.cluster.hosts()}
    if any(host.address in hosts for host in second.cluster.hosts()):
        summary = f"'{second.cluster.name}' is the name of the cluster in {first.cluster.source} too"
        yield NAME_CLASH.finding(summary, place=second.document.place(("cluster",)))


def _marks(first: Loaded, second: Loaded) -> Iterator[Finding]:
    if not _machines(first) & _machines(second):
        return
    taken = {service.fwmark: service.name for service in first.cluster.services if service.fwmark}
    for service in second.cluster.services:
        if service.fwmark in taken:
            summary = (
                f"the mark {service.fwmark} is that of '{taken[service.fwmark]}' in the cluster "
                f"'{first.cluster.name}' ({first.cluster.source}), on the same director"
            )
            yield MARK_CLASH.finding(summary, place=second.document.place((*service.path, "fwmark")))


def _machines(loaded: Loaded) -> set[str]:
    """The directors, by every address they are known by."""
    return {text for d in loaded.cluster.directors for text in (d.address, *map(str, d.dips))}


def _gateways(first: Loaded, second: Loaded) -> Iterator[Finding]:
    one, other = first.cluster.nat, second.cluster.nat
    if one is None or other is None:
        return
    taken = {gateway.ip for gateway in one.gateways}
    for key, gateway in zip(("gateway", "gateway6"), other.gateways, strict=False):
        if gateway.ip in taken:
            name = first.cluster.name
            summary = f"the gateway {gateway.ip} belongs to the cluster '{name}' ({first.cluster.source}) too"
            yield GATEWAY_CLASH.finding(summary, place=second.document.place(("nat", key)))


def _hosts(first: Loaded, second: Loaded) -> Iterator[Finding]:
    """The VIPs of the second that are hosts of the first."""
    cluster = first.cluster
    owners = {dip: director.name for director in cluster.directors for dip in director.dips}
    owners |= {rip: server.name for server in cluster.real_servers for rip in server.rips}
    for vip in second.cluster.vips:
        if owner := owners.get(vip.ip):
            where = f"in the cluster '{cluster.name}' ({cluster.source})"
            summary = f"the VIP {vip.ip} is {owner}'s own address {where}"
            path = (*vip.path, "address") if vip.name else vip.path
            yield VIP_OF_HOST.finding(summary, place=second.document.place(path))
