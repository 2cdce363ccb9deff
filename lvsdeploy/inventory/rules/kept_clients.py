"""LVS37x: what keeps clients at a real server (persistence, hashes), and what happens when it is out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import Scheduler
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Service

_SOURCE = "https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs"
_SYSCTL = "https://docs.kernel.org/networking/ipvs-sysctl.html"
_FALLS_BACK = {
    Scheduler.DH: frozenset[str](),
    Scheduler.SH: frozenset({"sh-fallback", "flag-1"}),
    Scheduler.MH: frozenset({"mh-fallback", "flag-1"}),
}
_BY_PORT = {
    Scheduler.SH: frozenset({"sh-port", "flag-2"}),
    Scheduler.MH: frozenset({"mh-port", "flag-2"}),
}


@rule(
    "LVS374",
    Severity.WARNING,
    "A scheduler by hash refuses the clients of a real server with weight 0.",
    why="sh, mh and dh choose a real server by an address alone. One that stays in the table with weight 0 "
    "keeps its share of the clients, and they are refused instead of being sent to another one.",
    fix="Add sh-fallback or mh-fallback to `scheduler_flags`; or leave out what brings the weight to 0.",
    more="`ip_vs_sh_reassign` gives a real server of weight 0 a place in its table; mh keeps the places by "
    "the last weight above 0. So it is with `weight: 0`, with `inhibit_on_failure: true` when a check "
    "fails, and while `lvsdeploy drain` waits for the last connections.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: sh, inhibit_on_failure: true,
                 real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_sh.c", f"{_SOURCE}/ip_vs_mh.c", f"{_SOURCE}/ip_vs_dh.c"),
)
def hash_of_the_absent(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        falls_back = _FALLS_BACK.get(service.scheduler)
        if falls_back is None or falls_back & set(service.scheduler_flags):
            continue
        row = service.pools[0].destinations
        for destination in row if any(d.weight for d in row) else ():
            if destination.weight == 0 and destination.path:
                summary = (
                    f"{service.scheduler} refuses the clients of {destination.real_server}, with weight 0"
                )
                yield Hit(_option(context, destination.path, "weight"), summary)
        if path := _inhibits(context, service):
            yield Hit(path, f"{service.scheduler} refuses the clients of a failed real server with weight 0")


@rule(
    "LVS375",
    Severity.WARNING,
    "Persistence keeps clients at a real server that has failed.",
    why="With inhibit_on_failure a failed real server stays in the table with weight 0. Persistence goes on "
    "sending it the clients that it had, and keeps them there as long as they try.",
    fix="Set `ipvs: {sysctls: {expire_quiescent_template: true}}`, or leave inhibit_on_failure out: a real "
    "server that is not in the table keeps nobody.",
    more="`ip_vs_check_template` gives up a client's template only when its real server is gone, or has "
    "weight 0 with that sysctl on.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, persistence: 300, inhibit_on_failure: true,
                 real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_conn.c", _SYSCTL),
)
def kept_at_the_dead(context: Context) -> Iterator[Hit]:
    if dict(context.cluster.ipvs.sysctls).get("expire_quiescent_template"):
        return
    for service in context.cluster.services:
        if service.persistence is not None and (path := _inhibits(context, service)):
            yield Hit(path, f"clients of '{service.name}' are kept at a real server that has failed")


@rule(
    "LVS376",
    Severity.NOTE,
    "A threshold does not hold for clients that persistence keeps.",
    why="At `upper` connections a real server gets no new clients; those that persistence keeps there go on "
    "coming, over the threshold.",
    fix="Nothing, when this is meant; else leave out the persistence, or set the threshold lower.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, persistence: 300,
                 real_servers: [{name: web1, upper: 1000}, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_core.c",),
)
def kept_over_the_threshold(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        for destination in service.pools[0].destinations if service.persistence is not None else ():
            if destination.upper:
                summary = (
                    f"persistence sends clients to {destination.real_server} over {destination.upper}, too"
                )
                yield Hit((*destination.path, "upper"), summary)


@rule(
    "LVS377",
    Severity.WARNING,
    "A scheduler spreads what persistence keeps together.",
    why="sh-port and mh-port choose by the client's port, too, so that each of its connections may go "
    "elsewhere. Persistence comes first, and sends them all to one real server.",
    fix="Keep one of the two.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: sh, scheduler_flags: [sh-port], persistence: 300,
                 real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_core.c",),
)
def spread_or_kept(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.persistence is None or service.persistence_engine:
            continue
        flags = _BY_PORT.get(service.scheduler, frozenset()) & set(service.scheduler_flags)
        if flags:
            path = context.place_of(service, "scheduler_flags")
            summary = f"{min(flags)} spreads the connections that persistence keeps together"
            yield Hit((*path, str(service.scheduler_flags.index(min(flags)))), summary)


@rule(
    "LVS378",
    Severity.NOTE,
    "Persistence, and a scheduler that keeps clients by itself.",
    why="sh and mh send a client to the same real server for as long as the pool is the same, without "
    "remembering it. Persistence on top costs an entry a client, and puts off the effect of changed weights.",
    fix="Use sh or mh without persistence, or persistence with wlc.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: sh, persistence: 300, real_servers: [web1, web2]}
    """,
)
def kept_twice(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        by_port = _BY_PORT.get(service.scheduler)
        if by_port is None or service.persistence is None or service.persistence_engine or service.fwmark:
            continue
        if not by_port & set(service.scheduler_flags) and 0 not in service.ports:
            path = context.place_of(service, "persistence")
            yield Hit(path, f"{service.scheduler} keeps the clients of '{service.name}' without persistence")


@rule(
    "LVS392",
    Severity.WARNING,
    "One number is the persistence netmask of both address families.",
    why="As many bits are another thing in each: 24 of IPv4 are a small network, 24 of IPv6 a provider's, "
    "whose clients would all stay with one real server; 64 of IPv6 are one customer, and none of IPv4.",
    fix="Give both: `persistence_netmask: {ipv4: 24, ipv6: 64}`.",
    example="""
        services:
          http: {vips: [192.0.2.50, "2001:db8::50"], port: 80, persistence: 300, persistence_netmask: 24,
                 real_servers: [web1, web2]}
    """,
)
def netmask_of_both(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        path = context.place_of(service, "persistence_netmask")
        bits = service.persistence_prefix
        if bits is None or len({pool.version for pool in service.pools}) == 1:
            continue
        if not context.written(*path, "ipv6"):
            ipv4 = service.persistence_netmask or "each client by itself"
            yield Hit(path, f"{bits} stands for both families: {ipv4} of IPv4, /{bits} of IPv6")


def _inhibits(context: Context, service: Service) -> tuple[str, ...]:
    """Where a service, or the first of its real servers, has inhibit_on_failure; () for nowhere."""
    if service.inhibit_on_failure:
        return context.place_of(service, "inhibit_on_failure")
    own = (d.path for d in service.pools[0].destinations if d.inhibit_on_failure)
    return next(((*path, "inhibit_on_failure") for path in own), ())


def _option(context: Context, path: tuple[str, ...], key: str) -> tuple[str, ...]:
    """A real server's own option, or the real server where the service says it for all."""
    return (*path, key) if context.written(*path, key) else path
