"""Texts that people choose (regexes, arguments): keepalived reads back what was declared, and nothing else.

`read_words` and `command_line` are ports of alloc_strvec_quoted_escaped and set_script_params_array
(keepalived v2.2.7: lib/parser.c, lib/notify.c). The test of the lab lets keepalived itself read them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lvsdeploy.desired import KEEPALIVED_CONF, desired_state
from lvsdeploy.desired.templates import command, quoted
from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.health_checks import HealthCheck, HttpCheck, ScriptCheck, SmtpCheck, UdpCheck, Url
from lvsdeploy.state.facts import Facts
from tests.desired import clusters

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = [
    "",
    " ",
    '"',
    "'",
    "\\",
    'a" { b',
    "}\n}\nvrrp_script x {",
    "#!",
    "$_PWD ${_HASH}",
    "~SEQ(x, 1, 9)",
    "@host include /etc/shadow",
    "\\042",
    "tab\there",
    "é\u2028\x7f\x01",
    "a" * 50,
]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


_SPACE = " \t\f\n\r\v"
_PART = re.compile(r"""\\[0-7]{3}|["']|[ \t\f\n\r\v]+|[^\\]""")  # an escape of another form matches nothing


def read_words(line: str) -> list[bytes]:
    """The words of a line. ValueError where keepalived would give up."""
    words: list[bytes | None] = [None]
    quote = ""
    parts = _PART.findall(line)
    if "".join(parts) != line:
        raise ValueError("an escape that this port does not know")
    for part in parts:
        if part[0] in _SPACE and not quote:
            words.append(None)
        elif part == quote or (part in "\"'" and not quote):
            quote = "" if quote else part
            words[-1] = words[-1] or b""
        else:
            byte = bytes([int(part[1:], 8) & 0xFF]) if part[0] == "\\" else part.encode("latin-1")
            words[-1] = (words[-1] or b"") + byte
    if quote:
        raise ValueError("a quote that does not end")
    return [word for word in words if word is not None]


def command_line(line: str) -> list[bytes]:
    """The program and the arguments of `misc_path LINE`."""
    (first,) = read_words(line)
    return read_words(first.decode("latin-1"))


@settings(max_examples=300)
@given(TEXTS)
@example("\\")
@example("'")
def test_a_quoted_text_is_read_back(text: str) -> None:
    line = quoted(text)
    assert read_words(line) == [text.encode()]
    assert not set(line[1:-1]) & set("\"'#!${}~\n\t"), "nothing that an earlier round looks at"


@settings(max_examples=300)
@given(st.lists(TEXTS, max_size=5))
@example(["", " ", "a b"])
def test_a_command_is_read_back(arguments: list[str]) -> None:
    line = command(["/usr/bin/test", *arguments])
    assert command_line(line) == [b"/usr/bin/test", *(text.encode() for text in arguments)]
    assert not set(line[1:-1]) & set("\"'#!${}~\n\t")


def conf(check: HealthCheck) -> str:
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, health_check=check))
    return desired_state(cluster, "lvs1", Facts()).files[KEEPALIVED_CONF].content.decode()


@pytest.mark.parametrize("text", HOSTILE[1:])
def test_hostile_texts_stay_in_their_line(text: str) -> None:
    plain, hostile = (conf(HttpCheck((Url(regex=regex),))) for regex in ("x", text))
    assert len(plain.splitlines()) == len(hostile.splitlines())
    plain, hostile = (conf(ScriptCheck("/bin/true", (argument,))) for argument in ("x", text))
    assert len(plain.splitlines()) == len(hostile.splitlines())


@pytest.mark.parametrize("bad", ['a"', "a b", "a{", "$x", "a#", "a\nb", "~LST(x)"])
@pytest.mark.parametrize(
    "check",
    [
        lambda bad: HttpCheck((Url(host=bad),)),
        lambda bad: HttpCheck((Url(digest=bad),)),
        SmtpCheck,
        UdpCheck,
        lambda bad: ScriptCheck("/bin/true", user=bad),
    ],
    ids=["host", "digest", "helo", "payload", "user"],
)
def test_words_are_guarded(check: Callable[[str], HealthCheck], bad: str) -> None:
    with pytest.raises(LvsdeployError, match="may not be written here"):
        conf(check(bad))


def test_a_nul_is_refused() -> None:
    with pytest.raises(LvsdeployError, match="NUL"):
        conf(HttpCheck((Url(regex="a\0b"),)))
    with pytest.raises(LvsdeployError, match="NUL"):
        conf(ScriptCheck("/bin/true", ("a\0b",)))


def test_a_line_that_keepalived_would_cut_is_refused() -> None:
    assert "{" * 3 not in conf(HttpCheck((Url(regex="{" * 200),)))
    with pytest.raises(LvsdeployError, match="longer than 1000 bytes"):
        conf(HttpCheck((Url(regex="{" * 250),)))
