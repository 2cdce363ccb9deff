"""LVS33x, LVS34x: options of services and of their real servers that need, or contradict, each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import HttpCheck, NoCheck
from lvsdeploy.inventory.model import IPV4, IPV6, Engine, ForwardingMethod, Protocol, Scheduler
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator


_SOURCE = "https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs"
_KEEPALIVED = "https://www.keepalived.org/manpage.html"
_BITS_OF_IPV4 = 32
_BY_HASH = {
    Scheduler.DH: frozenset[str](),
    Scheduler.SH: frozenset({"sh-fallback", "flag-1"}),
    Scheduler.MH: frozenset({"mh-fallback", "flag-1"}),
}
"""Schedulers that choose by a hash, and their flags that let another one be chosen."""


@rule(
    "LVS330",
    Severity.ERROR,
    "A lower threshold is above the upper one.",
    why="At `upper` connections a real server gets no new one until there are fewer than `lower`. The "
    "kernel refuses one that is higher.",
    fix="Lower `lower`, or leave it out: it is three quarters of `upper` then.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [{name: web1, upper: 100, lower: 200}, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_ctl.c",),
)
def thresholds_in_order(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        for destination in service.pools[0].destinations:
            upper, lower = destination.upper, destination.lower
            if upper and lower > upper:
                yield Hit((*destination.path, "lower"), f"lower {lower} is above upper {upper}")


@rule(
    "LVS331",
    Severity.ERROR,
    "A lower threshold is given without an upper one.",
    why="It says when a real server that has reached `upper` gets connections again; without `upper` it "
    "never is there.",
    fix="Add `upper`, or remove `lower`.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [{name: web1, lower: 100}, web2]}
    """,
)
def lower_needs_upper(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        for destination in service.pools[0].destinations:
            if destination.lower and not destination.upper:
                yield Hit(
                    (*destination.path, "lower"), f"lower {destination.lower} without an upper threshold"
                )


@rule(
    "LVS332",
    Severity.WARNING,
    "A scheduler by hash refuses the clients of a real server at its threshold.",
    why="dh, sh and mh choose a real server by the client's or the VIP's address alone. When that one is at "
    "its upper threshold they choose no other: its clients are refused.",
    fix="Add sh-fallback or mh-fallback to `scheduler_flags`, use another scheduler, or leave the threshold "
    "out.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: sh, real_servers: [{name: web1, upper: 100}, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_sh.c", f"{_SOURCE}/ip_vs_mh.c", f"{_SOURCE}/ip_vs_dh.c"),
)
def threshold_by_hash(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        falls_back = _BY_HASH.get(service.scheduler)
        if falls_back is None or falls_back & set(service.scheduler_flags):
            continue
        for destination in service.pools[0].destinations:
            if destination.upper:
                summary = (
                    f"{service.scheduler} refuses clients of {destination.real_server} at {destination.upper}"
                )
                yield Hit((*destination.path, "upper"), summary)


@rule(
    "LVS333",
    Severity.ERROR,
    "The persistence engine sip is used without UDP, or without persistence.",
    why="It reads the Call-ID from datagrams, to keep those of one call together: it takes UDP alone, and "
    "is part of persistence.",
    fix="Set `protocol: udp` and `persistence: SECONDS`, or remove persistence_engine.",
    example="""
        services:
          sip: {vip: 192.0.2.50, port: 5060, persistence_engine: sip, persistence: 60,
                real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_pe_sip.c",),
)
def sip_over_udp(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if not service.persistence_engine:
            continue
        path = context.place_of(service, "persistence_engine")
        if any(protocol is not Protocol.UDP for protocol in service.protocols):
            yield Hit(path, f"sip is for UDP; '{service.name}' is {' and '.join(service.protocols)}")
        elif service.persistence is None:
            yield Hit(path, f"'{service.name}' has persistence_engine and no persistence")


@rule(
    "LVS334",
    Severity.ERROR,
    "A hysteresis is not below the quorum.",
    why="The service is given up when the weights sum up to less than quorum - hysteresis: that is never. "
    "keepalived would lower it without failing.",
    fix="Lower hysteresis, or raise quorum.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, quorum: 1, hysteresis: 1, real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def hysteresis_below_quorum(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.hysteresis and service.hysteresis >= service.quorum:
            path = context.place_of(service, "hysteresis")
            yield Hit(path, f"hysteresis {service.hysteresis} is not below quorum {service.quorum}")


@rule(
    "LVS335",
    Severity.WARNING,
    "A quorum is not reached again, once it is lost.",
    why="The service is taken up again at quorum + hysteresis. That is above the sum of all weights.",
    fix="Lower hysteresis or quorum, or raise the weights.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, quorum: 2, hysteresis: 1, real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def quorum_comes_back(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        total = sum(destination.weight for destination in service.pools[0].destinations)
        back = service.quorum + service.hysteresis
        if service.hysteresis and service.quorum <= total < back:
            path = context.place_of(service, "hysteresis")
            yield Hit(path, f"'{service.name}' comes back at {back}, and all weights are {total}")


@rule(
    "LVS336",
    Severity.NOTE,
    "omega is set, and there is no script that it could run.",
    why="It has the quorum_down and notify_down scripts run when keepalived stops.",
    fix="Add quorum_down or notify_down, or remove omega.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, omega: true, real_servers: [web1, web2]}
    """,
    links=(_KEEPALIVED,),
)
def omega_runs_something(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        scripts = [service.quorum_down, *(d.notify_down for d in service.destinations)]
        if service.omega and not any(scripts):
            yield Hit(context.place_of(service, "omega"), f"'{service.name}' has omega and no script")


@rule(
    "LVS337",
    Severity.WARNING,
    "An option depends on health checks, and the service has none.",
    why="Without a check a real server always counts as alive: nothing ever fails, and the option does "
    "nothing.",
    fix="Give the service a health check, or remove the option.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: none, inhibit_on_failure: true,
                 real_servers: [web1, web2]}
    """,
)
def options_of_checks(context: Context) -> Iterator[Hit]:
    if context.cluster.engine is Engine.IPVSADM:
        return  # LVS351 and LVS352 refuse them
    for service in context.cluster.services:
        if any(not isinstance(service.check_of(d), NoCheck) for d in service.destinations):
            continue
        for key in ("sorry_server", "inhibit_on_failure", "quorum", "quorum_up", "quorum_down", "alpha"):
            path = context.place_of(service, key)
            if path[-1] == key and path[0] != "defaults":
                yield Hit(path, f"'{service.name}' has {key} and no health check", key=True)


@rule(
    "LVS338",
    Severity.WARNING,
    "A virtualhost is given, and no health check asks for one.",
    why="It is the host that http and https checks ask for; nothing else looks at it.",
    fix="Use an http or https check, or remove virtualhost.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, virtualhost: www.example.com, real_servers: [web1, web2]}
    """,
)
def virtualhost_is_asked(context: Context) -> Iterator[Hit]:
    if context.cluster.engine is Engine.IPVSADM:
        return  # LVS352 refuses it
    for service in context.cluster.services:
        path = context.place_of(service, "virtualhost")
        if service.virtualhost is None or path[0] == "defaults":
            continue
        if not any(isinstance(service.check_of(d), HttpCheck) for d in service.destinations):
            yield Hit(path, f"'{service.name}' has a virtualhost, and no http or https check")


@rule(
    "LVS339",
    Severity.WARNING,
    "One real server of a checked service has no health check.",
    why="It goes on getting its share when it is dead, and the quorum counts it as alive.",
    fix="Remove its `health_check: none`, unless it is meant.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: tcp,
                 real_servers: [{name: web1, health_check: none}, web2]}
    """,
)
def everyone_is_checked(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if isinstance(service.health_check, NoCheck):
            continue
        for destination in service.pools[0].destinations:
            if isinstance(destination.health_check, NoCheck):
                path = (*destination.path, "health_check")
                yield Hit(path, f"{destination.real_server} is not checked, the others are")


@rule(
    "LVS340",
    Severity.ERROR,
    "A persistence netmask is of another address family than the VIPs.",
    why="IPVS applies it to the client's address, which is of the VIP's family: an IPv4 netmask, or up to "
    "32 bits, for IPv4; a prefix length for IPv6.",
    fix="Write the netmask or prefix length of the VIPs' family.",
    example="""
        services:
          http: {vip: "2001:db8::50", port: 80, persistence: 60, persistence_netmask: 255.255.255.0,
                 real_servers: [web1, web2]}
    """,
)
def netmask_of_family(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        path = context.place_of(service, "persistence_netmask")
        if path[-1] != "persistence_netmask":
            continue
        given = _given(context, path)
        families = {pool.version for pool in service.pools}
        if families == {IPV6} and isinstance(given, str):
            yield Hit(path, f"'{given}' is a netmask of IPv4, and '{service.name}' is IPv6")
        elif families == {IPV4} and isinstance(given, int) and given > _BITS_OF_IPV4:
            yield Hit(path, f"{given} is a prefix length of IPv6, and '{service.name}' is IPv4")
        elif isinstance(given, dict) and not families & {int(key[-1]) for key in given}:
            (own,) = families
            yield Hit(path, f"it says nothing of IPv{own}, and '{service.name}' is IPv{own}")


@rule(
    "LVS341",
    Severity.WARNING,
    "The scheduler fo is used with equal weights.",
    why="fo sends everything to the real server with the highest weight, the next one when that fails. "
    "Which of equals comes first is not said anywhere.",
    fix="Give each real server a weight of its own, in the order in which they should serve.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: fo, real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_fo.c",),
)
def failover_in_order(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        weights = [d.weight for d in service.pools[0].destinations if d.weight]
        if service.scheduler is Scheduler.FO and len(set(weights)) < len(weights):
            path = context.place_of(service, "scheduler")
            yield Hit(path, f"fo: real servers of '{service.name}' have the same weight")


@rule(
    "LVS342",
    Severity.NOTE,
    "A scheduler for caches is used.",
    why="lblc, lblcr and dh send what goes to one destination address to one real server. They are for "
    "clusters of transparent proxies, where packets keep their many destinations (by fwmark); with a VIP "
    "there is one address, and so one real server gets nearly everything.",
    fix="Use wlc, or sh and mh to keep a client with its real server.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, scheduler: dh, real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_lblc.c", f"{_SOURCE}/ip_vs_dh.c"),
)
def for_caches(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.scheduler in {Scheduler.DH, Scheduler.LBLC, Scheduler.LBLCR} and not service.fwmark:
            path = context.place_of(service, "scheduler")
            yield Hit(path, f"{service.scheduler} sends what goes to one VIP to one real server")


@rule(
    "LVS343",
    Severity.WARNING,
    "A sorry server is of one address family, and the VIPs are of both.",
    why="In DR and NAT it takes over for the VIPs of its own family. For the others there is nobody when all "
    "real servers fail.",
    fix="Make each family a service of its own, with a sorry server each; or give this one mode tun.",
    example="""
        services:
          http: {vips: [192.0.2.50, "2001:db8::50"], port: 80, sorry_server: {address: 192.0.2.99},
                 real_servers: [web1, web2]}
    """,
)
def sorry_for_both(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        without = {pool.version for pool in service.pools if service.sorry_of(pool) is None}
        if service.sorry_server and without and any(pool.version not in without for pool in service.pools):
            path = context.place_of(service, "sorry_server", "address")
            version = next(iter(without))
            yield Hit(path, f"the sorry server of '{service.name}' is not for its IPv{version} VIPs")


@rule(
    "LVS344",
    Severity.ERROR,
    "Ports of a service overlap.",
    why="Each port is a virtual service, and there can be one: (protocol, VIP, port) is what IPVS knows it "
    "by.",
    fix="Name each port once, by itself or in one range.",
    example="""
        services:
          media: {vip: 192.0.2.50, ports: ["8000-8010", 8005], real_servers: [web1, web2]}
    """,
)
def ports_once(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        for index, (first, last) in enumerate(service.port_ranges):
            for low, high in service.port_ranges[:index]:
                if first <= high and low <= last:
                    summary = f"port {max(first, low)} stands in '{service.name}' twice"
                    yield Hit((*service.path, "ports", str(index)), summary)
                    break


@rule(
    "LVS345",
    Severity.NOTE,
    "masquerade is set, and no service has mode nat.",
    why="It is for clients beside the real servers of NAT services.",
    fix="Remove it, or set a service's mode to nat.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1, masquerade: true}
        services:
          http: {vip: 192.0.2.50, port: 80, mode: dr, real_servers: [web1, web2]}
    """,
    needs=("services",),
)
def masquerade_serves(context: Context) -> Iterator[Hit]:
    nat = context.cluster.nat
    if nat and nat.masquerade and not context.cluster.uses(ForwardingMethod.NAT):
        yield Hit((*nat.path, "masquerade"), "masquerade is set, and no service has mode nat")


@rule(
    "LVS346",
    Severity.ERROR,
    "A sorry server's port differs, and its mode is not nat.",
    why="DR and TUN hand the client's packet on as it is: the sorry server gets it on the service's own "
    "port.",
    fix="Remove the port, or let the sorry server's mode be nat.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        services:
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [db1],
                sorry_server: {address: 10.2.0.99, port: 8080, mode: dr}}
    """,
)
def sorry_port(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        sorry = service.sorry_server
        if sorry is None or sorry.mode in (None, service.mode, ForwardingMethod.NAT) or sorry.port is None:
            continue
        if any(pool.port != sorry.port for pool in service.pools):
            path = context.place_of(service, "sorry_server", "port")
            yield Hit(path, f"the sorry server's port {sorry.port} differs, in mode {sorry.mode}")


def _given(context: Context, path: tuple[str, ...]) -> object:
    """What the inventory says at a path."""
    node: object = context.data
    for key in path:
        node = node[key] if isinstance(node, dict) else None
    return node
