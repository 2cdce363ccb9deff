"""LVS2xx: VRRP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_RFC = "https://www.rfc-editor.org/rfc/rfc3768"
_OWNER = 255
_LAST_ID = 255


@rule(
    "LVS204",
    Severity.WARNING,
    "Two directors have the same priority.",
    why="VRRP then lets the higher address win, so who is MASTER does not stand in the inventory; and with "
    "preempt both may advertise for a moment after each start.",
    fix="Give each director a priority of its own; the highest is MASTER.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0, priority: 100}
          lvs2: {address: 192.0.2.3, interface: eth0, priority: 100}
    """,
    links=(_RFC,),
)
def distinct_priorities(context: Context) -> Iterator[Hit]:
    seen: dict[int, str] = {}
    for director in context.cluster.directors:
        other = seen.setdefault(director.priority, director.name)
        if other != director.name:
            summary = f"{director.name} and {other} both have priority {director.priority}"
            yield Hit((*director.path, "priority"), summary)


@rule(
    "LVS205",
    Severity.ERROR,
    "A director has priority 255.",
    why="255 is kept for the router that owns the address as its own. A director never owns a VIP, and one "
    "with 255 takes the VIPs back at once, whatever `preempt` says.",
    fix="Use 1 to 254.",
    example="directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 255}",
    links=(f"{_RFC}#section-5.3.4",),
)
def owner_priority(context: Context) -> Iterator[Hit]:
    for director in context.cluster.directors:
        if director.priority == _OWNER:
            path = (*director.path, "priority")
            yield Hit(path, f"{director.name} has priority 255, the address owner's")


@rule(
    "LVS206",
    Severity.NOTE,
    "preempt is false: VIPs stay where they are after a failover.",
    why="A director that returns does not take the VIPs back, so the MASTER may be another one than the "
    "priorities say. keepalived needs `state BACKUP` on all directors for it, and lvsdeploy writes that.",
    fix="Nothing, when this is meant; `lvsdeploy status` shows who is MASTER.",
    example="vrrp: {preempt: false}",
    links=("https://www.keepalived.org/manpage.html",),
)
def no_preempt(context: Context) -> Iterator[Hit]:
    if not context.cluster.vrrp.preempt and len(context.cluster.directors) > 1:
        yield Hit(("vrrp", "preempt"), "VIPs stay where they are when a director returns")


@rule(
    "LVS207",
    Severity.ERROR,
    "A NAT cluster with several directors has no room for its second virtual router id.",
    why="The inside gateway is a VRRP group of its own, with the virtual router id after the outside one; "
    "255 is the last.",
    fix="Use a virtual_router_id of 1 to 254.",
    example="""
        vrrp: {virtual_router_id: 255}
        nat: {gateway: 10.2.0.1/24, interface: eth1}
    """,
    links=(_RFC,),
)
def second_router_id(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    several = len(cluster.directors) > 1
    if cluster.nat and several and cluster.vrrp.virtual_router_id == _LAST_ID:
        summary = "virtual_router_id 255 leaves none for the inside gateway"
        yield Hit(("vrrp", "virtual_router_id"), summary)


@rule(
    "LVS211",
    Severity.ERROR,
    "Two directors' priorities cannot all be chosen by themselves.",
    why="Priorities that are not given are chosen below those of the directors above; there is no room left.",
    fix="Give each director a priority of its own.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0, priority: 1}
          lvs2: {address: 192.0.2.3, interface: eth0}
    """,
)
def room_for_priorities(context: Context) -> Iterator[Hit]:
    lowest = _OWNER
    for director in context.cluster.directors:
        chosen = not context.written(*director.path, "priority")
        if chosen and director.priority >= lowest:
            yield Hit(director.path, f"no priority is left below {lowest} for {director.name}")
        lowest = min(lowest, director.priority)
