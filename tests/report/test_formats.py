"""Results for machines: JSON, Markdown, JUnit."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from lvsdeploy.report.as_json import as_json
from lvsdeploy.report.junit import as_junit
from lvsdeploy.report.markdown import as_markdown
from lvsdeploy.report.rows import rows
from tests.report.examples import HOSTILE, HOSTILE_RESULTS, PASSWORDS, RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = {**RESULTS, **{f"hostile-{name}": result for name, result in HOSTILE_RESULTS.items()}}
FORMATS = {"json": as_json, "markdown": as_markdown, "junit": as_junit}

APPLIED = ("changed", "left", "failures", "after", "what", "recovered")
KEYS = {
    "validate": {"files"},
    "plan": {"plan", "detailed", "as_declared", "changes"},
    "check": {"plan", "as_declared", "changes"},
    **{name: set(APPLIED) for name in ("apply", "rollback", "destroy", "drain")},
    "history": {"cluster", "applies", "failures"},
    "status": {"cluster", "directors", "failures", "findings"},
}
PLAN = {"cluster", "hosts", "failures", "findings"}
HOST = {"host", "role", "changes", "findings"}
CHANGE = {"kind", "name", "action", "reason", "detail", "diff"}
FINDING = {"code", "severity", "summary", "why", "fix", "place", "host", "drift"}
FAILURE = {"host", "message", "hint", "detail", "exit_code"}
DIRECTOR = {"name", "role", "holds", "services"}
SERVICE = {"name", "service", "destinations"}
DESTINATION = {"name", "address", "forwarding", "weight", "active", "inactive", "state", "managed"}
TABLE = {"virtual_service", "scheduler", "scheduler_flags", "persistence", "netmask", "one_packet", "engine"}
SHAPES = [
    {"file", "cluster", "findings"},
    PLAN,
    HOST,
    CHANGE,
    FINDING,
    FAILURE,
    DIRECTOR,
    SERVICE,
    DESTINATION,
    TABLE,
    {"file", "line", "column", "text"},
    {"host", "whose"},
    {"id", "at", "by", "what", "inventory", "changes"},
    {"web1", "lvs1"},  # hosts in a history
    {"lvs1"},
]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


@pytest.mark.parametrize("name", EVERY)
def test_json_has_stable_keys(name: str) -> None:
    document = json.loads(as_json(EVERY[name]))
    command = document["command"]
    assert command in name
    assert document.keys() == {"format_version", "command", "exit_code"} | KEYS[command]
    assert document["format_version"] == 1
    assert document["exit_code"] == int(EVERY[name].exit_code)
    for found in list(objects(document))[1:]:
        assert set(found) in SHAPES


@pytest.mark.parametrize("name", EVERY)
def test_json_is_printable_ascii(name: str) -> None:
    text = as_json(EVERY[name])
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_json_keeps_every_character() -> None:
    document = json.loads(as_json(HOSTILE_RESULTS["plan"]))
    assert document["plan"]["hosts"][0]["findings"][0]["summary"] == HOSTILE


def test_json_tells_what_a_plan_holds() -> None:
    document = json.loads(as_json(RESULTS["plan-drift"]))
    assert (document["exit_code"], document["as_declared"], document["changes"]) == (4, False, 5)
    host = document["plan"]["hosts"][0]
    assert (host["host"], host["role"]) == ("web1", "real server")
    assert host["changes"][1] == {
        "kind": "sysctl",
        "name": "net.ipv4.conf.all.arp_ignore",
        "action": "update",
        "reason": "changed on the host",
        "detail": "is 0, declared 1",
        "diff": "",
    }
    assert document["plan"]["failures"][0]["exit_code"] == 4


def test_json_of_a_status() -> None:
    document = json.loads(as_json(RESULTS["status"]))
    service = document["directors"][0]["services"][0]
    assert service["service"] == {
        "virtual_service": "tcp 192.0.2.50:80",
        "scheduler": "wrr",
        "scheduler_flags": [],
        "persistence": 300,
        "netmask": "",
        "one_packet": False,
        "engine": "",
    }
    assert service["destinations"][0]["active"] == 12345


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EVERY)
def test_no_format_tells_a_password_or_acts_on_a_terminal(form: str, name: str) -> None:
    text = FORMATS[form](EVERY[name])
    assert not any(password in text for password in PASSWORDS)
    assert not set(text) & set("\x1b\x00\x07\r\x9b\u202e\ud800\u2028")
    text.encode("utf-8")


# --- Markdown -----------------------------------------------------------------------------------------------


def cells(text: str) -> list[list[str]]:
    """The table's rows, split where a reader of Markdown splits them."""
    table = [line for line in text.splitlines() if line.startswith("| ")]
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in table]


