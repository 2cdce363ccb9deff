"""VIPs and default routes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.plan.change import Phase
from lvsdeploy.state.network import Route
from tests.desired import clusters
from tests.plan.hosts import (
    acting,
    changed,
    codes,
    converged,
    declared_anew,
    on,
    plan,
    steps,
    told,
    untouched,
)

if TYPE_CHECKING:
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
            "from here the real server would answer for it"
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


@pytest.mark.parametrize("routes", RIGHT)
def test_routes_through_the_director(routes: tuple[Route, ...]) -> None:
    assert told(db(*routes)) == []
    assert (told(db(*routes, managed=False)), codes(db(*routes, managed=False))) == ([], [])


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


def test_reasons_of_a_route() -> None:
    fresh = untouched(clusters.nat_two_directors(), "db1")
    assert "[not there yet]" in next(words for words in told(fresh) if "route" in words.split()[:2])
    nat = replace(clusters.INSIDE, gateway=ip_interface("10.2.0.254/24"), configure_gateway=True)
    anew = declared_anew(db(TO_GATEWAY), replace(clusters.nat_two_directors(), nat=nat))
    assert any(words.startswith("update route default via 10.2.0.254 [changed in") for words in told(anew))


def test_dr_real_servers_keep_their_route() -> None:
    assert told(changed(web(), routes=())) == []
