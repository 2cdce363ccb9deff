"""The inventory that `lvsdeploy init` prints: right as it is, and right with everything switched on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.cli import main
from lvsdeploy.inventory import load
from lvsdeploy.inventory.schema_check import schema
from lvsdeploy.resources import data_path

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = data_path("templates") / "inventory.yaml"
# `# key: value`, `#   key: value`, `#   - {...}`: a comment that is YAML. Sentences do not look like that.
SWITCHED_OFF = re.compile(r"^( *)# ( *(?:- \{|[a-z][a-z0-9_]*:(?: |$)).*)$", re.MULTILINE)
# What is seldom asked for has its place in the reference instead.
NOT_COMMON = {"alpha", "garp", "gateway6", "hysteresis", "omega", "one_packet", "persistence_engine"}
NOT_COMMON |= {"persistence_netmask", "rip", "scheduler_flags", "tunnel", "virtualhost", "vmac"}


def test_init_prints_a_valid_inventory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("init") == 0
    file = tmp_path / "shop.yaml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert _exit_code("validate", str(file)) == 0
    assert load(file).findings == ()


def test_init_writes_a_file_and_never_over_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shop.yaml"
    assert _exit_code("init", str(file)) == 0
    assert file.read_bytes() == TEMPLATE.read_bytes()
    file.write_text("mine", encoding="utf-8")
    assert _exit_code("init", str(file)) == 1
    assert file.read_text(encoding="utf-8") == "mine"
    assert "File exists" in capsys.readouterr().err


def test_all_that_is_commented_out_is_valid_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VRRP_PASSWORD", "secret")
    text, switched_on = SWITCHED_OFF.subn(r"\1\2", TEMPLATE.read_text(encoding="utf-8"))
    assert switched_on > 30
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load(file)
    assert [f for f in loaded.findings if f.severity != "note"] == []
    assert {service.name for service in loaded.cluster.services} == {"http", "https", "api", "shop"}


def test_every_common_key_is_there() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    found = schema()
    keys = set(found["properties"])
    for name in ("ssh", "vrrp", "nat", "director", "realServer", "vip", "service"):
        keys |= set(found["$defs"].get(name, {}).get("properties", {}))
    assert len(keys) > 30, "the schema's definitions have other names now"
    assert sorted(key for key in keys - NOT_COMMON if f"{key}:" not in text) == []


def test_its_lines_fit_a_screen() -> None:
    assert max(map(len, TEMPLATE.read_text(encoding="utf-8").splitlines())) <= 110


def _exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code
