"""What a command found or did: the data that every output format is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lvsdeploy.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.change import Failure, HostPlan, Plan
    from lvsdeploy.state.ipvs import VirtualService


@dataclass(frozen=True)
class ValidatedFile:
    """One inventory, checked. `cluster` is "" when it could not be read that far."""

    file: str
    cluster: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Validated:
    """`validate`."""

    command: ClassVar[str] = "validate"

    files: tuple[ValidatedFile, ...]

    @property
    def exit_code(self) -> ExitCode:
        broken = any(finding.is_error for file in self.files for finding in file.findings)
        return ExitCode.INVALID if broken else ExitCode.OK


@dataclass(frozen=True)
class Planned:
    """`plan`."""

    command: ClassVar[str] = "plan"

    plan: Plan
    detailed: bool = False  # --detailed-exitcode

    @property
    def exit_code(self) -> ExitCode:
        if (failed := worst(self.plan.failures)) is not ExitCode.OK:
            return failed
        if self.plan.refused:
            return ExitCode.FAILED
        return ExitCode.CHANGES if self.detailed and self.plan.changes else ExitCode.OK


@dataclass(frozen=True)
class Checked:
    """`check`."""

    command: ClassVar[str] = "check"

    plan: Plan

    @property
    def exit_code(self) -> ExitCode:
        failed = worst(self.plan.failures)
        if failed is ExitCode.OK and not self.plan.as_declared:
            return ExitCode.CHANGES
        return failed


@dataclass(frozen=True)
class Recovered:
    """A host on which a transaction had broken off, and was put back first; `whose` it was."""

    host: str
    whose: str


@dataclass(frozen=True)
class Applied:
    """`apply`, and whatever else changes hosts: `what` says which command.

    `changed` are the plans that were carried out, `left` hosts with changes not made and why.
    """

    changed: tuple[HostPlan, ...]
    left: tuple[Failure, ...]
    failures: tuple[Failure, ...]
    after: Plan
    what: str = "apply"
    recovered: tuple[Recovered, ...] = ()

    @property
    def command(self) -> str:
        return self.what.split(" ", 1)[0]

    @property
    def exit_code(self) -> ExitCode:
        if (failed := worst(self.failures)) is not ExitCode.OK:
            return failed
        refused = self.left or any(finding.is_error for finding in self.after.all_findings())
        return ExitCode.FAILED if refused else ExitCode.OK


@dataclass(frozen=True)
class DestinationStatus:
    """A destination as it is now.

    `state`: up; down: its health check fails; missing (nobody knows why); drained since when by whom; gets
    nothing new (weight 0); sorry server; not declared.
    """

    name: str  # the real server's, "" when no declared one has this address
    address: str
    forwarding: str
    weight: int
    active: int  # connections
    inactive: int
    state: str
    managed: bool = True  # False: a real server that is never logged in to

    @property
    def words(self) -> str:
        """The state, for people."""
        return self.state if self.managed else f"{self.state} (not managed)"


@dataclass(frozen=True)
class ServiceStatus:
    """A virtual service as it is now on one director."""

    name: str  # the service's in the inventory, "" when none is declared there
    service: VirtualService
    destinations: tuple[DestinationStatus, ...]


@dataclass(frozen=True)
class DirectorStatus:
    """What one director does now. `holds` are the VIPs on its interfaces."""

    name: str
    role: str  # MASTER, BACKUP, MASTER of some groups (`MASTER of blue`), or why neither
    holds: tuple[str, ...]
    services: tuple[ServiceStatus, ...]


@dataclass(frozen=True)
class Status:
    """`status`."""

    command: ClassVar[str] = "status"

    cluster: str
    directors: tuple[DirectorStatus, ...]
    failures: tuple[Failure, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return worst(self.failures)


@dataclass(frozen=True)
class PastApply:
    """One command that changed hosts. `changes`: host -> what it did there, a line each."""

    id: str
    at: str
    by: str
    what: str
    inventory: str  # SHA-256 of its text, "" when it is not known
    changes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class History:
    """`history`: what changed the hosts, the newest first."""

    command: ClassVar[str] = "history"

    cluster: str
    applies: tuple[PastApply, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return worst(self.failures)


Result = Validated | Planned | Checked | Applied | Status | History


def worst(failures: Sequence[Failure]) -> ExitCode:
    """One exit code for several failures: an unreachable host (4) tells more than a failed one (1)."""
    return ExitCode(max((failure.exit_code for failure in failures), default=0))
