"""A steady load of HTTP requests from a lab's client, and what became of each of them.

This file is the test's side and, run by the client's python, the client's. Three kinds of requests:
`short` ones on a connection each, `kept` ones on connections that carry several, and `long` ones whose answer
takes seconds to come: whatever takes a destination away breaks those.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
    from typing import Any

    from lvsdeploy.lab.remote import Background
    from tests.cluster.living import Living

TOO_SLOW = 2.0  # seconds: no client waits longer for an answer, or for the next piece of one
RATE = 20  # short requests a second and URL
KEPT, KEPT_REQUESTS, KEPT_PAUSE = 3, 8, 0.5  # connections at a time, requests on each, seconds between them
LONG, LONG_SECONDS = 8, 4  # requests at a time, seconds that each takes
MOST = 300.0  # seconds: the client ends by itself, whatever became of the test

_T = TypeVar("_T")
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Request:
    """One request: when it was sent, how long it took, who answered; `error` is "" when all is well."""

    kind: str
    url: str
    at: float  # seconds since the epoch
    seconds: float
    machine: str
    error: str

    def __str__(self) -> str:
        ended = self.error or "answered"
        return (
            f"{self.at:.2f} {self.kind} {self.url} {self.machine or '?'}: {ended} after {self.seconds:.2f} s"
        )


class Load:
    """What the client has told so far; after the `with` block, all of it."""

    def __init__(self, client: Background) -> None:
        self._client = client

    @property
    def requests(self) -> list[Request]:
        """Every request that has ended."""
        lines = self._client.output.split("\n")[:-1]  # behind the last newline a line may be half there
        return [Request(**json.loads(line)) for line in lines]

    @property
    def total(self) -> int:
        return len(self.requests)

    @property
    def failed(self) -> list[Request]:
        return [request for request in self.requests if request.error]

    def by_machine(self, url: str, *, since: float = 0) -> Counter[str]:
        """How many of a URL's requests that began after `since` each machine answered."""
        return Counter(r.machine for r in self.requests if r.url == url and r.at >= since)

    def flows(self, seconds: float = 2) -> None:
        """Lets requests come in for some seconds."""
        time.sleep(seconds)
        assert self._client.running, self._client.errors


@contextmanager
def load(living: Living, client: str, urls: Sequence[str]) -> Iterator[Load]:
    """A steady load on `urls` for the length of the block, whose last requests are waited for."""
    script = shlex.join(["python3", "-c", Path(__file__).read_text("utf-8"), *urls])
    running = living.lab.spawn(client, f"exec {script}")
    try:
        living.wait("the load runs", lambda: running.output.count("\n") > RATE)
        yield Load(running)
        running.send(b"")
        done = running.wait(LONG_SECONDS + 10)
        assert done.code == 0, done.stderr
    finally:
        running.stop()


# --- the client's side: nothing but the standard library -------------------------------------------------


class _Client:
    """Sends requests to one URL until `over` is set, and prints a line for each that has ended."""

    def __init__(self, url: str, over: asyncio.Event) -> None:
        self.url = url
        self.over = over
        parts = urlsplit(url)
        self.host, self.port, self.path = str(parts.hostname), parts.port or 80, parts.path or "/"

    async def run(self) -> None:
        kept, long = (self._kept() for _ in range(KEPT)), (self._long() for _ in range(LONG))
        await asyncio.gather(self._short(), *kept, *long)

    async def _short(self) -> None:
        # Each begins at its time, however long those before it take.
        began = time.monotonic()
        running: list[asyncio.Task[_Connection | None]] = []
        while not self.over.is_set():
            running = [task for task in running if not task.done()]
            running.append(asyncio.create_task(self._request("short", self.path)))
            past = int((time.monotonic() - began) * RATE)
            await self._pause(began + (past + 1) / RATE - time.monotonic())
        await asyncio.gather(*running)

    async def _kept(self) -> None:
        while not self.over.is_set():
            connection = None
            for _ in range(KEPT_REQUESTS):
                connection = await self._request("kept", self.path, connection)
                await self._pause(KEPT_PAUSE)
                if connection is None or self.over.is_set():
                    break
            if connection is not None:
                connection[1].close()

    async def _long(self) -> None:
        while not self.over.is_set():
            await self._request("long", f"/slowly/{LONG_SECONDS}")
            await self._pause(0.1)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    async def _request(self, kind: str, path: str, kept: _Connection | None = None) -> _Connection | None:
        """One request and its line; its connection, when that may be used again."""
        at, began = time.time(), time.monotonic()
        machine, error, connection = "", "", kept
        try:
            if connection is None:
                connection = await _in_time(asyncio.open_connection(self.host, self.port))
            async for piece in self._pieces(connection, path, "keep-alive" if kind == "kept" else "close"):
                machine = machine or piece.decode().split()[0]
        except Exception as broken:  # noqa: BLE001 — whatever it is, this request has failed
            error = f"{type(broken).__name__} {broken}".strip()
        seconds = time.monotonic() - began
        if not error and kind != "long" and seconds > TOO_SLOW:
            error = "slow"
        print(json.dumps(asdict(Request(kind, self.url, at, seconds, machine, error))), flush=True)  # noqa: T201
        if connection is not None and (error or kind != "kept"):
            connection[1].close()
            return None
        return connection

    async def _pieces(self, connection: _Connection, path: str, keep: str) -> AsyncIterator[bytes]:
        """The answer to a GET, as it comes in; an exception unless it is 200 and whole."""
        reader, writer = connection
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: {keep}\r\n\r\n".encode())
        head = (await _in_time(reader.readuntil(b"\r\n\r\n"))).decode().lower()
        if " 200 " not in head.partition("\r\n")[0]:
            raise ValueError(head)
        left = int(head.partition("content-length:")[2].split()[0])
        while left:
            piece = await _in_time(reader.read(left))
            if not piece:
                raise EOFError("in the midst of the answer")
            left -= len(piece)
            yield piece


async def _in_time(step: Coroutine[Any, Any, _T]) -> _T:
    return await asyncio.wait_for(step, TOO_SLOW)


async def _generate(urls: Sequence[str]) -> None:
    """Load until stdin ends, which it does when the test dies, too."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    async with asyncio.timeout(MOST):
        await asyncio.gather(*(_Client(url, over).run() for url in urls))


if __name__ == "__main__":
    asyncio.run(_generate(sys.argv[1:]))
