"""The IPVS table as `ipvsadm -Sn` prints it: `parse(render(table)) == table`.

    -A -t 192.0.2.50:80 -s wrr -p 300 -M 255.255.255.0 -b flag-1
    -a -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1

What the format leaves out: a netmask that stands for one client each (/32, /128), connection thresholds.
What is read over: `--tun-type` and its kin, `--pe`. https://man7.org/linux/man-pages/man8/ipvsadm.8.html
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.ipvs import (
    Forwarding,
    ServiceKey,
    TableDestination,
    VirtualService,
    canonical,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROTOCOLS = {"-t": Protocol.TCP, "-u": Protocol.UDP, "--sctp-service": Protocol.SCTP}
_FORWARDING = {way.value: way for way in Forwarding}
_LARGEST_PORT = 65535
_LARGEST_MARK = 2**32 - 1
_ONE_CLIENT_EACH = {"255.255.255.255", "128"}


def parse(text: str) -> dict[ServiceKey, VirtualService]:
    """The table that `ipvsadm -Sn` printed. ValueError says which line cannot be read."""
    services: dict[ServiceKey, VirtualService] = {}
    destinations: dict[ServiceKey, set[TableDestination]] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            entry = _Line.of(line)
            if entry.command == "-A":
                # An IPv4 and an IPv6 service may share a mark: to us they are one.
                services.setdefault(entry.key, entry.service())
            else:
                destinations.setdefault(entry.key, set()).add(entry.destination())
        except (ValueError, KeyError) as error:
            raise ValueError(f"not a line of `ipvsadm -Sn`: {line.strip()[:100]}") from error
    if stray := destinations.keys() - services.keys():
        raise ValueError(f"destinations of no virtual service: {next(iter(stray))}")
    return {key: _with_destinations(service, destinations.get(key, ())) for key, service in services.items()}


def render(table: Iterable[VirtualService]) -> str:
    """The table as `ipvsadm -Sn` prints it, services in order of their keys."""
    return "".join(f"{line}\n" for line in _lines(sorted(table, key=_order)))


def digest(table: Iterable[VirtualService]) -> str:
    """SHA-256 of the table's lines sorted by their bytes: what `ipvsadm -Sn | sort | sha256sum` prints."""
    lines = sorted(line.encode() for line in _lines(table))
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def _order(service: VirtualService) -> tuple[str, str, int, int]:
    key = service.key
    return (key.protocol or "", key.address, key.port, key.fwmark)


def _lines(table: Iterable[VirtualService]) -> Iterator[str]:
    for service in table:
        words = [*service.key.flags()]
        if service.key.fwmark and any(":" in d.address for d in service.destinations):
            words.append("-6")
        yield " ".join(("-A", *words, *service.options()))
        for destination in service.destinations:
            yield " ".join(("-a", *words, *destination.options()))


def _with_destinations(service: VirtualService, destinations: Iterable[TableDestination]) -> VirtualService:
    return VirtualService(
        key=service.key,
        scheduler=service.scheduler,
        scheduler_flags=service.scheduler_flags,
        persistence=service.persistence,
        netmask=service.netmask,
        one_packet=service.one_packet,
        destinations=tuple(sorted(destinations)),
    )


@dataclass
class _Line:
    """One line of the output, its options by their letters."""

    command: str
    key: ServiceKey
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> _Line:
        command, *words = text.split()
        if command not in ("-A", "-a"):
            raise ValueError(command)
        flag, name, *rest = words
        options: dict[str, str] = {}
        last = ""
        for word in rest:
            if word.startswith("-"):
                last = word
                options[last] = ""
            else:
                options[last] = word
        return cls(command, _key(flag, name), options)

    def service(self) -> VirtualService:
        flags = self.options.get("-b", "")
        netmask = self.options.get("-M", "")
        return VirtualService(
            key=self.key,
            scheduler=self.options["-s"],
            scheduler_flags=tuple(flags.split(",")) if flags else (),
            persistence=_number(self.options["-p"]) if "-p" in self.options else None,
            netmask="" if netmask in _ONE_CLIENT_EACH else netmask,
            one_packet="-o" in self.options,
        )

    def destination(self) -> TableDestination:
        address, port = split_port(self.options["-r"])
        ways = [_FORWARDING[word] for word in self.options if word in _FORWARDING]
        if len(ways) != 1:
            raise ValueError(self.options)
        return TableDestination(address, port, ways[0], _number(self.options["-w"]))


def _key(flag: str, name: str) -> ServiceKey:
    if flag == "-f":
        mark = _number(name, largest=_LARGEST_MARK)
        if mark == 0:
            raise ValueError(name)
        return ServiceKey(None, "", 0, mark)
    return ServiceKey(_PROTOCOLS[flag], *split_port(name))


def split_port(text: str) -> tuple[str, int]:
    """(canonical address, port) of `192.0.2.50:80` or `[2001:db8::50]:80`."""
    address, _, port = text.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return canonical(address), _number(port, largest=_LARGEST_PORT)


def _number(text: str, largest: int = 2**31 - 1) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(largest)):
        raise ValueError(text)
    number = int(text)
    if number > largest:
        raise ValueError(text)
    return number
