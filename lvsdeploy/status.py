"""What the directors balance now, told from what was read on them. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired import KEEPALIVED_UNIT, expected_table, pool_keys, vip_groups
from lvsdeploy.inventory.model import Engine
from lvsdeploy.plan import codes, live
from lvsdeploy.plan.unmanaged import unmanaged
from lvsdeploy.results import DestinationStatus, DirectorStatus, ServiceStatus, Status
from lvsdeploy.state.ipvs import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.observe import Observation
    from lvsdeploy.plan.change import Plan
    from lvsdeploy.record import Drained, Record
    from lvsdeploy.state.ipvs import VirtualService


_ABOUT_THE_READING = {codes.NO_IPVS.code, codes.UNREAD.code}
"""Findings about a host without which its status would say too much."""


def status_of(
    cluster: Cluster, seen: Mapping[str, Observation], plan: Plan, records: Mapping[str, Record]
) -> Status:
    """The directors among `seen`; `plan` and `records` are of the same reading."""
    holders = live.holders_of(cluster, {name: observation.state for name, observation in seen.items()})
    directors = []
    for director in cluster.directors:
        observation = seen.get(director.name)
        if observation is None:
            continue
        holds = tuple(str(vip) for vip, names in holders.items() if director.name in names)
        directors.append(
            DirectorStatus(
                director.name,
                _role(cluster, observation, holds),
                holds,
                tuple(_services(cluster, observation, records[director.name].drained)),
            )
        )
    return Status(
        cluster=cluster.name,
        directors=tuple(directors),
        failures=plan.failures,
        findings=tuple(
            f
            for f in plan.all_findings()
            if f.is_error and (f in plan.findings or f.code in _ABOUT_THE_READING)
        ),
    )


def _role(cluster: Cluster, observation: Observation, holds: tuple[str, ...]) -> str:
    if cluster.engine is Engine.IPVSADM:
        return "no VRRP"
    if not observation.state.runs(KEEPALIVED_UNIT):
        return "keepalived is not running"
    masters = [
        name or _NAMELESS
        for name, vips in vip_groups(cluster).items()
        if any(str(vip.ip) in holds for vip in vips)
    ]
    if not masters:
        return "MASTER" if holds else "BACKUP"
    return "MASTER" if len(masters) == len(vip_groups(cluster)) else f"MASTER of {', '.join(masters)}"


_NAMELESS = "default"
"""What the group of all VIPs without a group is called, where there are others."""


def _services(
    cluster: Cluster, observation: Observation, drained: tuple[Drained, ...]
) -> Iterator[ServiceStatus]:
    """What is in the table, and what should be: nothing when there is no table, or it could not be read."""
    table = observation.state.virtual_services
    if not table:
        return
    declared = {
        key: (service.name, pool.destinations)
        for service in cluster.services
        for pool in service.pools
        for key in pool_keys(service, pool)
    }
    expected = expected_table(cluster)
    apart = {server.name for server in unmanaged(cluster)}
    for key in sorted(table.keys() | declared.keys()):
        name, row = declared.get(key, ("", ()))
        names = {(canonical(d.address), d.port): d.real_server for d in row}
        there = table.get(key, replace(expected[key], destinations=()) if key in expected else None)
        assert there is not None  # noqa: S101 — the key came from one of the two
        words = {
            destination: f"drained since {drain.since} by {drain.by}"
            for destination, real_server in names.items()
            for drain in drained
            if drain.covers(real_server, name)
        }
        destinations = _destinations(observation, there, expected.get(key), names, words)
        shown = (replace(d, managed=d.name not in apart) for d in destinations)
        yield ServiceStatus(name, there, tuple(shown))


def _destinations(
    observation: Observation,
    there: VirtualService,
    expected: VirtualService | None,
    names: Mapping[tuple[str, int], str],
    drained: Mapping[tuple[str, int], str],
) -> Iterator[DestinationStatus]:
    key, view = there.key, observation.checkers
    declared = {destination.key: destination for destination in expected.destinations} if expected else {}
    for destination in there.destinations:
        counters = observation.connections.get(key, {}).get(destination.key)
        if destination.key not in declared:
            sorry = view is not None and view.sorry_server_in_use(key, destination.key)
            state = "sorry server" if sorry else "not declared"
        elif destination.weight:
            state = "up"
        elif destination.key in drained:
            state = drained[destination.key]
        else:
            state = _DOWN if view is not None and view.is_down(key, destination.key) else "gets nothing new"
        yield DestinationStatus(
            name=names.get(destination.key, ""),
            address=str(destination),
            forwarding=destination.forwarding.name,
            weight=destination.weight,
            active=counters.active if counters else 0,
            inactive=counters.inactive if counters else 0,
            state=state,
        )
    present = {destination.key for destination in there.destinations}
    for destination in declared.values():
        if destination.key not in present:
            state = _DOWN if view is not None and view.is_down(key, destination.key) else "missing"
            name = names.get(destination.key, "")
            yield DestinationStatus(name, str(destination), "", 0, 0, 0, state)


_DOWN = "down: its health check fails"
