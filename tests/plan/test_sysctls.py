"""Sysctls, compared as the kernel uses them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.model import Ipvs, SyncDaemonOptions, TrackedInterface, Vrrp
from lvsdeploy.plan.bookkeeping import next_record
from lvsdeploy.record import Record, RecordedSysctl
from lvsdeploy.state.sysctl import conf, effective, split
from tests.desired import clusters
from tests.plan.hosts import (
    FACTS,
    changed,
    codes,
    converged,
    given_up,
    plan,
    remembering,
    steps,
    told,
    untouched,
    without,
)

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context


@pytest.mark.parametrize(
    ("name", "everywhere", "own", "expected"),
    [
        ("arp_ignore", 0, 0, 0),
        ("arp_ignore", 1, 0, 1),
        ("arp_ignore", 0, 1, 1),
        ("arp_ignore", 1, 2, 2),
        ("arp_announce", 2, 1, 2),
        ("rp_filter", 2, 1, 2),
        ("rp_filter", 0, 1, 1),
        ("send_redirects", 1, 0, 1),
        ("send_redirects", 0, 1, 1),
        ("send_redirects", 0, 0, 0),
        ("forwarding", 1, 0, 0),
        ("accept_local", 1, 0, 0),
    ],
)
@pytest.mark.parametrize("interface", ["eth0", "eth0.100", "br-lan", "wg0.a.b"])
def test_effective(name: str, everywhere: int, own: int, expected: int, interface: str) -> None:
    sysctls = {conf("all", name): everywhere, conf(interface, name): own}
    assert effective(sysctls, conf(interface, name)) == expected
    assert effective(sysctls, conf("all", name)) == everywhere
    assert split(conf(interface, name)) == (interface, name)


def test_effective_of_other_keys() -> None:
    assert effective({"net.ipv4.ip_forward": 1}, "net.ipv4.ip_forward") == 1
    assert effective({}, "net.ipv4.ip_forward") is None
    assert effective({conf("all", "arp_ignore"): 1}, conf("eth0", "arp_ignore")) is None
    assert effective({conf("eth0", "arp_ignore"): 1}, conf("eth0", "arp_ignore")) == 1
    templates = {conf("all", "arp_ignore"): 1, conf("default", "arp_ignore"): 0}
    assert effective(templates, conf("default", "arp_ignore")) == 0
    assert split("net.ipv4.ip_forward") is None
    assert split("net.ipv6.conf.eth0.1.forwarding") == ("eth0.1", "forwarding")
    # the kernel combines nothing in IPv6
    sixth = {conf("all", "arp_ignore", 6): 1, conf("eth0", "arp_ignore", 6): 0}
    assert effective(sixth, conf("eth0", "arp_ignore", 6)) == 0


def host(name: str, **values: int) -> Context:
    """`values` are sysctls as `INTERFACE__NAME`."""
    cluster = clusters.smallest() if name == "web1" else clusters.nat_checked_only()
    context = converged(cluster, name)
    names = [key.replace("eth0_100", "eth0.100").partition("__") for key in values]
    keys = dict(zip((conf(interface, name) for interface, _, name in names), values.values(), strict=True))
    assert keys.keys() <= context.actual.sysctls.keys()
    return changed(context, sysctls={**context.actual.sysctls, **keys})


ALL = "net.ipv4.conf.all"
PROC = "/proc/sys/net/ipv4/conf"


@pytest.mark.parametrize(
    ("name", "values", "lines", "words"),
    [
        ("web1", {"all__arp_ignore": 1, "eth0__arp_ignore": 0}, [], []),
        (
            "web1",
            {"all__arp_ignore": 0, "eth0__arp_ignore": 0},
            [f"update sysctl {ALL}.arp_ignore [changed on the host]: is 0, declared 1"],
            [f"sysctl_set {PROC}/all/arp_ignore 1"],
        ),
        (
            "web1",
            {"all__arp_ignore": 0, "eth0__arp_ignore": 1},
            [f"update sysctl {ALL}.arp_ignore [changed on the host]: is 0, declared 1"],
            [f"sysctl_set {PROC}/all/arp_ignore 1"],
        ),
        (
            "web1",
            {"eth0__arp_ignore": 8},
            [
                (
                    "update sysctl net.ipv4.conf.eth0.arp_ignore [changed on the host]: "
                    "takes effect as 8 (conf.all 1, conf.eth0 8), declared 1"
                )
            ],
            [f"sysctl_set {PROC}/eth0/arp_ignore 1"],
        ),
        ("web1", {"eth1__arp_ignore": 8, "lo__arp_ignore": 2}, [], []),
        (
            "lvs1",
            {"all__send_redirects": 1, "eth0_100__send_redirects": 0, "eth1__send_redirects": 0},
            [f"update sysctl {ALL}.send_redirects [changed on the host]: is 1, declared 0"],
            [f"sysctl_set {PROC}/all/send_redirects 0"],
        ),
        (
            "lvs1",
            {"eth0_100__send_redirects": 1},
            [
                (
                    "update sysctl net.ipv4.conf.eth0.100.send_redirects [changed on the host]: "
                    "takes effect as 1 (conf.all 0, conf.eth0.100 1), declared 0"
                )
            ],
            [f"sysctl_set {PROC}/eth0.100/send_redirects 0"],
        ),
    ],
)
def test_drift(name: str, values: dict[str, int], lines: list[str], words: list[str]) -> None:
    context = host(name, **values)
    assert told(context) == lines
    assert steps(context) == words


def test_forwarding() -> None:
    context = host("lvs1")
    context = changed(context, sysctls={**context.actual.sysctls, "net.ipv4.ip_forward": 0})
    assert told(context) == ["update sysctl net.ipv4.ip_forward [changed on the host]: is 0, declared 1"]
    assert steps(context) == ["sysctl_set /proc/sys/net/ipv4/ip_forward 1"]


def test_a_value_that_was_not_recorded_is_declared_anew() -> None:
    context = host("web1", all__arp_ignore=0)
    recorded = {**context.record.sysctls, f"{ALL}.arp_ignore": RecordedSysctl(0)}
    assert "[changed in the inventory]" in told(remembering(context, sysctls=recorded))[0]


def test_an_interface_that_is_not_there() -> None:
    context = host("lvs1")
    keys = [key for key in context.actual.sysctls if ".eth1." in key]
    context = replace(
        changed(context, sysctls=without(context.actual.sysctls, *keys)),
        facts=replace(FACTS, links={"lo": True, "eth0.100": True, "eth0": False}),
    )
    assert told(context) == []
    (finding,) = plan(context).findings
    assert (finding.code, finding.is_error) == ("LVS506", True)
    assert finding.summary == "the host has no interface eth1; it has eth0, eth0.100"


@pytest.mark.parametrize(
    ("lost", "what"),
    [
        ("eth0", {}),
        ("eth5", {"vips": (replace(clusters.vip("192.0.2.50/32"), interface="eth5"),)}),
        ("eth6", {"vrrp": Vrrp(track_interfaces=(TrackedInterface("eth0"), TrackedInterface("eth6", -60)))}),
        ("eth7", {"vrrp": Vrrp(sync_daemon=SyncDaemonOptions("eth7", 51))}),
    ],
)
def test_an_interface_of_a_director_that_is_not_there(lost: str, what: dict[str, Any]) -> None:
    """Whatever part of the inventory names it; it is told once, and of nobody but the directors."""
    cluster = replace(clusters.smallest(), **what)
    there = {"lo": True, "eth0": True, "eth1": True}
    facts = replace(FACTS, links={name: True for name in there if name != lost})
    (finding,) = plan(converged(cluster, "lvs1", facts)).findings
    assert (finding.code, finding.host) == ("LVS506", "lvs1")
    assert finding.summary.startswith(f"the host has no interface {lost}; it has eth")
    whole = replace(FACTS, links={**there, lost: True})
    assert codes(converged(cluster, "lvs1", whole)) == []


@pytest.mark.parametrize("name", ["drop_entry", "drop_packet", "secure_tcp"])
def test_defences_that_the_kernel_switches_by_itself(name: str) -> None:
    """It writes 2 while memory is short and 1 when it is not: neither is drift of the other."""
    key = f"net.ipv4.vs.{name}"

    def drift(declared: int, now: int) -> list[str]:
        cluster = replace(clusters.smallest(), ipvs=Ipvs(sysctls=((name, declared),)))
        context = converged(cluster, "lvs1")
        return steps(changed(context, sysctls={**context.actual.sysctls, key: now}))

    path = f"/proc/sys/net/ipv4/vs/{name}"
    same = {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 3)}
    for declared, now in product(range(4), repeat=2):
        found = drift(declared, now)
        assert found == ([] if (declared, now) in same else [f"sysctl_set {path} {declared}"])


def test_a_sysctl_that_could_not_be_read() -> None:
    context = host("lvs1")
    keys = ("net.ipv4.ip_forward", conf("all", "send_redirects"), conf("eth1", "send_redirects"))
    context = changed(context, sysctls=without(context.actual.sysctls, *keys))
    assert told(context) == []
    assert codes(context) == ["LVS504"] * 3
    assert [f.summary for f in plan(context).findings] == [f"sysctl {key} could not be read" for key in keys]


# --- left over ----------------------------------------------------------------------------------------------

KEY = f"{ALL}.arp_ignore"


def left_over(now: int, before: int | None) -> list[str]:
    """What happens to a value of ours (1) that nothing declares any more."""
    context = given_up(host("web1", all__arp_ignore=now))
    context = remembering(context, sysctls={KEY: RecordedSysctl(1, before)})
    return [words for words in steps(context) if "sysctl_set" in words]


@pytest.mark.parametrize("before", [0, 2, 8, -1])
def test_the_value_before_ours_comes_back(before: int) -> None:
    assert left_over(1, before) == [f"sysctl_set {PROC}/all/arp_ignore {before}"]


@pytest.mark.parametrize(("now", "before"), [(1, 1), (1, None), (0, 0), (2, 0), (8, 1)], ids=str)
def test_a_value_that_is_not_ours_is_left_alone(now: int, before: int | None) -> None:
    """It was like that, nothing tells what was, or somebody has set another since."""
    assert left_over(now, before) == []


def test_a_key_that_is_gone_is_left_alone() -> None:
    context = given_up(host("web1"))
    context = changed(context, sysctls=without(context.actual.sysctls, KEY))
    assert not [words for words in steps(context) if "all/arp_ignore" in words]


def test_a_sysctl_that_another_cluster_needs_stays() -> None:
    context = given_up(host("web1"))
    words = f"sysctl_set {PROC}/all/arp_ignore 0"
    assert words in steps(context)
    other = Record(path="x", cluster="blog", sysctls={KEY: RecordedSysctl(1, 0)})
    assert words not in steps(replace(context, others=(other,)))
    assert f"sysctl_set {PROC}/all/arp_announce 0" in steps(replace(context, others=(other,)))


def test_what_another_cluster_found_is_what_was_before() -> None:
    other = Record(path="x", cluster="blog", sysctls={KEY: RecordedSysctl(1, 8)})
    context = untouched(clusters.smallest(), "web1")
    context = changed(context, sysctls={**context.actual.sysctls, KEY: 1})
    assert next_record(context).sysctls[KEY] == RecordedSysctl(1, 1)
    assert next_record(replace(context, others=(other,))).sysctls[KEY] == RecordedSysctl(1, 8)


def test_an_interface_s_own_value_comes_back_too() -> None:
    context = given_up(host("lvs1", eth1__send_redirects=0))
    assert f"sysctl_set {PROC}/eth1/send_redirects 1" in steps(context)
    assert "sysctl_set /proc/sys/net/ipv4/ip_forward 0" in steps(context)
