"""Which real servers are changed together. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lvsdeploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SERIAL = re.compile(r"([1-9][0-9]{0,5})(%?)\Z")
_WHOLE = 100


@dataclass(frozen=True)
class Serial:
    """`--serial`: so many real servers at a time, or so many percent of those that change."""

    number: int
    percent: bool = False

    def size(self, count: int) -> int:
        """How many of `count`; at least one."""
        return max(1, math.floor(count * self.number / _WHOLE)) if self.percent else self.number

    def waves(self, things: Sequence[Any]) -> Iterator[Sequence[Any]]:
        size = self.size(len(things))
        for start in range(0, len(things), size):
            yield things[start : start + size]


def serial(text: str) -> Serial:
    """`5` or `25%`; UsageError for anything else."""
    match = _SERIAL.match(text.strip())
    if match is None or (match[2] and int(match[1]) > _WHOLE):
        raise UsageError(
            f"--serial: `{text}` is neither a number of hosts nor a percentage",
            hint="Say 2, or 25%.",
        )
    return Serial(int(match[1]), percent=bool(match[2]))
