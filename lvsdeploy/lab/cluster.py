"""From an inventory to the machines of a lab.

Around the inventory's hosts stand a client, a router and a client far away. Subnets are the /24 or /64 (or
the declared prefix) that the inventory's addresses lie in; those of one interface, of either family, are one
Ethernet segment. The router stands on all segments and leads to the far client's; every machine's default
routes go there, until lvsdeploy says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4, IPV6, Director, ForwardingMethod
from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.topology import Init, Machine, Network, Nic, Route, Topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lvsdeploy.inventory.model import Cluster, IPAddress, RealServer
    from lvsdeploy.lab.topology import Subnet

CLIENT, ROUTER, REMOTE = "client", "router", "remote"
"""The machines that no inventory names: a client beside the VIPs, a router, a client behind it."""

_FAR = {
    IPV4: ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"),
    IPV6: ("2001:db8:fa::/64", "2001:db8:fb::/64", "fd00:fa::/64"),
}
_PREFIX = {IPV4: 24, IPV6: 64}


def topology_of(cluster: Cluster, *, init: Init = Init.SSHD) -> Topology:
    """The lab of a cluster; LabError when its addresses cannot be laid out."""
    return _Layout(cluster, init).topology()


@dataclass(eq=False)
class _Segment:
    """An Ethernet segment under construction, and the router's addresses on it."""

    subnets: list[Subnet] = field(default_factory=list)
    routers: list[IPAddress] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.subnets[0])

    def nic(self, interface: str, addresses: Iterable[IPAddress]) -> Nic:
        """A card with those of the addresses that are on this segment, each with its subnet's prefix."""
        found = [(ip, net) for ip in addresses for net in self.subnets if ip in net]
        return Nic(self.name, interface, tuple(ip_interface(f"{ip}/{net.prefixlen}") for ip, net in found))


