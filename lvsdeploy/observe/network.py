r"""Links, addresses, default routes and policy routing, as `ip -o` of iproute2 or of busybox prints them.

    2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 ... state UP ...\    link/ether ...
    2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\       valid_lft forever ...
    default via 192.0.2.1 dev eth0 proto dhcp metric 100
    default via fe80::1 dev eth0 proto ra metric 1024 expires 1790sec hoplimit 64 pref medium
    default via 192.0.2.9 dev eth0 table 100

    100:	from 10.2.0.21 lookup 100
    32766:	from all lookup main

busybox prints link lines among the addresses, too, and is not asked for rules. The table of a route is named
unless it is the main one.

    10.2.0.11 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0 \    cache mtu 1400     (`ip route get`)

Tunnel interfaces and GUE's ports:

    3: tunl0@NONE: <NOARP,UP,LOWER_UP> mtu 1480 ...\    link/ipip 0.0.0.0 brd 0.0.0.0
    4: lvs-gre-1a2b3c@NONE: <NOARP> mtu 1476 ...\    link/gre 10.2.0.11 brd 0.0.0.0 ...\    gre remote any
        local 10.2.0.11 ttl inherit icsum ...                    (with -d, where such interfaces are)
    port 6080 gue -6
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4, IPV6
from lvsdeploy.printable import host_word
from lvsdeploy.state.network import MAIN, Address, Route, Rule, Way
from lvsdeploy.state.tunnel import GuePort, LinkKind, TunnelLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lvsdeploy.inventory.model import IPAddress

_LINK = re.compile(r"\d+: ([^\s@:]+)(?:@[^\s:]+)?: <([A-Z0-9_,-]*)>")
_MTU = re.compile(r" mtu (\d{1,9})\b")
_TUNNEL = re.compile(r" link/(ipip|sit|tunnel6|gre6?) (\S+)(?: (?:brd|peer) (\S+))?(.*)")
_KINDS = {
    "ipip": LinkKind.IPIP,
    "sit": LinkKind.SIT,
    "tunnel6": LinkKind.IP6TNL,
    "gre": LinkKind.GRE,
    "gre6": LinkKind.IP6GRE,
}
_OPTIONS = frozenset({"any", "icsum", "iseq", "ikey", "external"})
_GUE_PORT = re.compile(r"port (\d{1,5}) gue\b(.*)")
_ADDRESS = re.compile(r"\d+: (\S+)\s+inet6? (\S+)(.*)")
_RULE = re.compile(r"\d+:\s+from (\S+) lookup (\S+)(?: suppress_prefixlength (\d+))?(?: proto \S+)?\s*\Z")
_KINDS_OF_WAY = {"local", "broadcast", "multicast", "anycast", "unicast"}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_-]*\Z")
_PASSING = {"linkdown", "dead"}  # how the link is just now: `ip` prints such words and takes none of them
_LARGEST_METRIC = 2**32 - 1
_LONGEST = 10  # digits of an MTU


@dataclass(frozen=True)
class Network:
    """Links by interface (is it up, with a carrier?), addresses, default routes of the main table.

    IPv6 addresses are `tentative` until duplicate address detection (DAD) has let them through; of a
    `duplicate` it has found that another machine has it.
    `mtus` in bytes, by interface. `tables`: default routes of other tables. `rules` are those of IPv4.
    """

    links: Mapping[str, bool]
    mtus: Mapping[str, int]
    tunnels: Mapping[str, TunnelLink]
    gue_ports: frozenset[GuePort]
    addresses: frozenset[Address]
    tentative: frozenset[Address]
    duplicate: frozenset[Address]
    routes: tuple[Route, ...]
    tables: Mapping[str, tuple[Route, ...]]
    rules: tuple[Rule, ...]


def parse(lines: Sequence[str]) -> Network:
    """ValueError for an address or a gateway that is none; lines of other kinds are read over."""
    links: dict[str, bool] = {}
    mtus: dict[str, int] = {}
    tunnels: dict[str, TunnelLink] = {}
    gue_ports: set[GuePort] = set()
    addresses: set[Address] = set()
    tentative: set[Address] = set()
    duplicate: set[Address] = set()
    routes: dict[str, dict[Route, None]] = {MAIN: {}}
    for line in lines:
        if match := _LINK.match(line):
            name, flags = host_word(match[1]), set(match[2].split(","))
            links[name] = {"UP", "LOWER_UP"} <= flags
            if mtu := _MTU.search(line):
                mtus[name] = int(mtu[1])
            if link := _tunnel(name, line, up="UP" in flags):
                tunnels[name] = link
        elif match := _ADDRESS.match(line):
            address = Address(host_word(match[1]), ip_interface(_local(match[2], match[3])))
            addresses.add(address)
            words = match[3].split()
            if "dadfailed" in words:  # and tentative for ever
                duplicate.add(address)
            elif "tentative" in words:
                tentative.add(address)
        elif match := _GUE_PORT.match(line):
            gue_ports.add(GuePort(int(match[1]), IPV6 if "-6" in match[2].split() else IPV4))
        elif line.startswith("default "):
            table = _table(line)
            routes.setdefault(table, {}).update(dict.fromkeys(_routes(line)))
    ordered = {
        table: tuple(sorted(found, key=lambda route: (route.version, route.metric)))
        for table, found in routes.items()
    }
    return Network(
        links,
        mtus,
        tunnels,
        frozenset(gue_ports),
        frozenset(addresses),
        frozenset(tentative),
        frozenset(duplicate),
        ordered.pop(MAIN),
        ordered,
        rules(lines),
    )


def rules(lines: Iterable[str]) -> tuple[Rule, ...]:
    """The rules of policy routing that ask for nothing but the source, in their order."""
    return tuple(dict.fromkeys(rule for line in lines if (rule := _rule(line))))


def _rule(line: str) -> Rule | None:
    match = _RULE.match(line)
    if match is None:
        return None
    try:
        source = None if match[1] == "all" else ip_network(match[1])
    except ValueError:
        return None
    return Rule(source, host_word(match[2]), passes_default=match[3] is not None)


def ways(lines: Iterable[str]) -> dict[IPAddress, Way]:
    """By address, how the kernel would send there; what cannot be read is left out."""
    found: dict[IPAddress, Way] = {}
    for line in lines:
        words = line.replace("\\", " ").split()
        words = words[1:] if words[:1] and words[0] in _KINDS_OF_WAY else words
        device, mtu = _after(line, "dev"), _after(line, "mtu")
        if not words or device is None:
            continue
        # What has come by ICMP lasts for minutes, and is not how the way is.
        lasts = mtu is not None and mtu.isdecimal() and len(mtu) < _LONGEST and "expires" not in words
        with suppress(ValueError):
            found[ip_address(words[0])] = Way(host_word(device), int(mtu) if mtu and lasts else None)
    return found


def _table(line: str) -> str:
    """The table of a default route."""
    return host_word(_after(line.replace("\\", " "), "table") or MAIN)


def _tunnel(name: str, line: str, *, up: bool) -> TunnelLink | None:
    """The tunnel interface that a line of `ip link` is about, if it is about one."""
    match = _TUNNEL.search(line)
    if match is None:
        return None
    try:
        kind, local = _KINDS[match[1]], ip_address(match[2])
        one = match[3] is not None and not ip_address(match[3]).is_unspecified
    except ValueError:  # busybox writes an IPv6 one like a MAC
        return None
    detail = match[4].partition(f" {kind.value} ")[2].split()
    options = None
    if detail:
        # `any` as the mode is the first word; it also stands after `remote` and `local`.
        mode = {"any"} & {detail[0]} if kind is LinkKind.IP6TNL else set()
        options = frozenset(_OPTIONS & set(detail) - {"any"} | mode)
    if one:
        options = frozenset({"remote", *(options or ())})
    return TunnelLink(name, kind, None if local.is_unspecified else local, up=up, options=options)


def _local(text: str, rest: str) -> str:
    """The host's own address; with a peer, the prefix length is the peer's: `10.0.0.1 peer 10.0.0.2/32`."""
    words = rest.split()
    if "/" not in text and words[:1] == ["peer"] and len(words) > 1:
        return f"{text}/{words[1].partition('/')[2]}" if "/" in words[1] else text
    return text


def _routes(line: str) -> Iterable[Route]:
    r"""The route of a line, or one for each next hop: `default metric 5 \ nexthop via A dev X weight 1`."""
    head, *hops = " ".join(line.replace("\\", " ").split()).split(" nexthop ")
    metric = int(_after(head, "metric") or 0)
    if metric > _LARGEST_METRIC:
        raise ValueError(line)
    # busybox does not tell the protocol, and only an advertised route expires by itself
    advertised = _after(head, "proto") == "ra" or _after(head, "expires") is not None
    for hop in hops or [head]:
        version = IPV4
        via = _after(hop, "via")
        if via in ("inet", "inet6"):  # an IPv4 route by way of an IPv6 gateway (RFC 5549)
            via = _after(hop, via)
        elif (ip_address(via).version == IPV6) if via else _is_sixth(head):
            version = IPV6
        device = _after(hop, "dev")
        yield Route(
            ip_address(via) if via else None,
            host_word(device) if device else None,
            metric,
            version,
            words=() if hops or advertised else _words(head),
            advertised=advertised,
        )


def _is_sixth(line: str) -> bool:
    """Whether a route that names no gateway is one of IPv6: those have a metric always, and no scope."""
    return "scope" not in line.split() and _after(line, "metric") is not None


def _words(text: str) -> tuple[str, ...]:
    """The words of a plain route, to be words for `ip` again; none when one of them is odd."""
    words = text.split()
    kept = tuple(w for before, w in zip(["", *words], words, strict=False) if _lasts(before, w))
    return kept if all(map(_WORD.match, kept)) else ()


def _lasts(before: str, word: str) -> bool:
    """Whether a word belongs to the route itself; an interface may be called anything."""
    return word not in _PASSING or before == "dev"


def _after(text: str, word: str) -> str | None:
    words = text.split()
    return words[words.index(word) + 1] if word in words[:-1] else None
