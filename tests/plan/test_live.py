"""What only live hosts can tell."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.plan import live
from lvsdeploy.plan.change import Role
from lvsdeploy.record import Drained, Record
from tests.desired import clusters
from tests.plan.hosts import FACTS, codes, converged, fresh, on, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.host import HostState

VIP = on("eth0", "192.0.2.50/32")


def states(cluster: Cluster, **more: str) -> dict[str, HostState]:
    """Every host before lvsdeploy; `more` are further addresses of a host, as `INTERFACE ADDRESS`."""
    found = {}
    for host in cluster.hosts():
        state = fresh(cluster, host.name)
        added = {on(*text.split()) for text in more.get(host.name, "").split(", ") if text}
        found[host.name] = replace(state, addresses=state.addresses | added)
    return found


def found(
    cluster: Cluster,
    seen: dict[str, HostState],
    records: dict[str, Record] | None = None,
    *,
    whole: bool = False,
) -> list[str]:
    return [
        f"{f.host or 'cluster'}: {f.code} {f.summary}"
        for f in live.about_the_cluster(cluster, seen, records or {}, {}, whole=whole)
    ]


# --- one machine --------------------------------------------------------------------------------------------


def test_no_ipvs() -> None:
    none = replace(FACTS, modules=frozenset(), available_modules=frozenset())
    assert codes(converged(clusters.smallest(), "lvs1", none)) == ["LVS502"]
    assert codes(converged(clusters.smallest(), "web1", none)) == []
    loadable = replace(FACTS, modules=frozenset(), available_modules=frozenset({"ip_vs", "ip_vs_wlc"}))
    assert codes(converged(clusters.smallest(), "lvs1", loadable)) == []
    context = converged(clusters.smallest(), "lvs1", replace(none, kernel="6.1.0"))
    assert plan(context).findings[0].summary == "kernel 6.1.0 has no ip_vs module"


def test_a_distribution_that_is_not_known() -> None:
    facts = replace(FACTS, os_id="void", os_version="")
    for host in ("lvs1", "web1"):
        context = converged(clusters.smallest(), host, facts)
        (finding,) = plan(context).findings
        assert (finding.code, finding.host, finding.is_error, finding.drift) == ("LVS550", host, False, False)
        assert finding.summary == "lvsdeploy does not know void, and takes it for Debian"
    like = replace(facts, os_like=("arch",))
    assert codes(converged(clusters.smallest(), "web1", like)) == []
    strange = converged(clusters.smallest(), "web1", replace(facts, os_version="3", package_manager=None))
    assert plan(strange).findings[0].summary == (
        "lvsdeploy does not know void 3, and takes it for another distribution"
    )
    assert codes(converged(clusters.smallest(), "web1", replace(facts, os_id=""))) == [], "nobody knows"


def test_unread() -> None:
    context = replace(converged(clusters.smallest(), "web1"), unread={"/etc/x": "larger than 8 MiB"})
    (finding,) = plan(context, Role.REAL_SERVER).findings
    assert (finding.code, finding.host) == ("LVS504", "web1")
    assert finding.summary == "/etc/x could not be read: larger than 8 MiB"


# --- machines together --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", clusters.CASES)
def test_fresh_machines_are_fine(name: str) -> None:
    cluster = clusters.CASES[name]()
    seen = states(
        cluster,
        lvs1="eth1 10.2.0.2/24, eth0 2001:db8::2/64, eth1 fd00:2::2/64",
        lvs2="eth1 10.2.0.3/24, eth0 2001:db8::3/64, eth1 fd00:2::3/64",
    )
    assert found(cluster, seen) == []


def test_another_machine_than_is_meant() -> None:
    cluster = clusters.smallest()
    seen = states(cluster)
    seen["web1"] = replace(seen["web1"], addresses=frozenset({on("eth0", "192.0.2.111/24")}))
    seen["lvs1"] = replace(seen["lvs1"], addresses=frozenset({on("eth0", "192.0.2.22/24")}))
    assert found(cluster, seen) == [
        "web1: LVS503 none of its interfaces has the RIP 192.0.2.11",
        "lvs1: LVS503 none of its interfaces has the DIP 192.0.2.2",
    ]


def test_dr_needs_one_network() -> None:
    cluster = clusters.smallest()
    seen = states(cluster)
    seen["lvs1"] = replace(
        seen["lvs1"], addresses=frozenset({on("eth0", "192.0.2.2/32"), on("eth1", "192.0.2.10/31")})
    )
    assert found(cluster, seen) == [
        "lvs1: LVS511 real server web2 (192.0.2.12) is in no subnet of this director"
    ]


def test_an_address_without_a_network_is_no_subnet() -> None:
    """A director that holds the real server's own address reaches no real server through it."""
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}))
    seen = states(cluster)
    own = frozenset({on("eth0", "192.0.2.2/32"), on("lo", "192.0.2.11/32")})
    seen["lvs1"] = replace(seen["lvs1"], addresses=own)
    assert found(cluster, seen) == [
        "lvs1: LVS511 real server web1 (192.0.2.11) is in no subnet of this director"
    ]


def test_nat_does_not_need_it() -> None:
    assert found(clusters.nat_checked_only(), states(clusters.nat_checked_only())) == []


def test_nat_directors_need_an_inside_address_of_their_own() -> None:
    cluster = clusters.nat_two_directors()
    seen = states(cluster, lvs1="eth1 10.2.0.1/24", lvs2="eth1 10.2.0.3/24")
    assert found(cluster, seen) == ["lvs1: LVS505 no interface has an address of its own in 10.2.0.0/24"]


