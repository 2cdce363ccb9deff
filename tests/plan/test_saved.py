"""A plan as a file: what it holds, what makes it another, and whatever a file may be instead."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.errors import UsageError
from lvsdeploy.plan.change import Phase, Step
from lvsdeploy.plan.saved import SavedPlan, dump, fingerprint, is_saved_plan, load
from tests.desired import clusters
from tests.plan.hosts import (
    SYSCTL_D,
    changed,
    converged,
    declared_anew,
    plan,
    remembering,
    untouched,
    with_file,
)

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context

SALT, OTHER_SALT = "00" * 16, "01" * 16
PASSWORD = "s3cret"  # noqa: S105 — the one of this cluster, in tests alone
FORMS = (
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
    PASSWORD.encode().hex(),
    hashlib.sha256(PASSWORD.encode()).hexdigest(),
    hashlib.md5(PASSWORD.encode()).hexdigest(),  # noqa: S324 — looked for, not relied on
    hashlib.sha1(PASSWORD.encode()).hexdigest(),  # noqa: S324
)


def mark(context: Context, salt: str = SALT) -> str:
    return fingerprint(plan(context), context.actual, context.record, salt)


def saved(context: Context | None = None, **parts: Any) -> SavedPlan:
    hosts, changes = {}, {}
    if context is not None:
        hosts = {context.host: mark(context)}
        changes = {
            context.host: tuple(f"{c.action} {c.kind} {c.name} [{c.reason}]" for c in plan(context).changes)
        }
    made = SavedPlan(
        "../shop.yaml",
        "ab" * 32,
        "shop",
        None,
        False,
        30,
        "2026-11-23T12:00:00Z",
        "ann@desk",
        SALT,
        hosts,
        changes,
    )
    return replace(made, **parts)


# --- what it holds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan_",
    [
        saved(),
        saved(untouched(clusters.smallest(), "lvs1")),
        saved(limit="@web,tag:a", adopt=True, drain=0),
        saved(inventory="é/\N{SNOWMAN} a.yaml", hosts={}, changes={"web1": ()}),
    ],
)
def test_it_is_read_as_it_was_written(plan_: SavedPlan) -> None:
    text = dump(plan_)
    assert is_saved_plan(text)
    assert load(text, "x.plan") == plan_


def test_no_secret_is_in_it_nor_a_digest_that_could_be_tried() -> None:
    cluster = clusters.dr_two_directors()
    context = untouched(cluster, "lvs1")
    steps = [step for change in plan(context).changes for step in change.steps]
    secret = next(step.content for step in steps if step.content and PASSWORD.encode() in step.content)
    text = dump(saved(context)).decode()
    digests = {
        digest
        for content in (secret, *(file.content for file in context.desired.files.values()))
        for digest in (hashlib.sha256(content).hexdigest(), base64.b64encode(content).decode())
    }
    assert [form for form in (*FORMS, *digests) if form in text] == []
    assert "create file /etc/keepalived/keepalived.conf" in text


def test_the_fingerprint_is_no_plain_digest() -> None:
    """scrypt: a short secret cannot be found by trying all of them against the fingerprint."""
    context = untouched(clusters.smallest(), "lvs1")
    assert len({mark(context), mark(context, OTHER_SALT), mark(context)}) == 2
    assert len(mark(context)) == 64


# --- what makes it another ----------------------------------------------------------------------------------


WEB1 = untouched(clusters.smallest(), "web1")
DONE = converged(clusters.smallest(), "web1")
OTHERS = {
    "another VIP": declared_anew(
        WEB1,
        clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, vip=clusters.vip("192.0.2.51/32"))),
    ),
    "nothing declared": declared_anew(WEB1, clusters.cluster(clusters.service("http", {clusters.WEB2: 1}))),
    "another host": replace(WEB1, host="web2"),
    "a sysctl on the host": changed(WEB1, sysctls={**WEB1.actual.sysctls, "net.ipv4.conf.all.arp_ignore": 1}),
    "an address on the host": changed(WEB1, addresses=WEB1.actual.addresses | WEB1.desired.addresses),
    "a file on the host": changed(WEB1, files={**WEB1.actual.files, SYSCTL_D: WEB1.desired.files[SYSCTL_D]}),
    "a folder of another mode": with_file(WEB1, "/etc/sysctl.d", mode=0o700),
    "already done": DONE,
    "a file of it edited": with_file(DONE, SYSCTL_D, content=b"mine\n"),
    "a file of it of another mode": with_file(DONE, SYSCTL_D, mode=0o600),
    "a file of it somebody else's": with_file(DONE, SYSCTL_D, owner="ann:ann"),
    "somebody applied": remembering(DONE, digest="ff" * 32),
}


def test_every_difference_makes_another_fingerprint() -> None:
    found = {name: mark(context) for name, context in {"as it was": WEB1, **OTHERS}.items()}
    assert len(set(found.values())) == len(found), found
    assert mark(WEB1) == found["as it was"], "and nothing makes the same one"
    assert mark(WEB1, OTHER_SALT) not in found.values()


@pytest.mark.parametrize("option", [{"drain": 5}, {"adopt": True}], ids=str)
def test_an_option_that_changes_what_is_done_makes_another_fingerprint(option: dict[str, Any]) -> None:
    two, one = clusters.smallest(), clusters.cluster(clusters.service("http", {clusters.WEB1: 1}))
    before = (
        converged(two, "lvs1") if "drain" in option else with_file(WEB_FOREIGN, SYSCTL_D, content=b"theirs\n")
    )
    context = declared_anew(before, one) if "drain" in option else before
    assert mark(context) == mark(replace(context))
    assert mark(replace(context, **option)) != mark(context)


WEB_FOREIGN = changed(WEB1, files={**WEB1.actual.files, SYSCTL_D: WEB1.desired.files[SYSCTL_D]})


def test_the_content_of_a_step_counts_although_it_is_shown_nowhere() -> None:
    """A secret that has changed: the diff masks it."""
    whole = plan(WEB1)
    first, *rest = whole.changes
    step = Step(Phase.STAGE, ("stage", "/etc/x", "0600", "root:root"), b"old")
    marks = {
        fingerprint(
            replace(whole, changes=(replace(first, steps=(replace(step, content=content),)), *rest)),
            WEB1.actual,
            WEB1.record,
            SALT,
        )
        for content in (b"old", b"new", b"", None)
    }
    assert len(marks) == 3, "no content and an empty one are told apart by the step's function"


# --- what is none -------------------------------------------------------------------------------------------

TEXT = dump(saved(WEB1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lvsdeploy_plan", 2),
        ("lvsdeploy_plan", None),
        ("drain", True),
        ("drain", -1),
        ("drain", 10**30),
        ("drain", 1.5),
        ("adopt", 1),
        ("limit", ["web1"]),
        ("salt", ""),
        ("salt", "zz"),
        ("salt", "00" * 15),
        ("salt", 5),
        ("salt", " " + "00" * 16),
        ("hosts", ["web1"]),
        ("hosts", None),
        ("changes", {"web1": 5}),
        ("inventory", None),
        ("inventory", {}),
        ("sha256", 1),
        ("made_by", []),
        ("more", "x"),
    ],
)
def test_what_no_version_wrote(key: str, value: object) -> None:
    with pytest.raises(UsageError) as refused:
        load(json.dumps({**json.loads(TEXT), key: value}).encode(), "x.plan")
    assert str(refused.value) == "x.plan: this is not a plan that this version of lvsdeploy saved"


@pytest.mark.parametrize("key", list(json.loads(TEXT)))
def test_what_lacks_a_part(key: str) -> None:
    data = json.loads(TEXT)
    del data[key]
    with pytest.raises(UsageError):
        load(json.dumps(data).encode(), "x.plan")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"null", b"5", b"[" * 100_000, b"\xff\xfe{", b'{"a": 1e999}']
)
def test_what_is_no_plan_at_all(text: bytes) -> None:
    assert not is_saved_plan(text)
    with pytest.raises(UsageError):
        load(text, "x.plan")


def test_an_inventory_is_none() -> None:
    assert not is_saved_plan(b"version: 1\ncluster: shop\n")
    assert not is_saved_plan(b'{"version": 1, "cluster": "lvsdeploy_plan"}' + b" " * 300)


def test_what_acts_on_a_terminal_is_not_kept() -> None:
    plan_ = load(dump(saved(made_by="\x1b[31mann", made_at="now\r")), "x.plan")
    assert (plan_.made_by, plan_.made_at) == ("[31mann", "now")


@given(
    st.lists(
        st.tuples(st.integers(0, len(TEXT) - 1), st.integers(0, 255), st.sampled_from(["set", "cut", "add"])),
        min_size=1,
        max_size=4,
    )
)
def test_a_garbled_file_is_refused_or_is_a_plan(edits: list[tuple[int, int, str]]) -> None:
    text = bytearray(TEXT)
    for at, value, how in edits:
        at %= len(text) or 1  # noqa: PLW2901
        if how == "cut":
            del text[at:]
        elif how == "add":
            text.insert(at, value)
        elif text:
            text[at] = value
    try:
        plan_ = load(bytes(text), "x.plan")
    except UsageError:
        return
    assert all(isinstance(word, str) for word in (*plan_.hosts, *plan_.hosts.values(), plan_.inventory))
    fingerprint(plan(WEB1), WEB1.actual, WEB1.record, plan_.salt)  # can be made with whatever was loaded


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(list(json.loads(TEXT))), JSON)
def test_a_part_of_another_kind_is_refused_or_is_of_use(key: str, value: object) -> None:
    try:
        plan_ = load(json.dumps({**json.loads(TEXT), key: value}).encode(), "x.plan")
    except UsageError:
        return
    assert load(dump(plan_), "x.plan") == plan_
