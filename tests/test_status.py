"""What the directors balance now."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.diagnostics import Finding, Severity
from lvsdeploy.inventory.model import Protocol, SorryServer
from lvsdeploy.observe import Observation
from lvsdeploy.observe.checkers import CheckedService, CheckerView
from lvsdeploy.observe.connections import Connections
from lvsdeploy.plan.change import Failure, HostPlan, Plan, Role
from lvsdeploy.record import Drained, Record
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from lvsdeploy.state.unit import Unit
from lvsdeploy.status import status_of
from tests.desired import clusters
from tests.plan.hosts import FACTS, converged, on

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.results import DirectorStatus, Status

SHOP = clusters.smallest()
KEY = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
WEB1 = TableDestination("192.0.2.11", 80, Forwarding.DR, 1)
WEB2 = TableDestination("192.0.2.12", 80, Forwarding.DR, 1)
NO_PLAN = Plan("shop", ())
NO_RECORDS = {"lvs1": Record()}


def seen(cluster: Cluster, host: str, *vips: str, **parts: Any) -> Observation:
    """A director as it should be, holding `vips`, with parts of its state replaced."""
    state = converged(cluster, host).actual
    state = replace(state, addresses=state.addresses | {on("eth0", vip) for vip in vips})
    return Observation(FACTS, replace(state, **parts))


def status(*destinations: TableDestination, view: CheckedService | None = None, **more: Any) -> Status:
    table = {KEY: VirtualService(KEY, "wlc", destinations=destinations)}
    observation = seen(SHOP, "lvs1", "192.0.2.50/32", virtual_services=table)
    observation = replace(observation, checkers=CheckerView({KEY: view}) if view else None, **more)
    return status_of(SHOP, {"lvs1": observation}, NO_PLAN, NO_RECORDS)


def states(result: Status) -> dict[str, str]:
    (service,) = result.directors[0].services
    return {f"{d.name} {d.address}": d.state for d in service.destinations}


def test_all_is_well() -> None:
    counted = {KEY: {WEB1.key: Connections(3, 40)}}
    result = status(WEB1, WEB2, connections=counted)
    (director,) = result.directors
    assert (director.name, director.role, director.holds) == ("lvs1", "MASTER", ("192.0.2.50",))
    assert director.services[0].name == "http"
    first, second = director.services[0].destinations
    assert (first.name, first.forwarding, first.weight, first.active, first.inactive, first.state) == (
        "web1",
        "DR",
        1,
        3,
        40,
        "up",
    )
    assert (second.name, second.active, second.inactive) == ("web2", 0, 0)
    assert (result.cluster, result.failures, result.findings, result.exit_code) == ("shop", (), (), 0)


DOWN = CheckedService(up=frozenset({WEB1.key}), down=frozenset({WEB2.key}))
STRAY = TableDestination("192.0.2.77", 80, Forwarding.NAT, 1)


@pytest.mark.parametrize(
    ("there", "view", "expected"),
    [
        ((WEB1,), None, {"web2 192.0.2.12:80": "missing"}),
        ((WEB1,), DOWN, {"web2 192.0.2.12:80": "down: its health check fails"}),
        ((WEB1, replace(WEB2, weight=0)), DOWN, {"web2 192.0.2.12:80": "down: its health check fails"}),
        ((WEB1, replace(WEB2, weight=0)), None, {"web2 192.0.2.12:80": "gets nothing new"}),
        ((WEB1, WEB2, STRAY), None, {"web2 192.0.2.12:80": "up", " 192.0.2.77:80": "not declared"}),
    ],
)
def test_states(
    there: tuple[TableDestination, ...], view: CheckedService | None, expected: dict[str, str]
) -> None:
    assert states(status(*there, view=view)) == {"web1 192.0.2.11:80": "up", **expected}


def test_the_sorry_server() -> None:
    sorry = TableDestination("192.0.2.99", 80, Forwarding.DR, 1)
    lost = CheckedService(quorum_up=False, sorry_server=sorry.key, down=frozenset({WEB1.key, WEB2.key}))
    service = clusters.service(
        "http", {clusters.WEB1: 1, clusters.WEB2: 1}, sorry_server=SorryServer(ip_address("192.0.2.99"))
    )
    observation = seen(
        SHOP, "lvs1", virtual_services={KEY: VirtualService(KEY, "wlc", destinations=(sorry,))}
    )
    observation = replace(observation, checkers=CheckerView({KEY: lost}))
    assert states(status_of(clusters.cluster(service), {"lvs1": observation}, NO_PLAN, NO_RECORDS)) == {
        " 192.0.2.99:80": "sorry server",
        "web1 192.0.2.11:80": "down: its health check fails",
        "web2 192.0.2.12:80": "down: its health check fails",
    }


def director(*vips: str, **parts: Any) -> DirectorStatus:
    return status_of(SHOP, {"lvs1": seen(SHOP, "lvs1", *vips, **parts)}, NO_PLAN, NO_RECORDS).directors[0]


def test_roles() -> None:
    assert director("192.0.2.50/32").role == "MASTER"
    assert (director().role, director().holds) == ("BACKUP", ())
    stopped = {"keepalived": Unit("keepalived", enabled=True, active=False)}
    assert director("192.0.2.50/32", units=stopped).role == "keepalived is not running"
    assert director(units={}).role == "keepalived is not running"


def test_roles_with_groups_of_vips() -> None:
    """Each group has a MASTER of its own."""
    active = clusters.active_active()

    def role(*vips: str) -> str:
        observed = {"lvs1": seen(active, "lvs1", *vips)}
        return status_of(active, observed, NO_PLAN, NO_RECORDS).directors[0].role

    assert role("192.0.2.50/32") == "MASTER of default"
    assert role("192.0.2.60/24", "198.51.100.60/24") == "MASTER of blue"
    assert role("192.0.2.50/32", "192.0.2.60/24", "198.51.100.60/24") == "MASTER"
    assert role() == "BACKUP"


def test_a_declared_service_that_is_not_there() -> None:
    other = VirtualService(ServiceKey(Protocol.UDP, "192.0.2.9", 53), "rr")
    services = director(virtual_services={other.key: other}).services
    assert [(s.name, str(s.service.key), [d.state for d in s.destinations]) for s in services] == [
        ("http", "tcp 192.0.2.50:80", ["missing", "missing"]),
        ("", "udp 192.0.2.9:53", []),
    ]


@pytest.mark.parametrize(
    ("drain", "drained"),
    [
        (Drained("web2", "", "2026-11-23T12:00:00Z", "ann@desk"), True),
        (Drained("web2", "http", "2026-11-23T12:00:00Z", "ann@desk"), True),
        (Drained("web2", "other", "2026-11-23T12:00:00Z", "ann@desk"), False),
        (Drained("web1", "", "2026-11-23T12:00:00Z", "ann@desk"), False),
    ],
)
def test_who_is_drained_since_when_and_by_whom(drain: Drained, drained: bool) -> None:  # noqa: FBT001
    table = {KEY: VirtualService(KEY, "wlc", destinations=(WEB1, replace(WEB2, weight=0)))}
    observation = seen(SHOP, "lvs1", virtual_services=table)
    result = status_of(SHOP, {"lvs1": observation}, NO_PLAN, {"lvs1": Record(drained=(drain,))})
    expected = "drained since 2026-11-23T12:00:00Z by ann@desk" if drained else "gets nothing new"
    assert states(result) == {"web1 192.0.2.11:80": "up", "web2 192.0.2.12:80": expected}


def test_a_drained_real_server_with_a_weight_is_up() -> None:
    """Somebody gave it one with ipvsadm: it gets connections, whatever the director remembers."""
    observation = seen(
        SHOP,
        "lvs1",
        virtual_services={KEY: VirtualService(KEY, "wlc", destinations=(WEB1, WEB2))},
    )
    records = {"lvs1": Record(drained=(Drained("web2"),))}
    assert set(states(status_of(SHOP, {"lvs1": observation}, NO_PLAN, records)).values()) == {"up"}


@pytest.mark.parametrize("table", [{}, None])
def test_no_table(table: dict[ServiceKey, VirtualService] | None) -> None:
    assert director(virtual_services=table).services == ()


def test_ipv6_destinations_have_brackets() -> None:
    cluster = clusters.six()
    key = ServiceKey(Protocol.TCP, "2001:db8::50", 80)
    table = {key: VirtualService(key, "wlc")}
    services = (
        status_of(cluster, {"lvs1": seen(cluster, "lvs1", virtual_services=table)}, NO_PLAN, NO_RECORDS)
        .directors[0]
        .services
    )
    assert services[1].destinations[0].address == "[2001:db8::11]:80"
    assert services[1].destinations[0].name == "web6"


def test_directors_in_order_and_those_that_were_not_read() -> None:
    cluster = clusters.dr_two_directors()
    off = Failure("lvs1", "no answer", exit_code=4)
    result = status_of(cluster, {"lvs2": seen(cluster, "lvs2")}, Plan("shop", (), (off,)), {"lvs2": Record()})
    assert [d.name for d in result.directors] == ["lvs2"]
    assert len(result.directors[0].services) == 6
    assert result.failures == (off,)
    assert result.exit_code == 4


def test_findings_that_matter_to_a_status() -> None:
    unread = Finding("LVS504", Severity.ERROR, "the IPVS table could not be read", host="lvs1")
    foreign = Finding("LVS521", Severity.ERROR, "a file", host="lvs1")
    warning = Finding("LVS530", Severity.WARNING, "a check fails", host="lvs1")
    two = Finding("LVS541", Severity.ERROR, "two MASTERs")
    plan = Plan("shop", (HostPlan("lvs1", Role.DIRECTOR, (), (unread, foreign, warning)),), (), (two,))
    result = status_of(SHOP, {"lvs1": seen(SHOP, "lvs1")}, plan, NO_RECORDS)
    assert result.findings == (unread, two)


def test_a_real_server_that_is_not_managed_is_shown_as_such() -> None:
    apart = replace(SHOP, real_servers=(clusters.WEB1, replace(clusters.WEB2, managed=False)))
    table = {KEY: VirtualService(KEY, "wlc", destinations=(WEB1,))}
    found = status_of(apart, {"lvs1": seen(apart, "lvs1", virtual_services=table)}, NO_PLAN, NO_RECORDS)
    (service,) = found.directors[0].services
    assert [(d.name, d.managed, d.words) for d in service.destinations] == [
        ("web1", True, "up"),
        ("web2", False, "missing (not managed)"),
    ]
