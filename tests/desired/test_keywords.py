"""The table of keepalived's keywords: whole, and true of what is written."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lvsdeploy.desired.keyword_table import BLOCKS
from lvsdeploy.desired.keyword_versions import NEEDS, OLDEST, SINCE
from lvsdeploy.desired.keyword_words import WORDS
from lvsdeploy.desired.keywords import as_numbers, keywords, words
from lvsdeploy.inventory.schema_check import resolved, schema

HERE = Path(__file__).parent
INSTALLED = {
    path.stem.removeprefix("keepalived-"): path.read_text().splitlines()
    for path in sorted((HERE / "keywords").iterdir())
}
"""What the parsers of these versions install (`install_keyword`), block by block."""
GOLDEN = sorted(HERE.glob("golden/*/*/etc/keepalived/keepalived.conf"))


def written() -> set[str]:
    return {path for file in GOLDEN for path, _ in words(file.read_text())}


def test_no_keyword_is_missing_and_none_is_made_up() -> None:
    assert sorted(INSTALLED) == ["2.2.7", "2.3.4", "2.4.3"]
    installed = {line for lines in INSTALLED.values() for line in lines}
    assert len(installed) > 530
    assert installed == set(keywords())


def test_one_thing_is_said_of_each() -> None:
    for keyword in keywords().values():
        said = [keyword.key, keyword.own, keyword.refused]
        assert len([text for text in said if text]) == 1, keyword
        assert not keyword.refused or keyword.refused.endswith("."), keyword


def test_each_is_said_once() -> None:
    names = [
        f"{block} {name}" for block, rows in BLOCKS.items() for row in rows for name in row.names.split()
    ]
    assert len(names) == len(set(names))


def test_what_is_written_is_supported() -> None:
    table = keywords()
    assert len(GOLDEN) > 5
    for path in sorted(written()):
        assert path in table, f"{path}: keepalived has no such keyword"
        assert table[path].supported, f"{path} is written, and the table says: {table[path].refused}"


def test_what_is_supported_is_written_somewhere() -> None:
    supported = {path for path, keyword in keywords().items() if keyword.supported}
    assert sorted(supported - written()) == []


def test_versions_are_those_of_the_lists() -> None:
    """A keyword that a list has not is newer than it, and one that it has is not."""
    for version, lines in INSTALLED.items():
        for keyword in keywords().values():
            newer = as_numbers(keyword.since) > as_numbers(version)
            assert newer == (keyword.path not in lines), (keyword, version)


def test_versions_and_builds_are_about_keywords() -> None:
    paths = {path for head in BLOCKS for path in (head, *_below(head))} - {""}
    for told in (*NEEDS, *(path for of_version in SINCE.values() for path in of_version)):
        assert told in paths, told
    versions = [as_numbers(version) for version in (OLDEST, *SINCE)]
    assert all(older < newer for older, newer in pairwise(versions))


def _below(block: str) -> list[str]:
    found = [f"{block} {name}".lstrip() for row in BLOCKS[block] for name in row.names.split()]
    if "*" not in block:
        found += [p for p in keywords() if p.startswith(f"{block} ") or not block]
    return found


def test_a_build_that_lacks_nothing_has_all_that_is_needed() -> None:
    recorded = HERE.parent / "observe" / "recorded" / "keepalived" / "2.2.7-debian-12.txt"
    options = set(recorded.read_text().split())
    assert {word for text in NEEDS.values() for word in text.split()} <= options


@pytest.mark.parametrize(
    ("path", "since", "needs"),
    [
        ("virtual_server lvs_sched", "1.3.5", "LVS"),
        ("virtual_server real_server PING_CHECK connect_port", "2.1.0", "LVS"),
        ("virtual_server real_server TCP_CHECK bind_if", "1.3.7", "LVS"),
        ("virtual_server real_server UDP_CHECK payload", "2.2.0", "LVS"),
        ("virtual_server real_server HTTP_GET url regex", "2.0.7", "LVS REGEX"),
        ("vrrp_instance use_vmac", "1.3.5", "VRRP VRRP_VMAC"),
        ("bfd_instance min_rx", "2.0.0", "BFD"),
        ("vrrp_instance auth_hmac key", "2.4.0", "VRRP VRRP_AUTH"),
    ],
)
def test_what_stands_in_a_block_needs_what_the_block_needs(path: str, since: str, needs: str) -> None:
    keyword = keywords()[path]
    assert (keyword.since, " ".join(sorted(keyword.needs))) == (since, needs)


def test_words_of_a_configuration() -> None:
    text = """
