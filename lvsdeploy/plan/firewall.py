"""Whether a host's firewall lets in what LVS needs, as far as its rules tell.

Only what is plain counts: an input chain that drops by default (or in its last rule) and has nothing that
could let the packet in, or a rule that drops the protocol by its name. Whatever might accept it settles the
question: a false alarm costs more trust than a missed one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
_REFUSE = {"drop", "reject"}
_OTHERS = re.compile(
    r"\b(?:tcp|udp|udplite|sctp|dccp) (?:dport|sport|flags)|\bicmp(?:v6)? |\bth dport"
    r"|\bct state (?!.*\bnew\b)|\biif(?:name)? \"?lo\b"
)
"""Matches that a packet of another protocol, or the first of a peer, never passes."""
_PROTOCOL = re.compile(r"\b(?:ip protocol|ip6 nexthdr|meta l4proto) (!= )?(\{[^}]*\}|\S+)")
_PORTS = re.compile(r"\b(tcp|udp|th) dport (!= )?(\{[^}]*\}|\S+)")
_NUMBER = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_MOST_JUMPS = 50


@dataclass(frozen=True)
class Packet:
    """What should come in: an IP protocol by all its names, from any of some hosts, over IPv4 or IPv6."""

    names: tuple[str, ...]  # such as ("vrrp", "112")
    version: int = 4
    port: int = 0  # of UDP; 0: a protocol that has none


@dataclass
class _Chain:
    hook: str = ""
    policy: str = "accept"
    rules: list[str] = field(default_factory=list)


def refusal(kind: str, lines: Iterable[str], packet: Packet) -> str:
    """The words of the rule or policy that keeps `packet` out; "" when nothing plainly does.

    `iptables -S` is about IPv4 alone.
    """
    if kind == "iptables" and packet.version != IPV4:
        return ""
    chains = _of_iptables(lines) if kind == "iptables" else _of_nft(lines, _FAMILIES[packet.version])
    for (table, name), chain in chains.items():
        if chain.hook != "input":
            continue
        verdict, why = _walk(chains, table, chain, packet, set())
        if verdict == "refused":
            return f"chain {name} of table {table}: {why}"
    return ""


def _walk(
    chains: dict[tuple[str, str], _Chain], table: str, chain: _Chain, packet: Packet, seen: set[str]
) -> tuple[str, str]:
    """(`accepted` when something may accept it, `refused`, or `` when the chain ends), and by which words."""
    for rule in chain.rules:
        fits = _fits(rule, packet)
        if fits == "no":
            continue
        words = _verdict(rule)
        if words[:1] == ["accept"] or words[:1] == ["unknown"]:
            return "accepted", rule
        if words and words[0] in _REFUSE and fits == "surely":
            return "refused", rule
        if len(words) > 1 and words[0] in ("jump", "goto") and len(seen) < _MOST_JUMPS:
            target = chains.get((table, words[1]))
            if target is None or words[1] in seen:
                return "accepted", rule
            verdict, why = _walk(chains, table, target, packet, {*seen, words[1]})
            if verdict == "accepted" or (verdict == "refused" and fits == "surely"):
                return verdict, why
    if chain.hook and chain.policy == "drop":
        return "refused", "policy drop, and no rule accepts it"
    return "", ""


def _fits(rule: str, packet: Packet) -> str:
    """Whether the rule is about the packet: `no`, `maybe`, `surely` (it has no match, or this protocol's)."""
    if packet.port and (ports := _PORTS.search(rule)):
        inside = _among(ports[3], packet.port)
        if inside is None:
            return "maybe"
        if ports[1] == "tcp" or inside is bool(ports[2]):
            return "no"
        rule = _PORTS.sub("", rule)
    if _OTHERS.search(rule):
        return "no"
    named = _PROTOCOL.search(rule)
    if named is None:
        return "surely" if _is_bare(rule) else "maybe"
    those = {word.strip('", {}') for word in named[2].replace(",", " ").split()}
    inside = bool(those & set(packet.names)) != bool(named[1])
    if not inside:
        return "no"
    return "surely" if _is_bare(_PROTOCOL.sub("", rule)) else "maybe"


def _among(ports: str, port: int) -> bool | None:
    """Whether a port is one of `6080`, `6000-6100`, `{ 53, 6080 }`; None for a set by its name."""
    found = [_NUMBER.fullmatch(word) for word in ports.strip("{} ").replace(",", " ").split()]
    ranges = [(int(match[1]), int(match[2] or match[1])) for match in found if match]
    if len(ranges) < len(found):
        return None
    return any(first <= port <= last for first, last in ranges)


def _is_bare(rule: str) -> bool:
    """Whether a rule has no match: counters, logs, comments and a verdict alone."""
    rule = re.sub(r'counter( packets \d+ bytes \d+)?|log( prefix "[^"]*")?|comment "[^"]*"', "", rule)
    first = rule.split()[:1]
    return not first or first[0] in {"accept", "drop", "reject", "jump", "goto", "return", "unknown"}


def _verdict(rule: str) -> list[str]:
    match = re.search(r"\b(accept|drop|reject|return|unknown)\b|\b(jump|goto) (\S+)", rule)
    if match is None:
        return []
    return [match[2], match[3]] if match[2] else [match[1]]


def _of_nft(lines: Iterable[str], families: tuple[str, ...]) -> dict[tuple[str, str], _Chain]:
    """`nft list ruleset`: tables of these families."""
    chains: dict[tuple[str, str], _Chain] = {}
    table, current = "", None
    for line in lines:
        words = line.split()
        if line.startswith("table ") and len(words) > 2:  # noqa: PLR2004 — table FAMILY NAME
            table, current = (" ".join(words[1:3]) if words[1] in families else ""), None
        elif words[:1] == ["chain"] and table and len(words) > 1:
            current = chains.setdefault((table, words[1]), _Chain())
        elif words == ["}"]:
            current = None
        elif current is not None and words[:1] == ["type"]:
            text = line.partition("hook ")[2]
            current.hook = text.split()[0] if text.split() else ""
            if "policy drop" in line:
                current.policy = "drop"
        elif current is not None and words:
            # A map of verdicts can lead anywhere, but one of a connection's states says where.
            plain = " vmap " not in line or ("ct state vmap" in line and "new" not in line)
            current.rules.append(line.strip().replace("ct state vmap", "ct state") if plain else "unknown")
    return chains


def _of_iptables(lines: Iterable[str]) -> dict[tuple[str, str], _Chain]:
    """`iptables -S`, its rules in nft's words as far as they matter here."""
    chains: dict[tuple[str, str], _Chain] = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["-P"] and len(words) > 2:  # noqa: PLR2004 — -P CHAIN POLICY
            chain = chains.setdefault(("filter", words[1]), _Chain())
            chain.hook, chain.policy = words[1].lower(), words[2].lower()
        elif words[:1] == ["-N"] and len(words) > 1:
            chains.setdefault(("filter", words[1]), _Chain())
        elif words[:1] == ["-A"] and len(words) > 1:
            chains.setdefault(("filter", words[1]), _Chain()).rules.append(" ".join(_as_nft(words[2:])))
    return chains


def _as_nft(words: list[str]) -> Iterator[str]:
    """Words of an iptables rule in those of nft: protocol, ports, states, the loopback, the verdict."""
    negated = False
    pairs = zip(words, [*words[1:], ""], strict=True)
    for word, value in pairs:
        if word == "!":
            negated = True
            continue
        if word in ("-p", "--protocol"):
            yield f"meta l4proto {'!= ' if negated else ''}{value}"
        elif word in ("--dport", "--dports"):
            yield f"th dport {'!= ' if negated else ''}{{{value.replace(':', '-')}}}"
        elif word in ("--sport", "--sports"):
            yield "tcp sport"
        elif word in ("--state", "--ctstate"):
            yield f"ct state {value.lower()}"
        elif word == "-i" and value == "lo" and not negated:
            yield 'iifname "lo"'
        elif word in ("-s", "-d", "-i", "-m") and value not in (
            "comment",
            "conntrack",
            "state",
            "tcp",
            "udp",
            "multiport",
        ):
            yield "match"
        elif word in ("-j", "-g"):
            known = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return"}
            yield known.get(value, "" if value in ("LOG", "NFLOG") else f"jump {value}")
        negated = False
