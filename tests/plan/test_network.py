"""VIPs and default routes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.plan.bookkeeping import next_record
from lvsdeploy.plan.change import Phase
from lvsdeploy.record import Record, RecordedRoute
from lvsdeploy.state.network import Route, Rule
from tests.desired import clusters
from tests.plan.hosts import (
    acting,
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
    untouched,
)

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.context import Context

VIP = "192.0.2.50/32"
GATEWAY = ip_address("10.2.0.1")
ROUTER = ip_address("192.0.2.1")


def web(*more: str, without_vip: bool = False) -> Context:
    """A real server; `more` are addresses as `INTERFACE ADDRESS`."""
    context = converged(clusters.smallest(), "web1")
    addresses = context.actual.addresses - ({on("lo", VIP)} if without_vip else set())
    return changed(context, addresses=addresses | {on(*text.split()) for text in more})


def test_a_vip_that_is_gone() -> None:
    context = web(without_vip=True)
    assert told(context) == [f"create address {VIP} on lo [changed on the host]: 192.0.2.50 is not on lo"]
    assert steps(context) == [f"address_add lo {VIP}"]


def test_a_vip_on_a_physical_interface() -> None:
    context = web("eth0 192.0.2.50/24")
    assert told(context) == [
        (
            "delete address 192.0.2.50/24 on eth0 [changed on the host]: the VIP belongs on lo alone: "
            "from here this machine would answer for it"
        )
    ]
    assert steps(context) == ["address_del eth0 192.0.2.50/24"]
    assert acting(context)[0].phase is Phase.WITHDRAW


def test_a_vip_on_the_wrong_interface_alone() -> None:
    context = web("eth0 192.0.2.50/24", without_vip=True)
    assert told(context)[0] == (
        f"create address {VIP} on lo [changed on the host]: 192.0.2.50 is on eth0 and not on lo"
    )
    assert steps(context) == ["address_del eth0 192.0.2.50/24", f"address_add lo {VIP}"]


def test_a_vip_with_another_prefix_makes_its_network_local() -> None:
    context = web("lo 192.0.2.50/24", without_vip=True)
    assert told(context) == [
        f"create address {VIP} on lo [changed on the host]: 192.0.2.50 is on lo as 192.0.2.50/24",
        (
            "delete address 192.0.2.50/24 on lo [changed on the host]: "
            f"the VIP belongs there as {VIP}: with this prefix, 192.0.2.0/24 is local"
        ),
    ]
    assert steps(context) == ["address_del lo 192.0.2.50/24", f"address_add lo {VIP}"]


def test_a_vip_with_two_prefixes() -> None:
    assert steps(web("lo 192.0.2.50/24")) == ["address_del lo 192.0.2.50/24"]


def test_a_vip_that_somebody_put_elsewhere_before_the_first_apply() -> None:
    context = untouched(clusters.smallest(), "web1")
    context = changed(context, addresses=context.actual.addresses | {on("eth0", VIP)})
    assert any(words.startswith(f"delete address {VIP} on eth0 [written by") for words in told(context))
    phases = [step.words[0] for step in acting(context) if step.words[0] in ("address_del", "sysctl_set")]
    assert phases == ["address_del", "sysctl_set", "sysctl_set"]


def test_sysctls_come_before_addresses() -> None:
    words = [step.words[0] for step in plan(untouched(clusters.smallest(), "web1")).steps()]
    assert words.index("sysctl_set") < words.index("address_add") < words.index("unit_start")


def test_other_addresses_are_nobody_s_business() -> None:
    context = web("eth0 192.0.2.200/24", "lo 192.0.2.201/32", "eth0 fe80::1/64", "lo 2001:db8::50/128")
    assert told(context) == []


def test_only_what_is_recorded_is_left_over() -> None:
    anew = clusters.cluster(
        clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 1}, vip=clusters.vip("192.0.2.77/32"))
    )
    context = declared_anew(web("eth0 192.0.2.50/24", "lo 192.0.2.51/32"), anew)
    deleted = [words for words in told(context) if words.startswith("delete address")]
    assert deleted == [f"delete address {VIP} on lo [no longer declared]"]


def test_a_vip_of_ipv6() -> None:
    context = converged(clusters.six(), "web6")
    assert told(context) == []
    vip = on("lo", "2001:db8::50/128")
    context = changed(context, addresses=context.actual.addresses - {vip})
    assert steps(context) == ["address_add lo 2001:db8::50/128"]
    both = changed(context, addresses=context.actual.addresses | {on("eth0", "2001:db8::50/64"), vip})
    assert steps(both) == ["address_del eth0 2001:db8::50/64"]


# --- VIPs that stay for now ---------------------------------------------------------------------------------


def moving(anew: Cluster) -> Context:
    """A real server that gives up its VIP for another, while directors still send packets to the first."""
    return replace(declared_anew(web(), anew), keeps_leaving=True)


def test_a_vip_that_directors_still_use_stays_for_now() -> None:
    anew = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, vip=clusters.vip("192.0.2.77/32")))
    context = moving(anew)
    assert not [words for words in steps(context) if "address_del" in words]
    assert "address_add lo 192.0.2.77/32" in steps(context)
    record = next_record(context)
    assert record.addresses == {on("lo", VIP): False, on("lo", "192.0.2.77/32"): False}
    later = replace(context, keeps_leaving=False, record=record)
    assert "address_del lo 192.0.2.50/32" in steps(later)
    assert next_record(later).addresses == {on("lo", "192.0.2.77/32"): False}


def test_what_hides_a_vip_that_stays_for_now_stays_too() -> None:
    """A VIP of IPv6 needs no sysctls; the one of IPv4 that is still there would answer ARP without them."""
    anew = clusters.cluster(
        clusters.service("http", {clusters.WEB1: 1}, vip=clusters.vip("2001:db8::50/128")),
    )
    context = moving(anew)
    assert context.desired.sysctls == {}
    assert not [words for words in steps(context) if "sysctl_set" in words]
    record = next_record(context)
    assert record.sysctls == context.record.sysctls
    later = steps(replace(context, keeps_leaving=False, record=record))
    gone = later.index("address_del lo 192.0.2.50/32")
    assert gone < later.index("sysctl_set /proc/sys/net/ipv4/conf/all/arp_ignore 0")


# --- default routes -----------------------------------------------------------------------------------------


def db(*routes: Route, managed: bool = True) -> Context:
    if managed:
        return changed(converged(clusters.nat_two_directors(), "db1"), routes=routes)
    return changed(converged(clusters.nat_checked_only(), "db1"), routes=routes)


TO_GATEWAY = Route(GATEWAY, "eth0")
PAST_IT = Route(ROUTER, "eth0")
RIGHT = [
    (TO_GATEWAY,),
    (replace(TO_GATEWAY, metric=100), replace(PAST_IT, metric=200)),
    (TO_GATEWAY, replace(TO_GATEWAY, interface="eth1")),
]
WRONG = [
    ((), "there is no default route"),
    ((PAST_IT,), "the default route is `default via 192.0.2.1 dev eth0`"),
    (
        (PAST_IT, replace(TO_GATEWAY, metric=100)),
        "the default route is `default via 192.0.2.1 dev eth0`",
    ),
    ((Route(None, "ppp0"),), "the default route is `default dev ppp0`"),
    (
        (TO_GATEWAY, PAST_IT),
        "the default route is `default via 10.2.0.1 dev eth0` and `default via 192.0.2.1 dev eth0`",
    ),
]


@pytest.mark.parametrize("now", RIGHT)
def test_routes_through_the_director(now: tuple[Route, ...]) -> None:
    assert told(db(*now)) == []
    assert (told(db(*now, managed=False)), codes(db(*now, managed=False))) == ([], [])


@pytest.mark.parametrize(("routes", "now"), WRONG)
def test_routes_that_bypass_the_director_are_mended(routes: tuple[Route, ...], now: str) -> None:
    context = db(*routes)
    action = "update" if routes else "create"
    assert told(context) == [
        (
            f"{action} route default via 10.2.0.1 [changed on the host]: "
            f"{now}: replies to clients must go back through the director"
        )
    ]
    assert steps(context) == ["route_default 10.2.0.1"]
    assert codes(context) == []


@pytest.mark.parametrize(("routes", "now"), WRONG)
def test_routes_that_are_only_checked(routes: tuple[Route, ...], now: str) -> None:
    context = db(*routes, managed=False)
    assert told(context) == []
    (finding,) = plan(context).findings
    assert (finding.code, finding.drift, finding.host) == ("LVS512", True, "db1")
    assert finding.summary == f"{now}, so replies bypass the director (10.2.0.1)"
    assert not plan(context).as_declared
    assert not plan(context).refused


RIP, MAIN = Rule(ip_network("10.2.0.21"), "100"), Rule(None, "main")


@pytest.mark.parametrize(
    ("rules", "table", "right"),
    [
        ((RIP, MAIN), TO_GATEWAY, True),
        ((replace(MAIN, passes_default=True), RIP, MAIN), TO_GATEWAY, True),
        ((Rule(ip_network("10.2.0.0/24"), "100"), MAIN), TO_GATEWAY, True),
        ((MAIN, RIP), TO_GATEWAY, False),
        ((RIP, MAIN), replace(PAST_IT, metric=7), False),
        ((Rule(ip_network("10.2.0.22"), "100"), MAIN), TO_GATEWAY, False),
        ((replace(RIP, table="101"), MAIN), TO_GATEWAY, False),
        ((replace(RIP, passes_default=True), MAIN), TO_GATEWAY, False),
        ((), TO_GATEWAY, False),
    ],
)
def test_rules_that_lead_what_comes_from_the_rip(rules: tuple[Rule, ...], table: Route, right: bool) -> None:  # noqa: FBT001
    """A real server in DR and NAT needs two default routes. Ours to set is that of the main table alone."""
    policy = {4: rules} if rules else {}
    context = changed(db(PAST_IT, managed=False), rules=policy, tables={"100": (table,)})
    context = replace(context, rips=(ip_address("10.2.0.21"),))
    said = "the default route is `default via 192.0.2.1 dev eth0`, so replies bypass the director (10.2.0.1)"
    assert [f.summary for f in plan(context).findings] == ([] if right else [said])
    assert plan(context).as_declared is right
    ours = replace(db(PAST_IT), rips=context.rips)
    assert steps(changed(ours, rules=policy, tables={"100": (table,)})) == ["route_default 10.2.0.1"]


def test_reasons_of_a_route() -> None:
    fresh = untouched(clusters.nat_two_directors(), "db1")
    assert "[not there yet]" in next(words for words in told(fresh) if "route" in words.split()[:2])
    nat = replace(clusters.INSIDE, gateway=ip_interface("10.2.0.254/24"), configure_gateway=True)
    anew = declared_anew(db(TO_GATEWAY), replace(clusters.nat_two_directors(), nat=nat))
    assert any(words.startswith("update route default via 10.2.0.254 [changed in") for words in told(anew))


def test_dr_real_servers_keep_their_route() -> None:
    assert told(changed(web(), routes=())) == []


# --- default routes that were ours --------------------------------------------------------------------------

PLAIN = ("default", "via", "192.0.2.1", "dev", "eth0", "proto", "static")
OURS = "default via 10.2.0.1 dev eth0"


def no_longer(before: tuple[str, ...], *now: str) -> Context:
    """A NAT real server whose route is no longer ours to set; `before` is what was there before us."""
    context = given_up(changed(db(), routes=routes(*now)))
    return remembering(context, routes=(RecordedRoute(GATEWAY, before),))


@pytest.mark.parametrize(
    ("before", "now", "line", "words"),
    [
        (
            PLAIN,
            [OURS],
            (
                "update route default via 10.2.0.1 dev eth0 [no longer declared]: "
                "before lvsdeploy there was `default via 192.0.2.1 dev eth0 proto static`"
            ),
            "route_back 10.2.0.1 default via 192.0.2.1 dev eth0 proto static",
        ),
        (
            (),
            [OURS],
            f"delete route {OURS} [no longer declared]: before lvsdeploy there was none",
            "route_back 10.2.0.1",
        ),
        (
            ("default", "via", "192.0.2.1", "dev", "eth0", "metric", "100"),
            [OURS, "default via 192.0.2.1 dev eth0 metric 100"],
            (
                "update route default via 10.2.0.1 dev eth0 [no longer declared]: "
                "before lvsdeploy there was `default via 192.0.2.1 dev eth0 metric 100`"
            ),
            "route_back 10.2.0.1 default via 192.0.2.1 dev eth0 metric 100",
        ),
    ],
)
def test_the_route_before_ours_comes_back(
    before: tuple[str, ...], now: list[str], line: str, words: str
) -> None:
    context = no_longer(before, *now)
    assert line in told(context)
    assert words in steps(context)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (tuple(OURS.split()), [OURS]),
        (PLAIN, ["default via 192.0.2.77 dev eth0"]),
        (PLAIN, []),
        ((), []),
        (PLAIN, [OURS, "default via 192.0.2.1 dev eth1"]),
    ],
    ids=["it was like that", "somebody set another", "somebody removed it", "none, and none", "two ways"],
)
def test_a_route_that_is_not_ours_is_left_alone(before: tuple[str, ...], now: list[str]) -> None:
    assert not [words for words in told(no_longer(before, *now)) if " route " in words]


def test_a_route_whose_words_are_not_known_goes_all_the_same() -> None:
    context = changed(no_longer(()), routes=(Route(GATEWAY, "eth0"),))
    assert "route_back 10.2.0.1" in steps(context)


def test_a_route_that_directors_still_need_stays_for_now() -> None:
    """Directors follow later, and NAT's replies go back through them until then."""
    context = no_longer(PLAIN, OURS)
    for_now = replace(context, keeps_leaving=True)
    assert not [words for words in told(for_now) if " route " in words]
    record = next_record(for_now)
    assert record.routes == (RecordedRoute(GATEWAY, PLAIN),), "or nobody would know what was before"
    later = replace(for_now, keeps_leaving=False, record=record)
    assert "route_back 10.2.0.1 default via 192.0.2.1 dev eth0 proto static" in steps(later)
    assert next_record(later).routes == ()


