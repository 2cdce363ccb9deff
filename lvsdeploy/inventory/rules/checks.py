"""LVS3xx: health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import NoCheck, WithPort, asks_over_tcp, name_of, port_of, timing_of
from lvsdeploy.inventory.model import Engine, Protocol
from lvsdeploy.inventory.registry import Context, Hit, rule
from lvsdeploy.inventory.rules.declared_checks import declared_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEEPALIVED = "https://www.keepalived.org/manpage.html"


@rule(
    "LVS312",
    Severity.WARNING,
    "A service that is not TCP has a health check over TCP.",
    why="The check connects by TCP: it says nothing about UDP or SCTP, and fails all real servers when "
    "nothing listens on that TCP port.",
    fix="Use a udp, dns, script or ping check, or `health_check: none`.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, health_check: tcp, real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def check_protocol(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        service = found.service
        if asks_over_tcp(found.check) and Protocol.TCP not in service.protocols:
            kind = name_of(found.check)
            protocols = " and ".join(service.protocols)
            yield Hit(found.path, f"'{service.name}' is {protocols}, and its {kind} check asks over TCP")


@rule(
    "LVS313",
    Severity.ERROR,
    "A health check has no port to ask on.",
    why="The service has port 0, for all ports, and nothing listens on port 0.",
    fix="Give the check a port: `health_check: {type: tcp, port: 22}`.",
    example="""
        services:
          all: {vip: 192.0.2.50, port: 0, persistence: 300, health_check: tcp, real_servers: [web1, web2]}
    """,
)
def check_has_port(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        service = found.service
        if not isinstance(found.check, WithPort) or found.check.port is not None:
            continue
        everything = any(first == 0 for first, _ in service.port_ranges)
        if everything and any(not destination.port for destination in found.destinations):
            summary = f"the health check of '{service.name}' has no port, and the service has port 0"
            yield Hit(found.path, summary)


@rule(
    "LVS314",
    Severity.WARNING,
    "A health check asks on another port than the one that serves.",
    why="The check can succeed while the serving port is dead, and fail while it serves.",
    fix="Leave out the check's port, or make sure that the two live and die together.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: tcp, port: 22},
                 real_servers: [web1, web2]}
    """,
)
def check_serving_port(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        service, port = found.service, port_of(found.check)
        if port is None:
            continue
        serving = {destination.port for destination in found.destinations if destination.port}
        if service.fwmark and not serving:
            serving = {first for first, last in service.port_ranges if not first <= port <= last}
        if serving - {port}:
            ports = ", ".join(map(str, sorted(serving)))
            yield Hit(found.at("port"), f"'{service.name}' is checked on port {port} and serves on {ports}")


@rule(
    "LVS315",
    Severity.NOTE,
    "A service has no health check by default.",
    why="For UDP, SCTP and port 0 there is no check that would be right by itself, so a dead real server "
    "goes on getting its share.",
    fix="Give it a check (udp, dns, ping, script, or tcp with a port), or write `health_check: none`.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, real_servers: [web1, web2]}
    """,
)
def check_by_default(context: Context) -> Iterator[Hit]:
    if context.cluster.engine is Engine.IPVSADM:
        return  # it checks nothing, and whoever chose it knows
    for service in context.cluster.services:
        said = context.place_of(service, "health_check") != service.path
        if isinstance(service.health_check, NoCheck) and not said:
            yield Hit(service.path, f"'{service.name}' has no health check")


@rule(
    "LVS325",
    Severity.WARNING,
    "A health check may take longer than its interval.",
    why="keepalived starts the next round only after the last one ended: the pace is not the one declared.",
    fix="Raise the interval, or lower the timeout.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: tcp, interval: 2, timeout: 5},
                 real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def check_pace(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        timing = timing_of(found.check)
        if timing is not None and timing.timeout > timing.interval:
            where = found.at("timeout")
            yield Hit(where, f"a timeout of {timing.timeout:g} s, every {timing.interval:g} s")
