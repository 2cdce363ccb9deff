"""What routing the two ways of NAT takes on a director."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.roles import nat_in_use
from lvsdeploy.inventory.model import IPV4, IPV6, ForwardingMethod
from lvsdeploy.state.sysctl import conf, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import Cluster, Director
    from lvsdeploy.state.host import HostState

FORWARD = "net.ipv4.ip_forward"
FORWARD_SIXTH = conf("all", "forwarding", IPV6)
_ACCEPT_RA = "accept_ra"
_ALSO_AS_ROUTER = 2


def routing_sysctls(cluster: Cluster, director: Director, actual: HostState | None) -> Mapping[str, int]:
    """The sysctls, in the order in which they are to be set; none without NAT.

    `actual`: what the director is now, None when nobody asked it.
    """
    nat = nat_in_use(cluster)
    if nat is None:
        return {}
    pools = [part.pool for part in cluster.parts if part.mode is ForwardingMethod.NAT]
    sysctls: dict[str, int] = {}
    if any(pool.version == IPV4 for pool in pools):
        vips = [vip for pool in pools for vip in pool.vips if vip.ip.version == IPV4]
        interfaces = {director.interface, nat.interface, *(v.interface for v in vips if v.interface)}
        redirects = [conf(name, "send_redirects") for name in ("all", *sorted(interfaces))]
        sysctls = {FORWARD: 1, **dict.fromkeys(redirects, 0)}
    if any(pool.version == IPV6 for pool in pools):
        # First these: the kernel drops the routes of interfaces that have not 2 as it begins to forward.
        keys = [conf(name, _ACCEPT_RA, IPV6) for name in _advertised(actual)]
        sysctls |= {**dict.fromkeys(keys, _ALSO_AS_ROUTER), FORWARD_SIXTH: 1}
    return sysctls


def _advertised(actual: HostState | None) -> tuple[str, ...]:
    """The interfaces on which the director has its default route from the router's advertisements.

    A machine that forwards heeds advertisements only where accept_ra is 2, and is without a default route
    otherwise. https://docs.kernel.org/networking/ip-sysctl.html (accept_ra, forwarding)
    """
    if actual is None:
        return ()
    found = {r.interface for r in actual.routes if r.version == IPV6 and r.advertised and r.interface}
    # Where somebody else than the kernel reads them, it is 0.
    found = {name for name in found if actual.sysctls.get(conf(name, _ACCEPT_RA, IPV6))}
    for key, value in actual.sysctls.items():
        interface, name = split(key) or ("", "")
        if name == _ACCEPT_RA and value == _ALSO_AS_ROUTER and interface not in ("all", "default"):
            found.add(interface)
    return tuple(sorted(found))
