"""What only live hosts can tell: findings about machines and about the cluster as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Finding, Severity
from lvsdeploy.inventory.model import ForwardingMethod
from lvsdeploy.plan.change import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Address, IPv6Address

    from lvsdeploy.inventory.model import Cluster, Director, RealServer
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.host import HostState


def findings(context: Context, role: Role) -> Iterator[Finding]:
    """About one machine."""
    if not context.facts.root:
        yield Finding(
            code="LVS501",
            severity=Severity.ERROR,
            host=context.host,
            summary="lvsdeploy is not root on this host",
            why="Sysctls, addresses and the IPVS table can be read and set by root alone.",
            fix="Log in as root, or set `ssh: {become: true}` to go through sudo.",
        )
    modules = context.facts.modules | context.facts.available_modules
    if role is Role.DIRECTOR and "ip_vs" not in modules:
        yield Finding(
            code="LVS502",
            severity=Severity.ERROR,
            host=context.host,
            summary="the kernel has no ip_vs module",
            why=f"A director is IPVS; kernel {context.facts.kernel or 'of this host'} offers none.",
            fix="Install the distribution's full kernel (cloud and container kernels often lack it).",
        )


def layer_two(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """DR: the RIP of each real server lies in a subnet of each director's interface."""
    for director in cluster.directors:
        state = states.get(director.name)
        if state is None:
            continue
        subnets = {
            a.address.network
            for a in state.addresses
            if a.address.network.prefixlen < a.address.max_prefixlen
        }
        for server in _dr_real_servers(cluster):
            if not any(server.rip in subnet for subnet in subnets):
                yield Finding(
                    code="LVS511",
                    severity=Severity.ERROR,
                    host=director.name,
                    summary=f"real server {server.name} ({server.rip}) is in no subnet of this director",
                    why="DR rewrites only the frame's destination MAC, so director and real server must "
                    "share one network.",
                    fix="Give the real server an address in the director's network, or use another mode.",
                )


def own_address(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """Each machine holds the address that the inventory says it has."""
    for host in cluster.hosts():
        state = states.get(host.name)
        declared = _declared_address(host)
        if state is None or any(a.address.ip == declared for a in state.addresses):
            continue
        word = "DIP" if host in cluster.directors else "RIP"
        yield Finding(
            code="LVS503",
            severity=Severity.ERROR,
            host=host.name,
            summary=f"none of its interfaces has the {word} {declared}",
            why="Traffic is forwarded from and to that address.",
            fix="Correct the address in the inventory, or give it to the host.",
        )


def vip_holders(cluster: Cluster, states: Mapping[str, HostState], *, whole: bool) -> Iterator[Finding]:
    """Each VIP is on exactly one director.

    That none holds it is known only when the `whole` was read: every director, with keepalived running.
    """
    for address, holders in holders_of(cluster, states).items():
        if len(holders) == 1:
            continue
        if holders:
            yield Finding(
                code="LVS541",
                severity=Severity.ERROR,
                summary=f"{address} is on {len(holders)} directors: {', '.join(holders)}",
                why="Each of them believes to be the MASTER, so the network sees one address twice.",
                fix="The directors do not hear each other's VRRP: let IP protocol 112 pass between them.",
            )
        elif whole:
            yield Finding(
                code="LVS542",
                severity=Severity.ERROR,
                summary=f"{address} is on no director",
                why="No director is VRRP MASTER, so no client reaches the virtual services.",
                fix="See `journalctl -u keepalived` on the directors: an interface may be down (FAULT).",
            )


def holders_of(
    cluster: Cluster, states: Mapping[str, HostState]
) -> dict[IPv4Address | IPv6Address, tuple[str, ...]]:
    """VIP (and NAT gateway) -> the directors that hold it now."""
    moving = [vip.ip for vip in cluster.vips]
    if cluster.nat is not None:
        moving.append(cluster.nat.gateway.ip)
    return {
        address: tuple(
            director.name
            for director in cluster.directors
            if director.name in states
            and any(a.address.ip == address for a in states[director.name].addresses)
        )
        for address in moving
    }


def _declared_address(host: Director | RealServer) -> IPv4Address | IPv6Address:
    return host.rip if hasattr(host, "rip") else host.dip


def _dr_real_servers(cluster: Cluster) -> Iterator[RealServer]:
    names = {
        destination.real_server
        for service in cluster.services
        if service.mode is ForwardingMethod.DR
        for row in service.destinations
        for destination in row
    }
    return (server for server in cluster.real_servers if server.name in names)
