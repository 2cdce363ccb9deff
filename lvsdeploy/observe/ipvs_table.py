"""The IPVS table as `ipvsadm -Sn` prints it: `parse(render(table), listing(table)) == table`.

    -A -t 192.0.2.50:80 -s wrr -p 300 -M 255.255.255.0 --pe sip -o -b flag-1
    -a -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1
    -a -f 7 -6 -r [2001:db8::11]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum

What that format leaves out: a netmask that stands for one client each (/32, /128), and the thresholds of
connections. These are read from `ipvsadm -Ln --thresholds` (connections.py), and written by `rules`, for
`ipvsadm -R`: `parse(rules(table)) == table`. Before 1.30 ipvsadm did not print `--tun-type ipip`.
https://man7.org/linux/man-pages/man8/ipvsadm.8.html, ipvsadm.c (print_service_entry, print_tunnel_rule)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lvsdeploy.observe import connections
from lvsdeploy.state.ipvs import (
    LARGEST_MARK,
    LARGEST_PORT,
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
    commands,
    key_of,
    number,
    split_port,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORWARDING = {way.value: way for way in Forwarding}
_CHECKSUMS = {f"--tun-{checksum}": checksum for checksum in Checksum}
_LARGEST_SIGNED = 2**31 - 1
_ONE_CLIENT_EACH = {"255.255.255.255", "128"}


def parse(text: str, listing: str = "") -> dict[ServiceKey, VirtualService]:
    """The table that `ipvsadm -Sn` printed, with the thresholds that `ipvsadm -Ln --thresholds` did.

    ValueError says which line cannot be read.
    """
    services: dict[ServiceKey, VirtualService] = {}
    destinations: dict[ServiceKey, dict[tuple[str, int], TableDestination]] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            entry = _Line.of(line)
            if entry.command == "-A":
                services[entry.key] = entry.service()
            else:
                destination = entry.destination()
                destinations.setdefault(entry.key, {})[destination.key] = destination
        except (ValueError, KeyError) as error:
            raise ValueError(f"not a line of `ipvsadm -Sn`: {line.strip()[:100]}") from error
    if stray := destinations.keys() - services.keys():
        raise ValueError(f"destinations of no virtual service: {next(iter(stray))}")
    limits = connections.thresholds(listing)
    return {
        key: _with_destinations(service, destinations.get(key, {}).values(), limits.get(key, {}))
        for key, service in services.items()
    }


def render(table: Iterable[VirtualService]) -> str:
    """The table as `ipvsadm -Sn` prints it, services in order of their keys."""
    return "".join(f"{line}\n" for line in _lines(sorted(table, key=_order)))


def rules(table: Iterable[VirtualService]) -> str:
    """The table for `ipvsadm -R`, services in order of their keys: all of it, thresholds, too."""
    return "".join(f"{' '.join(words)}\n" for words in commands(sorted(table, key=_order)))


def listing(table: Iterable[VirtualService]) -> str:
    """What `ipvsadm -Ln --thresholds` prints of the table while nobody is connected, without its head."""
    lines = []
    for service in sorted(table, key=_order):
        lines.append(f"{_listed_name(service.key, ' ')} {service.scheduler}")
        lines += [f"  -> {d!s:28} {d.upper:<10} {d.lower:<10} {0:<10} {0:<10}" for d in service.destinations]
    return "".join(f"{line}\n" for line in lines)


def digest(table: Iterable[VirtualService]) -> str:
    """SHA-256 of the table's lines, those of `render` and one a threshold, sorted by their bytes.

    As the probe's pipe of ipvsadm, sort and sha256sum does it.
    """
    services = tuple(table)
    lines = sorted(line.encode() for line in (*_lines(services), *_limits(services)))
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def _order(service: VirtualService) -> tuple[str, str, int, int, int]:
    key = service.key
    return (key.protocol or "", key.address, key.port, key.fwmark, key.family)


def _lines(table: Iterable[VirtualService]) -> Iterator[str]:
    for service in table:
        words = _name(service.key)
        yield " ".join(("-A", *words, *service.options()))
        for destination in service.destinations:
            shown = [*destination.method()]
            if destination.tunnel is not None and destination.tunnel.kind is TunnelKind.IPIP:
                shown += ["--tun-type", TunnelKind.IPIP.value]
            yield " ".join(("-a", *words, "-r", str(destination), *shown))


def _limits(table: Iterable[VirtualService]) -> Iterator[str]:
    """Of each destination that has thresholds: what the probe makes of a line of the listing."""
    for service in table:
        for destination in service.destinations:
            if destination.upper or destination.lower:
                name = _listed_name(service.key, ",").replace("  ", " ")
                yield f"{destination} {destination.upper} {destination.lower} {name}"


def _name(key: ServiceKey) -> tuple[str, ...]:
    """The words that name a service in `ipvsadm -Sn`, which prints marks with a sign."""
    return ("-f", str(_signed(key.fwmark)), *key.flags()[2:]) if key.fwmark else key.flags()


def _listed_name(key: ServiceKey, before_family: str) -> str:
    """What `ipvsadm -Ln` calls a service."""
    if key.protocol is None:
        return f"FWM  {_signed(key.fwmark)}" + (f"{before_family}IPv6" if "-6" in key.flags() else "")
    return f"{key.protocol.upper():4} {key.flags()[1]}"


def _signed(mark: int) -> int:
    return mark if mark <= _LARGEST_SIGNED else mark - LARGEST_MARK - 1


def _with_destinations(
    service: VirtualService,
    destinations: Iterable[TableDestination],
    limits: dict[tuple[str, int], tuple[int, int]],
) -> VirtualService:
    limited = []
    for destination in destinations:
        upper, lower = limits.get(destination.key, (destination.upper, destination.lower))
        limited.append(replace(destination, upper=upper, lower=lower))
    return replace(service, destinations=tuple(sorted(limited)))


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
        key, rest = key_of(words)
        options: dict[str, str] = {}
        last = ""
        for word in rest:
            if word.startswith("-"):
                last = word
                options[last] = ""
            else:
                options[last] = word
        return cls(command, key, options)

    def service(self) -> VirtualService:
        flags = self.options.get("-b", "")
        netmask = self.options.get("-M", "")
        return VirtualService(
            key=self.key,
            scheduler=self.options["-s"],
            scheduler_flags=tuple(flags.split(",")) if flags else (),
            persistence=number(self.options["-p"]) if "-p" in self.options else None,
            netmask="" if netmask in _ONE_CLIENT_EACH else netmask,
            engine=self.options.get("--pe", ""),
            one_packet="-o" in self.options,
        )

    def destination(self) -> TableDestination:
        address, port = split_port(self.options["-r"])
        ways = [_FORWARDING[word] for word in self.options if word in _FORWARDING]
        if len(ways) != 1:
            raise ValueError(self.options)
        return TableDestination(
            address,
            port,
            ways[0],
            number(self.options["-w"]),
            upper=number(self.options.get("-x", "0")),
            lower=number(self.options.get("-y", "0")),
            tunnel=self._tunnel(),
        )

    def _tunnel(self) -> Tunnel | None:
        if not any(word.startswith("--tun-") for word in self.options):
            return None
        checksums = [_CHECKSUMS[word] for word in self.options if word in _CHECKSUMS]
        return Tunnel(
            TunnelKind(self.options["--tun-type"]),
            number(self.options.get("--tun-port", "0"), LARGEST_PORT),
            checksums[0] if checksums else Checksum.NONE,
        )
