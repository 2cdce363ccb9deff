"""Packages and services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import KEEPALIVED_UNIT
from lvsdeploy.desired.table_at_boot import UNITS as TABLE_UNITS
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.state.distributions import distribution_of
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context


def package_changes(context: Context) -> Iterator[Change]:
    """Programs that the host lacks."""
    manager, distribution = context.facts.package_manager, distribution_of(context.facts)
    for program in sorted(context.desired.programs - context.actual.programs):
        if manager is None:
            continue
        package = distribution.package(program)
        yield Change(
            Kind.PACKAGE,
            package,
            Action.CREATE,
            context.reason(as_recorded=True),
            f"no `{program}` on the host; {manager.value} installs it",
            steps=(Step(Phase.INSTALL, ("install_package", manager.value, package)),),
        )


def package_findings(context: Context) -> Iterator[Finding]:
    """Programs that the host lacks and nothing can install."""
    if context.facts.package_manager is not None:
        return
    for program in sorted(context.desired.programs - context.actual.programs):
        yield codes.NO_PACKAGES.finding(
            f"there is no `{program}`, and no package manager that lvsdeploy knows",
            host=context.host,
            fix=f"Install `{program}` by hand and apply again.",
        )


def _known_by_its_effects(context: Context, name: str) -> bool:
    """An init script of ours that has run leaves nothing but VIPs, sysctls and a route.

    SysV keeps no word of it, and each of those is compared by itself.
    """
    return name.startswith("lvsdeploy-") and context.facts.service_manager is ServiceManager.SYSV


def unit_changes(context: Context) -> Iterator[Change]:
    """Services that do not run, or would not after a reboot; and those that are left over."""
    for name, wanted in context.desired.units.items():
        there = context.actual.units.get(name, Unit(name, enabled=False, active=False))
        missing: list[str] = []
        steps: list[Step] = []
        if wanted.enabled and not there.enabled:
            missing.append("not started at boot")
            steps.append(Step(Phase.UNIT, ("unit_enable", name)))
        if wanted.active and not there.active and not _known_by_its_effects(context, name):
            missing.append("not running")
            steps.append(Step(Phase.UNIT, ("unit_start", name)))
        if steps:
            yield Change(
                Kind.UNIT,
                name,
                Action.UPDATE,
                context.reason(as_recorded=name in context.record.units),
                ", ".join(missing),
                steps=tuple(steps),
            )
    yield from _left_over(context)


def _left_over(context: Context) -> Iterator[Change]:
    """Services of ours that nothing declares any more become as they were before."""
    for name, before in sorted(context.record.units.items()):
        if name in context.desired.units:
            continue
        there = context.actual.units.get(name, Unit(name, enabled=False, active=False))
        steps: list[Step] = []
        if name == KEEPALIVED_UNIT and there.active and context.by_hand:
            # Whatever it was before us: it would take the table's services for its own.
            steps.append(Step(Phase.WITHDRAW, ("keepalived_leaves_table",)))
        elif there.active and not before.active and name not in TABLE_UNITS:
            steps.append(Step(Phase.WITHDRAW, ("unit_stop", name)))
            steps += _found_vips(context)
            steps += _found_tunnels(context)
        if there.enabled and not before.enabled:
            steps.append(Step(Phase.WITHDRAW, ("unit_disable", name)))
        if steps:
            yield Change(Kind.UNIT, name, Action.DELETE, Reason.LEFT_OVER, steps=tuple(steps))


def _found_vips(context: Context) -> Iterator[Step]:
    """VIPs that were there before us come back at once: our script has taken them away with its own."""
    for address, was_there in context.record.addresses.items():
        if was_there and address not in context.desired.addresses and address in context.actual.addresses:
            yield Step(Phase.WITHDRAW, ("address_add", address.interface, str(address.address)))


def _found_tunnels(context: Context) -> Iterator[Step]:
    """What unwrapped packets before us does so again: our script has stopped it."""
    for name, was_up in context.record.tunnels.items():
        if was_up and name in context.actual.tunnels:
            yield Step(Phase.WITHDRAW, ("tunnel_up", name))
    for port, was_there in context.record.gue_ports.items():
        if was_there and port in context.actual.gue_ports:
            yield Step(Phase.WITHDRAW, ("gue_add", *port.words))
