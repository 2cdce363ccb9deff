"""What went wrong on the way to a host, before it is known whose host it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.errors import LoginRefused, Unreachable

if TYPE_CHECKING:
    from lvsdeploy.errors import HostError


class Fault(Exception):
    """A failure at one hop; becomes one of lvsdeploy.errors and never leaves this package.

    A jump host that many targets share fails for all of them alike.
    """

    kind: type[HostError] = Unreachable

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def at_jump_host(self, name: str) -> Fault:
        return type(self)(f"jump host {name}: {self.message}", hint=self.hint)

    def of(self, host: str) -> HostError:
        return self.kind(host, self.message, hint=self.hint)


class ClosedAtOnce(Fault):
    """The server hung up before it said anything: the one thing worth another try."""


class Refused(Fault):
    """The server did not let us in."""

    kind = LoginRefused
