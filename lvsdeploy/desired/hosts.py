"""Every host of a cluster: its desired state, and what to ask it about."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from lvsdeploy.desired.director import director_modules, director_state
from lvsdeploy.desired.director_script import with_script
from lvsdeploy.desired.drained import known_drains, with_drained
from lvsdeploy.desired.firewall import loaded_rules, server_rules
from lvsdeploy.desired.identity import ByIdentity
from lvsdeploy.desired.localnode import both
from lvsdeploy.desired.paths import (
    KEEPALIVED_CONF,
    KEEPALIVED_UNIT,
    director_script_path,
    drop_in_path,
    modules_path,
    rules_path,
    script_path,
    sysctl_path,
    unit_name,
    unit_path,
)
from lvsdeploy.desired.real_server import real_server_state
from lvsdeploy.desired.roles import Roles, route_is_managed
from lvsdeploy.desired.routing import routing_sysctls
from lvsdeploy.desired.table import expected_table
from lvsdeploy.desired.table_at_boot import PATHS as TABLE_PATHS
from lvsdeploy.desired.table_at_boot import SAVED, with_saved_table
from lvsdeploy.desired.table_at_boot import UNITS as TABLE_UNITS
from lvsdeploy.desired.templates import Templates
from lvsdeploy.desired.tunnels import modules_of
from lvsdeploy.desired.variant import Variant
from lvsdeploy.inventory.model import Director, Engine
from lvsdeploy.record import Goal, folders_of, history_path, manifest_path
from lvsdeploy.state.facts import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.record import Drained
    from lvsdeploy.state.facts import Facts
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService


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
    return _hosts(ByIdentity(cluster), templates_dir).state(host, Variant.of(facts), actual)


def desired_goal(
    cluster: Cluster,
    host: str,
    facts: Facts,
    actual: HostState | None = None,
    *,
    drained: Iterable[Drained] = (),
) -> Goal:
    """What `host` is to become while the real servers in `drained` get no new connections.

    As `desired_state` otherwise. Drains that mean nothing in this cluster (any more) are left out.
    """
    known = known_drains(cluster, drained)
    state = desired_state(with_drained(cluster, known), host, facts, actual)
    managed = _hosts(ByIdentity(cluster), None).roles.managed()
    is_director = any(director.name == host for director in cluster.directors)
    return Goal(
        state=state,
        hosts={h.name: h.address for h in managed} if is_director else {},
        drained=known if is_director else (),
        route_is_managed=route_is_managed(cluster),
    )


def render_all(cluster: Cluster, *, templates_dir: Path | None = None) -> Mapping[str, HostState]:
    """Every managed host's desired state, real servers first, as if all of them ran Debian and had nft."""
    hosts = _hosts(ByIdentity(cluster), templates_dir)
    return {host.name: hosts.state(host.name, Variant()) for host in hosts.roles.managed()}


def probe_paths(
    cluster: Cluster, host: str, *, templates_dir: Path | None = None
) -> Mapping[str, Mapping[str, bytes]]:
    """Every path to ask a host about, sorted, with the contents to be expected there by SHA-256 in hex.

    Paths: what any variant puts there, what an earlier inventory may have put there, and
    the folders all of it stands in. Contents: of every variant, so that a host need send only others.
    """
    return _hosts(ByIdentity(cluster), templates_dir).probe_paths(host)


def has_rules(cluster: Cluster, host: str) -> bool:
    """Whether netfilter rules are declared on a host."""
    return _hosts(ByIdentity(cluster), None).state(host, Variant()).netfilter is not None


def unit_names(cluster: Cluster, host: str) -> tuple[str, ...]:
    """Every unit to ask a host about, sorted: those it should have, and those it may have had."""
    found = _hosts(ByIdentity(cluster), None).roles.find(host)
    names = {unit_name(cluster.name)}
    if isinstance(found, Director):
        names.add(KEEPALIVED_UNIT)
        if cluster.engine is Engine.IPVSADM:
            names.update(TABLE_UNITS)
    return tuple(sorted(names))


def kernel_modules(cluster: Cluster, host: str) -> tuple[str, ...]:
    """Every kernel module to ask a host about, sorted."""
    roles = _hosts(ByIdentity(cluster), None).roles
    found, serving = roles.find(host), cluster.serving(host)
    names = set(director_modules(cluster)) if isinstance(found, Director) else set()
    server = serving if isinstance(found, Director) else found
    return tuple(sorted(names | set(modules_of(roles, server) if server is not None else ())))


class _Hosts:
    """One cluster's hosts: what they share is worked out once."""

    def __init__(self, cluster: Cluster, templates: Templates) -> None:
        self.cluster = cluster
        self.roles = Roles(cluster)
        self._templates = templates
        self._directors: dict[tuple[str, tuple[str, ...]], HostState] = {}

    def state(self, name: str, variant: Variant, actual: HostState | None = None) -> HostState:
        host = self.roles.find(name)
        if isinstance(host, Director):
            state = self._director(host, actual)
            state = with_saved_table(state, self.cluster, self._templates, variant)
            server = self.cluster.serving(name)
            further = server_rules(self.roles, server) if server is not None else ()
            state = with_script(state, self.cluster, self._templates, variant, further)
            if server is None:
                return state
            serving = real_server_state(self.roles, server, self._templates, variant.manager, actual)
            return both(state, serving, self.cluster, self._templates, variant.manager)
        rules = loaded_rules(self.cluster.name, variant.firewall, server_rules(self.roles, host))
        return real_server_state(self.roles, host, self._templates, variant.manager, actual, rules)

    def probe_paths(self, name: str) -> dict[str, dict[str, bytes]]:
        host, cluster = self.roles.find(name), self.cluster.name
        ours = [
            sysctl_path(cluster),
            modules_path(cluster),
            script_path(cluster),
            director_script_path(cluster),
        ]
        ours += [rules_path(cluster, kind) for kind in ("nft", "v4", "v6")]
        ours += [unit_path(cluster, manager) for manager in ServiceManager]
        if isinstance(host, Director):
            ours.append(KEEPALIVED_CONF)
        variants = Variant.every()
        if isinstance(host, Director) and self.cluster.engine is Engine.IPVSADM:
            ours += [*TABLE_PATHS, *(drop_in_path(cluster, unit) for unit in TABLE_UNITS)]
            variants = Variant.every(saved_tables=(*SAVED, None))
        states = [self.state(name, variant) for variant in variants]
        # Folders, too: those that are not there yet are made, and remembered as ours.
        ours += [manifest_path(cluster), *folders_of((*ours, history_path(cluster, "")))]
        paths: dict[str, dict[str, bytes]] = {path: {} for path in sorted(ours)}
        for state in states:
            for path, file in state.files.items():
                paths[path][file.digest] = file.content
        return paths

    def _director(self, director: Director, actual: HostState | None = None) -> HostState:
        """A director's state, but for what it starts at boot: what is found there counts in sysctls alone."""
        key = director.name, tuple(routing_sysctls(self.cluster, director, actual))
        if key not in self._directors:
            self._directors[key] = director_state(
                self.cluster, director, self._templates, self._table, actual
            )
        return self._directors[key]

    @cached_property
    def _table(self) -> Mapping[ServiceKey, VirtualService]:
        return expected_table(self.cluster)


@lru_cache(maxsize=8)
def _hosts(key: ByIdentity, templates_dir: Path | None) -> _Hosts:
    return _Hosts(key.cluster, _templates(templates_dir))


@lru_cache(maxsize=8)
def _templates(folder: Path | None) -> Templates:
    return Templates(folder)
