"""What only IPv6 has: addresses that are detected as duplicates, routes that routers advertise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import nat_in_use
from lvsdeploy.inventory.model import IPV6, Director, ForwardingMethod
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Role
from lvsdeploy.state.network import LOOPBACK
from lvsdeploy.state.sysctl import conf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster, RealServer
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.host import HostState

_FORWARDING = conf("all", "forwarding", IPV6)


def findings(context: Context, role: Role) -> Iterator[Finding]:
    """About one machine."""
    for address in sorted(context.duplicate, key=str):
        yield codes.DUPLICATE_ADDRESS.finding(f"another machine has {address}", host=context.host)
    forwards = context.desired.sysctls.get(_FORWARDING) == 1
    if role is Role.DIRECTOR and forwards and not any(r.version == IPV6 for r in context.actual.routes):
        yield codes.NO_IPV6_ROUTE.finding("there is no IPv6 default route", host=context.host)


def switched_off(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """Each machine whose services have IPv6 has it switched on, on the interfaces that are named."""
    for host in cluster.hosts():
        state = states.get(host.name)
        if state is None:
            continue
        needed = _needed(cluster, host)
        if needed and _FORWARDING not in state.sysctls:
            yield codes.IPV6_OFF.finding("the kernel has no IPv6", host=host.name)
            continue
        for interface in needed:
            if state.sysctls.get(conf(interface, "disable_ipv6", IPV6)) == 1:
                yield codes.IPV6_OFF.finding(f"IPv6 is switched off on {interface}", host=host.name)


def _needed(cluster: Cluster, host: Director | RealServer) -> list[str]:
    """The interfaces on which a machine needs IPv6, as far as the inventory names them."""
    if isinstance(host, Director):
        vips = [vip for vip in cluster.vips if vip.ip.version == IPV6]
        nat = nat_in_use(cluster)
        inside = [nat.interface] if nat is not None and nat.gateway_of(IPV6) is not None else []
        return sorted({*(vip.interface or host.interface for vip in vips), *inside})
    modes = {part.mode for part in cluster.parts_of(host) if part.address.version == IPV6}
    own = [host.interface or "all"] if modes else []
    return sorted({*own, *([LOOPBACK] if ForwardingMethod.DR in modes else [])})
