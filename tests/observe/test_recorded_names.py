"""What an own manifest allows an answer to tell of: its paths and units, other manifests, and no more."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.observe import Observation, Request, parse, recorded
from lvsdeploy.state.file import File, FileKind

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD = "/var/lib/lvsdeploy/shop/manifest.json"
REQUEST = Request(files={"/etc/asked": []}, units=("asked",), record=RECORD, token="f00d")  # noqa: S106


def written(**parts: Any) -> bytes:
    return (json.dumps(parts, indent=2, sort_keys=True) + "\n").encode()


NAMES = written(files={"/etc/a": {}}, folders=["/etc"], units={"web": {}})


def answer(
    manifest: bytes, paths: Sequence[str] = (), units: Sequence[str] = (), manager: str = "sysv"
) -> bytes:
    """An answer with empty files at `paths`, and what it says it took from the manifest: `units`."""
    empty = hashlib.sha256(b"").hexdigest()
    stats = [
        f"81a4:{len(manifest)}:0:0:root:root:{RECORD}",
        *(f"81a4:0:0:0:root:root:{path}" for path in paths),
    ]
    sums = [f"{hashlib.sha256(manifest).hexdigest()}  {RECORD}", *(f"{empty}  {path}" for path in paths)]
    told = [f"{name} yes yes" for name in ("asked", *units)]
    if manager == "systemd":
        told = ["Id=x\nUnitFileState=enabled\nActiveState=active\n" for _ in told]
    text = [
        "begin 1",
        f"host\nuid 0\nmanager {manager}",
        "\n".join(["recorded", *units]),
        "\n".join(["units", *told]),
        "\n".join(["stat", *stats]),
        "\n".join(["sums", *sums]),
        f"sent\n{RECORD}",
    ]
    head = "".join(f"\nf00d {section}\n" for section in text)
    return head.encode() + b"\nf00d contents\n" + manifest + b"\nf00d end\n"


@pytest.mark.parametrize("manager", ["sysv", "systemd"])
def test_what_the_manifest_names_is_accepted(manager: str) -> None:
    state = parse("lvs1", answer(NAMES, ["/etc/asked", "/etc/a", "/etc"], ["web"], manager), REQUEST).state
    assert set(state.files) == {RECORD, "/etc/asked", "/etc/a", "/etc"}
    assert list(state.units) == ["asked", "web"]
    assert state.units["web"].active


def test_it_may_be_known_instead_of_sent() -> None:
    request = Request(files={RECORD: [NAMES]}, units=("asked",), record=RECORD, token="f00d")  # noqa: S106
    text = answer(NAMES, ["/etc/a"], ["web"]).replace(f"sent\n{RECORD}".encode(), b"sent").replace(NAMES, b"")
    state = parse("lvs1", text, request).state
    assert set(state.files) == {RECORD, "/etc/a"}
    assert set(state.units) == {"asked", "web"}


def test_manifests_of_other_clusters_are_accepted() -> None:
    others = [f"/var/lib/lvsdeploy/{name}/manifest.json" for name in ("news", "a", "x-2")]
    assert parse("lvs1", answer(NAMES, others), REQUEST).state.files.keys() == {RECORD, *others}


@pytest.mark.parametrize(
    "path",
    [
        "/etc/b",
        "/etc/a/",
        "/etc/shadow",
        "",
        "/var/lib/lvsdeploy/manifest.json",
        "/var/lib/lvsdeploy/../manifest.json",
        "/var/lib/lvsdeploy/a/b/manifest.json",
        "/var/lib/lvsdeploy/News/manifest.json",
        "/var/lib/lvsdeploy/" + "a" * 32 + "/manifest.json",
        "/var/lib/lvsdeploy/news/manifest.json2",
        "/var/lib/lvsdeploy/news/manifestxjson",
        "/x/var/lib/lvsdeploy/news/manifest.json",
        "\x1b[2J/etc/a",
    ],
)
def test_other_paths_are_not(path: str) -> None:
    with pytest.raises(AnswerInvalid, match="was not asked for") as caught:
        parse("lvs1", answer(NAMES, [path]), REQUEST)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("manager", ["sysv", "systemd"])
@pytest.mark.parametrize("name", ["ssh", "web.service", "\x1b[2J"])
def test_other_units_are_not(name: str, manager: str) -> None:
    with pytest.raises(AnswerInvalid, match="was not asked for") as caught:
        parse("lvs1", answer(NAMES, [], ["web", name], manager), REQUEST)
    assert str(caught.value).isprintable()


def test_nothing_more_is_accepted_when_no_record_was_asked_for() -> None:
    request = Request(files={RECORD: [], "/etc/asked": []}, units=("asked",), token="f00d")  # noqa: S106
    assert set(parse("lvs1", answer(NAMES), request).state.files) == {RECORD}
    for path in ("/etc/a", "/var/lib/lvsdeploy/news/manifest.json"):
        with pytest.raises(AnswerInvalid, match="was not asked for"):
            parse("lvs1", answer(NAMES, [path]), request)
    assert set(parse("lvs1", answer(NAMES, [], ["web"]), request).state.units) == {"asked"}


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"no JSON",
        b"[" * 50_000,
        b"9" * 5000,
        b"null",
        NAMES.replace(b"\n", b""),
        b'{"files": {"/etc/a": 1e999}}',
    ],
)
def test_what_only_one_of_the_two_readings_sees_is_left_out(manifest: bytes) -> None:
    """A host whose manifest was garbled can be read all the same."""
    text = answer(manifest, ["/etc/asked", "/etc/b"], ["ssh"])
    text = text.replace(b"\nf00d sums", b"\nf00d unread\nlarge /etc/b\n\nf00d sums")
    seen = parse("lvs1", text, REQUEST)
    assert set(seen.state.files) == {RECORD, "/etc/asked"}
    assert set(seen.state.units) == {"asked"}
    assert seen.unread == {}


def test_only_plain_words_count() -> None:
    odd = ["/a b", '/a"', "/../etc", "/etc/..", "/a*", "etc", "", "/", "/a\n", "/é"]
    named = recorded.read(
        File(
            RECORD,
            written(
                files=dict.fromkeys(odd), folders=[*odd, 3, None, "/ok"], units={"-a": 1, "a.b": 1, "x": 1}
            ),
        )
    )
    assert named == recorded.Recorded(frozenset({"/ok"}), frozenset({"x"}))


@pytest.mark.parametrize("kind", [FileKind.DIRECTORY, FileKind.SYMLINK, FileKind.OTHER])
def test_a_manifest_that_is_no_file_names_nothing(kind: FileKind) -> None:
    assert recorded.read(File(RECORD, NAMES, kind=kind)) == recorded.Recorded()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_answer_is_an_observation_or_invalid(data: st.DataObject) -> None:
    whole = answer(NAMES, ["/etc/asked", "/etc/a"], ["web"], data.draw(st.sampled_from(["sysv", "systemd"])))
    pieces = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(pieces)))
        new = st.binary(max_size=20) | st.sampled_from(
            [b"\n", b" ", b'"', b"{", b"81a4:0:0:0:root:root:/etc/b\n"]
        )
        pieces[at : at + data.draw(st.integers(0, 20))] = data.draw(new)
    try:
        seen = parse("lvs1", bytes(pieces), REQUEST)
    except AnswerInvalid as error:
        assert str(error).isprintable()  # noqa: PT017 — it need not fail
    else:
        assert isinstance(seen, Observation)
        manifest = seen.state.files.get(RECORD)
        allowed = {RECORD, "/etc/asked", *recorded.read(manifest).paths}
        assert {p for p in seen.state.files if not p.startswith("/var/lib/lvsdeploy/")} <= allowed
        assert set(seen.state.units) <= {"asked", *recorded.read(manifest).units}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(alphabet='/ab." \n\\é', max_size=8), st.none() | st.dictionaries(st.text(), st.text())
    ),
    st.lists(st.text(alphabet="/ab", max_size=5)),
)
def test_our_own_layout_is_recognised(files: dict[str, Any], folders: list[str]) -> None:
    assert recorded.read(File(RECORD, written(files=files, folders=folders, format=2))).whole
