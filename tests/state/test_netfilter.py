"""Netfilter rules as text: what is written is read back, also by way of the kernel."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings

from lvsdeploy.inventory.model import IPV4, IPV6, Protocol
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.netfilter import (
    ClampMss,
    Firewall,
    Mark,
    Masquerade,
    Ruleset,
    chain_name,
    joined,
    table_name,
)
from tests.state.made_up import rulesets

NAME = "lvsdeploy-shop"
VIP, VIP6 = ip_address("192.0.2.50"), ip_address("2001:db8::50")


def works(*probe: str) -> bool:
    """Whether this kernel takes such rules; it may lack the modules."""
    if shutil.which(probe[0]) is None:
        return False
    return subprocess.run(["unshare", "-n", *probe], check=False, capture_output=True).returncode == 0


needs_nft = pytest.mark.skipif(
    not works("nft", "add table inet x"), reason="needs root, nft and a kernel with nf_tables"
)
needs_iptables = pytest.mark.skipif(
    not works("iptables", "-t", "mangle", "-S"), reason="needs root, iptables and a kernel that has it"
)
from_the_kernel = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(rulesets(Firewall.NFT))
def test_nft_reads_what_it_writes(rules: Ruleset) -> None:
    assert nft.parse(NAME, nft.render(NAME, rules)) == rules


@given(rulesets(Firewall.IPTABLES))
def test_iptables_reads_what_it_writes(rules: Ruleset) -> None:
    texts = [iptables.render(NAME, rules, version) for version in (IPV4, IPV6)]
    assert iptables.parse(NAME, *texts) == (rules if rules.rules else None)


@needs_nft
@pytest.mark.parametrize("option", ["", "-nn"])
@from_the_kernel
@given(rulesets(Firewall.NFT))
def test_nft_reads_what_the_kernel_shows(option: str, rules: Ruleset) -> None:
    script = f"nft -f - && nft {option} list table inet {NAME}"
    assert nft.parse(NAME, in_a_network(script, nft.render(NAME, rules))) == rules


@needs_iptables
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@from_the_kernel
@given(rulesets(Firewall.IPTABLES))
def test_iptables_reads_what_the_kernel_shows(variant: str, rules: Ruleset) -> None:
    texts = [
        in_a_network(
            f"{program}-{variant}-restore --noflush && {program}-{variant}-save",
            iptables.render(NAME, rules, version),
        )
        for version, program in iptables.PROGRAMS.items()
    ]
    assert iptables.parse(NAME, *texts) == (rules if rules.rules else None)


def in_a_network(script: str, text: str) -> str:
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + text
    return done.stdout


def test_marks_of_one_kind_are_one() -> None:
    rules = [
        Mark(VIP, Protocol.TCP, ((443, 443), (80, 80)), 7),
        Mark(VIP, Protocol.TCP, ((81, 90),), 7),
        Mark(VIP, Protocol.UDP, ((0, 65535),), 7),
        Mark(VIP, Protocol.SCTP, ((1, 2),), 7),
        Mark(VIP, Protocol.SCTP, (), 7),
    ]
    assert [str(mark) for mark in Ruleset.of(Firewall.NFT, rules).marks] == [
        "mark 7 for sctp to 192.0.2.50, ports all",
        "mark 7 for tcp to 192.0.2.50, ports 80-90, 443",
        "mark 7 for udp to 192.0.2.50, ports all",
    ]
    assert joined([(5, 9), (1, 4), (11, 11)]) == ((1, 9), (11, 11))


GOOD_NFT = nft.render(NAME, Ruleset.of(Firewall.NFT, [Mark(VIP, Protocol.TCP, ((80, 80),), 7)]))


@pytest.mark.parametrize(
    ("before", "after", "strange"),
    [
        ("policy accept", "policy drop", "type filter hook prerouting priority -150; policy drop;"),
        ("prerouting", "input", "type filter hook input priority -150; policy accept;"),
        ("tcp dport 80", "tcp dport 81-80", "ip daddr 192.0.2.50 tcp dport 81-80 meta mark set 0x00000007"),
        ("tcp dport 80", "tcp dport 65536", "ip daddr 192.0.2.50 tcp dport 65536 meta mark set 0x00000007"),
        ("        ip daddr", "        tcp dport 22 drop\n        ip daddr", "tcp dport 22 drop"),
        (
            "    chain marking {",
            "    set them {\n        type mark\n    }\n    chain marking {",
            "set them {",
        ),
        ("chain marking", "chain theirs", "chain theirs {"),
        ("chain marking", "chain masquerading", "ip daddr 192.0.2.50 tcp dport 80 meta mark set 0x00000007"),
    ],
)
def test_what_is_not_ours_in_an_nft_table_is_strange(before: str, after: str, strange: str) -> None:
    assert before in GOOD_NFT
    found = nft.parse(NAME, GOOD_NFT.replace(before, after))
    assert found is not None
    assert strange in found.strange


def test_a_chain_without_a_hook_is_strange() -> None:
    text = "\n".join(line for line in GOOD_NFT.splitlines() if "hook" not in line)
    found = nft.parse(NAME, text)
    assert found is not None
    assert found.strange == ("chain marking without a hook",)


def test_no_table_is_none() -> None:
    assert nft.parse(NAME, "") is None
    assert nft.parse(NAME, GOOD_NFT.replace(NAME, "lvsdeploy-other")) is None
    empty = nft.parse(NAME, f"table inet {NAME} {{\n}}\n")
    assert empty == Ruleset(Firewall.NFT)


GOOD_IPTABLES = iptables.render(
    NAME, Ruleset.of(Firewall.IPTABLES, [Mark(VIP, Protocol.TCP, ((80, 80), (90, 95)), 7)]), IPV4
)


@pytest.mark.parametrize(
    ("before", "after", "strange"),
    [
        (f"-A PREROUTING -j {NAME}-in\n", "", f"no jump to {NAME}-in"),
        ("-A PREROUTING", "-A INPUT", f"-A INPUT -j {NAME}-in"),
        ("-A PREROUTING", "-A PREROUTING -s 10.0.0.1/32", f"-A PREROUTING -s 10.0.0.1/32 -j {NAME}-in"),
        ("COMMIT", f"-A PREROUTING -j {NAME}-in\nCOMMIT", f"-A PREROUTING -j {NAME}-in"),
        ("COMMIT", f"-A {NAME}-in -j DROP\nCOMMIT", f"-A {NAME}-in -j DROP"),
        ("COMMIT", f"-A {NAME}-in -s 1.2.3.4/99 -j DROP\nCOMMIT", f"-A {NAME}-in -s 1.2.3.4/99 -j DROP"),
        ("*mangle", "*raw", f"-A PREROUTING -j {NAME}-in"),
    ],
)
def test_what_is_not_ours_in_our_chains_is_strange(before: str, after: str, strange: str) -> None:
    assert before in GOOD_IPTABLES
    found = iptables.parse(NAME, GOOD_IPTABLES.replace(before, after))
    assert found is not None
    assert strange in found.strange


def test_others_chains_are_read_over() -> None:
    others = GOOD_IPTABLES.replace(NAME, "lvsdeploy-shop-2").replace("COMMIT", "-A INPUT -j DROP\nCOMMIT")
    assert iptables.parse(NAME, others) is None
    both = iptables.parse(NAME, GOOD_IPTABLES + others)
    assert both == iptables.parse(NAME, GOOD_IPTABLES)
    assert both is not None
    assert both.strange == ()


def test_many_addresses_are_few_rules() -> None:
    """Each packet meets each rule."""
    addresses = [ip_address(f"198.51.100.{n}") for n in (1, *range(10, 200), 250)]
    rules = Ruleset.of(Firewall.NFT, [Mark(a, Protocol.TCP, ((80, 80), (443, 443)), 7) for a in addresses])
    (line,) = (line.strip() for line in nft.render(NAME, rules).splitlines() if "mark set" in line)
    which = "{ 198.51.100.1, 198.51.100.10-198.51.100.199, 198.51.100.250 }"
    assert line == f"ip daddr {which} tcp dport {{ 80, 443 }} meta mark set 0x00000007"
    text = iptables.render(NAME, rules, IPV4)
    several = "-m iprange --dst-range 198.51.100.10-198.51.100.199"
    assert [line.split(" -j ")[0] for line in text.splitlines() if "xmark" in line] == [
        f"-A {NAME}-in -d 198.51.100.1/32 -p tcp -m multiport --dports 80,443",
        f"-A {NAME}-in -p tcp {several} -m multiport --dports 80,443",
        f"-A {NAME}-in -d 198.51.100.250/32 -p tcp -m multiport --dports 80,443",
    ]


def test_no_more_addresses_are_believed_than_anybody_declares() -> None:
    everybody = GOOD_NFT.replace("192.0.2.50", "0.0.0.0/0")
    found = nft.parse(NAME, everybody)
    assert found is not None
    assert found.marks == ()
    assert found.strange == ("ip daddr 0.0.0.0/0 tcp dport 80 meta mark set 0x00000007",)
    backwards = nft.parse(NAME, GOOD_NFT.replace("192.0.2.50", "192.0.2.50-192.0.2.40"))
    assert backwards is not None
    assert backwards.marks == ()


def test_what_a_ruleset_lacks() -> None:
    mark = Mark(VIP, Protocol.TCP, ((80, 80),), 7)
    clamp = ClampMss(VIP6, 1400)
    masquerade = Masquerade(VIP, ip_network("10.2.0.0/24"))
    wanted = Ruleset.of(Firewall.NFT, [mark, clamp, masquerade])
    assert wanted.has_family(6)
    assert not Ruleset.of(Firewall.NFT, [mark]).has_family(6)
    assert Ruleset.of(Firewall.NFT, [mark]).lacks(wanted) == (masquerade, clamp)
    assert [str(rule) for rule in wanted.rules] == [
        "mark 7 for tcp to 192.0.2.50, ports 80",
        "masquerade 10.2.0.0/24 on the way to 192.0.2.50",
        "MSS of 2001:db8::50 at most 1400",
    ]


def test_names_fit_the_kernel() -> None:
    longest = "a" * 31
    assert chain_name("shop") == table_name("shop") == NAME
    assert len(f"{chain_name(longest)}-nat") == 28
    assert chain_name(longest) != chain_name("a" * 30)
