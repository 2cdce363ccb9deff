"""Rules as chains of iptables and ip6tables, for hosts without nft.

`parse(render(rules)) == rules`, and `parse` also reads what `iptables-save` and `ip6tables-save` print.

    *mangle
    :lvsdeploy-shop-in - [0:0]
    -A PREROUTING -j lvsdeploy-shop-in
    -A lvsdeploy-shop-in -d 192.0.2.50/32 -p udp -m udp --dport 53 -j MARK --set-xmark 0x7/0xffffffff
    COMMIT
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4, IPV6, Protocol
from lvsdeploy.state.netfilter import (
    ClampMss,
    Firewall,
    Mark,
    Masquerade,
    Ruleset,
    grouped,
    number,
    read_addresses,
    read_marks,
    read_ports,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address

    from lvsdeploy.state.netfilter import MarkGroup, Rule

PROGRAMS = {IPV4: "iptables", IPV6: "ip6tables"}
_CHAINS: dict[type[Rule], tuple[str, str, str]] = {
    Mark: ("mangle", "PREROUTING", "in"),
    ClampMss: ("mangle", "OUTPUT", "out"),
    Masquerade: ("nat", "POSTROUTING", "nat"),
}
"""Which chain has a rule: its table, the kernel's chain that jumps there, and how its name ends."""
_SLOTS = 15
"""Ports that one match of `multiport` takes; a range counts twice (XT_MULTI_PORTS in xt_multiport.h)."""

_MARK = re.compile(
    r"(?:-d (\S+) )?-p (tcp|udp|sctp)(?: -m iprange --dst-range (\S+))?"
    r"(?: -m multiport --dports ([0-9:,]+)| -m \2 --dport ([0-9:]+))?"
    r" -j MARK --set-xmark (0x[0-9a-f]{1,8})/0xffffffff"
)
_MASQUERADE = re.compile(r"-s (\S+) -m conntrack --ctorigdst (\S+) -j MASQUERADE")
_CLAMP = re.compile(r"-s (\S+) -p tcp -m tcp --tcp-flags (?:SYN,RST|RST,SYN) SYN -j TCPMSS --set-mss (\d+)")


def render(name: str, rules: Ruleset, version: int) -> str:
    """The rules of one address family for `iptables-restore --noflush`; `name` begins the chains' names.

    "" when there are none. Loaded as it is a second time, a chain would be jumped to twice.
    """
    lines: list[str] = []
    for table in ("mangle", "nat"):
        heads, found = [], []
        for kind, (where, hook, ending) in _CHAINS.items():
            chain = f"{name}-{ending}"
            mine = _texts(rules, kind, version) if where == table else []
            if mine:
                heads.append(f":{chain} - [0:0]")
                found.append(f"-A {hook} -j {chain}")
                found += [f"-A {chain} {words}" for words in mine]
        if heads:
            lines += [f"*{table}", *heads, *found, "COMMIT"]
    return "".join(f"{line}\n" for line in lines)


def _texts(rules: Ruleset, kind: type[Rule], version: int) -> list[str]:
    if kind is Mark:
        groups = (group for group in grouped(rules.marks) if group.version == version)
        return [text for group in groups for text in _marking(group)]
    others = rules.masquerades if kind is Masquerade else rules.clamps
    return [_words(rule) for rule in others if rule.vip.version == version]


def _marking(group: MarkGroup) -> Iterator[str]:
    """A line for each range of addresses, and for as many ports as fit."""
    action = f"-j MARK --set-xmark {group.mark:#x}/0xffffffff"
    for first, last in group.ranges:
        alone = f"-d {first}/{first.max_prefixlen} " if first == last else ""
        several = f" -m iprange --dst-range {first}-{last}" if first != last else ""
        for ports in _matches(group):
            yield f"{alone}-p {group.protocol}{several}{ports} {action}"


