"""The cluster's netfilter rules: what differs, in words, and the steps that mend it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.model import IPV4, IPV6, Protocol
from lvsdeploy.plan.change import Change, Kind, Phase
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.netfilter import ClampMss, Firewall, Mark, Ruleset
from tests.desired import clusters
from tests.plan.hosts import FACTS, changed, converged, declared_anew, given_up, plan, untouched

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.context import Context

NAME = "lvsdeploy-shop"
MARKS = clusters.marks()
FEWER = replace(MARKS, services=MARKS.services[1:])
OTHER = replace(MARKS, services=(replace(MARKS.services[0], port_ranges=((80, 80), (8443, 8443))),))
WITH_IPTABLES = replace(FACTS, firewall=Firewall.IPTABLES)
LVS = converged(MARKS, "lvs1")
OLD = converged(MARKS, "lvs1", WITH_IPTABLES)
RULES = LVS.desired.netfilter


def the_change(context: Context) -> Change:
    (change,) = (c for c in plan(context).changes if c.kind is Kind.NETFILTER)
    return change


def loads(change: Change) -> list[tuple[Phase, str, Ruleset | None]]:
    """(when, with what program, which rules) of each step."""
    found = []
    for step in change.steps:
        function, program, name = step.words
        assert name == NAME
        text = (step.content or b"").decode()
        read = nft.parse(NAME, text) if program == "nft" else iptables.parse(NAME, text)
        assert (function == "netfilter_remove") == (step.content is None)
        found.append((step.phase, program, read))
    return found


def test_nothing_to_do() -> None:
    assert not plan(LVS).changes
    assert not plan(OLD).changes


def test_new_rules_come_before_keepalived_is_started() -> None:
    change = the_change(untouched(MARKS, "lvs1"))
    assert change.name == f"table inet {NAME}"
    assert change.detail == "not in the kernel"
    assert loads(change) == [(Phase.NETFILTER, "nft", RULES)]
    assert Phase.SYSCTL < Phase.NETFILTER < Phase.UNIT
    steps = [step.words for step in plan(untouched(MARKS, "lvs1")).steps()]
    assert ("install_package", "apt-get", "nftables") in steps
    assert ("unit_enable", "lvsdeploy-shop") in steps
    assert [s.title for s in change.steps] == [f"load the netfilter rules {NAME} with nft"]


def test_what_somebody_changed_is_told_and_mended_at_once() -> None:
    assert RULES is not None
    drifted = Ruleset.of(
        Firewall.NFT,
        [*RULES.rules[1:], Mark(ip_address("192.0.2.9"), Protocol.UDP, (), 1)],
        ["tcp dport 22 drop"],
    )
    change = the_change(changed(LVS, netfilter=drifted))
    assert change.detail == (
        "missing: mark 7 for tcp to 192.0.2.50, ports 80, 443; "
        "not declared: mark 1 for udp to 192.0.2.9, ports all; not ours: `tcp dport 22 drop`"
    )
    assert [phase for phase, _, _ in loads(change)] == [Phase.NETFILTER, Phase.RELEASE]
    only_strange = the_change(changed(LVS, netfilter=replace(RULES, strange=("tcp dport 22 drop",))))
    assert loads(only_strange) == [(Phase.NETFILTER, "nft", RULES)]


@pytest.mark.parametrize("cluster", [FEWER, OTHER])
def test_rules_that_go_stay_until_keepalived_has_forgotten_them(cluster: Cluster) -> None:
    context = declared_anew(LVS, cluster)
    first, last = loads(the_change(context))
    assert (first[0], last[0]) == (Phase.NETFILTER, Phase.RELEASE)
    assert Phase.SETTLE < Phase.RELEASE
    assert RULES is not None
    assert first[2] is not None
    assert set(RULES.masquerades) <= set(first[2].masquerades)
    for mark in RULES.marks:  # of two for the same packets the last one counts
        assert any(m.mark == mark.mark and set(mark.ports) <= set(m.ports) for m in first[2].marks)
    assert last[2] == context.desired.netfilter


def test_until_then_packets_get_the_mark_that_the_table_knows() -> None:
    again = replace(MARKS, services=(replace(MARKS.services[0], fwmark=3), *MARKS.services[1:]))
    change = the_change(declared_anew(LVS, again))
    for step in change.steps:
        lines = [
            line for line in (step.content or b"").decode().splitlines() if "192.0.2.50 tcp dport {" in line
        ]
        last = lines[-1].split()[-1] if step.phase is Phase.NETFILTER else "0x00000007"
        assert last == "0x00000007"
    assert len(change.steps) == 2


def test_left_over_rules_go_last() -> None:
    assert loads(the_change(given_up(LVS))) == [(Phase.RELEASE, "nft", None)]
    change = the_change(given_up(OLD))
    assert loads(change) == [(Phase.RELEASE, "iptables", None), (Phase.RELEASE, "ip6tables", None)]
    assert change.name == f"chains {NAME} of iptables"
    assert change.steps[0].title == f"remove the netfilter rules {NAME} with iptables"


def test_iptables_loads_each_family() -> None:
    change = the_change(changed(OLD, netfilter=None))
    assert [program for _, program, _ in loads(change)] == ["iptables", "ip6tables"]
    rules = OLD.desired.netfilter
    assert rules is not None
    assert [step.content for step in change.steps] == [
        iptables.render(NAME, rules, version).encode() for version in (IPV4, IPV6)
    ]
    # Where nothing is of IPv6, and nothing was, ip6tables need not even be there.
    four = replace(MARKS, services=MARKS.services[1:])
    alone = the_change(changed(converged(four, "lvs1", WITH_IPTABLES), netfilter=None))
    assert [program for _, program, _ in loads(alone)] == ["iptables"]


def test_rules_that_were_loaded_by_the_other_program_go_after_the_new_ones() -> None:
    assert RULES is not None
    with_other = replace(RULES, program=Firewall.IPTABLES)
    change = the_change(changed(LVS, netfilter=with_other))
    assert loads(change) == [
        (Phase.NETFILTER, "nft", RULES),
        (Phase.RELEASE, "iptables", None),
        (Phase.RELEASE, "ip6tables", None),
    ]
    assert change.detail == "loaded with iptables"


def test_a_family_of_nothing_known_is_cleaned_as_well() -> None:
    """A strange line does not tell of which family it is."""
    rules = OLD.desired.netfilter
    assert rules is not None
    four = Ruleset.of(Firewall.IPTABLES, [m for m in rules.marks if m.address.version == 4])
    found = replace(four, strange=("-A lvsdeploy-shop-in -j DROP",))
    context = converged(FEWER, "lvs1", WITH_IPTABLES)
    assert [p for _, p, _ in loads(the_change(changed(context, netfilter=found)))][:2] == [
        "iptables",
        "ip6tables",
    ]


def test_clamps_are_rules_like_others() -> None:
    """Nothing here is about directors alone."""
    clamp = Ruleset.of(Firewall.NFT, [ClampMss(ip_address("192.0.2.50"), 1400)])
    goal = replace(LVS.goal, state=replace(LVS.desired, netfilter=clamp))
    first, _last = loads(the_change(replace(LVS, goal=goal)))
    assert first[2] is not None
    assert first[2].clamps == clamp.clamps
