"""LVS35x: what the engine ipvsadm, which runs no daemon, cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import NoCheck
from lvsdeploy.inventory.model import Engine
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Destination, Service

_OF_SERVICES = (
    "alpha",
    "omega",
    "quorum",
    "hysteresis",
    "quorum_up",
    "quorum_down",
    "inhibit_on_failure",
    "virtualhost",
)
_OF_DESTINATIONS = ("inhibit_on_failure", "notify_up", "notify_down")
_NOT_VRRP = frozenset({"sync_daemon"})
_WHY = (
    "With `engine: ipvsadm` nothing runs on a director but the kernel: the table is what lvsdeploy made it, "
    "until lvsdeploy changes it."
)
_KEEPALIVED = "or use `engine: keepalived`, the default"


def _by_hand(context: Context) -> bool:
    return context.cluster.engine is Engine.IPVSADM


@rule(
    "LVS350",
    Severity.ERROR,
    "A health check with the engine ipvsadm.",
    why=f"{_WHY} Nobody would run the check.",
    fix=f"Leave `health_check` out, {_KEEPALIVED}.",
    example="""
        engine: ipvsadm
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: tcp, real_servers: [web1, web2]}
    """,
)
def checks_without_daemon(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services if _by_hand(context) else ():
        if not isinstance(service.health_check, NoCheck):
            path = context.place_of(service, "health_check")
            yield Hit(path, f"'{service.name}' has a health check, and nobody runs it")
        for path, destination in _destinations(service).items():
            if not isinstance(destination.health_check, NoCheck | None):
                where = (*path, "health_check")
                summary = f"{destination.real_server} of '{service.name}' has a health check"
                yield Hit(where, f"{summary}, and nobody runs it")


@rule(
    "LVS351",
    Severity.ERROR,
    "A sorry server with the engine ipvsadm.",
    why=f"{_WHY} Nobody would put the sorry server in when the real servers fail.",
    fix=f"Leave `sorry_server` out, {_KEEPALIVED}.",
    example="""
        engine: ipvsadm
        services:
          http: {vip: 192.0.2.50, port: 80, sorry_server: {address: 192.0.2.99}, real_servers: [web1, web2]}
    """,
)
def sorry_server_without_daemon(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services if _by_hand(context) else ():
        if service.sorry_server is not None:
            path = context.place_of(service, "sorry_server")
            yield Hit(path, f"'{service.name}' has a sorry server, and nobody puts it in")


@rule(
    "LVS352",
    Severity.ERROR,
    "The engine ipvsadm has no use for an option.",
    why=f"{_WHY} The option is about health checks and what follows from them.",
    fix=f"Leave it out, {_KEEPALIVED}.",
    example="""
        engine: ipvsadm
        services:
          http: {vip: 192.0.2.50, port: 80, quorum: 2, real_servers: [web1, web2]}
    """,
)
def options_without_daemon(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services if _by_hand(context) else ():
        for key in _OF_SERVICES:
            path = context.place_of(service, key)
            if path != service.path:
                yield Hit(path, f"'{service.name}' has `{key}`, which takes keepalived")
        for path, destination in _destinations(service).items():
            for key in _OF_DESTINATIONS:
                if context.written(*path, key):
                    summary = f"{destination.real_server} of '{service.name}' has `{key}`"
                    yield Hit((*path, key), f"{summary}, which takes keepalived")


@rule(
    "LVS353",
    Severity.ERROR,
    "VRRP with the engine ipvsadm.",
    why=f"{_WHY} Nobody would speak VRRP, and no VIP would move.",
    fix=f"Leave it out, {_KEEPALIVED}.",
    more="`vrrp.sync_daemon` may stay: the kernel tells other directors of connections by itself.",
    example="engine: ipvsadm\nvrrp: {virtual_router_id: 51}",
)
def vrrp_without_daemon(context: Context) -> Iterator[Hit]:
    if not _by_hand(context):
        return
    vrrp = context.data.get("vrrp")
    for key in vrrp if isinstance(vrrp, dict) else ():
        if key not in _NOT_VRRP:
            yield Hit(("vrrp", str(key)), f"`vrrp.{key}` is set, and nobody speaks VRRP", key=True)
    for vip in context.cluster.vips:
        if context.written(*vip.path, "group"):
            yield Hit((*vip.path, "group"), f"{vip.ip} is in a VRRP group, and nobody speaks VRRP")
    for director in context.cluster.directors:
        path = (*director.path, "priority")
        if context.written(*path):
            summary = f"{director.name} has a priority, and nobody speaks VRRP"
            yield Hit(path, summary, severity=Severity.WARNING)


@rule(
    "LVS354",
    Severity.ERROR,
    "A VIP on several directors without VRRP.",
    why="Each director would hold the VIP all the time, and answer ARP for it. With the engine ipvsadm "
    "nothing moves an address.",
    fix="Use `engine: keepalived`, the default, or one director. Or have your routers send clients to all "
    "directors (anycast, ECMP): then give each VIP `interface: lo`.",
    example="""
        engine: ipvsadm
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
          lvs2: {address: 192.0.2.3, interface: eth0}
    """,
)
def vips_without_vrrp(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    if not _by_hand(context) or len(cluster.directors) <= 1:
        return
    for vip in cluster.vips:
        if vip.interface != "lo":
            summary = f"{vip.ip} would be on {len(cluster.directors)} directors at once"
            yield Hit(vip.path, summary)


@rule(
    "LVS355",
    Severity.ERROR,
    "NAT's gateway on several directors without VRRP.",
    why="The real servers' way back is one address, and with the engine ipvsadm nothing moves it to the "
    "director that a connection came through.",
    fix="Use `engine: keepalived`, the default, one director, or the mode dr or tun.",
    example="""
        engine: ipvsadm
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
          lvs2: {address: 192.0.2.3, interface: eth0}
        nat: {gateway: 10.2.0.1/24, interface: eth1}
    """,
)
def gateway_without_vrrp(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    if _by_hand(context) and len(cluster.directors) > 1 and cluster.nat is not None:
        summary = (
            f"the gateway {cluster.nat.gateway.ip} would be on {len(cluster.directors)} directors at once"
        )
        yield Hit((*cluster.nat.path, "gateway"), summary)


def _destinations(service: Service) -> dict[tuple[str, ...], Destination]:
    """Each entry of `real_servers` once, by its place."""
    return {destination.path: destination for destination in service.destinations}
