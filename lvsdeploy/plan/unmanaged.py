"""What the directors find out about real servers that nobody logs in to (`managed: false`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import known_drains, pool_keys
from lvsdeploy.plan import codes
from lvsdeploy.state.ipvs import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster, RealServer
    from lvsdeploy.observe import Surroundings
    from lvsdeploy.record import Record
    from lvsdeploy.state.host import HostState


def unmanaged(cluster: Cluster) -> tuple[RealServer, ...]:
    """The real servers that are looked at from the directors alone."""
    directors = {director.name for director in cluster.directors}
    return tuple(s for s in cluster.real_servers if not s.managed and s.name not in directors)


def findings(
    cluster: Cluster,
    states: Mapping[str, HostState],
    records: Mapping[str, Record],
    around: Mapping[str, Surroundings],
) -> Iterator[Finding]:
    """Each real server that gets no clients from a director, or whose address nobody answers at there."""
    for director in cluster.directors:
        for server in unmanaged(cluster) if director.name in states else ():
            record = records.get(director.name)
            without = _without(cluster, states[director.name], record, server)
            seen = around.get(director.name)
            silent = [str(ip) for ip in server.rips if seen is not None and str(ip) in seen.silent]
            what = []
            if without:
                what.append(f"gets no clients of {', '.join(without)}")
            if silent:
                what.append(f"nobody answers at {' and '.join(silent)}")
            if what:
                summary = f"{server.name} ({server.rip}), which is not managed: {'; '.join(what)}"
                yield codes.UNMANAGED_DOWN.finding(summary, host=director.name)


def _without(cluster: Cluster, state: HostState, record: Record | None, server: RealServer) -> list[str]:
    """The services that a director should send the real server clients of, and does not."""
    table = state.virtual_services
    if not table:
        return []  # nothing is balanced yet, or nobody could look
    drained = known_drains(cluster, record.drained) if record is not None else ()
    found: dict[str, None] = {}
    for service in cluster.services:
        if any(drain.covers(server.name, service.name) for drain in drained):
            continue
        for pool in service.pools:
            there = [
                {(d.address, d.port) for d in table[key].destinations if d.weight}
                for key in pool_keys(service, pool)
                if key in table
            ]
            for destination in pool.destinations:
                own = destination.real_server == server.name and destination.weight
                place = canonical(destination.address), destination.port
                if own and any(place not in serving for serving in there):
                    found[service.name] = None
    return list(found)
