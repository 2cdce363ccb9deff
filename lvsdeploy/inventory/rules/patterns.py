"""LVS390: regular expressions of health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import HttpCheck
from lvsdeploy.inventory.pcre import refused
from lvsdeploy.inventory.registry import Context, Hit, rule
from lvsdeploy.inventory.rules.declared_checks import declared_checks

if TYPE_CHECKING:
    from collections.abc import Iterator


@rule(
    "LVS390",
    Severity.ERROR,
    "A regular expression cannot be compiled.",
    why="keepalived compiles it (PCRE2) when it reads its configuration, logs a failure, and goes on with "
    "memory that it has given back. Its configuration test says nothing.",
    fix="Close what is open, and write a backslash before a character that is meant as it stands.",
    more="Looked at are brackets, classes, repetitions and escapes, by PCRE2's grammar: what is refused here "
    "PCRE2 refuses, too. It may still refuse others: references to groups that are not there, for example, "
    "or with `(?x)` and the option `extended`, which are not looked at. `pcre2grep EXPRESSION /dev/null` "
    "tells.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: {type: http, regex: "(ok"},
                 real_servers: [web1, web2]}
    """,
    links=(
        "https://www.pcre.org/current/doc/html/pcre2pattern.html",
        "https://github.com/acassen/keepalived/blob/v2.2.7/keepalived/check/check_http.c",
    ),
)
def patterns(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        for number, url in enumerate(found.check.urls if isinstance(found.check, HttpCheck) else ()):
            bad = refused(url.regex, url.regex_options) if url.regex is not None else None
            if bad:
                where = found.at("urls", str(number), "regex")
                path = found.at("regex") if where == found.path else where
                yield Hit(path, f"character {bad.at + 1} of the expression: {bad.reason}")
