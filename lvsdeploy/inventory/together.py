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
    why="VRRP tells groups apart by this number alone: the two MASTERs take each other for a rival, and VIPs "
    "flap or vanish.",
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


def findings_between(loaded: Sequence[Loaded]) -> tuple[Finding, ...]:
    """See `lvsdeploy.inventory.check_together`."""
    found: list[Finding] = []
    for first, second in combinations(loaded, 2):
        found.extend(_router_ids(first, second))
        found.extend(_vips(first, second))
        found.extend(_names(first, second))
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
