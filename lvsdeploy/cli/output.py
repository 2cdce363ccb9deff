"""Where text goes: the answer to stdout, progress and errors to stderr and the log file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from lvsdeploy.cli.options import Common
    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.results import Result


NO_TERMINAL_WIDTH = 500  # columns: a table in a file or a pipe is not cut


def show(result: Result, common: Common) -> None:
    """Writes a result to stdout in the chosen format."""
    match common.output:
        case "json":
            from lvsdeploy.report.as_json import as_json

            sys.stdout.write(as_json(result) + "\n")
        case "markdown":
            from lvsdeploy.report.markdown import as_markdown

            sys.stdout.write(as_markdown(result))
        case "junit":
            from lvsdeploy.report.junit import as_junit

            sys.stdout.write(as_junit(result))
        case _:
            from lvsdeploy.report.text import as_text

            console(sys.stdout, common.color).print(as_text(result, verbose=common.verbose), soft_wrap=True)


def show_findings(findings: tuple[Finding, ...]) -> None:
    """Findings on stderr, for a verb that goes no further because of them."""
    from lvsdeploy.report.text import finding_text

    out = console(sys.stderr, "auto")
    for finding in findings:
        out.print(finding_text(finding), soft_wrap=True)


def console(stream: TextIO, color: str) -> Console:
    """A rich console that adds nothing to what it is given: no markup, no highlighting, no wrapping."""
    from rich.console import Console

    terminal = {"always": True, "never": False}.get(color)
    return Console(
        file=stream,
        width=None if stream.isatty() else NO_TERMINAL_WIDTH,
        force_terminal=terminal,
        no_color=True if color == "never" else False if color == "always" else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


@contextmanager
def progress(common: Common) -> Iterator[Callable[[str], None]]:
    """A function for lines of progress: to stderr on a terminal or with -v, and to the log file."""
    log = common.log_file.open("a", encoding="utf-8") if common.log_file is not None else None
    loud = common.verbose or sys.stderr.isatty()

    def write(line: str) -> None:
        if loud:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        if log is not None:
            log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {line}\n")
            log.flush()

    try:
        yield write
    finally:
        if log is not None:
            log.close()
