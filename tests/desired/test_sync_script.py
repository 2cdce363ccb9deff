"""What a director without keepalived starts at boot for IPVS: timeouts and sync daemons."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import desired_state
from lvsdeploy.inventory.model import Engine, Ipvs, IpvsTimeouts, SyncDaemonOptions, Vrrp
from lvsdeploy.state.facts import Facts
from tests.desired import clusters

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "/etc/lvsdeploy/shop/director"
FAKE = """#!/bin/sh
# Knows which daemons run, and says what it was asked to do.
case $1 in
-Ln) cat "$STATE" ;;
--start-daemon) echo "$2 sync daemon (mcast=$4, syncid=$6)" >>"$STATE" && echo "$*" >>"$SAID" ;;
*) echo "$*" >>"$SAID" ;;
esac
"""


def script(**options: object) -> str:
    cluster = replace(clusters.smallest(), engine=Engine.IPVSADM, **options)  # type: ignore[arg-type]
    files = desired_state(cluster, "lvs1", Facts()).files
    return files[SCRIPT].content.decode()


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_both_daemons_are_started_once(shell: str, tmp_path: Path) -> None:
    daemon = SyncDaemonOptions("eth0", 51, 1400, 8849, ip_address("224.0.0.99"), 2)
    text = script(vrrp=Vrrp(sync_daemon=daemon), ipvs=Ipvs(IpvsTimeouts(tcp=1800, udp=30)))
    program = tmp_path / "ipvsadm"
    program.write_text(FAKE)
    program.chmod(0o755)
    (tmp_path / "ip").write_text("#!/bin/sh\necho ' 192.0.2.50/32 '\n")
    (tmp_path / "ip").chmod(0o755)
    file = tmp_path / "director"
    file.write_text(text.replace("PATH=", f"PATH={tmp_path}:", 1))
    said, state = tmp_path / "said", tmp_path / "state"
    state.write_text("")
    environ = {**os.environ, "SAID": str(said), "STATE": str(state)}

    def run(word: str) -> int:
        return subprocess.run([*shell.split(), str(file), word], env=environ, check=False).returncode

    assert run("status") == 3
    assert run("start") == run("start") == run("status") == 0
    words = "--mcast-interface eth0 --syncid 51 --sync-maxlen 1400 --mcast-group 224.0.0.99"
    words += " --mcast-port 8849 --mcast-ttl 2"
    assert said.read_text().splitlines() == [
        "--set 1800 0 30",
        f"--start-daemon backup {words}",
        f"--start-daemon master {words}",
        "--set 1800 0 30",
    ]
    said.write_text("")
    assert run("stop") == 0
    assert said.read_text().splitlines() == ["--stop-daemon backup", "--stop-daemon master"]


def test_nothing_is_said_where_nothing_is_declared() -> None:
    assert "ipvsadm" not in script()
