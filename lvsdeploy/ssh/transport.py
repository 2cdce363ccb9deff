"""paramiko's transport, made to wait less and to say what went wrong."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.transport import ServiceRequestingTransport

from lvsdeploy.printable import printable
from lvsdeploy.ssh.channel import SteadyChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from lvsdeploy.ssh.known_hosts import HostKeys

_LOG = logging.getLogger("lvsdeploy.ssh")
_GREETING_LINES = 5


class _AuthHandler(AuthOnlyHandler):
    """paramiko's, but ready for the answer before the question is out.

    AuthOnlyHandler makes its event after sending: an answer that is faster is missed, and the login
    hangs until its timeout. (And auth_none fails there, for want of a callback.)
    """

    def send_auth_request(
        self,
        username: str,
        method: str,
        finish_message: Callable[[paramiko.Message], None] | None = None,
    ) -> list[str]:
        self.auth_method = method
        self.username = username
        message = paramiko.Message()
        message.add_byte(bytes([paramiko.common.MSG_USERAUTH_REQUEST]))
        for text in (username, "ssh-connection", method):
            message.add_string(text)
        if finish_message is not None:
            finish_message(message)
        event = self.auth_event = threading.Event()
        with self.transport.lock:
            self.transport._send_message(message)  # type: ignore[attr-defined]  # noqa: SLF001
        answer: list[str] = self.wait_for_response(event)
        return answer


class Transport(ServiceRequestingTransport):
    """One SSH connection.

    `greeting` are the lines that came before the SSH banner, `farewell` the reason of a disconnect.
    Both are the host's words: printable() has been at them.
    """

    active: bool
    _service_userauth_accepted: bool
    _send_message: Callable[[paramiko.Message], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.greeting: list[str] = []
        self.farewell = ""
        self._accepted = threading.Event()
        super().__init__(*args, **kwargs)
        self.daemon = True

    def ensure_session(self) -> None:
        """Ask for the authentication service, once.

        paramiko's own sleeps 0.1 s, and for ever when the connection is lost meanwhile.
        """
        if not self.active or not self.initial_kex_done:
            raise paramiko.SSHException("No existing session")
        if self._service_userauth_accepted:
            return
        message = paramiko.Message()
        message.add_byte(bytes([paramiko.common.MSG_SERVICE_REQUEST]))
        message.add_string("ssh-userauth")
        self._send_message(message)
        patience = time.monotonic() + self.auth_timeout
        while not self._accepted.wait(0.1):
            if not self.active:
                raise self.get_exception() or EOFError
            if time.monotonic() > patience:
                raise paramiko.AuthenticationException("Authentication timeout.")
        self.auth_handler = self.get_auth_handler()

    def open_channel(self, *args: Any, **kwargs: Any) -> SteadyChannel:
        return SteadyChannel.make(super().open_channel(*args, **kwargs))

    def get_auth_handler(self) -> AuthOnlyHandler:
        return _AuthHandler(self)

    def _parse_service_accept(self, m: paramiko.Message) -> None:
        super()._parse_service_accept(m)  # type: ignore[misc]  # not in the stubs
        self._accepted.set()

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        m.get_int()
        self.farewell = printable(m.get_binary())
        self._log(logging.DEBUG, f"disconnected: {self.farewell}")

    def _log(self, level: int, msg: str | list[str], *args: object) -> None:  # noqa: ARG002
        """Everything at DEBUG: errors reach the user as exceptions, and once."""
        greets = isinstance(msg, str) and msg.startswith("Banner: ")
        if greets and len(self.greeting) < _GREETING_LINES:
            self.greeting.append(printable(str(msg).removeprefix("Banner: ")))
        if not _LOG.isEnabledFor(logging.DEBUG):
            return
        for line in [msg] if isinstance(msg, str) else msg:
            text = line % args if args else line
            _LOG.debug("%s", printable(text))


def transport_factory(keys: HostKeys) -> Callable[..., Transport]:
    """Transports that ask the server for a host key that is known."""

    def make(sock: Any, **kwargs: Any) -> Transport:
        transport = Transport(sock, **kwargs)
        options = transport.get_security_options()
        options.key_types = keys.preferred(options.key_types)
        return transport

    return make


class VerifyHostKey(paramiko.MissingHostKeyPolicy):
    """Our verdict on every host key: paramiko has no known hosts of its own, so it asks each time.

    fabric's policy adds unknown keys by itself, on every hop of a jump chain; this one stands in
    its place.
    """

    def __init__(self, keys: HostKeys) -> None:
        self._keys = keys

    def missing_host_key(
        self,
        client: paramiko.SSHClient,  # noqa: ARG002 - paramiko's signature
        hostname: str,  # noqa: ARG002 - the same
        key: paramiko.PKey,
    ) -> None:
        self._keys.verify(key.get_name(), key.asbytes())
