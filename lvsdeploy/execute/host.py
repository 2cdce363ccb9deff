"""One host, read and changed over one connection: a command to read, a command to change and read again."""

from __future__ import annotations

import secrets
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lvsdeploy.errors import BecomeRefused, ChangeFailed, HostError, LvsdeployError
from lvsdeploy.execute.aims import Aim, Options, Scene, role_of
from lvsdeploy.execute.lease import lease_program, read_lease
from lvsdeploy.execute.transaction import (
    End,
    Outcome,
    Program,
    build,
    confirm_program,
    read_outcome,
    read_verdict,
    revert_program,
)
from lvsdeploy.observe import Observation, parse, probe_command
from lvsdeploy.plan.change import Failure, HostPlan
from lvsdeploy.printable import printable
from lvsdeploy.record import Record, Stamp, manifest_path, read_record
from lvsdeploy.ssh import Connection, Connector, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Cluster, Director, RealServer
    from lvsdeploy.observe import Request
    from lvsdeploy.plan.change import Role
    from lvsdeploy.ssh.connection import Held

READ_TIMEOUT = 60.0  # seconds
CHANGE_TIMEOUT = 600.0  # seconds: installing a package over a slow mirror takes long
LEASE_TIMEOUT = 30.0  # seconds
ROUNDS = 4  # a recovery, what somebody else changed meanwhile, the change, and what a reload leaves


