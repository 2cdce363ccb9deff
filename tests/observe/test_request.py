"""What is asked, and how the command is put."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import lvsdeploy.observe
from lvsdeploy.observe import Request, probe_command

PROBE = Path(lvsdeploy.observe.__file__).parent / "probe.sh"


def test_contents_and_token_do_not_stand_in_the_command() -> None:
    request = Request(files={"/etc/x": [b"auth_pass sesame"]})
    command, stdin = probe_command(request)
    assert "sesame" not in command
    assert b"sesame" not in stdin
    assert request.token not in command
    assert stdin.startswith(request.token.encode())
    assert stdin.endswith(b"\nend\n")


def test_the_command_is_small_and_the_same_for_all() -> None:
    one, _ = probe_command(Request())
    other, _ = probe_command(Request(files={"/etc/x": []}, units=("keepalived",)))
    assert one == other
    assert len(one) < 16_000  # one argument holds 128 kB


def test_the_program_is_one_word_in_single_quotes() -> None:
    """Login shells differ in how a single quote within single quotes is written."""
    command, _ = probe_command(Request())
    assert command.count("'") == 2


def test_every_request_has_a_token_of_its_own() -> None:
    assert Request().token != Request().token
    assert Request() == Request()


@pytest.mark.parametrize("path", ["relative", "/a b", "/a\nend", "", "/a'b", "/ä"])
def test_paths_are_words(path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        Request(files={path: []})
    if path:
        with pytest.raises(ValueError, match="not a path"):
            Request(record=path)


def test_the_record_is_one_more_line() -> None:
    _, stdin = probe_command(Request(record="/var/lib/lvsdeploy/shop/manifest.json"))
    assert b"\nrecord /var/lib/lvsdeploy/shop/manifest.json\n" in stdin
    assert b"record" not in probe_command(Request())[1]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\n", "a/b"])
def test_names_are_words(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Request(units=(name,))


def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), PROBE], capture_output=True, check=False
    )
    assert done.stdout == b""


def test_importing_is_light() -> None:
    code = "import sys, lvsdeploy.observe; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"yaml", "jinja2", "paramiko", "fabric", "jsonschema", "rich", "click"}
