"""Stands for ipvsadm and the kernel's table. No shell, no network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.observe.ipvs_table import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lvsdeploy.state.ipvs import ServiceKey, TableDestination, VirtualService

    Table = Mapping[ServiceKey, VirtualService]


def run(table: Table, words: Sequence[str]) -> dict[ServiceKey, VirtualService]:
    """The table after one command. AssertionError for one that ipvsadm would refuse."""
    command, rest = words[0], list(words[1:])
    flags = rest[: 3 if rest[2:3] == ["-6"] else 2]
    options = rest[len(flags) :]
    after = dict(table)
    if command in ("-A", "-E"):
        (wanted,) = _read("-A", flags, options)
        there = after.get(wanted.key)
        assert (there is not None) == (command == "-E"), words
        after[wanted.key] = replace(wanted, destinations=there.destinations if there is not None else ())
        return after
    (service,) = _read("-A", flags, ["-s", "rr"])
    assert service.key in after, words
    if command == "-D":
        assert not options, words
        del after[service.key]
        return after
    shown = [*options, "-g", "-w", "0"] if command == "-d" else options
    (one,) = _read("-a", flags, shown)
    there_is = {d.key: d for d in after[service.key].destinations}
    (wanted_one,) = one.destinations
    assert (wanted_one.key in there_is) == (command != "-a"), words
    if command == "-d":
        assert len(options) == len(("-r", "address")), words
        del there_is[wanted_one.key]
    else:
        assert command in ("-a", "-e"), words
        there_is[wanted_one.key] = wanted_one
    after[service.key] = replace(after[service.key], destinations=_sorted(there_is))
    return after


def _read(command: str, flags: list[str], options: list[str]) -> list[VirtualService]:
    line = " ".join([command, *flags, *options])
    service = " ".join(["-A", *flags, "-s", "rr"])
    return list(parse(line if command == "-A" else f"{service}\n{line}").values())


def _sorted(found: Mapping[tuple[str, int], TableDestination]) -> tuple[TableDestination, ...]:
    return tuple(sorted(found.values()))
