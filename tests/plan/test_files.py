"""Files: each difference, its reason, its steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsdeploy.inventory.model import Secret, Vrrp
from lvsdeploy.plan.change import Action, Phase, Reason
from lvsdeploy.plan.diffs import diff
from lvsdeploy.record import Record, RecordedFile
from lvsdeploy.state.file import File, FileKind
from tests.desired import clusters
from tests.plan.hosts import (
    CONF,
    RECORD,
    SCRIPT,
    SYSCTL_D,
    UNIT,
    acting,
    changed,
    codes,
    converged,
    declared_anew,
    given_up,
    plan,
    remembering,
    steps,
    told,
    untouched,
    with_file,
    without,
)

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context

SHOP = clusters.smallest()


def web() -> Context:
    return converged(SHOP, "web1")


def lvs() -> Context:
    return converged(SHOP, "lvs1")


def test_a_first_apply_creates_every_file() -> None:
    context = untouched(SHOP, "web1")
    found = {c.name: (c.action, c.reason, c.detail) for c in plan(context).changes if c.kind == "file"}
    assert found == dict.fromkeys(context.desired.files, (Action.CREATE, Reason.NEW, ""))


def test_a_first_apply_where_files_are_there_already_writes_only_the_record() -> None:
    there = web().actual
    context = replace(untouched(SHOP, "web1"), actual=replace(there, files=without(there.files, RECORD)))
    assert told(context) == [f"create record {RECORD} [not there yet]"]
    assert codes(context) == []


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ({"content": b"# mine\n"}, "content"),
        ({"mode": 0o600}, "mode 0600, declared 0644"),
        ({"mode": 0o4644}, "mode 4644, declared 0644"),
        ({"owner": "deploy:root"}, "owner deploy:root, declared root:root"),
        (
            {"content": b"", "mode": 0, "owner": "1000:1000"},
            "content; mode 0000, declared 0644; owner 1000:1000, declared root:root",
        ),
    ],
)
def test_what_somebody_changed_on_the_host(parts: dict[str, Any], detail: str) -> None:
    context = with_file(web(), SYSCTL_D, **parts)
    assert told(context) == [f"update file {SYSCTL_D} [changed on the host]: {detail}"]
    assert steps(context) == [f"stage {SYSCTL_D} 0644 root:root", f"place {SYSCTL_D}"]
    assert acting(context)[0].content == context.desired.files[SYSCTL_D].content
    assert codes(context) == []


def test_a_file_that_somebody_removed() -> None:
    context = web()
    context = changed(context, files=without(context.actual.files, SCRIPT))
    assert told(context) == [f"create file {SCRIPT} [changed on the host]: missing"]


def test_what_changed_in_the_inventory() -> None:
    anew = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, vip=clusters.vip("192.0.2.77/32")))
    context = declared_anew(web(), anew)
    assert f"update file {SCRIPT} [changed in the inventory]: content" in told(context)
    assert codes(context) == []


def test_changed_on_the_host_and_in_the_inventory() -> None:
    anew = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, vip=clusters.vip("192.0.2.77/32")))
    context = with_file(declared_anew(web(), anew), SCRIPT, content=b"mine\n")
    assert told(context)[0] == (
        f"update file {SCRIPT} [changed on the host]: "
        "content (edited on the host, and declared otherwise than at the last apply)"
    )


def test_a_file_that_is_new_in_the_inventory() -> None:
    lone = converged(clusters.nat_checked_only(), "lvs1")
    context = remembering(lone, files=without(lone.record.files, SYSCTL_D))
    context = changed(context, files=without(context.actual.files, SYSCTL_D))
    assert told(context) == [f"create file {SYSCTL_D} [not there yet]"]


def test_the_record_s_own_file() -> None:
    assert told(with_file(web(), RECORD, mode=0o666)) == [
        f"update record {RECORD} [changed on the host]: mode 0666, declared 0644"
    ]
    assert told(with_file(web(), RECORD, owner="ann:root")) == [
        f"update record {RECORD} [changed on the host]: owner ann:root, declared root:root"
    ]


# --- what others wrote --------------------------------------------------------------------------------------


def foreign(path: str = CONF) -> Context:
    """Before the first apply, and somebody else's file is there."""
    context = untouched(SHOP, "lvs1" if path == CONF else "web1")
    return changed(context, files={path: File(path, b"theirs\n", 0o640)})


