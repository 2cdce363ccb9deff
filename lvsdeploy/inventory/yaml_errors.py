"""libyaml's and PyYAML's messages in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import yaml


class Sentence(NamedTuple):
    summary: str
    fix: str = ""


# Parts of the messages of PyYAML's scanner and parser and of libyaml's, which differ a little.
_SENTENCES: tuple[tuple[str, Sentence], ...] = (
    (
        "mapping values are not allowed",
        Sentence(
            "a second `key:` stands on this line, or the line is indented further than the one above",
            "Start a new line for it, or put a text that holds `: ` in quotes.",
        ),
    ),
    (
        "could not find expected ':'",
        Sentence("a key without its colon", "Write `key: value`, with a space behind the colon."),
    ),
    (
        "that cannot start any token",
        Sentence(
            "a text cannot start with this character",
            "Put the text in quotes.",
        ),
    ),
    (
        "did not find expected ',' or",
        Sentence("a comma or a closing bracket is missing", "Close the `[` or `{`, or add the comma."),
    ),
    (
        "expected ',' or",
        Sentence("a comma or a closing bracket is missing", "Close the `[` or `{`, or add the comma."),
    ),
    (
        "unexpected end of stream",
        Sentence("the text ends inside quotes", "Close the quote."),
    ),
    (
        "did not find expected key",
        Sentence(
            "this line does not go on with the mapping above it",
            "Check the indentation: keys of one mapping stand in one column; close quotes and brackets.",
        ),
    ),
    (
        "expected <block end>",
        Sentence(
            "this line does not go on with the mapping above it",
            "Check the indentation: keys of one mapping stand in one column; close quotes and brackets.",
        ),
    ),
    (
        "did not find expected '-' indicator",
        Sentence(
            "this line does not go on with the list above it",
            "Start each item of the list with `- ` in the same column.",
        ),
    ),
    (
        "unknown escape character",
        Sentence(
            "an escape that YAML does not know stands between double quotes",
            "Use single quotes, or write the backslash twice.",
        ),
    ),
    (
        "block sequence entries are not allowed",
        Sentence("a list cannot start here", "Put `- ` on a line of its own."),
    ),
    (
        "did not find expected node content",
        Sentence("a value is missing here", "Write the value, or quotes for an empty text."),
    ),
    (
        "did not find expected <document start>",
        Sentence(
            "this line does not belong to the mapping above it",
            "Indent it as its neighbours are.",
        ),
    ),
    (
        "expected '<document start>'",
        Sentence(
            "this line does not belong to the mapping above it",
            "Indent it as its neighbours are.",
        ),
    ),
    (
        "block end",
        Sentence("this line is indented differently from its neighbours", "Indent it as they are."),
    ),
)
_OTHER = Sentence("the text is not YAML here")


def plain_sentence(error: yaml.MarkedYAMLError, lines: tuple[str, ...]) -> Sentence:
    """What a syntax error means. Nothing of the text is repeated: it may be a secret."""
    problem = error.problem or ""
    sentence = next((said for part, said in _SENTENCES if part in problem), _OTHER)
    start, mark = error.context_mark, error.problem_mark
    if start and mark and start.line != mark.line and start.line < len(lines):
        context = "what it belongs to starts at line"
        return Sentence(f"{sentence.summary} ({context} {start.line + 1})", sentence.fix)
    return sentence
