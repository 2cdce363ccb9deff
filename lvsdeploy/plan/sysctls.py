"""Sysctls, compared as they take effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.plan import codes, tunnels
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.state.sysctl import COMBINED, conf, effective, is_met, of_ipvs, path_of, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.sysctl import Value


def changes(context: Context) -> Iterator[Change]:
    """Sysctls whose effective value is not the declared one.

    An interface's value that will be right once `conf.all` is, is mended by `conf.all` alone. A key that the
    host does not have is a finding.
    """
    wanted_keys = context.desired.sysctls
    now = context.actual.sysctls
    after_all = {**now, **{key: value for key, value in wanted_keys.items() if _is_base(key)}}
    yield from _left_over(context)
    yield from _not_loaded(context)
    for key, wanted in wanted_keys.items():
        in_effect = effective(now, key)
        if (
            in_effect is None
            or is_met(key, wanted, in_effect)
            or (not _is_base(key) and effective(after_all, key) == wanted)
        ):
            continue
        yield Change(
            Kind.SYSCTL,
            key,
            Action.UPDATE,
            context.reason(as_recorded=_recorded(context, key) == wanted),
            f"{_shown(context, key)}, declared {wanted}",
            steps=(Step(Phase.SYSCTL, ("sysctl_set", path_of(key), str(wanted))),),
        )


def _not_loaded(context: Context) -> Iterator[Change]:
    """Sysctls of ip_vs, where it is not loaded yet."""
    if any(of_ipvs(key) for key in context.actual.sysctls):
        return
    for key, wanted in context.desired.sysctls.items():
        if of_ipvs(key):
            yield Change(
                Kind.SYSCTL,
                key,
                Action.UPDATE,
                context.reason(as_recorded=_recorded(context, key) == wanted),
                f"ip_vs is not loaded yet, declared {wanted}",
                steps=(Step(Phase.SYSCTL, ("sysctl_of_module", "ip_vs", path_of(key), str(wanted))),),
            )


def _left_over(context: Context) -> Iterator[Change]:
    """Values of ours that nothing declares any more, neither this cluster nor another one on this host."""
    if context.staying:
        return  # they hide these VIPs from ARP
    now = context.actual.sysctls
    for key, recorded in context.record.sysctls.items():
        if key in context.desired.sysctls or any(key in other.sysctls for other in context.others):
            continue
        # A value that is neither is somebody else's by now.
        if recorded.before is not None and now.get(key) == recorded.value != recorded.before:
            yield Change(
                Kind.SYSCTL,
                key,
                Action.UPDATE,
                Reason.LEFT_OVER,
                f"is {recorded.value}, was {recorded.before} before lvsdeploy",
                steps=(Step(Phase.SYSCTL, ("sysctl_set", path_of(key), str(recorded.before))),),
            )


def findings(context: Context) -> Iterator[Finding]:
    """Interfaces that the host does not have, and keys: mostly those of such an interface."""
    lacking = [
        key
        for key in context.desired.sysctls
        if key not in context.actual.sysctls and not tunnels.makes(context, key)
    ]
    links = context.facts.links
    named = {key: parts[0] for key in lacking if (parts := split(key)) is not None}
    gone = {interface for interface in named.values() if interface != "all" and interface not in links}
    gone |= context.desired.interfaces - links.keys()
    for interface in sorted(gone):
        there = ", ".join(sorted(links.keys() - {"lo"})) or "none but lo"
        yield codes.NO_INTERFACE.finding(
            f"the host has no interface {interface}; it has {there}", host=context.host
        )
    for key in lacking:
        if of_ipvs(key):
            continue  # the module is loaded with the change; an old kernel may lack one or the other
        if named.get(key) not in gone:
            yield codes.UNREAD.finding(f"sysctl {key} could not be read", host=context.host)


def _recorded(context: Context, key: str) -> Value | None:
    recorded = context.record.sysctls.get(key)
    return None if recorded is None else recorded.value


def _is_base(key: str) -> bool:
    parts = split(key)
    return parts is None or parts[0] == "all"


def _shown(context: Context, key: str) -> str:
    now = context.actual.sysctls
    value = effective(now, key)
    parts = split(key)
    if parts is None or parts[0] == "all" or parts[1] not in COMBINED:
        return f"is {value}"
    interface, name = parts
    return f"takes effect as {value} (conf.all {now.get(conf('all', name))}, conf.{interface} {now.get(key)})"
