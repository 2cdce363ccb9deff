"""LVS4xx: hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import Director, Engine, ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import IPAddress, RealServer

_SSH_PORT = 22
_LOOPBACK = "lo"


@rule(
    "LVS402",
    Severity.ERROR,
    "Two hosts have one RIP or DIP.",
    why="An address belongs to one machine; of two, the network reaches now the one, now the other.",
    fix="Correct one of the addresses.",
    example="""
        real_servers:
          web1: {address: 192.0.2.11}
          web2: {address: 192.0.2.11}
    """,
)
def addresses_differ(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    directors = [(host, host.dips) for host in cluster.directors]
    real_servers = [(host, host.rips) for host in cluster.real_servers]
    for hosts, word in ((directors, "dip"), (real_servers, "rip")):
        seen: dict[IPAddress, str] = {}
        for host, addresses in hosts:
            for key, address in zip((word, f"{word}6"), addresses, strict=False):
                other = seen.setdefault(address, host.name)
                if other != host.name:
                    where = key if context.written(*host.path, key) else "address"
                    summary = f"{host.name} has the {word.upper()} of {other}, {address}"
                    yield Hit((*host.path, where), summary)


@rule(
    "LVS403",
    Severity.WARNING,
    "Two names stand for one machine.",
    why="Both are reached at the same address and port: the second would undo what the first got.",
    fix="Keep one of the two, or correct the address.",
    example="""
        real_servers:
          web1: {address: web.example.com, rip: 192.0.2.11}
          web2: {address: web.example.com, rip: 192.0.2.12}
    """,
)
def names_differ(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    seen: dict[tuple[str, int], str] = {}
    dips = {director.dip for director in cluster.directors}
    hosts: list[tuple[Director | RealServer, IPAddress]] = [
        *((director, director.dip) for director in cluster.directors),
        *((real_server, real_server.rip) for real_server in cluster.real_servers),
    ]
    for host, own in hosts:
        key = (host.address.lower(), host.ssh.port or _SSH_PORT)
        other = seen.setdefault(key, host.name)
        localnode = not isinstance(host, Director) and (own in dips or host.name == other)
        same_address = str(own) == host.address  # told by LVS402
        if other != host.name and not localnode and not same_address:
            summary = f"{host.name} is reached at {host.address}, as {other} is"
            yield Hit((*host.path, "address"), summary)


@rule(
    "LVS405",
    Severity.NOTE,
    "A real server is in no service.",
    why="It gets no traffic, and nothing is set up on it.",
    fix="Name it in a service, or remove it.",
    example="""
        real_servers:
          web9: {address: 192.0.2.19}      # and no service names web9
    """,
    needs=("services",),
)
def real_servers_serve(context: Context) -> Iterator[Hit]:
    for real_server in context.cluster.real_servers:
        if not context.cluster.parts_of(real_server):
            yield Hit(real_server.path, f"{real_server.name} is in no service")


@rule(
    "LVS406",
    Severity.NOTE,
    "There is one director only.",
    why="When it fails, every service fails with it.",
    fix="Add a second director; VRRP then moves the VIPs.",
    example="directors:\n  lvs1: {address: 192.0.2.2, interface: eth0}",
    needs=("directors",),
)
def several_directors(context: Context) -> Iterator[Hit]:
    if len(context.cluster.directors) == 1:
        by_hand = context.cluster.engine is Engine.IPVSADM
        fix = "Use `engine: keepalived`, the default, and add a second director." if by_hand else ""
        yield Hit(("directors",), "one director: nobody takes over when it fails", fix=fix)


@rule(
    "LVS412",
    Severity.NOTE,
    "A real server is not managed: what it needs is set up by hand.",
    why="lvsdeploy never logs in to it. In DR it needs the VIP on lo and the ARP sysctls, in NAT its "
    "default route through the directors' inside address. `check` tells what the directors find out about it "
    "(LVS546).",
    fix="`lvsdeploy render --host NAME` shows what a host like the others would get; or remove "
    "`managed: false`.",
    example="real_servers:\n  db1: {address: 10.2.0.21, managed: false}",
)
def unmanaged(context: Context) -> Iterator[Hit]:
    needs = {
        ForwardingMethod.DR: "the VIP on lo and the ARP sysctls",
        ForwardingMethod.NAT: "its route through the gateway",
        ForwardingMethod.TUN: "its tunnel interface with the VIP",
    }
    for real_server in _apart_from_directors(context):
        own = {part.mode for part in context.cluster.parts_of(real_server)}
        if not real_server.managed and own:
            what = " and ".join(needs[mode] for mode in sorted(own))
            path = (*real_server.path, "managed")
            yield Hit(path, f"{real_server.name} is not managed; left to you: {what}")


@rule(
    "LVS415",
    Severity.ERROR,
    "A director's interface is the loopback interface.",
    why="VRRP advertises on the interface that carries the VIPs, and a VIP on it is answered for in the "
    "network. The sync daemon sends to the other directors. lo is in no network.",
    fix="Name the interface that is in the clients' network (`ip -br address` shows them); for "
    "`nat.interface` the one that is in the real servers' network, for the sync daemon the one that the "
    "directors share. With `engine: ipvsadm`, where routers bring clients, a VIP may be on lo.",
    example="directors:\n  lvs1: {address: 192.0.2.2, interface: lo}",
)
def interfaces_in_a_network(context: Context) -> Iterator[Hit]:
    for director in context.cluster.directors:
        if director.interface == _LOOPBACK and len(context.cluster.directors) > 1:
            yield Hit((*director.path, "interface"), f"lo of {director.name} is in no network")
    nat = context.cluster.nat
    if nat and nat.interface == _LOOPBACK:
        yield Hit(("nat", "interface"), "lo is in no network, and the real servers are in one")
    for vip in context.cluster.vips if context.cluster.engine is Engine.KEEPALIVED else ():
        if vip.interface == _LOOPBACK:
            summary = f"the VIP {vip.ip} is on lo, where VRRP can tell nobody of it"
            yield Hit((*vip.path, "interface"), summary)
    daemon = context.cluster.vrrp.sync_daemon
    if daemon and daemon.interface == _LOOPBACK:
        summary = "the sync daemon is on lo, which leads to no other director"
        yield Hit(("vrrp", "sync_daemon", "interface"), summary)


@rule(
    "LVS416",
    Severity.NOTE,
    "A real server that is not managed has `ssh` settings.",
    why="lvsdeploy never logs in to it, so nothing looks at them.",
    fix="Remove them, or `managed: false`.",
    example="real_servers:\n  db1: {address: 10.2.0.21, managed: false, ssh: {port: 2222}}",
)
def never_logged_in_to(context: Context) -> Iterator[Hit]:
    for server in _apart_from_directors(context):
        path = (*server.path, "ssh")
        if not server.managed and context.written(*path):
            yield Hit(path, f"{server.name} is never logged in to", key=True)


@rule(
    "LVS418",
    Severity.WARNING,
    "A director's entry among the real servers says how it is reached, or that it is not.",
    why="It is one machine, and a director is always logged in to, as its entry among the directors says: "
    "nothing looks at `managed` and `ssh` here.",
    fix="Remove the key; `ssh` belongs to the entry among the directors.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
        real_servers:
          lvs1: {address: 192.0.2.2, managed: false}
    """,
)
def directors_are_logged_in_to(context: Context) -> Iterator[Hit]:
    apart = _apart_from_directors(context)
    for server in context.cluster.real_servers:
        if server in apart:
            continue
        if not server.managed:
            summary = f"{server.name} is a director, and logged in to all the same"
            yield Hit((*server.path, "managed"), summary)
        if context.written(*server.path, "ssh"):
            summary = f"{server.name} is a director, and reached as its entry there says"
            yield Hit((*server.path, "ssh"), summary, key=True)


def _apart_from_directors(context: Context) -> list[RealServer]:
    """The real servers that are machines of their own."""
    directors = {director.name for director in context.cluster.directors}
    return [server for server in context.cluster.real_servers if server.name not in directors]
