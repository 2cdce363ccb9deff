"""What tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.running import runner
from tests.hosts import site, site_keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

__all__ = ["run", "site", "site_keys"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command line within this process."""
    return runner(capsys)


@pytest.fixture
def web1(site: Site) -> NamespaceHost:
    return site.host("web1", 11)


@pytest.fixture
def web(run: Callable[..., Done]) -> Callable[..., Done]:
    """Runs a verb for the real servers alone, and fails unless it exits as expected."""

    def with_limit(verb: str, inventory: Path, *options: str, code: int | None = 0) -> Done:
        done = run(verb, "--limit", "web*", *options, inventory)
        assert code in (done.code, None), done
        return done

    return with_limit
