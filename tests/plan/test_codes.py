"""Every finding about live hosts has a test that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsdeploy.inventory.registry import Code
from lvsdeploy.plan import codes

LIVE = {symbol: code for symbol, code in vars(codes).items() if isinstance(code, Code)}
FOLDERS = [Path(__file__).parent, Path(__file__).parent.parent / "execute"]


def _tests() -> str:
    """The text of the tests of what gives findings, but for this one."""
    paths = [path for folder in FOLDERS for path in folder.rglob("test_*.py") if path != Path(__file__)]
    return "\n".join(path.read_text("utf-8") for path in sorted(paths))


@pytest.mark.parametrize("symbol", sorted(LIVE))
def test_each_live_code_is_in_a_test(symbol: str) -> None:
    text = _tests()
    assert LIVE[symbol].code in text or f"codes.{symbol}." in text, f"no test names {LIVE[symbol].code}"


def test_each_live_code_is_one_of_its_own() -> None:
    assert len({code.code for code in LIVE.values()}) == len(LIVE)
    assert all(code.code.startswith("LVS5") for code in LIVE.values())
