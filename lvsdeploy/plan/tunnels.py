"""Tunnel interfaces and GUE's ports: what unwraps the packets of mode tun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.state.sysctl import split
from lvsdeploy.state.tunnel import GUE_MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.tunnel import TunnelLink


def changes(context: Context) -> Iterator[Change]:
    """What is missing, down, or takes other packets than it should; and what is left over."""
    desired, actual, record = context.desired, context.actual, context.record
    for name, wanted in desired.tunnels.items():
        there = actual.tunnels.get(name)
        known = name in record.tunnels
        if there is None:
            yield _link(context, wanted, Action.CREATE, "not there", known=known)
        elif wanted.differs(there):
            yield _link(context, wanted, Action.UPDATE, _shown(there, wanted), known=known, there=there)
        elif not there.up:
            yield _link(context, wanted, Action.UPDATE, "down", known=known)
    for port in sorted(desired.gue_ports - actual.gue_ports):
        yield Change(
            Kind.GUE_PORT,
            str(port),
            Action.CREATE,
            context.reason(as_recorded=port in record.gue_ports),
            f"nothing unwraps what comes to UDP port {port.port} over IPv{port.version}",
            steps=(
                Step(Phase.LINK, ("module_load", GUE_MODULE)),
                Step(Phase.LINK, ("gue_add", *port.words)),
            ),
        )
    if not context.keeps_leaving:
        yield from _left_over(context)


def _left_over(context: Context) -> Iterator[Change]:
    """Interfaces and ports of ours that nothing declares any more, neither this cluster nor another one."""
    desired, actual = context.desired, context.actual
    for name, was_up in context.record.tunnels.items():
        there = actual.tunnels.get(name)
        if name in desired.tunnels or any(name in other.tunnels for other in context.others):
            continue
        if there is None or (there.built_in and (was_up or not there.up)):
            continue
        words = ("tunnel_down", name) if there.built_in else ("tunnel_del", name, *there.words)
        step = Step(Phase.WITHDRAW, words)
        action = Action.UPDATE if there.built_in else Action.DELETE
        detail = "up, was down before lvsdeploy" if there.built_in else ""
        yield Change(Kind.TUNNEL, name, action, Reason.LEFT_OVER, detail, steps=(step,))
    for port, was_there in sorted(context.record.gue_ports.items()):
        if port in desired.gue_ports or any(port in other.gue_ports for other in context.others):
            continue
        if port in actual.gue_ports and not was_there:
            step = Step(Phase.WITHDRAW, ("gue_del", *port.words))
            yield Change(Kind.GUE_PORT, str(port), Action.DELETE, Reason.LEFT_OVER, steps=(step,))


def _link(
    context: Context,
    wanted: TunnelLink,
    action: Action,
    detail: str,
    *,
    known: bool,
    there: TunnelLink | None = None,
) -> Change:
    """The interface up, with what goes with it: a new one has no addresses and the default sysctls.

    One that is set down loses its IPv6 addresses.
    """
    name = wanted.name
    steps = [Step(Phase.LINK, ("module_load", wanted.kind.module))]
    if there is not None:
        steps.append(Step(Phase.LINK, ("tunnel_del", name, *there.words)))
    steps.append(Step(Phase.LINK, ("tunnel_add", name, *wanted.words)))
    steps.append(Step(Phase.LINK, ("tunnel_up", name)))
    steps += [
        Step(Phase.SYSCTL, ("sysctl_set", f"/proc/sys/net/ipv4/conf/{name}/{parts[1]}", str(value)))
        for key, value in context.desired.sysctls.items()
        if (parts := split(key)) is not None and parts[0] == name
    ]
    steps += [
        Step(Phase.ADDRESS, ("address_add", name, str(address.address)))
        for address in sorted(context.desired.addresses, key=str)
        if address.interface == name
    ]
    reason = context.reason(as_recorded=known)
    return Change(Kind.TUNNEL, name, action, reason, detail, steps=tuple(steps))


def _shown(there: TunnelLink, wanted: TunnelLink) -> str:
    return f"is `{' '.join(there.words)}`, declared `{' '.join(wanted.words)}`"


def makes(context: Context, key: str) -> bool:
    """Whether a sysctl is that of a tunnel interface which is not there yet, and set when it is made."""
    parts = split(key)
    return parts is not None and parts[0] in context.desired.tunnels and key not in context.actual.sysctls
