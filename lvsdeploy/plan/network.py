"""Addresses and default routes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.network import Address


def address_changes(context: Context) -> Iterator[Change]:
    """VIPs missing from their interface, standing on another one too, or left over."""
    desired, actual = context.desired.addresses, context.actual.addresses
    for wanted in sorted(desired - actual, key=_order):
        yield Change(
            Kind.ADDRESS,
            str(wanted),
            Action.CREATE,
            context.reason(as_recorded=wanted in context.record.addresses),
            f"{wanted.address.ip} is not on {wanted.interface}",
            steps=(Step(Phase.ADDRESS, ("address_add", *_words(wanted))),),
        )
    held = {address.address.ip: address for address in desired}
    for there in sorted(actual - desired, key=_order):
        right = held.get(there.address.ip)
        if right is not None:
            yield Change(
                Kind.ADDRESS,
                str(there),
                Action.DELETE,
                Reason.DRIFT if context.record.known else Reason.FOREIGN,
                f"a VIP belongs on {right.interface} as {right.address} and nowhere else: "
                "from here the real server would answer ARP for it",
                steps=(Step(Phase.WITHDRAW, ("address_del", *_words(there))),),
            )
        elif there in context.record.addresses:
            yield Change(
                Kind.ADDRESS,
                str(there),
                Action.DELETE,
                Reason.LEFT_OVER,
                steps=(Step(Phase.WITHDRAW, ("address_del", *_words(there))),),
            )


def route_changes(context: Context) -> Iterator[Change]:
    """The default route, where it is ours to set."""
    if not (context.desired.routes and context.route_is_managed):
        return
    wanted, actual = context.desired.routes[0], context.actual.routes
    if actual and actual[0].via == wanted.via:
        return
    yield Change(
        Kind.ROUTE,
        str(wanted),
        Action.UPDATE if actual else Action.CREATE,
        Reason.DRIFT if context.record.known else Reason.NEW,
        f"{_now(context)}: replies to clients must go back through the director",
        steps=(Step(Phase.ROUTE, ("route_default", str(wanted.via))),),
    )


def route_findings(context: Context) -> Iterator[Finding]:
    """The default route, where it is only checked."""
    if not context.desired.routes or context.route_is_managed:
        return
    wanted, actual = context.desired.routes[0], context.actual.routes
    if actual and actual[0].via == wanted.via:
        return
    summary = f"{_now(context)}, so replies bypass the director ({wanted.via})"
    yield replace(codes.BYPASS.finding(summary, host=context.host), drift=True)


def _now(context: Context) -> str:
    routes = context.actual.routes
    return f"the default route is `{routes[0]}`" if routes else "there is no default route"


def _words(address: Address) -> tuple[str, str]:
    return address.interface, str(address.address)


def _order(address: Address) -> tuple[str, int, str]:
    return address.interface, int(address.address.ip), str(address.address)
