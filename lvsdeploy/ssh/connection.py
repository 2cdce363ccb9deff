"""One open connection: commands in, answers out."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import paramiko

from lvsdeploy.errors import BecomeRefused, HostError, Unreachable
from lvsdeploy.printable import printable
from lvsdeploy.ssh.target import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from lvsdeploy.ssh.target import Target

LARGEST_ANSWER = 64 << 20  # bytes, both streams together: a hostile host must not fill our memory
DEFAULT_TIMEOUT = 120.0  # seconds

# A process that a command leaves behind may hold its output open; once the command itself is gone
# and nothing has come for this long, that is not waited for.
LEFT_BEHIND = 5.0  # seconds

RELEASED = 2.0  # seconds, at most, for a command that is released

_BLOCK = 1 << 16
_TICK = 1.0  # seconds; exit statuses come without waking us
_STALLED = 0.005  # seconds; window adjustments, too, while there is input left to send

# Said on stderr by the root shell before the command: without it, sudo never got there, and
# whatever stands on stderr is its own excuse, in whatever language.
_BECAME = b"lvsdeploy:became-root\n"


class _Wake(threading.Event):
    """Set by either stream of a channel; cleared by us alone, before both are looked at."""

    def clear(self) -> None:
        """What paramiko's buffer says when it alone has run empty."""

    def rest(self) -> None:
        super().clear()


class Held:
    """A command that goes on running until it is released, or its connection ends."""

    def __init__(self, channel: paramiko.Channel, said: bytes) -> None:
        self.said = said  # on stdout, before it was left alone
        self._channel = channel

    @property
    def running(self) -> bool:
        """Whether the command still runs, as far as is known."""
        return not (self._channel.closed or self._channel.exit_status_ready())

    def release(self) -> None:
        """End of file on its stdin, and a moment in which to end, for who comes next. Never raises."""
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.shutdown_write()
            self._channel.status_event.wait(RELEASED)
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.close()


