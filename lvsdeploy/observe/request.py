"""What to read on a host, and the command that reads it."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from lvsdeploy.observe.ipvs_table import digest
from lvsdeploy.state.netfilter import chain_name, table_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from lvsdeploy.state.ipvs import VirtualService

_PATH = re.compile(r"/[\w@%+=:,./-]+\Z", re.ASCII)
_SWITCHES = ("counters", "daemons", "timeouts", "listeners", "firewall", "policy")
_NAME = re.compile(r"[A-Za-z0-9_][\w@%+=:.-]*\Z", re.ASCII)


def is_path(text: str) -> bool:
    """Whether the probe can look at this: an absolute path that is one word in any shell."""
    return bool(_PATH.match(text))


def _new_token() -> str:
    return os.urandom(16).hex()


@dataclass(frozen=True)
class Request:
    """What one probe reads.

    `files` maps a path to the contents that are expected there: a content travels only when it is none of
    those that the request holds, so a path without any expected content always brings its own. `units` are
    names without a suffix. `table` None: the IPVS table is not read; otherwise the table that is expected.
    `counters`: the connections of each destination, too. `daemons`, `timeouts`: IPVS's sync daemons, and how
    long it remembers idle connections. `record` is the path of the cluster's own manifest:
    the probe then also looks at the files, folders and units that it names, and at other clusters'
    manifests. `listeners`, `firewall`, `offloads` (of these interfaces) and `neighbours` (for these
    addresses) are its surroundings. `rules_of` is the cluster whose netfilter rules are read, "" for none;
    unless they are `ruled` (declared), only where its files are there. `scripts` are programs with the users
    that are to run them. `ways`: how the host would send to these addresses. `policy`: the rules of IPv6's
    policy routing, beside those of IPv4. ValueError for a path or a name that
    cannot be asked about in one word.
    """

    files: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    table: frozenset[VirtualService] | None = None
    counters: bool = False
    daemons: bool = False
    timeouts: bool = False
    listeners: bool = False
    firewall: bool = False
    offloads: tuple[str, ...] = ()
    neighbours: tuple[IPv4Address | IPv6Address, ...] = ()
    record: str = ""
    scripts: tuple[tuple[str, str], ...] = ()
    ways: tuple[IPv4Address | IPv6Address, ...] = ()
    policy: bool = False
    rules_of: str = ""
    ruled: bool = False
    token: str = field(default_factory=_new_token, compare=False, repr=False)

    def __post_init__(self) -> None:
        scripts = [path for path, _ in self.scripts]
        for path in (*self.files, *scripts, *([self.record] if self.record else ())):
            if not is_path(path):
                raise ValueError(f"not a path the probe can look at: {path!r}")
        own = (self.rules_of,) if self.rules_of else ()
        users = [user for _, user in self.scripts]
        for name in (*users, *self.units, *self.programs, *self.modules, *self.offloads, *own):
            if not _NAME.match(name):
                raise ValueError(f"not a name the probe can ask about: {name!r}")

    def known(self) -> dict[str, bytes]:
        """Every expected content by its SHA-256, in hex."""
        contents = {content for several in self.files.values() for content in several}
        return {hashlib.sha256(content).hexdigest(): content for content in contents}

    def lines(self) -> Iterator[str]:
        """The probe's standard input, as described at the top of probe.sh."""
        yield self.token
        yield from (f"file {path}" for path in self.files)
        if self.record:
            yield f"record {self.record}"
        yield from (f"known {sha256}" for sha256 in sorted(self.known()))
        yield from (f"unit {unit}" for unit in self.units)
        yield from (f"program {program}" for program in self.programs)
        for module in self.modules:
            # a module ip_vs may lie in a file ip-vs.ko, and the kernel calls it ip_vs all the same
            yield f"module {module.replace('-', '_')} {re.sub('[-_]', '[-_]', module)}"
        if self.table is not None:
            yield f"table {digest(self.table) if self.table else '-'}"
        if self.rules_of:
            names = f"{table_name(self.rules_of)} {chain_name(self.rules_of)}"
            yield f"rules {names} {'yes' if self.ruled else 'no'}"
        yield from (f"script {user} {path}" for path, user in self.scripts)
        yield from (word for word in _SWITCHES if getattr(self, word))
        yield from (f"offload {interface}" for interface in self.offloads)
        yield from (f"neighbour {address}" for address in self.neighbours)
        yield from (f"way {address}" for address in self.ways)
        yield "end"


@cache
def program() -> str:
    """The text of probe.sh without its comments: `ps` on the host shows it, and it travels every time."""
    from importlib.resources import files  # noqa: PLC0415 — costs more to import than all of observe/

    text = files("lvsdeploy.observe").joinpath("probe.sh").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return "\n".join(line for line in lines if line) + "\n"


def probe_command(request: Request) -> tuple[str, bytes]:
    """One complete shell line, the same for every host and every request, and its standard input."""
    return f"sh -c {shlex.quote(program())}", "".join(f"{x}\n" for x in request.lines()).encode()
