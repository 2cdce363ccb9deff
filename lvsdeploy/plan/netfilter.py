"""The cluster's netfilter rules in the kernel against the declared ones.

All of them are exchanged at once. Rules that are new come before keepalived gets to know what they are for,
and rules that go stay until it has forgotten: in between, both are there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import rules_path
from lvsdeploy.inventory.model import IPV4, IPV6
from lvsdeploy.plan.change import Action, Change, Kind, Phase, Reason, Step
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.netfilter import (
    ClampMss,
    Firewall,
    Mark,
    Masquerade,
    chain_name,
    grouped,
    table_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.netfilter import Rule, Ruleset


def changes(context: Context) -> Iterator[Change]:
    """Rules to load, or those that are left over; one change, whatever differs."""
    wanted, there = context.desired.netfilter, context.actual.netfilter
    if wanted == there:
        return
    if wanted is None:
        assert there is not None  # noqa: S101 — one of the two is
        yield Change(
            Kind.NETFILTER,
            _name(context, there.program),
            Action.DELETE,
            Reason.LEFT_OVER,
            steps=tuple(_removal(context, there)),
        )
        return
    yield Change(
        Kind.NETFILTER,
        _name(context, wanted.program),
        Action.CREATE if there is None else Action.UPDATE,
        context.reason(as_recorded=_as_recorded(context)),
        "not in the kernel" if there is None else _detail(wanted, there),
        steps=tuple(_steps(context, wanted, there)),
    )


def _as_recorded(context: Context) -> bool:
    """Whether the very rules were declared at the last apply: their files tell."""
    kinds = ("nft", "v4", "v6")
    paths = {rules_path(context.cluster, kind) for kind in kinds} & context.desired.files.keys()
    return all(context.record.digests.get(path) == context.desired.files[path].digest for path in paths)


def _name(context: Context, program: Firewall) -> str:
    if program is Firewall.NFT:
        return f"table inet {table_name(context.cluster)}"
    return f"chains {chain_name(context.cluster)} of iptables"


def _detail(wanted: Ruleset, there: Ruleset) -> str:
    parts = [f"missing: {rule}" for rule in _told(there.lacks(wanted))]
    parts += [f"not declared: {rule}" for rule in _told(wanted.lacks(there))]
    parts += [f"not ours: `{line}`" for line in there.strange]
    if wanted.program is not there.program:
        parts.append(f"loaded with {there.program}")
    return "; ".join(parts)


def _told(rules: Sequence[Rule]) -> Iterator[str]:
    yield from map(str, grouped(rule for rule in rules if isinstance(rule, Mark)))
    yield from (str(rule) for rule in rules if not isinstance(rule, Mark))


def _steps(context: Context, wanted: Ruleset, there: Ruleset | None) -> Iterator[Step]:
    going = wanted.lacks(there) if there is not None and there.program is wanted.program else ()
    if going:
        yield from _loading(context, Phase.NETFILTER, _with(wanted, going), there)
        yield from _loading(context, Phase.RELEASE, wanted, there)
        return
    yield from _loading(context, Phase.NETFILTER, wanted, there)
    if there is not None and there.program is not wanted.program:
        yield from _removal(context, there)


def _with(rules: Ruleset, going: Sequence[Rule]) -> Ruleset:
    """The rules, then those that are about to go: of two marks for the same packets the last one counts."""
    return replace(
        rules,
        marks=(*rules.marks, *(rule for rule in going if isinstance(rule, Mark))),
        masquerades=(*rules.masquerades, *(rule for rule in going if isinstance(rule, Masquerade))),
        clamps=(*rules.clamps, *(rule for rule in going if isinstance(rule, ClampMss))),
    )


def _loading(context: Context, phase: Phase, rules: Ruleset, there: Ruleset | None) -> Iterator[Step]:
    if rules.program is Firewall.NFT:
        name = table_name(context.cluster)
        yield Step(phase, ("netfilter_load", "nft", name), nft.render(name, rules).encode())
        return
    name = chain_name(context.cluster)
    for version in (IPV4, IPV6):
        # Where the host has no IPv6, ip6tables may not even start.
        if rules.has_family(version) or (there is not None and _may_have(there, version)):
            content = iptables.render(name, rules, version).encode()
            yield Step(phase, ("netfilter_load", iptables.PROGRAMS[version], name), content)


def _removal(context: Context, there: Ruleset) -> Iterator[Step]:
    if there.program is Firewall.NFT:
        yield Step(Phase.RELEASE, ("netfilter_remove", "nft", table_name(context.cluster)))
        return
    for version in (IPV4, IPV6):
        if _may_have(there, version):
            program = iptables.PROGRAMS[version]
            yield Step(Phase.RELEASE, ("netfilter_remove", program, chain_name(context.cluster)))


def _may_have(there: Ruleset, version: int) -> bool:
    """Strange lines do not tell of which family they are."""
    return there.has_family(version) or bool(there.strange) or not there.rules
