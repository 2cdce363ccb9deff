"""Answers of real hosts: each folder under recorded/hosts is a test.

A new one is request.json and answer; `LVSDEPLOY_RECORD=1 pytest tests/observe` writes its expected.json,
to be read through before it is committed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lvsdeploy.observe import parse
from tests.observe.shown import request_of, shown

HOSTS = sorted((Path(__file__).parent / "recorded" / "hosts").iterdir())


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_recorded_answer(folder: Path) -> None:
    answer = (folder / "answer").read_bytes()
    seen = shown(parse("lvs1", answer, request_of(folder)))
    expected = folder / "expected.json"
    if os.environ.get("LVSDEPLOY_RECORD"):
        expected.write_text(json.dumps(seen, indent=2) + "\n")
    assert seen == json.loads(expected.read_text())
