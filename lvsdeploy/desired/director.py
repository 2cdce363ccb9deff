"""What a director is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.keepalived import keepalived_conf
from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT, sysctl_path
from lvsdeploy.desired.roles import nat_in_use
from lvsdeploy.inventory.model import ForwardingMethod
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.sysctl import conf
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
    """A keepalived with its configuration, the IPVS `table` it makes, and in NAT the sysctls."""
    secret = cluster.vrrp.password is not None
    configuration = File(
        path=KEEPALIVED_CONF,
        content=keepalived_conf(cluster, director, templates),
        mode=0o600 if secret else 0o644,
        secret=secret,
    )
    files = [configuration]
    sysctls = _sysctls(cluster, director)
    if sysctls:
        files.append(
            File(
                path=sysctl_path(cluster.name),
                content=templates.render(
                    "sysctl/director.conf.j2",
                    cluster=cluster.name,
                    redirect_keys=[_in_file(key) for key in sysctls if key != _FORWARD],
                ),
            )
        )
    return HostState(
        programs=PROGRAMS,
        files={file.path: file for file in sorted(files, key=lambda file: file.path)},
        sysctls=sysctls,
        units={KEEPALIVED_UNIT: Unit(KEEPALIVED_UNIT, enabled=True, active=True)},
        virtual_services=table,
    )


_FORWARD = "net.ipv4.ip_forward"


def _sysctls(cluster: Cluster, director: Director) -> dict[str, int]:
    """What routing the two ways of NAT takes; nothing without NAT."""
    nat = nat_in_use(cluster)
    if nat is None:
        return {}
    vips = [s.vip for s in cluster.services if s.mode is ForwardingMethod.NAT]
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
