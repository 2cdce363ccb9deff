"""The probe beside a manifest, a lock and a journal, run for real by three shells."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.observe import Request
from lvsdeploy.state.file import FileKind
from tests.observe.sandbox import needs_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.observe.sandbox import Sandbox

pytestmark = needs_namespaces

RECORD = "/var/lib/lvsdeploy/shop/manifest.json"
RECORDS = "/var/lib/lvsdeploy"
BUSY = "ops@desk, since 2026-01-02 03:04:05 UTC"


def each(names: Iterable[str]) -> dict[str, object]:
    return {name: {} for name in names}


def written(**parts: Any) -> bytes:
    """A manifest as lvsdeploy writes it."""
    whole = {
        "addresses": {},
        "cluster": "shop",
        "files": {},
        "folders": [],
        "format": 2,
        "units": {},
        **parts,
    }
    return (json.dumps(whole, indent=2, sort_keys=True) + "\n").encode()


@pytest.fixture
def records(sandbox: Sandbox) -> Path:
    """What is /var/lib/lvsdeploy in the sandbox; /run is empty there."""
    records = sandbox.folder / "lib" / "lvsdeploy"
    (records / "shop").mkdir(parents=True)
    sandbox.setup = [
        "mount -t tmpfs -o mode=755 tmpfs /run",
        f"mount --bind {sandbox.folder / 'lib'} /var/lib",
        "mkdir /run/lvsdeploy",
    ]
    return records


def tree(sandbox: Sandbox) -> Path:
    """Files and folders as an earlier apply left them."""
    etc = sandbox.folder / "etc"
    (etc / "shop").mkdir(parents=True, mode=0o755)
    (etc / "shop" / "real-server").write_bytes(b"#!/bin/sh\n")
    (etc / "shop" / "left").write_bytes(b"left over\n")
    return etc


def test_what_the_manifest_names_is_looked_at(sandbox: Sandbox, records: Path) -> None:
    etc = tree(sandbox)
    script, left, gone = (str(etc / "shop" / name) for name in ("real-server", "left", "gone"))
    entry = {"before": {"mode": "0644", "sha256": "cd"}, "sha256": "ab"}
    manifest = written(
        addresses={"/not/a/path": False},
        files={script: entry, left: "ab", gone: entry},
        folders=[str(etc), str(etc / "shop"), str(etc / "no-folder")],
        sysctls={"/not/a/path/either": 1},
        units={"lvsdeploy-shop": {"active": False, "enabled": True}, "keepalived": {}, "asked": {}},
    )
    (records / "shop" / "manifest.json").write_bytes(manifest)
    request = Request(files={script: [b"#!/bin/sh\n"]}, units=("asked", "too"), record=RECORD)
    answer = sandbox.answer(request)
    state = sandbox.observe(request).state
    assert set(state.files) == {RECORD, script, left, str(etc), str(etc / "shop")}
    assert state.files[RECORD].content == manifest
    assert state.files[script].content == b"#!/bin/sh\n"
    assert state.files[left].content == b"left over\n"
    assert state.files[str(etc)].kind is state.files[str(etc / "shop")].kind is FileKind.DIRECTORY
    assert list(state.units) == ["asked", "too", "keepalived", "lvsdeploy-shop"]
    assert answer.count(f"root:{script}\n".encode()) == 1
    assert b"#!/bin/sh" not in answer


def test_units_of_the_manifest_in_systemd(sandbox: Sandbox, records: Path) -> None:
    answers = sandbox.folder / "systemctl"
    answers.write_text(
        "#!/bin/sh\nshift 3\nfor name; do\n"
        'echo "Id=$name.service"; echo LoadState=loaded\n'
        "echo ActiveState=active; echo UnitFileState=enabled; echo\ndone\n"
    )
    answers.chmod(0o755)
    if not shutil.which("systemctl"):
        pytest.skip("no systemctl to stand in for")
    sandbox.setup += ["mkdir -p /run/systemd/system", f"mount --bind {answers} $(command -v systemctl)"]
    if sandbox.shell == "busybox":
        (sandbox.folder / "applets").mkdir()
        (sandbox.folder / "applets" / "systemctl").symlink_to(answers)
    (records / "shop" / "manifest.json").write_bytes(
        written(units=each(["lvsdeploy-shop", "keepalived", "x@", "a.b"]))
    )
    assert set(sandbox.observe(Request(record=RECORD)).state.units) == {"keepalived", "lvsdeploy-shop"}
    seen = sandbox.observe(Request(record=RECORD, units=("keepalived",)))
    assert list(seen.state.units) == ["keepalived", "lvsdeploy-shop"]
    assert seen.state.units["lvsdeploy-shop"].active


def test_manifests_of_other_clusters(sandbox: Sandbox, records: Path) -> None:
    for name in (
        "news",
        "a" * 31,
        "a" * 32,
        "Shouting",
        "sHouting",
        "a.b",
        "two words",
        "x'y",
        "$(id)",
        "line\nbreak",
        "-n",
        "é",
    ):
        (records / name).mkdir()
        (records / name / "manifest.json").write_bytes(written(files={"/etc/passwd": {}}, cluster="news"))
    (records / "empty").mkdir()
    seen = sandbox.observe(Request(record=RECORD)).state.files
    assert set(seen) == {f"{RECORDS}/{name}/manifest.json" for name in ("news", "a" * 31)}
    assert json.loads(seen[f"{RECORDS}/news/manifest.json"].content)["cluster"] == "news"


def test_a_manifest_may_lie_anywhere(sandbox: Sandbox) -> None:
    (sandbox.folder / "mine.json").write_bytes(written(files={"/etc/passwd": {}}))
    record = str(sandbox.folder / "mine.json")
    assert set(sandbox.observe(Request(record=record)).state.files) == {record, "/etc/passwd"}


def test_a_manifest_is_not_looked_for_unless_it_is_asked_for(sandbox: Sandbox, records: Path) -> None:
    (records / "shop" / "manifest.json").write_bytes(written(files={"/etc/passwd": {}}))
    assert sandbox.observe(Request()).state.files == {}


def test_a_manifest_that_is_known_does_not_travel(sandbox: Sandbox, records: Path) -> None:
    manifest = written(files={"/etc/passwd": {}}, addresses={f"192.0.2.{n}/32 lo": False for n in range(200)})
    (records / "shop" / "manifest.json").write_bytes(manifest)
    request = Request(files={RECORD: [manifest]}, record=RECORD)
    assert manifest not in sandbox.answer(request)
    assert set(sandbox.observe(request).state.files) == {RECORD, "/etc/passwd"}


def test_a_hostile_manifest(sandbox: Sandbox, records: Path) -> None:
    """Words that mean something to a shell, to `find` or to JSON name nothing."""
    here = sandbox.folder / "here"
    (here / "sub").mkdir(parents=True)
    odd = [
        'a"b',
        "a b",
        "a*",
        "[a]",
        "$(touch pwned)",
        "`touch pwned`",
        "a\nb",
        "a\tb",
        "a\\",
        "a;b",
        "é",
        "a'b",
    ]
    for name in (*odd, "ab", "good"):
        (here / name).write_bytes(b"x")
    paths = [str(here / name) for name in odd]
    paths += [
        f"{here}/sub/../ab",
        f"{here}/sub/..",
        "relative",
        "",
        "/",
        "-c",
        "/" + "x" * 300_000,
        str(here / "good"),
    ]
    units = ["-H", "a b", "", "$(id)", "a/b", "..", 'a"b', "u" * 65, "u" * 64, "x@", "rcS\n"]
    manifest = written(files=each(paths), folders=paths, units=each(units))
    (records / "shop" / "manifest.json").write_bytes(manifest)
    state = sandbox.observe(Request(files={"/etc/passwd": []}, record=RECORD)).state
    assert set(state.files) == {RECORD, "/etc/passwd", str(here / "good")}
    assert list(state.units) == ["u" * 64]
    assert not list(here.rglob("pwned"))


def test_a_manifest_of_many_entries_does_not_take_the_rest_away(sandbox: Sandbox, records: Path) -> None:
    many = sandbox.folder / "many"
    many.mkdir()
    paths = [str(many / f"{number:05}-{'x' * 60}") for number in range(10_000)]
    for path in (paths[0], paths[-1]):
        (many / path).touch()
    units = each(f"unit-{number}" for number in range(10_000))
    (records / "shop" / "manifest.json").write_bytes(written(files=each(paths), units=units))
    state = sandbox.observe(Request(files={"/etc/passwd": []}, units=("mine",), record=RECORD)).state
    assert set(state.files) == {RECORD, "/etc/passwd", paths[0]}
    assert {"mine", "unit-0"} <= set(state.units)
    assert len(state.units) < 10_000


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"\x00" * 500,
        bytes(range(256)) * 9,
        b"[" * 100_000,
        b"[]\n",
        b'{\n  "files": {\n    "/etc/passwd": {\n',  # cut short
        b'x\n  "files": {\n    "/etc/passwd": 1\n  "units": {\n    "ssh": 1\n',  # no JSON at all
        b'{"was": {\n  "files": {\n    "/etc/passwd": 1}, \n  "units": {\n    "ssh": 1}}}',  # deeper
        b'{\n  "files": {\n    "/etc/passwd": 1\n  },\n  "files": []\n}\n',  # twice
        written(files=["/etc/passwd"], folders={"/etc/passwd": 1}, units=["ssh"]),
        written(files="/etc/passwd", folders=3, units=None),
        written(folders=[["/etc/passwd"], {"/etc/passwd": 1}, 7]),
    ],
)
def test_a_garbled_manifest_adds_nothing(sandbox: Sandbox, records: Path, manifest: bytes) -> None:
    (records / "shop" / "manifest.json").write_bytes(manifest)
    state = sandbox.observe(Request(files={"/etc/group": []}, units=("mine",), record=RECORD)).state
    assert set(state.files) == {RECORD, "/etc/group"}
    assert state.files[RECORD].content == manifest
    assert set(state.units) == {"mine"}


def test_a_manifest_that_is_no_file_is_not_read(sandbox: Sandbox, records: Path) -> None:
    path = records / "shop" / "manifest.json"
    request = Request(record=RECORD)
    os.mkfifo(path)
    assert sandbox.observe(request).state.files[RECORD].kind is FileKind.OTHER
    path.unlink()
    (records / "elsewhere").write_bytes(written(files={"/etc/passwd": {}}))
    path.symlink_to(f"{RECORDS}/elsewhere")
    seen = sandbox.observe(request).state.files
    assert {name: file.kind for name, file in seen.items()} == {RECORD: FileKind.SYMLINK}
    path.unlink()
    path.mkdir()
    assert sandbox.observe(request).state.files[RECORD].kind is FileKind.DIRECTORY


def test_a_manifest_that_only_root_may_read(sandbox: Sandbox, records: Path) -> None:
    (records / "shop" / "manifest.json").write_bytes(written(files={"/etc/passwd": {}}))
    (records / "shop" / "manifest.json").chmod(0o600)
    sandbox.as_user = 65534
    seen = sandbox.observe(Request(record=RECORD))
    assert set(seen.state.files) == set(seen.unread) == {RECORD}


def test_another_answer_does_not_widen_what_is_accepted(sandbox: Sandbox, records: Path) -> None:
    (records / "shop" / "manifest.json").write_bytes(written(files={"/etc/passwd": {}}))
    request = Request(record=RECORD)
    answer = sandbox.answer(request)
    bad = answer.replace(b":/etc/passwd\n", b":/etc/passwd\n81a4:0:0:0:root:root:/etc/shadow\n", 1)
    assert bad != answer
    with pytest.raises(AnswerInvalid, match="/etc/shadow"):
        sandbox.parse(bad, request)


def started(*words: str) -> str:
    """Starts a process, its number in $holder, and waits for its exec to be over."""
    shown = "tr '\\0\\n' '  ' </proc/$holder/cmdline"
    own = " ".join(words).replace("\n", " ")
    return f'{shlex.join(words)} >/dev/null 2>&1 & holder=$!; until [ "$({shown})" = "{own} " ]; do :; done'


HOLDERS = {
    "at work": (started("/bin/sh", "-c", "sleep 9; exit", "lvsdeploy"), BUSY),
    "of several lines": (started("/bin/sh", "-c", "sleep 9\nexit", "x", "lvsdeploy/z"), BUSY),
    "somebody else's": (started("sleep", "9"), ""),
    "killed": ("holder=4194399", ""),
    "the probe's own": ("holder=$$", ""),
    "no number": ("holder=self", ""),
    "no number at all": ("holder=..", ""),
    "a path": (started("/bin/sh", "-c", "sleep 9; exit", "lvsdeploy") + "; holder=self/../$holder", ""),
    "nothing": ("holder=", ""),
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_lock(sandbox: Sandbox, records: Path, kind: str) -> None:
    start, busy = HOLDERS[kind]
    sandbox.setup += [start, f'echo "$holder /run/lvsdeploy/apply.XX {BUSY}" >/run/lvsdeploy/lock']
    seen = sandbox.observe(Request())
    assert (seen.busy, seen.unfinished) == (busy, "")
    (records / ".journal").mkdir()
    (records / ".journal" / "owner").write_text("them@there\nmore\n")
    seen = sandbox.observe(Request())
    assert (seen.busy, seen.unfinished) == (busy, "" if busy else "them@there")


def test_a_lock_that_tells_little(sandbox: Sandbox, records: Path) -> None:
    sandbox.setup += [HOLDERS["at work"][0], "printf $holder >/run/lvsdeploy/lock"]
    assert sandbox.observe(Request()).busy == "somebody"
    sandbox.setup[-1] = "rm -f /run/lvsdeploy/lock; mkfifo /run/lvsdeploy/lock"
    (records / ".journal").mkdir()
    seen = sandbox.observe(Request())
    assert (seen.busy, seen.unfinished) == ("", "somebody")


def test_a_lock_where_there_is_no_run(sandbox: Sandbox) -> None:
    root = sandbox.folder / "root"
    root.mkdir()
    tops = "bin sbin lib lib64 usr etc proc sys dev tmp"
    bind = f"mkdir {root}/$top; mount --rbind /$top {root}/$top"
    sandbox.setup = [
        f"mount -t tmpfs -o mode=755 tmpfs {root}",
        f"for top in {tops}; do [ ! -e /$top ] || {{ {bind}; }}; done",
        f"mkdir -p {root}/var/run/lvsdeploy",
        HOLDERS["at work"][0],
        f'echo "$holder x {BUSY}" >{root}/var/run/lvsdeploy/lock',
        f'set -- chroot {root} "$@"',
    ]
    assert sandbox.observe(Request()).busy == BUSY


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        (b"ops@desk, since then\nmore\n", "ops@desk, since then"),
        (b"no newline", "no newline"),
        (b"\x1b[31mred\x07 \xff\xe2\x80\xae" + b"x" * 10_000, "[31mred"),
        (b"", "somebody"),
        (b"\n", "somebody"),
        (None, "somebody"),
    ],
)
def test_a_journal(sandbox: Sandbox, records: Path, owner: bytes | None, told: str) -> None:
    (records / ".journal").mkdir()
    if owner is not None:
        (records / ".journal" / "owner").write_bytes(owner)
    seen = sandbox.observe(Request())
    assert seen.unfinished.startswith(told)
    assert seen.unfinished.isprintable()
    assert len(seen.unfinished) <= 200
    assert seen.busy == ""


def test_neither_manifest_nor_transactions_cost_a_process(sandbox: Sandbox, records: Path) -> None:
    etc = tree(sandbox)
    script = str(etc / "shop" / "real-server")
    files = {script: [b"#!/bin/sh\n"], "/etc/passwd": []}
    bare = sandbox.forks(Request(files=files))
    manifest = written(files={script: {}, "/etc/group": {}}, folders=[str(etc)], units={"none": {}})
    (records / "shop" / "manifest.json").write_bytes(manifest)
    (records / "news").mkdir()
    (records / "news" / "manifest.json").write_bytes(written(cluster="news"))
    assert bare > 0
    assert sandbox.forks(Request(files=files, record=RECORD)) == bare
    (records / ".journal").mkdir()
    assert sandbox.forks(Request(files=files, record=RECORD)) == bare
