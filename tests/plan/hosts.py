"""Hosts as they are when all is as declared, to be changed by a test in one respect."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lvsdeploy.desired import desired_goal
from lvsdeploy.inventory.model import Director, Scheduler
from lvsdeploy.observe import network
from lvsdeploy.plan.bookkeeping import next_record
from lvsdeploy.plan.change import Kind, Role
from lvsdeploy.plan.context import Context
from lvsdeploy.plan.host import plan_host
from lvsdeploy.record import Entry, Goal, Stamp, cluster_of, manifest_of, manifest_path, read_record
from lvsdeploy.state.facts import Facts, PackageManager, ServiceManager
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import TIMEOUTS
from lvsdeploy.state.network import Address
from lvsdeploy.state.sysctl import conf
from lvsdeploy.state.tunnel import GUE_MODULE, LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.change import Change, HostPlan, Step
    from lvsdeploy.record import Drained
    from lvsdeploy.state.network import Route
    from lvsdeploy.state.sync import SyncDaemon

CONF = "/etc/keepalived/keepalived.conf"
SYSCTL_D = "/etc/sysctl.d/90-lvsdeploy-shop.conf"
MODULES = "/etc/modules-load.d/lvsdeploy-shop.conf"
SCRIPT = "/etc/lvsdeploy/shop/real-server"
UNIT = "/etc/systemd/system/lvsdeploy-shop.service"
RECORD = "/var/lib/lvsdeploy/shop/manifest.json"

FACTS = Facts(
    os_id="debian",
    os_version="12",
    package_manager=PackageManager.APT,
    service_manager=ServiceManager.SYSTEMD,
    modules=frozenset({"ip_vs"}),
    available_modules=frozenset(
        {
            "ip_vs",
            "ip_vs_pe_sip",
            "macvlan",
            GUE_MODULE,
            *(f"ip_vs_{scheduler}" for scheduler in Scheduler),
            *(kind.module for kind in LinkKind),
        }
    ),
    links=dict.fromkeys(("lo", "eth0", "eth1", "eth3", "eth4", "eth0.100"), True),
)
FOLDERS = (
    *("/etc", "/etc/init.d", "/etc/modules-load.d", "/etc/sysctl.d", "/etc/systemd", "/etc/systemd/system"),
    *("/var", "/var/lib"),
)
STAMP = Stamp("20261123T150634Z-1a2b", "2026-11-23T15:06:34Z", "ann@desk", inventory="ab" * 32)
FIRST = Stamp("20261101T080000Z-0001", "2026-11-01T08:00:00Z", "ann@desk")
"""The apply that made a converged host what it is."""


def on(interface: str, address: str) -> Address:
    return Address(interface, ip_interface(address))


def routes(*lines: str) -> tuple[Route, ...]:
    """Default routes as the probe reads them."""
    return network.parse(lines).routes


def folders(*paths: str) -> dict[str, File]:
    return {path: File(path, b"", 0o755, kind=FileKind.DIRECTORY) for path in paths}


def parents(*paths: str) -> set[str]:
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"/"}


def role_of(cluster: Cluster, host: str) -> Role:
    declared = next(h for h in cluster.hosts() if h.name == host)
    return Role.DIRECTOR if isinstance(declared, Director) else Role.REAL_SERVER


def fresh(cluster: Cluster, host: str) -> HostState:
    """A machine that nobody has touched: kernel defaults, its own address, a router."""
    declared = next(h for h in cluster.hosts() if h.name == host)
    own = declared.dips if isinstance(declared, Director) else declared.rips
    names = ("arp_ignore", "arp_announce", "rp_filter", "send_redirects")
    interfaces = ("all", "lo", "eth0", "eth1", "eth0.100")
    sysctls = {conf(i, name): int(name == "send_redirects") for i in interfaces for name in names}
    sixth = {"forwarding": 0, "accept_ra": 1, "disable_ipv6": 0}
    sysctls |= {conf(i, name, 6): value for i in interfaces for name, value in sixth.items()}
    addresses = [f"{ip}/{24 if ip.version == 4 else 64}" for ip in own]
    return HostState(
        programs=frozenset({"ip"}),
        files=folders(*FOLDERS),
        sysctls={"net.ipv4.ip_forward": 0, **sysctls},
        addresses=frozenset(
            {on("lo", "127.0.0.1/8"), on("lo", "::1/128"), *(on("eth0", text) for text in addresses)}
        ),
        routes=routes("default via 192.0.2.1 dev eth0 proto static"),
        virtual_services={} if isinstance(declared, Director) else None,
        sync_daemons=frozenset() if isinstance(declared, Director) else None,
    )


def seen(
    cluster: Cluster,
    host: str,
    actual: HostState,
    facts: Facts = FACTS,
    *,
    drained: Iterable[Drained] = (),
    **options: Any,
) -> Context:
    """A host as it was found, and as it is declared."""
    return Context(
        host=host,
        cluster=cluster.name,
        goal=desired_goal(cluster, host, facts, actual, drained=drained),
        actual=actual,
        facts=facts,
        record=read_record(actual.files.get(manifest_path(cluster.name))),
        others=others(actual, cluster.name),
        **{"stamp": STAMP, **options},
    )


def others(actual: HostState, cluster: str) -> tuple[Any, ...]:
    """The records of other clusters on this host."""
    found = (
        read_record(file) for path, file in actual.files.items() if cluster_of(path) not in ("", cluster)
    )
    return tuple(record for record in found if record.known)


def untouched(cluster: Cluster, host: str, facts: Facts = FACTS) -> Context:
    """A host before its first apply."""
    return seen(cluster, host, fresh(cluster, host), facts)


def converged(
    cluster: Cluster, host: str, facts: Facts = FACTS, *, drained: Iterable[Drained] = ()
) -> Context:
    """A host on which everything is as declared, and recorded."""
    before = seen(cluster, host, fresh(cluster, host), facts, drained=drained)
    record, desired, actual = next_record(before, plan(before).changes), before.desired, before.actual
    files = {**actual.files, **desired.files}
    if not record.empty:
        record = replace(record, history=(Entry(FIRST, ("create file x [not there yet]",)),))
        secret = any(file.secret for file in desired.files.values())
        files |= {record.path: manifest_of(record, secret=secret), **folders(*record.folders)}
    state = replace(
        actual,
        programs=actual.programs | desired.programs,
        files=files,
        sysctls={**actual.sysctls, **desired.sysctls},
        addresses=actual.addresses | desired.addresses,
        routes=routes(*(_default(route) for route in desired.routes)) or actual.routes,
        units=dict(desired.units),
        virtual_services=desired.virtual_services,
        timeouts={**TIMEOUTS, **desired.timeouts} if desired.timeouts else {},
        sync_daemons=running(desired, actual),
        tunnels=desired.tunnels,
        gue_ports=desired.gue_ports,
        netfilter=desired.netfilter,
    )
    return seen(cluster, host, state, facts, drained=drained)


def running(desired: HostState, actual: HostState) -> frozenset[SyncDaemon] | None:
    """The sync daemons of a host with these addresses."""
    if desired.sync_daemons is None:
        return None
    return frozenset(daemon.on_host_with(actual.answers_for) for daemon in desired.sync_daemons)


def _default(route: Route) -> str:
    """The line of a default route that was set as declared."""
    return f"default via {route.via} dev eth0" + (" metric 1 pref medium" if route.version == 6 else "")


def declared_anew(before: Context, cluster: Cluster, *, drained: Iterable[Drained] = ()) -> Context:
    """The same host after the inventory has changed to `cluster`."""
    goal = desired_goal(cluster, before.host, before.facts, before.actual, drained=drained)
    return replace(before, goal=goal)


def given_up(before: Context) -> Context:
    """The same host when nothing of lvsdeploy is to stay on it."""
    return replace(before, goal=Goal(), forgets=True)


def declared(context: Context, **parts: Any) -> Context:
    """The same host with parts of its desired state replaced."""
    return replace(context, goal=replace(context.goal, state=replace(context.desired, **parts)))


def changed(context: Context, **parts: Any) -> Context:
    """The same host with parts of its actual state replaced."""
    return replace(context, actual=replace(context.actual, **parts))


def remembering(context: Context, **parts: Any) -> Context:
    """The same host with parts of its record replaced."""
    return replace(context, record=replace(context.record, **parts))


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


def acting(context: Context) -> tuple[Step, ...]:
    """The steps that make the changes, in their order; those that write them down left out."""
    whole = plan(context)
    changes = tuple(change for change in whole.changes if change.kind is not Kind.RECORD)
    return replace(whole, changes=changes, bookkeeping=()).steps()


def steps(context: Context) -> list[str]:
    """The words of the steps that make the changes, in their order."""
    return [" ".join(step.words) for step in acting(context)]


def writing(context: Context) -> list[str]:
    """The words of the steps that write down what was done, in their order."""
    others = acting(context)
    return [" ".join(step.words) for step in plan(context).steps() if step not in others]
