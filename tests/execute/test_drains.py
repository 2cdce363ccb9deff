"""Taking real servers out of service and back, as a director remembers it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.errors import UsageError
from lvsdeploy.execute import drains
from lvsdeploy.inventory.model import Protocol, SorryServer
from lvsdeploy.observe import Observation
from lvsdeploy.observe.connections import Connections
from lvsdeploy.record import Drained, Stamp
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import ServiceKey
from tests.desired.clusters import WEB1, WEB2, cluster, service, vip

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster

NOW = Stamp("20261123T120000Z-0001", "2026-11-23T12:00:00Z", "ann@desk")
EARLIER = ("2026-11-01T08:00:00Z", "bob@desk")
SHOP: Cluster = cluster(
    service("http", {WEB1: 1, WEB2: 1}),
    service("dns", {WEB1: 1, WEB2: 1}, 53, protocol=Protocol.UDP),
    service("admin", {WEB1: 1}, 22, 2222, vip=vip("192.0.2.60/32")),
)
SERVERS = ("web1", "web2")


def one(service_: str = "", real_server: str = "web1") -> Drained:
    return Drained(real_server, service_, *EARLIER)


def of_now(service_: str = "", real_server: str = "web1") -> Drained:
    return Drained(real_server, service_, NOW.at, NOW.by)


some_drained = st.lists(
    st.builds(
        Drained,
        st.sampled_from(SERVERS),
        st.sampled_from(["", "http", "dns", "admin"]),
        st.just(EARLIER[0]),
        st.sampled_from(["bob@desk", "eve@desk"]),
    ),
    max_size=4,
    unique_by=lambda d: (d.real_server, d.service),
).map(lambda found: tuple(sorted(found)))


# --- drain --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "service_", "after"),
    [
        ((), None, (of_now(),)),
        ((), "http", (of_now("http"),)),
        ((one(),), None, (one(),)),
        ((one(),), "http", (one(),)),
        ((one("http"),), "http", (one("http"),)),
        ((one("http"),), "dns", (of_now("dns"), one("http"))),
        ((one("http"), one("dns")), None, (of_now(),)),
        ((one("", "web2"),), None, (of_now(), one("", "web2"))),
    ],
)
def test_drain(before: tuple[Drained, ...], service_: str | None, after: tuple[Drained, ...]) -> None:
    assert drains.drain("web1", service_, NOW)(before) == after


@pytest.mark.parametrize(
    ("before", "service_", "after"),
    [
        ((), None, ()),
        ((one(),), None, ()),
        ((one("http"), one("dns")), None, ()),
        ((one("http"), one("dns")), "http", (one("dns"),)),
        ((one(),), "http", (one("admin"), one("dns"))),
        ((one("", "web2"),), None, (one("", "web2"),)),
        ((one("", "web2"), one()), "dns", (one("admin"), one("http"), one("", "web2"))),
        ((one("dns"),), "http", (one("dns"),)),
    ],
)
def test_undrain(before: tuple[Drained, ...], service_: str | None, after: tuple[Drained, ...]) -> None:
    """The others of a host that was wholly drained keep since when and by whom."""
    assert drains.undrain(SHOP, "web1", service_)(before) == after


@given(some_drained, st.sampled_from(SERVERS), st.sampled_from([None, "http", "dns"]))
def test_drain_then_undrain_is_as_if_it_had_not_been(
    before: tuple[Drained, ...], name: str, service_: str | None
) -> None:
    drained = drains.drain(name, service_, NOW)(before)
    after = drains.undrain(SHOP, name, service_)(drained)
    meant = {service_} if service_ else {s.name for s in SHOP.services_of(name)}

    def covers(found: tuple[Drained, ...], real_server: str, of: str) -> bool:
        return any(d.covers(real_server, of) for d in found)

    for server in SERVERS:
        for of in SHOP.services_of(server):
            touched = server == name and of.name in meant
            assert covers(drained, server, of.name) == (touched or covers(before, server, of.name))
            assert covers(after, server, of.name) == (not touched and covers(before, server, of.name))
    if not any(covers(before, name, of) for of in meant):
        untouched = [d for d in before if d.real_server != name or d.service not in ("", *meant)]
        if service_ is not None:
            assert list(after) == untouched
    assert list(drained) == sorted(drained)
    assert list(after) == sorted(after)


@given(some_drained, st.sampled_from(SERVERS), st.sampled_from([None, "http", "dns"]))
def test_twice_is_as_once(before: tuple[Drained, ...], name: str, service_: str | None) -> None:
    later = Stamp("20261201T000000Z-0001", "2026-12-01T00:00:00Z", "eve@desk")
    drained = drains.drain(name, service_, NOW)(before)
    assert drains.drain(name, service_, later)(drained) == drained, "who was first is kept"
    after = drains.undrain(SHOP, name, service_)(drained)
    assert drains.undrain(SHOP, name, service_)(after) == after


# --- which services are meant -------------------------------------------------------------------------------


def test_which_services_are_meant() -> None:
    assert drains.services_of(SHOP, "web1", None) == ("http", "dns", "admin")
    assert drains.services_of(SHOP, "web2", "dns") == ("dns",)


@pytest.mark.parametrize(
    ("name", "service_", "says", "hint"),
    [
        ("wbe1", None, "`wbe1` is not a real server of this inventory", "Did you mean `web1`?"),
        ("x", None, "`x` is not a real server of this inventory", "There are: web1, web2"),
        ("lvs1", None, "`lvs1` is a director", "There are: web1, web2"),
        ("web2", "admin", "web2 is not in a service `admin`", "It is in: http, dns"),
    ],
)
def test_names_that_mean_nothing(name: str, service_: str | None, says: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        drains.services_of(SHOP, name, service_)
    assert (str(refused.value), refused.value.hint) == (says, hint)


def test_a_real_server_in_no_service() -> None:
    alone = cluster(service("http", {WEB1: 1}))
    with pytest.raises(UsageError, match="web2 is in no service"):
        drains.services_of(alone, "web2", None)


# --- the last one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drained", "empty"),
    [
        ((), []),
        ((one("", "web2"),), []),
        ((one(),), ["admin"]),
        ((one(), one("", "web2")), ["http", "dns", "admin"]),
        ((one("http"), one("", "web2")), ["http"]),
        ((one("admin"),), ["admin"]),
    ],
)
def test_which_services_would_have_nobody_left(drained: tuple[Drained, ...], empty: list[str]) -> None:
    names = ("http", "dns", "admin")
    assert drains.without_destination(SHOP, drained, names) == empty
    assert drains.without_destination(SHOP, drained, ()) == []


def test_a_weight_of_nought_in_the_inventory_is_nobody_and_a_sorry_server_too() -> None:
    sorry = SorryServer(ip_address("192.0.2.99"))
    backup = cluster(service("http", {WEB1: 1, WEB2: 0}, sorry_server=sorry))
    assert drains.without_destination(backup, (one(),), ("http",)) == ["http"]


# --- connections that are left ------------------------------------------------------------------------------


def test_connections() -> None:
    http = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    dns = ServiceKey(Protocol.UDP, "192.0.2.50", 53)
    admin = ServiceKey(Protocol.TCP, "192.0.2.60", 2222)
    web1, web2 = "192.0.2.11", "192.0.2.12"
    seen = {
        "lvs1": Observation(
            Facts(),
            HostState(),
            connections={
                http: {(web1, 80): Connections(3, 40), (web2, 80): Connections(100, 100)},
                dns: {(web1, 53): Connections(0, 7)},
                admin: {(web1, 2222): Connections(1, 0)},
            },
        ),
        "lvs2": Observation(Facts(), HostState()),
    }
    everything = ("http", "dns", "admin")
    assert drains.connections(SHOP, seen, "web1", everything) == {"lvs1": 11, "lvs2": 0}
    assert drains.connections(SHOP, seen, "web1", ("http",)) == {"lvs1": 3, "lvs2": 0}
    assert drains.connections(SHOP, seen, "web1", ("dns",)) == {"lvs1": 7, "lvs2": 0}, (
        "UDP has none that close"
    )
    assert drains.connections(SHOP, seen, "web2", ("dns",)) == {"lvs1": 0, "lvs2": 0}
