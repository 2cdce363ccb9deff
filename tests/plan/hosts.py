"""Hosts as they are when all is as declared, to be changed by a test in one respect."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.desired import MANIFEST, desired_state, route_is_managed
from lvsdeploy.inventory.model import Director, Scheduler
from lvsdeploy.plan.change import Role
from lvsdeploy.plan.context import Context
from lvsdeploy.plan.host import plan_host
from lvsdeploy.plan.record import read_record
from lvsdeploy.state.facts import Facts, PackageManager, ServiceManager
from lvsdeploy.state.host import HostState
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.sysctl import conf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.change import Change, HostPlan

CONF = "/etc/keepalived/keepalived.conf"
SYSCTL_D = "/etc/sysctl.d/90-lvsdeploy-shop.conf"
SCRIPT = "/etc/lvsdeploy/shop/real-server"
UNIT = "/etc/systemd/system/lvsdeploy-shop.service"
RECORD = "/var/lib/lvsdeploy/shop/manifest.json"

FACTS = Facts(
    package_manager=PackageManager.APT,
    service_manager=ServiceManager.SYSTEMD,
    modules=frozenset({"ip_vs"}),
    available_modules=frozenset({"ip_vs", *(f"ip_vs_{scheduler}" for scheduler in Scheduler)}),
    links={"lo": True, "eth0": True, "eth1": True},
)


def on(interface: str, address: str) -> Address:
    return Address(interface, ip_interface(address))


def role_of(cluster: Cluster, host: str) -> Role:
    declared = next(h for h in cluster.hosts() if h.name == host)
    return Role.DIRECTOR if isinstance(declared, Director) else Role.REAL_SERVER


def fresh(cluster: Cluster, host: str) -> HostState:
    """A machine that nobody has touched: kernel defaults, its own address, a router."""
    declared = next(h for h in cluster.hosts() if h.name == host)
    own = declared.dip if isinstance(declared, Director) else declared.rip
    names = ("arp_ignore", "arp_announce", "rp_filter", "send_redirects")
    interfaces = ("all", "lo", "eth0", "eth1", "eth0.100")
    sysctls = {conf(i, name): int(name == "send_redirects") for i in interfaces for name in names}
    prefix = 24 if own.version == 4 else 64
    return HostState(
        programs=frozenset({"ip"}),
        sysctls={"net.ipv4.ip_forward": 0, **sysctls},
        addresses=frozenset({on("lo", "127.0.0.1/8"), on("lo", "::1/128"), on("eth0", f"{own}/{prefix}")}),
        routes=(Route(ip_interface("192.0.2.1").ip, "eth0"),),
        virtual_services={} if isinstance(declared, Director) else None,
    )


def converged(cluster: Cluster, host: str, facts: Facts = FACTS) -> Context:
    """A host on which everything is as declared, and recorded."""
    before = fresh(cluster, host)
    desired = desired_state(cluster, host, facts, before)
    actual = replace(
        before,
        programs=before.programs | desired.programs,
        files=dict(desired.files),
        sysctls={**before.sysctls, **desired.sysctls},
        addresses=before.addresses | desired.addresses,
        routes=desired.routes or before.routes,
        units=dict(desired.units),
        virtual_services=desired.virtual_services,
    )
    return Context(
        host=host,
        desired=desired,
        actual=actual,
        facts=facts,
        record=read_record(actual.files.get(MANIFEST(cluster.name))),
        route_is_managed=route_is_managed(cluster),
    )


def untouched(cluster: Cluster, host: str, facts: Facts = FACTS) -> Context:
    """A host before its first apply."""
    actual = fresh(cluster, host)
    return Context(
        host=host,
        desired=desired_state(cluster, host, facts, actual),
        actual=actual,
        facts=facts,
        route_is_managed=route_is_managed(cluster),
    )


def declared_anew(before: Context, cluster: Cluster) -> Context:
    """The same host after the inventory has changed to `cluster`."""
    desired = desired_state(cluster, before.host, before.facts, before.actual)
    return replace(before, desired=desired, route_is_managed=route_is_managed(cluster))


def changed(context: Context, **parts: Any) -> Context:
    """The same host with parts of its actual state replaced."""
    return replace(context, actual=replace(context.actual, **parts))


def with_file(context: Context, path: str, **parts: Any) -> Context:
    return changed(
        context, files={**context.actual.files, path: replace(context.actual.files[path], **parts)}
    )


def without(things: Mapping[Any, Any], *keys: Any) -> dict[Any, Any]:
    assert set(keys) <= things.keys()
    return {key: value for key, value in things.items() if key not in keys}


def plan(context: Context, role: Role | None = None) -> HostPlan:
    director = context.desired.virtual_services is not None
    return plan_host(context, role or (Role.DIRECTOR if director else Role.REAL_SERVER))


def told(context: Context) -> list[str]:
    """The changes, each in one line."""
    return [line(change) for change in plan(context).changes]


def line(change: Change) -> str:
    detail = f": {change.detail}" if change.detail else ""
    return f"{change.action} {change.kind} {change.name} [{change.reason}]{detail}"


def codes(context: Context) -> list[str]:
    return [finding.code for finding in plan(context).findings]


def steps(context: Context) -> list[str]:
    """The words of the steps, in their order."""
    return [" ".join(step.words) for step in plan(context).steps()]