@pytest.mark.parametrize("name", EVERY)
def test_markdown_is_one_table_and_its_details(name: str) -> None:
    text = as_markdown(EVERY[name])
    title = EVERY[name].command
    assert title in name
    assert text.startswith(
        f"### lvsdeploy {title}: exit code {int(EVERY[name].exit_code)}\n\n| where | what |\n"
    )
    outside, fence = [], ""
    for line in text.splitlines():
        run = re.match(r"`{3,}", line)
        if run and not fence:
            fence = run[0]
        elif fence and line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
    assert fence == ""
    assert all(len(row) == 2 for row in cells("\n".join(outside)))
    assert len(cells("\n".join(outside))) >= 2
    openings = [line for line in outside if line.startswith("<details>")]
    assert len(openings) == outside.count("</details>")
    for line in openings:
        title = line.removeprefix("<details><summary>").removesuffix("</summary>")
        assert "<" not in title
        assert ">" not in title
    for line in outside:
        if line not in openings and line != "</details>":
            assert not re.search(r"(?<!\\)[<>]", line), line


def test_markdown_shows_hosts_with_the_same_change_once() -> None:
    text = as_markdown(RESULTS["plan-first"])
    assert text.count("#!/bin/sh") == 1
    assert "| web1, web2 | create file /etc/lvsdeploy/shop/real-server \\[not there yet\\] |" in text
    assert "```diff\n--- /etc/lvsdeploy/shop/real-server (on the host)\n" in text
    assert "manifest.json" not in text


def test_markdown_marks_what_is_bad() -> None:
    assert "| web2 | **no answer from 192.0.2.12 port 22 within 10 s** |" in as_markdown(
        RESULTS["plan-drift"]
    )
    assert "| web1 | **update sysctl" in as_markdown(RESULTS["check-drift"])
    assert "| web1 | update sysctl" in as_markdown(RESULTS["plan-drift"])


def test_markdown_of_hostile_content() -> None:
    text = as_markdown(HOSTILE_RESULTS["plan"])
    assert "\n``````diff\n" in text or "\n``````text\n" in text
    summary = next(line for line in text.splitlines() if line.startswith("<details>"))
    assert "[bold]x[/bold]" in unescape(summary)


# --- JUnit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_junit_parses_and_counts(name: str) -> None:
    text = as_junit(EVERY[name])
    root = ET.fromstring(text.encode("utf-8"))  # noqa: S314 — our own text
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    listed = list(rows(EVERY[name]))
    assert len(cases) == len(listed) == int(suite.attrib["tests"]) == int(root.attrib["tests"])
    failures = suite.findall("testcase/failure")
    assert len(failures) == sum(row.bad for row in listed) == int(suite.attrib["failures"])
    for case, row in zip(cases, listed, strict=True):
        assert case.attrib.keys() == {"classname", "name"}
        assert case.attrib["classname"]
        assert (case.find("failure") is not None) == row.bad


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("validate", 4),
        ("plan-first", 0),
        ("plan-drift", 2),
        ("check-drift", 7),
        ("check-nothing", 0),
        ("check-bypass", 1),
        ("apply", 0),
        ("apply-failed", 2),
        ("apply-refused", 2),
        ("status", 2),
    ],
)
def test_what_a_pipeline_stops_for(name: str, bad: int) -> None:
    assert sum(row.bad for row in rows(RESULTS[name])) == bad


def test_junit_keeps_diffs() -> None:
    root = ET.fromstring(as_junit(RESULTS["check-drift"]).encode())  # noqa: S314 — our own text
    bodies = [failure.text or "" for failure in root.iter("failure")]
    assert any("-net.ipv4.conf.all.arp_ignore = 0\n+# Managed" in body for body in bodies)


def test_every_subject_has_a_row() -> None:
    assert {row.subject for row in rows(RESULTS["plan-drift"])} == {"web1", "web2", "web3", "lvs1", "lvs2"}
    assert [(row.subject, row.title) for row in rows(RESULTS["check-nothing"])] == [
        (host, "nothing to change") for host in ("web1", "web2", "lvs1")
    ]
    assert [row.title for row in rows(RESULTS["apply"])] == ["changed: 7", "changed: 7", "changed: 9"]


def test_unknown_results_are_refused() -> None:
    with pytest.raises(TypeError):
        list(rows(object()))  # type: ignore[arg-type]
