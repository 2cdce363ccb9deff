"""LVS3xx: schedulers and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import Protocol, Scheduler
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/net/netfilter/ipvs"
_HASH_BUCKETS = 256  # CONFIG_IP_VS_SH_TAB_BITS and CONFIG_IP_VS_DH_TAB_BITS are 8 by default

# The numbered flags mean the same bits to both (IP_VS_SVC_F_SCHED1 to 3 in include/uapi/linux/ip_vs.h).
_FLAGS_OF = {
    "sh-fallback": {Scheduler.SH},
    "sh-port": {Scheduler.SH},
    "mh-fallback": {Scheduler.MH},
    "mh-port": {Scheduler.MH},
    "flag-1": {Scheduler.SH, Scheduler.MH},
    "flag-2": {Scheduler.SH, Scheduler.MH},
    "flag-3": {Scheduler.SH, Scheduler.MH},
}
_IGNORE_WEIGHTS = frozenset({Scheduler.RR, Scheduler.LC, Scheduler.DH})
_WEIGHTED_KIN = {Scheduler.RR: "wrr", Scheduler.LC: "wlc", Scheduler.DH: "sh or mh"}


@rule(
    "LVS301",
    Severity.WARNING,
    "All real servers of a service have weight 0.",
    why="Weight 0 means no new connections: the service refuses every client, or sends all to the sorry "
    "server.",
    fix="Give at least one real server a weight of 1 or more.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [{name: web1, weight: 0}]}
    """,
)
def some_weight(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        row = service.pools[0].destinations
        if row and not any(destination.weight for destination in row):
            path = (*service.path, "real_servers")
            yield Hit(path, f"every real server of '{service.name}' has weight 0")


@rule(
    "LVS302",
    Severity.ERROR,
    "A quorum is above the sum of the weights.",
    why="keepalived compares the quorum with the sum of the weights of live real servers: with all of them "
    "alive it is still not reached, and the service never holds.",
    fix="Lower the quorum, or raise the weights.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, quorum: 3, real_servers: [web1, web2]}
    """,
    links=("https://www.keepalived.org/manpage.html",),
)
def quorum_reachable(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        total = sum(destination.weight for destination in service.pools[0].destinations)
        if total and service.quorum > total:
            path = context.place_of(service, "quorum")
            summary = f"quorum {service.quorum} is above the sum of weights of '{service.name}', {total}"
            yield Hit(path, summary)


@rule(
    "LVS306",
    Severity.ERROR,
    "A scheduler flag belongs to another scheduler.",
    why="The kernel gives each scheduler three flags; sh-* are read by sh alone, mh-* by mh alone.",
    fix="Remove the flag, or choose its scheduler.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: wrr, scheduler_flags: [sh-port],
                 real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_sh.c", f"{_SOURCE}/ip_vs_mh.c"),
)
def flags_of_scheduler(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        path = context.place_of(service, "scheduler_flags")
        for index, flag in enumerate(service.scheduler_flags):
            if service.scheduler not in _FLAGS_OF[flag]:
                summary = f"'{flag}' is no flag of the scheduler {service.scheduler}"
                yield Hit((*path, str(index)), summary)


@rule(
    "LVS307",
    Severity.WARNING,
    "The scheduler ignores the weights that are given.",
    why="rr, lc and dh look at a weight only to skip real servers with weight 0: 1 and 100 are the same to "
    "them.",
    fix="Use wrr for rr, wlc for lc, sh or mh for dh, or leave the weights out.",
    more="""
        Kernel source: `ip_vs_rr_schedule` and `ip_vs_lc_schedule` test the weight against 0 and nothing
        else; `ip_vs_dh_reassign` gives every destination the same number of buckets. `ip_vs_sh_reassign`
        fills as many buckets as the weight says, so sh does honour weights, and mh does as well.
    """,
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: rr,
                 real_servers: [web1, {name: web2, weight: 3}]}
    """,
    links=(f"{_SOURCE}/ip_vs_rr.c", f"{_SOURCE}/ip_vs_lc.c", f"{_SOURCE}/ip_vs_dh.c"),
)
def weights_count(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        weights = {d.weight for d in service.pools[0].destinations if d.weight}
        if service.scheduler in _IGNORE_WEIGHTS and len(weights) > 1:
            kin = _WEIGHTED_KIN[service.scheduler]
            summary = f"{service.scheduler} ignores the weights of '{service.name}'"
            path = context.place_of(service, "scheduler")
            yield Hit(path, summary, fix=f"Use {kin}, or leave the weights out.")


@rule(
    "LVS320",
    Severity.WARNING,
    "The scheduler ovf is used with the default weight.",
    why="ovf takes a weight for the number of active connections that a real server may have before the next "
    "one is used; with 1 every real server overflows at once.",
    fix="Give each real server the number of connections it can take as its weight.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: ovf, real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_ovf.c",),
)
def overflow_weights(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        row = service.pools[0].destinations
        if service.scheduler is Scheduler.OVF and row and all(d.weight <= 1 for d in row):
            path = context.place_of(service, "scheduler")
            yield Hit(path, f"ovf lets each real server of '{service.name}' have one connection")


@rule(
    "LVS321",
    Severity.WARNING,
    "A hash table is too small for the weights or the real servers.",
    why="sh and dh fill a table of 256 buckets in order: once it is full, the real servers that come later "
    "get none, and no connection ever.",
    fix="Scale the weights down so that their sum is at most 256, or use mh, whose table is larger.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: sh,
                 real_servers: [{name: web1, weight: 300}, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_sh.c", f"{_SOURCE}/ip_vs_dh.c"),
)
def hash_table_room(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        row = service.pools[0].destinations
        # A destination of weight 0 takes a bucket too (`++d_count >= weight` in ip_vs_sh_reassign).
        wanted = {
            Scheduler.SH: sum(max(destination.weight, 1) for destination in row),
            Scheduler.DH: len(row),
        }.get(service.scheduler, 0)
        if wanted > _HASH_BUCKETS:
            summary = f"'{service.name}' wants {wanted} buckets of {service.scheduler}, which has 256"
            yield Hit(context.place_of(service, "scheduler"), summary)


@rule(
    "LVS323",
    Severity.WARNING,
    "The scheduler ovf is used for UDP.",
    why="ovf counts active connections, and IPVS counts every UDP exchange as inactive: nothing overflows.",
    fix="Use another scheduler for UDP.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, scheduler: ovf,
                real_servers: [{name: web1, weight: 100}, {name: web2, weight: 100}]}
    """,
    links=(f"{_SOURCE}/ip_vs_ovf.c",),
)
def overflow_udp(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        udp = all(protocol is Protocol.UDP for protocol in service.protocols)
        if service.scheduler is Scheduler.OVF and udp:
            path = context.place_of(service, "scheduler")
            yield Hit(path, f"'{service.name}' is UDP: ovf never sees it overflow")
