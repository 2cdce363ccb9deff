"""Services of the host's service manager."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit (systemd), service (OpenRC) or init script: is it started at boot, and does it run now.

    A oneshot unit counts as active once it has run.
    """

    name: str
    enabled: bool
    active: bool
