"""The record on a host: what it says, when it is written, and what it keeps from happening."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.plan.bookkeeping import forget_hosts, next_record
from lvsdeploy.plan.change import Action, Kind, Phase, Reason
from lvsdeploy.record import (
    KEPT,
    Drained,
    Entry,
    Record,
    RecordedFile,
    RecordedSysctl,
    RecordedUnit,
    Stamp,
    dump_goal,
    load_goal,
    manifest_of,
    read_record,
)
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.unit import Unit
from tests.desired import clusters
from tests.plan.hosts import (
    CONF,
    FIRST,
    MODULES,
    RECORD,
    SCRIPT,
    STAMP,
    SYSCTL_D,
    UNIT,
    changed,
    codes,
    converged,
    declared_anew,
    folders,
    given_up,
    on,
    plan,
    remembering,
    seen,
    steps,
    told,
    untouched,
    with_file,
    without,
    writing,
)
from tests.plan.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.plan.change import Step
    from lvsdeploy.plan.context import Context

SHOP = clusters.smallest()
ONE_SERVER = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}))
KEPT_GOAL = f"/var/lib/lvsdeploy/shop/history/{STAMP.id}.json"
VIP = on("lo", "192.0.2.50/32")


def web() -> Context:
    return converged(SHOP, "web1")


def lvs() -> Context:
    return converged(SHOP, "lvs1")


def edited() -> Context:
    """A host on which something is to be mended."""
    return with_file(web(), SYSCTL_D, content=b"mine\n")


def content(path: str, of: Iterable[Step]) -> bytes:
    (found,) = [step.content for step in of if step.words[:2] == ("stage", path)]
    assert found is not None
    return found


def written(context: Context) -> Record:
    """The record that the plan writes."""
    record = read_record(File(RECORD, content(RECORD, plan(context).steps())))
    assert not record.problem
    return record


# --- what it says -------------------------------------------------------------------------------------------


def test_of_a_real_server() -> None:
    context = untouched(SHOP, "web1")
    record = written(context)
    assert record == next_record(context, plan(context).changes)
    assert record.digests == {path: file.digest for path, file in context.desired.files.items()}
    assert {file.before for file in record.files.values()} == {None}
    assert record.sysctls == {
        "net.ipv4.conf.all.arp_ignore": RecordedSysctl(1, 0),
        "net.ipv4.conf.all.arp_announce": RecordedSysctl(2, 0),
        "net.ipv4.conf.eth0.arp_ignore": RecordedSysctl(1, 0),
        "net.ipv4.conf.eth0.arp_announce": RecordedSysctl(2, 0),
    }
    assert record.addresses == {VIP: False}
    assert record.units == {"lvsdeploy-shop": RecordedUnit()}
    assert (record.routes, record.hosts, record.former, record.packages) == ((), {}, {}, ())
    assert record.folders == (
        "/etc/lvsdeploy",
        "/etc/lvsdeploy/shop",
        "/var/lib/lvsdeploy",
        "/var/lib/lvsdeploy/shop",
        "/var/lib/lvsdeploy/shop/history",
    )


def test_of_a_director() -> None:
    record = written(untouched(SHOP, "lvs1"))
    assert set(record.files) == {CONF, MODULES, SYSCTL_D}
    assert record.hosts == {"web1": "192.0.2.11", "web2": "192.0.2.12", "lvs1": "192.0.2.2"}
    assert record.packages == ("ipvsadm", "keepalived")
    assert "/etc/keepalived" in record.folders


def test_of_a_nat_real_server() -> None:
    context = untouched(clusters.nat_two_directors(), "db1")
    record = next_record(context)
    (route,) = record.routes
    assert str(route.via) == "10.2.0.1"
    assert route.before == ("default", "via", "192.0.2.1", "dev", "eth0", "proto", "static")
    assert next_record(untouched(clusters.nat_checked_only(), "db1")) == Record(cluster="shop")


def test_who_did_what_and_when() -> None:
    history = written(edited()).history
    assert [entry.stamp for entry in history] == [FIRST, STAMP]
    assert history[-1].changes == (f"update file {SYSCTL_D} [changed on the host]",)


def test_many_changes_are_told_in_short() -> None:
    services = [clusters.service(f"s{n}", {clusters.WEB1: 1}, 1000 + n) for n in range(40)]
    context = untouched(clusters.cluster(*services), "lvs1")
    lines = written(context).history[-1].changes
    assert len(lines) == 21
    assert lines[-1] == f"and {len(plan(context).changes) - 20} more"


def test_two_rounds_of_one_apply_are_one_entry() -> None:
    context = edited()
    done = seen(
        SHOP, "web1", with_file(edited(), RECORD, content=content(RECORD, plan(context).steps())).actual
    )
    again = changed(done, addresses=done.actual.addresses - {VIP})
    assert [entry.stamp for entry in written(again).history] == [FIRST, STAMP]
    assert written(again).history[-1].changes == (
        f"update file {SYSCTL_D} [changed on the host]",
        f"update file {SYSCTL_D} [changed on the host]",
        f"create address {VIP} [changed on the host]",
    )


def test_only_the_last_applies_are_kept() -> None:
    stamps = [Stamp(f"202610{n:02}T000000Z-0000", "", "") for n in range(1, KEPT + 1)]
    context = remembering(edited(), history=tuple(Entry(stamp) for stamp in stamps))
    assert [entry.stamp for entry in written(context).history] == [*stamps[1:], STAMP]
    assert f"remove /var/lib/lvsdeploy/shop/history/{stamps[0].id}.json" in writing(context)
    assert len([words for words in writing(context) if words.startswith("remove")]) == 1


def test_the_goal_is_kept_to_come_back_to() -> None:
    context = declared_anew(lvs(), SHOP, drained=[Drained("web1")])
    (step,) = [step for step in plan(context).steps() if step.words[:2] == ("stage", KEPT_GOAL)]
    assert step.words == ("stage", KEPT_GOAL, "0600", "root:root")
    assert step.content == dump_goal(context.goal)
    assert load_goal(step.content) == context.goal


@pytest.mark.parametrize(
    ("context", "mode"),
    [
        (untouched(SHOP, "web1"), "0644"),
        (untouched(clusters.dr_two_directors(), "web1"), "0644"),
        (untouched(clusters.dr_two_directors(), "lvs1"), "0600"),
    ],
    ids=["real server", "real server of a secret", "director with a secret"],
)
def test_who_may_read_it(context: Context, mode: str) -> None:
    """The digest of a file with a password of eight characters tells it to who tries them all."""
    assert f"stage {RECORD} {mode} root:root" in writing(context)


def test_what_stood_there_before_may_have_been_a_secret() -> None:
    context = untouched(SHOP, "lvs1")
    theirs = File(CONF, b"auth_pass theirs\n", 0o640)
    context = changed(context, files={**context.actual.files, CONF: theirs})
    context = replace(context, adopt=True)
    assert f"stage {RECORD} 0600 root:root" in writing(context)
    assert written(context).files[CONF].before == theirs.digest


# --- when it is written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", clusters.CASES)
@pytest.mark.parametrize("drained", [(), (Drained("web1"), Drained("db1", "api"))])
def test_nothing_to_do_writes_nothing(name: str, drained: tuple[Drained, ...]) -> None:
    cluster = clusters.CASES[name]()
    for host in cluster.hosts():
        if host.name != "db2":
            assert plan(converged(cluster, host.name, drained=drained)).steps() == ()


def test_it_is_written_last() -> None:
    phases = [step.phase for step in plan(edited()).steps()]
    assert phases == sorted(phases)
    assert writing(edited()) == [
        f"stage {KEPT_GOAL} 0600 root:root",
        f"stage {RECORD} 0644 root:root",
        f"place {KEPT_GOAL}",
        f"place {RECORD}",
    ]
    assert [words.split()[0] for words in steps(edited())] == ["stage", "place"]
    assert plan(edited()).steps()[-1].phase is Phase.RECORD


def test_it_is_no_change_of_its_own_beside_others() -> None:
    assert [change.kind for change in plan(edited()).changes] == [Kind.FILE]
    assert plan(edited()).bookkeeping


def lost(context: Context, *paths: str) -> Context:
    return replace(changed(context, files=without(context.actual.files, RECORD, *paths)), record=Record())


ALONE = {
    "lost": (lost(web()), f"create record {RECORD} [not there yet]"),
    "a host was added": (
        remembering(lvs(), hosts=without(lvs().record.hosts, "web2")),
        f"update record {RECORD} [changed in the inventory]: hosts: to be written down",
    ),
    "something is missing in it": (
        remembering(web(), sysctls={}, units={}),
        f"update record {RECORD} [changed on the host]: sysctls, units: to be written down",
    ),
    "others may write it": (
        with_file(web(), RECORD, mode=0o666),
        f"update record {RECORD} [changed on the host]: mode 0666, declared 0644",
    ),
    "all of it is gone already": (
        replace(
            given_up(untouched(SHOP, "web1")),
            record=web().record,
            actual=changed(
                untouched(SHOP, "web1"),
                files={**untouched(SHOP, "web1").actual.files, RECORD: web().actual.files[RECORD]},
            ).actual,
        ),
        f"delete record {RECORD} [no longer declared]",
    ),
}


@pytest.mark.parametrize("case", ALONE)
def test_it_is_told_where_nothing_else_changes(case: str) -> None:
    context, line = ALONE[case]
    assert told(context) == [line]
    assert plan(context).bookkeeping == ()
    assert writing(context)
    assert codes(context) == []


def test_nothing_of_ours_needs_no_record() -> None:
    context = untouched(ONE_SERVER, "web2")
    assert (told(context), writing(context)) == ([], [])


def test_a_host_that_nothing_is_declared_for_any_more_can_be_gone_back_to() -> None:
    context = declared_anew(converged(SHOP, "web2"), ONE_SERVER)
    record = written(context)
    assert record.empty
    assert [entry.stamp for entry in record.history] == [FIRST, STAMP]
    assert record.folders == (
        "/var/lib/lvsdeploy",
        "/var/lib/lvsdeploy/shop",
        "/var/lib/lvsdeploy/shop/history",
    )
    machine = Machine(context.actual, {})
    after = seen(ONE_SERVER, "web2", machine.run(plan(context).steps()))
    assert (told(after), writing(after), codes(after)) == ([], [], [])
    assert told(given_up(after)) == [f"delete record {RECORD} [no longer declared]"]


def test_with_the_last_thing_the_record_goes() -> None:
    context = given_up(converged(SHOP, "web2"))
    assert writing(context) == [
        f"remove {RECORD}",
        f"remove /var/lib/lvsdeploy/shop/history/{FIRST.id}.json",
        *(
            f"on_commit rmdir_if_empty {folder}"
            for folder in (
                "/var/lib/lvsdeploy/shop/history",
                "/var/lib/lvsdeploy/shop",
                "/var/lib/lvsdeploy",
                "/etc/lvsdeploy/shop",
                "/etc/lvsdeploy",
            )
        ),
    ]


def test_a_folder_that_holds_nothing_of_ours_any_more_goes() -> None:
    """A real server that becomes a director."""
    director = replace(clusters.LVS2, name="web2", dip=clusters.WEB2.rip, address=clusters.WEB2.address)
    anew = replace(ONE_SERVER, directors=(director,), real_servers=(clusters.WEB1,))
    context = declared_anew(converged(SHOP, "web2"), anew)
    assert [words for words in writing(context) if "rmdir" in words] == [
        "on_commit rmdir_if_empty /etc/lvsdeploy/shop",
        "on_commit rmdir_if_empty /etc/lvsdeploy",
    ]
    assert "/etc/keepalived" in written(context).folders


def test_folders_that_were_there_are_not_ours() -> None:
    context = untouched(SHOP, "web1")
    context = changed(
        context, files={**context.actual.files, **folders("/etc/lvsdeploy", "/var/lib/lvsdeploy")}
    )
    assert "/etc/lvsdeploy" not in written(context).folders
    assert "/etc/lvsdeploy/shop" in written(context).folders


# --- what was there before ----------------------------------------------------------------------------------


def test_what_was_there_before_is_asked_once() -> None:
    """What we found like that at the second apply is what we made of it at the first."""
    first = next_record(untouched(SHOP, "web1"))
    context = edited()
    assert written(context).sysctls == first.sysctls
    assert written(context).addresses == first.addresses
    assert {p: f.before for p, f in written(context).files.items()} == dict.fromkeys(first.files)


def test_a_record_that_was_lost_does_not_make_ours_theirs() -> None:
    """Our own text tells that we were here; how it was before that, nothing tells any more."""
    record = written(lost(web()))
    assert record.addresses == {VIP: False}
    assert {sysctl.before for sysctl in record.sysctls.values()} == {None}
    assert record.units == {"lvsdeploy-shop": RecordedUnit()}
    assert {file.before for file in record.files.values()} == {None}
    director = written(lost(lvs()))
    assert director.units == {"keepalived": RecordedUnit()}
    gone = given_up(replace(lost(web()), record=record))
    assert f"delete address {VIP} [no longer declared]" in told(gone)


def test_without_a_trace_of_ours_what_is_there_was_there() -> None:
    """VIPs that somebody put on lo by hand, before anybody heard of lvsdeploy."""
    context = untouched(SHOP, "web1")
    context = changed(
        context,
        addresses=context.actual.addresses | {VIP},
        sysctls={**context.actual.sysctls, "net.ipv4.conf.all.arp_ignore": 1},
    )
    record = written(context)
    assert record.addresses == {VIP: True}
    assert record.sysctls["net.ipv4.conf.all.arp_ignore"] == RecordedSysctl(1, 1)


@pytest.mark.parametrize(
    ("files", "unit", "before"),
    [
        ((), None, RecordedUnit()),
        ((), Unit("keepalived", enabled=True, active=False), RecordedUnit(enabled=True)),
        ((), Unit("keepalived", enabled=True, active=True), RecordedUnit(enabled=True)),
        ((CONF,), Unit("keepalived", enabled=False, active=True), RecordedUnit(active=True)),
        ((CONF,), Unit("keepalived", enabled=True, active=True), RecordedUnit(enabled=True, active=True)),
    ],
)
def test_how_keepalived_was_before(files: tuple[str, ...], unit: Unit | None, before: RecordedUnit) -> None:
    context = replace(untouched(SHOP, "lvs1"), adopt=True)
    theirs = {path: File(path, b"theirs\n") for path in files}
    context = changed(
        context,
        files={**context.actual.files, **theirs},
        units={"keepalived": unit} if unit else {},
    )
    assert next_record(context).units == {"keepalived": before}


# --- a record that cannot be used ---------------------------------------------------------------------------

GOOD = json.loads(web().actual.files[RECORD].content)


def with_record(text: bytes, context: Context | None = None) -> Context:
    return seen(SHOP, "web1", with_file(context or web(), RECORD, content=text).actual)


@pytest.mark.parametrize("text", [b"", b"{}", json.dumps({**GOOD, "format": 1}).encode()])
def test_a_garbled_record_refuses(text: bytes) -> None:
    context = with_record(text)
    assert codes(context) == ["LVS523"]
    assert plan(context).refused
    assert told(context) == []
    assert writing(context) == []


@pytest.mark.parametrize("text", [b"", b"{}", json.dumps({**GOOD, "format": 1}).encode()])
def test_a_garbled_record_is_replaced_when_it_may_be(text: bytes) -> None:
    context = replace(with_record(text), adopt=True)
    assert codes(context) == []
    assert told(context) == [f"update record {RECORD} [written by somebody else]"]
    assert writing(context)[-3:] == [f"keep_copy {RECORD}", f"place {KEPT_GOAL}", f"place {RECORD}"]
    assert written(context).addresses == {VIP: False}


def test_files_beside_a_garbled_record_are_nobody_s() -> None:
    """Nothing is called foreign when there is no telling; nothing is taken away."""
    context = with_record(b"{}", with_file(web(), SCRIPT, content=b"older\n"))
    assert codes(context) == ["LVS523"]
    assert told(given_up(context)) == []


@pytest.mark.parametrize("adopt", [False, True])
def test_a_record_that_could_not_be_read_is_left_alone(adopt: bool) -> None:  # noqa: FBT001
    context = with_file(with_file(web(), RECORD, content=b""), SCRIPT, content=b"older\n")
    context = replace(context, record=Record(), unread={RECORD: "only another user may read it"}, adopt=adopt)
    assert codes(context) == ["LVS504"]
    assert not [words for words in writing(context) if RECORD in words]


@pytest.mark.parametrize("kind", [FileKind.DIRECTORY, FileKind.SYMLINK, FileKind.OTHER])
def test_a_record_that_is_no_file_is_left_alone(kind: FileKind) -> None:
    context = seen(SHOP, "web1", with_file(web(), RECORD, content=b"", kind=kind).actual)
    assert codes(context) == ["LVS520"]
    assert codes(replace(context, adopt=True)) == ["LVS520"]
    assert writing(context) == []


def test_what_the_record_claims_and_is_not_there_is_left_alone() -> None:
    claims = {
        **GOOD,
        "files": {**GOOD["files"], CONF: {"sha256": "0" * 64, "before": None}},
        "units": {**GOOD["units"], "keepalived": {"enabled": False, "active": False}},
        "addresses": {**GOOD["addresses"], "198.51.100.1/32 lo": False},
    }
    context = with_record(json.dumps(claims).encode())
    assert told(context) == [
        f"update record {RECORD} [changed on the host]: files, addresses, units: to be written down"
    ]


OTHER = "/var/lib/lvsdeploy/blog/manifest.json"


@pytest.mark.parametrize("text", [b"", b"{}", json.dumps({**GOOD, "format": 1, "cluster": "blog"}).encode()])
def test_another_cluster_s_garbled_record_refuses(text: bytes) -> None:
    """What that cluster needs of this host, a VIP or a sysctl, would be taken away."""
    files = {**web().actual.files, OTHER: File(OTHER, text)}
    context = given_up(seen(SHOP, "web1", replace(web().actual, files=files)))
    assert codes(context) == ["LVS523"]
    assert plan(context).findings[0].summary.startswith(f"{OTHER}, another cluster's, cannot be used: ")
    assert "cluster blog" in plan(context).findings[0].fix
    assert codes(replace(context, adopt=True)) == []


def test_another_cluster_s_record_is_no_trouble() -> None:
    blog = manifest_of(Record(path=OTHER, cluster="blog", addresses={VIP: False}), secret=False)
    context = seen(SHOP, "web1", replace(web().actual, files={**web().actual.files, OTHER: blog}))
    assert (codes(context), told(context)) == ([], [])
    unread = replace(context, unread={OTHER: "only another user may read it"})
    assert codes(unread) == ["LVS504"]


# --- at this moment -----------------------------------------------------------------------------------------


def test_a_host_that_is_being_changed() -> None:
    context = replace(web(), busy="bob@desk, since 2026-11-23 15:00:00 UTC", unfinished="x")
    (finding,) = plan(context).findings
    assert (finding.code, finding.is_error, finding.host) == ("LVS527", False, "web1")
    assert finding.summary == "being changed by bob@desk, since 2026-11-23 15:00:00 UTC"


def test_a_host_on_which_an_apply_broke_off() -> None:
    context = replace(web(), unfinished="bob@desk, since 2026-11-23 15:00:00 UTC")
    (finding,) = plan(context).findings
    assert (finding.code, finding.is_error, finding.drift) == ("LVS526", False, True)
    assert not plan(context).as_declared
    assert not plan(context).refused


# --- hosts that were the cluster's --------------------------------------------------------------------------


def test_hosts_that_the_inventory_does_not_name_any_more() -> None:
    context = declared_anew(lvs(), replace(ONE_SERVER, real_servers=(clusters.WEB1,)))
    assert written(context).former == {"web2": "192.0.2.12"}
    assert written(context).hosts == {"web1": "192.0.2.11", "lvs1": "192.0.2.2"}
    later = remembering(context, former={"web9": "192.0.2.19"}, hosts={"web1": "192.0.2.11"})
    assert written(later).former == {"web9": "192.0.2.19"}


def test_a_host_that_only_has_another_name_is_no_former_one() -> None:
    context = remembering(lvs(), hosts={**lvs().record.hosts, "old": "192.0.2.11"})
    assert written(context).former == {}


def test_a_host_that_is_back_is_no_former_one() -> None:
    context = remembering(lvs(), former={"web2": "192.0.2.12"})
    assert written(context).former == {}


def test_a_host_that_has_moved_is_a_former_one_by_its_old_address() -> None:
    context = remembering(lvs(), hosts={**lvs().record.hosts, "web2": "192.0.2.112"})
    assert written(context).former == {"web2": "192.0.2.112"}


def test_real_servers_know_no_hosts() -> None:
    assert not written(edited()).hosts
    assert not written(edited()).former


def test_former_hosts_are_forgotten_when_they_have_been_cleaned() -> None:
    former = {"web8": "192.0.2.18", "web9": "192.0.2.19"}
    context = given_up(remembering(lvs(), former=former))
    (change,) = (made := forget_hosts(context, frozenset({"192.0.2.19", "192.0.2.99"}))).changes
    assert (change.kind, change.action, change.reason) == (Kind.RECORD, Action.UPDATE, Reason.LEFT_OVER)
    record = read_record(File(RECORD, content(RECORD, made.steps())))
    assert record == remembering(lvs(), former={"web8": "192.0.2.18"}).record
    assert record.history == lvs().record.history
    assert [step.words for step in made.steps()] == [
        ("stage", RECORD, "0644", "root:root"),
        ("place", RECORD),
    ]


def test_a_host_that_is_still_remembered_can_be_forgotten_too() -> None:
    made = forget_hosts(given_up(lvs()), frozenset({"192.0.2.12"}))
    assert "web2" not in read_record(File(RECORD, content(RECORD, made.steps()))).hosts


def test_nothing_to_forget() -> None:
    assert forget_hosts(given_up(lvs()), frozenset({"192.0.2.99"})).changes == ()
    assert forget_hosts(given_up(untouched(SHOP, "lvs1")), frozenset({"192.0.2.11"})).changes == ()


def test_a_private_record_stays_private_when_hosts_are_forgotten() -> None:
    context = given_up(converged(clusters.dr_two_directors(), "lvs1"))
    made = forget_hosts(context, frozenset({"192.0.2.11"}))
    assert made.steps()[0].words == ("stage", RECORD, "0600", "root:root")


def test_files_that_only_the_record_knows() -> None:
    context = remembering(web(), files={**web().record.files, CONF: RecordedFile("0" * 64)})
    assert told(context) == [f"update record {RECORD} [changed on the host]: files: to be written down"]
    assert UNIT in context.record.files
