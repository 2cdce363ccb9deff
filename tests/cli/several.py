"""Command lines that run at the same time, each as a process of its own.

    python -m tests.cli.several

reads a line of JSON, a list of command lines, and forks a process for each: all of them have loaded what they
need, wait for each other, and go. It answers with a line of JSON: exit code, stdout and stderr of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.running import ROOT, SMALLEST, Done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    At_once = Callable[..., list[Done]]


@contextmanager
def several() -> Iterator[At_once]:
    """A function that runs command lines at once, and returns when all of them have ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.several"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def at_once(*lines: list[str | Path]) -> list[Done]:
            asked.write(json.dumps([[str(word) for word in line] for line in lines]) + "\n")
            asked.flush()
            return [Done(*words) for words in json.loads(answered.readline())]

        yield at_once
        asked.close()
        process.wait(30)


def _serve() -> None:
    """Loads what an apply needs before there is anything to be done."""
    import lvsdeploy.cli.running  # noqa: PLC0415
    import lvsdeploy.report.text  # noqa: F401, PLC0415
    from lvsdeploy.desired import render_all  # noqa: PLC0415
    from lvsdeploy.inventory import load  # noqa: PLC0415

    render_all(load(SMALLEST).cluster)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_run(json.loads(line))) + "\n")
        sys.stdout.flush()


def _run(lines: list[list[str]]) -> list[tuple[int, str, str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wait, go = os.pipe()
        children = []
        for number, line in enumerate(lines):
            pid = os.fork()
            if pid == 0:
                os.close(go)
                os.read(wait, 1)  # returns for all of them when the other end is closed
                _become(line, folder / str(number))
            children.append(pid)
        os.close(wait)
        os.close(go)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        outs, errs = (
            [(folder / f"{number}.{end}").read_text() for number in range(len(lines))]
            for end in ("out", "err")
        )
        return list(zip(codes, outs, errs, strict=True))


def _become(line: list[str], file: Path) -> None:
    """From here on this is the command; it does not return."""
    from lvsdeploy.cli import main  # noqa: PLC0415

    for number, end in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{file}.{end}", os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 70
    try:
        main(line)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
