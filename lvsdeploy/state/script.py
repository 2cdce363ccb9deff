"""Programs of the operator's that keepalived runs on a director: may it, will it.

keepalived looks at them when it starts or reloads, and leaves out those that are not there, that the user may
not execute, or that run with root's rights and could be written by somebody else
(lib/notify.c: check_script_secure, check_security, is_executable).
"""

from __future__ import annotations

import stat
from dataclasses import dataclass


@dataclass(frozen=True)
class Owner:
    """Whose a file or a folder is, and who may do what with it. `mode` has the type, as in st_mode."""

    mode: int
    uid: int
    gid: int

    @property
    def writable_by_others(self) -> bool:
        """Whether somebody but root may write it; in a sticky folder others cannot replace what is root's."""
        if self.uid:
            return True
        if stat.S_ISDIR(self.mode) and self.mode & stat.S_ISVTX:
            return False
        return bool((self.gid and self.mode & stat.S_IWGRP) or self.mode & stat.S_IWOTH)

    def lets_in(self, uid: int, gid: int) -> bool:
        """Whether a user may execute a file, or go through a folder."""
        if uid == 0:
            return stat.S_ISDIR(self.mode) or bool(self.mode & 0o111)
        if uid == self.uid:
            return bool(self.mode & stat.S_IXUSR)
        return bool(self.mode & (stat.S_IXGRP if gid == self.gid else stat.S_IXOTH))


@dataclass(frozen=True)
class Script:
    """A program as it was found for the user that is to run it.

    `user` and `group` are their numbers, None for a user that the host does not know. `way` leads from the
    root folder to the file, without symbolic links; it is empty for a file that is not there.
    """

    user: int | None = None
    group: int | None = None
    way: tuple[tuple[str, Owner], ...] = ()

    @property
    def is_there(self) -> bool:
        return bool(self.way) and stat.S_ISREG(self.way[-1][1].mode)

    @property
    def closed(self) -> str:
        """The folder that the user may not go through, or the file that it may not execute; "" for none."""
        user, group = self.user, self.group
        if user is None or group is None:
            return ""
        return next((path for path, owner in self.way if not owner.lets_in(user, group)), "")

    @property
    def unsafe(self) -> str:
        """The file or folder that others may write, of a program that runs with root's rights; or ""."""
        file = self.way[-1][1] if self.way else Owner(0, 0, 0)
        as_root = (
            self.user == 0
            or self.group == 0
            or (file.uid == 0 and bool(file.mode & stat.S_ISUID))
            or (file.gid == 0 and bool(file.mode & stat.S_ISGID))
        )
        return next((path for path, owner in self.way if as_root and owner.writable_by_others), "")
