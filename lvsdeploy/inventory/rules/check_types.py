"""LVS360 to LVS369: what is special to one type of health check, and to many virtual services."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import (
    PLACEHOLDERS,
    BfdCheck,
    HttpCheck,
    PingCheck,
    ScriptCheck,
    UdpCheck,
    timing_of,
)
from lvsdeploy.inventory.registry import Context, Hit, rule
from lvsdeploy.inventory.rules.declared_checks import declared_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import IPAddress, Program, Service

_KEEPALIVED = "https://www.keepalived.org/manpage.html"
_SOURCE = "https://github.com/acassen/keepalived/blob/v2.2.7/keepalived/"
_LATE = 60.0  # seconds
_MANY = 50
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@rule(
    "LVS360",
    Severity.ERROR,
    "A range of status codes goes down.",
    why="No status code would be in it, so every real server would count as failed.",
    fix='Write the smaller code first, as in "200-299".',
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: http, status: "299-200"},
                 real_servers: [web1, web2]}
    """,
)
def status_ranges(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        for number, url in enumerate(found.check.urls if isinstance(found.check, HttpCheck) else ()):
            for first, last in url.status:
                if first > last:
                    where = found.at("urls", str(number), "status")
                    path = found.at("status") if where == found.path else where
                    yield Hit(path, f"{first}-{last} is no range of status codes: it goes up")


@rule(
    "LVS361",
    Severity.NOTE,
    "A failing real server is noticed late.",
    why="Until its check has failed, with all its retries, a dead real server goes on getting its share. "
    "And an apply waits a minute at most for the health checks after each wave of real servers.",
    fix="Lower the interval, the timeout, the retries or their delay.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: tcp, interval: 30, retries: 10},
                 real_servers: [web1, web2]}
    """,
)
def late_checks(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        timing = timing_of(found.check)
        if timing is not None and timing.longest > _LATE:
            summary = (
                f"a real server of '{found.service.name}' may be dead for {timing.longest:g} s unnoticed"
            )
            yield Hit(found.path, summary)


@rule(
    "LVS362",
    Severity.ERROR,
    "A script's timeout is not in whole seconds.",
    why="keepalived takes whole seconds there, and would ignore another value.",
    fix="Write the timeout without a fraction.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80,
                 health_check: {type: script, path: /usr/local/bin/check, timeout: 2.5},
                 real_servers: [web1, web2]}
    """,
    links=(_SOURCE + "check/check_misc.c",),
)
def script_timeouts(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        if isinstance(found.check, ScriptCheck) and not found.check.timing.timeout.is_integer():
            timeout = found.check.timing.timeout
            yield Hit(found.at("timeout"), f"a script's timeout of {timeout:g} s is not in whole seconds")


@rule(
    "LVS363",
    Severity.ERROR,
    "The answer that a udp check waits for cannot come.",
    why="An answer is looked at only where one is required, and its length must be in the declared range.",
    fix="Leave `require_reply` out, and make `reply_min` at most `reply_max`.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp,
                health_check: {type: udp, reply_min: 20, reply_max: 10}, real_servers: [web1, web2]}
    """,
    links=(_SOURCE + "check/check_udp.c",),
)
def udp_replies(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        check = found.check
        if not isinstance(check, UdpCheck):
            continue
        if not check.require_reply:
            for key in ("reply", "reply_min", "reply_max"):
                if getattr(check, key) is not None:
                    yield Hit(found.at(key), f"'{key}' means nothing where no answer is required")
        elif (
            check.reply_min is not None and check.reply_max is not None and check.reply_min > check.reply_max
        ):
            summary = f"an answer of at least {check.reply_min} and at most {check.reply_max} bytes"
            yield Hit(found.at("reply_min"), summary)


@rule(
    "LVS364",
    Severity.ERROR,
    "Two BFD checks of one real server differ.",
    why="There is one BFD session between a director and a real server, whatever services it is in, and it "
    "has one pace.",
    fix="Give both the same intervals and multiplier, in `defaults` for example.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: bfd}, real_servers: [web1, web2]}
          https: {vip: 192.0.2.50, port: 443, health_check: {type: bfd, multiplier: 5},
                  real_servers: [web1, web2]}
    """,
    links=("https://www.rfc-editor.org/rfc/rfc5880",),
)
def bfd_sessions(context: Context) -> Iterator[Hit]:
    known: dict[IPAddress, BfdCheck] = {}
    for found in declared_checks(context):
        if not isinstance(found.check, BfdCheck):
            continue
        for destination in found.destinations:
            first = known.setdefault(destination.address, found.check)
            if first != found.check:
                summary = f"the BFD session with {destination.real_server} has another pace elsewhere"
                yield Hit(found.path, summary)
                break


