"""The IPVS table that is to be made of the declaration, as the kernel shows it through ipvsadm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.inventory.health_checks import changes_weight
from lvsdeploy.inventory.model import IPV4, ForwardingMethod, Scheduler
from lvsdeploy.state.ipvs import (
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
    canonical,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address

    from lvsdeploy.inventory.model import Cluster, Pool, Service
    from lvsdeploy.inventory.model import Tunnel as Declared

_FORWARDING = {
    ForwardingMethod.DR: Forwarding.DR,
    ForwardingMethod.NAT: Forwarding.NAT,
    ForwardingMethod.TUN: Forwarding.TUN,
}
_ONE_CLIENT_EACH = {"255.255.255.255", "128"}

_BIT = {
    "flag-1": 0,
    "flag-2": 1,
    "flag-3": 2,
    "sh-fallback": 0,
    "sh-port": 1,
    "mh-fallback": 0,
    "mh-port": 1,
}
"""The kernel keeps scheduler flags as three bits, whatever they were called (linux/ip_vs.h,
IP_VS_SVC_F_SCHED1 to 3)."""
_NAMES = {
    Scheduler.SH: ("sh-fallback", "sh-port"),
    Scheduler.MH: ("mh-fallback", "mh-port"),
}
_OTHER_NAMES = ("flag-1", "flag-2", "flag-3")


def expected_table(cluster: Cluster) -> Mapping[ServiceKey, VirtualService]:
    """Every virtual service, sorted by key, with all its destinations: as if all health checks succeed.

    The sorry server is not in it: keepalived adds it only while the quorum is lost. But with `inhibit` it is
    there all the time, with weight 0 until then.
    """
    services = {
        key: _virtual_service(service, key, pool)
        for service in cluster.services
        for pool in service.pools
        for key in pool_keys(service, pool)
    }
    return dict(sorted(services.items()))


def pool_keys(service: Service, pool: Pool) -> tuple[ServiceKey, ...]:
    """What the virtual services of a pool are called in the table: one a VIP, or one for a firewall mark.

    A mark stands for one in each family of its VIPs.
    """
    if service.fwmark:
        return (ServiceKey(None, "", 0, service.fwmark, pool.version),)
    return tuple(ServiceKey(service.protocol, canonical(vip.ip), pool.port) for vip in pool.vips)


def sorry_port(service: Service, pool: Pool) -> int:
    """The sorry server's port. A mark has none, and the sorry server none then, unless NAT gives it one."""
    sorry = service.sorry_server
    assert sorry is not None  # noqa: S101 - whoever asks has looked
    if service.fwmark and service.sorry_mode is not ForwardingMethod.NAT:
        return 0
    return sorry.port or pool.port


def _virtual_service(service: Service, key: ServiceKey, pool: Pool) -> VirtualService:
    destinations = pool.destinations
    mask = service.persistence_netmask if key.family == IPV4 else service.persistence_prefix
    rows = [
        TableDestination(
            canonical(d.address),
            d.port,
            _FORWARDING[service.mode_of(d)],
            d.weight,
            d.upper,
            d.lower,
            tunnel_shown(service.mode_of(d), service.tunnel_of(d)),
        )
        for d in destinations
    ]
    sorry = service.sorry_of(pool)
    if sorry is not None and sorry.inhibit:
        mode = service.sorry_mode
        tunnel = tunnel_shown(mode, service.sorry_tunnel)
        port = sorry_port(service, pool)
        row = TableDestination(canonical(sorry.address), port, _FORWARDING[mode], 0, tunnel=tunnel)
        rows += [] if row.key in {other.key for other in rows} else [row]
    return VirtualService(
        key=key,
        scheduler=service.scheduler.value,
        scheduler_flags=_flags_shown(service),
        persistence=service.persistence or None,
        netmask=netmask_shown(mask) if service.persistence else "",
        one_packet=service.one_packet,
        destinations=tuple(sorted(rows)),
        engine=service.persistence_engine if service.persistence else "",
        free_weights=frozenset(
            (canonical(d.address), d.port) for d in destinations if changes_weight(service.check_of(d))
        ),
    )


def tunnel_shown(mode: ForwardingMethod, tunnel: Declared) -> Tunnel | None:
    """What of a tunnel its type has; None in the other modes."""
    if mode is not ForwardingMethod.TUN:
        return None
    kind = TunnelKind(tunnel.type.value)
    port = tunnel.port if kind is TunnelKind.GUE else 0
    return Tunnel(kind, port, Checksum(tunnel.checksum or "nocsum"))


def _flags_shown(service: Service) -> tuple[str, ...]:
    """Scheduler flags as ipvsadm names them for this scheduler, in its order.

    It shows no third one of sh and mh, which have two (ipvsadm.c, print_sched_flags).
    """
    names = _NAMES.get(service.scheduler, _OTHER_NAMES)
    bits = {_BIT[flag] for flag in service.scheduler_flags}
    return tuple(name for bit, name in enumerate(names) if bit in bits)


def netmask_shown(mask: IPv4Address | int | None) -> str:
    """The netmask of persistence, or its prefix for IPv6.

    "" for one client each, which ipvsadm does not print.
    """
    return "" if mask is None or str(mask) in _ONE_CLIENT_EACH else str(mask)
