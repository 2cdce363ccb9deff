"""Inventory: YAML text -> Document -> schema -> Cluster, and the rules that judge it.

Importing this package is cheap: YAML and JSON Schema are imported by the first `load`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.document import Document
    from lvsdeploy.inventory.model import Cluster

__all__ = ["Loaded", "check_together", "load"]


@dataclass(frozen=True)
class Loaded:
    """An inventory without errors. `findings` are its warnings and notes, in order of lines."""

    cluster: Cluster
    findings: tuple[Finding, ...]
    document: Document = field(repr=False, compare=False)


def load(path: Path | str, *, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The cluster that a file declares. Findings name the file as `path` does.

    Raises InventoryInvalid with all findings, warnings and notes too, when there is an error among them;
    a file that cannot be read is such an error.
    """
    from lvsdeploy.inventory.loader import load_file  # noqa: PLC0415 - costly imports

    return load_file(path, environ)


def check_together(loaded: Sequence[Loaded]) -> tuple[Finding, ...]:
    """What clusters do to each other: clashes of virtual router ids and VIPs. In order of files and lines."""
    from lvsdeploy.inventory.together import findings_between  # noqa: PLC0415 - costly imports

    return findings_between(loaded)
