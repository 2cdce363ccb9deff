"""Addresses and default routes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.state.network import LOOPBACK
from lvsdeploy.state.tunnel import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import IPAddress
    from lvsdeploy.plan.context import Context
    from lvsdeploy.record import RecordedRoute
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
        if _does_no_harm(there):
            right = None
        recorded = there in context.record.addresses
        if right is None and (not recorded or _is_not_ours_alone(context, there)):
            continue
        if context.desired.virtual_services is not None and not recorded:
            continue  # a director answers for its VIPs wherever they stand, and keepalived moves them
        if there.address.ip in context.own and there.interface != LOOPBACK:
            continue  # a record that says so is wrong, and would cut the host off
        reason = Reason.DRIFT if context.record.known else Reason.FOREIGN
        yield Change(
            Kind.ADDRESS,
            str(there),
            Action.DELETE,
            Reason.LEFT_OVER if recorded else reason,
            _harm(there, right) if right is not None else "",
            steps=(Step(Phase.WITHDRAW, ("address_del", *_words(there))),),
        )


def _does_no_harm(there: Address) -> bool:
    """A VIP may be on lo and on tunnel interfaces at once: nobody asks there by ARP who has it."""
    single = there.address.network.prefixlen == there.address.max_prefixlen
    return single and (there.interface == LOOPBACK or OURS.fullmatch(there.interface) is not None)


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
    return f"the VIP belongs on {right.interface} alone: from here this machine would answer for it"


def route_changes(context: Context) -> Iterator[Change]:
    """The default routes, where they are ours to set."""
    managed = context.managed_routes
    for wanted in managed:
        if not _goes_right(context, wanted):
            yield Change(
                Kind.ROUTE,
                str(wanted),
                Action.UPDATE if _preferred(context, wanted.version) else Action.CREATE,
                context.reason(as_recorded=context.as_recorded),
                f"{_now(context, wanted)}: replies to clients must go back through the director",
                steps=(Step(Phase.ROUTE, ("route_default", str(wanted.via))),),
            )
    for recorded in context.record.routes:
        if recorded.version not in {wanted.version for wanted in managed}:
            yield from _route_left_over(context, recorded)


def _route_left_over(context: Context, recorded: RecordedRoute) -> Iterator[Change]:
    """A default route of ours that nothing declares any more: the one before it comes back."""
    preferred = _preferred(context, recorded.version)
    if (
        context.keeps_leaving
        or any(other.route_of(recorded.version) is not None for other in context.others)
        or [route.via for route in preferred] != [recorded.via]
        or (recorded.before and recorded.before == preferred[0].words)
    ):
        return
    before = f"`{' '.join(recorded.before)}`" if recorded.before else "none"
    staying = [r for r in context.actual.routes if r.version == recorded.version and r not in preferred]
    if staying and not recorded.before:
        before = f"`{staying[0]}`, which is still there"
    yield Change(
        Kind.ROUTE,
        str(preferred[0]),
        Action.UPDATE if recorded.before else Action.DELETE,
        Reason.LEFT_OVER,
        f"before lvsdeploy there was {before}",
        steps=(Step(Phase.ROUTE, ("route_back", str(recorded.via), *recorded.before)),),
    )


def route_findings(context: Context) -> Iterator[Finding]:
    """The default routes, where they are only checked; rules may lead what comes from the RIP elsewhere."""
    for wanted in context.desired.routes:
        if wanted in context.managed_routes:
            continue
        taken = {tuple(context.actual.defaults_from(rip)) for rip in _sources(context, wanted)}
        for routes in sorted(taken, key=str) if taken else (tuple(_preferred(context, wanted.version)),):
            if not routes or any(route.via != wanted.via for route in routes):
                summary = f"{_told(routes, wanted)}, so replies bypass the director ({wanted.via})"
                yield replace(codes.BYPASS.finding(summary, host=context.host), drift=True)


def _sources(context: Context, wanted: Route) -> list[IPAddress]:
    """The RIPs that replies to NAT's clients come from."""
    return [rip for rip in context.rips if rip.version == wanted.version]


def _preferred(context: Context, version: int) -> list[Route]:
    """The default routes that are in use: of the lowest metric, several for a multipath route."""
    routes = [route for route in context.actual.routes if route.version == version]
    return [route for route in routes if route.metric == routes[0].metric]  # none for none


def _goes_right(context: Context, wanted: Route) -> bool:
    """Whether every reply goes through the gateway: of a multipath route, each way must."""
    preferred = _preferred(context, wanted.version)
    return bool(preferred) and all(route.via == wanted.via for route in preferred)


def _now(context: Context, wanted: Route) -> str:
    return _told(_preferred(context, wanted.version), wanted)


def _told(routes: Sequence[Route], wanted: Route) -> str:
    what = "default route" if wanted.version == IPV4 else "IPv6 default route"
    if not routes:
        return f"there is no {what}"
    return f"the {what} is {' and '.join(f'`{route}`' for route in routes)}"


def _words(address: Address) -> tuple[str, str]:
    return address.interface, str(address.address)


def _order(address: Address) -> tuple[str, int, int, str]:
    return address.interface, address.address.version, int(address.address.ip), str(address.address)
