"""Real servers in waves: how many at a time, and what stops the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.diagnostics import Finding, Severity
from lvsdeploy.errors import Unreachable, UsageError
from lvsdeploy.execute import cluster
from lvsdeploy.execute.health import LONGEST, check_time, failing
from lvsdeploy.execute.waves import Serial, serial
from lvsdeploy.inventory import load
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import HostPlan, Plan, Role
from tests.execute.story import VIP_GOES, inventory, story_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.execute.story import Story

FIVE = ("web1", "web2", "web3", "web4", "web5")
NOT_READY = "not changed: not every real server is ready: "


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    return story_of(tmp_path, monkeypatch, inventory(5))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses in which health checks get time, none of them real."""
    found: list[float] = []
    monkeypatch.setattr(cluster.Session, "_pause", lambda _session, seconds: found.append(seconds))
    return found


# --- how many -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count", "sizes"),
    [
        ("1", 3, [1, 1, 1]),
        ("2", 5, [2, 2, 1]),
        ("9", 5, [5]),
        (" 2 ", 2, [2]),
        ("100%", 5, [5]),
        ("50%", 5, [2, 2, 1]),
        ("34%", 3, [1, 1, 1]),
        ("1%", 3, [1, 1, 1]),
        ("999999", 1, [1]),
    ],
)
def test_sizes(text: str, count: int, sizes: list[int]) -> None:
    assert [len(wave) for wave in serial(text).waves(range(count))] == sizes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0%",
        "-1",
        "101%",
        "1.5",
        "2 %",
        "%",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "1e3",
        "two",
        "1\n2",
        "1000000",
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        serial(text)
    assert refused.value.hint == "Say 2, or 25%."


@given(st.integers(1, 200), st.booleans(), st.integers(0, 300))
def test_every_host_is_in_one_wave_in_order(number: int, percent: bool, count: int) -> None:  # noqa: FBT001
    size = Serial(min(number, 100), percent=True) if percent else Serial(number)
    waves = list(size.waves(range(count)))
    assert [host for wave in waves for host in wave] == list(range(count))
    assert all(waves)
    if percent:
        assert all(len(wave) <= max(1, count * size.number / 100) for wave in waves)


# --- one wave after the other -------------------------------------------------------------------------------


def test_waves_of_two_then_the_directors(story: Story) -> None:
    for name in FIVE:
        story.on_change[name] = lambda: time.sleep(0.02)
    changed, left, failed = story.tell(parallel=8, serial=Serial(2))
    assert [set(changed[:2]), set(changed[2:4])] == [{"web1", "web2"}, {"web3", "web4"}]
    assert changed[4:] == ["web5", "lvs1", "lvs2"]
    assert story.most_at_work == 2
    assert (left, failed) == ({}, {})
    assert [line for line in story.progress if "wave" in line] == [
        "wave 1 of 3: web1, web2",
        "wave 2 of 3: web3, web4",
        "wave 3 of 3: web5",
    ]


def test_without_waves_all_at_once(story: Story) -> None:
    for name in FIVE:
        story.on_change[name] = lambda: time.sleep(0.05)
    story.tell(parallel=8)
    assert story.most_at_work == 5
    assert not any("wave" in line for line in story.progress)


def test_a_percentage_is_of_those_that_change(story: Story) -> None:
    story.plans["web1"] = ()
    story.tell(serial=Serial(50, percent=True))
    assert [line for line in story.progress if "wave" in line] == [
        "wave 1 of 2: web2, web3",
        "wave 2 of 2: web4, web5",
    ]


def test_a_wave_that_fails_stops_the_rest_and_every_host_says_why(story: Story) -> None:
    story.on_change["web2"] = Unreachable("web2", "gone")
    changed, left, failed = story.tell(serial=Serial(2))
    assert changed == ["web1", "web2"]
    assert failed == {"web2": "gone"}
    assert {left[name] for name in ("web3", "web4", "web5")} == {
        "not changed: the waves before it failed on web2"
    }
    assert all(left[name].startswith(NOT_READY + "web2") for name in ("lvs1", "lvs2"))
    assert set(changed) | set(left) == {host.name for host in story.cluster.hosts()}


@pytest.mark.parametrize(("allowed", "waves"), [(0, 1), (1, 3), (2, 5), (3, 5)])
def test_so_many_may_fail(story: Story, allowed: int, waves: int) -> None:
    for name in ("web1", "web3", "web5"):
        story.on_change[name] = Unreachable(name, "gone")
    changed, left, _ = story.tell(serial=Serial(1), max_failures=allowed)
    assert changed == list(FIVE[:waves])
    assert left.keys() == {*FIVE[waves:], "lvs1", "lvs2"}, "no director follows a real server that failed"


