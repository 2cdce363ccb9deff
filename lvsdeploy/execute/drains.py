"""Taking real servers out of service for a while, and back. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from lvsdeploy.desired import pool_keys, with_drained
from lvsdeploy.errors import UsageError
from lvsdeploy.inventory.model import Protocol
from lvsdeploy.record import Drained
from lvsdeploy.state.ipvs import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.observe import Observation
    from lvsdeploy.record import Stamp

Edit: TypeAlias = "Callable[[tuple[Drained, ...]], tuple[Drained, ...]]"
"""Makes the new drains of a director of those that it remembers."""


def services_of(cluster: Cluster, real_server: str, service: str | None) -> tuple[str, ...]:
    """The services that are meant: all of a real server's, or the one that is named.

    UsageError when there is no such real server, or it is not in that service.
    """
    names = [server.name for server in cluster.real_servers]
    if real_server not in names:
        near = get_close_matches(real_server, names, n=1)
        is_director = any(director.name == real_server for director in cluster.directors)
        raise UsageError(
            f"`{real_server}` is {'a director' if is_director else 'not a real server of this inventory'}",
            hint=f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(names)}",
        )
    services = tuple(s.name for s in cluster.services_of(real_server))
    if not services:
        raise UsageError(f"{real_server} is in no service, so there is nothing to drain")
    if service is None:
        return services
    if service not in services:
        raise UsageError(
            f"{real_server} is not in a service `{service}`", hint=f"It is in: {', '.join(services)}"
        )
    return (service,)


def drain(real_server: str, service: str | None, stamp: Stamp) -> Edit:
    """The edit of a director's drains that adds one; what is drained already keeps its date."""

    def edit(drained: tuple[Drained, ...]) -> tuple[Drained, ...]:
        if any(d.real_server == real_server and d.service in ("", service or "") for d in drained):
            return drained
        kept = [d for d in drained if service is not None or d.real_server != real_server]
        return tuple(sorted((*kept, Drained(real_server, service or "", stamp.at, stamp.by))))

    return edit


def undrain(cluster: Cluster, real_server: str, service: str | None) -> Edit:
    """The edit of a director's drains that takes one away. One service of a whole host: the others stay."""

    def edit(drained: tuple[Drained, ...]) -> tuple[Drained, ...]:
        kept: list[Drained] = []
        for d in drained:
            if d.real_server != real_server or (service is not None and d.service not in ("", service)):
                kept.append(d)
            elif service is not None and not d.service:
                others = services_of(cluster, real_server, None)
                kept += [Drained(real_server, name, d.since, d.by) for name in others if name != service]
        return tuple(sorted(kept))

    return edit


def without_destination(cluster: Cluster, drained: tuple[Drained, ...], names: Iterable[str]) -> list[str]:
    """Those of the services `names` that would have no real server of any weight left."""
    by_name = {service.name: service for service in with_drained(cluster, drained).services}
    return [
        name
        for name in names
        if any(not any(d.weight for d in pool.destinations) for pool in by_name[name].pools)
    ]


def connections(
    cluster: Cluster, seen: Mapping[str, Observation], real_server: str, names: Iterable[str]
) -> dict[str, int]:
    """Connections of a real server's destinations, by director. TCP's that are closing do not count."""
    keys = {
        (key, (canonical(d.address), d.port))
        for service in cluster.services
        if service.name in names
        for pool in service.pools
        for key in pool_keys(service, pool)
        for d in pool.destinations
        if d.real_server == real_server
    }
    counts: dict[str, int] = {}
    for director, observation in seen.items():
        found = [
            (key.protocol, counted)
            for key, destination in keys
            if (counted := observation.connections.get(key, {}).get(destination)) is not None
        ]
        counts[director] = sum(
            counted.active + (counted.inactive if protocol is not Protocol.TCP else 0)
            for protocol, counted in found
        )
    return counts
