"""Scripts that keepalived would leave out are errors of the plan."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.health_checks import ScriptCheck
from lvsdeploy.state.script import Owner, Script
from tests.desired import clusters
from tests.plan.hosts import codes, converged, plan

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context

PATH, USER = "/opt/check", "daemon"
FOLDER, FILE = Owner(stat.S_IFDIR | 0o755, 0, 0), Owner(stat.S_IFREG | 0o755, 0, 0)


def director(script: Script, *, root: bool = True) -> Context:
    check = ScriptCheck(PATH, user=USER)
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, health_check=check))
    context = converged(cluster, "lvs1")
    return replace(context, facts=replace(context.facts, scripts={(PATH, USER): script}, root=root))


def way(*, file: Owner = FILE, folder: Owner = FOLDER) -> tuple[tuple[str, Owner], ...]:
    return (("/", FOLDER), ("/opt", folder), (PATH, file))


@pytest.mark.parametrize(
    ("script", "summary"),
    [
        (Script(1, 1, ()), f"LVS533: {PATH} is not there, or no file"),
        (
            Script(0, 0, way(folder=Owner(stat.S_IFDIR | 0o755, 7, 0))),
            f"LVS534: {PATH} runs with root's rights, and others than root may write /opt",
        ),
        (
            Script(0, 0, way(file=Owner(stat.S_IFREG | 0o757, 0, 0))),
            f"LVS534: {PATH} runs with root's rights, and others than root may write it",
        ),
        (
            Script(1, 1, way(file=Owner(stat.S_IFREG | 0o754, 0, 0))),
            f"LVS535: {PATH}: the user {USER} may not execute it",
        ),
        (
            Script(1, 1, way(folder=Owner(stat.S_IFDIR | 0o700, 0, 0))),
            f"LVS535: {PATH}: the user {USER} may not go through /opt",
        ),
        (
            Script(None, None, way()),
            f"LVS536: there is no user {USER}, who is to run {PATH}",
        ),
    ],
)
def test_what_stands_in_a_scripts_way(script: Script, summary: str) -> None:
    found = plan(director(script))
    assert [f"{finding.code}: {finding.summary}" for finding in found.findings] == [summary]
    assert found.refused
    assert codes(director(script, root=False)) == []


def test_a_script_that_will_run() -> None:
    assert codes(director(Script(1, 1, way()))) == []
    theirs = way(folder=Owner(stat.S_IFDIR | 0o755, 1, 1))
    assert codes(director(Script(1, 1, theirs))) == [], "it has no rights but its own"
