"""What a real server is."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import script_path, sysctl_path, unit_name, unit_path
from lvsdeploy.desired.roles import dr_vips, needs_gateway
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.sysctl import conf
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import Cluster, IPAddress, Nat, RealServer

LOOPBACK = "lo"

_ARP = {"arp_ignore": 1, "arp_announce": 2}
_UNIT_TEMPLATES = {
    ServiceManager.SYSTEMD: ("real-server/systemd.service.j2", 0o644),
    ServiceManager.OPENRC: ("real-server/openrc.j2", 0o755),
    ServiceManager.SYSV: ("real-server/sysv.j2", 0o755),
}


def real_server_state(
    cluster: Cluster,
    server: RealServer,
    templates: Templates,
    manager: ServiceManager,
    actual: HostState | None,
) -> HostState:
    """In DR the VIPs on lo, hidden from ARP; in NAT the way back through the director.

    `actual` tells the interfaces that carry the RIP where the inventory does not.
    """
    vips, nat = dr_vips(cluster, server), needs_gateway(cluster, server)
    gateway = nat.gateway.ip if nat is not None and nat.configure_gateway else None
    sysctls = _sysctls(vips, _interfaces(server, actual))
    files = []
    if sysctls:
        files.append(
            File(
                sysctl_path(cluster.name),
                templates.render("sysctl/real-server.conf.j2", cluster=cluster),
            )
        )
    managed = bool(vips) or gateway is not None
    if managed:
        files += _service(cluster, vips, gateway, templates, manager)
    name = unit_name(cluster.name)
    return HostState(
        programs=frozenset({"ip"}) if managed else frozenset(),
        files={file.path: file for file in sorted(files, key=lambda file: file.path)},
        sysctls=sysctls,
        addresses=frozenset(Address(LOOPBACK, ip_interface(vip)) for vip in vips),
        routes=_routes(nat),
        units={name: Unit(name, enabled=True, active=True)} if managed else {},
    )


def _service(
    cluster: Cluster,
    vips: tuple[IPAddress, ...],
    gateway: IPAddress | None,
    templates: Templates,
    manager: ServiceManager,
) -> list[File]:
    """The script, and what runs it at boot."""
    script = script_path(cluster.name)
    values = {
        "cluster": cluster,
        "vips": [ip_interface(vip) for vip in vips],
        "arp": _needs_arp(vips),
        "gateway": gateway,
        "script": script,
        "unit": unit_name(cluster.name),
    }
    unit_template, unit_mode = _UNIT_TEMPLATES[manager]
    return [
        File(script, templates.render("real-server/real-server.sh.j2", **values), 0o755),
        File(
            unit_path(cluster.name, manager), templates.render(unit_template, **values), unit_mode
        ),
    ]


def _sysctls(vips: tuple[IPAddress, ...], interfaces: tuple[str, ...]) -> dict[str, int]:
    """The ARP sysctls: of `all`, which are set, and of the RIP's interfaces, on which they must be in
    effect (the kernel takes the larger of the two)."""
    if not _needs_arp(vips):
        return {}
    return {
        conf(interface, name): value
        for interface in ("all", *interfaces)
        for name, value in _ARP.items()
    }


def _needs_arp(vips: tuple[IPAddress, ...]) -> bool:
    """IPv6 has no ARP, and its neighbour discovery answers for the asked interface's addresses alone."""
    return any(vip.version == _IPV4 for vip in vips)


def _interfaces(server: RealServer, actual: HostState | None) -> tuple[str, ...]:
    if server.interface is not None:
        return (server.interface,)
    if actual is None:
        return ()
    carriers = {a.interface for a in actual.addresses if a.address.ip == server.rip}
    return tuple(sorted(carriers - {LOOPBACK}))


def _routes(nat: Nat | None) -> tuple[Route, ...]:
    return (Route(via=nat.gateway.ip),) if nat is not None else ()


_IPV4 = 4
