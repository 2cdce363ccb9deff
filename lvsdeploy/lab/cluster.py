"""From an inventory to the machines of a lab.

Around the inventory's hosts stand a client, a router and a client far away. Networks are the /24 (or the
declared prefix) that the inventory's addresses lie in. The router stands on all of them and leads to the far
client's network; every machine's default route goes there, until lvsdeploy says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address, ip_interface
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import ForwardingMethod, RealServer
from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.topology import Init, Machine, Network, Nic, Route, Topology

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster, Director

CLIENT, ROUTER, REMOTE = "client", "router", "remote"
"""The machines that no inventory names: a client beside the VIPs, a router, a client behind it."""

_FAR = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
_PREFIX = 24


def topology_of(cluster: Cluster, *, init: Init = Init.SSHD) -> Topology:
    """The lab of a cluster; LabError when its addresses cannot be laid out."""
    return _Layout(cluster, init).topology()


@dataclass
class _Layout:
    cluster: Cluster
    init: Init
    networks: list[IPv4Network] = field(default_factory=list)
    taken: set[IPv4Address] = field(default_factory=set)

    def topology(self) -> Topology:
        cluster = self.cluster
        clash = {CLIENT, ROUTER, REMOTE} & {host.name for host in cluster.hosts()}
        if clash:
            raise LabError(f"the lab needs the name {clash.pop()} for a machine of its own")
        self._collect()
        outside = self._network(_v4(cluster.vips[0].ip)) if cluster.vips else self.networks[0]
        far = next(
            net for net in map(IPv4Network, _FAR) if not any(net.overlaps(known) for known in self.networks)
        )
        routers = {net: self._free(net) for net in self.networks}
        machines = [self._director(director, routers) for director in cluster.directors]
        machines += [
            self._real_server(host, routers) for host in cluster.hosts() if isinstance(host, RealServer)
        ]
        machines.append(
            Machine(
                CLIENT,
                (self._nic(outside, "eth0", self._free(outside)),),
                (Route("default", str(routers[outside])),),
            )
        )
        cards = [self._nic(net, f"eth{i}", address) for i, (net, address) in enumerate(routers.items())]
        cards.append(Nic(str(far), f"eth{len(cards)}", (ip_interface(f"{far[1]}/{far.prefixlen}"),)))
        machines.append(Machine(ROUTER, tuple(cards), forwards=True))
        machines.append(
            Machine(
                REMOTE,
                (Nic(str(far), "eth0", (ip_interface(f"{far[10]}/{far.prefixlen}"),)),),
                (Route("default", str(far[1])),),
            )
        )
        networks = tuple(Network(str(net), (net,)) for net in (*self.networks, far))
        return Topology(networks, tuple(machines))

    def _collect(self) -> None:
        """Every address of the inventory, and the networks they lie in."""
        cluster = self.cluster
        wide: list[IPv4Interface] = [
            vip.address
            for vip in cluster.vips
            if isinstance(vip.address, IPv4Interface)
            and vip.address.network.prefixlen < vip.address.max_prefixlen
        ]
        if cluster.nat is not None and isinstance(cluster.nat.gateway, IPv4Interface):
            wide.append(cluster.nat.gateway)
        self.networks = list(dict.fromkeys(address.network for address in wide))
        addresses = [host.address for host in cluster.hosts()]
        addresses += [str(director.dip) for director in cluster.directors]
        addresses += [str(server.rip) for server in cluster.real_servers]
        addresses += [str(vip.ip) for vip in cluster.vips]
        if cluster.nat is not None:
            addresses.append(str(cluster.nat.gateway.ip))
        for text in addresses:
            address = _v4(text)
            self.taken.add(address)
            if not any(address in net for net in self.networks):
                self.networks.append(IPv4Network((address, _PREFIX), strict=False))

    def _network(self, address: IPv4Address) -> IPv4Network:
        return next(net for net in self.networks if address in net)

    def _free(self, network: IPv4Network) -> IPv4Address:
        """An address nobody has, from the end; the last one is the controller's."""
        for number in range(3, network.num_addresses):
            address = network[-number]
            if address not in self.taken:
                self.taken.add(address)
                return address
        raise LabError(f"network {network} has no address left for the lab's own machines")

    def _nic(self, network: IPv4Network, interface: str, *addresses: IPv4Address) -> Nic:
        interfaces = tuple(ip_interface(f"{address}/{network.prefixlen}") for address in addresses)
        return Nic(str(network), interface, interfaces)

    def _director(self, director: Director, routers: dict[IPv4Network, IPv4Address]) -> Machine:
        own = dict.fromkeys([_v4(director.dip), _v4(director.address)])
        network = self._network(_v4(director.dip))
        cards = {
            director.interface: self._nic(network, director.interface, *[a for a in own if a in network])
        }
        nat = self.cluster.nat
        if nat is not None and nat.interface not in cards:
            inside = self._network(_v4(nat.gateway.ip))
            cards[nat.interface] = self._nic(inside, nat.interface, self._free(inside))
        for vip in self.cluster.vips:
            if vip.interface is not None and vip.interface not in cards:
                outside = self._network(_v4(vip.ip))
                cards[vip.interface] = self._nic(outside, vip.interface, self._free(outside))
        apart = [address for address in own if address not in network]
        if apart:
            cards["mgmt0"] = self._nic(self._network(apart[0]), "mgmt0", *apart)
        route = Route("default", str(routers[network]))
        return Machine(director.name, tuple(cards.values()), (route,), ipvs=True, init=self.init)

    def _real_server(self, server: RealServer, routers: dict[IPv4Network, IPv4Address]) -> Machine:
        network = self._network(_v4(server.rip))
        interface = server.interface or "eth0"
        own = dict.fromkeys([_v4(server.rip), _v4(server.address)])
        cards = [self._nic(network, interface, *[a for a in own if a in network])]
        apart = [address for address in own if address not in network]
        if apart:
            cards.append(self._nic(self._network(apart[0]), "mgmt0", *apart))
        route = Route("default", str(self._gateway(server) or routers[network]))
        modes = {service.mode for service in self.cluster.services_of(server.name)}
        tunnels = ForwardingMethod.TUN in modes
        return Machine(server.name, tuple(cards), (route,), init=self.init, tunnels=tunnels)

    def _gateway(self, server: RealServer) -> IPv4Address | None:
        """In NAT without `configure_gateway` the operator has set the way back already."""
        nat = self.cluster.nat
        if nat is None or nat.configure_gateway:
            return None
        modes = {service.mode for service in self.cluster.services_of(server.name)}
        return _v4(nat.gateway.ip) if ForwardingMethod.NAT in modes else None


def _v4(address: object) -> IPv4Address:
    try:
        found = ip_address(str(address))
    except ValueError:
        raise LabError(f"the lab needs an address where the inventory has the name {address!s}") from None
    if not isinstance(found, IPv4Address):
        raise LabError(f"the lab lays out IPv4 only, and {found} is IPv6")
    return found


__all__ = ["CLIENT", "REMOTE", "ROUTER", "topology_of"]
