"""Ways to spoil a JSON document, one place at a time."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    float("inf"),
    float("nan"),
    2**70,
    "",
    "x",
    "../../etc/passwd",
    "a\x00b\n",
    "\ud800",
    [],
    [[]],
    {},
    {"x": {}},
    [None, None, None, None],
)


def places(data: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, as the keys and indices that lead there."""
    if where:
        yield where
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from places(value, (*where, key))


def with_value(data: Any, where: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at this place."""
    spoiled = copy.deepcopy(data)
    part = spoiled
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    return spoiled


def with_key(data: Any, where: tuple[Any, ...], key: str) -> Any:
    """The document with another key at this place of an object."""
    spoiled = copy.deepcopy(data)
    part = spoiled
    for step in where[:-1]:
        part = part[step]
    part[key] = part.pop(where[-1])
    return spoiled


def without(data: Any, where: tuple[Any, ...]) -> Any:
    """The document without this place."""
    spoiled = copy.deepcopy(data)
    part = spoiled
    for key in where[:-1]:
        part = part[key]
    del part[where[-1]]
    return spoiled
