"""What tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.running import runner
from tests.hosts import site, site_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done

__all__ = ["run", "site", "site_keys"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command line within this process."""
    return runner(capsys)
