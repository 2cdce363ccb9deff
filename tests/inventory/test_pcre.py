"""What is refused of regular expressions, and that PCRE2 itself refuses all of it."""

from __future__ import annotations

import ctypes
import random

import pytest

from lvsdeploy.inventory.pcre import refused

PIECES = [
    *"()[]{}*+?|^$\\-:,.#<>=!&'aAz019x~ \n",
    *("(?", "(?:", "(?=", "(?<=", "(?<n>", "(?P<n>", "(?P=n)", "(?&n)", "(?R)", "(?1)", "(?i)", "(?^"),
    *("(*", "(*ACCEPT)", "(*pla:", "(*:a)", "(?(1)", "(?(+1)", "(?(R)", "(?(DEFINE)", "(?#", "(?|", "(?>"),
    *("(?'n'", "(*scs:", "(?-i:", "[:", "[:alpha:]", "[[:<:]]", "[^", "[]", "[.", "[=", ".]", "a-z", "z-a"),
    *("\\Q", "\\E", "\\K", "\\x{41}", "\\x2", "\\p{L}", "\\pL", "\\N", "\\R", "\\h", "\\1", "\\g{1}", "\\y"),
    *("\\g{-1}", "\\k<n>", "\\c", "\\b", "\\d", "\\o{101}", "\\u", "\\01", "é", "++", "??"),
    *("{2}", "{2,}", "{3,2}", "{,3}", "-z", "[!-z", "-a]"),
]


def pcre2() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libpcre2-8.so.0")
    except OSError:  # keepalived and grep of Debian need it; a foreign machine may have none
        pytest.skip("no PCRE2 on this machine to compare with")
    library.pcre2_compile_8.restype = ctypes.c_void_p
    library.pcre2_code_free_8.argtypes = [ctypes.c_void_p]
    return library


def compiles(library: ctypes.CDLL, pattern: str) -> bool:
    text, error, at = pattern.encode(), ctypes.c_int(), ctypes.c_size_t()
    size = ctypes.c_size_t(len(text))
    code = library.pcre2_compile_8(text, size, 0, ctypes.byref(error), ctypes.byref(at), None)
    library.pcre2_code_free_8(code)
    return bool(code)


def test_pcre2_refuses_all_that_is_refused() -> None:
    """Patterns by chance, the same ones each time. The other way round most are found."""
    library, chance = pcre2(), random.Random(4)  # noqa: S311 - not a secret
    seen = {(mine, its): 0 for mine in (True, False) for its in (True, False)}
    for _ in range(30_000):
        pattern = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 7)))
        mine, its = refused(pattern) is None, compiles(library, pattern)
        assert mine or not its, pattern
        seen[mine, its] += 1
    assert seen[False, False] > 5 * seen[True, False]
    assert seen[True, True] > 5_000


@pytest.mark.parametrize(
    ("pattern", "reason", "at"),
    [
        ("(unclosed", "a ( is not closed", 0),
        ("a(b(c)", "a ( is not closed", 1),
        ("ok)", "a ) closes nothing", 2),
        ("x[a-z", "a [ is not closed", 1),
        ("[]", "a [ is not closed", 0),
        ("(?#why", "a (?# is not closed", 0),
        ("*ok", "* has nothing to repeat", 0),
        ("a|+", "+ has nothing to repeat", 2),
        ("(?:{2})", "{2} has nothing to repeat", 3),
        ("a+++", "+ has nothing to repeat", 3),
        ("a{3,2}", "{3,2} goes down", 1),
        ("a{65536}", "{65536} repeats more than 65535 times", 1),
        ("[z-a]", "the range z-a goes down", 1),
        ("[[:digits:]]", "there is no class [:digits:]", 1),
        ("[[.a.]]", "[.a.] is not supported", 1),
        ("ok\\", "a \\ stands at the end", 2),
        (r"\y", r"there is no \y", 0),
    ],
)
def test_what_is_refused(pattern: str, reason: str, at: int) -> None:
    found = refused(pattern)
    assert found is not None
    assert (found.reason, found.at) == (reason, at)
    assert not compiles(pcre2(), pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a++b*+c?+d{2}+",
        r"foo\Kbar",
        r"(?<year>\d{4})-\k<year>",
        "(?|(a)|(b))(?R)?",
        r"\Q(*\E+",
        "[]a][^]]",
        "[[:alpha:][:^space:]]",
        "(*UTF)(*UCP)ok",
        "{,2}a{x}",
        r"\x{41}*\p{Lu}+[\x21-0]",
        "(?i)ok(?-i:KO)",
        "a(?#why)*",
        "(?(1)a|b)()",
        "(*pla:a)b",
    ],
)
def test_what_pcre2_takes(pattern: str) -> None:
    assert refused(pattern) is None
    assert compiles(pcre2(), pattern)


def test_options_and_what_is_left_to_pcre2() -> None:
    assert refused("[]", ("allow_empty_class",)) is None
    assert refused("a # (", ("extended", "caseless")) is None
    assert refused("(?x)a # (") is None
    assert refused('(?C"*(")a') is None
    assert refused("(?[ [a-z] - [e] ])") is None
    assert refused("(a)(*scs:(+1)b)") is None
    assert refused("a # (", ("caseless",)) is not None
