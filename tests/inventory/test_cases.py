"""Every inventory under cases/ and inventories/ is a test: put a file there.

good/NAME.yaml must load; its findings and its Cluster are in NAME.json. bad/NAME.yaml must not; its
findings are in NAME.expected. Write these files anew with LVSDEPLOY_GOLDEN=write, and read the diff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lvsdeploy.errors import InventoryInvalid
from lvsdeploy.inventory import load
from tests.inventory.shown import CASES, ENVIRON, ROOT, as_json, as_text, compare, findings_of

if TYPE_CHECKING:
    from pathlib import Path

GOOD = sorted((CASES / "good").glob("*.yaml"))
BAD = sorted((CASES / "bad").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "inventories").glob("*.yaml"))


@pytest.mark.parametrize("path", [*GOOD, *EXAMPLES], ids=lambda path: path.stem)
def test_good(path: Path) -> None:
    loaded = load(path, environ=ENVIRON)
    dump = {"findings": as_text(loaded.findings).splitlines(), "cluster": loaded.cluster}
    text = as_json(dump["findings"], path.parent) + as_json(dump["cluster"], path.parent)
    compare(CASES / "good" / f"{path.stem}.golden", text)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad(path: Path) -> None:
    with pytest.raises(InventoryInvalid) as caught:
        load(path, environ=ENVIRON)
    compare(path.with_suffix(".expected"), as_text(caught.value.findings))


def test_findings_show_their_line() -> None:
    for path in BAD:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        for finding in findings_of(path):
            assert finding.place is not None
            assert finding.why
            assert finding.fix
            assert finding.place.file == str(path)
            if finding.place.text and "*" not in finding.place.text:
                assert finding.place.text == lines[finding.place.line - 1]


def test_the_whole_contract_is_known() -> None:
    """Nothing of the contract is refused but what is not built yet."""
    assert not [f for f in findings_of(CASES / "good" / "whole.yaml") if f.is_error]