def test_one_that_cannot_be_read_is_in_no_wave_and_stops_the_directors_alone(story: Story) -> None:
    story.on_read["web1"] = Unreachable("web1", "no answer")
    changed, left, _ = story.tell(serial=Serial(2))
    assert changed == list(FIVE[1:])
    assert left.keys() == {"lvs1", "lvs2"}


def test_one_that_is_refused_counts_as_failed(story: Story) -> None:
    story.findings["web1"] = (Finding("LVS521", Severity.ERROR, "somebody's file", host="web1"),)
    changed, left, _ = story.tell(serial=Serial(1))
    assert changed == []
    assert left["web1"] == "not changed: its findings refuse the change"
    assert left["web2"] == "not changed: the waves before it failed on web1"


def test_vips_go_in_waves_too(story: Story) -> None:
    for name in FIVE:
        story.plans[name] = (VIP_GOES,)
    story.on_change["web2"] = Unreachable("web2", "gone")
    changed, left, _ = story.tell(serial=Serial(1))
    assert changed == ["lvs1", "lvs2", "web1", "web2"]
    assert left.keys() == {"web3", "web4", "web5"}


# --- what the health checks say -----------------------------------------------------------------------------


def ill(story: Story, director: str, *real_servers: str) -> None:
    story.findings[director] = tuple(
        codes.CHECK_FAILS.finding(f"http: {name} is out", host=director) for name in real_servers
    )


def then(*events: Callable[[], object]) -> Callable[[], object]:
    """One event after the other, each time that it happens; the last one again and again."""
    left = list(events)

    def happens() -> None:
        (left.pop(0) if len(left) > 1 else left[0])()

    return happens


def test_a_health_check_that_fails_after_a_wave_stops_the_rest(story: Story, pauses: list[float]) -> None:
    story.on_change["web2"] = lambda: ill(story, "lvs2", "web2")
    changed, left, failed = story.tell(serial=Serial(2))
    assert changed == ["web1", "web2"]
    assert failed == {}
    why = "not changed: after a wave of real servers a health check fails: lvs2: http: web2 is out"
    assert {left[name] for name in ("web3", "web4", "web5")} == {why}
    # The directors would send clients to real servers that were not changed.
    assert left["lvs1"] == left["lvs2"] == why
    assert len(pauses) == 2, "it got time to recover"


def test_a_health_check_that_recovers_stops_nobody(story: Story, pauses: list[float]) -> None:
    story.on_change["web2"] = lambda: ill(story, "lvs1", "web2")
    looks = then(lambda: None, lambda: None, lambda: ill(story, "lvs1"))
    story.on_read["lvs1"] = looks  # the plan; after the wave; and again
    changed, left, _ = story.tell(serial=Serial(2))
    assert changed == [*FIVE, "lvs1", "lvs2"]
    assert left == {}
    assert len(pauses) == 4


def test_what_failed_before_the_first_wave_stops_nobody(story: Story, pauses: list[float]) -> None:
    ill(story, "lvs1", "web4")
    changed, left, _ = story.tell(serial=Serial(2))
    assert changed == [*FIVE, "lvs1", "lvs2"]
    assert left == {}
    assert len(pauses) == 3, "once a wave, the last too: directors come after it"


def test_without_waves_or_directors_nobody_looks_at_health_checks(story: Story, pauses: list[float]) -> None:
    story.tell()
    assert pauses == []
    story.done.clear()
    story.tell(serial=Serial(2), without=("lvs1", "lvs2"))
    assert pauses == []


def test_what_counts_as_a_failing_health_check() -> None:
    fails = codes.CHECK_FAILS.finding("http: web1 is out", host="lvs1")
    unknown = codes.CHECK_UNKNOWN.finding("http: web2 is out", host="lvs1")
    other = Finding("LVS521", Severity.ERROR, "somebody's file", host="lvs1")
    plan = Plan("shop", (HostPlan("lvs1", Role.DIRECTOR, (), (fails, unknown, other)),))
    assert failing(plan) == {"lvs1: http: web1 is out", "lvs1: http: web2 is out"}


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        ("none", 0.0),
        ("{type: tcp, interval: 2, timeout: 3, retries: 0, retry_delay: 1}", 5.0),
        ("{type: tcp, interval: 2, timeout: 3, retries: 2, retry_delay: 1}", 13.0),
        ("{type: tcp, interval: 3600, timeout: 3}", LONGEST),
    ],
)
def test_how_long_a_health_check_takes_to_notice(check: str, seconds: float, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    text = inventory().replace("port: 80,", f"port: 80, health_check: {check},")
    path.write_text(text)
    cluster_: Any = load(path).cluster
    assert check_time(cluster_, ["web1"]) == seconds
    assert check_time(cluster_, []) == 0.0
