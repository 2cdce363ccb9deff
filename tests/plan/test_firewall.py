"""Rulesets as `nft list ruleset` and `iptables -S` print them, and what they keep out."""

from __future__ import annotations

import pytest

from lvsdeploy.plan.firewall import Packet, refusal

VRRP = Packet(("vrrp", "112"))
IPIP = Packet(("ipencap", "4"))


def nft(*rules: str, policy: str = "drop", family: str = "inet") -> list[str]:
    body = "\n".join(f"\t\t{rule}" for rule in rules)
    text = (
        f"table {family} filter {{\n\tchain input {{\n"
        f"\t\ttype filter hook input priority filter; policy {policy};\n{body}\n\t}}\n}}\n"
    )
    return text.splitlines()


USUAL = ("ct state established,related accept", 'iifname "lo" accept', "tcp dport 22 accept")


@pytest.mark.parametrize(
    ("rules", "policy", "why"),
    [
        (USUAL, "drop", "policy drop, and no rule accepts it"),
        ((*USUAL, "icmp type echo-request accept"), "drop", "policy drop, and no rule accepts it"),
        (("ct state vmap { established : accept, invalid : drop }",), "drop", "policy drop"),
        (("ip protocol 112 drop",), "accept", "ip protocol 112 drop"),
        (("ip protocol vrrp counter packets 9 bytes 360 drop",), "accept", "ip protocol vrrp"),
        (("meta l4proto { 112, 4 } reject",), "accept", "meta l4proto"),
        (
            ("tcp dport 22 accept", "counter packets 7 bytes 9 reject with icmpx admin-prohibited"),
            "accept",
            "",
        ),
        (("ip protocol != 112 accept",), "drop", "policy drop"),
    ],
)
def test_what_keeps_vrrp_out(rules: tuple[str, ...], policy: str, why: str) -> None:
    said = refusal("nft", nft(*rules, policy=policy), VRRP)
    assert said.startswith("chain input of table inet filter: ")
    assert why in said


@pytest.mark.parametrize(
    ("rules", "policy"),
    [
        (USUAL, "accept"),
        ((*USUAL, "ip protocol 112 accept"), "drop"),
        ((*USUAL, "meta l4proto 112 accept"), "drop"),
        ((*USUAL, "ip saddr 192.0.2.3 accept"), "drop"),
        ((*USUAL, "ip protocol != 47 accept"), "drop"),
        (("ip saddr 198.51.100.0/24 drop",), "accept"),
        (("ip protocol 112 ip saddr 198.51.100.9 drop",), "accept"),
        (("ip protocol 4 drop",), "accept"),
        (("ct state vmap { established : accept, new : accept }",), "drop"),
        (("iifname vmap { eth0 : jump lan }",), "drop"),
        (("jump somewhere-else",), "drop"),
    ],
)
def test_what_may_let_vrrp_in(rules: tuple[str, ...], policy: str) -> None:
    assert refusal("nft", nft(*rules, policy=policy), VRRP) == ""


def test_only_the_family_counts() -> None:
    assert refusal("nft", nft(family="ip6"), VRRP) == ""
    assert refusal("nft", nft(family="ip6"), Packet(("vrrp", "112"), 6)) != ""
    assert refusal("nft", nft(family="arp"), VRRP) == ""


def test_a_forward_chain_is_not_asked() -> None:
    lines = [line.replace("hook input", "hook forward") for line in nft()]
    assert refusal("nft", lines, VRRP) == ""


def test_jumps_are_followed() -> None:
    inner = ["\tchain zones {", "\t\tip protocol 112 accept", "\t}"]
    lines = nft("jump zones", "reject", policy="accept")
    assert refusal("nft", [lines[0], *inner, *lines[1:]], VRRP) == ""
    inner[1] = "\t\ttcp dport 22 accept"
    assert "reject" in refusal("nft", [lines[0], *inner, *lines[1:]], VRRP)
    inner[1] = "\t\tjump zones"  # round and round
    assert refusal("nft", [lines[0], *inner, *lines[1:]], VRRP) == ""


def test_each_protocol_by_its_own() -> None:
    lines = nft(*USUAL, "ip protocol 112 accept")
    assert refusal("nft", lines, VRRP) == ""
    assert "policy drop" in refusal("nft", lines, IPIP)


IPTABLES = """\
-P INPUT DROP
-P FORWARD ACCEPT
-N own
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -j LOG
-A INPUT -j own
"""


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("", True),
        ("-A own -p udp -m udp --dport 53 -j ACCEPT", True),
        ("-A own -p vrrp -j ACCEPT", False),
        ("-A own -p 112 -j ACCEPT", False),
        ("-A own -s 192.0.2.3/32 -j ACCEPT", False),
        ("-A own ! -p tcp -j ACCEPT", False),
        ("-A own -j ACCEPT", False),
        ("-A own -p vrrp -j DROP", True),
    ],
)
def test_iptables(rule: str, *, refused: bool) -> None:
    assert bool(refusal("iptables", [*IPTABLES.splitlines(), rule], VRRP)) is refused


GUE = Packet(("udp", "17"), port=6080)


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("", True),
        ("udp dport 6080 accept", False),
        ("udp dport { 53, 6000-6100 } accept", False),
        ("udp dport { 53, 6081 } accept", True),
        ("tcp dport 6080 accept", True),
        ("th dport 6080 accept", False),
        ("udp dport != 53 accept", False),
        ("udp dport != 6080 accept", True),
        ("udp dport @tunnels accept", False),
        ("meta l4proto udp accept", False),
        ("ip saddr 192.0.2.2 udp dport 6080 accept", False),
        ("ip protocol 112 accept", True),
    ],
)
def test_a_port_of_udp(rule: str, *, refused: bool) -> None:
    assert bool(refusal("nft", nft(*USUAL, *([rule] if rule else [])), GUE)) is refused


def test_a_rule_that_drops_a_port_of_udp() -> None:
    assert "udp dport 6080 drop" in refusal("nft", nft("udp dport 6080 drop", policy="accept"), GUE)
    assert refusal("nft", nft("udp dport 6081 drop", policy="accept"), GUE) == ""
    assert refusal("nft", nft("ip saddr 192.0.2.9 udp dport 6080 drop", policy="accept"), GUE) == ""


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("-A own -p udp -m udp --dport 6080 -j ACCEPT", False),
        ("-A own -p udp -m udp --dport 53 -j ACCEPT", True),
        ("-A own -p udp -m multiport --dports 53,6000:6100 -j ACCEPT", False),
        ("-A own -p tcp -m tcp --dport 6080 -j ACCEPT", True),
        ("-A own -p udp -m udp --sport 6080 -j ACCEPT", True),
        ("-A own -p udp -m udp ! --dport 53 -j ACCEPT", False),
    ],
)
def test_a_port_of_udp_by_iptables(rule: str, *, refused: bool) -> None:
    assert bool(refusal("iptables", [*IPTABLES.splitlines(), rule], GUE)) is refused


def test_iptables_says_nothing_of_ipv6() -> None:
    assert refusal("iptables", IPTABLES.splitlines(), VRRP) != ""
    assert refusal("iptables", IPTABLES.splitlines(), Packet(("vrrp", "112"), 6)) == ""


@pytest.mark.parametrize("kind", ["nft", "iptables"])
@pytest.mark.parametrize(
    "text", ["", "}", "table", "table inet", "chain x {", "-P", "-A", "-A INPUT -j", "\x00"]
)
def test_nonsense_says_nothing(kind: str, text: str) -> None:
    assert refusal(kind, [text] * 3, VRRP) == ""
