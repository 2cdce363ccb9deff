"""Destinations that are to go, and stay beside the new ones for now."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.desired.table import service_key
from lvsdeploy.inventory.model import Destination
from lvsdeploy.state.ipvs import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import Cluster, Service
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService


def with_leaving(cluster: Cluster, table: Mapping[ServiceKey, VirtualService]) -> Cluster:
    """The cluster as it is declared, and in each of its services also the destinations in `table`."""
    return replace(cluster, services=tuple(_service(service, table) for service in cluster.services))


def _service(service: Service, table: Mapping[ServiceKey, VirtualService]) -> Service:
    rows = tuple(
        (*row, *_leaving(row, table.get(service_key(service, port))))
        for port, row in zip(service.ports, service.destinations, strict=True)
    )
    return replace(service, destinations=rows)


def _leaving(row: tuple[Destination, ...], there: VirtualService | None) -> list[Destination]:
    declared = {(canonical(d.address), d.port) for d in row}
    return [
        Destination("leaving", ip_address(d.address), d.port, d.weight)
        for d in (there.destinations if there is not None else ())
        if d.key not in declared
    ]
