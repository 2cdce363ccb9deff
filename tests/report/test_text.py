"""Results for people. Golden files: write them anew with LVSDEPLOY_GOLDEN=write, and read the diff."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from lvsdeploy.cli.output import console
from lvsdeploy.diagnostics import Finding, Place, Severity
from lvsdeploy.plan.change import Failure, Plan
from lvsdeploy.report.text import as_text, failure_text, finding_text
from lvsdeploy.results import Planned, Result
from tests.plan.hosts import RECORD, converged, plan, with_file
from tests.report.examples import (
    HOSTILE,
    HOSTILE_RESULTS,
    PASSWORDS,
    RESULTS,
    SHOP,
    WAITS,
    drifted,
    first,
)

GOLDEN = Path(__file__).parent / "golden"


def text(result: Result, *, color: str = "auto", verbose: bool = False) -> str:
    stream = io.StringIO()
    console(stream, color).print(as_text(result, verbose=verbose), soft_wrap=True)
    return stream.getvalue()


@pytest.mark.parametrize("name", RESULTS)
def test_golden(name: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("LVSDEPLOY_GOLDEN") == "write":
        golden.write_text(text(RESULTS[name]), encoding="utf-8")
    assert text(RESULTS[name]) == golden.read_text(encoding="utf-8")


def test_nothing_else_is_kept() -> None:
    assert sorted(RESULTS) == sorted(path.stem for path in GOLDEN.glob("*.txt"))


@pytest.mark.parametrize("name", RESULTS)
def test_text_is_tidy(name: str) -> None:
    lines = text(RESULTS[name]).split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[-1] == ""
    assert "\x1b" not in text(RESULTS[name])


@pytest.mark.parametrize("name", [*RESULTS])
@pytest.mark.parametrize("verbose", [False, True])
def test_passwords_are_nowhere(name: str, verbose: bool) -> None:  # noqa: FBT001
    for password in PASSWORDS:
        assert password not in text(RESULTS[name], verbose=verbose)


@pytest.mark.parametrize("name", HOSTILE_RESULTS)
@pytest.mark.parametrize("color", ["auto", "never"])
def test_nothing_acts_on_a_terminal(name: str, color: str) -> None:
    said = text(HOSTILE_RESULTS[name], color=color, verbose=True)
    acting = {c for c in said if unicodedata.category(c)[0] == "C" and c != "\n"} | (set(said) & {"\u2028"})
    assert acting == set()
    assert "[bold]x[/bold]" in said
    assert "end" in said


def test_nothing_is_wrapped_or_cut() -> None:
    long = Failure("web1", "x" * 3000, "y" * 3000, "z" * 3000)
    said = text(Planned(Plan("shop", (), (long,))))
    assert all(character * 3000 in said for character in "xyz")


@pytest.mark.parametrize("verbose", [False, True])
def test_what_is_written_down_is_nothing_to_decide_on(verbose: bool) -> None:  # noqa: FBT001
    said = text(Planned(first()), verbose=verbose)
    assert "manifest.json" not in said
    assert "/history/" not in said
    assert any(host.bookkeeping for host in first().hosts)


def test_a_record_that_alone_changes_is_told() -> None:
    said = text(Planned(Plan("shop", (plan(with_file(converged(SHOP, "web1"), RECORD, mode=0o666)),))))
    assert f"~ record {RECORD}: mode 0666, declared 0644 [changed on the host]" in said


def test_verbose_shows_all_that_was_done() -> None:
    assert "and 2 more (-v shows them)" in text(RESULTS["history"])
    said = text(RESULTS["history"], verbose=True)
    assert "more (-v" not in said
    assert "inventory abababab" in said


def test_hosts_with_the_same_changes_are_shown_once() -> None:
    said = text(Planned(first()))
    assert said.startswith("web1, web2 (real servers)\n")
    assert said.count("real-server (declared)") == 1
    assert "web1, web2: /etc/lvsdeploy/shop/real-server\n" in said


def test_findings_that_hosts_share_are_shown_once() -> None:
    assert text(Planned(drifted())).count("its health check fails") == 1
    assert "lvs1, lvs2: warning[LVS530]" in text(Planned(drifted()))


@pytest.mark.parametrize(
    ("line", "column", "under"),
    [
        ("port: 8080", 7, "8"),
        ("\tport: 8080", 8, "8"),
        ("a\tb\tport", 5, "p"),
        ("名前: 8080", 5, "8"),
        ("名\t前: 8080", 6, "8"),
        ("\x1b\x1b: 8080", 5, "8"),
        ("é: 8080", 4, "8"),
        ("port:", 1, "p"),
    ],
)
def test_the_caret_is_under_its_column(line: str, column: int, under: str) -> None:
    finding = Finding("LVS001", Severity.ERROR, "s", place=Place("f", 3, column, line))
    _, shown, caret = finding_text(finding).plain.splitlines()[:3]
    position = cell_len(caret) - 1
    cells = 0
    for character in shown:
        if cells == position:
            assert character == under
            break
        cells += cell_len(character)
    assert cells == position
    assert "\t" not in shown


@pytest.mark.parametrize(("column", "cells"), [(10, 9), (12, 11)])
def test_a_caret_behind_the_line_s_end(column: int, cells: int) -> None:
    finding = Finding("LVS001", Severity.ERROR, "s", place=Place("f", 3, column, "services:"))
    shown, caret = finding_text(finding).plain.splitlines()[1:3]
    assert caret.index("^") == shown.index("services") + cells


def test_why_is_told_where_it_matters() -> None:
    warning = Finding("LVS001", Severity.WARNING, "s", why="because", fix="so")
    assert "why:" not in finding_text(warning).plain
    for finding in (replace(warning, drift=True), replace(warning, severity=Severity.ERROR)):
        assert "why: because" in finding_text(finding).plain
    assert "why: because" in finding_text(warning, verbose=True).plain


def test_a_failure_keeps_its_programs_words() -> None:
    failure = Failure("web1", "m", "h", "a\n  b\r\nc\x1b[0m\n")
    assert failure_text(failure).plain == (
        "web1: m\n      | a\n      |   b\\r\n      | c\\x1b[0m\n      do:  h"
    )
    assert HOSTILE not in failure_text(replace(WAITS, detail=HOSTILE)).plain


# --- colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("color", "environ", "coloured"),
    [
        ("auto", {}, False),
        ("never", {"FORCE_COLOR": "1"}, False),
        ("always", {}, True),
        ("always", {"NO_COLOR": "1"}, True),
        ("always", {"TERM": "dumb"}, True),
        ("always", {"TERM": "unknown"}, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours(
    color: str,
    environ: dict[str, str],
    coloured: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    said = text(RESULTS["check-drift"], color=color)
    assert ("\x1b[3" in said or "\x1b[1;3" in said) == coloured


def test_colours_change_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = text(RESULTS["plan-drift"], color="always")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(RESULTS["plan-drift"])
