"""`lab`: the machines of an inventory on this machine, for as long as a command or a shell runs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lvsdeploy.inventory import load
from lvsdeploy.inventory.model import Protocol
from lvsdeploy.lab import Init, Lab
from lvsdeploy.lab.cluster import CLIENT, REMOTE, ROUTER, topology_of
from lvsdeploy.lab.pages import serve_script

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from lvsdeploy.inventory.model import Cluster


def run_in_lab(inventory: Path, init: str, command: Sequence[str]) -> int:
    """Boots the lab, runs `command` (or a shell) in its network, ends the lab; the command's exit code.

    LabError when the lab cannot be built here.
    """
    cluster = load(inventory).cluster
    with tempfile.TemporaryDirectory(prefix="lvsdeploy-lab-") as name:
        home = Path(name)
        topology = topology_of(cluster, init=Init(init))
        with Lab(topology, directory=home / "lab", log=lambda line: click.echo(line, err=True)) as lab:
            for server, port in sorted(set(served(cluster))):
                lab.spawn(server, serve_script(port))
            _know_the_keys(home, lab.ssh_config)
            argv = list(command) or [os.environ.get("SHELL") or "/bin/sh"]
            if not command:
                click.echo(_WELCOME.format(inventory=inventory, host=cluster.hosts()[0].name), err=True)
            return _wait(lab.popen(argv, env=_environment(home)))


_WELCOME = f"""
This shell is in the lab's network; it is gone when you leave (exit).
  lvsdeploy apply {{inventory}}
  ssh {{host}}     any machine, also {CLIENT} (beside the VIPs), {ROUTER}, {REMOTE} (behind the router)
  ssh {CLIENT} curl -s http://VIP/
Real servers answer HTTP on the ports of their services, with their name.
"""


def served(cluster: Cluster) -> Iterator[tuple[str, int]]:
    """(real server, port) of every TCP destination and sorry server. Of a range, its ends."""
    for service in cluster.services:
        if Protocol.TCP not in service.protocols:
            continue
        ends = {port for ports in service.port_ranges for port in ports if port}
        for pool in service.pools:
            own = {pool.port} if pool.port else ends
            for each in pool.destinations:
                yield from ((each.real_server, port) for port in ({each.port} if each.port else own))
            if (sorry := service.sorry_of(pool)) is not None:
                ports = {sorry.port} if sorry.port else own
                servers = [s.name for s in cluster.real_servers if sorry.address in s.rips]
                yield from ((name, port) for name in servers for port in ports)


def _know_the_keys(home: Path, ssh_config: Path) -> None:
    """The lab's keys are found as an operator's are, in ~/.ssh/config; `ssh` itself does not go by $HOME."""
    (home / ".ssh").mkdir(mode=0o700)
    shutil.copy(ssh_config, home / ".ssh" / "config")
    (home / "bin").mkdir()
    for program in ("ssh", "scp", "sftp"):
        found = shutil.which(program)
        if found is not None:
            wrapper = home / "bin" / program
            wrapper.write_text(f'#!/bin/sh\nexec {found} -F {shlex.quote(str(ssh_config))} "$@"\n')
            wrapper.chmod(0o755)


def _environment(home: Path) -> dict[str, str]:
    """The environment, with the lab's home, and with the lvsdeploy that runs here on PATH."""
    path = f"{home / 'bin'}:{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "HOME": str(home), "PATH": path}


def _wait(process: subprocess.Popen[str]) -> int:
    """The exit code. Ctrl-C is the command's own affair: it got it too."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
