"""LVS3xx: health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import NoCheck, Protocol, TcpCheck
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEEPALIVED = "https://www.keepalived.org/manpage.html"


@rule(
    "LVS312",
    Severity.WARNING,
    "A service that is not TCP has a health check over TCP.",
    why="The check connects by TCP: it says nothing about UDP or SCTP, and fails all real servers when "
    "nothing listens on that TCP port.",
    fix="Use `health_check: none`, or a check of a TCP port that fails when the service fails.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, health_check: tcp, real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def check_protocol(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        check = service.health_check
        if service.protocol is Protocol.TCP or isinstance(check, NoCheck):
            continue
        kind = "tcp" if isinstance(check, TcpCheck) else "HTTP"
        summary = f"'{service.name}' is {service.protocol}, and its {kind} check asks over TCP"
        yield Hit(context.place_of(service, "health_check"), summary)


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
    for service in context.cluster.services:
        check = service.health_check
        everything = any(first == 0 for first, _ in service.port_ranges)
        if not isinstance(check, NoCheck) and check.port is None and everything:
            path = context.place_of(service, "health_check")
            yield Hit(path, f"the health check of '{service.name}' has no port, and the service has port 0")


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
    for service in context.cluster.services:
        check = service.health_check
        if isinstance(check, NoCheck) or check.port is None or 0 in service.ports:
            continue
        serving = {destination.port for destination in service.destinations}
        if serving - {check.port}:
            path = context.place_of(service, "health_check", "port")
            ports = ", ".join(map(str, sorted(serving)))
            summary = f"'{service.name}' is checked on port {check.port} and serves on {ports}"
            yield Hit(path, summary)


@rule(
    "LVS315",
    Severity.NOTE,
    "A service has no health check by default.",
    why="For UDP, SCTP and port 0 there is no check that would be right by itself, so a dead real server "
    "goes on getting its share.",
    fix="Write `health_check: none` when this is meant, or a check of a TCP port.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, real_servers: [web1, web2]}
    """,
)
def check_by_default(context: Context) -> Iterator[Hit]:
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
    for service in context.cluster.services:
        check = service.health_check
        if not isinstance(check, NoCheck) and check.timing.timeout > check.timing.interval:
            timing = check.timing
            path = context.place_of(service, "health_check", "timeout")
            if path == service.path:
                path = context.place_of(service, "health_check")
            yield Hit(path, f"a timeout of {timing.timeout:g} s, every {timing.interval:g} s")
