"""Known host keys: known_hosts(5) files read once, into a plain dictionary of their lines.

paramiko's HostKeys looks every line up in all earlier ones: 600 lines cost it 49 ms, and this 0.4
(https://github.com/paramiko/paramiko/issues/2251).

Host keys are always verified. `StrictHostKeyChecking no` (or accept-new) of ssh_config does not
change that: a tool that writes as root to a whole cluster must know whom it talks to, and nobody
sits before it to read a warning.
"""

from __future__ import annotations

import binascii
import fnmatch
import hashlib
import hmac
import shlex
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lvsdeploy.printable import printable
from lvsdeploy.ssh.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEFAULT_PORT = 22
DEFAULT_TIMEOUT = 10  # seconds, for a connection and what is said before the login
_KEY_FIELDS = 3  # names, type, key


@dataclass(frozen=True)
class Line:
    """One key of a known_hosts file."""

    file: Path
    number: int
    marker: str  # "", "@revoked" or "@cert-authority"
    names: str
    key_type: str
    base64: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"

    def blob(self) -> bytes:
        """The key as it goes over the wire; empty when the line is broken."""
        try:
            return b64decode(self.base64, validate=True)
        except (binascii.Error, ValueError):
            return b""


@dataclass
class KnownHostsFile:
    """The lines of one file, by how they name their hosts."""

    exact: dict[str, list[Line]] = field(default_factory=dict)
    hashed: list[tuple[bytes, bytes, Line]] = field(default_factory=list)  # salt, HMAC-SHA1
    patterns: list[Line] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> KnownHostsFile:
        """Parse a file. One that does not exist is empty; lines that make no sense are skipped."""
        known = cls()
        try:
            text = path.read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return known
        except OSError as error:
            raise Fault(f"{path} cannot be read: {error.strerror}") from error
        for number, raw in enumerate(text.splitlines(), start=1):
            known._add(path, number, raw)
        return known

    def _add(self, path: Path, number: int, raw: str) -> None:
        fields = raw.split()
        if not fields or fields[0].startswith("#"):
            return
        marker = fields.pop(0).lower() if fields[0].startswith("@") else ""
        if len(fields) < _KEY_FIELDS:
            return
        names = fields[0]
        line = Line(path, number, marker, names, fields[1], fields[2])
        if names.startswith("|1|"):
            try:
                salt, digest = (b64decode(part) for part in names[3:].split("|"))
            except ValueError:
                return
            self.hashed.append((salt, digest, line))
        elif any(c in names for c in "*?!"):
            self.patterns.append(line)
        else:
            for name in names.lower().split(","):
                self.exact.setdefault(name, []).append(line)

    def lines(self, name: str) -> Iterator[Line]:
        """The lines about `name` (in lower case; `[host]:port` for another port than 22)."""
        yield from self.exact.get(name, ())
        if self.hashed:
            encoded = name.encode()
            for salt, digest, line in self.hashed:
                if hmac.compare_digest(hmac.digest(salt, encoded, "sha1"), digest):
                    yield line
        for line in self.patterns:
            if _matches(name, line.names.lower().split(",")):
                yield line


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """sshd(8): a negated pattern that matches takes the whole line away from the host."""
    found = False
    for pattern in patterns:
        # The brackets of [host]:port are literal here, and a character class to fnmatch.
        if fnmatch.fnmatchcase(name, pattern.lstrip("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def host_key_name(host: str, port: int) -> str:
    """What known_hosts calls a host."""
    host = host.lower()
    return host if port == DEFAULT_PORT else f"[{host}]:{port}"


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def algorithms(key_type: str) -> tuple[str, ...]:
    """The signature algorithms of a key type: an `ssh-rsa` key is used with SHA-2 (RFC 8332)."""
    if key_type == "ssh-rsa":
        return ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
    return (key_type,)


def label(key_type: str) -> str:
    """A key type as people call it: ED25519, ECDSA, RSA."""
    words = key_type.removeprefix("sk-").removeprefix("ssh-").split("-")
    return printable(words[0].upper())


@dataclass(frozen=True)
class HostKeys:
    """What the known_hosts files say of one host, and the verdict on a key it shows."""

    name: str  # as known_hosts has it
    files: tuple[Path, ...]  # where it was looked for; the first is where a new key belongs
    lines: tuple[Line, ...]
    without_port: tuple[Line, ...]  # of the bare host name, when `name` is [host]:port

    @classmethod
    def find(cls, known: Iterable[tuple[Path, KnownHostsFile]], name: str, bare: str | None) -> HostKeys:
        known = list(known)
        return cls(
            name=name,
            files=tuple(path for path, _ in known),
            lines=tuple(line for _, file in known for line in file.lines(name)),
            without_port=tuple(line for _, file in known for line in file.lines(bare)) if bare else (),
        )

    def preferred(self, supported: Sequence[str]) -> list[str]:
        """`supported` host-key algorithms, those of the known keys first.

        The client's order decides (RFC 4253, 7.1). So a server with several keys shows the one that
        is known; and one that dropped it shows another, whose fingerprint can then be told.
        """
        wanted = {
            algorithm
            for line in (*self.lines, *self.without_port)
            if not line.marker
            for algorithm in algorithms(line.key_type)
        }
        return sorted(supported, key=lambda algorithm: algorithm not in wanted)

    def verify(self, key_type: str, blob: bytes) -> None:
        """Raise Fault unless `blob` is a known key of this host."""
        shown = f"{label(key_type)} {fingerprint(blob)}"
        for line in (*self.lines, *self.without_port):
            if line.marker == "@revoked" and line.blob() == blob:
                raise Fault(
                    f"the host shows a revoked key: {shown}, {line.place}",
                    hint="give the host a new host key; do not log in with this one",
                )
        known = [line for line in self.lines if not line.marker and line.blob()]
        if any(line.blob() == blob for line in known):
            return
        # OpenSSH takes a key that is known for the host without the port, too (sshconnect.c,
        # "checking without port identifier"), and only ever to accept.
        if any(line.blob() == blob for line in self.without_port if not line.marker):
            return
        if known:
            raise self._changed(shown, known, key_type)
        raise self._unknown(shown, key_type, blob)

    def _changed(self, shown: str, known: list[Line], key_type: str) -> Fault:
        line = next((line for line in known if line.key_type == key_type), known[0])
        had = f"{label(line.key_type)} {fingerprint(line.blob())}"
        if any(c in line.names for c in "*?!"):  # ssh-keygen -R leaves patterns alone
            remove = f"take line {line.number} out of {line.file}"
        else:
            remove = f"ssh-keygen -R {shlex.quote(self.name)} -f {shlex.quote(str(line.file))}"
        return Fault(
            f"the host key is not the known one: the host shows {shown}, {line.place} has {had}",
            hint=f"somebody may be in between. If the host was reinstalled: {remove}",
        )

    def _unknown(self, shown: str, key_type: str, blob: bytes) -> Fault:
        message = f"the host key is not known: {self.name} shows {shown}"
        authority = next((line for line in self.lines if line.marker == "@cert-authority"), None)
        if authority is not None:
            message += f" ({authority.place} has a certificate authority, which cannot be used here)"
        file = self.files[0] if self.files else Path("/dev/null")
        if str(file) == "/dev/null":
            return Fault(
                message,
                hint="ssh_config sends the known hosts to /dev/null, and host keys are verified "
                "all the same: name a file by `ssh: {known_hosts: FILE}`",
            )
        # The very key that was shown, and not ssh-keyscan: that would fetch one anew, and cannot
        # reach a host behind a jump host.
        line = shlex.quote(f"{self.name} {key_type} {b64encode(blob).decode()}")
        append = f"echo {line} >> {shlex.quote(str(file))}"
        if not file.parent.exists():
            append = f"mkdir -p -m 700 {shlex.quote(str(file.parent))} && {append}"
        return Fault(
            message,
            hint="compare it with what `ssh-keygen -lf` says on the host's console of its "
            f"/etc/ssh/ssh_host_{label(key_type).lower()}_key.pub; when equal: {append}",
        )
