"""What a build of the model works on: the document, what is built so far, and what was found on the way."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory import text_codes
from lvsdeploy.inventory.addresses import NotAnAddress, parse_interface, parse_ip
from lvsdeploy.inventory.schema_check import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.document import Document, KeyPath
    from lvsdeploy.inventory.model import Director, IPAddress, IPInterface, RealServer, Vip
    from lvsdeploy.inventory.registry import Code

_MOST_SUGGESTIONS = 50
_ENTRIES = ("directors", "real_servers", "groups", "vips", "services")


@dataclass
class Draft:
    """What is built so far. `lost` names entries that exist and could not be built."""

    document: Document
    folder: Path  # of the inventory: paths in it are relative to this
    environ: Mapping[str, str]
    broken: frozenset[KeyPath]
    findings: list[Finding] = field(default_factory=list)
    lost: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in _ENTRIES})
    incomplete: set[str] = field(default_factory=set)
    directors: dict[str, Director] = field(default_factory=dict)
    real_servers: dict[str, RealServer] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    vips: dict[str, Vip] = field(default_factory=dict)
    suggestions: int = 0
    entries_of_table: int = 0  # what the services built so far make of the IPVS table

    def __post_init__(self) -> None:
        self.broken_sections = {path[0] for path in self.broken if path}

    def tell(self, code: Code, path: KeyPath, summary: str, *, why: str = "", fix: str = "") -> None:
        place = self.document.place(path)
        self.findings.append(code.finding(summary, place=place, why=why, fix=fix))

    def lose(self, section: str, name: str) -> None:
        self.lost[section].add(name)
        self.incomplete.add(section)

    def section(self, name: str) -> dict[str, Any]:
        """A section that is one thing (ssh, vrrp, nat, defaults); empty when absent or broken."""
        given = self.document.data.get(name)
        if name in self.broken_sections:
            self.incomplete.add(name)
            return {}
        return given if isinstance(given, dict) else {}

    def entries(self, section: str) -> Iterator[tuple[str, Any]]:
        """A section's entries that have no error of their own; the others are lost."""
        given = self.document.data.get(section)
        if not isinstance(given, dict) or (section,) in self.broken:
            if given is not None or section in {"directors", "real_servers", "services"}:
                self.incomplete.add(section)
            return
        bad = {path[1] for path in self.broken if path[0] == section and len(path) > 1}
        for name, entry in given.items():
            if name in bad:
                self.lose(section, name)
            else:
                yield name, entry

    def ip(self, text: str, path: KeyPath) -> IPAddress | None:
        try:
            return parse_ip(text)
        except NotAnAddress as error:
            self.tell(text_codes.NOT_AN_ADDRESS, path, str(error))
            return None

    def interface(self, text: str, path: KeyPath) -> IPInterface | None:
        try:
            return parse_interface(text)
        except NotAnAddress as error:
            self.tell(text_codes.NOT_AN_ADDRESS, path, str(error))
            return None

    def unknown(self, kind: str, name: str, path: KeyPath, known: Iterable[str]) -> None:
        """Tell that a name refers to nothing, with the nearest one that is there."""
        self.suggestions += 1  # each costs a comparison with every name: bounded
        meant = suggestion(name, known) if self.suggestions <= _MOST_SUGGESTIONS else ""
        summary = f"there is no {kind} '{name}'" + (f": {meant}" if meant else "")
        self.tell(text_codes.UNKNOWN_NAME, path, summary)

    def file(self, text: str, path: KeyPath) -> Path | None:
        """A path of the inventory, absolute."""
        home = self.environ.get("HOME")
        if text.startswith("~/") and home:
            return Path(home) / text[2:].lstrip("/")
        try:
            expanded = Path(text).expanduser()
        except RuntimeError:
            summary = f"the home folder of {text.partition('/')[0]} is not known"
            self.tell(text_codes.BAD_PATH, path, summary)
            return None
        return Path(os.path.normpath(self.folder / expanded))
