"""The hosts of an inventory, ready to be read and changed by a verb."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lvsdeploy.cli.output import progress, show, show_findings
from lvsdeploy.diagnostics import Severity
from lvsdeploy.errors import InventoryInvalid, UsageError
from lvsdeploy.execute.aims import Options
from lvsdeploy.execute.cluster import Pace, Session
from lvsdeploy.inventory import load
from lvsdeploy.plan.selection import select
from lvsdeploy.results import Validated, ValidatedFile
from lvsdeploy.ssh import Connector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lvsdeploy.cli.options import Common
    from lvsdeploy.execute.aims import Aim
    from lvsdeploy.execute.waves import Serial
    from lvsdeploy.inventory.model import Cluster, Director, RealServer


@contextmanager
def open_session(
    path: Path,
    shared: Common,
    *,
    aim: Aim | None = None,
    options: Options | None = None,
    directors_for: str = "",
    serial: Serial | None = None,
    max_failures: int = 0,
) -> Iterator[Session]:
    """The hosts of an inventory that `--limit` means, not yet connected. Its warnings go to stderr.

    `directors_for`: only the directors among them, and why.
    """
    cluster = load_cluster(path, shared)
    chosen = select(cluster, shared.limit)
    if directors_for:
        chosen &= {director.name for director in cluster.directors}
        if not chosen:
            raise UsageError(f"--limit: no director is among these hosts, and {directors_for}")
    hosts = [host for host in cluster.hosts() if host.name in chosen]
    with session_of(
        cluster, hosts, shared, aim=aim, options=options, serial=serial, max_failures=max_failures
    ) as session:
        yield session


@contextmanager
def session_of(
    cluster: Cluster,
    hosts: list[Director | RealServer],
    shared: Common,
    *,
    aim: Aim | None = None,
    options: Options | None = None,
    serial: Serial | None = None,
    max_failures: int = 0,
) -> Iterator[Session]:
    """These hosts, not yet connected."""
    pace = Pace(shared.parallel, serial, max_failures)
    with (
        progress(shared) as write,
        Session(
            cluster,
            Connector(),
            hosts=hosts,
            aim=aim,
            options=options or Options(),
            pace=pace,
            progress=write,
        ) as session,
    ):
        yield session


def load_cluster(path: Path, shared: Common) -> Cluster:
    """The cluster of an inventory. An invalid one is shown in the chosen format, and ends the command."""
    try:
        loaded = load(path)
    except InventoryInvalid as error:
        if shared.output == "text":
            raise
        result = Validated((ValidatedFile(str(path), "", error.findings),))
        show(result, shared)
        raise click.exceptions.Exit(int(result.exit_code)) from None
    show_findings(tuple(f for f in loaded.findings if f.severity is Severity.WARNING))
    return loaded.cluster
