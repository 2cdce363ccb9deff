"""Where the files that travel with the package are: `templates/` and `schemas/`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def data_path(name: Literal["schemas", "templates"]) -> Path:
    """The folder `name`, in a wheel (`lvsdeploy/_data/NAME`) or in a checkout (`NAME` at the top).

    The wheel's place is looked at first: beside an installed package another project's `templates/`
    could stand.
    """
    packed = _PACKAGE / "_data" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
