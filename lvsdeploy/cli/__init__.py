"""The command line: flags, one call, an exit code. No logic.

This module is all that `lvsdeploy --help` loads besides click: every verb imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from lvsdeploy.errors import ExitCode, HostError, InventoryInvalid, LvsdeployError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with the contract's codes; no traceback leaves without `--debug`."""
    from lvsdeploy.cli.commands import lvsdeploy

    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        code = lvsdeploy(arguments, prog_name="lvsdeploy", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        error.show(sys.stderr)
        code = ExitCode.USAGE
    except click.Abort:
        click.echo("Aborted; nothing was changed.", err=True)
        code = ExitCode.FAILED
    except click.ClickException as error:
        error.show(sys.stderr)
        code = ExitCode.FAILED
    except KeyboardInterrupt:
        click.echo("Interrupted. What was under way on a host was brought to its end there.", err=True)
        code = ExitCode.FAILED
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.FAILED
    except LvsdeployError as error:
        if debug:
            raise
        _show(error)
        code = error.exit_code
    except Exception as error:
        if debug:
            raise
        click.echo(
            f"lvsdeploy: internal error: {type(error).__name__}: {error}\n"
            "This is a bug. The same command with --debug shows where.",
            err=True,
        )
        code = ExitCode.FAILED
    sys.exit(int(code or 0))


def _show(error: LvsdeployError) -> None:
    if isinstance(error, InventoryInvalid):
        from lvsdeploy.cli.output import show_findings

        show_findings(error.findings)
    where = f"{error.host}: " if isinstance(error, HostError) else ""
    click.echo(f"lvsdeploy: {where}{error}", err=True)
    if error.hint:
        click.echo(f"  do: {error.hint}", err=True)
