"""Connections a destination has, from /proc/net/ip_vs.

    TCP  C0000232:0050 wlc  persistent 6000 FFFFFFFF
      -> 0A00000B:0050      Route   1      3          12
    FWM  00000007 wlc

Numbers of addresses, ports and marks are hexadecimal, IPv6 addresses stand in brackets. Schedulers' flags
and the family of a mark are missing there, and timeouts are in jiffies: so the table itself is read from
ipvsadm. https://github.com/torvalds/linux/blob/master/net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_info_seq_show)
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.ipvs import ServiceKey, canonical

_PROTOCOLS = {"TCP": Protocol.TCP, "UDP": Protocol.UDP, "SCTP": Protocol.SCTP}
_DESTINATION_WORDS = 6


@dataclass(frozen=True)
class Connections:
    """How many connections a destination has: established ones, and all others that are remembered."""

    active: int
    inactive: int


def parse(text: str) -> dict[ServiceKey, dict[tuple[str, int], Connections]]:
    """Connections by service and destination. ValueError for anything else than such a table."""
    found: dict[ServiceKey, dict[tuple[str, int], Connections]] = {}
    current: dict[tuple[str, int], Connections] | None = None
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in ("IP", "Prot") or words[:2] == ["->", "RemoteAddress:Port"]:
            continue
        if words[0] != "->":
            current = found.setdefault(_key(words), {})
        elif current is None or len(words) < _DESTINATION_WORDS:
            raise ValueError(line)
        else:
            current[_address(words[1])] = Connections(int(words[4]), int(words[5]))
    return found


def _key(words: list[str]) -> ServiceKey:
    kind, name, *_ = words
    if kind == "FWM":
        return ServiceKey(None, "", 0, int(name, 16))
    return ServiceKey(_PROTOCOLS[kind], *_address(name))


def _address(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if address.startswith("["):
        return canonical(address.strip("[]")), int(port, 16)
    return str(IPv4Address(int(address, 16))), int(port, 16)
