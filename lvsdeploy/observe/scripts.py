"""The probe's section about scripts: users, where paths lead to, and whose each part of the way is.

user daemon 1 1
real /usr/local/bin/check /opt/checks/check
at 41ed 0 0 /opt
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.state.script import Owner, Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HEX = 16
_LARGEST_MODE = 0xFFFF


def parse(lines: Iterable[str], asked: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Script]:
    """What was found of each (path, user) that was asked for. ValueError for lines that make no sense."""
    users: dict[str, tuple[int, int]] = {}
    real: dict[str, str] = {}
    owners: dict[str, Owner] = {}
    for line in lines:
        word, *rest = line.split(" ")
        if word == "user" and len(rest) == 3:  # noqa: PLR2004 - name, user, group
            users[rest[0]] = (int(rest[1]), int(rest[2]))
        elif word == "real" and len(rest) == 2:  # noqa: PLR2004 - from, to
            real[rest[0]] = rest[1]
        elif word == "at" and len(rest) == 4:  # noqa: PLR2004 - mode, user, group, path
            mode = int(rest[0], _HEX)
            if not 0 <= mode <= _LARGEST_MODE:
                raise ValueError(f"a mode of {rest[0]}")
            owners[rest[3]] = Owner(mode, int(rest[1]), int(rest[2]))
        elif line:
            raise ValueError(f"a line about scripts: {line}")
    found = {}
    for path, user in asked:
        uid, gid = users.get(user, (None, None))
        steps = _steps(real[path]) if path in real else ()
        there = all(step in owners for step in steps)
        way = tuple((step, owners[step]) for step in steps) if there else ()
        found[path, user] = Script(uid, gid, way)
    return found


def _steps(path: str) -> tuple[str, ...]:
    """`/`, `/usr`, `/usr/bin`, `/usr/bin/true`."""
    parts = path.strip("/").split("/")
    return ("/", *("/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)))