def test_a_route_that_another_cluster_needs_stays() -> None:
    context = no_longer(PLAIN, OURS)
    other = Record(path="x", cluster="blog", routes=(RecordedRoute(GATEWAY, PLAIN),))
    assert not [w for w in told(replace(context, others=(other,))) if " route " in w]
    assert [w for w in told(replace(context, others=(replace(other, routes=()),))) if " route " in w]


def test_a_route_that_is_only_checked_from_now_on_goes_back() -> None:
    cluster = clusters.nat_two_directors()
    nat = replace(clusters.INSIDE, configure_gateway=False)
    context = declared_anew(db(*routes(OURS)), replace(cluster, nat=nat))
    assert "route_back 10.2.0.1 default via 192.0.2.1 dev eth0 proto static" in steps(context)


def test_what_another_cluster_found_is_what_was_before() -> None:
    """The second cluster on a machine finds the first one's route, VIP and sysctls: none was there before."""
    context = untouched(clusters.nat_two_directors(), "db1")
    other = Record(path="x", cluster="blog", routes=(RecordedRoute(GATEWAY, PLAIN),))
    record = next_record(replace(changed(context, routes=routes(OURS)), others=(other,)))
    assert record.routes == (RecordedRoute(GATEWAY, PLAIN),)


# --- VIPs that were there before, or that another cluster needs ---------------------------------------------

