"""Real servers that get no new connections."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import desired_goal, expected_table, known_drains, render_all, with_drained
from lvsdeploy.inventory.model import SorryServer
from lvsdeploy.record import Drained
from lvsdeploy.state.facts import Facts
from tests.desired import clusters

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster

CONF = "/etc/keepalived/keepalived.conf"
WEB1 = Drained("web1", "", "2026-11-23T15:06:34Z", "ann@desk")
WEB1_HTTP = Drained("web1", "http", "2026-11-23T15:06:34Z", "ann@desk")


def weights(cluster: Cluster) -> dict[str, list[int]]:
    """Service -> the weights of its destinations, one port after the other."""
    return {
        service.name: [destination.weight for destination in service.destinations]
        for service in cluster.services
    }


def test_of_one_service_and_of_all() -> None:
    cluster = clusters.dr_two_directors()
    assert weights(cluster) == {
        "http": [1, 3, 1, 3],
        "https": [1, 1],
        "dns": [1, 0],
        "admin": [1],
        "dns-tcp": [1, 1],
    }
    assert weights(with_drained(cluster, (WEB1_HTTP,))) == {**weights(cluster), "http": [0, 3, 0, 3]}
    assert weights(with_drained(cluster, (WEB1,))) == {
        "http": [0, 3, 0, 3],
        "https": [0, 1],
        "dns": [0, 0],
        "admin": [0],
        "dns-tcp": [0, 1],
    }
    assert with_drained(cluster, ()) is cluster


def test_it_is_worked_out_once() -> None:
    cluster = clusters.smallest()
    assert with_drained(cluster, (WEB1,)) is with_drained(cluster, (WEB1,))
    assert with_drained(cluster, (WEB1,)) is not with_drained(clusters.smallest(), (WEB1,))


def test_in_the_configuration_and_in_the_table() -> None:
    cluster = clusters.smallest()
    goal = desired_goal(cluster, "lvs1", Facts(), drained=[WEB1])
    plain = desired_goal(cluster, "lvs1", Facts())
    before = plain.state.files[CONF].content.decode().splitlines()
    after = goal.state.files[CONF].content.decode().splitlines()
    changed = [(a.strip(), b.strip()) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [("weight 1", "weight 0")]
    (service,) = (goal.state.virtual_services or {}).values()
    assert [(d.address, d.weight) for d in service.destinations] == [("192.0.2.11", 0), ("192.0.2.12", 1)]
    assert goal.drained == (WEB1,)
    assert plain.drained == ()


def test_real_servers_are_as_they_were() -> None:
    cluster = clusters.smallest()
    assert desired_goal(cluster, "web1", Facts(), drained=[WEB1]) == desired_goal(cluster, "web1", Facts())


def test_a_drained_sorry_server_still_says_sorry() -> None:
    service = clusters.service(
        "http", {clusters.WEB1: 1, clusters.WEB2: 1}, sorry_server=SorryServer(ip_address("192.0.2.12"))
    )
    goal = desired_goal(clusters.cluster(service), "lvs1", Facts(), drained=[Drained("web2")])
    assert b"sorry_server 192.0.2.12 80" in goal.state.files[CONF].content


@pytest.mark.parametrize(
    ("drained", "known"),
    [
        ([WEB1], True),
        ([WEB1_HTTP], True),
        ([Drained("web9")], False),
        ([Drained("web1", "nothing")], False),
        ([Drained("web2", "admin")], False),
        ([Drained("lvs1")], False),
        ([Drained("")], False),
    ],
)
def test_what_means_nothing_any_more_is_left_out(drained: list[Drained], known: bool) -> None:  # noqa: FBT001
    cluster = clusters.dr_two_directors()
    assert known_drains(cluster, drained) == (tuple(drained) if known else ())
    goal = desired_goal(cluster, "lvs1", Facts(), drained=drained)
    assert (goal == desired_goal(cluster, "lvs1", Facts())) == (not known)


def test_the_order_does_not_matter() -> None:
    cluster = clusters.dr_two_directors()
    both = [WEB1_HTTP, Drained("web2")]
    assert known_drains(cluster, both) == known_drains(cluster, both[::-1])
    assert desired_goal(cluster, "lvs1", Facts(), drained=both) == desired_goal(
        cluster, "lvs1", Facts(), drained=both[::-1]
    )


def test_goals_of_every_host() -> None:
    """Without drains a goal is what is declared; directors know all hosts, and only they do."""
    for build in clusters.CASES.values():
        cluster = build()
        everyone = {h.name: h.address for h in cluster.hosts() if h.name in render_all(cluster)}
        directors = {director.name for director in cluster.directors}
        for host, state in render_all(cluster).items():
            goal = desired_goal(cluster, host, Facts(os_id="debian"))
            assert goal.state == state
            assert goal.hosts == (everyone if host in directors else {})
    assert "db2" not in desired_goal(clusters.nat_two_directors(), "lvs1", Facts()).hosts


def test_the_expected_table_is_the_declared_one() -> None:
    cluster = clusters.smallest()
    drained = with_drained(cluster, (WEB1,))
    assert expected_table(drained) != expected_table(cluster)
    assert (
        expected_table(drained)
        == desired_goal(cluster, "lvs1", Facts(), drained=[WEB1]).state.virtual_services
    )
