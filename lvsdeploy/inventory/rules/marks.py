"""LVS24x: services by firewall mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import ForwardingMethod, Scheduler
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lvsdeploy.inventory.model import IPAddress, Service

_ALL_PORTS = (0, 65535)
_BY_CLIENT = frozenset({Scheduler.SH, Scheduler.MH})


@rule(
    "LVS240",
    Severity.ERROR,
    "Two services have the same firewall mark.",
    why="The mark is what IPVS knows such a virtual service by: there can be one, with one pool.",
    fix="Give one of them another mark, or make them one service with several VIPs and ports.",
    example="""
        services:
          shop: {vip: 192.0.2.50, ports: [80, 443], fwmark: 7, real_servers: [web1]}
          blog: {vip: 192.0.2.51, ports: [80, 443], fwmark: 7, real_servers: [web2]}
    """,
)
def one_service_a_mark(context: Context) -> Iterator[Hit]:
    seen: dict[int, str] = {}
    for service in context.cluster.services:
        if service.fwmark and (other := seen.setdefault(service.fwmark, service.name)) != service.name:
            path = context.place_of(service, "fwmark")
            yield Hit(path, f"'{service.name}' has the mark {service.fwmark}, and so has '{other}'")


@rule(
    "LVS241",
    Severity.WARNING,
    "Packets of a service get another one's firewall mark.",
    why="IPVS looks for a packet's mark before it looks for VIP and port: the service without a mark never "
    "sees these packets.",
    fix="Take the port out of one of the two services.",
    example="""
        services:
          shop: {vip: 192.0.2.50, ports: [80, 443], fwmark: 7, real_servers: [web1]}
          web: {vip: 192.0.2.50, port: 80, real_servers: [web2]}
    """,
)
def mark_comes_first(context: Context) -> Iterator[Hit]:
    marked = _by_vip(service for service in context.cluster.services if service.fwmark)
    for service in context.cluster.services:
        for other in _beside(service, marked) if not service.fwmark else ():
            if shared := _shared(service, other):
                yield Hit(service.path, f"{shared} of '{service.name}' goes to '{other.name}', by its mark")


@rule(
    "LVS244",
    Severity.ERROR,
    "Packets would get two firewall marks.",
    why="A packet has one mark: the one service or the other would never see these packets.",
    fix="Take the port out of one of the two services.",
    example="""
        services:
          shop: {vip: 192.0.2.50, ports: [80, 443], fwmark: 7, real_servers: [web1]}
          web: {vip: 192.0.2.50, port: 80, fwmark: 8, real_servers: [web2]}
    """,
)
def one_mark_a_packet(context: Context) -> Iterator[Hit]:
    marked = [service for service in context.cluster.services if service.fwmark]
    by_vip = _by_vip(marked)
    before = set()
    for service in marked:
        before.add(service.name)
        for other in _beside(service, by_vip):
            if other is not service and other.name in before and (shared := _shared(service, other)):
                yield Hit(service.path, f"'{service.name}' has {shared}, and so has '{other.name}'")


@rule(
    "LVS125",
    Severity.WARNING,
    "A mark joins several ports, and a real server has one for all of them.",
    why="In NAT a port that is given for a real server replaces every port of the service: what comes for "
    "80 and for 443 arrives at the same one.",
    fix="Leave the port out: packets keep theirs then. Or make each port a service of its own.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        services:
          web: {vip: 192.0.2.50, ports: [80, 443], fwmark: 7, persistence: 60, mode: nat,
                real_servers: [{name: db1, port: 8080}]}
    """,
)
def marked_ports_collapse(context: Context) -> Iterator[Hit]:
    for service in (service for service in context.cluster.services if service.fwmark):
        several = len(service.port_ranges) > 1 or any(first != last for first, last in service.port_ranges)
        if not several:
            continue
        for destination in service.pools[0].destinations:
            if destination.port and service.mode_of(destination) is ForwardingMethod.NAT:
                summary = f"all ports of '{service.name}' go to port {destination.port}"
                yield Hit((*destination.path, "port"), summary)


def _by_vip(services: Iterable[Service]) -> dict[IPAddress, list[Service]]:
    """The services of each VIP."""
    found: dict[IPAddress, list[Service]] = {}
    for service in services:
        for vip in service.vips:
            found.setdefault(vip.ip, []).append(service)
    return found


def _beside(service: Service, by_vip: Mapping[IPAddress, list[Service]]) -> Iterable[Service]:
    """Those that share a VIP with a service, each once."""
    return {other.name: other for vip in service.vips for other in by_vip.get(vip.ip, ())}.values()


def _shared(one: Service, other: Service) -> str:
    """The first packets that are of both services, "" for none."""
    vips = {vip.ip for vip in one.vips} & {vip.ip for vip in other.vips}
    protocols = [protocol for protocol in one.protocols if protocol in other.protocols]
    if not vips or not protocols:
        return ""
    for first, last in map(_whole, one.port_ranges):
        for other_first, other_last in map(_whole, other.port_ranges):
            if (port := max(first, other_first)) <= min(last, other_last):
                return f"{protocols[0]} {min(vips, key=str)} " + (f"port {port}" if port else "(all ports)")
    return ""


def _whole(ports: tuple[int, int]) -> tuple[int, int]:
    """Port 0 stands for all."""
    return _ALL_PORTS if ports == (0, 0) else ports


@rule(
    "LVS242",
    Severity.ERROR,
    "`protocols` without a firewall mark.",
    why="A virtual service without a mark is of one protocol; only packets of several can get one mark.",
    fix="Use `protocol`, or set a `fwmark`.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocols: [tcp, udp], health_check: none, real_servers: [web1]}
    """,
)
def protocols_without_a_mark(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if not service.fwmark and context.written(*service.path, "protocols"):
            yield Hit((*service.path, "protocols"), f"'{service.name}' has protocols, and no fwmark")


@rule(
    "LVS243",
    Severity.WARNING,
    "A firewall mark for several ports, without persistence.",
    why="Each connection is scheduled by itself: a client may be sent to one real server on one port and to "
    "another one on the next. Mostly it is for keeping them together that ports get one mark.",
    fix="Set `persistence`; or use the scheduler sh, which goes by the client's address.",
    example="""
        services:
          shop: {vip: 192.0.2.50, ports: [80, 443], fwmark: 7, real_servers: [web1, web2]}
    """,
)
def mark_without_persistence(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        ports = len(service.port_ranges) > 1 or any(first != last for first, last in service.port_ranges)
        several = ports or len(service.protocols) > 1
        together = service.persistence or service.scheduler in _BY_CLIENT
        if service.fwmark and several and not together:
            path = context.place_of(service, "fwmark")
            yield Hit(path, f"'{service.name}' has one mark for several ports, and no persistence")
