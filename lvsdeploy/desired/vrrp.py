"""VRRP and what is global in keepalived.conf: what its templates are given.

Each keyword was looked up in keepalived's parsers (`keepalived/vrrp/vrrp_parser.c`,
`keepalived/core/global_parser.c`) at v2.0.0 and v2.2.7.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.roles import held, inside_router_id, nat_in_use
from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.model import IPV4, IPV6, TrackedInterface, VrrpNotify
from lvsdeploy.inventory.needs import both_sync_daemons
from lvsdeploy.state.sync import SyncDaemon, SyncRole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.inventory.model import (
        Cluster,
        Director,
        IPAddress,
        IPInterface,
        TrackScript,
        Vip,
    )

_PASSWORD_LENGTH = 8
"""Longer ones are cut by keepalived, with a warning (vrrp_parser.c, vrrp_auth_pass_handler)."""
_WITHOUT_PASSWORD = 3
"""The VRRP version that has no passwords (RFC 5798, section 5.2)."""


@dataclass(frozen=True)
class MovingAddress:
    """An address that the MASTER holds, on `interface`."""

    address: IPInterface
    interface: str


@dataclass(frozen=True)
class Reactions:
    """What makes a director give up its addresses, and what it runs when its state changes."""

    interfaces: tuple[TrackedInterface, ...] = ()
    scripts: tuple[TrackScript, ...] = ()
    notify: VrrpNotify = field(default_factory=VrrpNotify)


@dataclass(frozen=True)
class Instance:
    """One vrrp_instance: one virtual router, in one address family.

    `advertised` is the address in its adverts, `others` move with it. One address is enough in the
    adverts, and more do harm: a director drops adverts whose addresses are not exactly its own
    (vrrp.c, vrrp_check_packet), so while directors are changed one after the other, a VIP that only one
    of them knows would make both MASTER.
    `peers` are the other directors' DIPs of the family; none for multicast, and then no `source`.
    `vmac` is the name of its own interface, "" for none; `vmac_elsewhere`: addresses on other interfaces
    than the director's get one each, too.
    """

    name: str
    state: str
    router_id: int
    priority: int
    advertised: MovingAddress
    others: tuple[MovingAddress, ...] = ()
    reactions: Reactions = Reactions()
    version: int | None = None  # None: keepalived's own choice, 2 for IPv4 and 3 for IPv6
    source: IPAddress | None = None
    peers: tuple[IPAddress, ...] = ()
    vmac: str = ""
    vmac_elsewhere: bool = False


@dataclass(frozen=True)
class Together:
    """Instances that have one MASTER: both families, and the inside of NAT with the outside.

    What is declared for all of them stands at their sync group, if there are several: of a single instance
    in one, keepalived ignores weights (vrrp.c, vrrp_complete_instance).
    """

    name: str
    instances: tuple[Instance, ...]
    inside: bool = False
    reactions: Reactions = Reactions()

    @property
    def synchronised(self) -> bool:
        return len(self.instances) > 1


def vip_groups(cluster: Cluster) -> dict[str, tuple[Vip, ...]]:
    """The VIPs of each VRRP group that has any, in the inventory's order; "" has no name."""
    names = ("", *(group.name for group in cluster.vrrp.groups))
    found = {name: tuple(vip for vip in cluster.vips if vip.group == name) for name in names}
    return {name: vips for name, vips in found.items() if vips}


def priorities(cluster: Cluster, group: str) -> dict[str, int]:
    """The directors' priorities in a group: its master has the highest, the others keep their order."""
    declared = cluster.vrrp.group(group)
    ordered = sorted(cluster.directors, key=lambda director: -director.priority)  # of equals, the first
    values = [director.priority for director in ordered]
    if declared is not None and declared.master is not None:
        ordered.sort(key=lambda director: director.name != declared.master)
    return {director.name: value for director, value in zip(ordered, values, strict=True)}


