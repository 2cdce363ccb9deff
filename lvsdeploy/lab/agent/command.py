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
    def __init__(
        self, connection: socket.socket, child: int, stdin: int, outputs: dict[int, bytes]
    ) -> None:
        self._connection = connection
        self._child = child
        self._stdin = stdin
        self._outputs = outputs
        self._input = bytearray()
        self._input_ends = False
        os.set_blocking(stdin, False)  # noqa: FBT003 — the function's own

    def signal(self, number: int) -> None:
        """To the whole process group, when there is still one."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, number)

    def until_end(self, timeout: float | None) -> None:
        """Relays until the command has ended and said all; BrokenPipeError: nobody listens."""
        deadline = None if timeout is None else time.monotonic() + timeout
        ended = os.pidfd_open(self._child)
        frames = wire.Frames()
        timed_out = False
        code: int | None = None
        while code is None or self._outputs:
            poll = select.poll()
            for fd in (self._connection.fileno(), *self._outputs):
                poll.register(fd, select.POLLIN)
            if code is None:
                poll.register(ended, select.POLLIN)
            if self._input:
                poll.register(self._stdin, select.POLLOUT)
            events = poll.poll(None if deadline is None else max(0, deadline - time.monotonic()) * 1000)
            ready = {fd for fd, _ in events}
            for fd in ready & self._outputs.keys():
                self._forward(fd)
            if self._connection.fileno() in ready:
                data = self._connection.recv(_CHUNK)
                if not data:
                    raise BrokenPipeError
                for kind, payload in frames.feed(data):
                    self._obey(kind, payload)
            if self._stdin in ready:
                self._write()
            if code is None and ended in ready:
                _, status = os.waitpid(self._child, 0)
                code = os.waitstatus_to_exitcode(status)
                deadline = time.monotonic() + _DRAIN
            elif deadline is not None and time.monotonic() >= deadline:
                if code is not None or timed_out:
                    break
                timed_out = True
                self.signal(signal.SIGKILL)
                deadline = time.monotonic() + 5
        code = -signal.SIGKILL if code is None else code
        answer = {"code": code if code >= 0 else 128 - code, "timed_out": timed_out}
        self._connection.sendall(wire.frame(wire.EXIT, json.dumps(answer).encode()))

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
