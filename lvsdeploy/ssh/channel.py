"""A channel that never sends anything after its CLOSE."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import paramiko

if TYPE_CHECKING:
    from collections.abc import Callable


class SteadyChannel(paramiko.Channel):
    """paramiko's, with sending and closing kept apart.

    paramiko looks whether a channel is open, lets its lock go, and then sends: a CLOSE from another
    thread may slip in between. OpenSSH answers data for a channel that is gone by ending the whole
    connection ("data packet referred to nonexistent channel"): that is, every host behind a jump
    host that is shared, or the connection to a host whose command ended before it had read its
    input.

    So a CLOSE that comes while a thread sends is put off, and done by that thread when it has sent.
    No lock is held meanwhile: paramiko's reading thread must never wait for a sender, who may wait
    for new keys.
    """

    _guard: threading.Lock
    _closing: bool
    _sending: int
    _put_off: list[Callable[[], object]]

    @classmethod
    def make(cls, channel: paramiko.Channel) -> SteadyChannel:
        """Turn a new channel into one of these; paramiko names its own class when it opens one."""
        channel.__class__ = cls
        assert isinstance(channel, cls)  # noqa: S101 - for the type checker
        channel._guard = threading.Lock()  # noqa: SLF001 - its own
        channel._closing = False  # noqa: SLF001 - the same
        channel._sending = 0  # noqa: SLF001 - the same
        channel._put_off = []  # noqa: SLF001 - the same
        return channel

    def _send(self, s: bytes, m: paramiko.Message) -> int:
        with self._guard:
            if self._closing:
                raise OSError("Socket is closed")
            self._sending += 1
        try:
            sent: int = super()._send(s, m)  # type: ignore[misc]  # not in the stubs
        finally:
            with self._guard:
                self._sending -= 1
                due = [] if self._sending else self._put_off[:]
            for action in due:
                action()
        return sent

    def close(self) -> None:
        self._when_sent(super().close)

    def _handle_close(self, m: paramiko.Message) -> None:
        self._when_sent(super()._handle_close, m)  # type: ignore[misc]  # not in the stubs

    def _request_failed(self, m: paramiko.Message) -> None:
        self._when_sent(super()._request_failed, m)  # type: ignore[misc]  # not in the stubs

    def _when_sent(self, action: Callable[..., object], *args: Any) -> None:
        with self._guard:
            self._closing = True
            if self._sending:
                self._put_off.append(lambda: action(*args))
                return
        action(*args)
