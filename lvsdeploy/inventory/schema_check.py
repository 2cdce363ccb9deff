"""Document against schemas/inventory.schema.json: every error as a finding in plain words, at its place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from lvsdeploy.inventory import hints
from lvsdeploy.inventory import text_codes as codes
from lvsdeploy.inventory.build_codes import FULLNAT
from lvsdeploy.inventory.masking import is_reference
from lvsdeploy.inventory.text_codes import UNKNOWN_KEY
from lvsdeploy.resources import data_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.document import Document, KeyPath
    from lvsdeploy.inventory.registry import Code
    from lvsdeploy.inventory.scalars import Trap

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_SHOWN_LENGTH = 40
_SYSCTL = "The kernel reads this setting in one form only."


@dataclass(frozen=True)
class Problem:
    """One schema error: the path that is unusable, and what to say."""

    path: KeyPath
    finding: Finding


@cache
def schema() -> dict[str, Any]:
    """The schema as it lies in the package."""
    text = (data_path("schemas") / "inventory.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def check(document: Document) -> list[Problem]:
    """Every schema error of a document, one per place and code, and every YAML trap."""
    traps = dict(document.traps())
    problems: dict[tuple[KeyPath, str], Problem] = {}
    for path, trap in traps.items():
        if trap.always:
            problem = Problem(path, _trap(document, path, trap))
            problems[path, problem.finding.code] = problem
    for error in _validator().iter_errors(document.data):
        for cause in _causes(error):
            path = _path(cause)
            if path in traps:
                found = [Problem(path, _trap(document, path, traps[path]))]
            else:
                found = list(_problems(document, cause, path))
            for problem in found:
                problems.setdefault((problem.path, problem.finding.summary), problem)
    # What is of the wrong kind need not be told to be none of the words, too.
    wrong = {path for (path, _), problem in problems.items() if _is(problem, codes.WRONG_TYPE)}
    return [p for (path, _), p in problems.items() if path not in wrong or not _is(p, codes.NOT_A_CHOICE)]


def _is(problem: Problem, code: Code) -> bool:
    return problem.finding.code == code.code


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'xyz'?` with the nearest known word, or an empty text."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    # `$` of Python also matches before a newline at the end, that of ECMA 262 does not.
    if isinstance(instance, str) and not _compiled(pattern).fullmatch(instance):
        yield ValidationError("pattern")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@cache
def _validator() -> Any:
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer",  # 80.0 is an integer for JSON Schema; in an inventory it is a slip
        lambda _, value: isinstance(value, int) and not isinstance(value, bool),
    )
    kind: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"pattern": _pattern}, type_checker=checker
    )
    return kind(schema())


def _path(error: ValidationError) -> KeyPath:
    return tuple(str(key) for key in error.absolute_path)


def _causes(error: ValidationError) -> Iterator[ValidationError]:
    """Of `anyOf` the errors of the branch that was meant, by its kind; the error itself otherwise."""
    if error.validator != "anyOf" or not error.context:
        yield error
        return
    branches: dict[int, list[ValidationError]] = {}
    for part in error.context:
        branches.setdefault(int(part.relative_schema_path[0]), []).append(part)
    meant = [
        parts
        for parts in branches.values()
        if not any(part.validator == "type" and not part.relative_path for part in parts)
    ]
    if len(meant) != 1:
        yield error
        return
    for part in meant[0]:
        yield from _causes(part)


def _problems(document: Document, error: ValidationError, path: KeyPath) -> Iterator[Problem]:
    """The problems of one error; a mapping with several unknown or missing keys has several."""
    rule: Any = error.validator
    value: Any = error.instance
    wanted: Any = error.validator_value
    described = error.schema if isinstance(error.schema, dict) else {}
    name = "propertyNames" in error.absolute_schema_path
    if rule == "not" and wanted:  # a type of health check that needs more than its name
        summary = f"the type alone is not enough: a {value} check has a path"
        fix = f"Write `{{type: {value}, path: /...}}`."
        yield Problem(path, codes.MISSING_KEY.finding(summary, place=document.place(path), fix=fix))
    elif rule == "not":  # `not: {}`, which refuses all: a key without a meaning for this type of check
        yield _key(document, path, f"'{path[-1]}' has no meaning for this type of health check")
    elif rule == "additionalProperties":
        known = list(described.get("properties", {}))
        yield from (_unknown(document, (*path, key), known) for key in value if key not in known)
    elif rule == "required":
        yield from (_missing(document, path, key) for key in wanted if key not in value)
    elif rule == "oneOf":
        if isinstance(value, dict):  # what is no mapping is told by `type`
            yield _one_of(document, path, value, wanted)
    elif name:
        word = str(value)
        target = (*path, word)
        noun = described.get("title", "another form")
        yield _key(document, target, f"'{_cut(word)}' is not {noun}", codes.MALFORMED)
    else:
        code, summary, fix = _value(document, path, error, described)
        why = _SYSCTL if code is codes.MALFORMED and path[:2] == ("ipvs", "sysctls") else ""
        yield Problem(path, code.finding(summary, place=document.place(path), fix=fix, why=why))


def _unknown(document: Document, path: KeyPath, known: Sequence[str]) -> Problem:
    word = path[-1]
    if document.hidden(path[:-1]):
        return _key(document, path, "this key is not known here", fix=_listed(known))
    ours = hints.other_word(word, known)
    meant = f"here it is '{ours}'" if ours else suggestion(word, known)
    summary = f"unknown key '{_cut(word)}'" + (f": {meant}" if meant else "")
    return _key(document, path, summary, fix=hints.other_place(word, known) or _listed(known))


def _listed(known: Sequence[str]) -> str:
    return f"Known here: {', '.join(known)}."


def _key(document: Document, path: KeyPath, summary: str, code: Code = UNKNOWN_KEY, fix: str = "") -> Problem:
    return Problem(path, code.finding(summary, place=document.place(path, key=True), fix=fix))


def _missing(document: Document, path: KeyPath, key: str) -> Problem:
    where = f"'{path[-1]}'" if path and not path[-1].isdigit() else "this"
    summary = f"{where} has no '{key}'" if path else f"the inventory has no '{key}'"
    text = _description(path, key)
    place = document.place(path)
    fix = f"Add `{key}:`{f' ({text})' if text else ''}."
    return Problem((*path, key), codes.MISSING_KEY.finding(summary, place=place, fix=fix))


def _description(path: KeyPath, key: str) -> str:
    """The first sentence of a missing key's description."""
    node: Any = schema()
    for step in (*path, key):
        node = resolved(node)
        for part in (node, *node.get("anyOf", ())):
            found = resolved(part)
            child = found.get("properties", {}).get(step) or found.get("additionalProperties")
            if isinstance(child, dict):
                node = child
                break
        else:
            return ""
    text = re.sub(r"^[a-z]+(, [a-z]+)*: ", "", str(node.get("description", "")))  # which types have it
    return re.split(r"[.:;] ", text, maxsplit=1)[0].rstrip(".")


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: dict[str, Any] = schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _one_of(document: Document, path: KeyPath, value: Any, branches: Any) -> Problem:
    keys = [key for branch in branches for key in branch["required"]]
    given = [key for key in keys if key in value]
    names = " or ".join(f"'{key}'" for key in keys)
    if not given:
        place = document.place(path)
        summary = f"'{path[-1]}' has no {names}"
        fix = f"Add one of {names}."
        return Problem((*path, keys[0]), codes.MISSING_KEY.finding(summary, place=place, fix=fix))
    both = " and ".join(f"'{key}'" for key in given)
    return _key(document, (*path, given[-1]), f"'{path[-1]}' has {both}: one of them", codes.EITHER_OR)


