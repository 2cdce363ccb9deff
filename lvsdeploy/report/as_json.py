"""Results as JSON: one document with `format_version`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import TYPE_CHECKING, Any

from lvsdeploy.plan.change import Change, HostPlan
from lvsdeploy.results import Checked, Planned, Result
from lvsdeploy.state.ipvs import VirtualService

if TYPE_CHECKING:
    from lvsdeploy.plan.change import Plan

FORMAT_VERSION = 1

_HIDDEN: dict[type[Any], tuple[str, ...]] = {
    Change: ("steps",),
    HostPlan: ("bookkeeping", "table", "replaced"),
    VirtualService: ("key", "destinations", "free_weights"),
}
"""What is no part of an answer: contents of files, secrets among them; what is told in another way."""


def as_json(result: Result) -> str:
    """The document for a result.

    Keys are those of the dataclasses in `results.py` and `plan/change.py`; steps (which hold file contents)
    are left out.
    """
    document = {
        "format_version": FORMAT_VERSION,
        "command": result.command,
        "exit_code": int(result.exit_code),
        **_plain(result),
    }
    match result:
        case Planned(plan=plan) | Checked(plan=plan):
            document |= _verdict(plan)
        case _:
            pass
    # Plain ASCII: what acts on a terminal, and what the terminal cannot show, is escaped.
    return json.dumps(document, indent=2)


def _verdict(plan: Plan) -> dict[str, Any]:
    return {"as_declared": plan.as_declared, "changes": plan.changes}


def _plain(value: Any) -> Any:  # noqa: PLR0911 — one line a kind of value
    match value:
        case VirtualService():
            return {"virtual_service": str(value.key), **_fields(value)}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _fields(value)
        case Enum():
            return value.value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case None | bool() | int() | float() | str():
            return value
        case Sequence() | AbstractSet():
            return [_plain(item) for item in value]
        case _:
            return str(value)


def _fields(value: Any) -> dict[str, Any]:
    hidden = _HIDDEN.get(type(value), ())
    return {
        field.name: _plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name not in hidden
    }