class Connection:
    """A logged-in host. Use from one thread at a time; a context manager."""

    def __init__(self, target: Target, user: str, opened: Any, on_close: Callable[[], None]) -> None:
        self.target = target
        self.user = user
        self._opened = opened  # a fabric.Connection
        self._on_close = on_close
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Never raises; may be called again."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):
            self._opened.client.close()
        self._on_close()

    def run(self, command: str, *, stdin: bytes = b"", timeout: float = DEFAULT_TIMEOUT) -> Answer:
        """Run a shell command line, as root when the target says `become`, and wait for its end.

        `stdin` is sent whole, then end of file. `timeout` is in seconds, for all of it. A command's
        own failure is in the answer's code. Raises BecomeRefused when sudo said no; Unreachable
        when the connection was lost before the command was sent; HostError when it was lost in the
        middle, took too long or answered more than 64 MiB: then it may have run, or be running
        still.
        """
        become = self.target.settings.become and self.user != "root"
        line = _as_root(command) if become else command
        answer = self._run(line, stdin, timeout)
        return self._became(answer) if become else answer

    def hold(
        self, command: str, said_all: Callable[[bytes], bool], *, timeout: float = DEFAULT_TIMEOUT
    ) -> Held:
        """Run a shell command line whose stdin stays open, until `said_all` of what it wrote on stdout.

        Raises as `run` does, also when the command ends before, or takes longer than `timeout` seconds.
        """
        become = self.target.settings.become and self.user != "root"
        deadline = time.monotonic() + timeout
        channel = self._channel(timeout)
        out, err = bytearray(), bytearray()
        try:
            _execute(channel, _as_root(command) if become else command)
            while not said_all(bytes(out)):
                over = bool(channel.eof_received) or channel.closed
                if not self._drain(channel, out, err):
                    if over:
                        answer = Answer(1, bytes(out), bytes(err))
                        if become:
                            self._became(answer)
                        raise HostError(
                            self.target.name, f"a command ended early: {printable(bytes(err[-200:]))}"
                        )
                    if time.monotonic() >= deadline:
                        raise self._too_slow(timeout, err)
                    time.sleep(_STALLED)
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self._lost() from error
        return Held(channel, bytes(out))

    def _run(self, line: str, stdin: bytes, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        channel = self._channel(timeout)
        # paramiko sends for as long as it takes: to a host that takes nothing any more, for ever.
        watchdog = threading.Timer(timeout + _TICK, self._opened.client.close)
        watchdog.daemon = True
        if len(stdin) > _BLOCK:
            watchdog.start()
        try:
            _execute(channel, line)
            return self._exchange(channel, stdin, deadline, timeout)
        except (EOFError, OSError, paramiko.SSHException) as error:
            if time.monotonic() > deadline:
                raise self._too_slow(timeout) from error
            raise self._lost() from error
        finally:
            watchdog.cancel()
            with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
                channel.close()

    def _channel(self, timeout: float) -> paramiko.Channel:
        transport = self._opened.transport
        name = self.target.name
        if self._closed or not transport.is_active():
            raise Unreachable(name, f"the connection was lost{self._farewell()}")
        try:
            channel: paramiko.Channel = transport.open_session(timeout=timeout)
        except paramiko.ChannelException as error:
            raise HostError(
                name,
                "the host opens no session",
                hint="see MaxSessions in its sshd_config",
            ) from error
        except (EOFError, OSError, paramiko.SSHException) as error:
            if not transport.is_active():
                raise Unreachable(name, f"the connection was lost{self._farewell()}") from error
            raise HostError(name, f"the host opens no session within {timeout:g} s") from error
        return channel

    def _exchange(self, channel: paramiko.Channel, stdin: bytes, deadline: float, timeout: float) -> Answer:
        wake = _Wake()
        channel.in_buffer.set_event(wake)
        channel.in_stderr_buffer.set_event(wake)
        out, err = bytearray(), bytearray()
        left = memoryview(stdin)
        if not left:
            channel.shutdown_write()  # end of file
        heard = time.monotonic()
        while True:
            # Looked at before the streams are emptied: what comes after it is not missed.
            over = bool(channel.eof_received) or channel.closed
            wake.rest()
            received = self._drain(channel, out, err)
            sent = _feed(channel, left)
            left = left[sent:]
            now = time.monotonic()
            if received or sent:
                heard = now
            elif over or (channel.exit_status_ready() and now - heard > LEFT_BEHIND):
                break
            elif now < deadline:
                wake.wait(min(deadline - now, _STALLED if left else _TICK))
            if now >= deadline:
                raise self._too_slow(timeout, err)
        if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
            raise self._too_slow(timeout, err)
        if channel.exit_status < 0:
            raise self._no_status(channel)
        return Answer(channel.exit_status, bytes(out), bytes(err))

    def _drain(self, channel: paramiko.Channel, out: bytearray, err: bytearray) -> int:
        """Take what has come. Both streams share one window, so both must be read."""
        before = len(out) + len(err)
        if channel.recv_ready():
            out += channel.recv(_BLOCK)
        if channel.recv_stderr_ready():
            err += channel.recv_stderr(_BLOCK)
        after = len(out) + len(err)
        if after > LARGEST_ANSWER:
            raise HostError(
                self.target.name,
                f"the answer is larger than {LARGEST_ANSWER >> 20} MiB, and was cut off",
            )
        return after - before

    # -- what went wrong
    # ------------------------------------------------------------------------------

    def _farewell(self) -> str:
        farewell = self._opened.transport.farewell
        return f": {farewell}" if farewell else ""

    def _lost(self) -> HostError:
        return HostError(
            self.target.name,
            f"the connection was lost while a command ran{self._farewell()}",
            hint="whether the command came to its end is not known",
        )

    def _no_status(self, channel: paramiko.Channel) -> HostError:
        transport = self._opened.transport
        transport.join(0.2)  # the channel is told before the transport knows that it is dead
        if not transport.is_active():
            return self._lost()
        if not channel.event_ready:
            return HostError(
                self.target.name,
                "the host refused to run a command",
                hint="see ForceCommand in its sshd_config, and command= in authorized_keys",
            )
        return HostError(self.target.name, "the command was killed by a signal")

    def _too_slow(self, timeout: float, err: bytes | bytearray = b"") -> HostError:
        said = printable(bytes(err[-200:]).replace(_BECAME, b""))
        last = f"; it said: {said}" if said else ""
        return HostError(
            self.target.name,
            f"the command did not end within {timeout:g} s{last}",
            hint="it may be running still",
        )

    def _became(self, answer: Answer) -> Answer:
        before, mark, after = answer.stderr.partition(_BECAME)
        if mark:
            return Answer(answer.code, answer.stdout, before + after)
        raise _sudo_said_no(self.target.name, self.user, answer)


def _as_root(command: str) -> str:
    mark = _BECAME.decode().strip()
    return f"LC_ALL=C sudo -n -- sh -c {shlex.quote(f'echo {mark} >&2; {command}')}"


def _sudo_said_no(host: str, user: str, answer: Answer) -> BecomeRefused:
    who, said = printable(user), printable(answer.stderr)
    file = "/etc/sudoers.d/lvsdeploy"
    nopasswd = (
        f"as root on the host: echo '{who} ALL=(ALL) NOPASSWD: ALL' > {file} && chmod 0440 {file}; "
        "or log in as root and leave `become` out"
    )
    if answer.code == 127 or "not found" in said:  # noqa: PLR2004 - the shell's "no such command"
        return BecomeRefused(
            host,
            "sudo is not installed, and `become` needs it",
            hint="install sudo, or log in as root and leave `become` out",
        )
    if "not in the sudoers" in said or "not allowed" in said or "may not run" in said:
        return BecomeRefused(host, f"{who} may not use sudo: {said}", hint=nopasswd)
    if "password" in said or "authentication is required" in said:
        return BecomeRefused(
            host,
            f"sudo asks {who} for a password, and nobody is there to type it",
            hint=f"{who} needs NOPASSWD in sudoers (or is not in there at all); {nopasswd}",
        )
    if "tty" in said:
        return BecomeRefused(
            host,
            f"sudo wants a terminal: {said}",
            hint=f"add `Defaults:{who} !requiretty` to the host's sudoers",
        )
    return BecomeRefused(host, f"sudo refused: {said or f'exit code {answer.code}'}", hint=nopasswd)


def _execute(channel: paramiko.Channel, line: str) -> None:
    """Send the command without waiting for the host's consent, which saves a round trip.

    A refusal closes the channel. (Channel.exec_command waits, and for ever when no answer comes.)
    """
    message = paramiko.Message()
    message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string(line.encode("utf-8", "surrogateescape"))
    channel._event_pending()  # type: ignore[attr-defined]  # noqa: SLF001 - so that event_ready tells
    channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]  # noqa: SLF001


def _feed(channel: paramiko.Channel, left: memoryview) -> int:
    """Send what the host's window takes without a wait. A command need not read its input."""
    if not left or channel.closed or channel.out_window_size <= 0:
        return 0
    try:
        sent = channel.send(bytes(left[:_BLOCK]))
        if sent == len(left):
            channel.shutdown_write()
    except OSError:  # closed meanwhile
        return 0
    return sent
