"""Facts: what the host is and can do."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from lvsdeploy.printable import host_word
from lvsdeploy.state.distributions import by_release
from lvsdeploy.state.facts import Facts, PackageManager, ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_VERSION = re.compile(r"\bv?(\d+(?:\.\d+)+[\w.+~-]*)")


def lacking(lines: Iterable[str]) -> list[str]:
    """Programs that the probe itself needs, and the host has not."""
    return [host_word(name) for word, _, name in map(_split, lines) if word == "lacks"]


def parse(
    host: Iterable[str], programs: Iterable[str], modules: Sequence[str], links: Mapping[str, bool]
) -> Facts:
    """Facts from the sections of these names. ValueError for a service manager that is none.

    A line of `programs` is a program and what it says of its version, or, with a `+` before the program's
    name, what it was built with.
    """
    values: dict[str, str] = {}
    managers = []
    release: dict[str, str] = {}
    for word, _, rest in map(_split, host):
        if word == "packages":
            managers.append(PackageManager(rest))
        elif word == "os":
            name, _, value = rest.partition("=")
            release.setdefault(name, _unquoted(value))
        else:
            values.setdefault(word, rest)
    loaded, loadable = _modules(modules)
    told = [_split(line) for line in programs]
    return Facts(
        hostname=host_word(values.get("hostname", "")),
        os_id=release.get("ID", ""),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        os_version=release.get("VERSION_ID", ""),
        kernel=host_word(values.get("kernel", "")),
        service_manager=ServiceManager(values.get("manager", "")),
        package_manager=_package_manager(release, managers),
        root=values.get("uid") == "0",
        programs={host_word(n): _version(rest) for n, _, rest in told if not n.startswith("+")},
        built_with={
            host_word(n[1:]): _options(r for m, _, r in told if m == n)
            for n, _, _ in told
            if n.startswith("+")
        },
        modules=frozenset(loaded),
        available_modules=frozenset(loaded | loadable),
        modules_listed="listed" in modules,
        links=links,
    )


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def _unquoted(value: str) -> str:
    """A value of os-release, which may be quoted as for a shell: os-release(5)."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = [value]
    return host_word(" ".join(words))


def _package_manager(release: Mapping[str, str], found: list[PackageManager]) -> PackageManager | None:
    """A distribution may also ship another family's package manager: its own goes first."""
    distribution = by_release(release.get("ID", ""), tuple(release.get("ID_LIKE", "").split()))
    own = distribution.package_managers if distribution is not None else ()
    return next((manager for manager in [*own, *found] if manager in found), None)


def _version(text: str) -> str:
    """`2.2.7` of `Keepalived v2.2.7 (01/16,2022)`; all of the words when no version is among them."""
    match = _VERSION.search(text)
    return host_word(match[1] if match else text)


def _options(lines: Iterable[str]) -> frozenset[str]:
    """What a program was built with: the words of its lines of options."""
    return frozenset(host_word(word) for line in lines for word in line.split())


def _modules(lines: Iterable[str]) -> tuple[set[str], set[str]]:
    """(loaded or built in, loadable) modules.

    The lines are of five kinds:
    listed                                   the folder of modules can be read
    loaded ip_vs                             /sys/module has it
    ip_vs 184320 2 ip_vs_rr, Live 0x0        /proc/modules
    kernel/net/netfilter/ipvs/ip_vs.ko       modules.builtin
    kernel/net/netfilter/ipvs/ip_vs.ko.xz: … modules.dep
    """
    loaded: set[str] = set()
    loadable: set[str] = set()
    for line in lines:
        first, _, rest = line.partition(" ")
        if line == "listed":
            continue
        if first == "loaded":
            loaded.add(host_word(rest))
        elif "/" not in first:
            loaded.add(host_word(first))
        else:
            name = first.rstrip(":").rpartition("/")[2].partition(".")[0].replace("-", "_")
            (loadable if first.endswith(":") else loaded).add(host_word(name))
    return loaded, loadable
