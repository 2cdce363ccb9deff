"""What we can prove who we are with: private key files and the agent, each loaded once a run.

No password, passphrase or second factor is ever asked for: nobody sits before a batch tool.
"""

from __future__ import annotations

import binascii
import copy
import socket
import struct
import threading
from base64 import b64decode
from functools import cached_property
from typing import TYPE_CHECKING, cast

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from paramiko.agent import (
    SSH2_AGENT_IDENTITIES_ANSWER,
    AgentKey,
    cSSH2_AGENTC_REQUEST_IDENTITIES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_NAMES = ("id_rsa", "id_ecdsa", "id_ed25519")  # OpenSSH's, less those that need hardware

_MAGIC = b"openssh-key-v1\0"
_AGENT_PATIENCE = 60.0  # seconds; an agent may ask its user to confirm (ssh-add -c)
_LARGEST_ANSWER = 1 << 20


class KeyFile:
    """A private key file. The public half is read first: it may tell that the key is not needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[paramiko.PKey, ...], str] | None = None

    @cached_property
    def _data(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def problem(self) -> str:
        """Why the file cannot be read at all; empty when it can."""
        try:
            return "" if self._data else "is empty"
        except FileNotFoundError:
            return "does not exist"
        except OSError as error:
            return f"cannot be read: {(error.strerror or str(error)).lower()}"

    @cached_property
    def public(self) -> bytes:
        """The public key, as it goes over the wire; empty when only a passphrase could tell."""
        if self.problem:
            return b""
        return _public_of_private(self._data) or _public(self._data) or self._beside()

    def _beside(self) -> bytes:
        try:
            return _public(self.path.with_name(self.path.name + ".pub").read_bytes())
        except OSError:
            return b""

    def keys(self) -> tuple[tuple[paramiko.PKey, ...], str]:
        """The keys to try, one with a certificate first; or none, and why."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> tuple[tuple[paramiko.PKey, ...], str]:
        if self.problem:
            return (), self.problem
        if _public(self._data):
            return (), "is a public key, and no agent holds its private half"
        try:
            key = _private(self._data, self.path)
        except (TypeError, paramiko.PasswordRequiredException):
            return (), "needs a passphrase, and no agent holds it"
        except (ValueError, UnsupportedAlgorithm, paramiko.SSHException, binascii.Error):
            return (), "is not a private key of a kind that can be used"
        return (*self._certified(key), key), ""

    def _certified(self, key: paramiko.PKey) -> tuple[paramiko.PKey, ...]:
        """The key with the certificate that lies beside its file, if one does."""
        certificate = self.path.with_name(self.path.name + "-cert.pub")
        certified = copy.copy(key)
        try:
            certified.load_certificate(str(certificate))
        except (ValueError, OSError, paramiko.SSHException):
            return ()
        return (certified,)


def _private(data: bytes, path: Path) -> paramiko.PKey:
    """Load a private key, once.

    paramiko's from_path loads it twice, and an RSA key is verified each time, 0.2 s.
    """
    kind = _public_of_private(data)
    if kind[4:].startswith(b"ssh-ed25519"):
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    load = serialization.load_ssh_private_key if kind else serialization.load_pem_private_key
    loaded = load(data, None)
    if isinstance(loaded, RSAPrivateKey):
        return paramiko.RSAKey(key=loaded)
    if isinstance(loaded, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(loaded, loaded.public_key()))
    raise ValueError("unsupported")


def _public(data: bytes) -> bytes:
    """The key of a `.pub` file."""
    fields = data.split(None, 2)
    if len(fields) < 2 or not fields[0].startswith((b"ssh-", b"ecdsa-", b"sk-")):  # noqa: PLR2004 - type, key
        return b""
    try:
        return b64decode(fields[1], validate=True)
    except binascii.Error:
        return b""


def _public_of_private(data: bytes) -> bytes:
    """The public key in OpenSSH's own format, where it is never encrypted (PROTOCOL.key)."""
    begin, end = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"
    if begin not in data or end not in data:
        return b""
    try:
        raw = b64decode(data.split(begin, 1)[1].split(end, 1)[0])
        if not raw.startswith(_MAGIC):
            return b""
        at = len(_MAGIC)
        for _ in ("cipher", "kdf", "kdf options"):
            at += 4 + int.from_bytes(raw[at : at + 4], "big")
        at += 4  # how many keys; there is always one
        return raw[at + 4 : at + 4 + int.from_bytes(raw[at : at + 4], "big")]
    except binascii.Error:
        return b""


class Agent:
    """A running ssh-agent, by the path of its socket.

    Each request has a connection of its own, so that many logins may sign at once, and none is left
    open; paramiko's Agent shares one without a lock.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys: tuple[AgentKey, ...] | None = None

    def identities(self) -> tuple[AgentKey, ...]:
        """The keys it holds, asked for once. None when there is no agent."""
        with self._lock:
            if self._keys is None:
                try:
                    self._keys = tuple(self._ask())
                except (OSError, paramiko.SSHException, struct.error):
                    self._keys = ()
            return self._keys

    def _ask(self) -> Iterator[AgentKey]:
        kind, answer = self._send_message(cSSH2_AGENTC_REQUEST_IDENTITIES)
        if kind != SSH2_AGENT_IDENTITIES_ANSWER:
            return
        for _ in range(answer.get_int()):
            blob, comment = answer.get_binary(), answer.get_binary()
            # AgentKey asks its agent for nothing but _send_message.
            agent = cast("paramiko.Agent", self)
            yield AgentKey(agent, blob, comment.decode("utf-8", "replace"))

    def _send_message(self, message: bytes | paramiko.Message) -> tuple[int, paramiko.Message]:
        request = message if isinstance(message, bytes) else message.asbytes()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_AGENT_PATIENCE)
            sock.connect(self._path)
            sock.sendall(struct.pack(">I", len(request)) + request)
            (length,) = struct.unpack(">I", _exactly(sock, 4))
            if not 0 < length <= _LARGEST_ANSWER:
                raise paramiko.SSHException("the agent's answer makes no sense")
            answer = paramiko.Message(_exactly(sock, length))
        return ord(answer.get_byte()), answer


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise paramiko.SSHException("the agent hung up")
        data += part
    return data
