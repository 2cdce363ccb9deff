"""Saved plans: written by `plan --out`, carried out by `apply FILE`."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from lvsdeploy.errors import LvsdeployError
from lvsdeploy.execute.stamp import new_stamp
from lvsdeploy.plan.saved import SavedPlan, dump, fingerprint, is_saved_plan, load
from lvsdeploy.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.cli.options import Common
    from lvsdeploy.execute.cluster import Session


def save(session: Session, inventory: Path, shared: Common, out: Path) -> None:
    """Writes the plan of a session that has read its hosts, mode 0600; a file that is there is replaced.

    It has to be one that can be carried out.
    """
    plan = session.plan()
    text = inventory.read_bytes()
    stamp = new_stamp("plan")
    salt = secrets.token_hex(16)
    saved = SavedPlan(
        inventory=os.path.relpath(inventory.absolute(), out.absolute().parent),
        sha256=hashlib.sha256(text).hexdigest(),
        cluster=session.cluster.name,
        limit=shared.limit,
        adopt=session.options.adopt,
        drain=session.options.drain,
        made_at=stamp.at,
        made_by=stamp.by,
        salt=salt,
        hosts=fingerprints(session, salt),
        changes={
            host.host: tuple(f"{c.action} {c.kind} {c.name} [{c.reason}]" for c in host.changes)
            for host in plan.hosts
            if host.changes
        },
    )
    try:
        _write(out, dump(saved))
    except OSError as error:
        raise LvsdeployError(f"{out}: {error.strerror}") from error


def fingerprints(session: Session, salt: str) -> dict[str, str]:
    """Every host's, of those that could be read."""
    seen, records = session.observations(), session.records()
    plans = {plan.host: plan for plan in session.plan().hosts}
    return {name: fingerprint(plans[name], seen[name].state, records[name], salt) for name in plans}


def find(path: Path) -> tuple[SavedPlan, Path] | None:
    """A saved plan and its inventory; None for what is no saved plan. LvsdeployError if it cannot be used."""
    try:
        text = path.read_bytes()
    except OSError:
        return None  # as an inventory it gets a better word
    if not is_saved_plan(text):
        return None
    saved = load(text, str(path))
    inventory = path.absolute().parent / saved.inventory
    try:
        digest = hashlib.sha256(inventory.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:  # ValueError: no path can be so
        why = error.strerror if isinstance(error, OSError) else "it cannot be read"
        raise LvsdeployError(f"{path}: its inventory {printable(str(inventory))}: {why}") from error
    if digest != saved.sha256:
        raise LvsdeployError(
            f"{path}: the inventory {printable(saved.inventory)} has changed since the plan was made",
            hint="Plan again, and look at what it says now.",
        )
    return saved, inventory


def refuse_if_moved(session: Session, saved: SavedPlan) -> None:
    """LvsdeployError unless each host's plan is the one that was saved, and is what will be done."""
    broken = sorted(name for name, seen in session.observations().items() if seen.unfinished)
    if broken:
        raise LvsdeployError(
            f"{', '.join(broken)}: an apply broke off there, and has to be put back first; nothing changed",
            hint="Apply the inventory itself: that puts it back, and plans anew.",
        )
    now = fingerprints(session, saved.salt)
    meant = saved.hosts.keys() | {host.name for host in session.hosts}
    moved = sorted(name for name in meant if name not in saved.hosts or now.get(name) != saved.hosts[name])
    if moved:
        raise LvsdeployError(
            f"the hosts have moved on since the plan was made ({saved.made_at}, {saved.made_by}): "
            f"{printable(', '.join(moved))}; nothing was changed",
            hint="Plan again, and look at what it says now.",
        )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by its owner alone from the first byte on."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