def _words(rule: Masquerade | ClampMss) -> str:
    match rule:
        case Masquerade():
            return f"-s {rule.clients} -m conntrack --ctorigdst {rule.vip} -j MASQUERADE"
        case ClampMss():
            flags = "--tcp-flags SYN,RST SYN"
            vip = f"{rule.vip}/{rule.vip.max_prefixlen}"
            return f"-s {vip} -p tcp -m tcp {flags} -j TCPMSS --set-mss {rule.mss}"


def _matches(rule: MarkGroup) -> Iterator[str]:
    """The matches that find the ports: one for as many as fit."""
    group: list[tuple[int, int]] = []
    for ports in rule.ports:
        if _slots([*group, ports]) > _SLOTS:
            yield _match(rule, group)
            group = []
        group.append(ports)
    yield _match(rule, group)


def _slots(group: list[tuple[int, int]]) -> int:
    return sum(1 if first == last else 2 for first, last in group)


def _match(rule: MarkGroup, group: list[tuple[int, int]]) -> str:
    if not group:
        return ""
    ports = [shown(ports, ":") for ports in group]
    if len(ports) == 1:
        return f" -m {rule.protocol} --dport {ports[0]}"
    return f" -m multiport --dports {','.join(ports)}"


def parse(name: str, *texts: str) -> Ruleset | None:
    """The chains whose names begin so, of both families' texts; None when there is none.

    What is no rule of these is among the `strange` lines.
    """
    reader = _Reader(name)
    for text in texts:
        reader.read(text)
    return Ruleset.of(Firewall.IPTABLES, reader.rules, reader.strange) if reader.there else None


@dataclass
class _Reader:
    """Collects what is ours from what iptables-save prints, text after text."""

    name: str
    rules: list[Rule] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    there: bool = False

    def read(self, text: str) -> None:
        chains = {f"{self.name}-{ending}": (table, hook) for table, hook, ending in _CHAINS.values()}
        declared: set[str] = set()
        jumped: set[str] = set()
        table = ""
        for line in map(str.strip, text.splitlines()):
            chain, _, words = line.removeprefix(":").removeprefix("-A ").partition(" ")
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":") and chain in chains:
                declared.add(chain)
            elif line.startswith("-A ") and chain in chains:
                self._rule(table, chain, words)
            elif line.startswith("-A ") and (target := _target(words)) in chains:
                if (table, chain) != chains[target] or words != f"-j {target}" or target in jumped:
                    self.strange.append(line)
                jumped.add(target)
        self.there = self.there or bool(declared)
        self.strange += [f"no jump to {chain}" for chain in sorted(declared - jumped)]

    def _rule(self, table: str, chain: str, words: str) -> None:
        rules = _rules(words)
        if not rules or (table, chain) != _place(self.name, rules[0]):
            self.strange.append(f"-A {chain} {words}")
        self.rules += rules


def _place(name: str, rule: Rule) -> tuple[str, str]:
    table, _, ending = _CHAINS[type(rule)]
    return table, f"{name}-{ending}"


def _target(words: str) -> str:
    found = re.search(r"(?:^| )-[jg] (\S+)", words)
    return found[1] if found else ""


def _rules(words: str) -> list[Rule]:
    """The rules of a line's words; none for what lvsdeploy does not write."""
    try:
        if found := _MARK.fullmatch(words):
            address, protocol, addresses, several, one, mark = found.groups()
            if bool(address) is bool(addresses):
                return []
            ports = tuple(read_ports(word, ":") for word in (several or one or "").split(",") if word)
            ranges = (read_addresses(addresses or address),)
            return read_marks(ranges, Protocol(protocol), ports, int(mark, 16))
        if found := _MASQUERADE.fullmatch(words):
            return [Masquerade(_host(found[2]), ip_network(found[1]))]
        if found := _CLAMP.fullmatch(words):
            return [ClampMss(_host(found[1]), number(found[2], 65535))]
    except ValueError:
        pass
    return []


def _host(text: str) -> IPv4Address | IPv6Address:
    """An address, with the prefix of a single host or without. ValueError for a network."""
    network = ip_network(text)
    if network.num_addresses != 1:
        raise ValueError(text)
    return network.network_address
