"""Timeouts and sync daemons, as ipvsadm lists them.

Timeout (tcp tcpfin udp): 900 120 300
master sync daemon (mcast=eth0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.printable import host_word
from lvsdeploy.state.sync import SyncDaemon, SyncRole

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUTS = re.compile(r"Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)\s*\Z", re.ASCII)
_DAEMON = re.compile(r"(master|backup) sync daemon \((.*)\)\s*\Z", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}\Z")


def timeouts(lines: Iterable[str]) -> dict[str, int]:
    """Seconds by name (tcp, tcp_fin, udp); empty when there is nothing about them."""
    for line in lines:
        if match := _TIMEOUTS.match(line):
            return dict(zip(("tcp", "tcp_fin", "udp"), map(int, match.groups()), strict=True))
    return {}


def daemons(lines: Iterable[str]) -> frozenset[SyncDaemon]:
    """Those that run. ValueError for a line about one that makes no sense."""
    return frozenset(_daemon(*match.groups()) for line in lines if (match := _DAEMON.match(line)))


def _daemon(role: str, text: str) -> SyncDaemon:
    values = dict(part.strip().partition("=")[::2] for part in text.split(","))
    if "mcast" not in values:
        raise ValueError(f"a sync daemon without an interface: {text[:80]}")
    return SyncDaemon(
        interface=host_word(values["mcast"]),
        syncid=_number(values.get("syncid", "")) or 0,
        role=SyncRole(role),
        max_length=_number(values.get("maxlen", "")),
        group=ip_address(values["group"]) if "group" in values else None,
        port=_number(values.get("port", "")),
        ttl=_number(values.get("ttl", "")),
    )


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.match(text) else None
