"""The generated page of the commands is fresh, and whole."""

from __future__ import annotations

from pathlib import Path

from lvsdeploy.cli.group import Verbs
from lvsdeploy.cli.reference import commands_page, main
from lvsdeploy.cli.verbs import lvsdeploy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(), "run `make reference`"


def test_it_has_every_command_and_option() -> None:
    page = commands_page()
    for name, command in lvsdeploy.commands.items():
        assert f"\n## lvsdeploy {name}\n" in page
        for parameter in command.params:
            assert all(option in page for option in parameter.opts if option.startswith("-"))


def test_the_order_of_the_verbs_names_all_of_them() -> None:
    assert set(Verbs.ORDER) == set(lvsdeploy.commands)


def test_the_generator_writes_it(tmp_path: Path) -> None:
    main(tmp_path / "new")
    assert (tmp_path / "new" / "commands.md").read_text(encoding="utf-8") == commands_page()
