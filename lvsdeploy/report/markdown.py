"""Results as Markdown, for a comment on a change request."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from lvsdeploy.printable import printable, visible
from lvsdeploy.report.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.report.rows import Row
    from lvsdeploy.results import Result

_MARKS = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#&~"})
_LONGEST = 10_000


def as_markdown(result: Result) -> str:
    """A table of all rows, then the details of those that have some."""
    listed = _together(rows(result))
    lines = [
        f"### lvsdeploy {result.command}: exit code {int(result.exit_code)}",
        "",
        "| where | what |",
        "| --- | --- |",
    ]
    lines += [
        f"| {_cell(row.subject)} | {'**' * row.bad}{_cell(row.title)}{'**' * row.bad} |" for row in listed
    ]
    for row in listed:
        if row.detail:
            fence = "`" * max(3, _longest_run(row.detail) + 1)
            kind = "diff" if "\n@@ " in row.detail else "text"
            body = "\n".join(visible(line) for line in row.detail.removesuffix("\n").split("\n"))
            # Within HTML, Markdown's escapes are none.
            title = escape(f"{_plain(row.subject)}: {_plain(row.title)}")
            lines += [
                "",
                f"<details><summary>{title}</summary>",
                "",
                f"{fence}{kind}",
                body,
                fence,
                "",
                "</details>",
            ]
    return "\n".join(lines) + "\n"


def _together(listed: Iterable[Row]) -> list[Row]:
    """Rows that differ in nothing but their subject as one."""
    groups: dict[Row, list[str]] = {}
    for row in listed:
        groups.setdefault(replace(row, subject=""), []).append(row.subject)
    return [replace(row, subject=", ".join(subjects)) for row, subjects in groups.items()]


def _plain(text: str) -> str:
    return printable(text, longest=_LONGEST)


def _cell(text: str) -> str:
    return _plain(text).translate(_MARKS)


def _longest_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
