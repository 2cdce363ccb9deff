"""Regular expressions that PCRE2 certainly refuses.

keepalived compiles them when it starts, and its configuration test says nothing of one that fails: a health
check without its expression would come of it. Python's `re` has another grammar (it refuses `(?R)`, for one,
and much else that PCRE2 takes), so that this reads PCRE2's own, as far as brackets, classes, repetitions and
escapes go. What it does not know, it does not refuse.

See pcre2pattern(3), and parse_regex() in PCRE2's src/pcre2_compile.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(
    r"\\(?:[xopPgkNu]\{[^}]*\}|[gk]<[^>]*>|[gk]'[^']*'|x[0-9A-Fa-f]{0,2}|[0-9]+|g[+-]?[0-9]+|[cpP].|.)",
    re.DOTALL,
)
_QUOTED = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_REPEAT = re.compile(r"[*+?]|\{([0-9]+)(?:(,)([0-9]*))?\}")
_HEAD = re.compile(
    r"\?(?:\([+-]?[0-9]+(?=\))|[|:>=!*]|<[=!*]|P?<\w+>|'\w+'|P[=>]\w+|&\w+|[+-]?[0-9]+|\^?[A-Za-z-]*:?)"
)
_VERB = re.compile(r"\*(?:[A-Z0-9_]*(?:=[0-9]+)?(?::[^)]*)?\)|[a-z_]+:)")
_POSIX = re.compile(r"\[([:.=])((?:(?!\1\]|\[\1)[^\]\\])*)\1\]")
_WORD_BOUNDARY = re.compile(r"\[\[:[<>]:\]\]")
_RANGE = re.compile(r"([A-Za-z0-9])-([A-Za-z0-9])")
_MOST_REPEATS = 65535
_NO_ESCAPE = frozenset("ijlmqyIJLMTUYuOF")
"""Letters that no version of PCRE2 has an escape for; `\\u` is one with ALT_BSUX alone."""
_CLASSES = frozenset(
    (
        *("alpha", "lower", "upper", "alnum", "ascii", "blank", "cntrl", "digit", "graph", "print", "punct"),
        *("space", "word", "xdigit"),
    )
)


@dataclass(frozen=True)
class BadPattern:
    """Why a pattern is refused, and at which of its characters, from 0."""

    reason: str
    at: int


class _Stop(Exception):
    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason, self.at = reason, at


def refused(pattern: str, options: tuple[str, ...] = ()) -> BadPattern | None:
    """What PCRE2 has against a pattern; None for nothing that is certain.

    `options` are those of `regex_options`. What switches comments on, runs callouts or has a grammar
    of its own (`(?[ ])`, `(*scs:(+1) )`, since PCRE2 10.45) is left to PCRE2 itself.
    """
    own_grammar = any(start in pattern for start in ("(?C", "(?[", "(*sc"))
    if own_grammar or "extended" in options or re.search(r"\(\?\^?[a-wyzA-Z-]*x", pattern):
        return None
    try:
        _Scanner(pattern, empty_class="allow_empty_class" in options).scan()
    except _Stop as stop:
        return BadPattern(stop.reason, stop.at)
    return None


class _Scanner:
    def __init__(self, pattern: str, *, empty_class: bool) -> None:
        self.pattern = pattern
        self.empty_class = empty_class
        self.at = 0
        self.open: list[int] = []  # where the groups begin that are still open
        self.repeatable = False  # whether what stands before may be repeated

    def scan(self) -> None:
        while self.at < len(self.pattern):
            self._step()
        if self.open:
            raise _Stop("a ( is not closed", self.open[-1])

    def _step(self) -> None:
        sign = self.pattern[self.at]
        repeat = _REPEAT.match(self.pattern, self.at)
        if sign == "\\":
            self._escape()
        elif sign == "[":
            self._class()
        elif sign == "(":
            self._group()
        elif sign == ")":
            if not self.open:
                raise _Stop("a ) closes nothing", self.at)
            self.open.pop()
            self.at, self.repeatable = self.at + 1, True
        elif repeat:
            self._repeat(repeat)
        else:
            self.at, self.repeatable = self.at + 1, sign not in "|^$"

    def _repeat(self, found: re.Match[str]) -> None:
        if not self.repeatable:
            raise _Stop(f"{found[0]} has nothing to repeat", self.at)
        least, comma, most = found.groups()
        for number in (least, most):
            if number and int(number) > _MOST_REPEATS:
                raise _Stop(f"{found[0]} repeats more than {_MOST_REPEATS} times", self.at)
        if comma and most and int(least) > int(most):
            raise _Stop(f"{found[0]} goes down", self.at)
        self.at = found.end()
        if self.pattern[self.at : self.at + 1] in {"+", "?"}:  # possessive, or lazy
            self.at += 1
        self.repeatable = False

    def _escape(self) -> None:
        """One escape, or all that is quoted by a pair of them (Q and E)."""
        quoted = _QUOTED.match(self.pattern, self.at)
        if quoted:
            self.at = quoted.end()
            self.repeatable = self.repeatable or bool(quoted[1])
            return
        found = _ESCAPE.match(self.pattern, self.at)
        if found is None:
            raise _Stop("a \\ stands at the end", self.at)
        letter = found[0][1]
        if letter in _NO_ESCAPE and "{" not in found[0]:
            raise _Stop(f"there is no \\{letter}", self.at)
        self.at = found.end()
        self.repeatable = True

    def _class(self) -> None:
        start, pattern = self.at, self.pattern
        boundary = _WORD_BOUNDARY.match(pattern, start)
        if boundary:
            self.at, self.repeatable = boundary.end(), True
            return
        self.at += 2 if pattern.startswith("[^", start) else 1
        if pattern.startswith("]", self.at) and not self.empty_class:
            self._end_of_range(self.at + 1)  # the first one is itself
        while not pattern.startswith("]", self.at):
            if self.at >= len(pattern):
                raise _Stop("a [ is not closed", start)
            self._item()
        self.at, self.repeatable = self.at + 1, True

    def _item(self) -> None:
        """One item of a class: a character, a range, an escape or a class by name."""
        pattern, at = self.pattern, self.at
        if pattern[at] == "\\":
            self._escape()
            self._end_of_range(self.at)
        elif found := _POSIX.match(pattern, at):
            if found[1] != ":":
                raise _Stop(f"{found[0]} is not supported", at)
            if found[2].removeprefix("^") not in _CLASSES:
                raise _Stop(f"there is no class {found[0]}", at)
            self.at = found.end()
        else:
            found = _RANGE.match(pattern, at)
            if found and found[1] > found[2] and "\\E" not in pattern:
                raise _Stop(f"the range {found[0]} goes down", at)
            self._end_of_range(at + 1)

    def _end_of_range(self, at: int) -> None:
        """Pass the `-z` of a range that may stand at `at`: what is behind it begins anew."""
        hyphen, end = self.pattern.startswith("-", at), self.pattern[at + 1 : at + 2]
        self.at = at + 1 if hyphen and end == "\\" else at + 2 if hyphen and end not in {"]", "[", ""} else at
        if hyphen and end == "\\":
            self._escape()

    def _group(self) -> None:
        start, pattern = self.at, self.pattern
        if pattern.startswith("(?#", start):
            end = pattern.find(")", start)
            if end < 0:
                raise _Stop("a (?# is not closed", start)
            self.at = end + 1
            self.repeatable = True  # or not: what stands before decides, perhaps to be made lazy
            return
        if pattern.startswith("(*", start):
            verb = _VERB.match(pattern, start + 1)
            if verb and verb[0].endswith(")"):
                self.at, self.repeatable = verb.end(), True
                return
            if verb:
                self.at = verb.end()
            else:
                raise _Stop("* has nothing to repeat", start + 1)
        else:
            self.at += 1
            head = _HEAD.match(pattern, self.at)
            if head:
                self.at = head.end()
                if head[0].startswith("?("):
                    self.open.append(start)
        self.open.append(start)
        self.repeatable = False
