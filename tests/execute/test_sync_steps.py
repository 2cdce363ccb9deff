"""Timeouts and sync daemons in a transaction: done, undone, and when keepalived is quicker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.plan.change import Phase, Step
from tests.execute.running import SHELLS, shell_tools
from tests.execute.test_transaction import FAIL, Run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

# Stands for ipvsadm: there is no IPVS in the kernel that runs this test. As the real one it refuses to start
# what runs, and to stop what does not.
IPVSADM = """#!/bin/sh
state=/run/daemons
touch $state
case $1 in
-Ln) cat $state ;;
--set) echo "$*" >>/run/said ;;
--start-daemon)
    echo "$*" >>/run/said
    ! grep -q "^$2 " $state || { echo "Daemon has already run"; exit 255; }
    [ ! -e /run/refuses ] || { echo "No such device"; exit 255; }
    echo "$2 sync daemon (mcast=$4, syncid=$6)" >>$state ;;
--stop-daemon)
    echo "$*" >>/run/said
    grep -q "^$2 " $state || { echo "Daemon is not running"; exit 255; }
    grep -v "^$2 " $state >/run/rest
    mv /run/rest $state ;;
esac
"""
WORDS = ("--mcast-interface", "eth0", "--syncid", "51")
OTHER = ("--mcast-interface", "eth1", "--syncid", "9")
STOP = Step(Phase.TABLE, ("sync_stop", "backup", *OTHER))
START = Step(Phase.TABLE, ("sync_start", "backup", *WORDS))
TIMEOUTS = Step(Phase.TABLE, ("ipvs_timeouts", "1800", "0", "0", "900", "0", "0"))
RUNNING = 'echo "backup sync daemon (mcast=eth1, syncid=9)" >/run/daemons'
LOOK = "cat /run/daemons; echo; cat /run/said"


@pytest.fixture(params=SHELLS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    tools = shell_tools(tmp_path, request.param)
    (tools / "ipvsadm").write_text(IPVSADM)
    (tools / "ipvsadm").chmod(0o755)
    return Run(tools)


def parts(run: Run) -> tuple[list[str], list[str]]:
    """(the daemons that run, what ipvsadm was asked to do)."""
    daemons, _, said = run.said.partition("\n\n")
    return daemons.split("\n"), said.splitlines()


def test_one_daemon_takes_the_place_of_another(run: Run) -> None:
    outcome = run(STOP, START, TIMEOUTS, before=RUNNING, after=LOOK)
    assert outcome.failed is None
    assert parts(run) == (
        ["backup sync daemon (mcast=eth0, syncid=51)"],
        ["--stop-daemon backup", f"--start-daemon backup {' '.join(WORDS)}", "--set 1800 0 0"],
    )


def test_it_is_undone(run: Run) -> None:
    outcome = run(STOP, START, TIMEOUTS, FAIL, before=RUNNING, after=LOOK)
    assert (outcome.failed, outcome.undone) == (FAIL, True)
    daemons, said = parts(run)
    assert daemons == ["backup sync daemon (mcast=eth1, syncid=9)"]
    assert said[-1] == f"--start-daemon backup {' '.join(OTHER)}"
    assert "--set 900 0 0" in said


def test_one_that_cannot_start_leaves_what_was_there(run: Run) -> None:
    outcome = run(START, before="touch /run/refuses", after=LOOK)
    assert (outcome.failed, outcome.undone) == (START, True)
    assert "No such device" in outcome.detail
    assert run.said.splitlines() == ["", f"--start-daemon backup {' '.join(WORDS)}"]


def test_keepalived_may_be_quicker(run: Run) -> None:
    """What is so already need not be done; and is nobody's to undo."""
    outcome = run(START, Step(Phase.TABLE, ("sync_stop", "master", *WORDS)), FAIL, before=RUNNING, after=LOOK)
    assert (outcome.failed, outcome.undone) == (FAIL, True)
    assert run.said.startswith("backup sync daemon (mcast=eth1, syncid=9)")
    assert "--st" not in run.said


def test_waiting_ends(run: Run) -> None:
    wait = Step(Phase.SETTLE, ("await_sync", "backup", "eth1", "9"))
    assert run(wait, before=RUNNING).failed is None
