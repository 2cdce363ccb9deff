"""What stands around a host's own state: who listens, what its firewall lets in, whom it takes for a VIP.

Nothing of it is ours to manage; it explains why a cluster that is as declared may still not serve.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.printable import host_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from ipaddress import IPv4Address, IPv6Address

_NEIGHBOUR = re.compile(r"(\S+) dev (\S+) lladdr ([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b")
_SILENT = re.compile(r"(\S+) dev \S+ .*\bFAILED\b")
_MAC = re.compile(r"\blink/ether ([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b")
_MOST = 20_000  # lines of each kind that are looked at

ANY_IPV4, ANY_IPV6, ANY = "0.0.0.0", "::", "*"  # noqa: S104 — what listeners are bound to, not what we bind


@dataclass(frozen=True)
class Listener:
    """A socket that takes connections or datagrams. `address` is an IP address, or ANY for both families."""

    protocol: Protocol
    address: str
    port: int

    def takes(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether what is sent to `address` reaches it."""
        everywhere = ANY_IPV4 if address.version == 4 else ANY_IPV6  # noqa: PLR2004 - IP version
        return self.address in (ANY, everywhere, str(address))


@dataclass(frozen=True)
class Surroundings:
    """`listeners` None: the host could not tell. `macs` are those of its own interfaces, in lower case.

    `neighbours`: the MAC addresses that the host has for addresses that were asked about; `silent` are those
    that it has asked its networks for, and nobody answered. `offloads`: by
    interface, the receive offloads that are on. `firewall`: the lines of `nft list ruleset` or
    `iptables -S`, and which of the two (`nft`, `iptables`, "" when neither was there to ask).
    """

    listeners: frozenset[Listener] | None = None
    macs: frozenset[str] = frozenset()
    neighbours: frozenset[tuple[str, str]] = frozenset()  # (address, MAC)
    silent: frozenset[str] = frozenset()
    offloads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    firewall: tuple[str, ...] = ()
    firewall_kind: str = ""


def parse(
    listening: Iterable[str] | None,
    network: Iterable[str],
    offloads: Iterable[str],
    firewall_kind: str,
    firewall: Iterable[str],
) -> Surroundings:
    """Lines of `ss -Hltun`, of `ip -o`, of `ethtool -k` (each behind its interface), and of the firewall.

    What makes no sense in them is read over: it is somebody else's.
    """
    macs: set[str] = set()
    neighbours: set[tuple[str, str]] = set()
    silent: set[str] = set()
    for line in network:
        if match := _MAC.search(line):
            macs.add(match[1])
        elif match := _NEIGHBOUR.match(line):
            neighbours.add((host_word(match[1]), match[3]))
        elif match := _SILENT.match(line):
            silent.add(host_word(match[1]))
    return Surroundings(
        listeners=None if listening is None else _listeners(listening),
        macs=frozenset(macs),
        neighbours=frozenset(neighbours),
        silent=frozenset(silent),
        offloads=_offloads(offloads),
        firewall=tuple(firewall)[:_MOST],
        firewall_kind=host_word(firewall_kind),
    )


def _listeners(lines: Iterable[str]) -> frozenset[Listener]:
    """`tcp LISTEN 0 128 192.0.2.11:80 0.0.0.0:*`, `udp UNCONN 0 0 [::]:53 [::]:*`, `... *:80 *:*`."""
    found = set()
    for _, line in zip(range(_MOST), lines, strict=False):
        words = line.split()
        if len(words) < 5 or words[0] not in ("tcp", "udp"):  # noqa: PLR2004 — the columns before the address
            continue
        address, _, port = words[4].rpartition(":")
        address = address.partition("%")[0].strip("[]")
        if not (port.isascii() and port.isdigit() and len(port) <= 5):  # noqa: PLR2004 — digits of 65535
            continue
        if address != ANY:
            try:
                address = str(ip_address(address))
            except ValueError:
                continue
        found.add(Listener(Protocol(words[0]), address, int(port)))
    return frozenset(found)


def _offloads(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`eth0 large-receive-offload: on [fixed]`: those that are on."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        interface, _, rest = line.partition(" ")
        name, _, state = rest.strip().partition(": ")
        if state.split()[:1] == ["on"]:
            interface = host_word(interface)
            found[interface] = (*found.get(interface, ()), host_word(name))
    return found
