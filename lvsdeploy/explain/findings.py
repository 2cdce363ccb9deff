"""The page of every finding, of inventories and of live hosts."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lvsdeploy.errors import UsageError

if TYPE_CHECKING:
    from lvsdeploy.inventory.registry import Code

# Importing these registers codes. One that is not there yet has none to register.
_REGISTERING = (
    "lvsdeploy.inventory.text_codes",
    "lvsdeploy.inventory.build_codes",
    "lvsdeploy.inventory.rules",
    "lvsdeploy.inventory.together",
    "lvsdeploy.plan.codes",
)


def codes() -> tuple[Code, ...]:
    """Every code there is, in order."""
    from lvsdeploy.inventory.registry import registered  # noqa: PLC0415 - loaded when asked for

    for name in _REGISTERING:
        if find_spec(name):
            import_module(name)
    return registered()


def page(code: str) -> str:
    """The page of a code, as Markdown: what, why, an example, what to do. Case and `LVS` may be left out.

    Raises UsageError for a code that there is not.
    """
    wanted = code.strip().upper()
    if wanted.isdigit():
        wanted = f"LVS{wanted.zfill(3)}"
    known = {entry.code: entry for entry in codes()}
    if wanted not in known:
        kin = [number for number in known if number[:4] == wanted[:4]]
        hint = f"Codes like it: {', '.join(kin)}." if kin else f"Codes run from {min(known)} to {max(known)}."
        raise UsageError(f"there is no finding {code!r}", hint=hint)
    return known[wanted].page()
