"""LVS37x: UDP. IPVS counts an exchange of datagrams as inactive, and with one_packet not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import ForwardingMethod, Protocol, Scheduler
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = "https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs"
_BY_CONNECTIONS = frozenset(
    {Scheduler.LC, Scheduler.WLC, Scheduler.LBLC, Scheduler.LBLCR, Scheduler.SED, Scheduler.NQ, Scheduler.OVF}
)
_BY_ACTIVE_ONES = frozenset({Scheduler.SED, Scheduler.NQ})


@rule(
    "LVS370",
    Severity.WARNING,
    "One-packet scheduling with a scheduler that counts connections.",
    why="With one_packet a datagram leaves no connection behind, so there is nothing to count: every real "
    "server looks idle, and one of them gets all datagrams.",
    fix="Use rr or wrr; or sh or mh with their port flag, to keep a client's socket at one real server.",
    more="`ip_vs_wlc_schedule` keeps the first of several with the same load, and with one_packet the load "
    "is 0 for each. wlc is the default scheduler. twos picks two at random before it counts, and still "
    "spreads.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, one_packet: true, real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_wlc.c", f"{_SOURCE}/ip_vs_conn.c"),
)
def nothing_to_count(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.one_packet and service.scheduler in _BY_CONNECTIONS:
            path = context.place_of(service, "scheduler")
            if path == service.path:
                path = context.place_of(service, "one_packet")
            summary = f"{service.scheduler} counts connections, and with one_packet '{service.name}' has none"
            yield Hit(path, summary)


@rule(
    "LVS371",
    Severity.WARNING,
    "The scheduler sed or nq is used for UDP.",
    why="Both count active connections alone, and IPVS counts every UDP exchange as inactive: each real "
    "server looks idle, and one of them gets all clients.",
    fix="Use wlc, which counts inactive ones, too, or rr or wrr.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, scheduler: nq, real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_nq.c", f"{_SOURCE}/ip_vs_sed.c"),
)
def never_active(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        counts = service.scheduler in _BY_ACTIVE_ONES and not service.one_packet  # LVS370 tells of that
        if counts and all(protocol is Protocol.UDP for protocol in service.protocols):
            path = context.place_of(service, "scheduler")
            yield Hit(path, f"'{service.name}' is UDP: {service.scheduler} takes every real server for idle")


@rule(
    "LVS372",
    Severity.WARNING,
    "One-packet scheduling in mode nat.",
    why="In NAT a reply gets the VIP as its source by the connection it belongs to. With one_packet there "
    "is none: clients get replies from an address they never asked, and drop them.",
    fix="Use mode dr or tun, or leave one_packet out. Where nothing is replied to (syslog), ignore this.",
    more="The persistence engine sip is the exception: since Linux 4.7 it finds the service of a reply by "
    "its Call-ID.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, one_packet: true, scheduler: rr, mode: nat,
                real_servers: [db1]}
    """,
    links=(f"{_SOURCE}/ip_vs_core.c", f"{_SOURCE}/ip_vs_pe_sip.c"),
)
def replies_without_connection(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        nat = ForwardingMethod.NAT in service.modes
        if service.one_packet and nat and not service.persistence_engine:
            path = context.place_of(service, "one_packet")
            yield Hit(path, f"replies of '{service.name}' keep the RIP as their source")


@rule(
    "LVS373",
    Severity.WARNING,
    "A threshold of connections, and one-packet scheduling.",
    why="With one_packet no connection is kept: there are never as many as the threshold says.",
    fix="Leave `upper` out, or one_packet.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, one_packet: true, scheduler: rr,
                real_servers: [{name: web1, upper: 1000}, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_conn.c",),
)
def threshold_never_reached(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        for destination in service.pools[0].destinations if service.one_packet else ():
            if destination.upper:
                summary = (
                    f"{destination.real_server} never has {destination.upper} connections with one_packet"
                )
                yield Hit((*destination.path, "upper"), summary)
