"""The order of an apply, and what stops it, with hosts that are made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

import pytest

from lvsdeploy.errors import HostError, LvsdeployError, Unreachable
from lvsdeploy.execute import cluster as cluster_module
from lvsdeploy.execute.aims import Options, Remove
from lvsdeploy.execute.cluster import Session
from lvsdeploy.execute.host import Host
from lvsdeploy.execute.interruption import Interruption
from lvsdeploy.plan import live
from lvsdeploy.record import Stamp
from tests.execute.story import (
    ARP_GOES,
    FILE,
    ROUTE,
    ROUTE_GOES,
    SERVER_COMES,
    SERVER_GOES,
    VIP_COMES,
    VIP_GOES,
    VIP_STRAY,
    inventory,
    story_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.plan.change import Change
    from lvsdeploy.ssh import Connector
    from tests.execute.story import Story


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    return story_of(tmp_path, monkeypatch, inventory())


def test_real_servers_then_one_director_after_the_other(story: Story) -> None:
    changed, left, failed = story.tell()
    assert changed == ["web1", "web2", "lvs1", "lvs2"]
    assert (left, failed) == ({}, {})


def test_of_several_masters_the_one_that_holds_fewer_vips_comes_first(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With VRRP groups each director may be MASTER of some VIPs."""
    vips = [ip_address(f"192.0.2.{number}") for number in (50, 51, 52)]
    holders = dict(zip(vips, (("lvs1",), ("lvs1",), ("lvs2",)), strict=True))
    monkeypatch.setattr(live, "holders_of", lambda *_: holders)
    changed, _, _ = story.tell()
    assert changed == ["web1", "web2", "lvs2", "lvs1"]


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


@pytest.mark.parametrize(
    "goes", [VIP_GOES, ARP_GOES, ROUTE_GOES], ids=["VIP", "what hides it", "the way back of replies"]
)
def test_a_vip_goes_from_real_servers_after_the_directors(story: Story, goes: Change) -> None:
    story.plans["web1"] = (FILE, goes)
    assert story.tell()[0] == ["web2", "lvs1", "lvs2", "web1"]


@pytest.mark.parametrize("changes", [(VIP_STRAY,), (VIP_COMES,)], ids=["stray", "new"])
def test_a_vip_that_comes_or_never_belonged_there_does_not_wait(
    story: Story, changes: tuple[Change, ...]
) -> None:
    story.plans["web1"] = changes
    assert story.tell()[0] == ["web1", "web2", "lvs1", "lvs2"]


def test_one_vip_for_another_comes_before_the_directors_and_goes_after_them(story: Story) -> None:
    story.plans["web1"] = (VIP_GOES, VIP_COMES)
    changed, left, failed = story.tell()
    assert changed == ["web1", "web2", "lvs1", "lvs2", "web1"]
    assert (left, failed) == ({}, {})
    assert story.done["web1"] == {VIP_GOES, VIP_COMES}


def test_one_vip_for_another_stays_half_way_while_a_director_has_failed(story: Story) -> None:
    story.plans["web1"] = (VIP_GOES, VIP_COMES)
    story.on_change["lvs1"] = Unreachable("lvs1", "gone")
    changed, left, _ = story.tell()
    assert changed == ["web1", "web2", "lvs1"]
    assert story.done["web1"] == {VIP_COMES}
    assert set(left) == {"lvs2", "web1"}
    assert "directors may still send packets there: lvs1, lvs2" in left["web1"]


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


NAT = "nat: {gateway: 10.2.0.1/24, interface: eth1}\n"


def test_a_nat_section_that_no_service_uses_holds_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = story_of(tmp_path, monkeypatch, inventory(more=NAT))
    story.plans["web1"] = (ROUTE,)
    changed, left, _ = story.tell(without=("lvs2", "web2"))
    assert (changed, left) == (["web1", "lvs1"], {})


# --- real servers, none of which stays ----------------------------------------------------------------------

HTTP = "tcp 192.0.2.50:80"


def replacing(story: Story) -> None:
    """A director gets other real servers for all that a service has."""
    story.plans["lvs1"] = (SERVER_COMES, SERVER_GOES)
    story.replaced["lvs1"] = (HTTP,)


def test_new_real_servers_come_beside_the_old_ones_first(story: Story) -> None:
    replacing(story)
    story.on_change["lvs1"] = lambda: story.replaced.pop("lvs1", None)  # the first health check passes
    changed, left, failed = story.tell()
    assert changed == ["web1", "web2", "lvs1", "lvs1", "lvs2"]
    assert story.made["lvs1"] == [(SERVER_COMES,), (SERVER_GOES,)]
    assert (left, failed) == ({}, {})


def test_old_real_servers_stay_while_no_new_one_passes_its_health_check(story: Story) -> None:
    replacing(story)
    changed, left, failed = story.tell()
    assert changed == ["web1", "web2", "lvs1"]
    assert story.made["lvs1"] == [(SERVER_COMES,)]
    assert failed == {
        "lvs1": f"no new real server of {HTTP} passes its health check; the old ones stay beside them"
    }
    assert set(left) == {"lvs2"}


