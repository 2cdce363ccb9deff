"""Files: what they hold, who may read them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

# In keepalived.conf: VRRP's password, that of the SSL block, and a `$PASSWORD=` that one of them refers to.
# They may stand behind a comment's sign, or behind another word on the line.
_SECRET_WORDS = re.compile(
    rb"(\b(?:auth_pass|password)[ \t]+|^[ \t]*\$\w*pass\w*[ \t]*=)([^\n]+)", re.MULTILINE | re.IGNORECASE
)


class FileKind(StrEnum):
    """What stands at a path; lvsdeploy writes regular files only."""

    REGULAR = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True)
class File:
    """A file by content (bytes), mode (permission bits) and owner (`user:group`).

    `secret` says that its content must not be shown as it is.
    """

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root:root"
    kind: FileKind = FileKind.REGULAR
    secret: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    def shown(self) -> str:
        """The content for people: secrets masked, undecodable bytes replaced."""
        return _SECRET_WORDS.sub(rb"\1********", self.content).decode("utf-8", "replace")

    def secrets(self) -> tuple[bytes, ...]:
        """What `shown` masks, in order: only to tell whether it differs."""
        return tuple(match[2].strip() for match in _SECRET_WORDS.finditer(self.content))
