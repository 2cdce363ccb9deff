"""The generated pages are fresh; `explain` finds its page; the package is cheap to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lvsdeploy.errors import UsageError
from lvsdeploy.explain import page
from lvsdeploy.inventory.reference import pages
from lvsdeploy.inventory.schema_check import schema
from tests.inventory.shown import ROOT


@pytest.mark.parametrize("name", ["inventory.md", "findings.md"])
def test_pages_are_fresh(name: str) -> None:
    text = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert text == pages()[name], "run `python -m lvsdeploy.inventory.reference`"


def test_every_key_is_described() -> None:
    bare = []
    todo: list[tuple[str, object]] = [("", schema())]
    while todo:
        path, node = todo.pop()
        if isinstance(node, list):
            todo.extend((path, item) for item in node)
        if not isinstance(node, dict) or path.endswith("/then"):
            continue
        for key, value in node.get("properties", {}).items():
            if "/if" in path:
                continue
            shared = value.get("$ref", "").rpartition("/")[2]
            if "description" not in value and "description" not in schema()["$defs"].get(shared, {}):
                bare.append(f"{path}/{key}")
        todo.extend((f"{path}/{key}", value) for key, value in node.items() if key != "description")
    assert bare == []


def test_explain() -> None:
    assert page("lvs101").startswith("# LVS101: ")
    assert page("101") == page(" LVS101 ")
    with pytest.raises(UsageError):
        page("LVS199")


def test_import_is_light() -> None:
    code = "import sys, lvsdeploy.inventory; print({'yaml', 'jsonschema'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "set()"
