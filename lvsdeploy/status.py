"""What the directors balance now, told from what was read on them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.plan import live
from lvsdeploy.results import DestinationStatus, DirectorStatus, ServiceStatus, Status
from lvsdeploy.state.ipvs import ServiceKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.observe import Observation
    from lvsdeploy.plan.change import Plan
    from lvsdeploy.state.ipvs import VirtualService


def status_of(cluster: Cluster, seen: Mapping[str, Observation], plan: Plan) -> Status:
    """The directors among `seen`; `plan` is of the same reading, for failures and findings."""
    holders = live.holders_of(cluster, {name: observation.state for name, observation in seen.items()})
    directors = []
    for director in cluster.directors:
        observation = seen.get(director.name)
        if observation is None:
            continue
        holds = tuple(str(vip) for vip, names in holders.items() if director.name in names)
        table = observation.state.virtual_services or {}
        services = tuple(_service(cluster, observation, table[key]) for key in sorted(table))
        directors.append(DirectorStatus(director.name, _role(observation, holds), holds, services))
    return Status(
        cluster=cluster.name,
        directors=tuple(directors),
        failures=plan.failures,
        findings=tuple(f for f in plan.findings if f.is_error),
    )


def _role(observation: Observation, holds: tuple[str, ...]) -> str:
    unit = observation.state.units.get("keepalived")
    if unit is None or not unit.active:
        return "keepalived is not running"
    return "MASTER" if holds else "BACKUP"


def _service(cluster: Cluster, observation: Observation, service: VirtualService) -> ServiceStatus:
    declared = _declared(cluster, service.key)
    rows = []
    for destination in service.destinations:
        counters = observation.connections.get(service.key, {}).get(destination.key)
        rows.append(
            DestinationStatus(
                name=declared.get(destination.key, ""),
                address=str(destination),
                forwarding=destination.forwarding.name,
                weight=destination.weight,
                active=counters.active if counters else 0,
                inactive=counters.inactive if counters else 0,
                state="up" if destination.key in declared else "not declared",
            )
        )
    present = {destination.key for destination in service.destinations}
    for key, name in declared.items():
        if key not in present:
            down = observation.checkers is not None and observation.checkers.is_down(service.key, key)
            state = "down: its health check fails" if down else "missing"
            rows.append(DestinationStatus(name, f"{key[0]}:{key[1]}", "", 0, 0, 0, state))
    return ServiceStatus(_name(cluster, service.key), service, tuple(rows))


def _name(cluster: Cluster, key: ServiceKey) -> str:
    for service in cluster.services:
        for port in service.ports:
            if ServiceKey(service.protocol, str(service.vip.ip), port) == key:
                return service.name
    return ""


def _declared(cluster: Cluster, key: ServiceKey) -> dict[tuple[str, int], str]:
    """(address, port) of the destinations declared for a virtual service -> the real server's name."""
    for service in cluster.services:
        for port, row in zip(service.ports, service.destinations, strict=True):
            if ServiceKey(service.protocol, str(service.vip.ip), port) == key:
                return {(str(d.address), d.port): d.real_server for d in row}
    return {}
