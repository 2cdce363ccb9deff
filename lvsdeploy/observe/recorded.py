"""What a host's own manifest names: the probe looked at that without being asked for each by name.

The probe reads the manifest line by line, and here it is read as JSON. Both come to the same for one that
lvsdeploy wrote; from one that somebody garbled, only what both see in it counts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lvsdeploy.observe.request import is_path
from lvsdeploy.state.file import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.state.file import File

_MANIFEST = re.compile(r"/var/lib/lvsdeploy/[a-z][a-z0-9-]{0,30}/manifest\.json\Z")
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


@dataclass(frozen=True)
class Recorded:
    """Paths of files and folders, and units. `whole`: the manifest is laid out as lvsdeploy writes it."""

    paths: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    whole: bool = True

    def strange(self, paths: Iterable[str]) -> set[str]:
        """Those that this manifest does not name, and that are no cluster's manifest either."""
        return {path for path in paths if path not in self.paths and not _MANIFEST.match(path)}


def read(manifest: File | None) -> Recorded:
    """What a manifest names; one that is garbled names less, or nothing."""
    if manifest is None or manifest.kind is not FileKind.REGULAR:
        return Recorded()
    try:
        data: Any = json.loads(manifest.content)
        written = json.dumps(data, indent=2) + "\n"
    except (ValueError, RecursionError):
        return Recorded(whole=False)
    parts = data if isinstance(data, dict) else {}
    paths = (*_names(parts.get("files"), dict), *_names(parts.get("folders"), list))
    return Recorded(
        paths=frozenset(path for path in paths if is_path(path) and ".." not in path.split("/")),
        units=frozenset(name for name in _names(parts.get("units"), dict) if _UNIT.match(name)),
        whole=written.encode() == manifest.content,
    )


def _names(part: Any, kind: type[dict[Any, Any] | list[Any]]) -> list[str]:
    return [name for name in part if isinstance(name, str)] if isinstance(part, kind) else []
