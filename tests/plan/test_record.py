"""The record on a host: whatever stands in it, nothing of others is touched because of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsdeploy.desired import MANIFEST
from lvsdeploy.plan.record import Record, is_record, read_record
from lvsdeploy.state.file import File, FileKind
from tests.desired import clusters
from tests.plan.hosts import RECORD, SCRIPT, codes, converged, plan, told, with_file

GOOD = json.loads(converged(clusters.smallest(), "web1").actual.files[RECORD].content)


def manifest(content: bytes | object) -> File:
    return File(RECORD, content if isinstance(content, bytes) else json.dumps(content).encode())


def test_what_was_written_is_read_back() -> None:
    context = converged(clusters.smallest(), "web1")
    record = read_record(context.actual.files[RECORD])
    assert (record.path, record.problem, record.known) == (RECORD, "", True)
    assert SCRIPT in record.files
    assert record.addresses == context.desired.addresses


def test_no_record() -> None:
    assert read_record(None) == Record()
    assert read_record(File(RECORD, b"", kind=FileKind.DIRECTORY)) == Record()


HOSTILE: dict[str, Any] = {
    "empty": b"",
    "no JSON": b"{",
    "no UTF-8": b"\xff\xfe{}",
    "a list": [],
    "null": None,
    "a number": 1,
    "nothing in it": {},
    "deep": b"[" * 100_000,
    "a huge number": b'{"format": 1, "sysctls": {"a": ' + b"9" * 5000 + b"}}",
    "files is a list": {**GOOD, "files": ["/etc/passwd"]},
    "sysctls is text": {**GOOD, "sysctls": "all"},
    "a sysctl is text": {**GOOD, "sysctls": {"a": "x"}},
    "a sysctl is null": {**GOOD, "sysctls": {"a": None}},
    "an address is a number": {**GOOD, "addresses": [1]},
    "an address is none": {**GOOD, "addresses": ["300.0.0.1/32 lo"]},
    "an address without interface": {**GOOD, "addresses": ["192.0.2.1/32"]},
    "units is null": {**GOOD, "units": None},
    "no addresses": {key: value for key, value in GOOD.items() if key != "addresses"},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_garbled_record_counts_as_none_and_refuses(case: str) -> None:
    file = manifest(HOSTILE[case])
    assert read_record(file) == Record(problem="it is not what lvsdeploy writes")
    context = with_file(converged(clusters.smallest(), "web1"), RECORD, content=file.content)
    context = replace(context, record=read_record(file))
    assert codes(context) == ["LVS523"]
    assert plan(context).refused
    assert told(context) == []
    adopted = replace(context, adopt=True)
    assert codes(adopted) == []
    assert told(adopted) == [f"update file {RECORD} [written by somebody else]: content"]


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_the_record_of_another_version(version: object) -> None:
    record = read_record(manifest({**GOOD, "format": version}))
    assert record == Record(problem="it is in the format of another version of lvsdeploy")


def test_what_the_record_claims_and_nobody_asked_about_is_left_alone() -> None:
    context = converged(clusters.smallest(), "web1")
    claims = {**GOOD, "files": {**GOOD["files"], "/etc/passwd": "0" * 64}, "units": [*GOOD["units"], "ssh"]}
    claims["addresses"] = [*GOOD["addresses"], "198.51.100.1/24 eth9"]
    context = replace(context, record=read_record(manifest(claims)))
    assert told(context) == []


def test_paths_of_records() -> None:
    assert is_record(MANIFEST("shop"))
    assert not is_record("/var/lib/lvsdeploy/shop/other.json")
    assert not is_record("/etc/manifest.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "files", "sysctls", "addresses", "units", "x"]), inner, max_size=5
            )
        ),
        max_leaves=12,
    )
)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_json_is_read_or_refused(data: object) -> None:
    for value in (
        data,
        {**GOOD, "files": data},
        {**GOOD, "addresses": data},
        {**GOOD, "format": 1, "x": data},
    ):
        record = read_record(manifest(value))
        assert record.known != bool(record.problem)
