"""Transactions run for real, in a network and mount namespace of their own."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from lvsdeploy.execute.transaction import Program, build, read_outcome
from lvsdeploy.state.facts import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.execute.transaction import Outcome
    from lvsdeploy.plan.change import Step

TOKEN = "0123456789abcdef"  # noqa: S105 — it frames an answer
READ = Program("printf 'read: '; cat", b"the request")
SHELLS = ("dash", "bash", "busybox")


def shell_tools(folder: Path, shell: str) -> Path:
    """A folder to stand first on PATH, in which `sh` is this shell."""
    tools = folder / "bin"
    tools.mkdir()
    if shell == "busybox":
        # busybox's own applets too, the way Alpine has them.
        subprocess.run(["busybox", "--install", "-s", str(tools)], check=True)
        (tools / "ip").unlink(missing_ok=True)  # Debian's busybox has no `ip address`
    else:
        (tools / "sh").symlink_to(f"/bin/{shell}")
    return tools


class Namespace:
    """A host: namespaces that last, with a /run, a /var/lib and an /etc/init.d of their own."""

    def __init__(self, tools: Path) -> None:
        self.tools = tools
        self._environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin"}
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--", "/bin/sh", "-c", "echo up; exec sleep 600"],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n"
        self.sh(
            "for f in /run /var/lib /etc/init.d; do mount -t tmpfs x $f; done; mkdir /run/lvsdeploy; "
            "ip link set lo up; touch /run/booted"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def popen(self, command: str, **options: int) -> subprocess.Popen[bytes]:
        """Starts a shell command on this host."""
        entered = ["nsenter", f"--target={self._process.pid}", "--mount", "--net", "--", "sh", "-c", command]
        return subprocess.Popen(entered, env=self._environment, **options)  # type: ignore[call-overload, no-any-return]

    def run(self, program: Program) -> subprocess.CompletedProcess[bytes]:
        """Sends a program and waits for its answer."""
        process = self.popen(
            program.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = process.communicate(program.stdin, timeout=60)
        return subprocess.CompletedProcess(program.command, process.returncode, out, err)

    def sh(self, command: str) -> str:
        """What a command prints, which must succeed."""
        done = self.run(Program(command, b""))
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def apply(
        self,
        *steps: Step,
        manager: ServiceManager = ServiceManager.SYSV,
        owner: str = "anna@desk, since noon",
        token: str = TOKEN,
        **options: str | int,
    ) -> Outcome:
        """Builds, sends and reads a transaction."""
        program = build(steps, manager=manager, token=token, owner=owner, probe=READ, **options)  # type: ignore[arg-type]
        answer = self.run(program)
        return read_outcome("web1", answer.stdout, steps, token, said=answer.stderr)
