"""What keepalived does to the table by itself: weights that a check sets, a sorry server that waits there."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.health_checks import FileCheck, HealthCheck, ScriptCheck, TcpCheck
from lvsdeploy.inventory.model import ForwardingMethod, Protocol, SorryServer
from lvsdeploy.observe.checkers import CheckedService, CheckerView
from lvsdeploy.plan import table
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from tests.desired import clusters
from tests.plan.hosts import changed, converged, plan

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context

KEY = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
WEB1 = TableDestination("192.0.2.11", 80, Forwarding.DR, 1)
WEB2 = TableDestination("192.0.2.12", 80, Forwarding.DR, 1)
SORRY = TableDestination("192.0.2.99", 80, Forwarding.NAT, 0)


def director(
    check: HealthCheck, there: tuple[TableDestination, ...], view: CheckedService | None, **options: Any
) -> Context:
    service = clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 1}, health_check=check, **options)
    context = converged(clusters.cluster(service), "lvs1")
    context = changed(context, virtual_services={KEY: VirtualService(KEY, "wlc", destinations=there)})
    return replace(context, checkers=None if view is None else CheckerView({KEY: view}))


def told(context: Context) -> list[str]:
    return [f"{change.action} {change.name}" for change in plan(context).changes]


def view(weight: int, **options: Any) -> CheckedService:
    weights = {WEB1.key: 1, WEB2.key: weight}
    return CheckedService(up=frozenset(weights), weights=weights, **options)


@pytest.mark.parametrize("check", [FileCheck("/run/x", weight=-1), ScriptCheck("/bin/true", dynamic=True)])
def test_a_weight_that_a_check_has_set_is_no_drift(check: HealthCheck) -> None:
    heavier = replace(WEB2, weight=5)
    context = director(check, (WEB1, heavier), view(5))
    assert told(context) == []
    (service,) = table.expected(context)
    assert service.destinations == (WEB1, heavier)
    assert plan(context).as_declared
    # nobody tells: it may be the check's doing
    assert told(director(check, (WEB1, heavier), None)) == []


def test_a_weight_that_somebody_else_has_set_is_drift() -> None:
    check = FileCheck("/run/x", weight=-1)
    heavier = replace(WEB2, weight=5)
    (change,) = told(director(check, (WEB1, heavier), view(3)))
    assert change == f"update 192.0.2.12:80 of {KEY}"
    assert told(director(check, (WEB1, replace(heavier, upper=9)), view(5))) == [change]


@pytest.mark.parametrize("check", [FileCheck("/run/x"), ScriptCheck("/bin/true"), TcpCheck()])
def test_other_checks_set_no_weights(check: HealthCheck) -> None:
    assert len(told(director(check, (WEB1, replace(WEB2, weight=5)), view(5)))) == 1


def waiting(there: tuple[TableDestination, ...], view: CheckedService) -> Context:
    sorry = SorryServer(ip_address("192.0.2.99"), mode=ForwardingMethod.NAT, inhibit=True)
    return director(TcpCheck(), there, view, sorry_server=sorry)


def test_a_sorry_server_that_waits_in_the_table_is_declared() -> None:
    up = view(1, sorry_server=SORRY.key)
    assert told(waiting((WEB1, WEB2, SORRY), up)) == []
    assert told(waiting((WEB1, WEB2), up)) == [f"create 192.0.2.99:80 of {KEY}"]
    assert told(waiting((WEB1, WEB2, replace(SORRY, weight=1)), up)) == [f"update 192.0.2.99:80 of {KEY}"]


def test_a_sorry_server_that_waited_serves() -> None:
    lost = CheckedService(
        quorum_up=False, sorry_server=SORRY.key, down=frozenset({WEB1.key, WEB2.key}), weights={}
    )
    context = waiting((replace(SORRY, weight=1),), lost)
    assert told(context) == []
    assert [finding.code for finding in plan(context).findings] == ["LVS530", "LVS530"]


def test_a_sorry_server_among_the_real_servers_is_there_once() -> None:
    sorry = SorryServer(ip_address("192.0.2.12"), inhibit=True)
    assert told(director(TcpCheck(), (WEB1, WEB2), view(1), sorry_server=sorry)) == []
