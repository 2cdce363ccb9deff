"""Addresses and default routes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.network import Address, Route


def address_changes(context: Context) -> Iterator[Change]:
    """VIPs missing from their interface, standing on another one too, or left over."""
    desired, actual = context.desired.addresses, context.actual.addresses
    for wanted in sorted(desired - actual, key=_order):
        yield Change(
            Kind.ADDRESS,
            str(wanted),
            Action.CREATE,
            context.reason(as_recorded=wanted in context.record.addresses),
            f"{wanted.address.ip} is {_whereabouts(wanted, actual)}",
            steps=(Step(Phase.ADDRESS, ("address_add", *_words(wanted))),),
        )
    held = {address.address.ip: address for address in desired}
    for there in sorted(actual - desired - context.staying, key=_order):
        right = held.get(there.address.ip)
        recorded = there in context.record.addresses
        if right is None and (not recorded or _is_not_ours_alone(context, there)):
            continue
        reason = Reason.DRIFT if context.record.known else Reason.FOREIGN
        yield Change(
            Kind.ADDRESS,
            str(there),
            Action.DELETE,
            Reason.LEFT_OVER if recorded else reason,
            _harm(there, right) if right is not None else "",
            steps=(Step(Phase.WITHDRAW, ("address_del", *_words(there))),),
        )


def _is_not_ours_alone(context: Context, address: Address) -> bool:
    """It was there before us, or another cluster needs it on this host."""
    return context.record.addresses[address] or any(address in other.addresses for other in context.others)


def _whereabouts(wanted: Address, actual: frozenset[Address]) -> str:
    others = sorted(
        (a for a in actual if a.address.ip == wanted.address.ip),
        key=lambda address: (address.interface != wanted.interface, _order(address)),
    )
    if not others:
        return f"not on {wanted.interface}"
    if others[0].interface == wanted.interface:
        return f"on {wanted.interface} as {others[0].address}"
    return f"on {others[0].interface} and not on {wanted.interface}"


def _harm(there: Address, right: Address) -> str:
    """Why an address must not stay where it is, beside the right place for the same VIP."""
    if there.interface == right.interface:
        return f"the VIP belongs there as {right.address}: with this prefix, {there.address.network} is local"
    return f"the VIP belongs on {right.interface} alone: from here the real server would answer for it"


def route_changes(context: Context) -> Iterator[Change]:
    """The default route, where it is ours to set."""
    if not (context.desired.routes and context.goal.route_is_managed):
        yield from _route_left_over(context)
        return
    if _goes_right(context):
        return
    wanted = context.desired.routes[0]
    yield Change(
        Kind.ROUTE,
        str(wanted),
        Action.UPDATE if context.actual.routes else Action.CREATE,
        context.reason(as_recorded=context.as_recorded),
        f"{_now(context)}: replies to clients must go back through the director",
        steps=(Step(Phase.ROUTE, ("route_default", str(wanted.via))),),
    )


def _route_left_over(context: Context) -> Iterator[Change]:
    """A default route of ours that nothing declares any more: the one before it comes back."""
    recorded = context.record.route
    preferred = _preferred(context.actual.routes)
    if (
        recorded is None
        or context.keeps_leaving
        or any(other.route is not None for other in context.others)
        or [route.via for route in preferred] != [recorded.via]
        or (recorded.before and recorded.before == preferred[0].words)
    ):
        return
    before = f"`{' '.join(recorded.before)}`" if recorded.before else "none"
    yield Change(
        Kind.ROUTE,
        str(preferred[0]),
        Action.UPDATE if recorded.before else Action.DELETE,
        Reason.LEFT_OVER,
        f"before lvsdeploy there was {before}",
        steps=(Step(Phase.ROUTE, ("route_back", str(recorded.via), *recorded.before)),),
    )


def route_findings(context: Context) -> Iterator[Finding]:
    """The default route, where it is only checked."""
    if not context.desired.routes or context.goal.route_is_managed or _goes_right(context):
        return
    summary = f"{_now(context)}, so replies bypass the director ({context.desired.routes[0].via})"
    yield replace(codes.BYPASS.finding(summary, host=context.host), drift=True)


def _preferred(routes: Sequence[Route]) -> list[Route]:
    """The default routes that are in use: of the lowest metric, several for a multipath route."""
    return [route for route in routes if route.metric == routes[0].metric]  # none for none


def _goes_right(context: Context) -> bool:
    """Whether every reply goes through the gateway: of a multipath route, each way must."""
    preferred = _preferred(context.actual.routes)
    wanted = context.desired.routes[0]
    return bool(preferred) and all(route.via == wanted.via for route in preferred)


def _now(context: Context) -> str:
    preferred = _preferred(context.actual.routes)
    if not preferred:
        return "there is no default route"
    return f"the default route is {' and '.join(f'`{route}`' for route in preferred)}"


def _words(address: Address) -> tuple[str, str]:
    return address.interface, str(address.address)


def _order(address: Address) -> tuple[str, int, int, str]:
    return address.interface, address.address.version, int(address.address.ip), str(address.address)
