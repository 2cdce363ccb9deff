"""Results as JUnit XML, which CI systems show as tests: a row is a test case, a bad one a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from lvsdeploy.printable import printable, visible
from lvsdeploy.report.rows import rows

if TYPE_CHECKING:
    from lvsdeploy.results import Result


def as_junit(result: Result) -> str:
    """A `testsuites` document with one suite."""
    listed = tuple(rows(result))
    name = f"lvsdeploy {result.command}"
    counts = {
        "tests": str(len(listed)),
        "failures": str(sum(row.bad for row in listed)),
        "errors": "0",
    }
    root = Element("testsuites", {"name": name, **counts})
    suite = SubElement(root, "testsuite", {"name": name, **counts})
    for row in listed:
        case = SubElement(suite, "testcase", classname=_plain(row.subject), name=_plain(row.title))
        body = "\n".join(visible(line) for line in row.detail.removesuffix("\n").split("\n"))
        if row.bad:
            SubElement(case, "failure", message=_plain(row.title)).text = body
        elif body:
            SubElement(case, "system-out").text = body
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _plain(text: str) -> str:
    return printable(text, longest=10_000)
