"""Rendering: Jinja templates from `templates/`, one by one replaceable by the user's own.

Two guards stand between values and files. Every value was validated when the inventory was read; a value
that still could end its line, open a block or start a comment is refused here, whatever let it through.
"""

from __future__ import annotations

import re
import string
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from lvsdeploy.errors import LvsdeployError
from lvsdeploy.resources import data_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEEPALIVED = "keepalived/"

_KEEPALIVED_UNSAFE = re.compile(r"""[\s\x00-\x1f\x7f{}"'!#$\\]|~(?:SEQ|LST)""")
"""What has a meaning to keepalived's parser inside a word: ends of words and lines, blocks, comments,
definitions and sequences (keepalived.conf(5), "Comments", "Parameter substitution")."""
_SHELL_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+-]")
"""What is not plainly a word in a shell script, a unit or a sysctl file."""
_KEEPALIVED_LIST = re.compile(r"[^A-Za-z0-9._:/@+, -]")
"""The same, where several words were joined by spaces."""

_MICROSECOND = 0.000001
_PLAIN = frozenset(string.ascii_letters + string.digits + " ._:/@%+,;=?&*()|^[]<>-")
"""What a quoted text may have as it is: nothing that any round of keepalived's parser looks at in quotes."""


class _Refused(Exception):
    """A value that must not reach a file."""


class Words(str):
    """Several words joined by a space: the only value that may hold one."""

    __slots__ = ()


class Quoted(str):
    """A text that keepalived reads back as it was, whatever is in it: it is written as it stands."""

    __slots__ = ()


class Templates:
    """The templates, a user's own folder before ours.

    `override` is that folder; a file in it replaces the template of the same relative path.
    """

    def __init__(self, override: Path | None = None) -> None:
        self._ours = data_path("templates")
        folders = [self._ours] if override is None else [override, self._ours]
        self._folders = folders
        self._keepalived = _environment(folders, _guard(_KEEPALIVED_UNSAFE))
        self._shell = _environment(folders, _guard(_SHELL_UNSAFE))

    def render(self, name: str, **values: Any) -> bytes:
        """The file that template `name` becomes; LvsdeployError names template, line and cause."""
        environment = self._keepalived if name.startswith(KEEPALIVED) else self._shell
        try:
            return environment.get_template(name).render(values).encode()
        except jinja2.TemplateNotFound as error:
            raise LvsdeployError(f"template {error.name} is missing") from error
        except jinja2.TemplateSyntaxError as error:
            raise LvsdeployError(
                f"template {error.name or name}, line {error.lineno}: {error.message}",
                hint=self._hint(error.filename),
            ) from error
        except Exception as error:
            place, file = self._place(error, name)
            raise LvsdeployError(f"template {place}: {_one_line(error)}", hint=self._hint(file)) from error

    def _place(self, error: Exception, name: str) -> tuple[str, str | None]:
        """Where in the templates `error` came up: (`NAME, line N`, the file)."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            for folder in self._folders:
                if Path(frame.filename).is_relative_to(folder):
                    relative = Path(frame.filename).relative_to(folder)
                    return f"{relative.as_posix()}, line {frame.lineno}", frame.filename
        return name, None

    def _hint(self, file: str | None) -> str:
        if file is None or Path(file).is_relative_to(self._ours):
            return ""
        return f"This is your own template, {file}."


def _environment(folders: list[Path], guard: Callable[[Any], str]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 — these are configurations, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=guard,
    )
    environment.filters["seconds"] = seconds
    environment.filters["words"] = words
    environment.filters["status_codes"] = status_codes
    environment.filters["quoted"] = quoted
    environment.filters["command"] = command
    return environment


def seconds(value: float) -> str:
    """A time in seconds as people write it: `3`, `0.5`.

    keepalived counts microseconds (lib/timer.h, TIMER_HZ); a shorter time is one of them, never 0, which it
    refuses or takes for "none".
    """
    return f"{max(value, _MICROSECOND) if value else value:.6f}".rstrip("0").rstrip(".")


def words(values: Any) -> Words:
    """Several values as one line of words."""
    return Words(" ".join(str(value) for value in values))


def status_codes(ranges: Iterable[tuple[int, int]]) -> Words:
    """Ranges of HTTP status codes: `200 300-399`."""
    return words(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def quoted(text: str) -> Quoted:
    """A text in double quotes, for the keywords that keepalived reads with alloc_strvec_quoted_escaped.

    What could have a meaning on the way there (to decomment, replace_param, read_line or alloc_strvec_r of
    lib/parser.c, in any version) is written as a backslash and three octal digits.
    """
    if "\0" in text:
        raise _Refused("a text with a NUL in it")
    return Quoted(f'"{_escaped(text)}"')


def command(parts: Iterable[str]) -> Quoted:
    """A program and its arguments. keepalived takes two rounds of escapes off (set_script_params_array)."""
    return quoted(" ".join(_word(part) for part in parts))


def _word(text: str) -> str:
    """One word of a command, without quotes; an empty one is written as a pair of them."""
    if "\0" in text:
        raise _Refused("an argument with a NUL in it")
    return _escaped(text).replace(" ", r"\040") or "''"


def _escaped(text: str) -> str:
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def _guard(unsafe: re.Pattern[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if isinstance(value, jinja2.Undefined):
            return str(value)  # StrictUndefined raises, with the name in its message
        if isinstance(value, Quoted):
            return str(value)
        text = str(value)
        pattern = _KEEPALIVED_LIST if isinstance(value, Words) else unsafe
        found = pattern.search(text)
        if found or (not text and not isinstance(value, Words)):
            what = repr(found[0]) if found else "nothing in it"
            raise _Refused(f"a value that may not be written here: it has {what}")
        return text

    return check


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, (_Refused, jinja2.TemplateError)):
        return text
    return f"{type(error).__name__}: {text}"
