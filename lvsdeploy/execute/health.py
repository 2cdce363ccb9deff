"""What the directors' health checks say while real servers are changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.inventory.health_checks import timing_of
from lvsdeploy.plan import codes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.change import Plan

LONGEST = 60.0  # seconds that a wave waits for health checks, whatever their pace


def failing(plan: Plan) -> frozenset[str]:
    """The destinations that a health check keeps out, a line each with its director."""
    about = {codes.CHECK_FAILS.code, codes.CHECK_UNKNOWN.code}
    return frozenset(f"{f.host}: {f.summary}" for f in plan.all_findings() if f.code in about)


def check_time(cluster: Cluster, real_servers: Iterable[str]) -> float:
    """Seconds after which the health checks of these real servers have noticed what is wrong with them."""
    times = [0.0]
    for name in real_servers:
        for service in cluster.services_of(name):
            for destination in service.destinations:
                timing = timing_of(service.check_of(destination))
                if timing is not None and destination.real_server == name:
                    times.append(timing.longest)
    return min(max(times), LONGEST)
