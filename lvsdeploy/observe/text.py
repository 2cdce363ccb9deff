"""Words that come from a host, made fit to be shown."""

from __future__ import annotations

import unicodedata

_LONGEST = 200  # characters


def clean(text: str | bytes, longest: int = _LONGEST) -> str:
    """One line of at most `longest` characters without control or format characters."""
    if isinstance(text, bytes):
        text = text[: longest * 8].decode("utf-8", "replace")
    words = "".join(" " if c.isspace() else c for c in text[: longest * 8]).split()
    shown = " ".join(words)
    return "".join(c for c in shown if not unicodedata.category(c).startswith("C"))[:longest].strip()
