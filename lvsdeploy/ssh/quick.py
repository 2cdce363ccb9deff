"""Sockets that do not wait: TCP without Nagle's algorithm and delayed ACKs, and ProxyCommand.

A login is a ping-pong of small packets. On an idle host, connect to close took 116 ms over a plain
socket, 73 with TCP_NODELAY, and 30 when the kernel is also told, after every read, to acknowledge
at once: Linux leaves quick-ACK mode by itself (tcp(7), TCP_QUICKACK).
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from typing import IO, Any

from lvsdeploy.printable import printable
from lvsdeploy.ssh.faults import Fault

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux alone has it

# A dead peer is noticed within 30 s of silence, by the kernel, without a packet of SSH.
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))

# And one that dies while we send, within this; TCP itself retransmits for a quarter of an hour. Where it is
# set, it stands in for TCP_KEEPCNT, too (tcp(7)), so it must not be longer than the 30 s above.
_USER_TIMEOUT = ("TCP_USER_TIMEOUT", 30_000)  # milliseconds


_HANG_UP = 0.5  # seconds that a ProxyCommand has to end by itself


class QuickSocket(socket.socket):
    """A TCP socket that sends and acknowledges at once, and whose close() wakes its reader."""

    def tune(self) -> None:
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (*_KEEPALIVE, _USER_TIMEOUT):
            if hasattr(socket, option):
                self.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._acknowledge()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data = super().recv(bufsize, flags)
        self._acknowledge()
        return data

    def close(self) -> None:
        # paramiko's thread polls the socket ten times a second; a shutdown ends its wait now.
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()

    def _acknowledge(self) -> None:
        if _QUICKACK is not None:
            with contextlib.suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def open_tcp(host: str, port: int, *, timeout: float, family: int = socket.AF_UNSPEC) -> QuickSocket:
    """Connect to the first of the host's addresses that answers. Raises Fault."""
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = printable(getattr(error, "strerror", None) or str(error))
        raise Fault(
            f"the name {printable(host)} does not resolve: {reason}",
            hint=f"see what `getent hosts {printable(host)}` says, or give an address",
        ) from error
    last = Fault(f"the name {printable(host)} has no address")
    for af, kind, protocol, _, address in found:
        sock = QuickSocket(af, kind, protocol)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
            sock.tune()
        except OSError as error:
            sock.close()
            last = _why(error, str(address[0]), port, timeout)
            last.__cause__ = error
        else:
            return sock
    raise last


def _why(error: OSError, address: str, port: int, timeout: float) -> Fault:
    where = f"{address} port {port}"
    if isinstance(error, ConnectionRefusedError):
        return Fault(
            f"connection refused by {where}",
            hint="nothing listens there, or a firewall rejects it: is sshd up, is the port right?",
        )
    if isinstance(error, TimeoutError):
        return Fault(
            f"no answer from {where} within {timeout:g} s",
            hint="is the host up, is the address right, does a firewall drop it? "
            "`ssh: {connect_timeout: ...}` waits longer",
        )
    return Fault(f"cannot connect to {where}: {(error.strerror or str(error)).lower()}")


class ProxySocket(socket.socket):
    """One end of a socket pair; a ProxyCommand holds the other as its stdin and stdout.

    paramiko's own ProxyCommand reads byte counts over pipes and never its stderr, which blocks a
    command that complains at length.
    """

    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    failure = ""  # once it is closed: the last line on stderr, or the exit code; empty when all went well

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ending = threading.Lock()
        self._ended = False

    def close(self) -> None:
        with self._ending:  # both sides of a failed login come here; the second waits for the first
            if not self._ended:
                self._ended = True
                self._end()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()
        code = self._reap()
        size = self.complaints.seek(0, os.SEEK_END)
        self.complaints.seek(max(0, size - 4096))
        lines = self.complaints.read().strip().splitlines()
        self.complaints.close()
        self.failure = printable(lines[-1]) if lines else f"exit code {code}" if code else ""

    def _reap(self) -> int:
        """The command's own exit code, or 0 when it had to be told to end."""
        try:
            return self.process.wait(_HANG_UP)
        except subprocess.TimeoutExpired:
            self.process.terminate()
        try:
            self.process.wait(_HANG_UP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return 0


def open_proxy(command: str) -> ProxySocket:
    """Start a ProxyCommand, as OpenSSH does: by a shell, in place of the shell. Raises Fault."""
    ours, theirs = socket.socketpair()
    sock = ProxySocket(ours.family, ours.type, ours.proto, fileno=ours.detach())
    sock.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the socket
    try:
        sock.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=sock.complaints.fileno(),
            start_new_session=True,  # Ctrl-C ends the run, and the run ends its connections
        )
    except OSError as error:
        socket.socket.close(sock)
        sock.complaints.close()
        raise Fault(f"cannot start the ProxyCommand: {error.strerror}") from error
    finally:
        theirs.close()
    return sock
