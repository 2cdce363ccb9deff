"""Every health check that an inventory declares, with the place of it: for the rules about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.health_checks import HealthCheck
    from lvsdeploy.inventory.model import Destination, Service
    from lvsdeploy.inventory.registry import Context


@dataclass(frozen=True)
class Declared:
    """A service's check, or that of one entry of its real servers; `destinations` are who it is for."""

    context: Context
    service: Service
    check: HealthCheck
    path: tuple[str, ...]
    destinations: tuple[Destination, ...]

    def at(self, *keys: str) -> tuple[str, ...]:
        """Where a key of the check stands; the check itself where it is left out."""
        path = (*self.path, *keys)
        return path if self.context.written(*path) else self.path


def declared_checks(context: Context) -> Iterator[Declared]:
    """The checks of every service, one of a `defaults` once for each service that has it."""
    for service in context.cluster.services:
        path = context.place_of(service, "health_check")
        usual = tuple(d for d in service.destinations if d.health_check is None)
        yield Declared(context, service, service.health_check, path, usual)
        own: dict[tuple[str, ...], list[Destination]] = {}
        for destination in service.destinations:
            if destination.health_check is not None:
                own.setdefault(destination.path, []).append(destination)
        for where, destinations in own.items():
            check = destinations[0].health_check
            assert check is not None  # noqa: S101 - only such are there
            yield Declared(context, service, check, (*where, "health_check"), tuple(destinations))
