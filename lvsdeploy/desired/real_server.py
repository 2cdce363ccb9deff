"""What a real server is."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from lvsdeploy.desired.boot import Boot
from lvsdeploy.desired.paths import modules_path, script_path, sysctl_path, unit_name
from lvsdeploy.desired.tunnels import Tunnels, tunnels_of
from lvsdeploy.inventory.model import IPV4, IPV6
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.network import LOOPBACK, Address, default_route
from lvsdeploy.state.sysctl import conf
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from lvsdeploy.desired.firewall import LoadedRules
    from lvsdeploy.desired.roles import Roles
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import IPAddress, RealServer
    from lvsdeploy.state.facts import ServiceManager

_ARP = {"arp_ignore": 1, "arp_announce": 2}


def real_server_state(
    roles: Roles,
    server: RealServer,
    templates: Templates,
    manager: ServiceManager,
    actual: HostState | None,
    rules: LoadedRules | None = None,
) -> HostState:
    """In DR the VIPs on lo, hidden from ARP; in NAT the way back through the director; in TUN also tunnels.

    `actual` tells the interfaces that carry the RIP where the inventory does not. `rules` are netfilter rules
    that the script loads.
    """
    vips, nat, tunnels = roles.dr_vips(server), roles.inside_of(server), tunnels_of(roles, server)
    gateways = tuple(gateway.ip for gateway in roles.gateways(server))
    managed = gateways if nat is not None and nat.configure_gateway else ()
    files = _files(templates, roles.cluster.name, vips, managed, tunnels, manager, rules)
    name = unit_name(roles.cluster.name)
    return HostState(
        programs=frozenset({"ip", *(rules.programs if rules is not None else ())}) if files else frozenset(),
        files={file.path: file for file in files},
        sysctls={
            **_sysctls((*vips, *_inside(tunnels)), _interfaces(server, actual)),
            **tunnels.sysctls,
        },
        addresses=frozenset((*(Address(LOOPBACK, ip_interface(vip)) for vip in vips), *tunnels.vips)),
        routes=tuple(default_route(gateway) for gateway in gateways),
        units={name: Unit(name, enabled=True, active=True)} if files else {},
        tunnels={link.name: link for link in tunnels.links},
        gue_ports=frozenset(tunnels.ports),
        netfilter=rules.ruleset if rules is not None else None,
    )


@lru_cache(maxsize=64)  # most real servers of a cluster get the same
def _files(
    templates: Templates,
    cluster: str,
    vips: tuple[IPAddress, ...],
    gateways: tuple[IPAddress, ...],
    tunnels: Tunnels,
    manager: ServiceManager,
    rules: LoadedRules | None,
) -> tuple[File, ...]:
    """Sysctls, the script, and what runs it at boot, sorted by path; nothing when there is nothing to do."""
    if not vips and not gateways and not tunnels.links:
        return ()
    arp = _needs_arp((*vips, *_inside(tunnels)))
    values = {
        "cluster": cluster,
        "vips": [ip_interface(vip) for vip in vips],
        "arp": arp,
        "sixth": any(vip.version == IPV6 for vip in vips),
        "tunnels": tunnels,
        "gateways": gateways,
        "script": script_path(cluster),
        "rules": rules.name if rules is not None else "",
        "firewall": rules.loads if rules is not None else (),
    }
    boot = Boot(real_server=True, online=bool(gateways), firewall=rules is not None)
    files = [
        File(script_path(cluster), templates.render("real-server/real-server.sh.j2", **values), 0o755),
        boot.unit(templates, cluster, manager),
        *(rules.files if rules is not None else ()),
    ]
    if arp:
        files.append(File(sysctl_path(cluster), templates.render("sysctl/real-server.conf.j2", **values)))
    if tunnels.modules:
        modules = templates.render("modules/real-server.conf.j2", **values)
        files.append(File(modules_path(cluster), modules))
    return tuple(sorted(files, key=lambda file: file.path))


def _sysctls(vips: tuple[IPAddress, ...], interfaces: tuple[str, ...]) -> dict[str, int]:
    """The ARP sysctls of `all`, which are set, and of the RIP's interfaces, where they must be in effect.

    The kernel takes the larger of the two.
    """
    if not _needs_arp(vips):
        return {}
    return {
        conf(interface, name): value for interface in ("all", *interfaces) for name, value in _ARP.items()
    }


def _inside(tunnels: Tunnels) -> tuple[IPAddress, ...]:
    """The VIPs that come wrapped: real server and VIP may share a network all the same."""
    return tuple(vip.address.ip for vip in tunnels.vips)


def _needs_arp(vips: tuple[IPAddress, ...]) -> bool:
    """IPv6 has no ARP, and its neighbour discovery answers for the asked interface's addresses alone."""
    return any(vip.version == IPV4 for vip in vips)


def _interfaces(server: RealServer, actual: HostState | None) -> tuple[str, ...]:
    if server.interface is not None:
        return (server.interface,)
    if actual is None:
        return ()
    carriers = {a.interface for a in actual.addresses if a.address.ip in server.rips}
    return tuple(sorted(carriers - {LOOPBACK}))
