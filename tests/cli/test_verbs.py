"""Every verb's exit codes and words, as far as no host is needed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from lvsdeploy.explain import codes
from tests.cli.running import EXAMPLES, SMALLEST, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done

ON_INVENTORIES = (
    *("validate", "render", "plan", "apply", "check", "status"),
    *("drain", "undrain", "history", "rollback", "destroy"),
)
OF_ONE_HOST = ("drain", "undrain")


# --- inventories that are none ------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ON_INVENTORIES)
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("broken", "error[LVS"),
        ("missing", "cannot read the file: No such file or directory"),
        ("directory", "cannot read the file: Is a directory"),
        ("empty", "the file is empty"),
        ("binary", "error[LVS"),
        ("wrong", "error[LVS"),
    ],
)
def test_what_is_no_inventory(
    verb: str, kind: str, says: str, run: Callable[..., Done], tmp_path: Path
) -> None:
    path = tmp_path / "shop.yaml"
    if kind == "directory":
        path.mkdir()
    elif kind != "missing":
        wrong = SMALLEST.read_bytes().replace(b"mode: dr", b"mode: drr")
        path.write_bytes(
            {
                "broken": b"version: 1\ncluster: [\n",
                "empty": b"",
                "binary": bytes(range(256)),
                "wrong": wrong,
            }[kind]
        )
    done = run(verb, path, *["web1"] * (verb in OF_ONE_HOST))
    assert done.code == 3
    said = done.out if verb == "validate" else done.err
    assert says in said
    assert f"{path}: " in said
    assert "do:" in said
    if verb != "validate":
        assert done.out == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_inventory_that_may_not_be_read(run: Callable[..., Done], tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.touch(mode=0)
    codes = [run(verb, path, *["web1"] * (verb in OF_ONE_HOST)).code for verb in ON_INVENTORIES]
    assert codes == [3] * len(ON_INVENTORIES)


# --- command lines that are none ----------------------------------------------------------------------------

USAGE = [
    ([], "Usage: lvsdeploy [OPTIONS] COMMAND"),
    (["bogus"], "No such command 'bogus'"),
    (["--bogus"], "No such option"),
    (["plan"], "Missing argument 'INVENTORY'"),
    (["validate"], "Missing argument 'INVENTORY...'"),
    (["explain"], "Missing argument"),
    (["plan", "a", "b"], "unexpected extra argument"),
    (["plan", "--limitt", "x", SMALLEST], "No such option '--limitt'"),
    (["plan", "--output", "bogus", SMALLEST], "'bogus' is not one of 'text', 'json', 'markdown', 'junit'"),
    (["check", "--color", "sometimes", SMALLEST], "'sometimes' is not one of"),
    (["plan", "--parallel", "0", SMALLEST], "0 is not in the range"),
    (["plan", "--parallel", "many", SMALLEST], "'many' is not a valid integer"),
    (["plan", "--limit", "wbe1", SMALLEST], "nothing matches `wbe1`\n  do: Did you mean `web1`?"),
    (["apply", "--limit", "@web", SMALLEST], "nothing matches `@web`"),
    (["check", "--limit", "", SMALLEST], "--limit names no host"),
    (["status", "--limit", "web1", SMALLEST], "no director is among these hosts"),
    (["plan", "--log-file", "/nonexistent/log", SMALLEST], "--log-file: /nonexistent/log: No such file"),
    (["render", "--host", "wbe1", SMALLEST], "no host `wbe1`\n  do: There are: web1, web2, lvs1"),
    (["render", "--out", SMALLEST, SMALLEST], "is a file"),
    (["apply", "--serial", "0", SMALLEST], "--serial: `0` is neither a number of hosts nor a percentage"),
    (["apply", "--serial", "101%", SMALLEST], "--serial: `101%` is neither"),
    (["apply", "--max-failures", "-1", SMALLEST], "-1 is not in the range"),
    (["apply", "--confirm", "4", SMALLEST], "4 is not in the range"),
    (["apply", "--drain-timeout", "x", SMALLEST], "'x' is not a valid integer"),
    (["apply", "--lock-timeout", "-1", SMALLEST], "-1 is not in the range"),
    (["drain", SMALLEST], "Missing argument 'HOST'"),
    (
        ["drain", SMALLEST, "wbe1"],
        "`wbe1` is not a real server of this inventory\n  do: Did you mean `web1`?",
    ),
    (["undrain", SMALLEST, "nobody"], "not a real server of this inventory\n  do: There are: web1, web2"),
    (["drain", SMALLEST, "lvs1"], "`lvs1` is a director"),
    (
        ["drain", SMALLEST, "web1", "--service", "htpt"],
        "web1 is not in a service `htpt`\n  do: It is in: http",
    ),
    (["undrain", SMALLEST, "web1", "--service", ""], "web1 is not in a service ``"),
    (["drain", SMALLEST, "web1", "--limit", "web1"], "a drain is the directors' business"),
    (["drain", SMALLEST, "web1", "--wait", "--drain-timeout", "0"], "0 is not in the range"),
    (["explain", "LVS199"], "there is no finding 'LVS199'"),
    (["explain", "tls"], "there is no finding 'tls'"),
]


@pytest.mark.parametrize(("arguments", "says"), USAGE)
def test_wrong_command_lines(arguments: list[str], says: str, run: Callable[..., Done]) -> None:
    done = run(*arguments)
    assert done.code == 64
    assert says in done.err
    assert done.out == ""


@pytest.mark.parametrize("verb", ["", *ON_INVENTORIES, "explain", "init", "schema"])
def test_help(verb: str, run: Callable[..., Done]) -> None:
    done = run(*filter(None, [verb]), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: lvsdeploy")
    assert max(map(len, done.out.splitlines())) <= 100


def test_version(run: Callable[..., Done]) -> None:
    assert run("--version").out.startswith("lvsdeploy, version ")


# --- validate -----------------------------------------------------------------------------------------------


def test_validate_several(run: Callable[..., Done]) -> None:
    files = [EXAMPLES / "dr-minimal.yaml", EXAMPLES / "nat-port-mapping.yaml"]
    done = run("validate", *files)
    assert done.code == 0
    assert done.out.count("is valid") == 2


def test_validate_finds_what_inventories_do_to_each_other(run: Callable[..., Done], tmp_path: Path) -> None:
    first, second = tmp_path / "shop.yaml", tmp_path / "blog.yaml"
    first.write_text(SMALLEST.read_text())
    second.write_text(SMALLEST.read_text().replace("cluster: shop", "cluster: blog"))
    assert run("validate", first).code == run("validate", second).code == 0
    done = run("validate", first, second)
    assert done.code == 3
    assert "error[LVS209]" in done.out
    assert f"{second}: " in done.out
    # The same file twice is one file.
    assert run("validate", first, first).code == 0


def test_validate_goes_on_after_a_broken_file(run: Callable[..., Done], tmp_path: Path) -> None:
    done = run("validate", tmp_path / "missing.yaml", SMALLEST)
    assert done.code == 3
    assert f"{tmp_path / 'missing.yaml'}: 1 error" in done.out
    assert f"{SMALLEST}: cluster shop is valid" in done.out


@pytest.mark.parametrize("form", ["json", "markdown", "junit"])
def test_validate_in_other_formats(form: str, run: Callable[..., Done]) -> None:
    done = run("validate", "--output", form, SMALLEST)
    assert (done.code, done.err) == (0, "")
    if form == "json":
        assert json.loads(done.out)["files"][0]["cluster"] == "shop"
    elif form == "junit":
        assert ET.fromstring(done.out.encode()).tag == "testsuites"  # noqa: S314 — our own text
    else:
        assert done.out.startswith("### ")


def test_plain_text_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("名前: ü\n" + SMALLEST.read_text(), encoding="utf-8")
    done = process("validate", path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.code == 3
    assert "\\u540d" in done.out
    assert "Traceback" not in done.err


# --- render -------------------------------------------------------------------------------------------------

SECRET = "s3cretpw"  # noqa: S105


def with_password(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    (tmp_path / "password").write_text(SECRET)
    path.write_text(SMALLEST.read_text() + "vrrp: {password: {file: password}}\n")
    return path


def test_render_prints_every_host_s_files(run: Callable[..., Done], tmp_path: Path) -> None:
    done = run("render", with_password(tmp_path))
    assert done.code == 0
    heads = [line for line in done.out.splitlines() if line.startswith("# --- ")]
    assert "# --- lvs1:/etc/keepalived/keepalived.conf (0600 root:root)" in heads
    assert {head.split()[2].partition(":")[0] for head in heads} == {"web1", "web2", "lvs1"}
    assert SECRET not in done.out + done.err
    assert "auth_pass ********" in done.out
    only = run("render", "--host", "web2", with_password(tmp_path))
    assert only.out.count("# --- ") == only.out.count("# --- web2:") == 3


def test_render_of_a_host_that_is_not_managed(run: Callable[..., Done], tmp_path: Path) -> None:
    """By its name, what it would get if it were."""
    inventory = tmp_path / "cluster.yaml"
    text = Path(SMALLEST).read_text("utf-8")
    assert "web2: {address: 192.0.2.12}" in text
    inventory.write_text(text.replace("address: 192.0.2.12}", "address: 192.0.2.12, managed: false}"))
    assert "# --- web2:" not in run("render", inventory).out
    one = run("render", "--host", "web2", inventory)
    assert "# --- web2:/etc/sysctl.d/90-lvsdeploy-" in one.out
    assert one.out == run("render", "--host", "web2", SMALLEST).out


def test_render_writes_a_tree(run: Callable[..., Done], tmp_path: Path) -> None:
    out = tmp_path / "out"
    inventory = with_password(tmp_path)
    done = run("render", "--out", out, inventory)
    assert (done.code, done.out, done.err) == (0, "", f"Wrote {out}\n")
    modes = {
        str(path.relative_to(out)): path.stat().st_mode & 0o7777 for path in out.rglob("*") if path.is_file()
    }
    assert modes["lvs1/etc/keepalived/keepalived.conf"] == 0o600
    assert not any("manifest" in name for name in modes), "what a host remembers is made on the host"
    assert modes["web1/etc/lvsdeploy/shop/real-server"] == 0o755
    assert modes["web1/etc/sysctl.d/90-lvsdeploy-shop.conf"] == 0o644
    assert SECRET in (out / "lvs1/etc/keepalived/keepalived.conf").read_text()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "web1/etc/lvsdeploy/shop/real-server").chmod(0o400)
    assert run("render", "--out", out, inventory).code == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert (out / "web1/etc/lvsdeploy/shop/real-server").stat().st_mode & 0o7777 == 0o755


def test_render_does_not_follow_a_link(run: Callable[..., Done], tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = tmp_path / "other"
    other.write_text("mine")
    place = out / "lvs1/etc/keepalived/keepalived.conf"
    place.parent.mkdir(parents=True)
    place.symlink_to(other)
    assert run("render", "--out", out, with_password(tmp_path)).code == 0
    assert other.read_text() == "mine"
    assert not place.is_symlink()


def test_render_where_nothing_can_be_written(run: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "web1").touch()
    done = run("render", "--out", tmp_path / "out", SMALLEST)
    assert done.code == 1
    assert done.err.startswith(f"lvsdeploy: {tmp_path}/out/web1/etc")


# --- explain, init, schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["LVS101", "lvs101", "101", "LVS521", "LVS523", "LVS524", "LVS531", "LVS506"]
)
def test_explain(code: str, run: Callable[..., Done]) -> None:
    done = run("explain", code)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# LVS")
    assert "## What to do" in done.out


def test_every_finding_of_a_live_host_has_a_page_worth_reading() -> None:
    for code in codes():
        if code.code.startswith("LVS5"):
            assert code.statement.endswith("."), code.code
            assert code.why.endswith("."), code.code
            assert code.fix.endswith("."), code.code


def test_init_gives_a_valid_inventory(run: Callable[..., Done], tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    assert run("init", path).code == 0
    assert run("validate", path).code == 0
    assert run("init").out == path.read_text()
    path.write_text("mine")
    again = run("init", path)
    assert (again.code, path.read_text()) == (1, "mine")
    assert "File exists" in again.err


def test_schema(run: Callable[..., Done]) -> None:
    done = run("schema")
    assert done.code == 0
    assert json.loads(done.out)["$schema"].endswith("2020-12/schema")


# --- no traceback, ever -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["schema"], ["render", str(EXAMPLES / "mixed.yaml")], ["explain", "101"]]
)
def test_a_reader_that_leaves(arguments: list[str]) -> None:
    done = process(*arguments, line='"$@" | head -c 1')
    assert len(done.out) == 1
    assert done.err == ""
    assert process(*arguments, line='"$@" | true').err == ""


@pytest.mark.parametrize("verb", ["schema", "validate"])
def test_a_full_disk(verb: str) -> None:
    arguments = [verb, *([str(SMALLEST)] if verb == "validate" else [])]
    done = process(*arguments, line='"$@" >/dev/full')
    assert done.code == 1
    assert done.err == "lvsdeploy: cannot write the answer: No space left on device\n"


def test_debug_shows_where_and_keeps_the_exit_code(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    quiet, loud = process("plan", missing), process("plan", "--debug", missing)
    assert (quiet.code, loud.code) == (3, 3)
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert quiet.err in loud.err


def test_an_internal_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lvsdeploy.cli import main, validation  # noqa: PLC0415

    def broken(_paths: object) -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr(validation, "validate_files", broken)
    for debug in (False, True):
        with pytest.raises(SystemExit) as ended:
            main(["validate", *["--debug"] * debug, str(SMALLEST)])
        assert ended.value.code == 1
        said = capsys.readouterr()
        assert "lvsdeploy: internal error: ZeroDivisionError: made up\n" in said.err
        assert ("Traceback" in said.err) == debug
        assert said.out == ""


# --- colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "environ", "coloured"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color", "auto"], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours(options: list[str], environ: dict[str, str], coloured: bool) -> None:  # noqa: FBT001
    assert ("\x1b[" in process("validate", *options, SMALLEST, **environ).out) == coloured
