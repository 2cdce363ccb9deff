"""What a real server needs to unwrap the packets of mode tun."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4, ForwardingMethod, TunnelType
from lvsdeploy.state.network import Address
from lvsdeploy.state.sysctl import conf
from lvsdeploy.state.tunnel import GUE_MODULE, GuePort, LinkKind, TunnelLink, link_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.desired.roles import Roles
    from lvsdeploy.inventory.model import IPAddress, RealServer, Tunnel

_PLAIN = {
    (4, 4): LinkKind.IPIP,
    (6, 4): LinkKind.SIT,
    (4, 6): LinkKind.IP6TNL,
    (6, 6): LinkKind.IP6TNL,
}
"""(family of the VIP, of the RIP) -> what unwraps it. GUE leaves such a packet behind, too."""
_FILTER = "rp_filter"


@dataclass(frozen=True)
class Tunnels:
    """Interfaces, GUE's ports, and the VIPs on the interfaces, each sorted; all empty without mode tun."""

    links: tuple[TunnelLink, ...] = ()
    ports: tuple[GuePort, ...] = ()
    vips: tuple[Address, ...] = ()
    ipv4: bool = False  # whether IPv4 packets come out of them

    @property
    def modules(self) -> tuple[str, ...]:
        """Kernel modules, sorted."""
        return tuple(
            sorted({*(link.kind.module for link in self.links), *([GUE_MODULE] if self.ports else ())})
        )

    @property
    def placed(self) -> tuple[str, ...]:
        """The VIPs with their interfaces, as the script has them."""
        return tuple(f"{vip.address}@{vip.interface}" for vip in self.vips)

    @property
    def sysctls(self) -> dict[str, int]:
        """No filter by the way back: that to the client is another interface than the tunnel's.

        The larger of `all` and the interface's own counts.
        """
        if not self.ipv4:
            return {}
        return {conf(name, _FILTER): 0 for name in ("all", *(link.name for link in self.links))}


def tunnels_of(roles: Roles, server: RealServer) -> Tunnels:
    """What `server` needs. A VIP that it holds on lo anyway, for DR, stays there alone."""
    links: dict[str, TunnelLink] = {}
    ports: set[GuePort] = set()
    vips: dict[IPAddress, set[str]] = {}
    for vip, rip, tunnel in _wrapped(roles, server):
        link = _link(vip, rip, tunnel)
        links[link.name] = link
        if tunnel.type is TunnelType.GUE:
            ports.add(GuePort(tunnel.port, rip.version))
        vips.setdefault(vip, set()).add(link.name)
    on_lo = set(roles.dr_vips(server))
    return Tunnels(
        links=tuple(sorted(links.values(), key=lambda link: link.name)),
        ports=tuple(sorted(ports)),
        vips=tuple(
            Address(min(vips[vip]), ip_interface(vip))
            for vip in sorted(vips.keys() - on_lo, key=lambda ip: (ip.version, int(ip)))
        ),
        ipv4=any(vip.version == IPV4 for vip in vips),
    )


def modules_of(roles: Roles, server: RealServer) -> tuple[str, ...]:
    """The kernel modules that `server` needs, sorted."""
    return tunnels_of(roles, server).modules


def _wrapped(roles: Roles, server: RealServer) -> Iterator[tuple[IPAddress, IPAddress, Tunnel]]:
    """(VIP, RIP, tunnel) of every packet that may come wrapped."""
    for part in roles.parts_of(server):
        if part.mode is ForwardingMethod.TUN:
            yield from ((vip.ip, part.address, part.tunnel) for vip in part.pool.vips)


def _link(vip: IPAddress, rip: IPAddress, tunnel: Tunnel) -> TunnelLink:
    if tunnel.type is TunnelType.GRE:
        kind = LinkKind.GRE if rip.version == IPV4 else LinkKind.IP6GRE
        return link_for(kind, rip, checksum=bool(tunnel.checksum))
    return link_for(_PLAIN[vip.version, rip.version], rip)


_OUTER = {4: 20, 6: 40}
_GRE, _GRE_CHECKSUM = 4, 4
_GUE = 8 + 4  # UDP and GUE itself
_REMOTE_CHECKSUM = 8


def overhead(tunnel: Tunnel, version: int) -> int:
    """Bytes that wrapping adds to a packet; `version` is the RIP's family.

    net/netfilter/ipvs/ip_vs_xmit.c, __ip_vs_get_out_rt: what it takes off the MTU.
    """
    added = _OUTER[version]
    if tunnel.type is TunnelType.GRE:
        added += _GRE + (_GRE_CHECKSUM if tunnel.checksum else 0)
    if tunnel.type is TunnelType.GUE:
        added += _GUE + (_REMOTE_CHECKSUM if tunnel.checksum == "remcsum" else 0)
    return added
