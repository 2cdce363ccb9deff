"""Programs that keepalived is to run: users, symbolic links and every folder above, on a real system."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.observe import Request
from lvsdeploy.observe.scripts import parse
from lvsdeploy.state.script import Owner, Script
from tests.observe.sandbox import SHELLS, Sandbox, needs_namespaces

if TYPE_CHECKING:
    from pathlib import Path

ROOT, DIR, FILE = (0, 0), stat.S_IFDIR, stat.S_IFREG


def way(*owners: Owner) -> tuple[tuple[str, Owner], ...]:
    return tuple((f"/{number}", owner) for number, owner in enumerate(owners))


@needs_namespaces
@pytest.mark.parametrize("shell", SHELLS)
def test_the_probe_looks_at_scripts(shell: str, tmp_path: Path) -> None:
    setup = [
        "mount -t tmpfs none /opt",
        "mkdir -p /opt/own /opt/theirs",
        "printf '#!/bin/sh\\n' >/opt/own/check; chmod 755 /opt/own/check",
        "ln -s /opt/own/check /opt/theirs/link; chown 1 /opt/theirs",
        "printf x >/opt/theirs/plain; chmod 644 /opt/theirs/plain; mkdir '/opt/a b'; : >'/opt/a b/x'",
        "ln -s '/opt/a b/x' /opt/odd",
    ]
    names = [("link", "daemon"), ("plain", "root"), ("plain", "nobody-at-all"), ("gone", "root")]
    asked = [(f"/opt/theirs/{name}", user) for name, user in names]
    request = Request(scripts=(*asked, ("/opt/theirs", "root"), ("/opt/odd", "root")))
    found = Sandbox(tmp_path, shell, setup).observe(request).facts.scripts
    assert list(found) == list(request.scripts)
    link, plain, stranger, gone, folder, odd = found.values()
    assert (link.user, link.group) == (1, 1)
    assert [path for path, _ in link.way] == ["/", "/opt", "/opt/own", "/opt/own/check"]
    assert link.is_there
    assert (link.closed, link.unsafe) == ("", "")
    assert plain.is_there
    assert plain.closed == "/opt/theirs/plain"
    assert plain.unsafe == "/opt/theirs"
    assert stranger.user is None
    assert stranger.is_there
    assert not gone.is_there
    assert not folder.is_there
    assert not odd.is_there


@pytest.mark.parametrize(
    ("owner", "unsafe"),
    [
        (Owner(DIR | 0o755, 0, 0), False),
        (Owner(DIR | 0o755, 7, 0), True),
        (Owner(DIR | 0o775, 0, 0), False),
        (Owner(DIR | 0o775, 0, 7), True),
        (Owner(DIR | 0o1777, 0, 7), False),
        (Owner(DIR | 0o777, 0, 0), True),
        (Owner(FILE | 0o1777, 0, 0), True),
        (Owner(FILE | 0o757, 0, 0), True),
    ],
)
def test_who_may_write(owner: Owner, *, unsafe: bool) -> None:
    """check_security of lib/notify.c."""
    file = Owner(FILE | 0o755, 0, 0)
    assert owner.writable_by_others is unsafe
    assert bool(Script(0, 0, way(owner, file)).unsafe) is unsafe
    assert Script(1, 1, way(owner, file)).unsafe == ""
    assert bool(Script(1, 0, way(owner, file)).unsafe) is unsafe
    setuid = Owner(FILE | stat.S_ISUID | 0o755, 0, 0)
    assert bool(Script(1, 1, way(owner, setuid)).unsafe) is unsafe
    setgid = Owner(FILE | stat.S_ISGID | 0o755, 0, 0)
    assert bool(Script(1, 1, way(owner, setgid)).unsafe) is unsafe


@pytest.mark.parametrize(
    ("owner", "user", "group", "closed"),
    [
        (Owner(FILE | 0o100, 7, 7), 0, 0, False),
        (Owner(FILE | 0o644, 0, 0), 0, 0, True),
        (Owner(FILE | 0o100, 7, 8), 7, 7, False),
        (Owner(FILE | 0o077, 7, 8), 7, 7, True),
        (Owner(FILE | 0o010, 0, 7), 1, 7, False),
        (Owner(FILE | 0o701, 0, 7), 1, 7, True),
        (Owner(FILE | 0o001, 0, 0), 1, 7, False),
        (Owner(FILE | 0o770, 0, 0), 1, 7, True),
        (Owner(DIR | 0o700, 0, 0), 1, 7, True),
        (Owner(DIR | 0o600, 0, 0), 0, 0, False),
    ],
)
def test_who_may_execute(owner: Owner, user: int, group: int, *, closed: bool) -> None:
    """is_executable of lib/notify.c, and the kernel's own rule for folders."""
    assert bool(Script(user, group, way(owner)).closed) is closed


@pytest.mark.parametrize(
    "line", ["at 41ed 0 0", "at 1ffff 0 0 /", "at x 0 0 /", "user a b c", "real /a", "else", "at -1 0 0 /"]
)
def test_lines_that_make_no_sense(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any will do: the reader of the answer catches it
        parse([line], [])


@pytest.mark.parametrize(
    "bad", [("relative", "root"), ("/a b", "root"), ("/a", "a b"), ("/a", "-x"), ("/a", "")]
)
def test_what_cannot_be_asked(bad: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="probe can"):
        Request(scripts=(bad,))
