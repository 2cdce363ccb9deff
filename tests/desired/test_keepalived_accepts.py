"""Every inventory that validates makes a keepalived.conf that keepalived takes without a word."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings

from lvsdeploy.inventory.model import Engine
from tests.desired import namespace
from tests.desired.test_keepalived import assert_accepted, text
from tests.plan.inventories import cluster_of, inventories


@namespace.needs("keepalived")
@settings(derandomize=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(inventories())
def test_keepalived_accepts_what_validates(document: dict[str, Any]) -> None:
    cluster = cluster_of(document)
    if cluster.engine is not Engine.KEEPALIVED:
        return
    with TemporaryDirectory() as folder:
        for director in cluster.directors:
            file = Path(folder) / director.name
            file.write_text(text(cluster, director.name), encoding="utf-8")
            assert_accepted(file)
