"""Thresholds and connections of each destination, from `ipvsadm -Ln --thresholds`.

    Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
      -> RemoteAddress:Port
    TCP  192.0.2.50:80 wlc persistent 300
      -> 192.0.2.11:80                100        75         3          12
    FWM  7 IPv6 wlc

`ipvsadm -Sn` leaves all of them out, and /proc/net/ip_vs has neither thresholds nor the family of a mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.ipvs import ServiceKey, mark_of, split_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROTOCOLS = {"TCP": Protocol.TCP, "UDP": Protocol.UDP, "SCTP": Protocol.SCTP}
_DESTINATION_WORDS = 6
_LARGEST = 2**32 - 1


@dataclass(frozen=True)
class Connections:
    """How many connections a destination has: established ones, and all others that are remembered."""

    active: int
    inactive: int


def parse(text: str) -> dict[ServiceKey, dict[tuple[str, int], Connections]]:
    """Connections by service and destination. ValueError for anything else than such a listing."""
    found: dict[ServiceKey, dict[tuple[str, int], Connections]] = {}
    for key, row in _rows(text):
        of_service = found.setdefault(key, {})
        if row is not None:
            of_service[split_port(row[0])] = Connections(_count(row[3]), _count(row[4]))
    return found


def thresholds(text: str) -> dict[ServiceKey, dict[tuple[str, int], tuple[int, int]]]:
    """(upper, lower) by service and destination. ValueError for anything else than such a listing."""
    found: dict[ServiceKey, dict[tuple[str, int], tuple[int, int]]] = {}
    for key, row in _rows(text):
        of_service = found.setdefault(key, {})
        if row is not None:
            of_service[split_port(row[0])] = (_count(row[1]), _count(row[2]))
    return found


def _rows(text: str) -> Iterator[tuple[ServiceKey, list[str] | None]]:
    """Each service with None, and then with the words of each of its destinations."""
    key: ServiceKey | None = None
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in ("IP", "Prot") or words[:2] == ["->", "RemoteAddress:Port"]:
            continue
        if words[0] != "->":
            key = _key(words)
            yield key, None
        elif key is None or len(words) < _DESTINATION_WORDS:
            raise ValueError(line)
        else:
            yield key, words[1:]


def _key(words: list[str]) -> ServiceKey:
    kind, name, *rest = words
    if kind == "FWM":
        return ServiceKey(None, "", 0, mark_of(name), 6 if rest[:1] == ["IPv6"] else 4)
    return ServiceKey(_PROTOCOLS[kind], *split_port(name))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST:
        raise ValueError(text)
    return int(text)
