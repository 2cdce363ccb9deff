"""Exit codes: the same for every command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsdeploy.diagnostics import Finding, Severity
from lvsdeploy.plan.change import Failure, Plan
from lvsdeploy.results import Applied, Checked, Planned, Result, worst
from tests.report.examples import RESULTS, drifted, first, quiet

EXPECTED = {
    "validate": 3,
    "plan-first": 0,
    "plan-drift": 4,
    "plan-nothing": 0,
    "plan-bypass": 0,
    "plan-unread": 1,
    "check-drift": 4,
    "check-nothing": 0,
    "check-bypass": 2,
    "apply": 0,
    "apply-nothing": 0,
    "apply-failed": 1,
    "apply-refused": 1,
    "apply-recovered": 0,
    "plan-destroy": 0,
    "rollback": 0,
    "destroy": 0,
    "destroy-failed": 1,
    "drain": 0,
    "history": 0,
    "history-none": 0,
    "history-unread": 1,
    "status": 4,
}
NO_HOLDER = Finding("LVS542", Severity.ERROR, "192.0.2.50 is on no director")


@pytest.mark.parametrize("name", RESULTS)
def test_exit_codes(name: str) -> None:
    assert RESULTS[name].exit_code == EXPECTED[name]


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Planned(first(), detailed=True), 2),
        (Planned(quiet(), detailed=True), 0),
        (Planned(replace(drifted(), failures=()), detailed=True), 1),
        (Planned(replace(first(), findings=(replace(NO_HOLDER, host="lvs1"),)), detailed=True), 1),
        (Planned(replace(quiet(), findings=(NO_HOLDER,))), 0),
        (Checked(replace(drifted(), failures=())), 2),
        (Checked(first()), 2),
        (Checked(replace(quiet(), findings=(NO_HOLDER,))), 2),
        (Checked(replace(quiet(), findings=(replace(NO_HOLDER, severity=Severity.WARNING),))), 0),
        (Checked(Plan("shop", (), ())), 0),
        (Applied((), (), (), replace(quiet(), findings=(NO_HOLDER,))), 1),
        (Applied((), (Failure("a", "left"),), (), quiet()), 1),
        (Applied((), (), (Failure("a", "off", exit_code=4),), quiet()), 4),
    ],
)
def test_more_exit_codes(result: Result, code: int) -> None:
    assert result.exit_code == code


def test_an_unreachable_host_tells_more_than_a_failed_one() -> None:
    assert worst((Failure("a", "m"), Failure("b", "m", exit_code=4), Failure("c", "m"))) == 4
    assert worst(()) == 0
