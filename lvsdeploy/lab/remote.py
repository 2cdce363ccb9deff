"""The controller's side of an agent: requests, commands, background commands."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lvsdeploy.lab.agent import wire
from lvsdeploy.lab.errors import CommandFailed, LabError, LabTimeout

# The agent kills a command at its deadline and says so; the controller waits a little longer.
_GRACE = 10.0  # seconds
_CHUNK = 65536


@dataclass(frozen=True)
class Completed:
    """A command that ended; a signal's `code` is 128 + its number. Output is read as UTF-8."""

    code: int
    stdout: str
    stderr: str


class Background:
    """A command that runs on; ended at the latest with the lab."""

    def __init__(self, connection: socket.socket, where: str, script: str) -> None:
        self._connection = connection
        self._where = where
        self._script = script
        self._lock = threading.Lock()
        self._outputs = {wire.STDOUT: bytearray(), wire.STDERR: bytearray()}
        self._code: int | None = None
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._read, name=f"lab: {where}", daemon=True)
        self._thread.start()

    @property
    def output(self) -> str:
        """What came on stdout so far."""
        return self._text(wire.STDOUT)

    @property
    def errors(self) -> str:
        """What came on stderr so far."""
        return self._text(wire.STDERR)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def send(self, data: bytes) -> None:
        """Writes to the command's stdin; b"" ends it."""
        self._connection.sendall(wire.frame(wire.STDIN, data))

    def stop(self, timeout: float = 5) -> Completed:
        """Sends SIGTERM to the command and what it started; after `timeout` seconds, SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(OSError):
                self._connection.sendall(wire.frame(wire.SIGNAL, str(int(number)).encode()))
            self._thread.join(timeout)
            if not self._thread.is_alive():
                break
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> Completed:
        """Waits for its end; LabTimeout after `timeout` seconds, and it runs on."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise LabTimeout(f"{self._where}: `{self._script}` still runs after {timeout} s")
        if self._code is None:
            raise LabError(f"{self._where}: {self._failure}")
        return Completed(self._code, self.output, self.errors)

    def expect(self, text: str, timeout: float = 30) -> None:
        """Waits until `text` is in the output or the errors.

        LabTimeout after `timeout` seconds; LabError when the command ends without saying it.
        """
        deadline = time.monotonic() + timeout
        while text not in self.output and text not in self.errors:
            if not self.running and text not in self.output + self.errors:
                raise LabError(
                    f"{self._where}: `{self._script}` ended without saying {text!r}: "
                    f"{self.output}{self.errors}{self._failure or ''}"
                )
            if time.monotonic() > deadline:
                raise LabTimeout(
                    f"{self._where}: `{self._script}` did not say {text!r} in {timeout} s: "
                    f"{self.output}{self.errors}"
                )
            time.sleep(0.02)

    def _text(self, kind: bytes) -> str:
        with self._lock:
            return self._outputs[kind].decode("utf-8", "replace")

    def _read(self) -> None:
        frames = wire.Frames()
        try:
            with self._connection:
                while self._code is None and self._failure is None:
                    data = self._connection.recv(_CHUNK)
                    if not data:
                        self._failure = "the machine's kernel is gone"
                    for kind, payload in frames.feed(data):
                        self._take(kind, payload)
        except OSError as error:
            self._failure = str(error)

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.EXIT:
            self._code = json.loads(payload)["code"]
        elif kind == wire.FAILED:
            self._failure = payload.decode("utf-8", "replace")
        else:
            with self._lock:
                self._outputs[kind] += payload


class Agent:
    """One kernel's agent; `connect` opens a new connection to it, or raises OSError."""

    def __init__(self, name: str, connect: Callable[[], socket.socket]) -> None:
        self.name = name
        self._connect = connect

    def call(self, request: dict[str, Any], timeout: float) -> None:
        """Has the agent do something that is no command; LabError says why it was not done."""
        with self._ask(request) as connection:
            connection.settimeout(timeout)
            try:
                kind, payload = wire.receive(connection)
            except TimeoutError:
                what = f"{request['op']} {request.get('machine', '')}".strip()
                raise LabTimeout(f"{self.name}: {what} took more than {timeout} s") from None
            except (OSError, EOFError) as error:
                raise LabError(f"{self.name}: {error}") from error
        _raise_failure(kind, payload)

    def dial(self, host: str, port: int, timeout: float) -> socket.socket:
        """A TCP connection that starts in the agent's network namespace; LabError: none."""
        request = {"op": "dial", "host": host, "port": port, "timeout": timeout}
        with self._ask(request) as connection:
            data, fds, _, _ = socket.recv_fds(connection, _CHUNK, 1)
        for kind, payload in wire.Frames().feed(data):
            _raise_failure(kind, payload)
        if not fds:
            raise LabError(f"{self.name}: no connection to {host} port {port}")
        return socket.socket(fileno=fds[0])

    def execute(self, machine: str, script: str, data: bytes, timeout: float) -> Completed:
        """Runs a script to its end; LabTimeout when it was killed for taking too long."""
        outputs = {wire.STDOUT: bytearray(), wire.STDERR: bytearray()}
        with self._ask(_command(machine, script, timeout)) as connection:
            connection.settimeout(timeout + _GRACE)
            feeder = threading.Thread(target=_feed, args=(connection, data), daemon=True)
            feeder.start()
            try:
                while True:
                    kind, payload = wire.receive(connection)
                    if kind in outputs:
                        outputs[kind] += payload
                    else:
                        break
            except TimeoutError:
                raise LabTimeout(f"{machine or self.name}: no answer in {timeout} s") from None
            except (OSError, EOFError) as error:
                raise LabError(f"{machine or self.name}: {error}") from error
        _raise_failure(kind, payload)
        stdout, stderr = (bytes(each).decode("utf-8", "replace") for each in outputs.values())
        ended = json.loads(payload)
        if ended["timed_out"]:
            raise LabTimeout(
                f"{machine or self.name}: `{script}` was killed after {timeout} s: {stdout}{stderr}"
            )
        return Completed(ended["code"], stdout, stderr)

    def check(self, machine: str, script: str, data: bytes, timeout: float) -> Completed:
        """As `execute`; CommandFailed when the exit code is not 0."""
        done = self.execute(machine, script, data, timeout)
        if done.code:
            where = machine or self.name
            raise CommandFailed(where, script, done.code, done.stdout, done.stderr)
        return done

    def spawn(self, machine: str, script: str) -> Background:
        return Background(self._ask(_command(machine, script, None)), machine or self.name, script)

    def _ask(self, request: dict[str, Any]) -> socket.socket:
        try:
            connection = self._connect()
            try:
                connection.sendall(wire.json_frame(wire.REQUEST, request))
            except OSError:
                connection.close()
                raise
        except OSError as error:
            raise LabError(f"the agent of {self.name} does not answer: {error}") from error
        return connection


def _command(machine: str, script: str, timeout: float | None) -> dict[str, Any]:
    return {"op": "exec", "machine": machine, "script": script, "timeout": timeout}


def _feed(connection: socket.socket, data: bytes) -> None:
    # By a thread, since a command may write much before it has read all.
    with contextlib.suppress(OSError):
        for start in range(0, len(data), _CHUNK):
            connection.sendall(wire.frame(wire.STDIN, data[start : start + _CHUNK]))
        connection.sendall(wire.frame(wire.STDIN))


def _raise_failure(kind: bytes, payload: bytes) -> None:
    if kind == wire.FAILED:
        raise LabError(payload.decode("utf-8", "replace"))