def _trap(document: Document, path: KeyPath, trap: Trap) -> Finding:
    if document.hidden(path):
        summary = "YAML does not read this secret as a text"
        return codes.YAML_TRAP.finding(summary, place=document.place(path))
    return codes.YAML_TRAP.finding(
        f"YAML reads {_cut(trap.text)} as {trap.became}", place=document.place(path)
    )


def _value(  # noqa: PLR0911 - a table of the schema's keywords
    document: Document, path: KeyPath, error: ValidationError, described: dict[str, Any]
) -> tuple[Code, str, str]:
    """Code, summary and fix of an error about one value."""
    rule = str(error.validator)
    wanted: Any = error.validator_value
    value: Any = error.instance
    noun = described.get("title")
    what = f"item {int(path[-1]) + 1}" if path and path[-1].isdigit() else f"'{path[-1]}'"
    secret = document.hidden(path) and not is_reference(path, value)
    shown = "what stands here" if secret else _shown(value)
    if path == ("version",):
        return codes.VERSION, f"version {shown} is not known", ""
    if rule == "type" or (rule == "anyOf" and not isinstance(value, str)):
        asked = noun or _KINDS.get(wanted if isinstance(wanted, str) else "", "something else")
        fix = "Put it in quotes." if wanted == "string" and _is_scalar(value) else ""
        if wanted in ("integer", "number") and isinstance(value, str) and _is_number(value):
            fix = "Leave out the quotes."
        fix = fix if secret else hints.form(path, value) or fix
        if value is None:
            return codes.WRONG_TYPE, f"{what} is empty: {asked} belongs here", fix
        return codes.WRONG_TYPE, f"{what} must be {asked}, not {shown}", fix
    if rule in {"enum", "const"}:
        return _choice(path, value, wanted if rule == "enum" else [wanted], shown)
    if rule == "uniqueItems":
        return codes.REPEATED_ITEM, f"{what} holds {_repeated(value)} twice", ""
    if rule in {"minItems", "minProperties"}:
        return codes.OUT_OF_RANGE, f"{what} is empty: at least {wanted} belongs here", ""
    if rule in {"maxItems", "maxProperties"}:
        return codes.OUT_OF_RANGE, f"{what} holds too many: at most {wanted} belong here", ""
    if rule in {"minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength"}:
        return codes.OUT_OF_RANGE, f"{what} must be {noun or 'in range'}, not {shown}", ""
    fix = hints.spelling(path, value) if isinstance(value, str) and not secret else ""
    return codes.MALFORMED, f"{what} must be {noun or 'of another form'}, not {shown}", fix