# a comment {
global_defs {
    router_id lvs1  ! and one more }
}
vrrp_instance a {
    unicast_peer {
        192.0.2.3
    }
    authentication {
        auth_pass secret
    }
}
virtual_server 192.0.2.50 80 {
    real_server 192.0.2.11 80 {  # web1
        HTTP_GET {
            url {
                path /
            }
        }
    }
    flag-1
}
no_such_thing 1
"""
    assert list(words(text)) == [
        ("global_defs", "{"),
        ("global_defs router_id", "lvs1"),
        ("vrrp_instance", "a {"),
        ("vrrp_instance unicast_peer", "{"),
        ("vrrp_instance authentication", "{"),
        ("vrrp_instance authentication auth_pass", "secret"),
        ("virtual_server", "192.0.2.50 80 {"),
        ("virtual_server real_server", "192.0.2.11 80 {"),
        ("virtual_server real_server HTTP_GET", "{"),
        ("virtual_server real_server HTTP_GET url", "{"),
        ("virtual_server real_server HTTP_GET url path", "/"),
        ("virtual_server flag-1", ""),
        ("no_such_thing", "1"),
    ]
    assert list(words("} } {\n}\n")) == []


# --- words that are no keywords ---


def test_of_each_word_one_thing_is_said() -> None:
    for where, rows in WORDS.items():
        names = [name for row in rows for name in row.names.split()]
        assert len(names) == len(set(names)), where
        for row in rows:
            assert len([text for text in (row.key, row.own, row.refused) if text]) == 1, row
            assert not row.refused or row.refused.endswith("."), row


def test_words_are_written_as_is_said() -> None:
    """Behind the keywords that are named, in the goldens; what stands for a value is not looked for."""
    told = 0
    for where, rows in WORDS.items():
        if where.startswith("In "):
            continue
        for group in where.split("; "):
            block, _, heads = group.partition(" ")
            behind = lines_of(block, heads.split(", ") if heads else [block])
            for row in rows:
                for word in (name for name in row.names.split() if not name.isupper() or len(name) < 4):
                    found = any(re.search(rf"(^|\s){re.escape(word)}(\s|$)", line) for line in behind)
                    assert found or not row.key, f"{where}: {word} is nowhere written"
                    assert not found or not row.refused, f"{where}: {word} is written"
                    told += found
    assert told > 20


def lines_of(block: str, heads: list[str]) -> list[str]:
    """What stands behind some keywords of a block, and the lines of blocks that they open."""
    found, stack = [], [""]
    for file in GOLDEN:
        for line in file.read_text().splitlines():
            text = line.split("#")[0].split()
            if text and text[-1] != "}" and (block in stack or text[0] == block):
                if text[0] in heads:
                    found.append(" ".join(text[1:]))
                elif stack[-1] in heads:
                    found.append(" ".join(text))
            if text and text[-1] == "{":
                stack.append(text[0])
            elif text == ["}"]:
                stack.pop()
    return found


# --- keys of the inventory ----------------------------------------------------------------------------------


def keys() -> list[str]:
    """Every key of the inventory that writes a keyword, without the type of check in brackets."""
    told = {
        key.partition(" (")[0]
        for written in (
            *(keyword.key for keyword in keywords().values()),
            *(row.key for rows in WORDS.values() for row in rows),
        )
        for key in written.split(", ")
        if key
    }
    return sorted(told)


def below(node: Any, name: str) -> list[Any]:
    """The parts of the schema that a key may lead to: `NAME` any name, `[]` an item of a list."""
    here = resolved(node)
    found = []
    if name == "[]":
        found += [here["items"]] if "items" in here else []
    elif name == "NAME":
        found += [here["additionalProperties"]] if isinstance(here.get("additionalProperties"), dict) else []
    elif name in here.get("properties", {}):
        found.append(here["properties"][name])
    for choice in ("anyOf", "oneOf", "allOf"):
        found += [hit for option in here.get(choice, ()) for hit in below(option, name)]
    return found


@pytest.mark.parametrize("key", keys())
def test_keys_are_the_inventory_s(key: str) -> None:
    nodes = [schema()]
    for name in key.replace("[]", ".[]").split("."):
        nodes = [hit for node in nodes for hit in below(node, name)]
        assert nodes, f"{key}: the schema has no {name}"
