"""The command line: flags, one call, an exit code. No logic.

`lvsdeploy --help` loads this, the verbs' flags and click: every verb imports what it needs when it runs.
"""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

from lvsdeploy.errors import ExitCode, HostError, InventoryInvalid, LvsdeployError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with the contract's codes; no traceback leaves without `--debug`."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _leave("Interrupted. Nothing is left half done on any host.")
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`). Python would complain again when it flushes at exit.
        _give_up_stdout()
        code = ExitCode.FAILED
    except LvsdeployError as error:
        if debug:
            _show_where()
        _show(error)
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 — the last resort: nothing above it could say more
        if debug:
            _show_where()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _give_up_stdout()
            sys.stderr.write(f"lvsdeploy: cannot write the answer: {error.strerror}\n")
            sys.exit(int(ExitCode.FAILED))
        sys.stderr.write(
            f"lvsdeploy: internal error: {type(error).__name__}: {error}\n"
            "This is a bug. The same command with --debug shows where.\n"
        )
        code = ExitCode.FAILED
    sys.exit(int(code or 0))


def _show_where() -> None:
    import traceback

    traceback.print_exc()


def _give_up_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str] | None) -> int | None:
    """The verb's exit code, or that of a command line which is none."""
    import click

    from lvsdeploy.cli.verbs import lvsdeploy

    try:
        code: int | None = lvsdeploy(arguments, prog_name="lvsdeploy", standalone_mode=False)
    except click.UsageError as error:
        error.show(sys.stderr)
        return ExitCode.USAGE
    except click.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # click's translation, wherever it came
            raise KeyboardInterrupt from error
        click.echo("Aborted; nothing was changed.", err=True)
        return ExitCode.FAILED
    except click.ClickException as error:
        error.show(sys.stderr)
        return ExitCode.FAILED
    return code


def _leave(line: str) -> NoReturn:
    """Ends this process now: an ordinary exit waits for the threads that still wait for hosts."""
    from lvsdeploy.execute.interruption import leave

    leave(line)


def _show(error: LvsdeployError) -> None:
    if isinstance(error, InventoryInvalid):
        from lvsdeploy.cli.output import show_findings

        show_findings(error.findings)
    where = f"{error.host}: " if isinstance(error, HostError) else ""
    sys.stderr.write(f"lvsdeploy: {where}{error}\n")
    if error.hint:
        sys.stderr.write(f"  do: {error.hint}\n")
