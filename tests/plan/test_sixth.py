"""What only IPv6 has, on live hosts; and findings about machines that have both families."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.plan import live
from lvsdeploy.plan.bookkeeping import next_record
from lvsdeploy.record import RecordedRoute
from lvsdeploy.state.sysctl import conf
from tests.desired import clusters
from tests.plan.hosts import (
    changed,
    codes,
    converged,
    declared_anew,
    given_up,
    on,
    plan,
    remembering,
    routes,
    steps,
    told,
)
from tests.plan.test_live import found, states

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context

OURS = "default via 2001:db8:2::1 dev eth0 metric 1 pref medium"
OURS4 = "default via 10.2.0.1 dev eth0"
RA = "default via fe80::1 dev eth0 proto ra metric 1024 expires 1790sec pref medium"
GATEWAY = ip_address("2001:db8:2::1")


def db(*lines: str) -> Context:
    """A NAT real server with these default routes."""
    return changed(converged(clusters.dual_stack(), "db1"), routes=routes(*lines))


# --- default routes of both families ------------------------------------------------------------------------


def test_each_family_has_a_route_of_its_own() -> None:
    assert told(db(OURS, OURS4)) == []
    assert told(db(OURS, OURS4, RA)) == []
    assert steps(db(OURS4)) == ["route_default 2001:db8:2::1"]
    assert steps(db(OURS)) == ["route_default 10.2.0.1"]
    assert steps(db()) == ["route_default 10.2.0.1", "route_default 2001:db8:2::1"]


@pytest.mark.parametrize(
    ("lines", "now"),
    [
        ([RA], "the IPv6 default route is `default via fe80::1 dev eth0`"),
        (
            [RA, OURS.replace("metric 1 ", "metric 1024 ")],
            (
                "the IPv6 default route is `default via fe80::1 dev eth0` and "
                "`default via 2001:db8:2::1 dev eth0`"
            ),
        ),
        ([], "there is no IPv6 default route"),
    ],
)
def test_ipv6_routes_that_bypass_the_director(lines: list[str], now: str) -> None:
    context = db(OURS4, *lines)
    (line,) = told(context)
    assert line.endswith(
        f"[changed on the host]: {now}: replies to clients must go back through the director"
    )
    only_checked = replace(context, goal=replace(context.goal, route_is_managed=False))
    (finding,) = [f for f in plan(only_checked).findings if f.code == "LVS512"]
    assert finding.summary == f"{now}, so replies bypass the director (2001:db8:2::1)"
    assert finding.drift


def test_what_routers_advertise_is_not_what_was_before() -> None:
    """It stays behind ours, and must not come back as a route that lasts for ever."""
    fresh = changed(converged(clusters.dual_stack(), "db1"), routes=routes(RA, OURS4))
    record = next_record(remembering(fresh, routes=()))
    assert record.route_of(6) == RecordedRoute(GATEWAY)
    gone = given_up(db(OURS, RA, OURS4))
    gone = remembering(gone, routes=record.routes)
    assert "route_back 2001:db8:2::1" in steps(gone)
    line = next(line for line in told(gone) if "2001:db8:2::1" in line)
    assert line.endswith("before lvsdeploy there was `default via fe80::1 dev eth0`, which is still there")


def test_a_plain_ipv6_route_is_what_was_before() -> None:
    plain = "default via 2001:db8:2::9 dev eth0 proto static metric 1024 pref medium"
    fresh = changed(converged(clusters.dual_stack(), "db1"), routes=routes(plain, OURS4))
    record = next_record(remembering(fresh, routes=()))
    assert record.route_of(6) == RecordedRoute(GATEWAY, tuple(plain.split()))
    gone = remembering(given_up(db(OURS, plain, OURS4)), routes=record.routes)
    assert f"route_back 2001:db8:2::1 {plain}" in steps(gone)


def test_one_family_is_given_up() -> None:
    """The other keeps its route."""
    cluster = clusters.dual_stack()
    services = tuple(
        replace(s, pools=tuple(pool for pool in s.pools if pool.version == 4)) for s in cluster.services
    )
    context = declared_anew(db(OURS, OURS4), replace(cluster, services=services))
    assert [words for words in steps(context) if "route" in words] == ["route_back 2001:db8:2::1"]
    assert [route.version for route in next_record(context).routes] == [4]


# --- one machine --------------------------------------------------------------------------------------------


def test_another_machine_has_the_address() -> None:
    context = replace(
        converged(clusters.dual_stack(), "web1"), duplicate=frozenset({on("eth0", "2001:db8::11/64")})
    )
    (finding,) = plan(context).findings
    assert (finding.code, finding.host, finding.is_error) == ("LVS537", "web1", True)
    assert finding.summary == "another machine has 2001:db8::11/64 on eth0"


def test_a_director_that_lost_its_ipv6_route() -> None:
    context = converged(clusters.dual_stack(), "lvs1")
    assert codes(context) == ["LVS538"]
    assert codes(changed(context, routes=routes("default via 2001:db8::9 dev eth0 metric 1024"))) == []
    assert codes(converged(clusters.nat_two_directors(), "lvs1")) == []


def test_forwarding_of_ipv6_is_mended_as_any_sysctl() -> None:
    context = converged(clusters.dual_stack(), "lvs1")
    key = conf("all", "forwarding", 6)
    context = changed(context, sysctls={**context.actual.sysctls, key: 0})
    assert told(context) == [f"update sysctl {key} [changed on the host]: is 0, declared 1"]
    assert steps(context) == ["sysctl_set /proc/sys/net/ipv6/conf/all/forwarding 1"]


# --- machines together --------------------------------------------------------------------------------------


def test_both_addresses_of_a_host_are_looked_for() -> None:
    cluster = clusters.dual_stack()
    seen = states(cluster)
    for name in ("web1", "lvs1"):
        addresses = frozenset(a for a in seen[name].addresses if a.address.version == 4)
        seen[name] = replace(seen[name], addresses=addresses | {on("eth0", "2001:db8::99/64")})
    assert found(cluster, seen) == [
        "web1: LVS503 none of its interfaces has the RIP 2001:db8::11",
        "lvs1: LVS503 none of its interfaces has the DIP 2001:db8::2",
    ]


def test_dr_needs_one_network_for_each_family() -> None:
    cluster = clusters.dual_stack()
    seen = states(cluster)
    addresses = {on("eth0", "192.0.2.2/24"), on("eth0", "2001:db8::2/128")}
    seen["lvs1"] = replace(seen["lvs1"], addresses=frozenset(addresses))
    assert found(cluster, seen) == [
        "lvs1: LVS511 real server web1 (2001:db8::11) is in no subnet of this director"
    ]


def test_an_ipv6_address_that_serves_nothing_may_be_anywhere() -> None:
    web = replace(clusters.WEB1, rip6=IPv6Address("2001:db8:77::11"))
    cluster = clusters.cluster(clusters.service("http", {web: 1}), real_servers=(web,))
    assert found(cluster, states(cluster)) == []


def test_both_gateways_move_and_need_an_address_beside_them() -> None:
    cluster = replace(clusters.dual_stack(), directors=(*clusters.dual_stack().directors, clusters.LVS2))
    seen = states(cluster, lvs1="eth1 10.2.0.2/24, eth1 2001:db8:2::2/64", lvs2="eth1 10.2.0.3/24")
    lines = found(cluster, seen)
    assert "lvs2: LVS505 no interface has an address of its own in 2001:db8:2::/64" in lines
    assert not [line for line in lines if "lvs1: LVS505" in line]
    seen["lvs1"] = replace(seen["lvs1"], addresses=seen["lvs1"].addresses | {on("eth1", "2001:db8:2::1/64")})
    assert live.holders_of(cluster, seen)[GATEWAY] == ("lvs1",)


@pytest.mark.parametrize(
    ("host", "interface", "told"),
    [
        ("web1", "lo", "web1: LVS539 IPv6 is switched off on lo"),
        ("web1", "eth0", "web1: LVS539 IPv6 is switched off on eth0"),
        ("web1", "eth1", None),
        ("lvs1", "eth0", "lvs1: LVS539 IPv6 is switched off on eth0"),
        ("lvs1", "eth1", "lvs1: LVS539 IPv6 is switched off on eth1"),
        ("db1", "all", "db1: LVS539 IPv6 is switched off on all"),
        ("db1", "lo", None),
    ],
)
def test_ipv6_is_switched_off(host: str, interface: str, told: str | None) -> None:
    cluster = clusters.dual_stack()
    seen = states(cluster)
    key = conf(interface, "disable_ipv6", 6)
    seen[host] = replace(seen[host], sysctls={**seen[host].sysctls, key: 1})
    assert found(cluster, seen) == ([told] if told else [])


def test_a_kernel_without_ipv6() -> None:
    cluster = clusters.dual_stack()
    seen = states(cluster)
    for name, state in seen.items():
        sysctls = {key: value for key, value in state.sysctls.items() if not key.startswith("net.ipv6.")}
        seen[name] = replace(state, sysctls=sysctls)
    assert [line for line in found(cluster, seen) if "LVS539" in line] == [
        f"{name}: LVS539 the kernel has no IPv6" for name in ("web1", "db1", "lvs1")
    ]
    assert [line for line in found(clusters.smallest(), seen) if "LVS539" in line] == []
