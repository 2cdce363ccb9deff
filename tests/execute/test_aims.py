"""What a command wants of a host: what it asks for, and the plan that follows."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import KEEPALIVED_CONF
from lvsdeploy.desired.firewall import LOADERS
from lvsdeploy.execute.aims import Aim, Forget, Options, Remove, Restore, Scene
from lvsdeploy.inventory.model import Scheduler
from lvsdeploy.observe import Observation
from lvsdeploy.plan import codes
from lvsdeploy.record import (
    KEPT,
    Drained,
    Entry,
    Goal,
    Stamp,
    dump_goal,
    history_path,
    manifest_of,
    manifest_path,
)
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.network import Rule
from tests.desired import clusters
from tests.plan.hosts import FACTS, RECORD, converged, fresh, routes

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Director, RealServer
    from lvsdeploy.plan.change import HostPlan
    from lvsdeploy.state.host import HostState

SHOP = clusters.smallest()
OPTIONS = Options(stamp=Stamp("20261124T000000Z-ffff", "2026-11-24T00:00:00Z", "ann@desk", "rollback"))
WEB1 = converged(SHOP, "web1")


def declared(name: str) -> Director | RealServer:
    return next(host for host in SHOP.hosts() if host.name == name)


def stamp(number: int) -> Stamp:
    return Stamp(f"202611{number:02}T080000Z-0001", f"2026-11-{number:02}T08:00:00Z", "ann@desk")


def scene(state: HostState, host: str = "web1") -> Scene:
    return Scene(SHOP, declared(host), Observation(FACTS, state), OPTIONS)


def remembering(days: range, kept: dict[int, Goal] | None = None, host: str = "web1") -> HostState:
    """A host as declared, which remembers an apply a day, and what those in `kept` left."""
    context = converged(SHOP, host)
    state = context.actual
    record = replace(context.record, history=tuple(Entry(stamp(day)) for day in days))
    goals = {
        path: File(path, dump_goal(goal), 0o600)
        for day, goal in (kept or {}).items()
        if (path := history_path("shop", stamp(day).id))
    }
    return replace(state, files={**state.files, RECORD: manifest_of(record, secret=False), **goals})


def summary(plan: HostPlan) -> list[str]:
    return [f"{change.action.value} {change.kind.value} {change.name}" for change in plan.changes]


def lost(plan: HostPlan) -> str:
    (finding,) = plan.findings
    assert (plan.changes, finding.code, plan.refused) == ((), codes.NO_WAY_BACK.code, True)
    return finding.summary


# --- as declared --------------------------------------------------------------------------------------------


def test_as_declared_nothing_is_to_be_done() -> None:
    assert Aim().plan(scene(WEB1.actual)).changes == ()


def test_a_director_keeps_its_drains_and_an_edit_makes_others() -> None:
    drained = (Drained("web1", "", "2026-11-01T08:00:00Z", "bob@desk"),)
    state = converged(SHOP, "lvs1", drained=drained).actual
    assert Aim().plan(scene(state, "lvs1")).changes == ()
    back = Aim(lambda _drained: ()).plan(scene(state, "lvs1"))
    assert any("keepalived.conf" in line for line in summary(back))
    assert Aim(lambda _drained: drained).plan(scene(state, "lvs1")).changes == ()


def test_only_directors_are_asked_about_tables_and_counters() -> None:
    for name, asked in (("lvs1", True), ("web1", False)):
        request = Aim().request(SHOP, declared(name), Options(counters=True))
        assert (request.table is not None, request.counters) == (asked, asked)
        assert request.record == manifest_path("shop")
        assert not Aim().request(SHOP, declared(name), Options()).counters


def test_directors_are_asked_for_ways_and_for_neighbours_that_nobody_logs_in_to() -> None:
    cluster = clusters.tunnels()
    far, web = (next(h for h in cluster.hosts() if h.name == name) for name in ("lvs1", "web1"))
    rips = ("10.2.0.11", "192.0.2.11", "2001:db8:2::11", "2001:db8:2::16")
    assert sorted(map(str, Aim().request(cluster, far, Options()).ways)) == sorted(rips)
    assert Aim().request(cluster, web, Options()).ways == ()
    assert Aim().request(SHOP, declared("lvs1"), Options()).ways == (), "nothing is wrapped"
    nat = clusters.nat_two_directors()
    lvs1, db1 = (next(h for h in nat.hosts() if h.name == name) for name in ("lvs1", "db1"))
    asked = [[str(a) for a in Aim().request(nat, host, Options()).neighbours] for host in (lvs1, db1)]
    assert asked == [["192.0.2.50", "10.2.0.22"], ["192.0.2.50"]]


def test_rules_by_source_are_asked_for_where_there_is_ipv6() -> None:
    dual = clusters.dual_stack()
    asked = {host.name: Aim().request(dual, host, Options()).policy for host in dual.hosts()}
    assert asked == {"web1": True, "db1": True, "lvs1": False}
    assert not Aim().request(SHOP, declared("web1"), Options()).policy


def test_a_real_server_is_judged_by_the_way_that_its_rip_takes() -> None:
    cluster = clusters.nat_checked_only()
    db1 = next(host for host in cluster.hosts() if host.name == "db1")
    state = converged(cluster, "db1").actual
    elsewhere = replace(
        state,
        routes=routes("default via 10.2.0.9 dev eth0"),
        tables={"100": state.routes},
        rules={4: (Rule(ip_network("10.2.0.21"), "100"), Rule(None, "main"))},
    )
    for there, found in ((elsewhere, []), (replace(elsewhere, rules={}), ["LVS512"])):
        plan = Aim().plan(Scene(cluster, db1, Observation(FACTS, there), OPTIONS))
        assert [finding.code for finding in plan.findings] == found


def test_a_director_keeps_what_is_to_go_beside_what_comes_for_now() -> None:
    """Both are in the configuration and in the table then."""
    lvs1 = converged(SHOP, "lvs1").actual
    anew = clusters.cluster(
        clusters.service("http", {clusters.WEB2: 3}),
        clusters.service("other", {clusters.WEB2: 1}, 8080),
    )

    def plan(*, keeps_leaving: bool) -> HostPlan:
        there = scene(lvs1, "lvs1")
        return Aim().plan(replace(there, cluster=anew, keeps_leaving=keeps_leaving))

    def tables(plan: HostPlan) -> list[list[str]]:
        return [[f"{d} weight {d.weight}" for d in service.destinations] for service in plan.table]

    for_now, later = plan(keeps_leaving=True), plan(keeps_leaving=False)
    other = ["192.0.2.12:8080 weight 1"]
    assert tables(for_now) == [["192.0.2.11:80 weight 1", "192.0.2.12:80 weight 3"], other]
    assert tables(later) == [["192.0.2.12:80 weight 3"], other]
    configurations = [
        next(s.content for s in p.steps() if s.words[:2] == ("stage", KEEPALIVED_CONF))
        for p in (for_now, later)
    ]
    assert [(c or b"").count(b"real_server 192.0.2.11 80") for c in configurations] == [1, 0]
    assert not [line for line in summary(for_now) if line.startswith("delete destination")]
    assert "delete destination 192.0.2.11:80 of tcp 192.0.2.50:80" in summary(later)


def test_a_real_server_has_no_destinations_to_keep() -> None:
    there = scene(WEB1.actual)
    assert Aim().plan(replace(there, keeps_leaving=True)).changes == ()


# --- nothing at all -----------------------------------------------------------------------------------------


def test_to_remove_asks_for_the_record_which_names_the_rest() -> None:
    request = Remove().request(SHOP, declared("web1"), Options())
    assert (set(request.files), request.record, request.table) == ({RECORD}, RECORD, None)
    assert not Remove.declared


def test_to_remove_what_is_there_and_nothing_where_nothing_is() -> None:
    plan = Remove().plan(scene(WEB1.actual))
    assert {line.split()[0] for line in summary(plan)} == {"delete", "update"}
    assert all(step.words[0] != "place" for step in plan.steps()), "not one file is written"
    assert Remove().plan(scene(fresh(SHOP, "web1"))).changes == ()


# --- what it was --------------------------------------------------------------------------------------------

OTHER = replace(WEB1.goal, state=replace(WEB1.goal.state, sysctls={}))


@pytest.mark.parametrize(
    ("aim", "day"),
    [
        (Restore(to=stamp(3).id), 3),
        (Restore(to="20261104T235959Z-0000"), 4),  # another host's; this one was last changed before it
        (Restore(before=stamp(3).id), 2),
        (Restore(before=stamp(9).id), 5),
        (Restore(to=stamp(9).id), 5),
    ],
)
def test_which_apply_is_gone_back_to(aim: Restore, day: int) -> None:
    record = scene(remembering(range(1, 6))).record
    assert aim.further(SHOP, record) == (history_path("shop", stamp(day).id),)
    state = remembering(range(1, 6), {day: OTHER})
    assert "update sysctl" not in " ".join(summary(Aim().plan(scene(state))))
    assert any(line.startswith("update sysctl") for line in summary(aim.plan(scene(state))))


@pytest.mark.parametrize("aim", [Restore(to="20200101T000000Z-0000"), Restore(before=stamp(1).id)])
def test_before_the_first_apply_there_was_nothing(aim: Restore) -> None:
    state = remembering(range(1, KEPT))
    assert aim.further(SHOP, scene(state).record) == ()
    assert summary(aim.plan(scene(state))) == summary(Remove().plan(scene(state)))


@pytest.mark.parametrize("aim", [Restore(to="20200101T000000Z-0000"), Restore(before=stamp(1).id)])
def test_before_the_oldest_that_is_kept_nobody_knows(aim: Restore) -> None:
    said = lost(aim.plan(scene(remembering(range(1, KEPT + 1)))))
    assert said == "what it was then is no longer kept: only the last ten applies are"


PATH = history_path("shop", stamp(2).id)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (None, "is not there, or cannot be read"),
        (File(PATH, b"", kind=FileKind.DIRECTORY), "is not there, or cannot be read"),
        (File(PATH, b""), "cannot be used"),
        (File(PATH, b"{}"), "cannot be used"),
        (File(PATH, dump_goal(OTHER)[:-20]), "cannot be used"),
    ],
)
def test_what_was_kept_and_is_of_no_use(file: File | None, says: str) -> None:
    state = remembering(range(1, 3))
    if file is not None:
        state = replace(state, files={**state.files, PATH: file})
    said = lost(Restore(to=stamp(2).id).plan(scene(state)))
    assert said.startswith(PATH)
    assert says in said


def test_what_is_no_longer_there() -> None:
    finding = Restore(to=stamp(2).id).plan(scene(remembering(range(1, 3)))).findings[0]
    assert (finding.code, finding.host, finding.is_error) == ("LVS532", "web1", True)
    assert finding.summary == (
        "/var/lib/lvsdeploy/shop/history/20261102T080000Z-0001.json is not there, or cannot be read"
    )
    kept = remembering(range(1, 3), {2: OTHER})
    assert Restore(to=stamp(2).id).plan(scene(kept)).findings == ()


def test_what_was_kept_and_cannot_be_read() -> None:
    state = remembering(range(1, 3), {2: OTHER})
    unread = replace(scene(state), observation=Observation(FACTS, state, unread={PATH: "too large"}))
    assert "cannot be read" in lost(Restore(to=stamp(2).id).plan(unread))


def test_to_go_back_may_drop_what_it_went_back_to() -> None:
    """It is one more apply, and read back when the oldest is gone."""
    aim = Restore(to=stamp(1).id)
    assert aim.plan(scene(remembering(range(1, KEPT + 1), {1: WEB1.goal}))).changes == ()
    after = aim.plan(scene(remembering(range(2, KEPT + 2))))
    assert (after.changes, after.findings) == ((), ())


def test_to_go_back_to_nothing_may_fill_the_history() -> None:
    aim = Restore(to="20200101T000000Z-0000")
    assert aim.plan(scene(remembering(range(1, KEPT)))).changes
    assert not aim.plan(scene(remembering(range(1, KEPT + 1)))).refused


def test_each_host_goes_back_to_its_own() -> None:
    aim = Restore(to=stamp(1).id)
    state = remembering(range(1, 3), {1: OTHER})
    assert aim.plan(scene(state)).changes
    elsewhere = aim.plan(scene(remembering(range(2, 3), host="web2"), "web2"))
    assert elsewhere.changes, "web2 was not there on that day"
    assert {line.split()[0] for line in summary(elsewhere)} == {"delete", "update"}


@pytest.mark.parametrize("host", ["lvs1", "web1"])
def test_to_go_back_asks_what_any_role_may_need(host: str) -> None:
    """The host may have been a director then, with other schedulers."""
    request = Restore(to=stamp(1).id).request(SHOP, declared(host), Options(counters=True))
    now = Aim().request(SHOP, declared(host), Options(counters=True))
    assert {KEEPALIVED_CONF, "/etc/keepalived", "/etc/ipvsadm.rules"} <= request.files.keys()
    assert {path: request.files[path] for path in now.files} == dict(now.files), "with what is expected there"
    assert request.units == ("ipvsadm", "keepalived", "lvsdeploy-shop")
    assert set(request.programs) == {"ip", "ipvsadm", "keepalived", *LOADERS}
    assert request.table is not None
    assert set(request.modules) == {
        "ip_vs",
        "ip_vs_pe_sip",
        "macvlan",
        *(f"ip_vs_{scheduler}" for scheduler in Scheduler),
    }
    assert request.counters == now.counters
    assert request.record == now.record


# --- clients must not be sent to what has been cleaned ------------------------------------------------------

THEN = clusters.smallest()
WITHOUT_WEB2 = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}), real_servers=(clusters.WEB1,))
HERE = {"lvs1": "192.0.2.2", "web1": "192.0.2.11"}


def back_to_web2(hosts: dict[str, str], former: dict[str, str]) -> HostPlan:
    """A director goes back to when it sent clients to web2, which the inventory has no more."""
    director = converged(WITHOUT_WEB2, "lvs1")
    goal = converged(THEN, "lvs1").goal
    assert goal.hosts["web2"] == "192.0.2.12"
    known = replace(director.record, history=(Entry(stamp(1)), Entry(stamp(2))), hosts=hosts, former=former)
    path = history_path("shop", stamp(1).id)
    state = replace(
        director.actual,
        files={
            **director.actual.files,
            RECORD: manifest_of(known, secret=False),
            path: File(path, dump_goal(goal), 0o600),
        },
    )
    there = replace(scene(state, "lvs1"), cluster=WITHOUT_WEB2)
    return Restore(to=stamp(1).id).plan(there)


def test_no_way_back_to_a_host_that_was_cleaned() -> None:
    said = lost(back_to_web2(hosts=HERE, former={}))
    assert said == "it would send clients to web2 (192.0.2.12), cleaned since by `destroy`"


@pytest.mark.parametrize(
    "record",
    [
        {"hosts": HERE, "former": {"web2": "192.0.2.12"}},
        {"hosts": {**HERE, "web2": "192.0.2.12"}, "former": {}},
        {"hosts": HERE, "former": {"another-name": "192.0.2.12"}},
    ],
    ids=["it left the inventory", "it is still a host", "it has another name now"],
)
def test_a_way_back_to_a_host_that_somebody_looks_after(record: dict[str, dict[str, str]]) -> None:
    plan = back_to_web2(**record)
    assert not plan.refused
    assert any(line.startswith("create destination 192.0.2.12:80") for line in summary(plan))


def test_a_host_that_got_no_clients_then_need_not_be_there_now() -> None:
    then = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}))  # web2 is in no service
    goal = converged(then, "lvs1").goal
    state = remembering(range(1, 3), {1: replace(goal, hosts={**goal.hosts, "web9": "192.0.2.19"})}, "lvs1")
    assert not Restore(to=stamp(1).id).plan(scene(state, "lvs1")).refused


# --- hosts that are gone ------------------------------------------------------------------------------------


def test_directors_forget_hosts_by_address() -> None:
    director = converged(SHOP, "lvs1")
    record = replace(director.record, former={"web9": "192.0.2.19", "web8": "192.0.2.18"})
    files = {**director.actual.files, RECORD: manifest_of(record, secret=False)}
    state = replace(director.actual, files=files)
    plan = Forget(frozenset({"192.0.2.19"})).plan(scene(state, "lvs1"))
    assert [change.kind.value for change in plan.changes] == ["record"]
    assert Forget(frozenset({"192.0.2.77"})).plan(scene(state, "lvs1")).changes == ()
