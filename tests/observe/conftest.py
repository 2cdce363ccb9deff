"""A sandbox for each shell that is at hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.observe.sandbox import SHELLS, Sandbox


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    base = Path(tempfile.gettempdir())
    for folder in (tmp_path, *tmp_path.parents):
        if folder == base:
            break
        folder.chmod(0o755)  # so that somebody who is not root gets there
    return Sandbox(tmp_path, request.param)
