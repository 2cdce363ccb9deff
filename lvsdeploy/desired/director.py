"""What a director is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.firewall import masquerades
from lvsdeploy.desired.keepalived import keepalived_conf
from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT, modules_path, sysctl_path
from lvsdeploy.desired.roles import nat_in_use
from lvsdeploy.inventory.model import ForwardingMethod
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.sysctl import conf, ipvs
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import Cluster, Director
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService

PROGRAMS = frozenset({"ip", "ipvsadm", "keepalived"})


def director_modules(cluster: Cluster) -> tuple[str, ...]:
    """The kernel modules that the cluster's virtual services need, sorted."""
    schedulers = {service.scheduler for service in cluster.services}
    return ("ip_vs", *sorted(f"ip_vs_{scheduler}" for scheduler in schedulers))


def director_state(
    cluster: Cluster, director: Director, templates: Templates, table: Mapping[ServiceKey, VirtualService]
) -> HostState:
    """A keepalived with its configuration, the IPVS `table` it makes, and the sysctls of both."""
    secret = cluster.vrrp.password is not None
    configuration = File(
        path=KEEPALIVED_CONF,
        content=keepalived_conf(cluster, director, templates),
        mode=0o600 if secret else 0o644,
        secret=secret,
    )
    routing, balancing = _routing(cluster, director), _balancing(cluster)
    sysctls = {**routing, **balancing}
    files = [
        configuration,
        File(modules_path(cluster.name), templates.render("modules/director.conf.j2", cluster=cluster.name)),
        File(
            path=sysctl_path(cluster.name),
            content=templates.render(
                "sysctl/director.conf.j2",
                cluster=cluster.name,
                redirect_keys=[_in_file(key) for key in routing if key != _FORWARD],
                nat=bool(routing),
                reuse_mode=balancing.get(_REUSE_MODE),
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


_FORWARD = "net.ipv4.ip_forward"
_NO_DESTINATION = ipvs("expire_nodest_conn")
_REUSE_MODE = ipvs("conn_reuse_mode")
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
    return sysctls


def _routing(cluster: Cluster, director: Director) -> dict[str, int]:
    """What routing the two ways of NAT takes; nothing without NAT."""
    nat = nat_in_use(cluster)
    if nat is None:
        return {}
    vips = [vip for s in cluster.services if s.mode is ForwardingMethod.NAT for vip in s.vips]
    interfaces = {director.interface, nat.interface, *(v.interface for v in vips if v.interface)}
    redirects = [conf(name, "send_redirects") for name in ("all", *sorted(interfaces))]
    return {_FORWARD: 1, **dict.fromkeys(redirects, 0)}


def _in_file(key: str) -> str:
    """A key as sysctl.d(5) takes it: with slashes when an interface's name has dots of its own."""
    prefix, _, rest = key.partition("net.ipv4.conf.")
    interface, _, name = rest.rpartition(".")
    if prefix or "." not in interface:
        return key
    return f"net/ipv4/conf/{interface}/{name}"
