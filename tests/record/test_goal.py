"""Goals as they are kept on hosts: they come back as they were, and nothing else is believed."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsdeploy.desired import desired_goal, render_all
from lvsdeploy.inventory.model import Protocol
from lvsdeploy.record import Drained, Goal, dump_goal, load_goal
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import (
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
)
from lvsdeploy.state.netfilter import ClampMss, Firewall, Mark, Masquerade, Ruleset
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.unit import Unit
from tests.desired import clusters
from tests.record import hostile, made_up

SETTINGS = settings(derandomize=True, max_examples=150, deadline=None)
KEY = ServiceKey(None, "", 0, 7, 6)
FULL = Goal(
    HostState(
        programs=frozenset({"ip"}),
        files={made_up.PATHS[0]: File(made_up.PATHS[0], b"\xff\x00", 0o600, secret=True)},
        sysctls={"net.ipv4.ip_forward": 1},
        addresses=frozenset({Address("lo", ip_interface("192.0.2.50/32"))}),
        routes=(Route(None, "ppp0", 5),),
        units={"keepalived": Unit("keepalived", enabled=True, active=False)},
        virtual_services={
            KEY: VirtualService(
                KEY,
                "sh",
                ("sh-port",),
                300,
                "255.0.0.0",
                True,
                (
                    TableDestination(
                        "192.0.2.11",
                        80,
                        Forwarding.TUN,
                        0,
                        100,
                        75,
                        Tunnel(TunnelKind.GUE, 6080, Checksum.CSUM),
                    ),
                ),
                "sip",
            )
        },
        netfilter=Ruleset.of(
            Firewall.IPTABLES,
            [
                Mark(ip_address("192.0.2.50"), Protocol.TCP, ((80, 80), (90, 95)), 7),
                Masquerade(ip_address("192.0.2.51"), ip_network("10.2.0.0/24")),
                ClampMss(ip_address("2001:db8::50"), 1400),
            ],
        ),
    ),
    {"web1": "192.0.2.11"},
    (Drained("web1", "http", "2026-11-23T15:06:34Z", "ann@desk"),),
    route_is_managed=False,
)
GOOD = json.loads(dump_goal(FULL))


@SETTINGS
@given(made_up.goals())
def test_what_was_kept_comes_back(goal: Goal) -> None:
    assert load_goal(dump_goal(goal)) == goal
    assert dump_goal(load_goal(dump_goal(goal))) == dump_goal(goal)


@pytest.mark.parametrize("name", clusters.CASES)
def test_every_host_s_goal_comes_back(name: str) -> None:
    cluster = clusters.CASES[name]()
    for host in render_all(cluster):
        goal = desired_goal(
            cluster, host, Facts(), drained=[Drained("web1"), Drained("db1", "api", "t", "b")]
        )
        assert load_goal(dump_goal(goal)) == goal


def test_nothing_is_a_goal_too() -> None:
    assert load_goal(dump_goal(Goal())) == Goal()


def test_secrets_are_there_and_nothing_shows_them() -> None:
    text = dump_goal(FULL).decode("ascii")
    assert base64.b64encode(b"\xff\x00").decode() in text
    assert load_goal(text.encode()).state.files[made_up.PATHS[0]].secret


# --- what is not believed -----------------------------------------------------------------------------------

UNREADABLE: dict[str, Any] = {
    "empty": b"",
    "no JSON": b"{",
    "cut off": dump_goal(FULL)[:-3],
    "no UTF-8": b"\xff\xfe{}",
    "a list": [],
    "null": None,
    "nothing in it": {},
    "deep": b"[" * 100_000,
    "a huge number": b'{"format": 1, "sysctls": {"a": ' + b"9" * 5000 + b"}}",
    "another version's": {**GOOD, "format": 2},
    "an address of the loopback": {**GOOD, "addresses": ["127.0.0.1/8 lo"]},
    "an address of a link": {**GOOD, "addresses": ["fe80::1/64 eth0"]},
    "content is no base64": hostile.with_value(GOOD, ("files", 0, "content"), "=x="),
    "a mode with setuid": hostile.with_value(GOOD, ("files", 0, "mode"), 0o4755),
    "a negative mode": hostile.with_value(GOOD, ("files", 0, "mode"), -1),
    "an owner with a blank": hostile.with_value(GOOD, ("files", 0, "owner"), "root:root x"),
    "an owner that is an option": hostile.with_value(GOOD, ("files", 0, "owner"), "--reference=/x:y"),
    "a package that is an option": {**GOOD, "programs": ["--download-only"]},
    "a service of others": {**GOOD, "units": [["ssh", False, False]]},
    "a sysctl of others": {**GOOD, "sysctls": {"kernel.panic": 1}},
    "a sysctl with a slash": {**GOOD, "sysctls": {"net.ipv4.a/b": 1}},
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_used_is_refused_with_a_reason(case: str) -> None:
    content = UNREADABLE[case]
    with pytest.raises(ValueError, match=r"."):
        load_goal(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/root/.ssh/authorized_keys",
        "/etc/lvsdeploy/shop/../../passwd",
        "/etc/lvsdeploy/shop/x",
        "/etc/systemd/system/ssh.service",
        "/etc/init.d/lvsdeploy-shop\n",
        "/var/lib/lvsdeploy/shop/manifest.json",
    ],
)
def test_files_that_lvsdeploy_never_writes(path: str) -> None:
    with pytest.raises(ValueError, match="not what lvsdeploy writes there"):
        load_goal(json.dumps(hostile.with_value(GOOD, ("files", 0, "path"), path)).encode())


def test_a_goal_of_the_first_version() -> None:
    """It knew neither the family of a mark, nor tunnels, nor thresholds."""
    first = hostile.with_value(GOOD, ("table", 0, "key"), [None, "", 0, 7])
    first = hostile.with_value(first, ("table", 0, "destinations"), [["192.0.2.11", 80, "-i", 3]])
    first = hostile.without(first, ("table", 0, "engine"))
    (service,) = (load_goal(json.dumps(first).encode()).state.virtual_services or {}).values()
    assert service.key == ServiceKey(None, "", 0, 7, 4)
    assert service.destinations == (TableDestination("192.0.2.11", 80, Forwarding.TUN, 3, 0, 0, Tunnel()),)
    assert service.engine == ""


def read_or_refused(data: object) -> None:
    """A goal that is read is one that could have been kept."""
    try:
        goal = load_goal(json.dumps(data).encode())
    except ValueError:
        return
    assert load_goal(dump_goal(goal)) == goal


@pytest.mark.parametrize("wrong", hostile.WRONG, ids=repr)
def test_one_wrong_value_anywhere(wrong: object) -> None:
    for where in hostile.places(GOOD):
        read_or_refused(hostile.with_value(GOOD, where, wrong))


def test_one_part_missing_anywhere() -> None:
    for where in hostile.places(GOOD):
        read_or_refused(hostile.without(GOOD, where))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
@SETTINGS
def test_any_json_is_read_or_refused(data: object) -> None:
    for value in (data, *({**GOOD, part: data} for part in GOOD)):
        read_or_refused(value)
