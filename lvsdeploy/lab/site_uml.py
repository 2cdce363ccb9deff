"""A User-Mode Linux kernel as a place for one machine: a kernel that has IPVS, as a process.

Its root is this machine's own, read-only, and the machine's files are in its memory. It has one
cable to the controller, and one to each of the machine's networks.
"""

import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lvsdeploy.lab import requirements
from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.remote import Agent
from lvsdeploy.lab.site_host import HostSite, agent_argv, bridge_line

_PORT = 1
_BOOT_TIMEOUT = 60.0  # seconds
# Memory is taken from the machine only as it is used.
_MEMORY = "1G"

# Those that nothing asks for by name, or that a kernel usually has built in. The rest is loaded
# when it is asked for, as on a real machine: `modprobe ip_vs` is a director's own affair.
_MODULES = ("ipv6", "overlay", "veth", "bridge")


def _built_xstate(folder: Path) -> Path:
    """The library of xstate.c, built in `folder`: 50 ms, and nothing built is kept in the sources."""
    library = folder / "xstate.so"
    source = Path(__file__).with_name("xstate.c")
    build = ["gcc", "-Os", "-shared", "-fPIC", "-nostdlib", "-fno-stack-protector", "-fcf-protection=none"]
    done = subprocess.run(
        [*build, "-o", library, source], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise LabError(f"gcc cannot build {source.name}: {done.stderr.strip()[-300:]}")
    return library


def _core(number: int) -> int:
    """The core for a kernel and its processes. Labs beside each other begin at different ones."""
    # A system call there stops one process and wakes another (ptrace): across cores, three times as slow.
    cores = sorted(os.sched_getaffinity(0))
    return cores[(os.getpid() + number) % len(cores)]


class UmlSite:
    """`bridges` are the ends of its cables, by network; `number` is unique in the lab, from 0."""

    def __init__(self, host: HostSite, directory: Path, number: int, networks: Sequence[str]) -> None:
        modules = requirements.uml_modules()
        kernel = requirements.find("linux.uml")
        if modules is None or kernel is None:
            raise LabError("install user-mode-linux")
        self._host = host
        self._files = directory / f"uml{number}"
        self._files.mkdir()
        self.bridges: Mapping[str, str] = {n: f"br{k}" for k, n in enumerate(networks)}
        # A /30 for each kernel; link-local addresses are nobody's subnet.
        first = 4 * number
        self._address = f"169.254.{first // 256}.{first % 256 + 2}"
        control = f"169.254.{first // 256}.{first % 256 + 1}/30"
        taps = [f"u{number}t{k}" for k in range(len(networks) + 1)]
        self._write_files(modules, len(networks))
        self._plug(taps, control, networks)
        self._kernel = host.agent.spawn("", self._command_line(kernel, taps, number))
        self.agent = Agent(f"UML kernel {number}", self._connect)
        self._wait()

    def close(self) -> None:
        """Ends the kernel and with it its machine."""
        self._kernel.stop()

    def console(self) -> str:
        """What the kernel has said."""
        log = self._files / "console"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def _write_files(self, modules: Path, cables: int) -> None:
        (self._files / "state").mkdir()
        tree = self._files / "lib/modules"
        tree.mkdir(parents=True)
        (tree / modules.name).symlink_to(modules)
        modprobe = self._files / "modprobe"
        found = requirements.find("modprobe") or "/sbin/modprobe"
        # bpfilter answers for iptables where it is loaded, and knows nothing.
        self._script(
            modprobe,
            'case " $*" in *" bpfilter") exit 1 ;; esac\n'
            f'exec {found} -d {shlex.quote(str(self._files))} "$@"',
        )
        network = ["link set lo up", f"addr add {self._address}/30 dev vec0", "link set vec0 up"]
        for k in range(cables):
            network.append(bridge_line(f"br{k}"))
            network.append(f"link set vec{k + 1} master br{k} up")
            network.append(f"link set br{k} up")
        settings = {
            "modprobe": str(modprobe),
            "modules": _MODULES,
            "network": "".join(f"{line}\n" for line in network),
            "listen": [self._address, _PORT],
        }
        (self._files / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        argv = agent_argv("uml", str(self._files / "settings.json"))
        self._script(self._files / "init", f"exec {shlex.join(argv)}")

    @staticmethod
    def _script(path: Path, lines: str) -> None:
        path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
        path.chmod(0o755)

    def _plug(self, taps: Sequence[str], control: str, networks: Sequence[str]) -> None:
        script = [f"ip tuntap add dev {tap} mode tap" for tap in taps]
        script.append(f"ip addr add {control} dev {taps[0]}")
        for tap, network in zip(taps[1:], networks, strict=True):
            script.append(f"ip link set {tap} master {self._host.bridges[network]}")
        script += [f"ip link set {tap} up" for tap in taps]
        self._host.agent.check("", "set -e\n" + "\n".join(script), b"", 20)

    def _command_line(self, kernel: str, taps: Sequence[str], number: int) -> str:
        argv = [
            kernel,
            f"mem={_MEMORY}",
            f"umid=lab{number}",
            f"uml_dir={self._files}/",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "quiet",
            f"init={self._files / 'init'}",
            "con=null",
            "con0=null,fd:1",
            *(f"vec{k}:transport=tap,gro=1,ifname={tap}" for k, tap in enumerate(taps)),
        ]
        console = shlex.quote(str(self._files / "console"))
        # The kernel's memory is a file there, which has to be large and allow execution: /tmp may be
        # on a disk, and a container's /dev/shm is neither.
        settings = f"TMPDIR={shlex.quote(str(self._host.memory))}"
        if requirements.needs_xstate():
            settings += f" LD_PRELOAD={shlex.quote(str(_built_xstate(self._files)))}"
        return f"{settings} exec taskset -c {_core(number)} {shlex.join(argv)} >{console} 2>&1 </dev/null"

    def _connect(self) -> socket.socket:
        try:
            return self._host.agent.dial(self._address, _PORT, 10)
        except LabError as error:
            raise OSError(str(error)) from error

    def _wait(self) -> None:
        deadline = time.monotonic() + _BOOT_TIMEOUT
        while True:
            try:
                self._host.agent.dial(self._address, _PORT, 1).close()
            except LabError:
                if not self._kernel.running or time.monotonic() > deadline:
                    raise LabError(
                        f"the User-Mode Linux kernel does not start: {self.console()[-2000:]}"
                    ) from None
                time.sleep(0.05)
            else:
                return
