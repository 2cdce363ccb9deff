"""A plan as a file: what it was made from, and a fingerprint of every host and its changes.

It holds no content of a file and no secret, not even as a digest that could be tried out: a fingerprint is
made with scrypt and a salt. To carry it out the hosts are read and planned again; only when each plan has the
fingerprint that was saved is anything changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lvsdeploy.errors import UsageError
from lvsdeploy.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.plan.change import HostPlan
    from lvsdeploy.record import Record
    from lvsdeploy.state.host import HostState

_FORMAT = 1
_MARK = "lvsdeploy_plan"
_BEGINS = re.compile(rb'\s*\{\s*"lvsdeploy_plan"\s*:')
_SALT = re.compile(r"[0-9a-f]{32}")
_WORDS = ("inventory", "sha256", "cluster", "made_at", "made_by")
_LONGEST_DRAIN = 86_400
_COST = {"n": 2**12, "r": 8, "p": 1}  # some 10 ms a host


@dataclass(frozen=True)
class SavedPlan:
    """A plan that was looked at, and may be carried out."""

    inventory: str  # its path, from the folder of the plan's file
    sha256: str  # of the inventory's text
    cluster: str
    limit: str | None
    adopt: bool
    drain: int
    made_at: str
    made_by: str
    salt: str  # hex
    hosts: Mapping[str, str]  # host -> fingerprint
    changes: Mapping[str, tuple[str, ...]]  # host -> what was planned, for who looks into the file


def is_saved_plan(text: bytes) -> bool:
    """Whether this is a saved plan and no inventory, by how it begins."""
    return _BEGINS.match(text[:200]) is not None


def dump(plan: SavedPlan) -> bytes:
    data = {_MARK: _FORMAT, **vars(plan)}
    return (json.dumps(data, indent=2) + "\n").encode()


def load(text: bytes, file: str) -> SavedPlan:
    """What `dump` wrote; UsageError for anything else."""
    try:
        return _plan(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{file}: this is not a plan that this version of lvsdeploy saved",
            hint="Make a new one: lvsdeploy plan --out",
        ) from error


def _plan(data: Any) -> SavedPlan:
    if data.pop(_MARK) != _FORMAT:
        raise ValueError("another version's")
    limit, adopt, drain = data.pop("limit"), data.pop("adopt"), data.pop("drain")
    if not isinstance(limit, str | None) or not isinstance(adopt, bool) or type(drain) is not int:
        raise TypeError("not what the options of a plan are")
    if not 0 <= drain <= _LONGEST_DRAIN or not _SALT.fullmatch(data["salt"]):
        raise ValueError("not what the options of a plan are")
    if not all(isinstance(data[name], str) for name in _WORDS):
        raise TypeError("not what a plan is made from")
    hosts = {str(name): str(word) for name, word in data.pop("hosts").items()}
    changes = {str(name): tuple(map(str, lines)) for name, lines in data.pop("changes").items()}
    inventory, salt = data.pop("inventory"), data.pop("salt")
    words = {name: printable(value) for name, value in data.items()}
    return SavedPlan(
        inventory=inventory,
        salt=salt,
        hosts=hosts,
        changes=changes,
        limit=limit,
        adopt=adopt,
        drain=drain,
        **words,
    )


def fingerprint(plan: HostPlan, state: HostState, record: Record, salt: str) -> str:
    """A word that is another one as soon as the host's changes are others, or it is in another state."""
    parts: list[object] = [plan.host, plan.role.value, record.digest]
    for change in plan.changes:
        parts.append([change.kind, change.name, change.action, change.reason, change.detail, change.diff])
        parts += [[step.words, hashlib.sha256(step.content or b"").hexdigest()] for step in change.steps]
    parts += sorted(f"{f.code} {f.summary}" for f in plan.findings if f.is_error)
    parts += sorted([path, file.digest, f"{file.mode} {file.owner}"] for path, file in state.files.items())
    text = json.dumps(parts, sort_keys=True, default=str).encode()
    return hashlib.scrypt(text, salt=bytes.fromhex(salt), dklen=32, **_COST).hex()
