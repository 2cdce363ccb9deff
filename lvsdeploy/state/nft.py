"""Rules as a table of nft: `parse(render(rules)) == rules`, and `parse` also reads `nft list table`.

    table inet lvsdeploy-shop {
        chain marking {
            type filter hook prerouting priority -150; policy accept;
            ip daddr 192.0.2.50 tcp dport { 80, 443 } meta mark set 0x00000007
        }
    }

nft prints priorities and protocols by name or by number, by its version and options: both are read. It prints
anonymous sets sorted and joined, as they are written here. https://wiki.nftables.org
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV6, Protocol
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

    from lvsdeploy.state.netfilter import MarkGroup, Rule

# The words of nft cannot be names of chains.
_CHAINS: dict[type[Rule], tuple[str, str]] = {
    Mark: ("marking", "type filter hook prerouting priority -150; policy accept;"),
    Masquerade: ("masquerading", "type nat hook postrouting priority 100; policy accept;"),
    ClampMss: ("clamping", "type filter hook output priority -150; policy accept;"),
}
"""Which chain has a rule: its name, and where it hooks in."""
_PRIORITIES = {"mangle": "-150", "srcnat": "100"}
_PROTOCOLS = {**{str(p): p for p in Protocol}, "6": Protocol.TCP, "17": Protocol.UDP, "132": Protocol.SCTP}

_MARK = re.compile(
    r"ip6? daddr (?:\{ ([0-9a-f.:/, -]+) \}|(\S+))"
    r" (?:(tcp|udp|sctp) dport (?:\{ ([0-9, -]+) \}|([0-9-]+))|meta l4proto (\w+))"
    r" meta mark set (0x[0-9a-f]{1,8})"
)
_MASQUERADE = re.compile(r"ip6? saddr (\S+) ct original ip6? daddr (\S+) masquerade")
_CLAMP = re.compile(r"ip6? saddr (\S+) tcp flags (?:syn|0x0*2) tcp option maxseg size set (\d+)")
_PRIORITY = re.compile(r"priority ([a-z]+);")


def render(name: str, rules: Ruleset) -> str:
    """A file for `nft -f`: the table of this name, in the place of what there was, all of it at once."""
    lines = [f"add table inet {name}", f"delete table inet {name}", f"table inet {name} {{"]
    for kind, (chain, hook) in _CHAINS.items():
        if found := _texts(rules, kind):
            lines += [
                f"    chain {chain} {{",
                f"        {hook}",
                *(f"        {text}" for text in found),
                "    }",
            ]
    return "".join(f"{line}\n" for line in (*lines, "}"))


def _texts(rules: Ruleset, kind: type[Rule]) -> list[str]:
    if kind is Mark:
        return [_marking(group) for group in grouped(rules.marks)]
    return [_line(rule) for rule in (rules.masquerades if kind is Masquerade else rules.clamps)]


def _marking(group: MarkGroup) -> str:
    family = "ip6" if group.version == IPV6 else "ip"
    addresses = [str(first) if first == last else f"{first}-{last}" for first, last in group.ranges]
    ports = [shown(ports) for ports in group.ports]
    what = f"{group.protocol} dport {_one_of(ports)}" if ports else f"meta l4proto {group.protocol}"
    return f"{family} daddr {_one_of(addresses)} {what} meta mark set 0x{group.mark:08x}"


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}"


def _line(rule: Masquerade | ClampMss) -> str:
    family = "ip6" if rule.vip.version == IPV6 else "ip"
    match rule:
        case Masquerade():
            clients = rule.clients
            alone = clients.prefixlen == clients.max_prefixlen
            source = clients.network_address if alone else clients
            return f"{family} saddr {source} ct original {family} daddr {rule.vip} masquerade"
        case ClampMss():
            return f"{family} saddr {rule.vip} tcp flags syn tcp option maxseg size set {rule.mss}"


def parse(name: str, text: str) -> Ruleset | None:
    """The table of this name, as it is written above or as `nft list table` prints it; None for no table.

    What is no rule of these is among the `strange` lines.
    """
    rules: list[Rule] = []
    strange: list[str] = []
    blocks: list[str] = []
    hooked: set[str] = set()
    known = dict(_CHAINS.values())
    there = False
    for line in _lines(text):
        chain = blocks[1].removeprefix("chain ") if len(blocks) == 2 else ""  # noqa: PLR2004 — in the table
        if line == "}":
            if blocks and chain and chain not in hooked:
                strange.append(f"chain {chain} without a hook")
            blocks = blocks[:-1]
        elif line.endswith("{") and not blocks and line == f"table inet {name} {{":
            there = True
            blocks.append(line)
        elif line.endswith("{"):
            blocks.append(line.removesuffix("{").strip())
            if len(blocks) != 2 or blocks[1].removeprefix("chain ") not in known:  # noqa: PLR2004
                strange.append(line)
        elif chain in known and _numeric(line) == known[chain]:
            hooked.add(chain)
        elif chain in known and (found := _rules(line)) and _CHAINS[type(found[0])][0] == chain:
            rules += found
        else:
            strange.append(line)
    return Ruleset.of(Firewall.NFT, rules, strange) if there else None


def _lines(text: str) -> Iterator[str]:
    for raw in text.splitlines():
        line = " ".join(raw.split())
        if line and not line.startswith(("#", "add table ", "delete table ")):
            yield line


def _numeric(line: str) -> str:
    return _PRIORITY.sub(lambda match: f"priority {_PRIORITIES.get(match[1], match[1])};", line)


def _rules(line: str) -> list[Rule]:
    """The rules of a line; none for what lvsdeploy does not write."""
    try:
        if found := _MARK.fullmatch(line):
            addresses, address, protocol, several, one, every, mark = found.groups()
            ranges = tuple(read_addresses(word) for word in (addresses or address).split(","))
            ports = tuple(read_ports(word) for word in (several or one or "").split(",") if word)
            return read_marks(ranges, _PROTOCOLS[protocol or every], ports, int(mark, 16))
        if found := _MASQUERADE.fullmatch(line):
            return [Masquerade(ip_address(found[2]), ip_network(found[1]))]
        if found := _CLAMP.fullmatch(line):
            return [ClampMss(ip_address(found[1]), number(found[2], 65535))]
    except (ValueError, KeyError):
        pass
    return []
