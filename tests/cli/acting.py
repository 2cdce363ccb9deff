"""What tests of the verbs that change hosts do and look at, with hosts of tests/hosts.py."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.cli.running import ROOT, Done
from tests.hosts import OUTSIDE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hosts import NamespaceHost, Site

VIP, OTHER_VIP = f"{OUTSIDE}50", f"{OUTSIDE}51"
FOLDER = "/var/lib/lvsdeploy"
MANIFEST = f"{FOLDER}/shop/manifest.json"
HISTORY = f"{FOLDER}/shop/history"
BLOCKED = """\
case "$*" in
"address add"*)
    : >/run/reached
    while [ -e /run/reached ]; do sleep 0.05; done
    ;;
esac
exec "$real" "$@"
"""
"""For `instead_of("ip", ...)`: an apply stops in the middle until /run/reached goes."""


def start(verb: str, *arguments: str | Path, **how: Any) -> subprocess.Popen[str]:
    """A command as a process of its own."""
    argv = [sys.executable, "-m", "lvsdeploy", verb, *map(str, arguments)]
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    return subprocess.Popen(argv, cwd=ROOT, text=True, **how)


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def on_a_terminal(answer: str, verb: str, *arguments: str | Path) -> Done:
    """A command that is asked on a terminal."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        return ended(start(verb, *arguments, stdin=theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def vips(host: NamespaceHost) -> set[str]:
    return {line.split()[3] for line in host.sh("ip -o -4 address show dev lo").splitlines()} - {
        "127.0.0.1/8"
    }


def ids(site: Site, *hosts: NamespaceHost, cluster: str = "shop") -> list[str]:
    """What the hosts remember, the oldest first."""
    return sorted(
        {entry["id"] for host in hosts or site.hosts for entry in host.manifest(cluster)["history"]}
    )


def without_history(host: NamespaceHost) -> dict[str, object]:
    """Everything on a host but what it remembers of who applied when."""
    found = host.everything()
    files: Any = found["files"]
    record = host.manifest() if host.exists(MANIFEST) else {}
    found["files"] = {p: w for p, w in files.items() if not p.startswith(f"{FOLDER}/shop/")}
    return {**found, "record": {k: v for k, v in record.items() if k != "history"}}
