"""Ctrl-C and SIGTERM while hosts are being changed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn, Self

from lvsdeploy.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context in which the first signal is only taken note of, in `asked`.

    What is under way on a host comes to its end and is reported, and nothing new is begun. The second signal
    leaves at once: the hosts finish by themselves, since a transaction does not depend on its connection.
    """

    def __init__(self, under_way: Callable[[], Sequence[str]] = tuple) -> None:
        """`under_way` tells which hosts are being changed at this moment."""
        self.asked = False
        self._under_way = under_way
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                # Ignored (nohup, a job in the background), or not Python's to handle: left as it is.
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _take(self, _number: int, _frame: object) -> None:
        hosts = ", ".join(self._under_way())
        if self.asked:
            left = f"What is under way on {hosts} goes on there. " if hosts else ""
            leave(f"Interrupted again. {left}`lvsdeploy check` tells how the hosts are.")
        self.asked = True
        wait = f"waiting for what is under way on {hosts}; once more leaves at once" if hosts else "stopping"
        say(f"Interrupted: {wait}. Nothing new is begun.")


def say(line: str) -> None:
    """A line on stderr, past Python's buffers: a signal may have come while those were written to."""
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())


def leave(line: str) -> NoReturn:
    """Ends this process now: an ordinary exit waits for the threads that still wait for hosts."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    say(line)
    os._exit(ExitCode.FAILED)
