"""Changes that are put back unless they are confirmed."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.execute.transaction import (
    End,
    Verdict,
    confirm_program,
    read_verdict,
    revert_program,
)
from lvsdeploy.plan.change import Phase, Step
from lvsdeploy.state.facts import ServiceManager
from tests.execute.running import SHELLS, TOKEN, Namespace, shell_tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

ARP = "/proc/sys/net/ipv4/conf/all/arp_ignore"
CHANGE = Step(Phase.SYSCTL, ("sysctl_set", ARP, "1"))


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Namespace]:
    """A host for each shell; at the end nothing is left but the word of how it ended."""
    host = Namespace(shell_tools(tmp_path, request.param))
    yield host
    wait_for(host, "! ls /run/lvsdeploy/apply.* 2>/dev/null")
    left = host.sh("ls -A /run/lvsdeploy | grep -v '^settled$' || :; ls -A /var/lib | grep lvsdeploy || :")
    host.close()
    assert left == ""


def wait_for(host: Namespace, condition: str) -> None:
    host.sh(f"for _ in $(seq 100); do {{ {condition}; }} && exit; sleep 0.1; done; exit 1")


def value(host: Namespace) -> str:
    return host.sh(f"cat {ARP}").strip()


def confirm(host: Namespace, token: str = TOKEN) -> Verdict:
    return read_verdict("web1", host.run(confirm_program(token)).stdout, token)


def revert(host: Namespace) -> Verdict:
    return read_verdict("web1", host.run(revert_program(TOKEN)).stdout, TOKEN)


def test_what_is_confirmed_stays(host: Namespace) -> None:
    outcome = host.apply(CHANGE, confirm=3)
    assert (outcome.armed, outcome.failed, outcome.reading) == (True, None, b"read: the request")
    assert confirm(host) == Verdict(End.CONFIRMED)
    assert confirm(host) == Verdict(End.CONFIRMED), "asked again, because the answer was lost"
    time.sleep(4)
    assert value(host) == "1"
    assert host.apply().recovered == ""


def test_what_is_not_confirmed_is_put_back(host: Namespace) -> None:
    assert host.apply(CHANGE, confirm=1).armed
    wait_for(host, f"grep -q 0 {ARP}")
    assert confirm(host) == Verdict(End.EXPIRED)
    assert value(host) == "0"
    assert revert(host) == Verdict(End.EXPIRED)


def test_what_could_not_be_put_back_is_told_to_who_confirms_too_late(host: Namespace) -> None:
    broken = Step(Phase.PREPARE, ("on_undo", "no_such_word"))
    assert host.apply(broken, CHANGE, confirm=1).armed
    wait_for(host, f"grep -q 0 {ARP}")
    verdict = confirm(host)
    assert (verdict.end, verdict.undone) == (End.EXPIRED, False)
    assert "could not undo: no_such_word" in verdict.detail


def test_it_can_be_put_back_at_once(host: Namespace) -> None:
    assert host.apply(CHANGE, confirm=600).armed
    assert revert(host) == Verdict(End.REVERTED)
    assert value(host) == "0"
    assert host.apply(CHANGE).failed is None


def test_meanwhile_others_are_told_who_and_until_when(host: Namespace) -> None:
    assert host.apply(CHANGE, confirm=600).armed
    busy = host.apply(CHANGE, token="f" * 16).busy
    assert busy.startswith("anna@desk, since noon; put back at ")
    assert busy.endswith(" UTC unless confirmed")
    assert confirm(host, "f" * 16).end is End.EXPIRED, "another's change is not confirmed by mistake"
    assert value(host) == "1"
    assert confirm(host).end is End.CONFIRMED


def test_a_guard_that_was_killed_leaves_it_to_the_next_apply(host: Namespace) -> None:
    assert host.apply(CHANGE, confirm=600).armed
    host.sh("read -r pid _ </run/lvsdeploy/lock; kill -9 $pid")
    assert host.apply().recovered == "anna@desk, since noon"
    assert value(host) == "0"
    assert confirm(host).end is End.EXPIRED


def test_a_guard_that_was_killed_does_not_hinder_a_confirmation(host: Namespace) -> None:
    assert host.apply(CHANGE, confirm=600).armed
    host.sh("read -r pid _ </run/lvsdeploy/lock; kill -9 $pid")
    assert confirm(host) == Verdict(End.CONFIRMED)
    assert value(host) == "1"


def test_a_confirmation_that_was_killed_counts(host: Namespace) -> None:
    """The guard, asleep until its time is over, must not undo it, and the next apply ends it."""
    assert host.apply(CHANGE, confirm=2).armed
    guard = int(host.sh("cut -d' ' -f1 /run/lvsdeploy/lock"))
    os.kill(guard, signal.SIGSTOP)
    journal = "/var/lib/lvsdeploy/.journal"
    host.sh(f"mv {journal}/armed.{TOKEN} {journal}/confirmed.{TOKEN}")
    time.sleep(2)
    os.kill(guard, signal.SIGCONT)
    wait_for(host, "! { read -r pid _ </run/lvsdeploy/lock && kill -0 $pid; } 2>/dev/null")
    assert host.apply().recovered == ""
    assert value(host) == "1"


def test_without_a_guard_nothing_is_changed(host: Namespace) -> None:
    (host.tools / "setsid").unlink(missing_ok=True)
    (host.tools / "setsid").write_text("#!/bin/sh\nexit 1\n")
    (host.tools / "setsid").chmod(0o755)
    outcome = host.apply(CHANGE, confirm=600)
    assert outcome.failed == CHANGE
    assert outcome.undone
    assert "did not start" in outcome.detail
    assert value(host) == "0"


def test_under_systemd_the_guard_is_a_unit_of_its_own(host: Namespace) -> None:
    # A stand-in: the systemd of this machine is not to be told of it.
    stand_in = host.tools / "systemd-run"
    stand_in.write_text(
        '#!/bin/sh\necho "$*" >>/run/asked\nwhile [ "$1" != /bin/sh ]; do shift; done\n'
        'setsid "$@" </dev/null >/dev/null 2>&1 &\n'
    )
    stand_in.chmod(0o755)
    assert host.apply(CHANGE, confirm=600, manager=ServiceManager.SYSTEMD).armed
    asked = host.sh("cat /run/asked").split()
    assert asked[:3] == ["--quiet", "--collect", f"--unit=lvsdeploy-confirm-{TOKEN}"]
    assert revert(host) == Verdict(End.REVERTED)
