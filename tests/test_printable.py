from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.printable import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", "plain words"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("\x9b2J", "2J"),
        ("over\rwritten", "over written"),
        ("a\nb\r\nc\td", "a b c d"),
        ("evil\u202etxt.exe", "evil txt.exe"),
        ("zero\u200bwidth\ufeff", "zero width"),
        ("line\u2028separator", "line separator"),
        ("nul\x00bell\x07del\x7f", "nul bell del"),
        ("lone\ud800surrogate", "lone surrogate"),
        ("Grüße 日本", "Grüße 日本"),
        (b"\xff\xfe bytes", r"\xff\xfe bytes"),
        ("", ""),
    ],
)
def test_nothing_acts_on_a_terminal(text: str | bytes, expected: str) -> None:
    assert printable(text) == expected


def test_a_message_stays_short() -> None:
    assert len(printable("x" * 10_000_000, longest=80)) == 80
    assert printable("x" * 81, longest=80).endswith("…")


@given(st.one_of(st.text(), st.binary()))
def test_always_one_printable_line(text: str | bytes) -> None:
    line = printable(text)
    assert line.isprintable()
    line.encode()
