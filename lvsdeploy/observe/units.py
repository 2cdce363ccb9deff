"""Units of systemd, services of OpenRC, init scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_ACTIVE = {"active", "reloading", "refreshing"}
_ENABLED = {"enabled", "alias"}
"""Not `enabled-runtime`: it is gone after a reboot. Not `static`: something else has to want it.
https://www.freedesktop.org/software/systemd/man/latest/systemctl.html (is-enabled)"""


def from_systemd(names: Collection[str], text: str, linked: Collection[str]) -> dict[str, Unit]:
    """Units by the names that were asked for, from the blocks of `systemctl show`, which come in that order.

    `linked` are those of them that have a start link for init scripts: it counts for a unit that systemd
    generated from one. A unit unknown to systemd is neither enabled nor active. ValueError when systemd
    did not answer for each.
    """
    blocks = [block for block in text.strip().split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        raise ValueError("systemctl did not answer for every unit; does systemd run?")
    return {
        name: _from_properties(name, block, name in linked) for name, block in zip(names, blocks, strict=True)
    }


def _from_properties(name: str, block: str, linked: bool) -> Unit:  # noqa: FBT001 — one caller
    values = dict(line.partition("=")[::2] for line in block.splitlines())
    enabled = values.get("UnitFileState", "")
    return Unit(
        name,
        enabled=enabled in _ENABLED or (enabled == "generated" and linked),
        active=values.get("ActiveState") in _ACTIVE,
    )


def from_scripts(names: Collection[str], lines: Iterable[str]) -> dict[str, Unit]:
    """Units from the lines `NAME yes|no yes|no` (enabled, active). ValueError when one is missing."""
    answers = dict(line.split(" ", 1) for line in lines)
    words = {"yes": True, "no": False}
    units = {}
    for name in names:
        enabled, active = answers.get(name, "").split(" ") if name in answers else ("", "")
        if enabled not in words or active not in words:
            raise ValueError(f"nothing about the service {name}")
        units[name] = Unit(name, enabled=words[enabled], active=words[active])
    return units
