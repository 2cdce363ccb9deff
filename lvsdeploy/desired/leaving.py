"""Destinations that are to go, and stay beside the new ones for now."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.desired.table import pool_keys
from lvsdeploy.inventory.model import Destination
from lvsdeploy.state.ipvs import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import Cluster, Pool, Service
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService


def with_leaving(cluster: Cluster, table: Mapping[ServiceKey, VirtualService]) -> Cluster:
    """The cluster as it is declared, and in each of its services also the destinations in `table`."""
    return replace(cluster, services=tuple(_service(service, table) for service in cluster.services))


def _service(service: Service, table: Mapping[ServiceKey, VirtualService]) -> Service:
    pools = tuple(
        replace(pool, destinations=(*pool.destinations, *_leaving(service, pool, table)))
        for pool in service.pools
    )
    return replace(service, pools=pools)


def _leaving(service: Service, pool: Pool, table: Mapping[ServiceKey, VirtualService]) -> list[Destination]:
    known = {(canonical(d.address), d.port) for d in pool.destinations}
    found: dict[tuple[str, int], Destination] = {}
    for key in pool_keys(service, pool):
        for d in table[key].destinations if key in table else ():
            if d.key not in known and d.key not in found:
                found[d.key] = Destination(
                    "leaving", ip_address(d.address), d.port, d.weight, upper=d.upper, lower=d.lower
                )
    return list(found.values())
