"""Whatever the text is, loading ends in a Loaded or in InventoryInvalid, and no secret is shown."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsdeploy.errors import InventoryInvalid
from lvsdeploy.inventory import Loaded, load
from tests.inventory.shown import CASES, ENVIRON, ROOT

FUZZ = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WORDS = [
    "version",
    "cluster",
    "directors",
    "real_servers",
    "services",
    "groups",
    "vips",
    "nat",
    "vrrp",
    "defaults",
    "ssh",
    "address",
    "vip",
    "port",
    "ports",
    "mode",
    "dr",
    "nat",
    "tun",
    "real_servers",
    "health_check",
    "type",
    "http",
    "password",
    "env",
    "file",
    "gateway",
    "192.0.2.50",
    "192.0.2.0/24",
    "web1",
    "@web",
    "on",
    "010",
    "12:30:45",
    "priority",
    "interface",
    "eth0",
    "name",
    "weight",
    "sorry_server",
    "status",
    "fwmark",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70000),
    st.floats(allow_nan=True),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)
WHOLE = (CASES / "good" / "whole.yaml").read_text(encoding="utf-8")


def outcome(path: Path) -> Loaded | InventoryInvalid:
    try:
        return load(path, environ=ENVIRON)
    except InventoryInvalid as error:
        invalid = error
    assert any(finding.is_error for finding in invalid.findings)
    for finding in invalid.findings:
        assert finding.place
        assert finding.place.line >= 1
        assert finding.place.column >= 1
        assert "\n" not in finding.summary
    return invalid


@FUZZ
@given(st.binary(max_size=200))
def test_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "i.yaml"
    path.write_bytes(raw)
    outcome(path)


@FUZZ
@given(st.text(alphabet="abon:-{}[]&*!|>'\"#%@,?~<= \n01.", max_size=120))
def test_signs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(text, encoding="utf-8")
    outcome(path)


@FUZZ
@given(st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=8))
def test_data(tmp_path: Path, data: dict[str, object]) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    outcome(path)


@FUZZ
@given(st.integers(0, 2**32), VALUES)
def test_a_good_inventory_with_one_value_replaced(tmp_path: Path, seed: int, value: object) -> None:
    chooser = random.Random(seed)  # noqa: S311 - not for secrets
    data = yaml.safe_load(WHOLE)
    node = data
    while True:
        key = chooser.choice(list(node) if isinstance(node, dict) else list(range(len(node))))
        child = node[key]
        if not isinstance(child, dict | list) or not child or chooser.random() < 0.2:
            node[key] = value
            break
        node = child
    path = tmp_path / "i.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    outcome(path)


@FUZZ
@given(st.integers(0, len(WHOLE)), st.integers(0, 30))
def test_a_good_inventory_with_a_hole(tmp_path: Path, start: int, length: int) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(WHOLE[:start] + WHOLE[start + length :], encoding="utf-8")
    outcome(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "a" * 4_000_000,
        "a: " + "9" * 1_000_000,
        "a: " + "1:" * 100_000 + "1",
        "password: " + "x" * 1_000_000 + ": y",
        "a: &a [" + "x, " * 1000 + "]\nb: [" + "*a, " * 2000 + "]\n",
        "x" * 1_000_000 + ": 1\nversion: 1\n",
        "".join(f"k{i}: 1\n" for i in range(20_000)),
    ],
    ids=range(11),
)
def test_large(tmp_path: Path, text: str) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(text, encoding="utf-8")
    assert isinstance(outcome(path), InventoryInvalid)


@pytest.mark.parametrize(
    "line",
    [
        "{password: sw0rdfish}",
        "{password: 'sw0rdfish and more'}",
        "{password: [sw0rdfish]}",
        "{password: {value: sw0rdfish}}",
        "{password: {sw0rdfish}}",
        "{password: {env: 'sw0rdfish!'}}",
        "{password: {env: A, file: B, vaule: sw0rdfish}}",
        "{pasword: sw0rdfish}",
        "{passwd: sw0rdfish, unicast: 7}",
        "{password: *sw0rdfish}",
        "{password: !sw0rdfish x}",
        "{password: &x sw0rdfish, virtual_router_id: *x}",
        '{password: "sw0rdfish}',
        "{password: sw0rdfish, unicast: [}",
        "{password: sw0rdfish, password: sw0rdfish}",
        "\n  password: |\n    sw0rdfish\n  unicast: 8",
        "\n  password: >\n    a\n    sw0rdfish\n   unicast: [",
    ],
)
def test_secrets_stay_secret(tmp_path: Path, line: str) -> None:
    path = tmp_path / "i.yaml"
    path.write_text(f"version: 1\nvrrp: {line}\nbad: 1\n", encoding="utf-8")
    result = outcome(path)
    assert isinstance(result, InventoryInvalid)
    assert "sw0rdfish" not in repr(result.findings) + str(result)


def test_loaded_does_not_show_secrets(tmp_path: Path) -> None:
    text = (ROOT / "inventories" / "dr-minimal.yaml").read_text(encoding="utf-8")
    path = tmp_path / "i.yaml"
    path.write_text(text + "vrrp: {password: sw0rdfsh}\n", encoding="utf-8")
    loaded = load(path, environ={})
    assert loaded.cluster.vrrp.password is not None
    assert loaded.cluster.vrrp.password.reveal() == "sw0rdfsh"
    assert "sw0rdfsh" not in repr(loaded)
    assert any(finding.code == "LVS407" for finding in loaded.findings)


def test_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", Path("\0")):
        with pytest.raises(InventoryInvalid) as caught:
            load(path, environ={})
        assert caught.value.findings[0].code == "LVS001"


def test_a_pipe_as_a_secret_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "i.yaml"
    text = (ROOT / "inventories" / "dr-minimal.yaml").read_text(encoding="utf-8")
    path.write_text(text + "vrrp: {password: {file: pipe}}\n", encoding="utf-8")
    assert isinstance(outcome(path), InventoryInvalid)


def test_unknown_home(tmp_path: Path) -> None:
    path = tmp_path / "i.yaml"
    text = (ROOT / "inventories" / "dr-minimal.yaml").read_text(encoding="utf-8")
    path.write_text(text + "ssh: {identity_file: ~nobody-has-this-name/id}\n", encoding="utf-8")
    result = outcome(path)
    assert isinstance(result, InventoryInvalid)
    assert "LVS023" in {finding.code for finding in result.findings}
