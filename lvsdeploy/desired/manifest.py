"""The manifest: the record on a host of what lvsdeploy put there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import manifest_path
from lvsdeploy.state.file import File

if TYPE_CHECKING:
    from lvsdeploy.state.host import HostState

FORMAT = 1
_PUBLIC, _PRIVATE = 0o644, 0o600


def with_manifest(state: HostState, cluster: str) -> HostState:
    """`state` and the file that records it; a host on which nothing is put gets no record either."""
    if not (state.files or state.units or state.sysctls or state.addresses):
        return state
    file = _manifest(state, cluster)
    return replace(state, files=dict(sorted({**state.files, file.path: file}.items())))


def _manifest(state: HostState, cluster: str) -> File:
    data = {
        "format": FORMAT,
        "cluster": cluster,
        "files": {path: file.digest for path, file in state.files.items()},
        "addresses": sorted(f"{a.address} {a.interface}" for a in state.addresses),
        "sysctls": dict(state.sysctls),
        "units": sorted(state.units),
    }
    # The digest of a file with a short secret tells the secret to whoever tries all of them.
    secret = any(file.secret for file in state.files.values())
    return File(
        path=manifest_path(cluster),
        content=(json.dumps(data, indent=2, sort_keys=True) + "\n").encode(),
        mode=_PRIVATE if secret else _PUBLIC,
    )
