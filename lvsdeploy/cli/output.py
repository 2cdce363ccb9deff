"""Where text goes: the answer to stdout, progress and errors to stderr and the log file."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from lvsdeploy.errors import LvsdeployError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from lvsdeploy.cli.options import Common
    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.results import Result


NO_TERMINAL_WIDTH = 500  # columns: a table in a file or a pipe is not cut


def show(result: Result, common: Common) -> None:
    """Writes a result to stdout in the chosen format, all of it before this returns."""
    try:
        _write(result, common)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What could not be written is still in the buffer, and Python would try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise LvsdeployError(f"cannot write the answer: {error.strerror}") from error


def _write(result: Result, common: Common) -> None:
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

    if color == "auto" and os.environ.get("NO_COLOR"):
        color = "never"
    terminal = {"always": True, "never": False}.get(color)
    return Console(
        file=stream,
        width=None if stream.isatty() else NO_TERMINAL_WIDTH,
        force_terminal=terminal,
        color_system="standard" if color == "always" else "auto",  # whatever TERM says
        no_color=True if color == "never" else False if color == "always" else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


@contextmanager
def progress(common: Common) -> Iterator[Callable[[str], None]]:
    """A function for lines of progress: to stderr on a terminal or with -v, and to the log file."""
    log = _log(common.log_file) if common.log_file is not None else None
    loud = common.verbose or sys.stderr.isatty()

    def write(line: str) -> None:
        # A terminal that has gone or a full disk must not stop a change half way through the cluster.
        with suppress(OSError):
            if loud:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
        with suppress(OSError):
            if log is not None:
                log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {line}\n")

    try:
        yield write
    finally:
        if log is not None:
            with suppress(OSError):
                log.close()


def _log(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise UsageError(f"--log-file: {path}: {error.strerror}") from error
