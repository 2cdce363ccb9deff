"""LVS1xx: directors that are also real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import Engine, ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import IPAddress, Part

_SYSCTL = "https://docs.kernel.org/networking/ipvs-sysctl.html"


@rule(
    "LVS140",
    Severity.ERROR,
    "A director serves, there is another one, and no sync daemon.",
    why="The BACKUP gets packets for the VIP as a real server, and has the IPVS table, too: it would send "
    "them on, and two directors pass a packet to and fro. `net.ipv4.vs.backup_only`, which lvsdeploy "
    "sets, keeps it from that; but the kernel knows who is BACKUP from the sync daemon alone.",
    fix="Add `vrrp: {sync_daemon: {interface: eth0}}`, with the interface that the directors share. Or let "
    "other machines be the real servers.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
          lvs2: {address: 192.0.2.3, interface: eth0}
        real_servers:
          lvs1: {address: 192.0.2.2}
          lvs2: {address: 192.0.2.3}
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [lvs1, lvs2]}
    """,
    links=(_SYSCTL,),
)
def localnode_needs_sync(context: Context) -> Iterator[Hit]:
    if len(context.cluster.directors) == 1 or context.written("vrrp", "sync_daemon"):
        return
    for name, parts in _serving(context).items():
        if any(part.mode is ForwardingMethod.DR for part in parts):
            summary = f"the director {name} serves {parts[0].service.name}, and there is no sync daemon"
            yield Hit(("real_servers", name), summary, key=True, fix=_only_others(context))


@rule(
    "LVS141",
    Severity.ERROR,
    "A director serves in mode nat or tun, and there is another one.",
    why="In NAT its replies to another director's packets would leave by its own default route, past that "
    "director, which alone can put the VIP back; in TUN it would take what it unwraps for a client's packet.",
    fix="Use mode dr for this service, or let other machines be the real servers. With one director, its own "
    "destination is local, in any mode.",
    example="""
        directors:
          lvs1: {address: 10.2.0.2, interface: eth0}
          lvs2: {address: 10.2.0.3, interface: eth0}
        nat: {gateway: 10.2.0.1/24, interface: eth1}
        real_servers:
          lvs1: {address: 10.2.0.2}
        services:
          http: {vip: 192.0.2.50, port: 80, mode: nat, real_servers: [lvs1]}
    """,
)
def localnode_is_direct(context: Context) -> Iterator[Hit]:
    if len(context.cluster.directors) == 1:
        return
    for name, parts in _serving(context).items():
        told = {
            context.said(
                part, "mode"
            ): f"the director {name} serves '{part.service.name}' in mode {part.mode}"
            for part in parts
            if part.mode is not ForwardingMethod.DR
        }
        yield from (Hit(path, summary) for path, summary in told.items())


@rule(
    "LVS142",
    Severity.ERROR,
    "A director and a real server have one address and two names.",
    why="They are one machine. By one name it is read and changed once, as both; by two names each would "
    "undo what the other put there.",
    fix="Give the real server the director's name.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
        real_servers:
          web1: {address: 192.0.2.2}
    """,
)
def localnode_has_one_name(context: Context) -> Iterator[Hit]:
    owners: dict[IPAddress, str] = {}
    for director in context.cluster.directors:
        owners.update({dip: director.name for dip in (director.dip, director.dip6) if dip is not None})
    for server in context.cluster.real_servers:
        owner = next((owners[rip] for rip in server.rips if rip in owners), server.name)
        if owner != server.name:
            summary = f"{server.name} has an address of the director {owner}"
            yield Hit(server.path, summary, key=True, fix=f"Call it {owner}, in services and groups, too.")


@rule(
    "LVS143",
    Severity.ERROR,
    "A real server has a director's name, and is another machine.",
    why="A real server with a director's name is that director. Its RIP is none of the addresses that the "
    "inventory gives the director.",
    fix="Give the real server another name; or, when it is the director, the director's `dip` or `address`.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
        real_servers:
          lvs1: {address: 192.0.2.11}
    """,
)
def localnode_is_the_director(context: Context) -> Iterator[Hit]:
    for director in context.cluster.directors:
        server = context.cluster.serving(director.name)
        if server is None:
            continue
        own = {director.address, str(director.dip), str(director.dip6)}
        if not {str(server.rip), server.address} & own:
            yield Hit(
                server.path, f"{server.name} is a director, and {server.rip} is not its address", key=True
            )


def _only_others(context: Context) -> str:
    """What to do where a sync daemon would not help (LVS224); "" where it does."""
    by_hand = context.cluster.engine is Engine.IPVSADM
    if not by_hand and len({vip.group for vip in context.cluster.vips}) == 1:
        return ""
    what = (
        "The engine ipvsadm cannot tell who is BACKUP"
        if by_hand
        else "With `vrrp.groups` nobody is just BACKUP"
    )
    return f"Let other machines be the real servers. {what}, so a sync daemon would not help."


@rule(
    "LVS144",
    Severity.ERROR,
    "The sorry server is a director, there is another one, and it is not declared as a real server.",
    why="What the other director sends it as to a sorry server arrives with the VIP as its destination. It "
    "must hold the VIP on lo, and must not send the packet on by its own IPVS table: a real server with the "
    "director's name gets both.",
    fix="Name the director under `real_servers`, too; or let each director answer by itself, with the sorry "
    "server 127.0.0.1 in mode dr; or take another machine.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
          lvs2: {address: 192.0.2.3, interface: eth0}
        services:
          http: {vip: 192.0.2.50, port: 80, real_servers: [web1, web2], sorry_server: {address: 192.0.2.2}}
    """,
    links=(_SYSCTL,),
    needs=("real_servers",),
)
def sorry_director_is_declared(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    if len(cluster.directors) == 1:
        return
    owners = {dip: director.name for director in cluster.directors for dip in director.dips}
    for service in cluster.services:
        sorry = service.sorry_server
        name = owners.get(sorry.address) if sorry else None
        if sorry and name and cluster.serving(name) is None:
            path = context.place_of(service, "sorry_server", "address")
            yield Hit(path, f"the sorry server {sorry.address} is the director {name}, and no real server")


def _serving(context: Context) -> dict[str, tuple[Part, ...]]:
    """The directors that serve, and what."""
    cluster = context.cluster
    servers = [server for d in cluster.directors if (server := cluster.serving(d.name)) is not None]
    found = {server.name: cluster.parts_of(server) for server in servers}
    return {name: parts for name, parts in found.items() if parts}
