"""LVS2xx: VRRP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import IPV4, IPV6, ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Vip

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


@rule(
    "LVS215",
    Severity.ERROR,
    "VRRP is to move VIPs of an address family in which a director has no DIP.",
    why="Adverts travel in the family of the VIPs, and with `unicast: true` from DIP to DIP: without one the "
    "directors would not hear each other, and each would hold the VIPs.",
    fix="Give each director a DIP of the family (`dip6` beside an IPv4 address), or set `unicast: false`.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0}
          lvs2: {address: 192.0.2.3, interface: eth0}
        services:
          http: {vip: "2001:db8::50", port: 80, real_servers: [web6]}
    """,
    links=("https://www.rfc-editor.org/rfc/rfc5798",),
    needs=("directors", "vrrp"),
)
def dips_of_each_family(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    if not cluster.vrrp.unicast or len(cluster.directors) == 1:
        return
    what = [(_place(vip), f"the VIP {vip.ip}", vip.ip.version) for vip in cluster.vips]
    if cluster.nat and cluster.uses(ForwardingMethod.NAT):
        keys = {IPV4: "gateway", IPV6: "gateway6" if cluster.nat.gateway6 else "gateway"}
        what += [
            (("nat", keys[gateway.version]), f"the gateway {gateway.ip}", gateway.version)
            for gateway in cluster.nat.gateways
        ]
    told: set[int] = set()
    for path, name, version in what:
        lacking = [director.name for director in cluster.directors if director.dip_of(version) is None]
        if lacking and version not in told:
            told.add(version)
            yield Hit(path, f"{name} is IPv{version}, and {', '.join(lacking)} has no DIP of IPv{version}")


@rule(
    "LVS216",
    Severity.ERROR,
    "A VRRP password where VRRP version 3 is needed, which has none.",
    why="RFC 5798 took authentication out. IPv6, an `advert_interval` with a fraction and `version: 3` mean "
    "version 3; keepalived ignores the password there and says so in its log alone.",
    fix="Leave the password out, or what needs version 3. A firewall that lets VRRP (IP protocol 112) in "
    "from the other directors alone does what a password was for.",
    example="vrrp: {advert_interval: 0.5, password: {env: VRRP_PASSWORD}}",
    links=("https://www.rfc-editor.org/rfc/rfc5798#section-9",),
)
def password_in_version_3(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    vrrp = cluster.vrrp
    if vrrp.password is None:
        return
    whys = []
    if (sixth := next((vip for vip in cluster.vips if vip.ip.version == IPV6), None)) is not None:
        whys.append(f"the VIP {sixth.ip} is IPv6")
    if not vrrp.advert_interval.is_integer():
        whys.append(f"advert_interval is {vrrp.advert_interval:g}")
    if vrrp.version == 3:  # noqa: PLR2004 — the VRRP version
        whys.append("version is 3")
    if whys:
        yield Hit(("vrrp", "password"), f"VRRP version 3 has no passwords, and {' and '.join(whys)}")


@rule(
    "LVS217",
    Severity.ERROR,
    "A VIP of a NAT service is in a VRRP group of its own.",
    why="There is one inside gateway, and it moves with the VIPs without a group. Were another director "
    "MASTER of this VIP, replies would reach a director that knows nothing of their connections.",
    fix="Leave `group` out for VIPs of services with mode nat.",
    example="""
        vrrp:
          groups:
            blue: {virtual_router_id: 53, master: lvs2}
        vips:
          api: {address: 192.0.2.51, group: blue}
        services:
          api: {vip: api, port: 80, mode: nat, real_servers: [db1]}
    """,
)
def nat_moves_with_its_gateway(context: Context) -> Iterator[Hit]:
    told: set[Vip] = set()
    for part in context.cluster.parts:
        if part.mode is not ForwardingMethod.NAT:
            continue
        for vip in part.pool.vips:
            if vip.group and vip not in told:
                told.add(vip)
                name = part.service.name
                summary = f"'{name}' has mode nat, and its VIP {vip.ip} is in the group '{vip.group}'"
                yield Hit((*vip.path, "group"), summary)


@rule(
    "LVS218",
    Severity.ERROR,
    "Two VRRP groups of a cluster have the same virtual router id.",
    why="VRRP tells groups apart by this number alone; a NAT cluster takes the one after `virtual_router_id` "
    "for its inside gateway, too.",
    fix="Give each group an id of its own.",
    example="""
        vrrp:
          virtual_router_id: 51
          groups:
            blue: {virtual_router_id: 51, master: lvs2}
    """,
    links=("https://www.rfc-editor.org/rfc/rfc5798#section-5.2.3",),
)
def router_ids_differ(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    own = cluster.vrrp.virtual_router_id
    taken = {own: "the VIPs without a group have"}
    if cluster.nat and len(cluster.directors) > 1:
        taken[own + 1] = "the inside gateway has"
    for group in cluster.vrrp.groups:
        number = group.virtual_router_id
        this = f"the group '{group.name}' has"
        other = taken.setdefault(number, this)
        if other != this:
            path = (*group.path, "virtual_router_id")
            yield Hit(path, f"{this} virtual router id {number}, and {other} it, too")


@rule(
    "LVS219",
    Severity.ERROR,
    "preempt_delay with preempt: false.",
    why="Without preemption no director ever takes VIPs back, so there is nothing to delay; keepalived drops "
    "the delay with a warning.",
    fix="Leave one of the two out.",
    example="vrrp: {preempt: false, preempt_delay: 60}",
)
def delay_of_preemption(context: Context) -> Iterator[Hit]:
    vrrp = context.cluster.vrrp
    if vrrp.preempt_delay and not vrrp.preempt:
        yield Hit(("vrrp", "preempt_delay"), f"preempt_delay is {vrrp.preempt_delay:g}, and preempt is false")


@rule(
    "LVS220",
    Severity.ERROR,
    "version 2 with an advert_interval that it cannot express.",
    why="VRRP version 2 counts whole seconds.",
    fix="Leave `version` out, or take whole seconds.",
    example="vrrp: {version: 2, advert_interval: 0.5}",
    links=("https://www.rfc-editor.org/rfc/rfc3768#section-5.3.7",),
)
def fractions_in_version_2(context: Context) -> Iterator[Hit]:
    vrrp = context.cluster.vrrp
    if vrrp.version == 2 and not vrrp.advert_interval.is_integer():  # noqa: PLR2004 — the VRRP version
        yield Hit(("vrrp", "version"), f"version 2 cannot have advert_interval {vrrp.advert_interval:g}")


@rule(
    "LVS221",
    Severity.NOTE,
    "A VRRP group has no VIP.",
    why="Only groups that move a VIP of some service are put on the directors.",
    fix="Name the group at a VIP (`vips: {NAME: {group: ...}}`), or remove it.",
    example="""
        vrrp:
          groups:
            blue: {virtual_router_id: 53}
    """,
    needs=("services", "vips", "vrrp"),
)
def groups_are_used(context: Context) -> Iterator[Hit]:
    used = {vip.group for vip in context.cluster.vips}
    for group in context.cluster.vrrp.groups:
        if group.name not in used:
            yield Hit(group.path, f"no VIP of a service is in the group '{group.name}'", key=True)


def _place(vip: Vip) -> tuple[str, ...]:
    return (*vip.path, "address") if vip.name else vip.path