BLOG = Record(path="x", cluster="blog", addresses={on("lo", VIP): False})


def test_a_vip_that_another_cluster_needs_stays() -> None:
    context = given_up(web())
    assert f"address_del lo {VIP}" in steps(context)
    assert f"address_del lo {VIP}" not in steps(replace(context, others=(BLOG,)))
    elsewhere = replace(BLOG, addresses={on("lo", "192.0.2.51/32"): False})
    assert f"address_del lo {VIP}" in steps(replace(context, others=(elsewhere,)))


def test_a_vip_that_was_there_before_stays_and_outlives_our_script() -> None:
    """`stop` of our script takes it off; the sysctls that hide it are still set when it comes back."""
    context = remembering(given_up(web()), addresses={on("lo", VIP): True})
    words = steps(context)
    assert f"address_del lo {VIP}" not in words
    stop = words.index("unit_stop lvsdeploy-shop")
    assert words[stop + 1] == f"address_add lo {VIP}"
    assert not [w for w in words[: stop + 1] if "sysctl_set" in w]


def test_a_vip_that_was_there_before_and_went_stays_away() -> None:
    context = remembering(given_up(web(without_vip=True)), addresses={on("lo", VIP): True})
    assert not [words for words in steps(context) if "address_" in words]


def test_vips_go_before_what_hides_them() -> None:
    words = [step.words[0] for step in acting(given_up(web()))]
    assert words.index("address_del") < words.index("unit_stop") < words.index("sysctl_set")


def test_a_director_that_serves_holds_a_vip_twice() -> None:
    """On lo as a real server, and where VRRP puts it: that one stays, and it alone makes a MASTER."""
    master, backup = (converged(clusters.localnodes(), name) for name in ("lvs1", "lvs2"))
    for context in (master, backup):
        assert on("lo", VIP) in context.actual.addresses
        assert told(context) == []
    moved = changed(backup, addresses=backup.actual.addresses | {on("eth0", VIP)})
    assert [line for line in told(moved) if "address" in line] == []
    assert [line for line in told(moved) if "sync daemon master" in line] != []
