"""`--limit`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsdeploy.errors import UsageError
from lvsdeploy.plan.selection import select
from tests.desired import clusters

WEB = replace(clusters.WEB1, tags=("rack1", "old"))
CLUSTER = replace(
    clusters.cluster(clusters.service("http", {WEB: 1, clusters.WEB2: 1}), name="shop"),
    directors=(clusters.LVS1, clusters.LVS2),
    real_servers=(WEB, replace(clusters.WEB2, tags=("rack2",)), clusters.DB2),
    groups=(("web", ("web1", "web2")), ("far", ("db2",))),
)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, "lvs1 lvs2 web1 web2"),
        ("web1", "web1"),
        ("web1,lvs2", "lvs2 web1"),
        (" web1 , ,lvs2,", "lvs2 web1"),
        ("web*", "web1 web2"),
        ("*", "lvs1 lvs2 web1 web2"),
        ("?vs[12]", "lvs1 lvs2"),
        ("@web", "web1 web2"),
        ("tag:rack1", "web1"),
        ("tag:old,tag:rack2", "web1 web2"),
        ("@far,web1", "web1"),
    ],
)
def test_what_is_meant(limit: str | None, expected: str) -> None:
    assert " ".join(sorted(select(CLUSTER, limit))) == expected


@pytest.mark.parametrize(
    ("limit", "message", "hint"),
    [
        ("wbe1", "--limit: nothing matches `wbe1`", "Did you mean `web1`?"),
        ("web1,lsv2", "--limit: nothing matches `lsv2`", "Did you mean `lvs2`?"),
        ("@wep", "--limit: nothing matches `@wep`", "Did you mean `@web`?"),
        ("tag:rakc1", "--limit: nothing matches `tag:rakc1`", "Did you mean `tag:rack1`?"),
        (
            "zzzzz",
            "--limit: nothing matches `zzzzz`",
            "There are: web1, web2, db2, lvs1, lvs2, @web, @far, tag:old, tag:rack1, tag:rack2",
        ),
        ("db2", "--limit: `db2` leaves no host that lvsdeploy logs in to", "Hosts with `managed: false`"),
        ("@far", "--limit: `@far` leaves no host that lvsdeploy logs in to", "Hosts with `managed: false`"),
        ("", "--limit names no host", "Leave it out to mean all hosts."),
        (" ,, ", "--limit names no host", "Leave it out to mean all hosts."),
    ],
)
def test_a_typo_never_means_nothing_to_do(limit: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(CLUSTER, limit)
    assert str(caught.value) == message
    assert caught.value.hint.startswith(hint)
