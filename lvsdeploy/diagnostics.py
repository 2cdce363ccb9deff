"""What lvsdeploy has to say about an inventory or a host: one type for every finding.

A finding has a stable code (`LVS` and three digits), a severity, one line that states it, the place it is
about, why it matters and what to do. Every rule, of the text, of the model or of a live host, yields these;
`report/` is the only package that prints them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(StrEnum):
    """How much a finding weighs: errors refuse, warnings and notes tell."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, order=True)
class Place:
    """A position in an inventory: line and column count from 1, as editors do."""

    file: str
    line: int
    column: int
    text: str = ""
    """The source line, without its newline; empty when it cannot be shown."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or noteworthy.

    `summary` is one line, `why` and `fix` a sentence or two each. `place` is set for findings about an
    inventory, `host` for those about a live machine.
    """

    code: str
    severity: Severity
    summary: str
    why: str = ""
    fix: str = ""
    place: Place | None = None
    host: str | None = None
    drift: bool = False
    """The host is not as declared, and no change of ours would mend it."""

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings sorted by host, then by file, line, column and code."""
    return tuple(
        sorted(
            findings,
            key=lambda f: (f.host or "", f.place or Place("", 0, 0), f.code, f.summary),
        )
    )