def groups_of(cluster: Cluster, director: Director) -> tuple[Together, ...]:
    """A director's instances. LvsdeployError for what VRRP cannot do; `validate` tells it better."""
    groups = []
    for name, vips in vip_groups(cluster).items():
        full = f"{cluster.name}-{name}" if name else cluster.name
        outside = [MovingAddress(held(v, director), v.interface or director.interface) for v in vips]
        declared = cluster.vrrp.group(name)
        router_id = declared.virtual_router_id if declared else cluster.vrrp.virtual_router_id
        parts = _by_family(f"{full}-outside", router_id, outside)
        inside = []
        nat = nat_in_use(cluster)
        if nat is not None and not name:
            gateways = [MovingAddress(gateway, nat.interface) for gateway in nat.gateways]
            inside = _by_family(f"{full}-inside", inside_router_id(cluster), gateways)
        instances = tuple(_instance(cluster, director, name, *part) for part in (*parts, *inside))
        groups.append(_together(cluster, director, full, instances, inside=bool(inside)))
    return tuple(groups)


def _together(
    cluster: Cluster, director: Director, name: str, instances: tuple[Instance, ...], *, inside: bool
) -> Together:
    """The instances, with what is declared for all of them.

    An interface that an instance has anyway is not named a second time: keepalived refuses to track an
    instance's own one, and one of an instance at its sync group, too (vrrp.c, vrrp_complete_instance and
    add_vrrp_to_interface). A sync group gives up with any of its instances, so nothing is lost.
    """
    vrrp = cluster.vrrp
    own = {tracked.interface for instance in instances for tracked in instance.reactions.interfaces}
    own.add(director.interface)
    further = tuple(tracked for tracked in vrrp.track_interfaces if tracked.interface not in own)
    declared = Reactions(further, vrrp.track_scripts, vrrp.notify)
    if len(instances) > 1:
        return Together(name, instances, inside, declared)
    (instance,) = instances
    reactions = replace(declared, interfaces=(*instance.reactions.interfaces, *further))
    return Together(name, (replace(instance, reactions=reactions),))


def _by_family(
    name: str, router_id: int, moving: Iterable[MovingAddress]
) -> list[tuple[str, int, list[MovingAddress]]]:
    """(name, router id, addresses) of each family.

    Both have the same id: it counts for each by itself (RFC 5798, section 5.2.3).
    """
    families = {version: [m for m in moving if m.address.version == version] for version in (IPV4, IPV6)}
    names = {IPV4: name, IPV6: f"{name}6"}
    return [(names[version], router_id, addresses) for version, addresses in families.items() if addresses]


def _instance(
    cluster: Cluster,
    director: Director,
    group: str,
    name: str,
    router_id: int,
    moving: list[MovingAddress],
) -> Instance:
    advertised, *rest = moving
    version = advertised.address.version
    order = priorities(cluster, group)
    interfaces = {m.interface for m in moving}
    elsewhere = sorted(interfaces - {director.interface})
    peers = _peers(cluster, director, version)
    return Instance(
        name=name,
        state=_first_state(cluster, director, order),
        router_id=router_id,
        priority=order[director.name],
        advertised=advertised,
        others=tuple(sorted(rest, key=lambda m: int(m.address.ip))),
        reactions=Reactions(tuple(map(TrackedInterface, elsewhere))),
        version=_version(cluster, version),
        source=director.dip_of(version) if peers else None,
        peers=peers,
        vmac=_vmac(router_id, version) if cluster.vrrp.vmac and director.interface in interfaces else "",
        vmac_elsewhere=cluster.vrrp.vmac and bool(elsewhere),
    )


def _first_state(cluster: Cluster, director: Director, order: dict[str, int]) -> str:
    """MASTER for the director that is to be it.

    nopreempt and preempt_delay want BACKUP on all (vrrp.c, vrrp_complete_instance).
    """
    if not cluster.vrrp.preempt or cluster.vrrp.preempt_delay:
        return "BACKUP"
    return "MASTER" if director.name == max(order, key=lambda name: order[name]) else "BACKUP"


