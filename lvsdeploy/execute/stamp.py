"""Who applies, and when: the same words on every host that one command changes."""

from __future__ import annotations

import getpass
import hashlib
import secrets
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lvsdeploy.printable import printable
from lvsdeploy.record import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable


_TIME = "%Y%m%dT%H%M%SZ"


def new_stamp(what: str, inventory: bytes = b"") -> Stamp:
    """A new one for the command `what` ("apply", "drain web1") with the text of its inventory."""
    now = datetime.now(UTC)
    return Stamp(
        id=_id(now),
        at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        by=operator(),
        what=printable(what, longest=200),
        inventory=hashlib.sha256(inventory).hexdigest() if inventory else "",
    )


def later_than(stamp: Stamp, ids: Iterable[str]) -> Stamp:
    """The stamp with an id that sorts behind `ids`: of the same second, or of a clock ahead of ours."""
    newest = max(ids, default="").partition("-")[0]
    if stamp.id.partition("-")[0] > newest:
        return stamp
    try:
        behind = datetime.strptime(newest, _TIME).replace(tzinfo=UTC) + timedelta(seconds=1)
    except (ValueError, OverflowError):  # no time: somebody has made it up
        return stamp
    return replace(stamp, id=_id(behind))


def _id(time: datetime) -> str:
    return f"{time.strftime(_TIME)}-{secrets.token_hex(2)}"


def operator() -> str:
    """Who sits here, as user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return printable(f"{user}@{socket.gethostname()}", longest=200)