def test_who_holds_what() -> None:
    cluster = clusters.dr_two_directors()
    everything = ", ".join(
        f"eth0 {address}" for address in ("192.0.2.50/32", "192.0.2.60/24", "192.0.2.9/32")
    )
    assert found(cluster, states(cluster, lvs1=everything), whole=True) == []
    assert found(cluster, states(cluster), whole=False) == []
    assert found(cluster, states(cluster), whole=True) == [
        "cluster: LVS542 192.0.2.50 is on no director",
        "cluster: LVS542 192.0.2.9 is on no director",
        "cluster: LVS542 192.0.2.60 is on no director",
    ]
    assert found(cluster, states(cluster, lvs1=everything, lvs2="eth2 192.0.2.60/24")) == [
        "cluster: LVS541 192.0.2.60 is on 2 directors: lvs1, lvs2"
    ]


def test_the_gateway_is_held_where_nat_is_in_use() -> None:
    nat = clusters.nat_two_directors()
    own = {"lvs1": "eth1 10.2.0.2/24, eth0 192.0.2.50/32", "lvs2": "eth1 10.2.0.3/24"}
    assert found(nat, states(nat, **own), whole=True) == ["cluster: LVS542 10.2.0.1 is on no director"]
    assert live.holders_of(nat, states(nat, **own)) == {
        ip_address("192.0.2.50"): ("lvs1",),
        ip_address("10.2.0.1"): (),
    }


def test_a_gateway_that_no_service_needs_is_held_by_nobody() -> None:
    cluster = replace(clusters.smallest(), nat=clusters.INSIDE)
    assert found(cluster, states(cluster, lvs1="eth0 192.0.2.50/32"), whole=True) == []


def test_hosts_that_were_not_read_are_not_judged() -> None:
    assert found(clusters.dr_two_directors(), {}) == []


# --- what directors remember --------------------------------------------------------------------------------


def remembered(**records: Mapping[str, object]) -> dict[str, Record]:
    """Records by host, of which only some parts matter."""
    return {name: Record(path="x", cluster="shop", **parts) for name, parts in records.items()}  # type: ignore[arg-type]


def told(cluster: Cluster, records: dict[str, Record]) -> list[str]:
    return found(cluster, {}, records)


def test_a_host_that_was_removed_from_the_inventory() -> None:
    cluster = clusters.dr_two_directors()
    line = "cluster: LVS528 {} ({}) was a host of this cluster, and is not in the inventory any more"
    web9 = line.format("web9", "192.0.2.19")
    assert told(cluster, remembered(lvs1={"former": {"web9": "192.0.2.19"}})) == [web9]
    # A plan tells before the first apply without it: then the record has it among the hosts.
    assert told(cluster, remembered(lvs1={"hosts": {"web9": "192.0.2.19", "web1": "192.0.2.11"}})) == [web9]
    both = remembered(lvs1={"former": {"web9": "192.0.2.19"}}, lvs2={"hosts": {"a": "192.0.2.18"}})
    assert told(cluster, both) == [line.format("a", "192.0.2.18"), web9]
    (finding,) = live.about_the_cluster(
        cluster, {}, remembered(lvs1={"former": {"web9": "192.0.2.19"}}), {}, whole=False
    )
    assert finding.fix == "Clean it: lvsdeploy destroy INVENTORY --limit 192.0.2.19"
    assert (finding.is_error, finding.drift) == (False, False)


@pytest.mark.parametrize("name", ["web1", "renamed"])
def test_a_host_whose_address_is_still_in_the_inventory(name: str) -> None:
    cluster = clusters.dr_two_directors()
    assert (
        told(cluster, remembered(lvs1={"former": {name: "192.0.2.11"}, "hosts": {name: "192.0.2.11"}})) == []
    )


def test_a_host_that_is_no_longer_managed_is_still_named() -> None:
    cluster = clusters.nat_two_directors()
    assert told(cluster, remembered(lvs1={"hosts": {"db2": "10.2.0.22"}})) == []


def test_a_drain_that_only_one_director_knows() -> None:
    cluster = clusters.dr_two_directors()
    away = {"drained": (Drained("web1", "", "then", "ann"),)}
    of_one = {"drained": (Drained("web1", "http", "then", "ann"),)}
    later = {"drained": (Drained("web1", "", "later", "bob"),)}
    line = "cluster: LVS529 web1{} is drained on {} and not on {}"
    assert told(cluster, remembered(lvs1=away, lvs2={})) == [line.format("", "lvs1", "lvs2")]
    assert told(cluster, remembered(lvs1={}, lvs2=of_one)) == [line.format(" of http", "lvs2", "lvs1")]
    assert told(cluster, remembered(lvs1=away, lvs2=of_one)) == [
        line.format("", "lvs1", "lvs2"),
        line.format(" of http", "lvs2", "lvs1"),
    ]
    # Who drained it and when need not be the same.
    assert told(cluster, remembered(lvs1=away, lvs2=later)) == []
    assert told(cluster, remembered(lvs1={}, lvs2={})) == []


def test_a_drain_that_means_nothing_any_more_is_not_told() -> None:
    cluster = clusters.dr_two_directors()
    gone = {"drained": (Drained("web9"), Drained("web1", "nothing"))}
    assert told(cluster, remembered(lvs1=gone, lvs2={})) == []


def test_directors_that_were_not_read_and_real_servers_have_no_say() -> None:
    cluster = clusters.dr_two_directors()
    away = {"drained": (Drained("web1"),)}
    assert told(cluster, remembered(lvs1=away)) == []
    assert told(cluster, remembered(lvs1=away, web1={})) == []
    assert told(cluster, {**remembered(lvs1=away), "lvs2": Record()}) == []
