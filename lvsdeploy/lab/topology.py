"""What a lab is made of: networks, machines and their cables. Pure data, checked when made."""

import enum
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
)

from lvsdeploy.lab.errors import LabError

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network

_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

# IFNAMSIZ is 16 with the closing zero.
_LONGEST_INTERFACE = 15


class Init(enum.Enum):
    """What runs as a machine's first process."""

    SSHD = "sshd"
    SYSTEMD = "systemd"


@dataclass(frozen=True)
class Network:
    """One Ethernet segment: a switch that every machine's cable to it ends in.

    The controller (where `Lab.run` runs programs) has the last host address of each subnet.
    """

    name: str
    subnets: tuple[Subnet, ...]

    def controller_interfaces(self) -> tuple[Interface, ...]:
        """The controller's address on this network, one for each subnet, with its prefix."""
        return tuple(ip_interface(f"{subnet[-2]}/{subnet.prefixlen}") for subnet in self.subnets)


@dataclass(frozen=True)
class Nic:
    """One network card; `addresses` are set again at every start, without waiting for DAD."""

    network: str
    interface: str
    addresses: tuple[Interface, ...]


@dataclass(frozen=True)
class Route:
    """One route in the main table; `destination` is "default" or a CIDR, `via` an address."""

    destination: str
    via: str


@dataclass(frozen=True)
class Machine:
    """One machine. What it needs of the kernel decides which kernel it gets.

    `ipvs`: a director. `tunnels`: a real server that unwraps ipip, gre or fou. Both go to a kernel
    that has it: this machine's own, or one UML instance of its own. `forwards`: a router, with
    ip_forward=1 for both families from the start.
    """

    name: str
    nics: tuple[Nic, ...]
    routes: tuple[Route, ...] = ()
    ipvs: bool = False
    forwards: bool = False
    init: Init = Init.SSHD
    tunnels: bool = False

    def addresses(self) -> tuple[Address, ...]:
        """All addresses, in the order of the cards."""
        return tuple(address.ip for nic in self.nics for address in nic.addresses)


@dataclass(frozen=True)
class Topology:
    networks: tuple[Network, ...]
    machines: tuple[Machine, ...]

    def __post_init__(self) -> None:
        mistakes = list(_mistakes(self))
        if mistakes:
            raise LabError("this topology cannot be built: " + "; ".join(mistakes))

    def machine(self, name: str) -> Machine:
        """The machine of that name; LabError when there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.machines)
        raise LabError(f"no machine is called {name!r}; there are: {known}")


def mac_address(machine: str, interface: str) -> str:
    """The card's MAC address: always the same one, since a reboot does not change a real card."""
    digest = hashlib.sha256(f"{machine}/{interface}".encode()).digest()
    # 02: locally administered, unicast.
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def network_script(machine: Machine) -> str:
    """What `ip -batch` sets at every start: the machine's DHCP or ifupdown, so to speak."""
    lines = ["link set lo up"]
    for nic in machine.nics:
        for address in nic.addresses:
            # A tentative address answers nobody for a second or two.
            dad = " nodad" if address.version == 6 else " brd +"  # noqa: PLR2004 — IPv6
            lines.append(f"addr add {address} dev {nic.interface}{dad}")
        lines.append(f"link set {nic.interface} up")
    # The gateway tells the family: a line of a batch begins with no option.
    lines += [f"route add {route.destination} via {route.via}" for route in machine.routes]
    return "".join(f"{line}\n" for line in lines)


def _mistakes(topology: Topology) -> Iterator[str]:
    networks = {network.name: network for network in topology.networks}
    yield from _repeated("network", [network.name for network in topology.networks])
    yield from _repeated("machine", [machine.name for machine in topology.machines])
    taken = [str(a.ip) for n in topology.networks for a in n.controller_interfaces()]
    for machine in topology.machines:
        if not _HOSTNAME.fullmatch(machine.name):
            yield f"{machine.name!r} is no host name: letters, digits and hyphens, at most 63"
        taken += [str(address) for address in machine.addresses()]
        yield from _repeated(f"interface of {machine.name}", [nic.interface for nic in machine.nics])
        for nic in machine.nics:
            where = f"{machine.name}'s {nic.interface}"
            if not 0 < len(nic.interface) <= _LONGEST_INTERFACE:
                yield f"{where}: an interface's name has 1 to {_LONGEST_INTERFACE} characters"
            network = networks.get(nic.network)
            if network is None:
                yield f"{where} is on network {nic.network!r}, which does not exist"
                continue
            for address in nic.addresses:
                if not any(address.ip in subnet for subnet in network.subnets):
                    yield f"{where}: {address} is in no subnet of network {nic.network!r}"
    yield from _repeated("address (the last of a subnet is the controller's)", taken)


def _repeated(what: str, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{what} {name!r} is there twice"