def test_a_foreign_file_is_refused() -> None:
    context = foreign()
    assert codes(context) == ["LVS521"]
    assert plan(context).refused
    assert CONF not in {change.name for change in plan(context).changes}
    assert plan(context).findings[0].summary == f"{CONF} was written by somebody else"


def test_a_foreign_file_is_adopted_with_a_copy() -> None:
    context = replace(foreign(), adopt=True)
    assert codes(context) == []
    change = next(change for change in plan(context).changes if change.name == CONF)
    assert (change.action, change.reason) == (Action.UPDATE, Reason.FOREIGN)
    assert change.detail == "content; mode 0640, declared 0644"
    order = [words.split()[0] for words in steps(context)]
    assert order.index("test_keepalived") < order.index("keep_copy") < order.index("place")


def test_a_foreign_file_of_equal_content_needs_no_leave_and_no_copy() -> None:
    context = foreign(SYSCTL_D)
    declared = context.desired.files[SYSCTL_D]
    context = changed(context, files={SYSCTL_D: replace(declared, mode=0o600)})
    assert codes(context) == []
    assert f"update file {SYSCTL_D} [written by somebody else]: mode 0600, declared 0644" in told(context)
    assert not any(words.startswith("keep_copy") for words in steps(context))


@pytest.mark.parametrize("kind", [FileKind.DIRECTORY, FileKind.SYMLINK, FileKind.OTHER])
def test_what_is_no_regular_file_is_refused(kind: FileKind) -> None:
    context = with_file(web(), SCRIPT, content=b"", kind=kind)
    assert told(context) == []
    assert codes(context) == ["LVS520"]
    assert codes(replace(context, adopt=True)) == ["LVS520"]
    assert f"mv {SCRIPT} {SCRIPT}.old" in plan(context).findings[0].fix


@pytest.mark.parametrize("adopt", [False, True])
def test_what_could_not_be_read_is_left_alone(adopt: bool) -> None:  # noqa: FBT001
    context = with_file(web(), SCRIPT, content=b"")
    context = replace(context, unread={SCRIPT: "only another user may read it"}, adopt=adopt)
    assert told(context) == []
    assert codes(context) == ["LVS504"]
    assert plan(context).refused


def test_an_unread_record_calls_nothing_foreign() -> None:
    """Without the record there is no telling whose a file is: one finding says all."""
    context = with_file(with_file(web(), RECORD, content=b""), SCRIPT, content=b"older\n")
    context = replace(context, record=Record(), unread={RECORD: "only another user may read it"})
    assert codes(context) == ["LVS504"]
    assert told(context) == []


# --- left over ----------------------------------------------------------------------------------------------


def test_a_host_in_no_service_any_more_is_cleared() -> None:
    context = declared_anew(web(), clusters.cluster(clusters.service("http", {clusters.WEB2: 1})))
    assert told(context) == [
        f"delete file {SCRIPT} [no longer declared]",
        f"delete file {SYSCTL_D} [no longer declared]",
        f"delete file {UNIT} [no longer declared]",
        "update sysctl net.ipv4.conf.all.arp_announce [no longer declared]: is 2, was 0 before lvsdeploy",
        "update sysctl net.ipv4.conf.all.arp_ignore [no longer declared]: is 1, was 0 before lvsdeploy",
        "update sysctl net.ipv4.conf.eth0.arp_announce [no longer declared]: is 2, was 0 before lvsdeploy",
        "update sysctl net.ipv4.conf.eth0.arp_ignore [no longer declared]: is 1, was 0 before lvsdeploy",
        "delete address 192.0.2.50/32 on lo [no longer declared]",
        "delete service lvsdeploy-shop [no longer declared]",
    ]
    assert steps(context) == [
        "on_undo manager_reload",
        "address_del lo 192.0.2.50/32",
        "unit_stop lvsdeploy-shop",
        "unit_disable lvsdeploy-shop",
        *(f"remove {path}" for path in sorted({SCRIPT, UNIT, SYSCTL_D})),
        "manager_reload",
        *(
            f"sysctl_set /proc/sys/net/ipv4/conf/{key} 0"
            for key in ("all/arp_announce", "all/arp_ignore", "eth0/arp_announce", "eth0/arp_ignore")
        ),
    ]


