"""What the directors find out about real servers that nobody logs in to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.observe import Surroundings
from lvsdeploy.plan import live
from lvsdeploy.record import Drained, Record
from tests.desired import clusters
from tests.plan.hosts import converged

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.host import HostState

APART = replace(clusters.WEB2, managed=False)
SHOP = clusters.cluster(
    clusters.service("http", {clusters.WEB1: 1, APART: 1}, 80, 8080),
    clusters.service("dns", {APART: 1}, 53),
    directors=(clusters.LVS1, clusters.LVS2),
    real_servers=(clusters.WEB1, APART),
)


def director(cluster: Cluster = SHOP, *gone: str, quiet: str = "") -> HostState:
    """A director without the destinations `gone`, and with one at weight 0; each `ADDRESS:PORT`."""
    state = converged(cluster, "lvs1").actual
    table = {
        key: replace(
            service,
            destinations=tuple(
                replace(d, weight=0) if str(d) == quiet else d
                for d in service.destinations
                if str(d) not in gone
            ),
        )
        for key, service in (state.virtual_services or {}).items()
    }
    return replace(state, virtual_services=table)


def told(
    seen: HostState,
    *drained: Drained,
    cluster: Cluster = SHOP,
    around: Surroundings | None = None,
) -> list[str]:
    records = {"lvs1": Record(path="x", cluster="shop", drained=drained)}
    surroundings = {"lvs1": around} if around is not None else {}
    found = live.about_the_cluster(cluster, {"lvs1": seen}, records, surroundings, whole=False)
    return [f"{f.host}: {f.code} {f.summary}" for f in found if f.code == "LVS546"]


WHO = "lvs1: LVS546 web2 (192.0.2.12), which is not managed: "


def test_one_that_serves() -> None:
    assert told(director()) == []
    assert told(director(), around=Surroundings(silent=frozenset({"192.0.2.50"}))) == []


def test_one_that_gets_no_clients() -> None:
    assert told(director(SHOP, "192.0.2.12:80")) == [f"{WHO}gets no clients of http"]
    assert told(director(SHOP, quiet="192.0.2.12:80")) == [f"{WHO}gets no clients of http"]
    assert told(director(SHOP, "192.0.2.12:80", "192.0.2.12:53")) == [f"{WHO}gets no clients of http, dns"]
    assert told(director(SHOP, "192.0.2.11:80", "192.0.2.11:8080")) == [], "that one is asked itself"
    managed = replace(SHOP, real_servers=(clusters.WEB1, clusters.WEB2))
    assert told(director(SHOP, "192.0.2.12:80"), cluster=managed) == []


def test_it_is_not_drift() -> None:
    (finding,) = (
        f
        for f in live.about_the_cluster(SHOP, {"lvs1": director(SHOP, "192.0.2.12:80")}, {}, {}, whole=False)
        if f.code == "LVS546"
    )
    assert (finding.is_error, finding.drift) == (False, False)


def test_nobody_answers_at_its_address() -> None:
    silent = Surroundings(silent=frozenset({"192.0.2.12"}))
    assert told(director(), around=silent) == [f"{WHO}nobody answers at 192.0.2.12"]
    assert told(director(SHOP, "192.0.2.12:53"), around=silent) == [
        f"{WHO}gets no clients of dns; nobody answers at 192.0.2.12"
    ]


def test_one_that_is_to_get_none() -> None:
    gone = director(SHOP, "192.0.2.12:80", "192.0.2.12:8080")
    assert told(gone, Drained("web2")) == []
    assert told(gone, Drained("web2", "http")) == []
    assert told(gone, Drained("web2", "dns")) == [f"{WHO}gets no clients of http"]
    off = clusters.cluster(
        clusters.service("http", {clusters.WEB1: 1, APART: 0}), real_servers=(clusters.WEB1, APART)
    )
    assert told(director(off), cluster=off) == []


def test_a_table_that_is_empty_or_was_not_read() -> None:
    assert told(replace(director(), virtual_services={})) == []
    assert told(replace(director(), virtual_services=None)) == []
