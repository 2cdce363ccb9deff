"""Options that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

OUTPUTS = ("text", "json", "markdown", "junit")


@dataclass(frozen=True)
class Common:
    """What every verb knows: how to show its answer, and which hosts are meant."""

    output: str = "text"
    color: str = "auto"
    verbose: bool = False
    log_file: Path | None = None
    limit: str | None = None
    parallel: int = 100


def inventory(function: F) -> F:
    """The argument INVENTORY."""
    return click.argument("inventory", type=click.Path(path_type=Path), metavar="INVENTORY")(function)


def shown(function: F) -> F:
    """--output, --color, -v, --log-file, --debug."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on an error."),
        click.option(
            "--log-file",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Append progress to FILE, with times.",
        ),
        click.option(
            "-v", "--verbose", is_flag=True, help="Show progress, and the reasons of every finding."
        ),
        click.option(
            "--color",
            type=click.Choice(("auto", "always", "never")),
            default="auto",
            show_default=True,
            help="auto: on a terminal, unless NO_COLOR is set.",
        ),
        click.option(
            "--output",
            type=click.Choice(OUTPUTS),
            default="text",
            show_default=True,
            help="How the answer is written to stdout.",
        ),
    ):
        function = option(function)
    return function


def hosts(function: F) -> F:
    """--limit, --parallel."""
    for option in (
        click.option(
            "--parallel",
            type=click.IntRange(1, 1000),
            default=100,
            show_default=True,
            metavar="N",
            help="How many hosts at once.",
        ),
        click.option(
            "--limit",
            metavar="HOSTS",
            help="Only these hosts, separated by commas: web1, web*, @group, tag:rack1.",
        ),
    ):
        function = option(function)
    return function


def drain_timeout(function: F) -> F:
    """--drain-timeout, of what may take destinations out."""
    about = "How long connections to a real server that is removed may go on; 0: break them."
    return _seconds("--drain-timeout", 30, about)(function)


def lock_timeout(function: F) -> F:
    """--lock-timeout, of what changes hosts."""
    about = "How long to wait for another command that changes this cluster; 0: stop, and say who it is."
    return _seconds("--lock-timeout", 0, about)(function)


def _seconds(name: str, default: int, about: str) -> Callable[[F], F]:
    """An option that is a number of seconds, up to a day."""
    return click.option(
        name,
        type=click.IntRange(0, 86_400),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=about,
    )


def asking(function: F) -> F:
    """--yes, of what asks."""
    return click.option(
        "--yes", is_flag=True, help="Do not ask. Without a terminal nothing is asked anyway."
    )(function)


def common(options: dict[str, Any]) -> Common:
    """Takes the shared options out of a verb's keyword arguments."""
    names = Common.__dataclass_fields__.keys() & options.keys()
    return Common(**{name: options.pop(name) for name in names})
