"""Secrets: read from the environment or a file, and checked, without ever being repeated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory import build_codes as codes
from lvsdeploy.inventory.model import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lvsdeploy.inventory.registry import Code

    Tell = Callable[[Code, str], None]

VRRP_PASSWORD_LENGTH = 8
_MAX_BYTES = 4096
_SAFE = re.compile(r"[A-Za-z0-9._~@%+=:,/*&?^-]+")


def read_secret(
    given: Any, *, environ: Mapping[str, str], resolve: Callable[[str], Path | None], tell: Tell
) -> str | None:
    """The value that `given` (a text, {env: NAME} or {file: PATH}) stands for; None when told why not."""
    if isinstance(given, str):
        tell(codes.PLAIN_SECRET, "a secret in plain text")
        return given
    if "env" in given:
        name = given["env"]
        value = environ.get(name, "")
        if not value:
            state = "empty" if name in environ else "not set"
            tell(codes.SECRET_MISSING, f"the environment variable {name} is {state}")
        return value or None
    path = resolve(given["file"])
    return _from_file(path, tell) if path else None


def vrrp_password(value: str, tell: Tell) -> Secret | None:
    """The password as keepalived uses it; None when told why it cannot be used."""
    if not _SAFE.fullmatch(value):
        tell(codes.SECRET_SIGNS, "this password has characters that keepalived.conf cannot carry")
        return None
    if len(value) > VRRP_PASSWORD_LENGTH:
        tell(codes.SECRET_LONG, "this password has more than 8 characters; the first 8 are used")
    return Secret(value[:VRRP_PASSWORD_LENGTH])


def _from_file(path: Path, tell: Tell) -> str | None:
    try:
        if not path.is_file():  # a FIFO or a device would block or never end
            tell(codes.SECRET_MISSING, "the secret's file is not there, or is no regular file")
            return None
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
        value = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        tell(codes.SECRET_MISSING, f"the secret's file cannot be read: {error.strerror}")
        return None
    except ValueError:
        tell(codes.SECRET_MISSING, "the secret's file is not text")
        return None
    if not value or len(raw) > _MAX_BYTES:
        tell(codes.SECRET_MISSING, f"the secret's file is {'too large' if value else 'empty'}")
        return None
    return value