@dataclass
class Host:
    """A host of the cluster and, once opened, its connection and what was last seen on it."""

    cluster: Cluster
    declared: Director | RealServer
    aim: Aim = field(default_factory=Aim)
    options: Options = field(default_factory=Options)
    observation: Observation | None = None
    plan: HostPlan | None = None
    failure: Failure | None = None
    changed: bool = False
    recovered: str = ""  # whose broken transaction was put back here
    keeps_leaving: bool = False  # addresses and destinations that go stay for now
    under_way: bool = False  # being changed at this moment
    _connection: Connection | None = field(default=None, repr=False)
    _armed: str = ""  # the token of a change that waits to be confirmed

    @property
    def name(self) -> str:
        return self.declared.name

    @property
    def role(self) -> Role:
        return role_of(self.declared)

    @property
    def record(self) -> Record:
        """The record that was last read; an empty one when none was."""
        files = self.observation.state.files if self.observation is not None else {}
        return read_record(files.get(manifest_path(self.cluster.name)))

    def read(self, connector: Connector) -> None:
        """Connects if need be, reads the host and plans; what goes wrong becomes `failure`."""
        with self._failing():
            self._connect(connector)
            self._read()

    def change(self) -> None:
        """Carries out the plan and reads again; what goes wrong becomes `failure`.

        The host must then be as it should. A table that keepalived left different is mended in a second
        round: a reload does not touch what somebody changed in the kernel behind its back.
        """
        self.under_way = True
        try:
            with self._failing():
                self._change()
        finally:
            self.under_way = False

    def confirm(self, connector: Connector) -> None:
        """Logs in anew, looks whether the host is as it should be, and lets the change last.

        If it is not, the change is put back at once; if nobody can log in any more, the host does it by
        itself. Either becomes `failure`.
        """
        if not self._armed:
            return
        with self._failing():
            try:
                self.close()
                self._connect(connector)
                self._read()
                if self.plan is not None and self.plan.changes:
                    raise ChangeFailed(
                        self.name,
                        "the host is not as declared after the change",
                        detail=_differences(self.plan),
                    )
            except HostError as error:
                raise self._put_back(error) from error
            verdict = self._verdict(confirm_program(self._armed))
            self._armed = ""
            if verdict is not End.CONFIRMED:
                self.changed = False
                raise ChangeFailed(
                    self.name, "the change was put back before it could be confirmed: the time was too short"
                )

    def put_back(self, why: str) -> None:
        """Puts a change that waits to be confirmed back at once, and says `why`."""
        if self._armed:
            with self._failing():
                raise self._put_back(ChangeFailed(self.name, why))

    def plan_anew(self) -> None:
        """The plan from what was last seen, when something else has changed than the host."""
        if self.observation is not None:
            scene = Scene(self.cluster, self.declared, self.observation, self.options, self.keeps_leaving)
            self.plan = self.aim.plan(scene)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def lease(self, connector: Connector, stamp: Stamp) -> tuple[Held | None, str]:
        """The cluster's lease, held on this host: (what holds it, "") or (None, who has it).

        HostError when the host cannot be asked.
        """
        self._connect(connector)
        assert self._connection is not None  # noqa: S101 — just made
        token = secrets.token_hex(8)
        program = lease_program(self.cluster.name, token=token, owner=_owner(stamp))
        held = self._connection.hold(
            program.command, lambda said: read_lease(said, token) is not None, timeout=LEASE_TIMEOUT
        )
        answer = read_lease(held.said, token)
        if answer is not None and answer.held:
            return held, ""
        held.release()
        return None, printable(answer.busy) if answer is not None else "somebody"

    def _change(self) -> None:
        for _round in range(ROUNDS):
            plan = self.plan
            if plan is None or self.observation is None or not (plan.changes or self.observation.unfinished):
                break
            if self._armed:  # what a reload left is one more change
                self._verdict(confirm_program(self._armed))
                self._armed = ""
            self._transact(plan)
        if self.plan is not None and self.plan.changes:
            error = ChangeFailed(
                self.name,
                "the change was made, and the host is still not as declared",
                detail=_differences(self.plan),
                undone=False,
            )
            raise self._put_back(error) if self._armed else error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """One host's error, a bug of ours too, must not take the other hosts' results with it."""
        try:
            yield
        except HostError as error:
            self.failure = as_failure(error)
        except LvsdeployError:
            raise  # about the cluster, and every host would say it
        except Exception as error:  # noqa: BLE001 — see above
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.failure = Failure(
                self.name,
                f"internal error: {type(error).__name__}: {error}",
                hint="This is a bug; please report it with the line above.",
                detail=f"{Path(last.filename).name}:{last.lineno} in {last.name}",
            )

    def _connect(self, connector: Connector) -> None:
        if self._connection is None:
            target = Target(self.name, self.declared.address, self.declared.ssh)
            self._connection = connector.connect(target)

    def _read(self) -> None:
        assert self._connection is not None  # noqa: S101 — connected first
        request = self._request()
        command, stdin = probe_command(request)
        self._seen(self._connection.run(command, stdin=stdin, timeout=READ_TIMEOUT).stdout, request)

    def _transact(self, plan: HostPlan) -> None:
        assert self._connection is not None and self.observation is not None  # noqa: S101, PT018 — read first
        request = self._request()
        steps, token = plan.steps(), secrets.token_hex(8)
        # Who died there is put back first; the steps are then planned anew.
        steps = () if self.observation.unfinished else steps
        program = build(
            steps,
            manager=self.observation.facts.service_manager,
            token=token,
            owner=_owner(self.options.stamp),
            probe=Program(*probe_command(request)),
            table=plan.table,
            record=manifest_path(self.cluster.name),
            expect=self.record.digest or "-",
            confirm=self.options.confirm if steps else 0,
        )
        timeout = CHANGE_TIMEOUT + self.options.drain
        answer = self._connection.run(program.command, stdin=program.stdin, timeout=timeout)
        outcome = read_outcome(self.name, answer.stdout, steps, token, said=answer.stderr)
        self._refuse(outcome)
        if outcome.recovered:
            self.recovered = outcome.recovered + ("" if outcome.undone else f" (in part: {outcome.detail})")
        elif outcome.moved:
            self._seen(outcome.reading, request)
            last = self.record.history[-1].stamp if self.record.history else None
            who = f" by {last.by} ({last.what}, {last.at})" if last is not None else ""
            raise ChangeFailed(
                self.name,
                f"the host was changed{who} since it was read; nothing was changed now",
                hint="Look at the plan again, and apply again.",
            )
        elif steps:
            self.changed = True
            self._armed = token if outcome.armed else ""
        self._seen(outcome.reading, request)

    def _refuse(self, outcome: Outcome) -> None:
        if outcome.busy:
            raise ChangeFailed(
                self.name,
                f"another apply is at work on this host: {outcome.busy}",
                hint="Wait until it has ended. Nothing was changed here.",
            )
        if outcome.failed is not None:
            end = "everything was put back" if outcome.undone else "NOT everything could be put back"
            raise ChangeFailed(
                self.name,
                f"could not {outcome.failed.title}; {end}",
                detail=outcome.detail,
                undone=outcome.undone,
            )

    def _put_back(self, why: HostError) -> ChangeFailed:
        """What became of a change that could not be confirmed because of `why`; as an error to be raised."""
        end = f"it puts itself back within {self.options.confirm} s"
        try:
            if self._connection is not None:
                verdict = self._verdict(revert_program(self._armed))
                end = "it was put back" if verdict is not End.CONFIRMED else end
        except HostError:
            pass  # the host does it by itself
        self._armed = ""
        self.changed = False
        detail = getattr(why, "detail", "")
        return ChangeFailed(self.name, f"{why}; {end}", detail=detail, hint=why.hint)

    def _verdict(self, program: Program) -> End:
        assert self._connection is not None  # noqa: S101 — connected first
        answer = self._connection.run(program.command, stdin=program.stdin, timeout=CHANGE_TIMEOUT)
        verdict = read_verdict(self.name, answer.stdout, self._armed, said=answer.stderr)
        if not verdict.undone:
            raise ChangeFailed(
                self.name, "NOT everything could be put back", detail=verdict.detail, undone=False
            )
        return verdict.end

    def _request(self) -> Request:
        request = self.aim.request(self.cluster, self.declared, self.options)
        further = self.aim.further(self.cluster, self.record) if self.observation is not None else ()
        return replace(request, files={**request.files, **dict.fromkeys(further, ())})

    def _seen(self, answer: bytes, request: Request) -> None:
        observation = parse(self.name, answer, request)
        if not observation.facts.root:
            # What such a user cannot read would look like drift.
            user = printable(self._connection.user) if self._connection is not None else "the user"
            raise BecomeRefused(
                self.name,
                f"logged in as {user}, who is not root: sysctls, addresses and the IPVS table are root's",
                hint="Set `ssh: {become: true}` to go through sudo, or log in as root.",
            )
        if self._armed:  # it is us who hold the host's lock, until the change is confirmed
            observation = replace(observation, busy="", unfinished="")
        self.observation = observation
        if not set(self.aim.further(self.cluster, self.record)) <= request.files.keys():
            self._read()  # the record names more that is needed
            return
        self.plan_anew()


def as_failure(error: HostError) -> Failure:
    """A host's error as a result that stands beside the other hosts'."""
    return Failure(
        error.host,
        str(error),
        hint=error.hint,
        detail=getattr(error, "detail", ""),
        exit_code=int(error.exit_code),
    )


def _owner(stamp: Stamp) -> str:
    return f"{stamp.by}, {stamp.what} since {stamp.at}"


def _differences(plan: HostPlan) -> str:
    return "\n".join(f"{c.kind} {c.name}: {c.detail}" for c in plan.changes[:5])
