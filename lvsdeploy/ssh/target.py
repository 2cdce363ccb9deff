"""What goes in and out: where to connect, and what a command answered."""

from __future__ import annotations

from dataclasses import dataclass

from lvsdeploy.inventory.model import SshSettings


@dataclass(frozen=True)
class Target:
    """A host to log in to.

    `name` is the inventory's, for messages. `address` is what OpenSSH would get on its command
    line, so a name, an address, or a `Host` of ~/.ssh/config.
    """

    name: str
    address: str
    settings: SshSettings = SshSettings()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class Answer:
    """What a command left behind: its exit code and all that it wrote."""

    code: int
    stdout: bytes
    stderr: bytes
