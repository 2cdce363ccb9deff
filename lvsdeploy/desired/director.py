"""What a director is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.firewall import masquerades
from lvsdeploy.desired.keepalived import keepalived_conf
from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT, modules_path, sysctl_path
from lvsdeploy.desired.roles import is_localnode
from lvsdeploy.desired.routing import FORWARD, FORWARD_SIXTH, routing_sysctls
from lvsdeploy.inventory.model import ForwardingMethod
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.sysctl import in_file, ipvs, split
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import Cluster, Director
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService

PROGRAMS = frozenset({"ip", "ipvsadm", "keepalived"})


def director_modules(cluster: Cluster) -> tuple[str, ...]:
    """The kernel modules that the cluster's virtual services need, sorted."""
    schedulers = {f"ip_vs_{service.scheduler}" for service in cluster.services}
    engines = {f"ip_vs_pe_{s.persistence_engine}" for s in cluster.services if s.persistence_engine}
    return ("ip_vs", *sorted(schedulers | engines))


def director_state(
    cluster: Cluster,
    director: Director,
    templates: Templates,
    table: Mapping[ServiceKey, VirtualService],
    actual: HostState | None = None,
) -> HostState:
    """A keepalived with its configuration, the IPVS `table` it makes, and the sysctls of both.

    `actual` tells which interfaces have their IPv6 routes from advertisements.
    """
    secret = cluster.vrrp.password is not None
    configuration = File(
        path=KEEPALIVED_CONF,
        content=keepalived_conf(cluster, director, templates),
        mode=0o600 if secret else 0o644,
        secret=secret,
    )
    routing, balancing = routing_sysctls(cluster, director, actual), _balancing(cluster)
    sysctls = {**routing, **balancing}
    files = [
        configuration,
        File(modules_path(cluster.name), templates.render("modules/director.conf.j2", cluster=cluster.name)),
        File(
            path=sysctl_path(cluster.name),
            content=templates.render(
                "sysctl/director.conf.j2",
                cluster=cluster.name,
                redirect_keys=_named(routing, "send_redirects"),
                advertised_keys=_named(routing, "accept_ra"),
                forwards=FORWARD in routing,
                forwards_sixth=FORWARD_SIXTH in routing,
                reuse_mode=balancing.get(_REUSE_MODE),
                backup_only=_BACKUP_ONLY in balancing,
                conntrack=_CONNTRACK in balancing,
            ),
        ),
    ]
    return HostState(
        programs=PROGRAMS,
        files={file.path: file for file in sorted(files, key=lambda file: file.path)},
        sysctls=sysctls,
        units={KEEPALIVED_UNIT: Unit(KEEPALIVED_UNIT, enabled=True, active=True)},
        virtual_services=table,
    )


_NO_DESTINATION = ipvs("expire_nodest_conn")
_REUSE_MODE = ipvs("conn_reuse_mode")
_BACKUP_ONLY = ipvs("backup_only")
_RESCHEDULE_CLOSING = 3
_CONNTRACK = ipvs("conntrack")


def _balancing(cluster: Cluster) -> dict[str, int]:
    """What it takes that a real server can be removed, or its weight changed, without a lost request.

    https://docs.kernel.org/networking/ipvs-sysctl.html (expire_nodest_conn, conn_reuse_mode)
    """
    # The director remembers a closed connection for two minutes. To a new one from the same client's port
    # it would hold: the packet would go to a real server that is no more, and be dropped.
    sysctls = {_NO_DESTINATION: 1}
    # In DR it sees no FIN of a real server, so such connections are in FIN_WAIT, and only mode 3 schedules
    # them anew; otherwise clients that use few ports do not see a changed weight.
    if any(service.mode is ForwardingMethod.DR for service in cluster.services):
        sysctls[_REUSE_MODE] = _RESCHEDULE_CLOSING
    if masquerades(cluster):
        sysctls[_CONNTRACK] = 1
    if is_localnode(cluster):
        sysctls[_BACKUP_ONLY] = 1
    return sysctls


def _named(sysctls: Iterable[str], name: str) -> list[str]:
    """The keys of one name, of any interface, as they stand in a file."""
    return [in_file(key) for key in sysctls if (split(key) or ("", ""))[1] == name]
