"""What keepalived, the kernel and ipvsadm of a host lack for what is declared.

What is not known is not told: a keepalived that is not installed yet, an ipvsadm that may not be asked while
ip_vs is not loaded. keepalived itself tests its configuration in the transaction, in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import features
from lvsdeploy.desired.keywords import as_numbers
from lvsdeploy.diagnostics import Severity
from lvsdeploy.plan import codes
from lvsdeploy.state.distributions import distribution_of
from lvsdeploy.state.sysctl import ipvs, of_ipvs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context

_OURS = frozenset(map(ipvs, ("expire_nodest_conn", "conn_reuse_mode")))
"""Sysctls that are set without being asked for: a kernel without them works, if not as smoothly."""


def findings(context: Context) -> Iterator[Finding]:
    """What a director lacks; of a real server nothing is asked here."""
    yield from _keepalived(context)
    yield from _kernel(context)
    yield from _ipvsadm(context)


def _keepalived(context: Context) -> Iterator[Finding]:
    there = context.facts.programs.get("keepalived", "")
    keepalived, number = f"keepalived {there}".rstrip(), features.version(there)
    built_with = context.facts.built_with.get("keepalived")
    lacking: list[str] = []  # blocks and keywords: what stands in them is lacking, too
    for need in features.of_keepalived(context.desired):
        if any(f"{need.path} ".startswith(f"{path} ") for path in lacking):
            continue
        if number is not None and number < as_numbers(need.since):
            why = f"has no {need.what} ({need.key}): it came with {need.since}"
        elif built_with is not None and (without := sorted(need.options - built_with)):
            why = f"was built without {', '.join(without)}, needed by {need.what} ({need.key})"
        else:
            continue
        lacking += [need.path] if need.path else []
        yield codes.OLD_KEEPALIVED.finding(f"{keepalived} {why}", host=context.host)


def _kernel(context: Context) -> Iterator[Finding]:
    """By modules and sysctls where they tell: distributions take features over into older kernels."""
    facts, sysctls = context.facts, context.actual.sysctls
    known = facts.modules | facts.available_modules
    if "ip_vs" not in known:
        return  # told as such
    loaded = any(of_ipvs(key) for key in sysctls)
    kernel = f"kernel {facts.kernel or 'of this host'}"
    for need in features.of_kernel(context.desired):
        asked = f" ({need.key})" + (f": it came with Linux {need.since}" if need.since else "")
        code = codes.NO_SCHEDULER if need.what.startswith("scheduler ") else codes.OLD_KERNEL
        if need.module:
            if need.module in known:
                continue
            # Where no folder of modules is seen (a container), the lack of one means little.
            severity = Severity.ERROR if facts.modules_listed else Severity.WARNING
            summary = f"{kernel} has no {need.what} ({need.module}){asked}"
        elif need.sysctl and loaded:
            if need.sysctl in sysctls:
                continue
            severity = Severity.WARNING if need.sysctl in _OURS else Severity.ERROR
            summary = f"{kernel} has no {need.what}{asked}"
        elif _is_older(facts.kernel, need.since):
            takes_over = distribution_of(facts).takes_features_over
            severity = Severity.WARNING if takes_over or need.sysctl in _OURS else Severity.ERROR
            may = ", if the distribution has not taken it over" if takes_over else ""
            summary = f"{kernel} has no {need.what}{asked}{may}"
        else:
            continue
        yield code.finding(summary, host=context.host, severity=severity)


def _ipvsadm(context: Context) -> Iterator[Finding]:
    there = context.facts.programs.get("ipvsadm", "")
    for need in features.of_ipvsadm(context.desired):
        if _is_older(there, need.since):
            yield codes.OLD_IPVSADM.finding(
                f"ipvsadm {there} knows nothing of {need.what} ({need.key}): that came with {need.since}",
                host=context.host,
            )


def _is_older(there: str, since: str) -> bool:
    number = features.version(there)
    return bool(since) and number is not None and number < as_numbers(since)
