"""Keeps secrets out of the source lines that findings show.

A finding shows the line it is about, with a caret; the line may hold a password in plain text. Signs are
replaced one by one, so that the columns behind them stay right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache

# Whole words: a host may well be called compass1.
_SECRET_WORD = re.compile(r"(^|[_-])(pass(word|wd|phrase)?|secret|token|pwd|psw)s?($|[_-])", re.IGNORECASE)
# A key of a block or flow mapping, and what follows its colon.
_KEY_AND_VALUE = re.compile(r"(?P<key>[A-Za-z_\"'-]+)\s*:(?P<value>.*)")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOKS_LIKE = 0.7
_LONGEST_KEY = 32
_LONGEST_LINE = 1000


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Whether a key's value is a secret: `password`, and what looks like a misspelt one."""
    if _SECRET_WORD.search(key):
        return True
    if len(key) > _LONGEST_KEY:
        return False
    return SequenceMatcher(None, key.lower(), "password").ratio() >= _LOOKS_LIKE


def is_reference(path: tuple[str, ...], value: object) -> bool:
    """Whether a scalar below a secret's key only says where the secret is (`env`, `file`)."""
    if not path or not isinstance(value, str):
        return False
    if path[-1] == "env":
        return bool(_ENVIRONMENT_NAME.fullmatch(value))
    return path[-1] == "file"


@dataclass
class Mask:
    """Which parts of which lines are secret. Lines and columns count from 0."""

    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    """Lines on which a secret's whole value is known: nothing is to be guessed there."""

    def add(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Hide from `start` to before `end`, over several lines if need be."""
        (first, from_column), (last, to_column) = start, end
        for line in range(first, last + 1):
            begin = from_column if line == first else 0
            stop = to_column if line == last else 1 << 30
            self.spans.setdefault(line, []).append((begin, stop))

    def know(self, line: int) -> None:
        self.seen.add(line)

    def apply(self, number: int, text: str) -> str:
        """The line as it may be shown; empty when it is too long for a person to read."""
        if len(text) > _LONGEST_LINE:
            return ""
        for begin, stop in self.spans.get(number, ()):
            text = text[:begin] + "*" * len(text[begin:stop]) + text[stop:]
        return text if number in self.seen else _guess(text)


def _guess(text: str) -> str:
    """Hide all behind a secret's key: of a text that does not parse, more is not known."""
    start = 0
    while match := _KEY_AND_VALUE.search(text, start):
        if is_secret_key(match["key"].strip("\"'")):
            begin = match.start("value")
            return text[:begin] + re.sub(r"\S", "*", text[begin:])
        start = match.start("value")
    return text