@rule(
    "LVS365",
    Severity.ERROR,
    "A BFD session has no address to come from.",
    why="It is between the DIP and the RIP, which have to be of one address family.",
    fix="Give the director a `dip6`, or use another type of check.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
        real_servers:
          web6: {address: "2001:db8::11"}
        services:
          http: {vip: "2001:db8::50", port: 80, health_check: bfd, real_servers: [web6]}
    """,
)
def bfd_families(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        if not isinstance(found.check, BfdCheck):
            continue
        versions = {destination.address.version for destination in found.destinations}
        for director in context.cluster.directors:
            for version in sorted(versions):
                if director.dip_of(version) is None:
                    yield Hit(found.path, f"{director.name} has no IPv{version} DIP for a BFD session")


@rule(
    "LVS366",
    Severity.ERROR,
    "Options of a regular expression stand without one.",
    why="keepalived would drop them, and the page would not be looked at.",
    fix="Add `regex`, or leave the options out.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: http, regex_no_match: true},
                 real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def regex_options(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        for number, url in enumerate(found.check.urls if isinstance(found.check, HttpCheck) else ()):
            for key in ("regex_no_match", "regex_options"):
                if getattr(url, key) and url.regex is None:
                    where = found.at("urls", str(number), key)
                    path = found.at(key) if where == found.path else where
                    yield Hit(path, f"'{key}' means nothing without 'regex'")


@rule(
    "LVS367",
    Severity.NOTE,
    "A service stands for very many virtual services.",
    why="Each port is a virtual service of its own, with real servers and health checks of its own, so that "
    "each real server is asked once for each port.",
    fix="Give the service a `fwmark`: one virtual service for all its ports, and one check.",
    example="""
        services:
          ftp: {vip: 192.0.2.50, ports: ["30000-30099"], real_servers: [web1, web2]}
    """,
)
def many_ports(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if len(service.pools) > _MANY:
            summary = f"'{service.name}' is {len(service.pools)} virtual services, each with its own checks"
            yield Hit((*service.path, "ports"), summary)


@rule(
    "LVS368",
    Severity.NOTE,
    "A ping tells that a machine is there, not that it serves.",
    why="The kernel answers pings when whatever serves is long dead.",
    fix="Use a check of what serves, where there is one: tcp, http, dns, udp, smtp or a script.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: ping, real_servers: [web1, web2]}
    """,
)
def pings(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        if isinstance(found.check, PingCheck):
            yield Hit(found.path, f"the real servers of '{found.service.name}' are pinged only")


@rule(
    "LVS369",
    Severity.WARNING,
    "A script gets something in braces as it stands.",
    why="Only {rip}, {port} and {real_server} are filled in, in health checks, notify_up and notify_down.",
    fix="Use one of those, or write the braces in the script itself.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80,
                 health_check: {type: script, path: /usr/local/bin/check, arguments: ["{ip}"]},
                 real_servers: [web1, web2]}
    """,
)
def placeholders(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        for number, text in enumerate(found.check.arguments if isinstance(found.check, ScriptCheck) else ()):
            unknown = [name for name in _PLACEHOLDER.findall(text) if name not in PLACEHOLDERS]
            if unknown:
                yield Hit(found.at("arguments", str(number)), f"{{{unknown[0]}}} is not filled in")
    for service in context.cluster.services:
        yield from _of_notified(context, service)


def _of_notified(context: Context, service: Service) -> Iterator[Hit]:
    programs: list[tuple[tuple[str, ...], Program | None, tuple[str, ...]]] = [
        (context.place_of(service, "quorum_up"), service.quorum_up, ()),
        (context.place_of(service, "quorum_down"), service.quorum_down, ()),
    ]
    for destination in service.pools[0].destinations:
        path = destination.path
        programs += [
            ((*path, "notify_up"), destination.notify_up, PLACEHOLDERS),
            ((*path, "notify_down"), destination.notify_down, PLACEHOLDERS),
        ]
    for path, program, known in programs:
        for number, text in enumerate(program.arguments if program else ()):
            unknown = [name for name in _PLACEHOLDER.findall(text) if name not in known]
            if unknown:
                yield Hit((*path, "arguments", str(number)), f"{{{unknown[0]}}} is not filled in")
