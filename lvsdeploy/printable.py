"""Text that a host sent, made fit for a terminal and a log."""

from __future__ import annotations

import unicodedata

LONGEST = 400  # characters; a message is one line


def printable(text: str | bytes, *, longest: int = LONGEST) -> str:
    r"""One line of `text` without anything that acts on a terminal or hides from a reader.

    Control characters (ESC sequences, CR, backspace), the invisible and bidirectional format characters
    (https://trojansource.codes), surrogates, private use and line separators become spaces, and runs of
    white space one space. Bytes are read as UTF-8; what is not UTF-8 shows as `\xNN`.
    """
    if isinstance(text, bytes):
        text = text[: 4 * longest].decode("utf-8", "backslashreplace")
    kept = (" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 4 * longest])
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def host_word(text: str | bytes) -> str:
    """A name or a version that a host gave: printable, and at most 200 characters."""
    return printable(text, longest=200)


def visible(line: str) -> str:
    r"""A line of a file as it is, white space included, with what acts on a terminal written as `\x1b`."""
    return "".join(c if c in "\t " or unicodedata.category(c)[0] not in "CZ" else _escaped(c) for c in line)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
