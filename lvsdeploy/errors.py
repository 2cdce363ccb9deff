"""The errors lvsdeploy raises, and the exit code each leads to.

    LvsdeployError                 1   something failed
    ├── UsageError                64   the command line is wrong
    ├── InventoryInvalid           3   carries the findings
    └── HostError                  1   one host; the others go on
        ├── Unreachable            4   no connection, or the host key is not the known one
        ├── LoginRefused           4   connected, and not let in
        ├── BecomeRefused          1   logged in, and sudo said no
        ├── AnswerInvalid          1   the host answered something that cannot be read
        └── ChangeFailed           1   the transaction failed and was undone

Every message is one clear line; `hint` says what to do. Neither holds a secret.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from lvsdeploy.diagnostics import Finding


class ExitCode(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FAILED = 1
    CHANGES = 2
    INVALID = 3
    UNREACHABLE = 4
    USAGE = 64


class LvsdeployError(Exception):
    """Something failed. `str()` is one line for a person; `hint` (may be empty) says what to do."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(LvsdeployError):
    """The command line asks for something that is not there."""

    exit_code = ExitCode.USAGE


class InventoryInvalid(LvsdeployError):
    """An inventory has errors; `findings` are all of them, in order, warnings and notes included."""

    exit_code = ExitCode.INVALID

    def __init__(self, file: str, findings: tuple[Finding, ...]) -> None:
        errors = sum(finding.is_error for finding in findings)
        super().__init__(f"{file}: {errors} error{'s' if errors != 1 else ''}")
        self.file = file
        self.findings = findings


class HostError(LvsdeployError):
    """Something about one host; the others' results are kept."""

    def __init__(self, host: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class Unreachable(HostError):
    """No connection, or a host key that is unknown or not the known one."""

    exit_code = ExitCode.UNREACHABLE


class LoginRefused(HostError):
    """The host was reached and did not let us in."""

    exit_code = ExitCode.UNREACHABLE


class BecomeRefused(HostError):
    """Logged in, and sudo refused."""


class AnswerInvalid(HostError):
    """The host's answer cannot be read."""


class ChangeFailed(HostError):
    """A transaction failed. `detail` is what the host's programs said; `undone` whether all was put back."""

    def __init__(
        self, host: str, message: str, *, detail: str = "", undone: bool = True, hint: str = ""
    ) -> None:
        super().__init__(host, message, hint=hint)
        self.detail = detail
        self.undone = undone
