"""Findings and clusters as text, for comparison with the files under cases/."""

from __future__ import annotations

import json
import os
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvsdeploy.errors import InventoryInvalid
from lvsdeploy.inventory import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.diagnostics import Finding

CASES = Path(__file__).parent / "cases"
ROOT = Path(__file__).parents[2]
ENVIRON = {"HOME": "/home/op", "VRRP_PASSWORD": "s3cret", "LONG_PASSWORD": "longer-than-eight"}


def compare(golden: Path, text: str) -> None:
    """A file that is kept, and written anew with LVSDEPLOY_GOLDEN=write."""
    if os.environ.get("LVSDEPLOY_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def findings_of(path: Path) -> tuple[Finding, ...]:
    """What loading a file finds, whether it loads or not."""
    try:
        return load(path, environ=ENVIRON).findings
    except InventoryInvalid as error:
        return error.findings


def as_text(findings: Iterable[Finding]) -> str:
    """One line a finding: line:column, severity, code, summary."""
    return "".join(
        f"{f.place.line}:{f.place.column}: {f.severity}[{f.code}] {f.summary}\n"
        for f in findings
        if f.place is not None
    )


def as_json(value: object, folder: Path) -> str:
    """A model as JSON; paths below `folder` are shown relative to it, and default values are left out."""
    return json.dumps(_plain(value, folder), indent=2) + "\n"


def _plain(value: object, folder: Path) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name), folder)
            for field in fields(value)
            if getattr(value, field.name) != field.default and field.name != "source"
        }
    if isinstance(value, tuple | list):
        return [_plain(item, folder) for item in value]
    if isinstance(value, Path):
        return str(value.relative_to(folder)) if value.is_relative_to(folder) else str(value)
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, bool | int | float | None) else str(value)