def test_what_is_left_over_and_edited_says_so() -> None:
    context = declared_anew(web(), clusters.cluster(clusters.service("http", {clusters.WEB2: 1})))
    context = with_file(context, SYSCTL_D, content=b"mine\n")
    line = f"delete file {SYSCTL_D} [no longer declared]: edited since lvsdeploy wrote it"
    assert line in told(context)
    change = next(change for change in plan(context).changes if change.name == SYSCTL_D)
    assert "-mine" in change.diff


def test_left_over_and_gone_already() -> None:
    context = declared_anew(web(), clusters.cluster(clusters.service("http", {clusters.WEB2: 1})))
    context = changed(context, files=without(context.actual.files, SYSCTL_D))
    assert not any(SYSCTL_D in words for words in told(context))


@pytest.mark.parametrize("kind", [FileKind.DIRECTORY, FileKind.SYMLINK])
def test_what_took_the_place_of_a_left_over_file_is_not_ours(kind: FileKind) -> None:
    context = declared_anew(web(), clusters.cluster(clusters.service("http", {clusters.WEB2: 1})))
    context = with_file(context, SYSCTL_D, content=b"", kind=kind)
    assert not any(SYSCTL_D in words for words in told(context))


def test_another_service_manager_s_unit_is_left_over() -> None:
    context = web()
    recorded = {**context.record.files, "/etc/init.d/lvsdeploy-shop": RecordedFile("0" * 64)}
    context = remembering(context, files=recorded)
    init = File("/etc/init.d/lvsdeploy-shop", b"#!/bin/sh\n", 0o755)
    context = changed(context, files={**context.actual.files, init.path: init})
    assert told(context) == [f"delete file {init.path} [no longer declared]: edited since lvsdeploy wrote it"]
    assert steps(context) == [f"remove {init.path}"]


BEFORE = "a" * 64
COMES_BACK = "what stood there before lvsdeploy comes back"


def adopted(path: str, **parts: Any) -> Context:
    """A real server that is to be nothing any more; somebody else's file stood at `path` before us."""
    context = given_up(web())
    files = {**context.record.files, path: RecordedFile(context.record.files[path].sha256, BEFORE)}
    return remembering(with_file(context, path, **parts) if parts else context, files=files)


def test_what_stood_there_before_comes_back() -> None:
    context = adopted(SYSCTL_D)
    assert f"update file {SYSCTL_D} [no longer declared]: {COMES_BACK}" in told(context)
    assert f"give_back {SYSCTL_D} {BEFORE}" in steps(context)
    assert f"remove {SYSCTL_D}" not in steps(context)


def test_what_stood_there_before_comes_back_over_an_edit() -> None:
    line = f"update file {SYSCTL_D} [no longer declared]: edited since lvsdeploy wrote it; {COMES_BACK}"
    assert line in told(adopted(SYSCTL_D, content=b"mine\n"))


def test_what_stood_there_before_comes_back_where_ours_is_gone() -> None:
    context = adopted(SYSCTL_D)
    context = changed(context, files=without(context.actual.files, SYSCTL_D))
    assert f"create file {SYSCTL_D} [no longer declared]: {COMES_BACK}" in told(context)


def test_what_is_back_already_is_left_alone() -> None:
    theirs = File(SYSCTL_D, b"theirs\n")
    context = adopted(SYSCTL_D, content=theirs.content)
    files = {**context.record.files, SYSCTL_D: RecordedFile("b" * 64, theirs.digest)}
    assert not [words for words in steps(remembering(context, files=files)) if SYSCTL_D in words]


def test_a_unit_s_file_that_comes_back_is_read_again() -> None:
    words = steps(adopted(UNIT))
    assert words.index(f"give_back {UNIT} {BEFORE}") < words.index("manager_reload")
    assert "on_undo manager_reload" in words


def test_a_file_that_another_cluster_has_is_not_ours_to_take_away() -> None:
    context = given_up(lvs())
    other = Record(path="x", cluster="blog", files={CONF: RecordedFile("b" * 64)})
    assert [words for words in steps(context) if CONF in words]
    assert not [words for words in steps(replace(context, others=(other,))) if CONF in words]


