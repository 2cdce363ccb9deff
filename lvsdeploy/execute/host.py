"""One host, read and changed over one connection: a command to read, a command to change and read again."""

from __future__ import annotations

import getpass
import secrets
import socket
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lvsdeploy.desired import MANIFEST, desired_state, probe_paths, route_is_managed, unit_names
from lvsdeploy.desired.director import PROGRAMS, director_modules
from lvsdeploy.desired.table import expected_table
from lvsdeploy.errors import BecomeRefused, ChangeFailed, HostError, LvsdeployError
from lvsdeploy.execute.transaction import Outcome, Program, build, read_outcome
from lvsdeploy.inventory.model import Director
from lvsdeploy.observe import Observation, Request, parse, probe_command
from lvsdeploy.plan.change import Failure, HostPlan, Role
from lvsdeploy.plan.context import Context
from lvsdeploy.plan.host import plan_host
from lvsdeploy.plan.record import read_record
from lvsdeploy.printable import printable
from lvsdeploy.ssh import Connection, Connector, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Cluster, RealServer

READ_TIMEOUT = 60.0  # seconds
CHANGE_TIMEOUT = 600.0  # seconds: installing a package over a slow mirror takes long


@dataclass
class Host:
    """A host of the cluster and, once opened, its connection and what was last seen on it."""

    cluster: Cluster
    declared: Director | RealServer
    adopt: bool = False
    counters: bool = False  # read how many connections each destination has
    observation: Observation | None = None
    plan: HostPlan | None = None
    failure: Failure | None = None
    changed: bool = False
    under_way: bool = False  # being changed at this moment
    _connection: Connection | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.declared.name

    @property
    def role(self) -> Role:
        return Role.DIRECTOR if isinstance(self.declared, Director) else Role.REAL_SERVER

    def read(self, connector: Connector) -> None:
        """Connects if need be, reads the host and plans; what goes wrong becomes `failure`."""
        with self._failing():
            if self._connection is None:
                target = Target(self.name, self.declared.address, self.declared.ssh)
                self._connection = connector.connect(target)
            request = self._request()
            command, stdin = probe_command(request)
            answer = self._connection.run(command, stdin=stdin, timeout=READ_TIMEOUT)
            self._seen(answer.stdout, request)

    def change(self) -> None:
        """Carries out the plan and reads again; what goes wrong becomes `failure`.

        The host must then be as declared. A table that keepalived left different is mended in a second
        round: a reload does not touch what somebody changed in the kernel behind its back.
        """
        self.under_way = True
        try:
            with self._failing():
                self._change()
        finally:
            self.under_way = False

    def _change(self) -> None:
        for _round in (1, 2):
            if self.plan is None or not self.plan.steps():
                break
            self._transact(self.plan)
        if self.plan is not None and self.plan.changes:
            names = "\n".join(f"{c.kind} {c.name}: {c.detail}" for c in self.plan.changes[:5])
            raise ChangeFailed(
                self.name,
                "the change was made, and the host is still not as declared",
                detail=names,
                undone=False,
            )

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

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _transact(self, plan: HostPlan) -> None:
        assert self._connection is not None and self.observation is not None  # noqa: S101, PT018 — read first
        request = self._request()
        steps, token = plan.steps(), secrets.token_hex(8)
        table = request.table or ()
        program = build(
            steps,
            manager=self.observation.facts.service_manager,
            token=token,
            owner=_owner(),
            probe=Program(*probe_command(request)),
            table=table,
        )
        answer = self._connection.run(program.command, stdin=program.stdin, timeout=CHANGE_TIMEOUT)
        outcome = read_outcome(self.name, answer.stdout, steps, token, said=answer.stderr)
        self._refuse(outcome)
        self.changed = True
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

    def _request(self) -> Request:
        is_director = self.role is Role.DIRECTOR
        return Request(
            files={p: tuple(known.values()) for p, known in probe_paths(self.cluster, self.name).items()},
            units=unit_names(self.cluster, self.name),
            programs=tuple(sorted(PROGRAMS)) if is_director else ("ip",),
            modules=director_modules(self.cluster) if is_director else (),
            table=frozenset(expected_table(self.cluster).values()) if is_director else None,
            counters=is_director and self.counters,
        )

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
        self.observation = observation
        self.plan = plan_host(context_of(self.cluster, self.name, observation, adopt=self.adopt), self.role)


def context_of(cluster: Cluster, host: str, observation: Observation, *, adopt: bool = False) -> Context:
    """What the comparison needs, from a host's observation."""
    desired = desired_state(cluster, host, observation.facts, observation.state)
    manifest = observation.state.files.get(MANIFEST(cluster.name))
    return Context(
        host=host,
        desired=desired,
        actual=observation.state,
        facts=observation.facts,
        record=read_record(manifest),
        checkers=observation.checkers,
        unread=observation.unread,
        adopt=adopt,
        route_is_managed=route_is_managed(cluster),
    )


def as_failure(error: HostError) -> Failure:
    """A host's error as a result that stands beside the other hosts'."""
    return Failure(
        error.host,
        str(error),
        hint=error.hint,
        detail=getattr(error, "detail", ""),
        exit_code=int(error.exit_code),
    )


def _owner() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{user}@{socket.gethostname()}, since {now}"
