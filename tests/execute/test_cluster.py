"""The order of an apply, and what stops it, with hosts that are made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from lvsdeploy.errors import Unreachable
from lvsdeploy.execute.cluster import Session
from lvsdeploy.execute.host import Host
from lvsdeploy.execute.interruption import Interruption
from lvsdeploy.inventory import load
from lvsdeploy.observe import Observation
from lvsdeploy.plan.change import Action, Change, HostPlan, Kind, Reason
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.host import HostState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.ssh import Connector

INVENTORY = """
version: 1
cluster: shop
directors:
  lvs1: {address: 192.0.2.2, interface: eth0, priority: 150}
  lvs2: {address: 192.0.2.3, interface: eth0, priority: 100}
real_servers:
  web1: {address: 192.0.2.11}
  web2: {address: 192.0.2.12}
services:
  http: {vip: 192.0.2.50, port: 80, real_servers: [web1, web2]}
"""
FILE = Change(Kind.FILE, "/etc/x", Action.UPDATE, Reason.DECLARED)
VIP_GOES = Change(Kind.ADDRESS, "192.0.2.50/32 on lo", Action.DELETE, Reason.LEFT_OVER)
VIP_STRAY = replace(VIP_GOES, name="192.0.2.50/32 on eth0", reason=Reason.DRIFT)
VIP_COMES = Change(Kind.ADDRESS, "192.0.2.51/32 on lo", Action.CREATE, Reason.DECLARED)


@dataclass
class Story:
    """What each host's plan is, what happens when it is read or changed, and who was changed, in order."""

    cluster: Cluster
    plans: dict[str, tuple[Change, ...]]
    on_read: dict[str, Exception]
    on_change: dict[str, Exception | Callable[[], object]]
    changed: list[str]

    def tell(self, *, parallel: int = 1) -> tuple[list[str], dict[str, str], dict[str, str]]:
        """Runs plan and apply: (who was changed, why others were left, what failed)."""
        hosts = frozenset(host.name for host in self.cluster.hosts())
        with Session(self.cluster, cast("Connector", None), hosts=hosts, parallel=parallel) as session:
            session.read()
            result = session.apply()
        left = {failure.host: failure.message for failure in result.left}
        return self.changed, left, {failure.host: failure.message for failure in result.failures}

    def read(self, host: Host) -> None:
        if host.name in self.on_read:
            raise self.on_read[host.name]
        host.plan = HostPlan(host.name, host.role, self.plans.get(host.name, (FILE,)))

    def change(self, host: Host) -> None:
        self.changed.append(host.name)
        happens = self.on_change.get(host.name)
        if isinstance(happens, Exception):
            raise happens
        if happens is not None:
            happens()
        host.changed = True
        host.plan = HostPlan(host.name, host.role)


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    story = Story(load(path).cluster, {}, {}, {}, [])

    def read(host: Host, _connector: Any) -> None:
        with host._failing():
            story.read(host)

    def change(host: Host) -> None:
        story.change(host)

    monkeypatch.setattr(Host, "read", read)
    monkeypatch.setattr(Host, "_change", change)
    return story


def test_real_servers_then_one_director_after_the_other(story: Story) -> None:
    changed, left, failed = story.tell()
    assert changed == ["web1", "web2", "lvs1", "lvs2"]
    assert (left, failed) == ({}, {})


def test_a_director_that_cannot_be_read_stops_the_others(story: Story) -> None:
    story.on_read["lvs1"] = Unreachable("lvs1", "no answer")
    changed, left, failed = story.tell()
    assert changed == ["web1", "web2"]
    assert left == {
        "lvs2": "not changed: directors are changed one after the other, and lvs1 is not ready",
    }
    assert failed == {"lvs1": "no answer"}


def test_a_real_server_that_fails_stops_every_director(story: Story) -> None:
    story.on_change["web1"] = Unreachable("web1", "gone")
    changed, left, _ = story.tell()
    assert changed == ["web1", "web2"]
    assert set(left) == {"lvs1", "lvs2"}
    assert left["lvs1"] == "not changed: not every real server is ready: web1"


def test_a_bug_about_one_host_is_that_host_s_failure(story: Story) -> None:
    story.on_read["web2"] = RuntimeError("dictionary changed size")
    story.on_change["web1"] = KeyError("x")
    changed, left, failed = story.tell(parallel=4)
    assert changed == ["web1"]
    assert failed == {
        "web1": "internal error: KeyError: 'x'",
        "web2": "internal error: RuntimeError: dictionary changed size",
    }
    assert set(left) == {"lvs1", "lvs2"}


def test_a_vip_goes_from_real_servers_after_the_directors(story: Story) -> None:
    story.plans["web1"] = (FILE, VIP_GOES)
    assert story.tell()[0] == ["web2", "lvs1", "lvs2", "web1"]


@pytest.mark.parametrize("changes", [(VIP_STRAY,), (VIP_GOES, VIP_COMES)], ids=["stray", "one for another"])
def test_a_vip_that_comes_or_never_belonged_there_does_not_wait(
    story: Story, changes: tuple[Change, ...]
) -> None:
    story.plans["web1"] = changes
    assert story.tell()[0] == ["web1", "web2", "lvs1", "lvs2"]


def test_a_vip_stays_while_a_director_has_failed(story: Story) -> None:
    story.plans["web1"] = (VIP_GOES,)
    story.on_change["lvs2"] = Unreachable("lvs2", "gone")
    changed, left, _ = story.tell()
    assert changed == ["web2", "lvs1", "lvs2"]
    assert left == {
        "web1": "not changed: it gives up a VIP, and directors may still send packets there: lvs2"
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_after_a_signal_nothing_new_is_begun(
    story: Story, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    story.on_change["web1"] = lambda: os.kill(os.getpid(), number)
    story.on_change["web2"] = lambda: threading.Event().wait(0.2)
    changed, left, failed = story.tell(parallel=1)
    assert changed[0] == "web1"
    assert "lvs1" not in changed
    assert left["lvs1"] == left["lvs2"] == "not changed: interrupted before its turn"
    assert failed == {}
    assert "Interrupted: " in capfd.readouterr().err
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_second_signal_leaves_although_threads_are_at_work() -> None:
    script = (
        "import os, signal, threading\n"
        "from lvsdeploy.execute.interruption import Interruption\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "with Interruption(lambda: ['web1']):\n"
        "    print('before')\n"
        "    for _ in range(2):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert done.stdout == "before\n", "what was said is not lost"
    assert done.stderr.splitlines()[-1].startswith(
        "Interrupted again. What is under way on web1 goes on there."
    )


def test_a_nat_section_that_no_service_uses_holds_nobody_back(tmp_path: Path) -> None:
    inventory = tmp_path / "shop.yaml"
    inventory.write_text(INVENTORY + "nat: {gateway: 10.2.0.1/24, interface: eth1}\n")
    cluster = load(inventory).cluster
    with Session(cluster, cast("Connector", None), hosts=frozenset({"lvs1", "web1"})) as session:
        for host in session.hosts:
            host.observation = Observation(Facts(), HostState())
            host.plan = HostPlan(host.name, host.role, ())
        assert session.apply().changed == ()
