"""What a command loads: a verb imports what it needs when it runs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.cli.running import SMALLEST, process

HEAVY = {"yaml", "jsonschema", "jinja2", "paramiko", "fabric", "rich", "cryptography", "asyncio"}


def loaded(*arguments: str) -> set[str]:
    """The top-level packages that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lvsdeploy", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["--version"], ["bogus"]])
def test_help_loads_click_and_nothing_heavy(arguments: list[str]) -> None:
    found = loaded(*arguments)
    assert "click" in found
    assert found & HEAVY == set()


def test_validate_loads_neither_ssh_nor_templates() -> None:
    found = loaded("validate", str(SMALLEST))
    assert {"yaml", "jsonschema", "rich"} <= found
    assert found & {"paramiko", "fabric", "invoke", "jinja2", "cryptography"} == set()


def test_render_loads_no_ssh() -> None:
    found = loaded("render", str(SMALLEST))
    assert "jinja2" in found
    assert found & {"paramiko", "fabric", "invoke", "cryptography"} == set()


def test_json_loads_no_rich() -> None:
    assert "rich" not in loaded("validate", "--output", "json", str(SMALLEST))


def test_help_is_quick() -> None:
    """Beyond Python's own start, 0.15 s on an idle machine; here by the best of several runs, with room."""

    def best(*argv: str) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run(argv, capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        return min(times)

    bare = best(sys.executable, "-c", "pass")
    full = best(sys.executable, "-m", "lvsdeploy", "--help")
    assert full - bare < max(0.15, 8 * bare), f"{full:.3f} s, Python alone {bare:.3f} s"


def test_the_command_is_there() -> None:
    assert process("--version").out.startswith("lvsdeploy, version ")
