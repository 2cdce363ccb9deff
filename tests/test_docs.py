"""The pages that people read: links that lead somewhere, an inventory that works, the field's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lvsdeploy.cli.group import Verbs
from lvsdeploy.inventory import load

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if "reference" not in page.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_field_s_words(page: Path) -> None:
    assert (
        re.findall(r"\b(?:backends?|nodes?|members?)\b", page.read_text(encoding="utf-8"), re.IGNORECASE)
        == []
    )


def test_the_inventory_of_the_readme_is_the_smallest_example(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "shop.yaml"
    file.write_text(block, encoding="utf-8")
    example = load(ROOT / "inventories" / "dr-minimal.yaml").cluster
    assert [s.vips[0].ip for s in load(file).cluster.services] == [s.vips[0].ip for s in example.services]


def test_the_readme_says_which_commands_there_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| commands |")]
    _, _, built, later, _ = row.split("|")
    assert {name for name in Verbs.ORDER if re.search(rf"\b{name}\b", built)} == set(Verbs.ORDER)
    assert {name for name in Verbs.LATER if re.search(rf"\b{name}\b", later)} == set(Verbs.LATER)


@pytest.mark.parametrize(
    "record", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda record: record.stem
)
def test_a_decision_record_fits_a_screen(record: Path) -> None:
    lines = record.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {record.stem[:4]}: ")
    assert len(lines) <= 40
