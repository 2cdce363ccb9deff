"""The command line, run within this process or as one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "inventories"
SMALLEST = EXAMPLES / "dr-minimal.yaml"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def runner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """A function that runs a command line within this process."""

    def run(*arguments: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "internal error" not in said.err
        return Done(ended.value.code, said.out, said.err)

    return run


def process(*arguments: str | Path, line: str = "", **environ: str) -> Done:
    """Runs a command line as a process of its own; `line` is one of shell, in which it is `"$@"`."""
    argv = [sys.executable, "-m", "lvsdeploy", *map(str, arguments)]
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line or '"$@"', "bash", *argv],
        capture_output=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, **environ},
    )
    return Done(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
