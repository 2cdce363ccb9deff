"""LVS3xx: services and their real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import Engine, IPAddress, Protocol
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_IPVSADM = "https://man7.org/linux/man-pages/man8/ipvsadm.8.html"


@rule(
    "LVS303",
    Severity.ERROR,
    "The sorry server is one of the service's real servers.",
    why="The sorry server is added when no real server is left. As one of them it is down as well by then, "
    "and the kernel refuses the same destination twice.",
    fix="Use another machine, or another port in NAT.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, sorry_server: {address: 192.0.2.11}, real_servers: [web1]}
        real_servers:
          web1: {address: 192.0.2.11}
    """,
)
def sorry_server_apart(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        sorry = service.sorry_server
        if sorry is None:
            continue
        for pool in service.pools:
            own = sorry.port if sorry.port is not None else pool.port
            same = [d for d in pool.destinations if (d.address, d.port) == (sorry.address, own)]
            if same:
                path = context.place_of(service, "sorry_server", "address")
                yield Hit(path, f"the sorry server {sorry.address} is {same[0].real_server}, a real server")
                break


@rule(
    "LVS304",
    Severity.ERROR,
    "A real server stands twice in a service.",
    why="(address, port) is what IPVS knows a destination by: the second one is refused, or replaces the "
    "first one's weight.",
    fix="Remove one of the two. In NAT another port makes it another destination.",
    more="A real server that is named by itself and is in a group as well is there once, as named by itself.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [web1, {name: web1, weight: 3}]}
    """,
)
def destinations_differ(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        told: set[tuple[str, ...]] = set()
        for pool in service.pools:
            seen: dict[tuple[IPAddress, int], str] = {}
            for destination in pool.destinations:
                key = (destination.address, destination.port)
                if key in seen and destination.path not in told:
                    told.add(destination.path)
                    summary = f"{destination.real_server} is a second destination {key[0]} port {key[1]}"
                    yield Hit(destination.path, summary)
                seen.setdefault(key, destination.real_server)


@rule(
    "LVS308",
    Severity.NOTE,
    "A group is used by no service.",
    why="A group is a short name for real servers in a service; --limit takes it too.",
    fix='Write "@NAME" in a service, or keep it for --limit.',
    example="groups:\n  spare: [web1, web2]",
    needs=("services", "groups"),
)
def groups_used(context: Context) -> Iterator[Hit]:
    used = set()
    services = context.data.get("services")
    for entry in services.values() if isinstance(services, dict) else ():
        for item in entry["real_servers"]:
            used.add(item["name"] if isinstance(item, dict) else item)
    for name, _ in context.cluster.groups:
        if f"@{name}" not in used:
            yield Hit(("groups", name), f"no service uses the group '{name}'")


@rule(
    "LVS309",
    Severity.ERROR,
    "One-packet scheduling is on for a service that is not UDP.",
    why="With it each packet is scheduled anew; a TCP or SCTP connection would fall apart. The kernel takes "
    "it for UDP alone.",
    fix="Remove one_packet, or set protocol to udp.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, one_packet: true, real_servers: [web1, web2]}
    """,
    links=(_IPVSADM,),
)
def one_packet_is_udp(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.one_packet and Protocol.UDP not in service.protocols:
            path = context.place_of(service, "one_packet")
            yield Hit(path, f"one_packet is for UDP; '{service.name}' is {' and '.join(service.protocols)}")


@rule(
    "LVS310",
    Severity.WARNING,
    "One-packet scheduling is on together with persistence.",
    why="The one spreads the datagrams of a client, the other keeps them together: persistence wins, and the "
    "schedule is what one_packet was meant to avoid. Only the persistence engine sip needs both.",
    fix="Keep one of the two.",
    example="""
        services:
          dns: {vip: 192.0.2.50, port: 53, protocol: udp, one_packet: true, persistence: 60,
                real_servers: [web1, web2]}
    """,
    links=(_IPVSADM,),
)
def one_packet_or_persistence(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.one_packet and service.persistence is not None and not service.persistence_engine:
            path = context.place_of(service, "one_packet")
            yield Hit(path, f"'{service.name}' has one_packet and persistence")


@rule(
    "LVS311",
    Severity.ERROR,
    "A service has port 0 without persistence.",
    why="Port 0 stands for all ports, and IPVS takes it only with persistence, so that a client's ports "
    "reach one real server.",
    fix="Add `persistence: 300`, or name the ports.",
    example="services:\n  all: {vip: 192.0.2.50, port: 0, real_servers: [web1, web2]}",
    links=(_IPVSADM,),
)
def port_zero_persists(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if 0 in service.ports and not service.fwmark and service.persistence is None:
            key = "port" if context.written(*service.path, "port") else "ports"
            yield Hit((*service.path, key), f"'{service.name}' has port 0 and no persistence")


@rule(
    "LVS316",
    Severity.NOTE,
    "A service has a single real server.",
    why="There is nothing to balance, and nobody takes over when it fails.",
    fix="Add a real server, or a sorry server.",
    example="services:\n  http: {vip: 192.0.2.50, port: 80, real_servers: [web1]}",
)
def several_real_servers(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        names = {destination.real_server for destination in service.pools[0].destinations}
        if len(names) == 1:
            fix = "Add a real server." if context.cluster.engine is Engine.IPVSADM else ""
            yield Hit((*service.path, "real_servers"), f"'{service.name}' has a single real server", fix=fix)


@rule(
    "LVS318",
    Severity.WARNING,
    "A persistence netmask is given without persistence.",
    why="It says which clients count as one for persistence; without persistence nothing looks at it.",
    fix="Add `persistence: SECONDS`, or remove the netmask.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, persistence_netmask: 255.255.255.0, real_servers: [web1, web2]}
    """,
)
def netmask_has_persistence(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        given = service.persistence_netmask is not None or service.persistence_prefix is not None
        if given and service.persistence is None:
            path = context.place_of(service, "persistence_netmask")
            yield Hit(path, f"'{service.name}' has a persistence netmask and no persistence")


@rule(
    "LVS324",
    Severity.ERROR,
    "A service has no real server.",
    why="A virtual service without destinations refuses every client.",
    fix="Name a real server, or a group that adds one.",
    example="services:\n  http: {vip: 192.0.2.50, port: 80, real_servers: []}",
)
def any_real_server(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if not service.pools[0].destinations:
            yield Hit((*service.path, "real_servers"), f"'{service.name}' has no real server")
