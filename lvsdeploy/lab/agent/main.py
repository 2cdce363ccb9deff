"""Where the agent's two kinds start.

`host DIRECTORY ID keep|remove`: on the user's own kernel. `uml FILE`: as a UML kernel's first process.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from . import kernel, machine, server

# The agent's own place for the machines' files, in its own mount namespace.
_STATE_OPTIONS = "mode=755,size=75%"


def main(argv: list[str]) -> None:
    kind, *rest = argv
    if kind == "host":
        _janitor(Path(rest[0]), rest[1], keep=rest[2] == "keep")
    else:
        _uml(Path(rest[0]))


def _janitor(directory: Path, lab: str, *, keep: bool) -> None:
    """Starts the host's agent, and removes all that there was when the controller is gone.

    The controller holds the other end of stdin: its end, however it comes, is seen here. The agent
    is the first process of a pid namespace, so its death is everybody's. Prints the agent's process
    id when it listens.
    """
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    listening_read, listening_write = os.pipe()
    kernel.unshare(kernel.NEWPID)
    pid = server.fork(lambda: _host(directory, lab, listening_write))
    os.close(listening_write)
    if os.read(listening_read, 1):
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.close()
        ended = os.pidfd_open(pid)
        select.select([0, ended], [], [])
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    # A further child of this one would need a living first process in the pid namespace.
    _remove_cgroups(directory, lab)
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)


def _remove_cgroups(directory: Path, lab: str) -> None:
    kernel.unshare(kernel.NEWNS)
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    cgroups = _cgroups(directory, lab)
    if cgroups is not None:
        server.remove_cgroups(cgroups)
        os.chdir("/")
        kernel.unmount(cgroups.parent)


def _cgroups(directory: Path, lab: str) -> Path | None:
    """The lab's cgroup, through a cgroup2 mount of its own; None when the kernel has none."""
    mounted = directory / "cgroup"
    mounted.mkdir(exist_ok=True)
    try:
        kernel.mount("cgroup2", mounted, "cgroup2")
    except OSError:
        return None
    return mounted / f"lvslab-{lab}"


def _host(directory: Path, lab: str, listening: int) -> None:
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()
    kernel.unshare(kernel.NEWNS | kernel.NEWNET)
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    kernel.mount("proc", "/proc", "proc")
    # So that `ip` sees the cards of this network namespace.
    kernel.mount("sysfs", "/sys", "sysfs")
    state = directory / "state"
    kernel.mount("tmpfs", state, "tmpfs", data=_STATE_OPTIONS)
    _be_a_switch()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(directory)
    listener.bind("agent")
    os.chdir("/")
    listener.listen(128)
    os.write(listening, b"+")
    os.close(listening)
    agent = server.Server(state, _cgroups(directory, lab), shared_kernel=True)
    agent.serve(listener)


def _be_a_switch() -> None:
    """The controller's namespace: it joins the networks as a switch, and routes nothing."""
    for key, value in {
        "ipv4/ip_forward": "0",
        "ipv4/conf/all/rp_filter": "0",
        "ipv4/conf/default/rp_filter": "0",
        # It has an address on every network: answer for each only there.
        "ipv4/conf/all/arp_ignore": "1",
        "ipv4/conf/all/arp_announce": "2",
        # Frames between machines are none of iptables' business.
        "bridge/bridge-nf-call-arptables": "0",
        "bridge/bridge-nf-call-iptables": "0",
        "bridge/bridge-nf-call-ip6tables": "0",
    }.items():
        path = Path("/proc/sys/net", key)
        if path.exists():
            path.write_text(value, encoding="ascii")
    server.ip_batch("link set lo up\n")


def _uml(file: Path) -> None:
    """The first process of a UML kernel, whose root is this machine's, read-only."""
    # PATH and the like come from the kernel's command line, if at all.
    os.environ.update(machine.ENVIRONMENT)
    settings = json.loads(file.read_text("utf-8"))
    kernel.mount("proc", "/proc", "proc")
    kernel.mount("sysfs", "/sys", "sysfs")
    if not Path("/dev/null").exists():
        kernel.mount("devtmpfs", "/dev", "devtmpfs")
    cgroups = Path("/sys/fs/cgroup")
    kernel.mount("cgroup2", cgroups, "cgroup2")
    state = file.with_name("state")
    kernel.mount("tmpfs", state, "tmpfs", data=_STATE_OPTIONS)
    # What the kernel asks for by itself is found too: schedulers, tables, tunnels. iptables runs the
    # same program, inside a machine, where it is at the same place.
    modprobe = Path("/dev", machine.MODPROBE)
    modprobe.symlink_to(settings["modprobe"])
    Path("/proc/sys/kernel/modprobe").write_text(str(modprobe), encoding="utf-8")
    subprocess.run([modprobe, "-a", *settings["modules"]], check=True)
    server.ip_batch(settings["network"])
    listener = socket.create_server(tuple(settings["listen"]), backlog=128)
    agent = server.Server(state, cgroups / "lab", shared_kernel=False)
    agent.serve(listener)
