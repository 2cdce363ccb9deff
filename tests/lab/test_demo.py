"""The demo is the first thing that people run: it holds, and it says so when it cannot."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lvsdeploy.lab import demo

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "lvsdeploy.lab.demo"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root")


@pytest.mark.lab
@needs_root
def test_the_demo_holds() -> None:
    done = subprocess.run(DEMO, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"All \d+ expectations held, in \d+ s\.", done.stdout.splitlines()[-1])
    assert "\x1b" not in done.stdout, "no colours in a pipe"


@pytest.mark.lab
@needs_root
def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        DEMO, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("1. plan"):
                os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == demo.INTERRUPTED
    assert said[-1] == "Stopped; the machines are gone.\n"
    assert list(tmp_path.iterdir()) == []
    assert [line for line in _commands() if str(tmp_path) in line] == []


def test_without_root_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert demo.main() == 1
    assert "run it as root (sudo)" in capsys.readouterr().out


def test_a_missing_program_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "PROGRAMS", {"no-such-program": "its-package"})
    assert demo.main() == 1
    assert "apt-get install its-package" in capsys.readouterr().out


def _commands() -> list[str]:
    """The command line of every process."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_text(errors="replace"))
    return found
