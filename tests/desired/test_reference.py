"""The pages that are generated from tables in the code are fresh, and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsdeploy.desired.keywords import keywords
from lvsdeploy.desired.reference import PAGES, distributions_page, keepalived_page, main, versions_page
from lvsdeploy.state.distributions import DISTRIBUTIONS, PROGRAMS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_fresh(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `make reference`"


def test_the_generator_writes_them(tmp_path: Path) -> None:
    main(tmp_path / "new")
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()}
    assert written == {name: page() for name, page in PAGES.items()}


def test_every_distribution_and_program_is_told() -> None:
    page = distributions_page()
    for row in DISTRIBUTIONS:
        assert row.saved_table is not None
        assert f"| {row.name} | `{row.saved_table.path}` |" in page
        assert all(name in page for name in row.ids)
        assert all(row.package(program) in page for program in PROGRAMS)


def test_every_keyword_is_told() -> None:
    page = keepalived_page()
    for keyword in keywords().values():
        assert f"`{keyword.name}`" in page
        assert (keyword.refused or keyword.own or keyword.key.split(", ")[0]) in page
    assert "| `router_id` | by itself: the director's name in the inventory |  |  |" in page
    assert "| `PING_CHECK` | `services.NAME.health_check (ping)` | 2.1.0 |  |" in page
    assert "| `bfd_instance` | `services.NAME.health_check (bfd)` | 2.0.0 | BFD |" in page
    assert "## `vrrp_instance authentication`" in page


def test_every_version_is_told() -> None:
    page = versions_page()
    assert "| scheduler mh (module ip_vs_mh) | 4.18 |" in page
    assert "| sysctl net.ipv4.vs.run_estimation | 5.16 |" in page
    assert "| tunnels of type gre | 2.0.18 | IPVS_TUN_GRE |" in page
    assert "| tunnels of type gre | 5.3 |" in page
    assert "| tunnels of type gre | 1.31 |" in page
