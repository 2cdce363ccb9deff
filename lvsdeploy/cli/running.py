"""What the changing verbs do: read, show, ask, change, show."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from lvsdeploy.cli import saved as saved_plans
from lvsdeploy.cli.output import show
from lvsdeploy.cli.session import load_cluster, open_session, session_of
from lvsdeploy.errors import ExitCode, LvsdeployError, UsageError
from lvsdeploy.execute import drains
from lvsdeploy.execute.aims import Aim, Forget, Options, Remove, Restore
from lvsdeploy.execute.stamp import new_stamp
from lvsdeploy.execute.waves import serial as read_serial
from lvsdeploy.history import history_of
from lvsdeploy.inventory.model import RealServer
from lvsdeploy.plan.selection import select
from lvsdeploy.printable import printable
from lvsdeploy.results import Applied, Planned

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.cli.options import Common
    from lvsdeploy.execute.cluster import Session
    from lvsdeploy.inventory.model import Cluster, Director

POLL = 1.0  # seconds between two looks at connections that are to end


@dataclass(frozen=True)
class Applying:
    """What `apply` is told beside what every verb is."""

    dry_run: bool = False
    yes: bool = False
    adopt: bool = False
    drain_timeout: int = 30
    confirm: int | None = None
    serial: str | None = None
    max_failures: int = 0
    lock_timeout: int = 0


def run_apply(path: Path, shared: Common, told: Applying) -> ExitCode:
    """`apply` of an inventory or of a saved plan."""
    found = saved_plans.find(path)
    saved = None
    if found is not None:
        saved, path = found
        if shared.limit is not None or told.adopt:
            raise UsageError("a saved plan says itself which hosts it is for, and what it adopts")
        shared = replace(shared, limit=saved.limit)
        told = replace(told, adopt=saved.adopt, drain_timeout=saved.drain, yes=True)
    options = Options(
        adopt=told.adopt,
        drain=told.drain_timeout,
        confirm=told.confirm or 0,
        stamp=new_stamp("apply", path.read_bytes() if path.is_file() else b""),
    )
    waves = read_serial(told.serial) if told.serial is not None else None
    with open_session(path, shared, options=options, serial=waves, max_failures=told.max_failures) as session:
        if not told.dry_run:
            session.lock(told.lock_timeout)
        session.read()
        if saved is not None:
            saved_plans.refuse_if_moved(session, saved)
        return _carry_out(session, shared, yes=told.yes, dry_run=told.dry_run)


def run_rollback(
    path: Path, shared: Common, *, to: str | None, yes: bool, drain_timeout: int, lock_timeout: int
) -> ExitCode:
    """`rollback`."""
    what = f"rollback to {to}" if to else "rollback"
    options = Options(drain=drain_timeout, stamp=new_stamp(what))
    with open_session(path, shared, options=options) as session:
        session.lock(lock_timeout)
        read = session.read()
        told = history_of(read, session.records())
        past = told.applies
        if not past:
            if read.failures:
                return _carry_out(session, shared, yes=True, dry_run=True)
            if told.failures:
                unusable = told.failures[0]
                raise LvsdeployError(f"{unusable.host}: {unusable.message}", hint=unusable.hint)
            raise LvsdeployError("there is nothing to go back to: nothing was applied yet")
        if to is not None and to not in {apply.id for apply in past}:
            kept = ", ".join(apply.id for apply in past)
            raise UsageError(f"--to: no host remembers an apply `{printable(to)}`", hint=f"There are: {kept}")
        session.aim_at(Restore(to=to) if to is not None else Restore(before=past[0].id))
        session.read()
        return _carry_out(session, shared, yes=yes)


def run_destroy(path: Path, shared: Common, *, yes: bool, lock_timeout: int) -> ExitCode:
    """`destroy`, of hosts in the inventory or, by address, of one that was."""
    cluster = load_cluster(path, shared)
    former = _former_host(cluster, shared.limit)
    hosts: list[Director | RealServer]
    if former is not None:
        hosts = [former]
    else:
        chosen = select(cluster, shared.limit)
        hosts = [host for host in cluster.hosts() if host.name in chosen]
    options = Options(stamp=new_stamp("destroy"))
    with session_of(cluster, hosts, shared, aim=Remove(), options=options) as session:
        session.lock(lock_timeout)
        session.read()
        code = _carry_out(session, shared, yes=yes)
    if former is not None and code is ExitCode.OK:
        _forget(cluster, former.address, shared, lock_timeout)
    return code


def _forget(cluster: Cluster, address: str, shared: Common, lock_timeout: int) -> None:
    """The directors name a host that has been cleaned no longer. LvsdeployError when one cannot be told."""
    options = Options(stamp=new_stamp(f"destroy {address}"))
    aim = Forget(frozenset({address}))
    with session_of(cluster, list(cluster.directors), shared, aim=aim, options=options) as session:
        session.lock(lock_timeout)
        session.read()
        done = session.apply()
    for failure in (*done.failures, *done.left):
        raise LvsdeployError(
            f"{address} is clean, but {failure.host} goes on naming it: {failure.message}",
            hint="Run the same command again when that director can be reached.",
        )


def run_drain(
    path: Path,
    host: str,
    shared: Common,
    *,
    service: str | None,
    wait: bool,
    drain_timeout: int,
    force: bool,
    lock_timeout: int,
) -> ExitCode:
    """`drain`."""
    stamp = new_stamp(f"drain {_part(host, service)}")
    options = Options(counters=True, stamp=stamp)
    with open_session(path, shared, options=options, directors_for=_WHY_DIRECTORS) as session:
        services = drains.services_of(session.cluster, host, service)
        edit = drains.drain(host, service, stamp)
        _read_settled(session, lock_timeout)
        if not force:
            _refuse_last(session, edit, services)
        session.aim_at(Aim(edit))
        session.read()
        code = _carry_out(session, shared, yes=True, quiet=True)
        if code is ExitCode.OK and wait:
            _await_end(session, host, services, drain_timeout)
        return code


def run_undrain(path: Path, host: str, shared: Common, *, service: str | None, lock_timeout: int) -> ExitCode:
    """`undrain`."""
    options = Options(stamp=new_stamp(f"undrain {_part(host, service)}"))
    with open_session(path, shared, options=options, directors_for=_WHY_DIRECTORS) as session:
        drains.services_of(session.cluster, host, service)
        _read_settled(session, lock_timeout)
        session.aim_at(Aim(drains.undrain(session.cluster, host, service)))
        session.read()
        return _carry_out(session, shared, yes=True, quiet=True)


_WHY_DIRECTORS = "a drain is the directors' business"


def _part(host: str, service: str | None) -> str:
    return f"{host} of {service}" if service is not None else host


def _carry_out(
    session: Session, shared: Common, *, yes: bool, dry_run: bool = False, quiet: bool = False
) -> ExitCode:
    """Shows the plan of a session that has read, asks, changes, and shows what became of it.

    `quiet`: without the plan, where the command line has said it all.
    """
    planned = Planned(session.plan())
    if dry_run:
        show(planned, shared)
        return planned.exit_code
    if planned.plan.changes and not quiet:
        if shared.output == "text":
            show(planned, shared)
        if not yes and sys.stdin.isatty():
            click.confirm("Change the hosts?", abort=True, err=True)
    result: Applied = session.apply()
    show(result, shared)
    return result.exit_code


def _former_host(cluster: Cluster, limit: str | None) -> RealServer | None:
    """The host that an address in `--limit` stands for when no host of the inventory has it."""
    try:
        address = ip_address(limit or "")
    except ValueError:
        return None
    if any(str(address) in (host.name, host.address) for host in cluster.hosts()):
        return None
    return RealServer(str(address), str(address), address, ssh=cluster.ssh)


def _read_settled(session: Session, lock_timeout: int) -> None:
    """Reads the directors; LvsdeployError when they have other changes to be made, which would go along."""
    session.lock(lock_timeout)
    plan = session.read()
    pending = [host.host for host in plan.hosts if host.changes]
    if pending:
        raise LvsdeployError(
            f"{', '.join(pending)}: not as declared, and this would change that, too",
            hint="See it with `lvsdeploy plan`, then `lvsdeploy apply` first.",
        )


def _refuse_last(session: Session, edit: drains.Edit, services: tuple[str, ...]) -> None:
    """LvsdeployError when a service would have nothing left to send clients to."""
    for record in session.records().values():
        if empty := drains.without_destination(session.cluster, edit(record.drained), services):
            raise LvsdeployError(
                f"{', '.join(empty)}: no other real server is left, and its clients would be refused",
                hint="Bring another one back first (`lvsdeploy undrain`), or say --force.",
            )


def _await_end(session: Session, host: str, services: tuple[str, ...], seconds: int) -> None:
    """Waits until no connections are left; LvsdeployError when there are some after so many `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if failures := session.read().failures:
            raise LvsdeployError(f"{failures[0].host}: {failures[0].message}", hint=failures[0].hint)
        left = drains.connections(session.cluster, session.observations(), host, services)
        if not any(left.values()):
            click.echo(f"{host}: no connections are left", err=True)
            return
        if time.monotonic() >= deadline:
            counts = ", ".join(f"{count} on {director}" for director, count in left.items() if count)
            raise LvsdeployError(
                f"{host}: after {seconds} s there are connections left: {counts}",
                hint="It is drained and stays so. Wait longer with --drain-timeout, or let them break.",
            )
        time.sleep(POLL)
