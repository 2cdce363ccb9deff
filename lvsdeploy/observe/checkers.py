"""What keepalived itself thinks of its real servers, from the state its checker process dumps.

A destination that is missing in the table or has weight 0 may be keepalived's own doing. It tells on
SIGUSR1, since 2.0.14: https://github.com/acassen/keepalived/blob/master/keepalived/check/check_data.c
(dump_vs, dump_rs). Lines that matter, as 2.2.7 writes them; 2.0 and 2.3 differ in lines that are read over:

     ------< Virtual server >------
     VS VIP = 192.0.2.50, VPORT = 80          or   VS FWMARK = 7   or   VS GROUP = [web:80]:0
       Address family = inet                  (or inet6)
       protocol = TCP
       sorry server = [192.0.2.99]:tcp:80
       alive = 1                              (2.3: VS alive)
       quorum_state_up = 1
       ------< Real server >------
       RIP = 192.0.2.11, RPORT = 80, WEIGHT = 1 EFF WEIGHT = 1
       effective weight = 1
       alive = 0

What a group stands for comes before the virtual servers; a range's end is a whole address since 2.2, and the
last byte alone before:

     ------< Virtual server group >------
     Virtual Server Group = web:80, IPv4 = yes, IPv6 = no
       VIP Range = 192.0.2.50-192.0.2.59, VPORT = 80
       VIP = 192.0.2.99, VPORT = 80
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV4, IPV6, Protocol
from lvsdeploy.state.ipvs import ServiceKey, canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VIP = re.compile(r" VS VIP = (\S+), VPORT = (\d{1,5})")
_MARK = re.compile(r" VS FWMARK = (\d{1,10})")
_FAMILY = re.compile(r"   Address family = inet(6?)\b")
_GROUP = re.compile(r" VS GROUP = \[(\S+)\]:\d+")
_NAMED = re.compile(r" Virtual Server Group = (\S+?)(?:,|\n|$)")
_MEMBER = re.compile(r"   VIP(?: Range)? = ([0-9a-fA-F.:]+)(?:-([0-9.]+))?, VPORT = (\d{1,5})")
_LARGEST_RANGE = 256
_RIP = re.compile(r"   RIP = (\S+), RPORT = (\d{1,5}), WEIGHT = (-?\d{1,10})")
_PROTOCOL = re.compile(r"   protocol = (\w+)")
_SORRY = re.compile(r"   sorry server (?:\(duplicates rs\) )?= \[(\S+?)\]:\w+:(\d{1,5})")
_FLAG = re.compile(r"\s+(alive|VS alive|quorum_state_up) = ([01])\b")


@dataclass(frozen=True)
class CheckedService:
    """A virtual service as keepalived sees it. Destinations are (address, port)."""

    quorum_up: bool = True
    sorry_server: tuple[str, int] | None = None
    up: frozenset[tuple[str, int]] = frozenset()
    down: frozenset[tuple[str, int]] = frozenset()
    weights: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """The weights keepalived has in force: a check may change them (`weight` of a script or a file)."""


@dataclass(frozen=True)
class CheckerView:
    """What keepalived's health checks have come to, by virtual service."""

    services: Mapping[ServiceKey, CheckedService]

    def is_down(self, key: ServiceKey, destination: tuple[str, int]) -> bool:
        """Whether it is keepalived that keeps this destination out of the table, or at weight 0.

        So it is when its check fails; and when the quorum is lost, the sorry server replaces all real
        servers, those that are alive as well (ipwrapper.c: update_quorum_state).
        """
        service = self.services.get(key)
        if service is None:
            return False
        if self.sorry_server_in_use(key):
            return _has(service.up | service.down, key, destination)
        return _has(service.down, key, destination)

    def sorry_server_in_use(self, key: ServiceKey, destination: tuple[str, int] | None = None) -> bool:
        """Whether the sorry server serves, and is this destination (if one is given)."""
        service = self.services.get(key)
        if service is None or service.quorum_up or service.sorry_server is None:
            return False
        return destination is None or _has(frozenset({service.sorry_server}), key, destination)


def _has(those: frozenset[tuple[str, int]], key: ServiceKey, destination: tuple[str, int]) -> bool:
    """A mark's destinations may stand in the table with port 0, whatever port keepalived checks."""
    if destination in those:
        return True
    address, port = destination
    return bool(key.fwmark) and any(a == address and 0 in (p, port) for a, p in those)


def parse(text: str) -> CheckerView:
    """The view from a dump, or from those lines of it that matter. ValueError for bad addresses."""
    services: dict[ServiceKey, CheckedService] = {}
    before, *blocks = text.split("------< Virtual server >------")
    groups = _groups(before)
    for block in blocks:
        head, *real_servers = block.split("------< Real server >------")
        if keys := _keys(head, groups):
            services.update(dict.fromkeys(keys, _service(head, real_servers)))
    return CheckerView(services)


def _groups(text: str) -> dict[str, tuple[tuple[str, int], ...]]:
    """The VIPs and ports of each virtual server group."""
    found = {}
    for block in text.split("------< Virtual server group >------")[1:]:
        if name := _NAMED.search(block):
            members = (_range(first, last, int(port)) for first, last, port in _MEMBER.findall(block))
            found[name[1]] = tuple(member for some in members for member in some)
    return found


def _range(first: str, last: str, port: int) -> Iterator[tuple[str, int]]:
    start = ip_address(first)
    end = ip_address(last) if "." in last else start
    if last and end == start and last.isdigit():
        end = ip_address(int(start) - int(start) % 256 + int(last))
    for offset in range(min(int(end) - int(start) + 1, _LARGEST_RANGE)):
        yield canonical(start + offset), port


def _keys(head: str, groups: Mapping[str, tuple[tuple[str, int], ...]]) -> tuple[ServiceKey, ...]:
    """The virtual services that one virtual server stands for; none for what lvsdeploy never writes."""
    name = _PROTOCOL.search(head)
    protocol = name[1].lower() if name else "tcp"
    if mark := _MARK.search(head):
        family = _FAMILY.search(head)
        return (ServiceKey(None, "", 0, int(mark[1]), IPV6 if family and family[1] else IPV4),)
    if protocol not in set(Protocol):
        return ()
    if group := _GROUP.search(head):
        members = groups.get(group[1], ())
    elif vip := _VIP.search(head):
        members = ((canonical(vip[1]), int(vip[2])),)
    else:
        return ()
    return tuple(ServiceKey(Protocol(protocol), address, port) for address, port in members)


def _service(head: str, real_servers: list[str]) -> CheckedService:
    sorry = _SORRY.search(head)
    up: set[tuple[str, int]] = set()
    down: set[tuple[str, int]] = set()
    weights = {}
    for text in real_servers:
        if (rip := _RIP.search(text)) is None:
            continue
        destination = (canonical(rip[1]), int(rip[2]))
        alive = _flags(text).get("alive")
        if alive is None:
            continue
        (up if alive else down).add(destination)
        weights[destination] = int(rip[3])
    return CheckedService(
        quorum_up=_flags(head).get("quorum_state_up", True),
        sorry_server=(canonical(sorry[1]), int(sorry[2])) if sorry else None,
        up=frozenset(up),
        down=frozenset(down),
        weights=weights,
    )


def _flags(text: str) -> dict[str, bool]:
    return {name: value == "1" for name, value in _FLAG.findall(text)}
