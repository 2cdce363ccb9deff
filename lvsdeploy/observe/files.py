"""Files as the probe found them: what stat and sha256sum say, and the contents that had to travel."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.printable import host_word
from lvsdeploy.state.file import File, FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS = {
    stat.S_IFREG: FileKind.REGULAR,
    stat.S_IFDIR: FileKind.DIRECTORY,
    stat.S_IFLNK: FileKind.SYMLINK,
}
_UNREAD = {
    "refused": "only another user may read it",
    "large": "larger than 8 MiB, so it was not read",
}

_LARGEST_MODE = 0xFFFFFFFF  # st_mode: a larger one is more than the module stat takes


@dataclass(frozen=True)
class _Stat:
    """A line of `stat -c %f:%s:%u:%g:%U:%G:%n`; `size` in bytes."""

    path: str
    kind: FileKind
    mode: int
    owner: str
    size: int

    @classmethod
    def of(cls, line: str) -> _Stat:
        mode, size, uid, gid, user, group, path = line.split(":", 6)
        raw = int(mode, 16)
        if raw > _LARGEST_MODE:
            raise ValueError(f"a mode of {mode}")
        # a number stands for an owner that has no name here
        names = [
            str(int(number)) if name in ("UNKNOWN", "") else host_word(name)
            for number, name in ((uid, user), (gid, group))
        ]
        kind = _KINDS.get(stat.S_IFMT(raw), FileKind.OTHER)
        return cls(path, kind, stat.S_IMODE(raw), ":".join(names), int(size))


def parse(
    stats: Iterable[str],
    unread: Iterable[str],
    sums: Iterable[str],
    sent: Iterable[str],
    contents: bytes,
    known: Mapping[str, bytes],
) -> tuple[dict[str, File], dict[str, str]]:
    """(files by path, why a file could not be read by path). ValueError says what does not fit together."""
    seen = {entry.path: entry for entry in map(_Stat.of, stats)}
    digests = {path.lstrip(" *"): digest for digest, _, path in (x.partition(" ") for x in sums)}
    reasons = {path: _UNREAD[why] for why, _, path in (line.partition(" ") for line in unread)}
    arrived = _cut(contents, [seen[path] for path in sent])
    files = {}
    for path, entry in seen.items():
        content = b""
        if entry.kind is FileKind.REGULAR and path not in reasons:
            digest = digests.get(path, "")
            content = arrived[path] if path in arrived else known.get(digest, b"")
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError(f"{path} changed while it was read")
        files[path] = File(path, content, entry.mode, entry.owner, entry.kind)
    return files, reasons


def _cut(contents: bytes, entries: list[_Stat]) -> dict[str, bytes]:
    """Contents that came one after the other, by path."""
    found = {}
    start = 0
    for entry in entries:
        found[entry.path] = contents[start : start + entry.size]
        start += entry.size
    return found
