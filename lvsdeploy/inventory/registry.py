"""Every code a finding can have, each with the page that `lvsdeploy explain CODE` prints.

    LVS0xx  the text, the schema, references      LVS3xx  services, schedulers, health checks
    LVS1xx  forwarding methods                    LVS4xx  hosts, SSH, secrets
    LVS2xx  VIPs and VRRP                         LVS5xx  live hosts (plan/codes.py)

`code(...)` registers a code whose findings are made by hand, `@rule(...)` one whose findings a function
over the model yields. Codes are stable: never renumber one, and never use a dropped one again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from lvsdeploy.diagnostics import Finding, Place, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lvsdeploy.inventory.model import Cluster, Part, Service

_CODE = re.compile(r"LVS[0-9]{3}")


@dataclass(frozen=True)
class Code:
    """One kind of finding. `why` and `fix` are a sentence or two; `more` (Markdown) is for the page alone."""

    code: str
    severity: Severity
    statement: str
    why: str
    fix: str
    example: str = ""  # YAML that breaks it
    more: str = ""
    links: tuple[str, ...] = ()

    def finding(
        self,
        summary: str,
        *,
        place: Place | None = None,
        host: str | None = None,
        why: str = "",
        fix: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        """A finding of this kind; what is not given comes from the code."""
        return Finding(
            self.code,
            severity or self.severity,
            summary,
            why=why or self.why,
            fix=fix or self.fix,
            place=place,
            host=host,
        )

    def page(self) -> str:
        """The whole page as Markdown, without a newline at its end."""
        parts = [
            f"# {self.code}: {self.statement}",
            f"Severity: {self.severity}",
            f"## Why\n\n{self.why}",
        ]
        if self.more:
            parts.append(self.more)
        if self.example:
            parts.append(f"## An example that breaks it\n\n```yaml\n{self.example}\n```")
        parts.append(f"## What to do\n\n{self.fix}")
        if self.links:
            parts.append("## See\n\n" + "\n".join(f"- <{link}>" for link in self.links))
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Context:
    """What a rule looks at.

    `cluster` holds only the parts of the inventory that could be built; `incomplete` names the sections of
    which a part is missing because it has errors of its own. `data` is the inventory as plain data, for what
    the model leaves out; a rule must not trust its types outside what the schema accepted.
    """

    cluster: Cluster
    data: Mapping[str, Any]
    incomplete: frozenset[str] = frozenset()

    def written(self, *path: str) -> bool:
        """Whether the inventory says something at `path` (rather than leaving a default)."""
        node: Any = self.data
        for key in path:
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            else:
                return False
        return True

    def place_of(self, service: Service, *keys: str) -> tuple[str, ...]:
        """Where a service says something: itself, or in `defaults`; the service when nowhere."""
        for path in ((*service.path, *keys), ("defaults", *keys)):
            if self.written(*path):
                return path
        return service.path

    def said(self, part: Part, *keys: str) -> tuple[str, ...]:
        """As `place_of`, for what one real server or the sorry server may say by itself."""
        own = self.place_of(part.service, "sorry_server") if part.is_sorry_server else part.path
        if self.written(*own, keys[0]):
            return (*own, *keys) if self.written(*own, *keys) else (*own, keys[0])
        return self.place_of(part.service, *keys)

    def place_of_part(self, part: Part) -> tuple[str, ...]:
        """Where a service names a real server, or its sorry server's address."""
        if part.is_sorry_server:
            return self.place_of(part.service, "sorry_server", "address")
        return part.path


@dataclass(frozen=True)
class Hit:
    """What a rule found: where in the document, and one line. `key`: point at the key, not at its value."""

    path: tuple[str, ...]
    summary: str
    key: bool = False
    why: str = ""
    fix: str = ""
    severity: Severity | None = None


@dataclass(frozen=True)
class Rule:
    """A rule over the model. It is skipped while a section of `needs` is incomplete."""

    code: Code
    function: Callable[[Context], Iterable[Hit]] = field(repr=False)
    needs: frozenset[str] = frozenset()


_CODES: dict[str, Code] = {}
_RULES: list[Rule] = []


def code(
    number: str,
    severity: Severity,
    statement: str,
    *,
    why: str,
    fix: str,
    example: str = "",
    more: str = "",
    links: Iterable[str] = (),
) -> Code:
    """Register a code. Texts may be indented blocks. A number that is taken raises ValueError."""
    if not _CODE.fullmatch(number):
        raise ValueError(f"{number} is not LVS and three digits")
    if number in _CODES:
        raise ValueError(f"{number} is taken: {_CODES[number].statement}")
    entry = Code(
        number,
        severity,
        statement,
        why=_joined(why),
        fix=_joined(fix),
        example=cleandoc(example),
        more=cleandoc(more),
        links=tuple(links),
    )
    _CODES[number] = entry
    return entry


def rule(  # noqa: PLR0913 - one place says all about a rule
    number: str,
    severity: Severity,
    statement: str,
    *,
    why: str,
    fix: str,
    example: str = "",
    more: str = "",
    links: Iterable[str] = (),
    needs: Iterable[str] = (),
) -> Callable[[Callable[[Context], Iterable[Hit]]], Callable[[Context], Iterable[Hit]]]:
    """Register a function as the rule of a new code.

    `needs` names sections that must be whole: a rule about something's absence ("in no service") would
    speak up wrongly when the part that has it was left out for another error.
    """
    entry = code(
        number,
        severity,
        statement,
        why=why,
        fix=fix,
        example=example,
        more=more,
        links=links,
    )

    def register(
        function: Callable[[Context], Iterable[Hit]],
    ) -> Callable[[Context], Iterable[Hit]]:
        _RULES.append(Rule(entry, function, frozenset(needs)))
        return function

    return register


def rules() -> tuple[Rule, ...]:
    """The rules registered so far, by code."""
    return tuple(sorted(_RULES, key=lambda entry: entry.code.code))


def registered() -> tuple[Code, ...]:
    """The codes registered so far, in order. `lvsdeploy.explain.findings.codes()` loads them all first."""
    return tuple(_CODES[number] for number in sorted(_CODES))


def lookup(number: str) -> Code | None:
    return _CODES.get(number)


def _joined(text: str) -> str:
    """One line of an indented block."""
    return " ".join(text.split())