def test_two_clusters_cannot_have_one_director() -> None:
    other = Record(path="x", cluster="blog", files={CONF: RecordedFile("b" * 64)})
    context = replace(with_file(lvs(), CONF, content=b"of blog\n"), others=(other,))
    assert codes(context) == codes(replace(context, adopt=True)) == ["LVS525"]
    assert plan(context).findings[0].summary == f"{CONF} belongs to cluster blog"
    assert not [words for words in steps(context) if CONF in words]


# --- what a new content calls for ---------------------------------------------------------------------------


def test_keepalived_conf_is_tested_and_reloaded() -> None:
    context = with_file(lvs(), CONF, content=b"mine\n")
    phases = [(step.phase, step.words[0]) for step in acting(context)]
    assert phases == [
        (Phase.STAGE, "stage"),
        (Phase.TEST, "test_keepalived"),
        (Phase.PREPARE, "on_undo"),
        (Phase.PLACE, "place"),
        (Phase.UNIT, "unit_reload"),
    ]
    assert acting(context)[2].words == ("on_undo", "unit_reload", "keepalived")


def test_vips_on_interfaces_of_their_own_take_a_restart() -> None:
    """At a reload they would stay where they are."""
    with_vmac = replace(SHOP, vrrp=replace(SHOP.vrrp, vmac=True))
    for before, after in ((SHOP, with_vmac), (with_vmac, SHOP)):
        words = [step.words for step in acting(declared_anew(converged(before, "lvs1"), after))]
        assert ("on_undo", "unit_restart", "keepalived") in words
        assert ("unit_restart", "keepalived") in words
        assert ("unit_reload", "keepalived") not in words


def test_keepalived_is_not_reloaded_where_it_does_not_run() -> None:
    context = with_file(lvs(), CONF, content=b"mine\n")
    context = changed(
        context, units={"keepalived": replace(context.actual.units["keepalived"], active=False)}
    )
    assert [words for words in steps(context) if "keepalived" in words and "unit" in words] == [
        "unit_start keepalived"
    ]


def test_a_mode_alone_calls_for_no_reload() -> None:
    assert steps(with_file(lvs(), CONF, mode=0o600)) == [f"stage {CONF} 0644 root:root", f"place {CONF}"]


def test_a_unit_s_file_calls_for_a_reload_of_systemd() -> None:
    assert steps(with_file(web(), UNIT, content=b"mine\n")) == [
        f"stage {UNIT} 0644 root:root",
        "on_undo manager_reload",
        f"place {UNIT}",
        "manager_reload",
    ]
    assert "manager_reload" not in steps(with_file(web(), UNIT, mode=0o600))


# --- diffs --------------------------------------------------------------------------------------------------


def shown(before: bytes, after: bytes) -> list[str]:
    return diff("/f", File("/f", before), File("/f", after)).splitlines()[2:]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"a\nb\n", b"a\nc\n", ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]),
        (b"a\n", b"a", ["@@ -1 +1 @@", "-a", "+a", "\\ No newline at end of file"]),
        (b"", b"a\n", ["@@ -0,0 +1 @@", "+a"]),
        (b"a\n", b"", ["@@ -1 +0,0 @@", "-a"]),
        (b"\n", b"\n\n", ["@@ -1 +1,2 @@", " ", "+"]),
        (b"1\n2\n3\n4\n5\n6\n", b"1\n2\n3\n4\n5\nx\n", ["@@ -3,4 +3,4 @@", " 3", " 4", " 5", "-6", "+x"]),
    ],
)
def test_diff(before: bytes, after: bytes, expected: list[str]) -> None:
    assert shown(before, after) == expected


def test_diff_of_a_new_and_of_a_removed_file() -> None:
    file = File("/f", b"a\n")
    assert diff("/f", None, file) == "--- /f (on the host)\n+++ /f (declared)\n@@ -0,0 +1 @@\n+a\n"
    assert diff("/f", file, None) == "--- /f (on the host)\n+++ /f (declared)\n@@ -1 +0,0 @@\n-a\n"
    assert diff("/f", file, file) == ""
    assert diff("/f", None, replace(file, content=b"")) == ""


