"""A host of one's own for the probe: a network and mount namespace, and a shell to choose."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.observe import Request, parse, probe_command

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.observe import Observation

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "setpriv"))),
    reason="needs root and namespaces",
)
SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Sandbox:
    """A host in namespaces: `setup` prepares it, `shell` runs the probe there."""

    folder: Path
    shell: str
    setup: list[str] = field(default_factory=list)
    as_user: int = 0

    def observe(self, request: Request) -> Observation:
        return self.parse(self.answer(request), request)

    def parse(self, answer: bytes, request: Request) -> Observation:
        return parse("web1", answer, request)

    def answer(self, request: Request) -> bytes:
        return self._run(request, "-n", "-m", last='PATH=$0 exec "$@"')

    def forks(self, request: Request) -> int:
        """How many processes the probe starts: in a namespace of their own they are numbered in order."""
        pids = self.folder / "pids"
        number = f"/bin/sh -c 'echo $$' >>{pids}"
        pids.write_bytes(b"")
        self._run(request, "-n", "-m", "-p", "-f", last=f'{number}; (PATH=$0 exec "$@"); {number}')
        before, after = map(int, pids.read_text().split())
        return after - before - 2  # the probe's shell, and the last `sh`

    def _run(self, request: Request, *namespaces: str, last: str) -> bytes:
        command, stdin = probe_command(request)
        words = shlex.split(command)
        assert words[:2] == ["sh", "-c"]
        assert len(words) == 3
        path = SYSTEM_PATH
        shell = [shutil.which(self.shell) or self.shell]
        if self.shell == "busybox":
            applets = self.folder / "applets"
            applets.mkdir(exist_ok=True)
            if not (applets / "sh").exists():
                subprocess.run([*shell, "--install", "-s", str(applets)], check=True)
            path, shell = str(applets), [str(applets / "sh")]
        if self.as_user:
            user = f"--reuid={self.as_user}", f"--regid={self.as_user}", "--clear-groups"
            shell = ["/usr/bin/setpriv", *user, *shell]
        script = "\n".join(["set -e", "ip link set lo up", *self.setup, last])
        done = subprocess.run(
            ["unshare", *namespaces, "/bin/sh", "-c", script, path, *shell, "-c", words[2]],
            input=stdin,
            capture_output=True,
            check=True,
            env={"PATH": SYSTEM_PATH},
            timeout=60,
        )
        assert done.stderr == b""
        return done.stdout
