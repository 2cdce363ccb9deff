"""Who applies, and when: the same words on every host that one command changes."""

from __future__ import annotations

import getpass
import hashlib
import secrets
import socket
from datetime import UTC, datetime

from lvsdeploy.printable import printable
from lvsdeploy.record import Stamp


def new_stamp(what: str, inventory: bytes = b"") -> Stamp:
    """A new one for the command `what` ("apply", "drain web1") with the text of its inventory."""
    now = datetime.now(UTC)
    return Stamp(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
        at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        by=operator(),
        what=printable(what, longest=200),
        inventory=hashlib.sha256(inventory).hexdigest() if inventory else "",
    )


def operator() -> str:
    """Who sits here, as user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return printable(f"{user}@{socket.gethostname()}", longest=200)
