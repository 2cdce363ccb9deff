"""What the controller and an agent say to each other: frames over a stream socket.

A frame is one byte that says its kind, four that say the payload's length (big endian), and the
payload. A connection carries one request, and the answer to it.
"""

import json
import socket
import struct
from typing import Any

HEADER = struct.Struct("!cI")

# To the agent.
REQUEST = b"Q"  # JSON; the first frame
STDIN = b"I"  # bytes; an empty one is the end of the input
SIGNAL = b"K"  # a signal's number, for the command's whole process group
# From the agent.
STDOUT = b"O"
STDERR = b"R"
EXIT = b"X"  # JSON {"code": int, "timed_out": bool}; a signal's code is 128 + its number
DONE = b"D"  # JSON: the answer of a request that is no command
FAILED = b"F"  # text: why it could not be done


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def json_frame(kind: bytes, value: Any) -> bytes:
    return frame(kind, json.dumps(value).encode())


class Frames:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The frames that are whole with `data` added: (kind, payload) each."""
        self._pending += data
        whole = []
        while len(self._pending) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._pending)
            end = HEADER.size + length
            if len(self._pending) < end:
                break
            whole.append((kind, bytes(self._pending[HEADER.size : end])))
            del self._pending[:end]
        return whole


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """The next frame of a blocking socket, and not a byte more; EOFError at the stream's end."""
    kind, length = HEADER.unpack(_exactly(connection, HEADER.size))
    return kind, _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError("the connection ended in the middle of an answer")
        data += piece
    return bytes(data)
