"""`validate`: several inventories, each by itself and then all together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import in_order
from lvsdeploy.errors import InventoryInvalid
from lvsdeploy.inventory import check_together, load
from lvsdeploy.results import Validated, ValidatedFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def validate_files(paths: Sequence[Path]) -> Validated:
    """Every file's findings; those between files stand with the file they point at."""
    files: dict[str, ValidatedFile] = {}
    valid = []
    for path in dict.fromkeys(paths):
        try:
            loaded = load(path)
        except InventoryInvalid as error:
            files[str(path)] = ValidatedFile(str(path), "", error.findings)
        else:
            valid.append(loaded)
            files[str(path)] = ValidatedFile(str(path), loaded.cluster.name, loaded.findings)
    for finding in check_together(valid):
        name = finding.place.file if finding.place and finding.place.file in files else str(paths[0])
        file = files[name]
        files[name] = ValidatedFile(name, file.cluster, in_order((*file.findings, finding)))
    return Validated(tuple(files.values()))
