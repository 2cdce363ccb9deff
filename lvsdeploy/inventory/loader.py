"""The way from a file to a Cluster: text, schema, model, rules; all findings at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import lvsdeploy.inventory.rules  # noqa: F401 - registers the rules
from lvsdeploy.diagnostics import Finding, in_order
from lvsdeploy.errors import InventoryInvalid
from lvsdeploy.inventory import Loaded
from lvsdeploy.inventory.build import build
from lvsdeploy.inventory.document import read
from lvsdeploy.inventory.registry import rules
from lvsdeploy.inventory.schema_check import check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.inventory.document import Document
    from lvsdeploy.inventory.registry import Context


def load_file(path: Path | str, environ: Mapping[str, str]) -> Loaded:
    """See `lvsdeploy.inventory.load`."""
    file = str(path)
    document, findings = read(Path(path), file)
    if document is None:
        raise InventoryInvalid(file, in_order(findings))
    problems = check(document)
    folder = Path(path).absolute().parent
    broken = [problem.path for problem in problems]
    context, told = build(document, broken, folder=folder, environ=environ)
    found = [*findings, *(problem.finding for problem in problems), *told]
    found.extend(_judge(document, context))
    ordered = in_order(dict.fromkeys(found))
    if any(finding.is_error for finding in ordered):
        raise InventoryInvalid(file, ordered)
    return Loaded(context.cluster, ordered, document)


def _judge(document: Document, context: Context) -> Iterator[Finding]:
    """What the rules find."""
    for rule in rules():
        if rule.needs & context.incomplete:
            continue
        for hit in rule.function(context):
            yield rule.code.finding(
                hit.summary,
                place=document.place(hit.path, key=hit.key),
                why=hit.why,
                fix=hit.fix,
                severity=hit.severity,
            )
