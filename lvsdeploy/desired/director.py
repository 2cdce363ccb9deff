"""What a director is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.keepalived import keepalived_conf
from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT, modules_path, sysctl_path
from lvsdeploy.desired.roles import held, nat_in_use
from lvsdeploy.desired.routing import FORWARD, FORWARD_SIXTH, routing_sysctls
from lvsdeploy.desired.templates import words
from lvsdeploy.desired.vrrp import sync_daemons
from lvsdeploy.inventory.model import IPV4, IPV6, Engine, ForwardingMethod
from lvsdeploy.inventory.needs import needed_sysctls
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.network import Address
from lvsdeploy.state.sysctl import conf, in_file, ipvs, split
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import Cluster, Director
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService
    from lvsdeploy.state.sysctl import Value

PROGRAMS = frozenset({"ip", "ipvsadm", "keepalived"})
"""What a director may need, whatever its engine."""


def director_modules(cluster: Cluster) -> tuple[str, ...]:
    """The kernel modules that the cluster's virtual services and VRRP need: ip_vs, the others sorted."""
    schedulers = {f"ip_vs_{service.scheduler}" for service in cluster.services}
    engines = {f"ip_vs_pe_{s.persistence_engine}" for s in cluster.services if s.persistence_engine}
    macvlan = {"macvlan"} if cluster.vrrp.vmac else set()  # what keepalived makes such interfaces of
    return ("ip_vs", *sorted(schedulers | engines | macvlan))


def director_state(
    cluster: Cluster,
    director: Director,
    templates: Templates,
    table: Mapping[ServiceKey, VirtualService],
    actual: HostState | None = None,
) -> HostState:
    """The IPVS `table`, what makes it, and the sysctls of both.

    That is a keepalived with its configuration. With the engine ipvsadm the table is ours to make, and
    the VIPs are where VRRP would put them. `actual` tells which interfaces have their IPv6 routes from
    advertisements.
    """
    by_hand = cluster.engine is Engine.IPVSADM
    routing, balancing = routing_sysctls(cluster, director, actual), _balancing(cluster)
    # keepalived sets arp_ignore on VMAC interfaces of IPv4 alone (vrrp_vmac.c, netlink_link_add_vmac).
    families = {vip.ip.version for vip in cluster.vips}
    one_answer = {conf("all", "arp_ignore"): 1} if cluster.vrrp.vmac and families == {IPV4, IPV6} else {}
    sysctls: dict[str, Value] = {**routing, **balancing, **one_answer}
    files = [
        File(modules_path(cluster.name), templates.render("modules/director.conf.j2", cluster=cluster.name)),
        File(
            path=sysctl_path(cluster.name),
            content=templates.render(
                "sysctl/director.conf.j2",
                cluster=cluster.name,
                redirect_keys=_named(routing, "send_redirects"),
                advertised_keys=_named(routing, "accept_ra"),
                forwards=FORWARD in routing,
                one_answer=bool(one_answer),
                forwards_sixth=FORWARD_SIXTH in routing,
                **_explained(cluster, balancing),
            ),
        ),
        *([] if by_hand else [_keepalived(cluster, director, templates)]),
    ]
    keepalived = Unit(KEEPALIVED_UNIT, enabled=True, active=True)
    return HostState(
        programs=PROGRAMS - {"keepalived"} if by_hand else PROGRAMS,
        files={file.path: file for file in sorted(files, key=lambda file: file.path)},
        sysctls=sysctls,
        addresses=frozenset(_own_vips(cluster, director) if by_hand else ()),
        units={} if by_hand else {KEEPALIVED_UNIT: keepalived},
        virtual_services=table,
        timeouts=cluster.ipvs.timeouts.given(),
        sync_daemons=sync_daemons(cluster),
        interfaces=_interfaces(cluster, director),
    )


def _interfaces(cluster: Cluster, director: Director) -> frozenset[str]:
    """Every interface that the inventory names for a director."""
    nat, daemon = nat_in_use(cluster), cluster.vrrp.sync_daemon
    return frozenset(
        {
            director.interface,
            *(vip.interface for vip in cluster.vips if vip.interface),
            *(tracked.interface for tracked in cluster.vrrp.track_interfaces),
            *((nat.interface,) if nat else ()),
            *((daemon.interface,) if daemon else ()),
        }
    )


def _keepalived(cluster: Cluster, director: Director, templates: Templates) -> File:
    secret = cluster.vrrp.password is not None
    content = keepalived_conf(cluster, director, templates)
    return File(KEEPALIVED_CONF, content, mode=0o600 if secret else 0o644, secret=secret)


def _own_vips(cluster: Cluster, director: Director) -> tuple[Address, ...]:
    """The addresses that this director holds all the time: no VRRP moves them. The inside gateway is one."""
    vips = [Address(vip.interface or director.interface, held(vip, director)) for vip in cluster.vips]
    nat = nat_in_use(cluster)
    if nat is not None:
        vips += [Address(nat.interface, gateway) for gateway in nat.gateways]
    return tuple(dict.fromkeys(vips))


_NO_DESTINATION = ipvs("expire_nodest_conn")
_REUSE_MODE = ipvs("conn_reuse_mode")
_BACKUP_ONLY = ipvs("backup_only")
_RESCHEDULE_CLOSING = 3


def _balancing(cluster: Cluster) -> dict[str, Value]:
    """What it takes that a real server can be removed, or its weight changed, without a lost request.

    https://docs.kernel.org/networking/ipvs-sysctl.html (expire_nodest_conn, conn_reuse_mode)
    """
    # The director remembers a closed connection for two minutes. To a new one from the same client's port
    # it would hold: the packet would go to a real server that is no more, and be dropped.
    sysctls: dict[str, Value] = {_NO_DESTINATION: 1}
    # In DR and TUN it sees no FIN of a real server: such connections are in FIN_WAIT, which mode 3 alone
    # schedules anew; otherwise clients that use few ports do not see a changed weight.
    if cluster.uses(ForwardingMethod.DR) or cluster.uses(ForwardingMethod.TUN):
        sysctls[_REUSE_MODE] = _RESCHEDULE_CLOSING
    sysctls |= {ipvs(need.name): need.value for need in needed_sysctls(cluster)}
    return sysctls | {ipvs(name): value for name, value in cluster.ipvs.sysctls}


def _explained(cluster: Cluster, balancing: Mapping[str, Value]) -> dict[str, object]:
    """What the file says about IPVS: what each of ours is for, and then what is declared."""
    declared = {ipvs(name) for name, _ in cluster.ipvs.sysctls}
    needed = {need.name for need in needed_sysctls(cluster)}
    ours = {key: value for key, value in balancing.items() if key not in declared}
    return {
        "no_destination": ours.get(_NO_DESTINATION),
        "reuse_mode": ours.get(_REUSE_MODE),
        "conntrack": "conntrack" in needed,
        "backup_only": "backup_only" in needed,
        "declared": [
            (key, words(str(value).split()))
            for key, value in balancing.items()
            if key in declared and key not in {ipvs(name) for name in needed}
        ],
    }


def _named(sysctls: Iterable[str], name: str) -> list[str]:
    """The keys of one name, of any interface, as they stand in a file."""
    return [in_file(key) for key in sysctls if (split(key) or ("", ""))[1] == name]
