"""`render`: the tree of files that each host would get."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from lvsdeploy.desired import render_all
from lvsdeploy.errors import LvsdeployError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.file import File


def render_tree(cluster: Cluster, only: str | None, out: Path | None) -> None:
    """Prints every file (secrets masked), or writes them below `out`.

    By its name, also what a real server that is not managed would get if it were.
    """
    as_managed = tuple(replace(s, managed=True) if s.name == only else s for s in cluster.real_servers)
    states = render_all(replace(cluster, real_servers=as_managed))
    if only is not None and only not in states:
        raise UsageError(f"--host: there is no host `{only}`", hint=f"There are: {', '.join(states)}")
    for host, state in states.items():
        if only in (None, host):
            for file in state.files.values():
                if out is None:
                    click.echo(f"# --- {host}:{file.path} ({file.mode:04o} {file.owner})")
                    click.echo(file.shown())
                else:
                    _write(out / host / file.path.lstrip("/"), file)
    if out is not None:
        click.echo(f"Wrote {out}", err=True)


def _write(path: Path, file: File) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(file.content)
        path.chmod(file.mode)
    except OSError as error:
        raise LvsdeployError(f"{path}: {error.strerror}") from error
