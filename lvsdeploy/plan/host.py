"""One host's plan: every kind of thing compared, in the order in which an operator thinks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.plan import (
    bookkeeping,
    files,
    live,
    netfilter,
    network,
    settings,
    sysctls,
    table,
    tunnels,
    units,
)
from lvsdeploy.plan.change import Change, HostPlan, Role

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context


def plan_host(context: Context, role: Role) -> HostPlan:
    """The difference between what a host is and what it should be."""
    changes: list[Change] = [
        *units.package_changes(context),
        *files.changes(context),
        *sysctls.changes(context),
        *network.address_changes(context),
        *tunnels.changes(context),
        *network.route_changes(context),
        *netfilter.changes(context),
        *units.unit_changes(context),
        *table.changes(context),
        *settings.changes(context),
    ]
    written_down = bookkeeping.plan(context, changes)
    findings = (
        *bookkeeping.findings(context),
        *units.package_findings(context),
        *files.findings(context),
        *sysctls.findings(context),
        *network.route_findings(context),
        *live.findings(context, role),
        *table.findings(context),
        *settings.findings(context),
    )
    return HostPlan(
        context.host,
        role,
        (*changes, *written_down.changes),
        tuple(findings),
        written_down.steps,
        table.expected(context),
        table.replaced(context),
    )