def test_old_real_servers_stay_where_new_ones_could_not_be_added(story: Story) -> None:
    replacing(story)
    story.on_change["lvs1"] = Unreachable("lvs1", "gone")
    changed, _, failed = story.tell()
    assert changed == ["web1", "web2", "lvs1"]
    assert failed == {"lvs1": "gone"}


def test_who_removes_all_replaces_nobody(story: Story) -> None:
    replacing(story)
    assert story.tell(aim=Remove())[2] == {}
    assert story.made["lvs1"] == [(SERVER_COMES, SERVER_GOES)]


# --- destroy ------------------------------------------------------------------------------------------------


def test_to_remove_is_directors_first(story: Story) -> None:
    """Every host loses what it has; only when no director sends packets any more do the VIPs go."""
    for name in ("web1", "web2"):
        story.plans[name] = (FILE, VIP_GOES)
    assert story.tell(aim=Remove())[0] == ["lvs1", "lvs2", "web1", "web2"]


def test_to_remove_stops_before_real_servers_when_a_director_fails(story: Story) -> None:
    for name in ("web1", "web2"):
        story.plans[name] = (FILE, VIP_GOES)
    story.on_change["lvs2"] = Unreachable("lvs2", "gone")
    changed, left, _ = story.tell(aim=Remove())
    assert changed == ["lvs1", "lvs2"]
    assert set(left) == {"web1", "web2"}


# --- the lease of a cluster ---------------------------------------------------------------------------------

STAMP = Stamp("20261123T120000Z-0001", "2026-11-23T12:00:00Z", "ann@desk")


class Lease:
    """What holds a lease, as far as a session knows it."""

    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        self.released = True


class Leases:
    """Answers of hosts that are asked for the lease, in order: an owner, an error, None when given."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str | Exception | None]]
    ) -> None:
        self.asked: list[str] = []
        self.given: list[Lease] = []
        self._answers = answers
        monkeypatch.setattr(Host, "lease", lambda host, _connector, stamp: self._answer(host, stamp))
        monkeypatch.setattr(cluster_module, "LEASE_PAUSE", 0.01)

    def _answer(self, host: Host, stamp: Stamp) -> tuple[Lease | None, str]:
        assert stamp is STAMP
        self.asked.append(host.name)
        answers = self._answers.get(host.name, [None])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return None, answer
        self.given.append(Lease())
        return self.given[-1], ""


def session_of(story: Story) -> Session:
    return Session(
        story.cluster,
        cast("Connector", None),
        hosts=story.cluster.hosts(),
        options=Options(stamp=STAMP),
        progress=story.progress.append,
    )


def test_the_lease_is_on_the_first_director_and_ends_with_the_session(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(monkeypatch, {})
    with session_of(story) as session:
        session.lock()
        assert [lease.released for lease in leases.given] == [False]
    assert leases.asked == ["lvs1"]
    assert leases.given[0].released


def test_the_lease_is_on_the_next_one_when_the_first_director_cannot_be_asked(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    off, odd = Unreachable("lvs1", "no answer"), HostError("lvs2", "a command ended early")
    leases = Leases(monkeypatch, {"lvs1": [off], "lvs2": [odd]})
    with session_of(story) as session:
        session.lock()
    assert leases.asked == ["lvs1", "lvs2", "web1"]
    assert len(leases.given) == 1


def test_without_any_host_that_answers_the_reading_tells(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = Unreachable("x", "no answer")
    leases = Leases(monkeypatch, {name: [off] for name in ("lvs1", "lvs2", "web1", "web2")})
    with session_of(story) as session:
        session.lock(60)
    assert leases.asked == ["lvs1", "lvs2", "web1", "web2"], "and nobody waits"
    assert leases.given == []


def test_a_lease_that_somebody_has_is_refused_with_his_name(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(monkeypatch, {"lvs1": ["bob@desk, apply since 2026-11-23T11:59:00Z"]})
    with session_of(story) as session, pytest.raises(LvsdeployError) as refused:
        session.lock()
    assert str(refused.value) == (
        "lvs1: the cluster is being changed by bob@desk, apply since 2026-11-23T11:59:00Z"
    )
    assert "--lock-timeout" in refused.value.hint
    assert "Nothing was changed." in refused.value.hint
    assert leases.asked == ["lvs1"], "nobody takes another host's lease instead"


def test_a_lease_is_waited_for(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = Leases(monkeypatch, {"lvs1": ["bob@desk, apply", "bob@desk, apply", None]})
    with session_of(story) as session:
        session.lock(60)
    assert leases.asked == ["lvs1"] * 3
    assert story.progress == ["lvs1: waiting for bob@desk, apply"], "told once"


def test_a_lease_is_not_waited_for_longer_than_was_asked(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(monkeypatch, {"lvs1": ["bob@desk, apply"]})
    with session_of(story) as session, pytest.raises(LvsdeployError, match="being changed by bob@desk"):
        session.lock(0.1)
    assert 2 < len(leases.asked) < 20
