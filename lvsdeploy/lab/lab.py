"""The lab: a topology's machines, running, for as long as the `with` block lasts."""

import atexit
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lvsdeploy.lab import keys, requirements
from lvsdeploy.lab.agent import kernel
from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.image import Keys, machine_image
from lvsdeploy.lab.remote import Agent, Background, Completed
from lvsdeploy.lab.site_host import HostSite
from lvsdeploy.lab.site_uml import UmlSite
from lvsdeploy.lab.topology import (
    Init,
    Interface,
    Machine,
    Topology,
    mac_address,
    network_script,
)

_START_TIMEOUT = 30.0  # seconds, for a machine's boot
_STOP_TIMEOUT = 20.0


class Lab:
    """Machines of a topology on this machine; use it with `with`.

    Directors (`ipvs`) run on this machine's kernel when it has IPVS, otherwise on a User-Mode Linux
    kernel each. All others run on this machine's kernel. Nothing of it is left behind, even when
    this process is killed.

    `directory`: where keys and logs go; kept. Default: a temporary one, removed.
    Every method raises LabError; see lvsdeploy.lab.errors.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        directory: Path | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.topology = topology
        self._asked = directory
        self._log = log
        self._lock = threading.Lock()
        self._host: HostSite | None = None
        self._umls: dict[str, UmlSite] = {}
        self._keys: dict[str, Keys] = {}
        self._directory: Path | None = None
        self._order = {machine.name: n for n, machine in enumerate(topology.machines)}
        self._on_uml = frozenset[str]()

    # Its life.

    def __enter__(self) -> Self:
        began = time.monotonic()
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self._log(f"{len(self.topology.machines)} machines in {time.monotonic() - began:.1f} s")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all machines and removes what there was; may be called again."""
        atexit.unregister(self.close)
        if self._host is not None:
            self._host.close()
            self._host = None
        self._umls.clear()
        if self._directory is not None and self._asked is None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _open(self) -> None:
        machines = self.topology.machines
        ipvs = not any(m.ipvs for m in machines) or requirements.has_ipvs_kernel()
        tunnels = not any(m.tunnels for m in machines) or requirements.has_tunnels()
        self._on_uml = frozenset(
            m.name for m in machines if (m.ipvs and not ipvs) or (m.tunnels and not tunnels)
        )
        requirements.check(machines, needs_uml=bool(self._on_uml))
        if self._asked is None:
            self._directory = Path(tempfile.mkdtemp(prefix="lvslab-"))
        else:
            directory = self._asked.absolute()
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise LabError(f"{directory} is not empty; a lab needs a directory of its own")
            self._directory = directory
        atexit.register(self.close)
        self._host = HostSite(
            self._directory,
            f"{os.getpid()}-{secrets.token_hex(3)}",
            self.topology.networks,
            keep=self._asked is not None,
        )
        self._keys = keys.generate(self._directory, self.topology)
        with ThreadPoolExecutor(max(1, len(machines))) as pool:
            # list: raises the first failure.
            list(pool.map(lambda machine: self.start(machine.name), machines))

    # Where things are.

    @property
    def directory(self) -> Path:
        """The lab's own: keys, client configuration, logs."""
        if self._directory is None:
            raise LabError("the lab is not open")
        return self._directory

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def identity_file(self) -> Path:
        return self.directory / "id_ed25519"

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`: every machine by name and by address, as root."""
        return self.directory / "ssh_config"

    @property
    def controller_addresses(self) -> Mapping[str, tuple[Interface, ...]]:
        """The controller's own addresses, by network."""
        return {n.name: n.controller_interfaces() for n in self.topology.networks}

    @property
    def network_namespace(self) -> Path:
        """For `nsenter --net=`: where the controller's programs run."""
        return Path(f"/proc/{self._open_host().pid}/ns/net")

    def runs_on_uml(self, machine: str) -> bool:
        """Whether the machine has a User-Mode Linux kernel instead of this machine's own."""
        return self.topology.machine(machine).name in self._on_uml

    # Machines.

    def start(self, machine: str) -> None:
        """Boots a machine, with the files that it had; returns when sshd answers."""
        self._log(f"{machine}: starting")
        began = time.monotonic()
        which = self.topology.machine(machine)
        agent, bridges = self._site(which)
        agent.call(self._start_request(which, bridges), _START_TIMEOUT)
        if which.init is Init.SYSTEMD:
            self._wait_for_systemd(agent, machine)
        self._log(f"{machine}: up in {time.monotonic() - began:.1f} s")

    def stop(self, machine: str) -> None:
        """Cuts a machine's power: its processes and kernel state are gone, its files are not."""
        agent, _ = self._site(self.topology.machine(machine))
        agent.call({"op": "stop", "machine": machine}, _STOP_TIMEOUT)
        self._log(f"{machine}: stopped")

    def reboot(self, machine: str) -> None:
        """Stops a machine and starts it."""
        self.stop(machine)
        self.start(machine)

    def cut(self, machine: str, interface: str | None = None) -> None:
        """Pulls the cable of one card, or of all."""
        self._set_ports(machine, interface, "down")

    def heal(self, machine: str, interface: str | None = None) -> None:
        """Puts the cable back."""
        self._set_ports(machine, interface, "up")

    def exec(
        self,
        machine: str,
        script: str,
        *,
        input: bytes = b"",  # noqa: A002 — as subprocess.run calls it
        timeout: float = 60,
        check: bool = True,
    ) -> Completed:
        """Runs `sh -c script` as root in a machine, with a clean environment, in `/`.

        `timeout` in seconds; then it is killed, and LabTimeout raised. CommandFailed when its exit
        code is not 0 and `check` is true.
        """
        agent, _ = self._site(self.topology.machine(machine))
        run = agent.check if check else agent.execute
        return run(machine, script, input, timeout)

    def spawn(self, machine: str, script: str) -> Background:
        """Starts `sh -c script` as root in a machine, and does not wait."""
        agent, _ = self._site(self.topology.machine(machine))
        return agent.spawn(machine, script)

    # The controller: programs of this machine, in the lab's network.

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 — as subprocess.run calls it
        timeout: float = 120,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program here, but in a network that has the machines and nothing else.

        As subprocess.run, with both outputs captured; subprocess.TimeoutExpired after `timeout`
        seconds. `env` replaces the environment.
        """
        return subprocess.run(
            self._joined(argv),
            env=env,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=cwd,
        )

    def popen(self, argv: Sequence[str | os.PathLike[str]], **options: Any) -> subprocess.Popen[str]:
        """As `run`, for subprocess.Popen and its options; text mode."""
        return subprocess.Popen(self._joined(argv), text=True, **options)

    def dial(self, host: str, port: int, timeout: float = 10) -> socket.socket:
        """A TCP connection from the controller to a machine."""
        return self._open_host().agent.dial(host, port, timeout)

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Puts this thread, and threads and programs that it starts, into the lab's network."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            kernel.enter_network(str(self.network_namespace))
            try:
                yield
            finally:
                kernel.enter_network(f"/proc/self/fd/{before}")
        finally:
            os.close(before)

    def _joined(self, argv: Sequence[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
        nsenter = requirements.find("nsenter") or "nsenter"
        return [nsenter, f"--net={self.network_namespace}", "--", *argv]

    # Inside.

    def _open_host(self) -> HostSite:
        if self._host is None:
            raise LabError("the lab is not open")
        return self._host

    def _site(self, machine: Machine) -> tuple[Agent, Mapping[str, str]]:
        """The agent of the kernel that a machine runs on, and the bridges there."""
        host = self._open_host()
        if machine.name not in self._on_uml:
            return host.agent, host.bridges
        with self._lock:
            made = self._umls.get(machine.name)
        if made is None:
            networks = list(dict.fromkeys(nic.network for nic in machine.nics))
            made = UmlSite(host, self.directory, self._order[machine.name], networks)
            with self._lock:
                self._umls[machine.name] = made
        return made.agent, made.bridges

    def _ports(self, machine: Machine) -> dict[str, str]:
        """The switch's ends of a machine's cables, by interface."""
        number = self._order[machine.name]
        return {nic.interface: f"m{number}n{k}" for k, nic in enumerate(machine.nics)}

    def _set_ports(self, name: str, interface: str | None, state: str) -> None:
        machine = self.topology.machine(name)
        ports = self._ports(machine)
        if interface is not None and interface not in ports:
            raise LabError(f"{name} has no {interface}; it has {', '.join(ports)}")
        wanted = ports.values() if interface is None else [ports[interface]]
        agent, _ = self._site(machine)
        agent.check("", "; ".join(f"ip link set {port} {state}" for port in wanted), b"", 20)

    def _start_request(self, machine: Machine, bridges: Mapping[str, str]) -> dict[str, Any]:
        modules = requirements.uml_modules() if machine.name in self._on_uml else None
        image = machine_image(machine, self.topology, self._keys[machine.name], modules=modules)
        ports = self._ports(machine)
        return {
            "op": "start",
            "machine": machine.name,
            "image": asdict(image),
            "nics": [
                {
                    "port": ports[nic.interface],
                    "bridge": bridges[nic.network],
                    "interface": nic.interface,
                    "mac": mac_address(machine.name, nic.interface),
                }
                for nic in machine.nics
            ],
            "network": network_script(machine),
            "forwards": machine.forwards,
            "init": machine.init.value,
        }

    def _wait_for_systemd(self, agent: Agent, machine: str) -> None:
        script = "until [ -S /run/systemd/private ]; do sleep 0.1; done; systemctl is-system-running --wait"
        done = agent.execute(machine, script, b"", _START_TIMEOUT)
        state = done.stdout.strip()
        if state == "degraded":
            failed = agent.execute(machine, "systemctl --failed --plain --no-legend", b"", 30)
            self._log(f"{machine}: units failed at boot: {failed.stdout.strip()}")
        elif state != "running":
            raise LabError(f"{machine}: systemd did not come up: {state or done.stderr.strip()}")
