"""Packages and services."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsdeploy.inventory.model import RealServer
from lvsdeploy.plan.change import Phase
from lvsdeploy.record import RecordedUnit
from lvsdeploy.state.facts import PackageManager, ServiceManager
from lvsdeploy.state.unit import Unit
from tests.desired import clusters
from tests.plan.hosts import (
    CONF,
    FACTS,
    acting,
    changed,
    codes,
    converged,
    declared,
    declared_anew,
    given_up,
    plan,
    remembering,
    steps,
    told,
    untouched,
    without,
)

SHOP = clusters.smallest()


@pytest.mark.parametrize(
    ("unit", "detail", "expected"),
    [
        (
            Unit("keepalived", enabled=False, active=False),
            "not started at boot, not running",
            ["unit_enable keepalived", "unit_start keepalived"],
        ),
        (
            Unit("keepalived", enabled=True, active=False),
            "not running",
            ["unit_start keepalived"],
        ),
        (
            Unit("keepalived", enabled=False, active=True),
            "not started at boot",
            ["unit_enable keepalived"],
        ),
        (
            None,
            "not started at boot, not running",
            ["unit_enable keepalived", "unit_start keepalived"],
        ),
    ],
)
def test_services(unit: Unit | None, detail: str, expected: list[str]) -> None:
    context = changed(converged(SHOP, "lvs1"), units={"keepalived": unit} if unit else {})
    assert told(context) == [f"update service keepalived [changed on the host]: {detail}"]
    assert steps(context) == expected


def test_reasons_of_a_service() -> None:
    assert any("service keepalived [not there yet]" in x for x in told(untouched(SHOP, "lvs1")))
    context = changed(converged(SHOP, "lvs1"), units={})
    context = replace(context, record=replace(context.record, units={}))
    assert "service keepalived [changed in the inventory]" in told(context)[0]


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        (ServiceManager.SYSTEMD, ["unit_start lvsdeploy-shop"]),
        (ServiceManager.OPENRC, ["unit_start lvsdeploy-shop"]),
        (ServiceManager.SYSV, []),
    ],
)
def test_an_init_script_of_ours_is_known_by_its_effects(manager: ServiceManager, expected: list[str]) -> None:
    context = converged(SHOP, "web1", replace(FACTS, service_manager=manager))
    context = changed(context, units={"lvsdeploy-shop": Unit("lvsdeploy-shop", enabled=True, active=False)})
    assert steps(context) == expected
    context = changed(context, units={"lvsdeploy-shop": Unit("lvsdeploy-shop", enabled=False, active=False)})
    assert steps(context)[0] == "unit_enable lvsdeploy-shop"


@pytest.mark.parametrize(
    ("enabled", "active", "expected"),
    [
        (True, True, ["unit_stop lvsdeploy-shop", "unit_disable lvsdeploy-shop"]),
        (False, True, ["unit_stop lvsdeploy-shop"]),
        (True, False, ["unit_disable lvsdeploy-shop"]),
        (False, False, []),
    ],
)
def test_left_over(enabled: bool, active: bool, expected: list[str]) -> None:  # noqa: FBT001
    context = converged(SHOP, "web1")
    context = declared(context, units={})
    unit = Unit("lvsdeploy-shop", enabled=enabled, active=active)
    context = changed(context, units={"lvsdeploy-shop": unit})
    assert steps(context) == expected
    if expected:
        assert told(context) == ["delete service lvsdeploy-shop [no longer declared]"]
        assert acting(context)[0].phase is Phase.WITHDRAW


def test_a_unit_nobody_asked_about_is_not_removed() -> None:
    context = converged(SHOP, "web1")
    claims = {**context.record.units, "keepalived": RecordedUnit()}
    assert "keepalived" not in context.actual.units
    assert steps(remembering(context, units=claims)) == []


BEFORE = [
    (RecordedUnit(), ["unit_stop keepalived", "unit_disable keepalived"]),
    (RecordedUnit(enabled=True), ["unit_stop keepalived"]),
    (RecordedUnit(active=True), ["unit_disable keepalived"]),
    (RecordedUnit(enabled=True, active=True), []),
]


@pytest.mark.parametrize(("before", "expected"), BEFORE)
def test_keepalived_becomes_as_it_was_before(before: RecordedUnit, expected: list[str]) -> None:
    """A director that becomes a real server, or nothing."""
    real_server = RealServer("lvs1", clusters.LVS1.address, clusters.LVS1.dip, interface="eth0")
    service = clusters.service("http", {real_server: 1})
    anew = clusters.cluster(service, directors=(clusters.LVS2,), real_servers=(real_server,))
    for was in (declared_anew(converged(SHOP, "lvs1"), anew), given_up(converged(SHOP, "lvs1"))):
        context = remembering(was, units={"keepalived": before})
        assert [words for words in steps(context) if words.endswith("keepalived")] == expected
        lines = [line for line in told(context) if "service keepalived" in line]
        assert lines == (["delete service keepalived [no longer declared]"] if expected else [])


def test_a_keepalived_that_ran_before_goes_on_with_its_own_configuration() -> None:
    context = given_up(converged(SHOP, "lvs1"))
    context = remembering(
        context,
        sysctls={},
        units={"keepalived": RecordedUnit(enabled=True, active=True)},
        files={CONF: replace(context.record.files[CONF], before="a" * 64)},
    )
    assert steps(context) == [
        "on_undo unit_reload keepalived",
        f"give_back {CONF} {'a' * 64}",
        "unit_reload keepalived",
    ]
    # One that somebody has stopped since cannot be reloaded, and is not started again.
    stopped = changed(context, units={"keepalived": Unit("keepalived", enabled=True, active=False)})
    assert steps(stopped) == [f"give_back {CONF} {'a' * 64}"]


def test_a_keepalived_that_did_not_run_is_not_reloaded() -> None:
    context = given_up(converged(SHOP, "lvs1"))
    files = {CONF: replace(context.record.files[CONF], before="a" * 64)}
    context = remembering(context, sysctls={}, files=files)
    assert steps(context) == [
        "unit_stop keepalived",
        "unit_disable keepalived",
        f"give_back {CONF} {'a' * 64}",
    ]


def test_services_of_others_are_nobody_s_business() -> None:
    context = converged(SHOP, "web1")
    units = {**context.actual.units, "nginx": Unit("nginx", enabled=False, active=False)}
    assert told(changed(context, units=units)) == []


# --- packages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("os_id", "manager", "package"),
    [
        ("debian", PackageManager.APT, "iproute2"),
        ("rocky", PackageManager.DNF, "iproute"),
        ("centos", PackageManager.YUM, "iproute"),
        ("sles", PackageManager.ZYPPER, "iproute2"),
        ("alpine", PackageManager.APK, "iproute2"),
        ("arch", PackageManager.PACMAN, "iproute2"),
        ("mine", PackageManager.YUM, "iproute"),
    ],
)
def test_packages(os_id: str, manager: PackageManager, package: str) -> None:
    context = converged(SHOP, "lvs1", replace(FACTS, os_id=os_id, package_manager=manager))
    context = changed(context, programs=frozenset({"keepalived"}))
    assert told(context) == [
        f"create package {package} [changed on the host]: no `ip` on the host; {manager} installs it",
        f"create package ipvsadm [changed on the host]: no `ipvsadm` on the host; {manager} installs it",
    ]
    assert steps(context) == [f"install_package {manager} {package}", f"install_package {manager} ipvsadm"]


def test_a_fresh_director_gets_its_packages_first() -> None:
    context = untouched(SHOP, "lvs1")
    assert [words for words in told(context) if "package" in words] == [
        "create package ipvsadm [not there yet]: no `ipvsadm` on the host; apt-get installs it",
        "create package keepalived [not there yet]: no `keepalived` on the host; apt-get installs it",
    ]
    assert codes(context) == []
    assert [step.phase for step in acting(context)][:2] == [Phase.INSTALL, Phase.INSTALL]
    order = [words.split()[0] for words in steps(context)]
    assert order == [
        "install_package",
        "install_package",
        *["stage"] * 3,
        "test_keepalived",
        *["place"] * 3,
        *["sysctl_of_module"] * 2,
        "unit_enable",
        "unit_start",
        "await_table",
    ]


def test_nothing_can_install() -> None:
    context = converged(SHOP, "lvs1", replace(FACTS, package_manager=None))
    context = changed(context, programs=frozenset({"ip", "ipvsadm"}))
    assert told(context) == []
    (finding,) = plan(context).findings
    assert (finding.code, finding.fix) == ("LVS522", "Install `keepalived` by hand and apply again.")
    assert plan(context).refused


def test_programs_that_are_there() -> None:
    context = converged(SHOP, "lvs1", replace(FACTS, package_manager=None))
    assert (told(context), codes(context)) == ([], [])
    assert without({"a": 1}, "a") == {}