def _peers(cluster: Cluster, director: Director, version: int) -> tuple[IPAddress, ...]:
    """The other directors' DIPs; empty for multicast.

    A director alone has no peers and sends by multicast, which nobody answers: a second director can
    be added without touching what a VIP hangs on.
    """
    if not cluster.vrrp.unicast or len(cluster.directors) == 1:
        return ()
    dips = {d.name: d.dip_of(version) for d in cluster.directors}
    for name, dip in dips.items():
        if dip is None:
            raise LvsdeployError(
                f"director {name} has no DIP of IPv{version}, whose VIPs VRRP is to move by unicast",
                hint="Give it one (`dip` or `dip6`), or set `vrrp: {unicast: false}`.",
            )
    return tuple(sorted((d for name, d in dips.items() if d is not None and name != director.name), key=str))


def _vmac(router_id: int, version: int) -> str:
    """As keepalived would call it by itself (vrrp.c, create_vmac_name)."""
    return f"vrrp{'6' if version == IPV6 else ''}.{router_id}"


def password_of(cluster: Cluster) -> str | None:
    """The VRRP password. LvsdeployError for one that VRRP has no room for."""
    if cluster.vrrp.password is None:
        return None
    password = cluster.vrrp.password.reveal()
    if len(password.encode()) > _PASSWORD_LENGTH:
        raise LvsdeployError(
            f"the VRRP password has more than {_PASSWORD_LENGTH} characters",
            hint="VRRP has no room for more, and keepalived would cut it.",
        )
    versions = {vip.ip.version for vip in cluster.vips}
    if IPV6 in versions or _WITHOUT_PASSWORD in {_version(cluster, version) for version in versions}:
        raise LvsdeployError(
            "VRRP version 3 has no passwords (RFC 5798)",
            hint="IPv6 and an `advert_interval` with a fraction need version 3. Leave the password out.",
        )
    return password


def _version(cluster: Cluster, family: int) -> int | None:
    """VRRP version to ask for: 2, the default of IPv4, has whole seconds only; IPv6 has 3 alone."""
    if family == IPV6:
        return None
    if float(cluster.vrrp.advert_interval).is_integer():
        return cluster.vrrp.version
    return 3


def sync_words(cluster: Cluster, groups: tuple[Together, ...]) -> tuple[str, ...]:
    """The words of `lvs_sync_daemon`; none without one.

    With an instance the daemon is the MASTER's or the BACKUP's, as that is. There is one of each on a host,
    and with several groups every director is MASTER of something: without an instance both run.
    """
    options = cluster.vrrp.sync_daemon
    if options is None:
        return ()
    instance = (groups[0].instances[0].name,) if len(groups) == 1 else ()
    further = {
        "maxlen": options.max_length,
        "port": options.port,
        "ttl": options.ttl,
        "group": options.group,
    }
    named = [word for name, value in further.items() if value for word in (name, str(value))]
    return (options.interface, *instance, "id", str(options.syncid), *named)


def sync_daemons(cluster: Cluster) -> frozenset[SyncDaemon]:
    """The sync daemons of a director: one that follows VRRP, or both."""
    options = cluster.vrrp.sync_daemon
    if options is None:
        return frozenset()
    daemon = SyncDaemon(
        options.interface,
        options.syncid,
        max_length=options.max_length,
        group=options.group,
        port=options.port,
        ttl=options.ttl,
    )
    if both_sync_daemons(cluster):
        return frozenset(replace(daemon, role=role) for role in SyncRole)
    first = min(cluster.vips, key=lambda vip: vip.ip.version)  # of the instance that `sync_words` names
    return frozenset({replace(daemon, follows=first.ip)})


def timeout_words(cluster: Cluster) -> tuple[str, ...]:
    """The words of `lvs_timeouts`; none without one."""
    given = cluster.ipvs.timeouts.given()
    return tuple(word for name, value in given.items() for word in (name.replace("_", ""), str(value)))
