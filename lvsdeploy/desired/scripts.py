"""The operator's own programs that keepalived runs on the directors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.inventory.health_checks import ScriptCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Cluster, Service

ROOT = "root"
"""Who runs them where the inventory names nobody."""


@dataclass(frozen=True, order=True)
class Script:
    """A program by its path, whose user it runs as, and what for."""

    path: str
    user: str
    use: str


def scripts_of(cluster: Cluster) -> tuple[Script, ...]:
    """Every program that keepalived runs for this cluster, with each of its uses once, sorted."""
    return tuple(sorted({*_of_vrrp(cluster), *(s for service in cluster.services for s in _of(service))}))


def _of_vrrp(cluster: Cluster) -> Iterator[Script]:
    vrrp = cluster.vrrp
    for script in vrrp.track_scripts:
        yield Script(script.path, script.user or ROOT, f"track script {script.name}")
    for what, path in vrrp.notify.scripts():
        yield Script(path, vrrp.notify.user or ROOT, f"notify {what}")


def _of(service: Service) -> Iterator[Script]:
    for what, program in (("quorum_up", service.quorum_up), ("quorum_down", service.quorum_down)):
        if program is not None:
            yield Script(program.path, program.user, f"{what} of {service.name}")
    for destination in service.destinations:
        for what, program in (("notify_up", destination.notify_up), ("notify_down", destination.notify_down)):
            if program is not None:
                yield Script(
                    program.path, program.user, f"{what} of {destination.real_server} in {service.name}"
                )
        check = service.check_of(destination)
        if isinstance(check, ScriptCheck):
            yield Script(check.path, check.user, f"health check of {service.name}")
