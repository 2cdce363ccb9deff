"""The agent's loop: one request a connection. One process for all of it, without threads.

Starting and stopping change what the agent knows, so the loop does them itself, quickly; a command
is run, and its output relayed, by a process of its own. On each kernel the agent is the first
process of its pid namespace: when it ends, all that it started ends.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import command, kernel, machine, wire

# What a kernel may take to end the last processes of a machine.
_DYING = 1.0  # seconds


class RefusedError(Exception):
    """The request cannot be served; the text goes to the controller."""


class Server:
    """`state` is a directory on a tmpfs, for the machines' files; `cgroups` a cgroup2 mount or None.

    `shared_kernel`: it is the lab user's own, so that machines must not reach beyond themselves.
    """

    def __init__(self, state: Path, cgroups: Path | None, *, shared_kernel: bool) -> None:
        self._state = state
        self._cgroups = cgroups
        self._shared_kernel = shared_kernel
        self._machines: dict[str, int] = {}
        self._ports: dict[str, list[str]] = {}

    def serve(self, listener: socket.socket) -> None:
        """Answers until the process is killed."""
        listener.settimeout(1.0)
        while True:
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                with connection:
                    self._answer(connection)
            self._reap()

    def _answer(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(10)
            _, payload = wire.receive(connection)
            connection.settimeout(None)
            self._do(json.loads(payload), connection)
        except (RefusedError, OSError, EOFError, ValueError, KeyError) as error:
            with contextlib.suppress(OSError):
                connection.sendall(wire.frame(wire.FAILED, str(error).encode()))

    def _do(self, request: dict[str, Any], connection: socket.socket) -> None:
        operation = request["op"]
        if operation == "start":
            self._start(request, connection)
        elif operation == "stop":
            self._stop(request["machine"])
            connection.sendall(wire.json_frame(wire.DONE, {}))
        elif operation == "exec":
            pid = self._pid(request["machine"]) if request["machine"] else 0
            fork(lambda: command.run(connection, pid, request))
        elif operation == "dial":
            fork(lambda: dial(connection, request))
        else:
            raise RefusedError(f"no operation is called {operation!r}")

    def _pid(self, name: str) -> int:
        self._reap()
        try:
            return self._machines[name]
        except KeyError:
            raise RefusedError(f"{name} is not running") from None

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self._machines = {n: p for n, p in self._machines.items() if p != pid}

    def _start(self, spec: dict[str, Any], connection: socket.socket) -> None:
        name = spec["machine"]
        if self._lives(name):
            raise RefusedError(f"{name} is running already")
        spec["shared_kernel"] = self._shared_kernel
        if spec["init"] == "systemd":
            self._prepare_cgroup(name)
        # The last machine of this name may have died by itself, and left its cables.
        self._unplug(name)
        pid_read, pid_write = os.pipe()
        ready_read, ready_write = os.pipe()
        go_read, go_write = os.pipe()
        fork(lambda: self._first_process(spec, connection, pid_write, ready_write, go_read))
        for fd in (pid_write, ready_write, go_read):
            os.close(fd)
        try:
            text = os.read(pid_read, 32)
            if not text or not os.read(ready_read, 1):
                # The process said why itself, over the connection.
                return
            pid = int(text)
            try:
                self._plug(name, pid, spec["nics"])
            except OSError:
                os.kill(pid, signal.SIGKILL)
                raise
            self._machines[name] = pid
        finally:
            for fd in (pid_read, ready_read, go_write):
                os.close(fd)

    def _first_process(
        self, spec: dict[str, Any], connection: socket.socket, pid: int, ready: int, go: int
    ) -> None:
        os.setsid()
        try:
            cgroup = self._cgroup(spec["machine"])
            if cgroup is not None and cgroup.exists():
                (cgroup / "cgroup.procs").write_text("0", encoding="ascii")
            kernel.unshare(kernel.MACHINE)
            child = os.fork()
        except OSError as error:
            connection.sendall(wire.frame(wire.FAILED, f"no namespaces: {error}".encode()))
            return
        if child == 0:
            machine.boot(spec, self._state, connection, ready, go)
        os.write(pid, str(child).encode())

    def _plug(self, name: str, pid: int, nics: list[dict[str, str]]) -> None:
        """One veth for each card: the machine's end has the card's name, the other is a port."""
        lines = []
        for nic in nics:
            lines.append(
                f"link add name {nic['port']} type veth "
                f"peer name {nic['interface']} address {nic['mac']} netns {pid}"
            )
            lines.append(f"link set {nic['port']} master {nic['bridge']} up")
        self._ports[name] = [nic["port"] for nic in nics]
        if lines:
            ip_batch("".join(f"{line}\n" for line in lines))

    def _unplug(self, name: str) -> None:
        # The kernel removes them with the namespace, but later.
        for port in self._ports.pop(name, []):
            if Path("/sys/class/net", port).exists():
                subprocess.run(["ip", "link", "del", port], check=False, capture_output=True)

    def _lives(self, name: str) -> bool:
        """Whether a machine runs, and is not just about to end, as after its own `poweroff`."""
        self._reap()
        if name not in self._machines:
            return False
        ended = os.pidfd_open(self._machines[name])
        select.select([ended], [], [], _DYING)
        os.close(ended)
        self._reap()
        return name in self._machines

    def _stop(self, name: str) -> None:
        pid = self._pid(name)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        del self._machines[name]
        self._unplug(name)

    def _cgroup(self, name: str) -> Path | None:
        return None if self._cgroups is None else self._cgroups / name

    def _prepare_cgroup(self, name: str) -> None:
        cgroup = self._cgroup(name)
        if cgroup is None:
            raise RefusedError("this kernel has no cgroup2, which systemd needs")
        remove_cgroups(cgroup)
        cgroup.mkdir(parents=True)


def fork(work: Callable[[], None]) -> int:
    """Does `work` in a child process; its id. Nothing of the agent's own loop goes on there."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001 — a child must not fall into the parent's loop
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def dial(connection: socket.socket, request: dict[str, Any]) -> None:
    """Opens a TCP connection from the agent's network namespace and hands it over."""
    try:
        to = socket.create_connection((request["host"], request["port"]), request["timeout"])
    except OSError as error:
        connection.sendall(wire.frame(wire.FAILED, str(error).encode()))
        return
    # The flag goes with the descriptor.
    to.settimeout(None)
    socket.send_fds(connection, [wire.json_frame(wire.DONE, {})], [to.fileno()])


def ip_batch(text: str) -> None:
    """Runs lines of `ip -batch` in the agent's own namespace; OSError with its words."""
    done = subprocess.run(["ip", "-batch", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")


def remove_cgroups(top: Path) -> None:
    """Removes a cgroup and those in it; they must be empty of processes by now."""
    if top.exists():
        for directory, _, _ in os.walk(top, topdown=False):
            Path(directory).rmdir()
