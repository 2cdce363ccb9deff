"""Every keyword of keepalived.conf, and what lvsdeploy makes of it.

It is written for a key of the inventory, or without one, or deliberately not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from lvsdeploy.desired.keyword_table import BLOCKS, CHECKS
from lvsdeploy.desired.keyword_versions import NEEDS, OLDEST, SINCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.desired.keyword_table import Row


@dataclass(frozen=True)
class Keyword:
    """One keyword. `block` is the path of what it stands in, "" for the file itself.

    One of three is set: `key`, the key of the inventory that writes it; `own`, why lvsdeploy writes it
    without one; `refused`, why it is not written. `since` is the oldest keepalived that knows it, and `needs`
    what keepalived must have been built with, by the words of its `--version`.
    """

    block: str
    name: str
    key: str
    own: str
    refused: str
    since: str
    needs: frozenset[str]

    @property
    def path(self) -> str:
        return f"{self.block} {self.name}".lstrip()

    @property
    def supported(self) -> bool:
        return not self.refused


@cache
def keywords() -> Mapping[str, Keyword]:
    """Every keyword by its path: `virtual_server real_server TCP_CHECK connect_port`."""
    return {keyword.path: keyword for keyword in _all()}


def words(configuration: str) -> Iterator[tuple[str, str]]:
    """The words that begin a line of a keepalived.conf, each as its path, and the rest of the line.

    What stands in a block that has no keywords (the lines of `unicast_peer`) is left out.
    """
    blocks: list[str] = []
    with_keywords = {keyword.block for keyword in keywords().values()}
    for line in configuration.splitlines():
        text = line.split("#")[0].split("!")[0].split()
        if not text:
            continue
        if text[0] == "}":
            blocks = blocks[:-1]
            continue
        block = " ".join(blocks)
        if block in with_keywords:
            yield f"{block} {text[0]}".lstrip(), " ".join(text[1:])
        if text[-1] == "{":
            blocks.append(text[0])


def as_numbers(version: str) -> tuple[int, ...]:
    """A version to compare with others: of `2.2.7` (2, 2, 7)."""
    return tuple(int(part) for part in version.split("."))


def _all() -> Iterator[Keyword]:
    since = {path: version for version, paths in SINCE.items() for path in paths}
    for block, rows in BLOCKS.items():
        for check in CHECKS if "*" in block else ("*",):
            for row in rows:
                for name in row.names.split():
                    yield _keyword(block, check, row, name, since)


def _keyword(block: str, check: str, row: Row, name: str, since: Mapping[str, str]) -> Keyword:
    found = block.replace("*", check)
    heads = (*_heads(f"{found} {name}"), f"{block} {name}")
    return Keyword(
        block=found,
        name=name,
        key=row.key,
        own=row.own,
        refused=row.refused,
        since=max((since.get(head, OLDEST) for head in heads), key=as_numbers),
        needs=frozenset(word for head in heads for word in NEEDS.get(head, "").split()),
    )


def _heads(path: str) -> Iterator[str]:
    """`a b c`: `a`, `a b`, `a b c`."""
    return accumulate(path.split(), lambda block, name: f"{block} {name}")
