"""What YAML 1.1 makes of a plain scalar, and where that is a trap.

An inventory is read with the types that its authors see: decimal integers, decimal fractions, booleans,
null, text. Everything else YAML 1.1 knows (octal, base 60, dates ...) is still recognised, to be refused
with a sentence that says what another YAML reader would make of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Scalar = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
# https://yaml.org/type/bool.html, less the single letters, which PyYAML reads as text too
_WORD_TRUE = frozenset({"yes", "Yes", "YES", "on", "On", "ON"})
_WORD_FALSE = frozenset({"no", "No", "NO", "off", "Off", "OFF"})

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}([eE][-+][0-9]{1,3})?|[-+]?\.[0-9]{1,18}")
# https://yaml.org/type/int.html and float.html
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F_]+")
_BINARY = re.compile(r"[-+]?0b[01_]+")
_BASE60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_GROUPED = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{2}:[0-9]{2}[0-9.:Zz+ \t-]*)?")


@dataclass(frozen=True)
class Trap:
    """A plain scalar that looks like one thing and is another. `became` says what YAML 1.1 made of it."""

    text: str
    became: str
    always: bool = True
    """False: fine where a boolean is asked for (`preempt: yes`), a trap elsewhere."""


def resolve(text: str) -> tuple[Scalar, Trap | None]:  # noqa: PLR0911 - a table of forms
    """The value of a plain scalar, and the trap it is, if any."""
    if text in _NULL:
        return None, None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE, None
    if text in _WORD_TRUE or text in _WORD_FALSE:
        value = text in _WORD_TRUE
        return value, Trap(text, f"the boolean {str(value).lower()}", always=False)
    if text[0] not in "-+.0123456789":
        return text, None
    if _DECIMAL.fullmatch(text):
        return int(text), None
    if _FRACTION.fullmatch(text):
        return float(text), None
    became = _trap(text)
    return text, Trap(text, became) if became else None


def _trap(text: str) -> str:  # noqa: PLR0911 - a table of forms
    digits = text.replace("_", "")
    if len(text) > 64:  # noqa: PLR2004 - longer ones are nobody's number
        return ""
    if _OCTAL.fullmatch(text) and digits.lstrip("-+0"):
        return f"the octal number {int(digits, 8)}"
    if _HEX.fullmatch(text) and digits[-1] != "x":
        return f"the hexadecimal number {int(digits, 16)}"
    if _BINARY.fullmatch(text) and digits[-1] != "b":
        return f"the binary number {int(digits, 2)}"
    if _BASE60.fullmatch(text):
        return f"a number in base 60, {_base60(digits)}"
    if _NOT_FINITE.fullmatch(text):
        return "a number that is not finite"
    if _DATE.fullmatch(text):
        return "a date"
    if _GROUPED.fullmatch(text) and any(sign.isdigit() for sign in text):
        return f"the number {digits}"
    return ""


def _base60(digits: str) -> str:
    whole, _, fraction = digits.partition(".")
    sign = "-" if whole.startswith("-") else ""
    total = 0
    for part in whole.lstrip("-+").split(":"):
        total = total * 60 + int(part)
    return f"{sign}{total}" + (f".{fraction}" if fraction else "")
