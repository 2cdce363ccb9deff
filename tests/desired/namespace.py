"""A network of one's own for a test: interfaces, addresses and sysctls that no other process sees."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def missing(*programs: str) -> str:
    """Why a test that needs root, network namespaces and `programs` cannot run here; "" when it can."""
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    absent = [name for name in ("unshare", "ip", *programs) if shutil.which(name) is None]
    return f"needs {', '.join(absent)}" if absent else ""


def needs(*programs: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(bool(missing(*programs)), reason=missing(*programs) or "all there")


def run(
    commands: Iterable[str], *, interfaces: Iterable[str] = (), addresses: Iterable[tuple[str, str]] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs shell commands in a fresh namespace with `interfaces` up and (interface, address) set."""
    lines = ["set -e", "ip link set lo up"]
    for number, interface in enumerate(interfaces):
        lines += [
            f"ip link add {shlex.quote(interface)} type veth peer name peer{number}",
            f"ip link set {shlex.quote(interface)} up",
            f"ip link set peer{number} up",
        ]
    lines += [f"ip address add {address} dev {shlex.quote(interface)}" for interface, address in addresses]
    script = "\n".join([*lines, "set +e", *commands])
    return subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
