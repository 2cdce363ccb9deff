"""Runs one command in a machine, and relays its input and output as frames.

It has a process of its own for that, which joins the machine first; so it needs no `nsenter`, and
the command is the only program that starts.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from . import kernel, machine, wire

# A daemon that the command left behind may hold the command's output open for ever.
_DRAIN = 0.2  # seconds
_KILL_GRACE = 5.0  # seconds; a process in a system call may take a moment to die
_CHUNK = 65536


def run(connection: socket.socket, pid: int, request: dict[str, Any]) -> None:
    """Runs `sh -c` with `request["script"]` in the machine of process `pid` (0: where it is).

    `request["timeout"]`: seconds, or None. When the controller goes away, the command is killed.
    """
    pipes = [os.pipe() for _ in range(3)]
    try:
        if pid:
            kernel.enter(pid)
        child = os.fork()
    except OSError as error:
        connection.sendall(wire.frame(wire.FAILED, str(error).encode()))
        return
    if child == 0:
        _execute(request["script"], pipes[0][0], pipes[1][1], pipes[2][1])
    for fd in (pipes[0][0], pipes[1][1], pipes[2][1]):
        os.close(fd)
    relay = _Relay(connection, child, pipes[0][1], {pipes[1][0]: wire.STDOUT, pipes[2][0]: wire.STDERR})
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        relay.until_end(request["timeout"])
        return
    relay.signal(signal.SIGKILL)


def _execute(script: str, stdin: int, stdout: int, stderr: int) -> None:
    try:
        for fd, number in ((stdin, 0), (stdout, 1), (stderr, 2)):
            os.dup2(fd, number)
        os.closerange(3, 4096)
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.chdir("/")
        os.umask(0o022)
        os.execve("/bin/sh", ["sh", "-c", script], machine.ENVIRONMENT)  # noqa: S606 — that is its job
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
    finally:
        os._exit(127)


class _Relay:
    def __init__(self, connection: socket.socket, child: int, stdin: int, outputs: dict[int, bytes]) -> None:
        self._connection = connection
        self._child = child
        self._stdin = stdin
        self._outputs = outputs
        self._input = bytearray()
        self._input_ends = False
        self._frames = wire.Frames()
        self._ended = os.pidfd_open(child)
        self._code: int | None = None
        self._timed_out = False
        self._deadline: float | None = None
        os.set_blocking(stdin, False)

    def signal(self, number: int) -> None:
        """To the whole process group, when there is still one."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, number)

    def until_end(self, timeout: float | None) -> None:
        """Relays until the command has ended and said all; BrokenPipeError: nobody listens."""
        self._deadline = None if timeout is None else time.monotonic() + timeout
        while self._code is None or self._outputs:
            ready = self._wait()
            for fd in ready & self._outputs.keys():
                self._forward(fd)
            if self._connection.fileno() in ready:
                self._listen()
            if self._stdin in ready:
                self._write()
            if self._ended in ready:
                self._collect()
            elif self._deadline is not None and time.monotonic() >= self._deadline:
                if self._code is not None or self._timed_out:
                    break
                self._timed_out = True
                self.signal(signal.SIGKILL)
                self._deadline = time.monotonic() + _KILL_GRACE
        code = -signal.SIGKILL if self._code is None else self._code
        answer = {"code": code if code >= 0 else 128 - code, "timed_out": self._timed_out}
        self._connection.sendall(wire.frame(wire.EXIT, json.dumps(answer).encode()))

    def _wait(self) -> set[int]:
        """The descriptors that have something, at the latest when the deadline has come."""
        poll = select.poll()
        for fd in (self._connection.fileno(), *self._outputs):
            poll.register(fd, select.POLLIN)
        if self._code is None:
            poll.register(self._ended, select.POLLIN)
        if self._input:
            poll.register(self._stdin, select.POLLOUT)
        if self._deadline is None:
            return {fd for fd, _ in poll.poll()}
        milliseconds = max(0.0, self._deadline - time.monotonic()) * 1000
        return {fd for fd, _ in poll.poll(milliseconds)}

    def _listen(self) -> None:
        data = self._connection.recv(_CHUNK)
        if not data:
            raise BrokenPipeError
        for kind, payload in self._frames.feed(data):
            self._obey(kind, payload)

    def _collect(self) -> None:
        _, status = os.waitpid(self._child, 0)
        self._code = os.waitstatus_to_exitcode(status)
        self._deadline = time.monotonic() + _DRAIN

    def _forward(self, fd: int) -> None:
        data = os.read(fd, _CHUNK)
        if data:
            self._connection.sendall(wire.frame(self._outputs[fd], data))
        else:
            os.close(fd)
            del self._outputs[fd]

    def _obey(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.SIGNAL:
            self.signal(int(payload))
        elif kind == wire.STDIN:
            self._input_ends = self._input_ends or not payload
            self._input += payload
            self._write()

    def _write(self) -> None:
        if self._stdin < 0:
            return
        try:
            del self._input[: os.write(self._stdin, self._input)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # It does not read to the end, which is its own business.
            self._input.clear()
            self._input_ends = True
        if self._input_ends and not self._input:
            os.close(self._stdin)
            self._stdin = -1