@dataclass
class _Layout:
    cluster: Cluster
    init: Init
    segments: list[_Segment] = field(default_factory=list)
    taken: set[IPAddress] = field(default_factory=set)

    def topology(self) -> Topology:
        cluster = self.cluster
        clash = {CLIENT, ROUTER, REMOTE} & {host.name for host in cluster.hosts()}
        if clash:
            raise LabError(f"the lab needs the name {clash.pop()} for a machine of its own")
        self._collect()
        outside = self._segment(cluster.vips[0].ip) if cluster.vips else self.segments[0]
        far = _Segment(list(self._far()))
        for segment in self.segments:
            segment.routers = self._free(segment)
        machines = [self._director(director) for director in cluster.directors]
        machines += [self._real_server(h) for h in cluster.hosts() if not isinstance(h, Director)]
        client = outside.nic("eth0", self._free(outside))
        machines.append(Machine(CLIENT, (client,), _default(client, outside.routers)))
        cards = [segment.nic(f"eth{i}", segment.routers) for i, segment in enumerate(self.segments)]
        far.routers = [net[1] for net in far.subnets]
        cards.append(far.nic(f"eth{len(cards)}", far.routers))
        machines.append(Machine(ROUTER, tuple(cards), forwards=True))
        remote = far.nic("eth0", [net[10] for net in far.subnets])
        machines.append(Machine(REMOTE, (remote,), _default(remote, far.routers)))
        networks = tuple(Network(each.name, tuple(each.subnets)) for each in (*self.segments, far))
        return Topology(networks, tuple(machines))

    def _collect(self) -> None:
        """Every address of the inventory, the subnets they lie in, and the segments that these make up."""
        cluster, nat = self.cluster, self.cluster.nat
        wide = [vip.address for vip in cluster.vips]
        wide += nat.gateways if nat is not None else ()
        subnets = [each.network for each in wide if each.network.prefixlen < each.max_prefixlen]
        self.segments = [_Segment([net]) for net in dict.fromkeys(subnets)]
        for addresses in self._interfaces():
            self._join(addresses)

    def _interfaces(self) -> Iterator[list[IPAddress]]:
        """The addresses that are on one interface each, those of hosts before those that move."""
        cluster = self.cluster
        hosts: tuple[Director | RealServer, ...] = (*cluster.directors, *cluster.real_servers)
        for host in hosts:
            yield from self._own(host)
        cards: dict[str | None, list[IPAddress]] = {}
        for vip in cluster.vips:
            cards.setdefault(vip.interface, []).append(vip.ip)
        if cluster.nat is not None:
            cards.setdefault(cluster.nat.interface, []).extend(g.ip for g in cluster.nat.gateways)
        for interface, moving in cards.items():
            directors = [d for d in cluster.directors if interface in (None, d.interface)]
            yield [*moving, *(dip for director in directors for dip in director.dips)]

    def _own(self, host: Director | RealServer) -> Iterator[list[IPAddress]]:
        """A host's addresses: those it is in the cluster with, and one of its own for SSH."""
        own = list(host.dips if isinstance(host, Director) else host.rips)
        yield own
        address = _address(host.address)
        if address not in own:
            yield [address]

    def _join(self, addresses: list[IPAddress]) -> None:
        """Makes the subnets of these addresses one segment, with new ones for those that lie in none."""
        self.taken.update(addresses)
        for address in addresses:
            if not any(address in net for segment in self.segments for net in segment.subnets):
                net = ip_network((address, _PREFIX[address.version]), strict=False)
                self.segments.append(_Segment([net]))
        first, *others = dict.fromkeys(self._segment(address) for address in addresses)
        for other in others:
            first.subnets += other.subnets
            self.segments.remove(other)

    def _far(self) -> Iterator[Subnet]:
        """A subnet for the far client of each family that there is."""
        known = [net for segment in self.segments for net in segment.subnets]
        for version, candidates in _FAR.items():
            same = [net for net in known if net.version == version]
            if same:
                yield next(
                    net for net in map(ip_network, candidates) if not any(net.overlaps(one) for one in same)
                )

    def _segment(self, address: IPAddress) -> _Segment:
        return next(s for s in self.segments if any(address in net for net in s.subnets))

    def _free(self, segment: _Segment) -> list[IPAddress]:
        """For each subnet an address nobody has, from the end; the last one is the controller's."""
        found = []
        for net in segment.subnets:
            numbers = range(3, min(net.num_addresses, 1 << 16))
            address = next((net[-n] for n in numbers if net[-n] not in self.taken), None)
            if address is None:
                raise LabError(f"network {net} has no address left for the lab's own machines")
            self.taken.add(address)
            found.append(address)
        return found

    def _real_server(self, host: RealServer) -> Machine:
        segment = self._segment(host.rip)
        cards = self._cards(host, host.interface or "eth0")
        routes = _default(next(iter(cards.values())), segment.routers, self._gateways(host))
        tunnels = any(part.mode is ForwardingMethod.TUN for part in self.cluster.parts_of(host))
        return Machine(host.name, tuple(cards.values()), routes, init=self.init, tunnels=tunnels)

    def _director(self, director: Director) -> Machine:
        cards = self._cards(director, director.interface)
        nat = self.cluster.nat
        if nat is not None and nat.interface not in cards:
            inside = self._segment(nat.gateway.ip)
            cards[nat.interface] = inside.nic(nat.interface, self._free(inside))
        for vip in self.cluster.vips:
            if vip.interface is not None and vip.interface not in cards:
                outside = self._segment(vip.ip)
                cards[vip.interface] = outside.nic(vip.interface, self._free(outside))
        routes = _default(cards[director.interface], self._segment(director.dip).routers)
        return Machine(director.name, tuple(cards.values()), routes, ipvs=True, init=self.init)

    def _cards(self, host: Director | RealServer, interface: str) -> dict[str, Nic]:
        """The card that the host is in the cluster with, and one for SSH where that is elsewhere."""
        addresses = [address for own in self._own(host) for address in own]
        segment = self._segment(addresses[0])
        cards = {interface: segment.nic(interface, addresses)}
        apart = [a for a in addresses if a not in {each.ip for each in cards[interface].addresses}]
        if apart:
            cards["mgmt0"] = self._segment(apart[0]).nic("mgmt0", apart)
        return cards

    def _gateways(self, server: RealServer) -> list[IPAddress]:
        """In NAT without `configure_gateway` the operator has set the way back already."""
        nat = self.cluster.nat
        if nat is None or nat.configure_gateway:
            return []
        parts = self.cluster.parts_of(server)
        versions = {part.pool.version for part in parts if part.mode is ForwardingMethod.NAT}
        return [gateway.ip for gateway in nat.gateways if gateway.version in versions]


def _default(nic: Nic, routers: list[IPAddress], instead: Iterable[IPAddress] = ()) -> tuple[Route, ...]:
    """A default route for each family that the card has; `instead` of the router, where that names one."""
    ways = {way.version: way for way in (*reversed(routers), *instead)}  # of two routers, the first
    versions = {address.version for address in nic.addresses}
    return tuple(Route("default", str(ways[version])) for version in sorted(versions))


def _address(address: str) -> IPAddress:
    try:
        found = ip_address(address)
    except ValueError:
        raise LabError(f"the lab needs an address where the inventory has the name {address}") from None
    if found.is_link_local:
        raise LabError(f"the lab lays out no link-local addresses, and {found} is one")
    return found


__all__ = ["CLIENT", "REMOTE", "ROUTER", "topology_of"]