def _choice(path: KeyPath, value: Any, wanted: list[Any], shown: str) -> tuple[Code, str, str]:
    name = path[-1] if not path[-1].isdigit() else path[-2]
    words = [str(word) for word in wanted]
    numbers = [word for word in wanted if not isinstance(word, str)]
    if isinstance(value, str) and value.lower() in [str(number).lower() for number in numbers]:
        return codes.WRONG_TYPE, f"'{name}' must be a number, not {shown}", "Leave out the quotes."
    if name == "mode" and isinstance(value, str) and value.lower() in {"fullnat", "full-nat"}:
        return FULLNAT, "fullnat is not in the mainline kernel", ""
    meant = suggestion(value, words) if isinstance(value, str) else ""
    summary = f"{shown} is not known for '{name}'" + (f": {meant}" if meant else "")
    return codes.NOT_A_CHOICE, summary, f"One of: {', '.join(words)}."


def _repeated(items: list[Any]) -> str:
    seen: list[Any] = []
    for item in items:
        if item in seen:
            return _shown(item)
        seen.append(item)
    return "an item"


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)?", text))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"'{_cut(value)}'" if value else "an empty text"
    return _cut(str(value))


def _cut(text: str) -> str:
    """At most some signs of a text, without control characters: it is printed on one line."""
    short = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."
    return "".join(sign if sign.isprintable() else "?" for sign in short)