def test_a_carriage_return_is_a_difference() -> None:
    assert "-a\r\n+a\n" in diff("/f", File("/f", b"a\r\n"), File("/f", b"a\n"))


def test_bytes_that_are_no_text() -> None:
    assert diff("/f", File("/f", b"\xff"), File("/f", b"\xfe")) == "  (only bytes that are no text differ)\n"


def test_a_large_file_is_compared_quickly_and_closely() -> None:
    block = "virtual_server 192.0.2.{} {} {{\n    lvs_sched wlc\n    protocol TCP\n}}\n\n"
    old = "".join(block.format(n % 250, n) for n in range(4000))
    new = old.replace(" 7 {\n    lvs_sched wlc", " 7 {\n    lvs_sched wrr")
    new = new.replace(" 3990 {\n    lvs_sched wlc", " 3990 {\n    lvs_sched rr")
    lines = shown(old.encode(), new.encode())
    assert [line for line in lines if line[0] in "+-"] == [
        "-    lvs_sched wlc",
        "+    lvs_sched wrr",
        "-    lvs_sched wlc",
        "+    lvs_sched rr",
    ]


def patched(before: str, text: str) -> str:
    """`before` with a diff applied, every line of which must fit."""
    old, new, place = before.splitlines(keepends=True), [], 0
    lines = text.splitlines(keepends=True)[2:]
    for number, line in enumerate(lines):
        sign, rest = line[0], line[1:]
        if lines[number + 1 : number + 2] == ["\\ No newline at end of file\n"]:
            rest = rest[:-1]
        if sign == "@":
            start, _, length = line.split()[1][1:].partition(",")
            goal = int(start) if length == "0" else int(start) - 1
            new += old[place:goal]
            place = goal
        elif sign in " -":
            assert old[place] == rest
            place += 1
        if sign in " +":
            new.append(rest)
    return "".join(new + old[place:])


@given(*[st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", ""])).map("\n".join)] * 2)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_a_diff_leads_from_one_to_the_other(before: str, after: str) -> None:
    text = diff("/f", File("/f", before.encode()), File("/f", after.encode()))
    assert patched(before, text) == after
    assert bool(text) == (before != after)


# --- secrets ------------------------------------------------------------------------------------------------


def secret_cluster(password: str) -> Any:
    service = clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 1})
    return clusters.cluster(
        service, directors=(clusters.LVS1, clusters.LVS2), vrrp=Vrrp(password=Secret(password))
    )


def test_neither_the_old_nor_the_new_password_is_shown() -> None:
    context = declared_anew(converged(secret_cluster("old-pass"), "lvs1"), secret_cluster("new-pass"))
    change = next(change for change in plan(context).changes if change.name == CONF)
    assert change.diff == "  (only a masked secret differs)\n"
    context = with_file(
        context, CONF, content=context.actual.files[CONF].content.replace(b"router_id lvs1", b"router_id x")
    )
    change = next(change for change in plan(context).changes if change.name == CONF)
    assert "-    router_id x" in change.diff
    assert change.diff.endswith("  (and a masked secret differs)\n")
    assert "-pass" not in change.diff.replace("auth_pass", "").replace("---", "")
    assert "old-pass" not in repr(told(context)) + change.diff


@pytest.mark.parametrize(
    "text",
    [
        "    auth_pass {}\n",
        "# auth_pass {}\n",
        "authentication {{ auth_type PASS auth_pass {} }}\n",
        "\tauth_pass\t{}\r\n",
        'auth_pass "a {}"\n',
        "SSL {{\n password {}\n}}\n",
        "$VRRP_PASS={}\n",
        "AUTH_PASS {}",
    ],
)
def test_passwords_are_masked_wherever_keepalived_reads_one(text: str) -> None:
    file = File("/f", b"x\n" + text.format("s3cret").encode() + b"y z\n")
    assert "s3cret" not in file.shown()
    assert "********" in file.shown()
    assert file.shown().startswith("x\n")
    assert file.secrets() != File("/f", text.format("other").encode()).secrets()


def test_a_line_s_end_is_no_part_of_a_password() -> None:
    assert File("/f", b"auth_pass\nauth_type PASS\n").shown() == "auth_pass\nauth_type PASS\n"
