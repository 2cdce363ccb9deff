"""From a cluster as declared to what each host should be. Pure and deterministic.

`desired_state` gives one host's, `render_all` every host's as far as it can be told without asking them.
The same cluster gives the same bytes, on any day and by any version that does not change a template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.director import director_state
from lvsdeploy.desired.manifest import with_manifest
from lvsdeploy.desired.paths import (
    KEEPALIVED_CONF,
    KEEPALIVED_UNIT,
    manifest_path,
    script_path,
    sysctl_path,
    unit_name,
    unit_path,
)
from lvsdeploy.desired.real_server import real_server_state
from lvsdeploy.desired.roles import (
    find_host,
    inside_router_id,
    managed_hosts,
    refuse_unbuilt,
    route_is_managed,
)
from lvsdeploy.desired.templates import Templates
from lvsdeploy.inventory.model import Director
from lvsdeploy.state.facts import Facts, ServiceManager

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.host import HostState

MANIFEST = manifest_path

__all__ = [
    "MANIFEST",
    "desired_state",
    "inside_router_id",
    "managed_hosts",
    "probe_paths",
    "render_all",
    "route_is_managed",
    "unit_names",
]


def desired_state(
    cluster: Cluster,
    host: str,
    facts: Facts,
    actual: HostState | None = None,
    *,
    templates_dir: Path | None = None,
) -> HostState:
    """What `host`, a director or a managed real server, should be.

    `actual` is what it is now (None: nobody asked it), used only to find the interfaces that carry the
    RIP where the inventory names none. `templates_dir` is a folder of templates that replace ours.
    LvsdeployError: no such host, one that is not managed, or a template or value that cannot be used.
    """
    return _state(cluster, host, facts.service_manager, actual, Templates(templates_dir))


def render_all(
    cluster: Cluster, *, templates_dir: Path | None = None
) -> Mapping[str, HostState]:
    """Every managed host's desired state, real servers first, as if all of them ran systemd."""
    templates = Templates(templates_dir)
    return {
        host.name: _state(cluster, host.name, ServiceManager.SYSTEMD, None, templates)
        for host in managed_hosts(cluster)
    }


def probe_paths(
    cluster: Cluster, host: str, *, templates_dir: Path | None = None
) -> Mapping[str, Mapping[str, bytes]]:
    """Every path to ask a host about, sorted: what any service manager's variant puts there, and what an
    earlier inventory may have put there.

    Each with the contents to be expected there, by SHA-256 in hex, so that a host need send only others.
    A manifest that depends on what the host is (its interfaces) is not among them.
    """
    found = find_host(cluster, host)
    name = cluster.name
    paths: dict[str, dict[str, bytes]] = {
        path: {}
        for path in (
            manifest_path(name),
            sysctl_path(name),
            script_path(name),
            *(unit_path(name, manager) for manager in ServiceManager),
        )
    }
    if isinstance(found, Director):
        paths[KEEPALIVED_CONF] = {}
    templates = Templates(templates_dir)
    for manager in ServiceManager:
        for path, file in _state(cluster, host, manager, None, templates).files.items():
            paths[path][file.digest] = file.content
    return dict(sorted(paths.items()))


def unit_names(cluster: Cluster, host: str) -> tuple[str, ...]:
    """Every unit to ask a host about, sorted: those it should have, and those it may have had."""
    found = find_host(cluster, host)
    names = {unit_name(cluster.name)}
    if isinstance(found, Director):
        names.add(KEEPALIVED_UNIT)
    return tuple(sorted(names))


def _state(
    cluster: Cluster,
    name: str,
    manager: ServiceManager,
    actual: HostState | None,
    templates: Templates,
) -> HostState:
    refuse_unbuilt(cluster)
    host = find_host(cluster, name)
    if isinstance(host, Director):
        state = director_state(cluster, host, templates)
    else:
        state = real_server_state(cluster, host, templates, manager, actual)
    return with_manifest(state, cluster.name)
