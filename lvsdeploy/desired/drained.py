"""Real servers that get no new connections: the operator's word, which stands over the inventory's."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from lvsdeploy.desired.identity import ByIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.inventory.model import Cluster, Destination, Service
    from lvsdeploy.record import Drained


def known_drains(cluster: Cluster, drained: Iterable[Drained]) -> tuple[Drained, ...]:
    """Those of `drained` that mean something in this cluster, sorted."""
    return tuple(
        sorted(
            drain
            for drain in drained
            if any(
                drain.covers(destination.real_server, service.name)
                for service in cluster.services
                for destination in service.destinations
            )
        )
    )


def with_drained(cluster: Cluster, drained: tuple[Drained, ...]) -> Cluster:
    """The cluster as it is declared but for the weights of those that are drained: 0.

    It is the same object every time, so that what is worked out from it need not be again.
    """
    return _with_drained(ByIdentity(cluster), drained) if drained else cluster


@lru_cache(maxsize=8)
def _with_drained(key: ByIdentity, drained: tuple[Drained, ...]) -> Cluster:
    cluster = key.cluster
    return replace(cluster, services=tuple(_service(service, drained) for service in cluster.services))


def _service(service: Service, drained: tuple[Drained, ...]) -> Service:
    pools = tuple(
        replace(pool, destinations=tuple(_destination(d, service.name, drained) for d in pool.destinations))
        for pool in service.pools
    )
    return replace(service, pools=pools)


def _destination(destination: Destination, service: str, drained: tuple[Drained, ...]) -> Destination:
    if any(drain.covers(destination.real_server, service) for drain in drained):
        return replace(destination, weight=0)
    return destination
