"""The system calls that Python 3.11 has no function for. Each raises OSError."""

import ctypes
import os
from pathlib import Path

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWPID = 0x20000000
NEWNET = 0x40000000
MACHINE = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWPID | NEWNET

RDONLY = 1
NOSUID = 2
NODEV = 4
NOEXEC = 8
REMOUNT = 32
BIND = 4096
REC = 16384
PRIVATE = 1 << 18
DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def enter(pid: int) -> None:
    """Joins a machine; for the pid namespace, only children do."""
    fd = os.pidfd_open(pid)
    try:
        _checked(_libc.setns(fd, MACHINE), f"setns of process {pid}")
    finally:
        os.close(fd)


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    result = _libc.mount(
        source.encode(),
        str(target).encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _checked(result, f"mount {kind or source} on {target}")


def unmount(target: str | Path) -> None:
    _checked(_libc.umount2(str(target).encode(), DETACH), f"umount of {target}")


def bind(source: str, target: str | Path, *, read_only: bool = False) -> None:
    mount(source, target, flags=BIND | REC)
    if read_only:
        mount("none", target, flags=BIND | REMOUNT | RDONLY)


def change_root(root: str | Path) -> None:
    """Makes `root`, a mount point, the root; what was there before is gone from this namespace."""
    os.chdir(root)
    # One stacked on the other at the same place, so no directory for the old one is needed.
    _checked(_libc.pivot_root(b".", b"."), f"pivot_root to {root}")
    _checked(_libc.umount2(b".", DETACH), "umount of the old root")
    os.chdir("/")


def die_with_parent(signal_number: int) -> None:
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def set_name(name: str) -> None:
    _checked(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0), "prctl")


def drop_capability(number: int) -> None:
    """Takes a capability from this process's bounding set, hence from all that it executes."""
    _checked(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")


def enter_network(namespace: str) -> None:
    """Moves the calling thread into a network namespace, by its file."""
    fd = os.open(namespace, os.O_RDONLY)
    try:
        _checked(_libc.setns(fd, NEWNET), f"setns of {namespace}")
    finally:
        os.close(fd)
