"""The user's own kernel as a place for machines, and the switch that all cables end in."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.remote import Agent
from lvsdeploy.lab.topology import Network

# `agent` is a package of its own there: see its docstring. At the path's end, since the modules
# beside it are not meant.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from agent.main import main; main(sys.argv[1:])"

_STOP_TIMEOUT = 30  # seconds


def agent_argv(*arguments: str) -> list[str]:
    """How to start the agent: this very Python, without anything of its environment."""
    python = os.path.realpath(sys.executable)
    return [python, "-I", "-S", "-c", _START, str(Path(__file__).parent), *arguments]


class HostSite:
    """The agent in namespaces of its own on this kernel; `bridges` are its switches, by network.

    It ends, with all that it started, when `close` is called or when this process ends, however
    that happens.
    """

    def __init__(self, directory: Path, lab: str, networks: Iterable[Network], *, keep: bool) -> None:
        self._directory = directory
        # A tmpfs, for processes that the agent starts.
        self.memory = directory / "state"
        self.memory.mkdir()
        self._log = directory / "agent.log"
        with self._log.open("wb") as log:
            self._janitor = subprocess.Popen(
                agent_argv("host", str(directory), lab, "keep" if keep else "remove"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
            )
        if self._janitor.stdout is None:
            raise AssertionError("stdout was asked for")
        line = self._janitor.stdout.readline()
        self._janitor.stdout.close()
        if not line:
            text = self._log.read_text("utf-8").strip()
            self.close()
            last = text.splitlines()[-1] if text else "it says nothing"
            raise LabError(f"no namespaces can be made here: {last}")
        self.pid = int(line)
        self.agent = Agent("this machine's kernel", self._connect)
        self.bridges = {network.name: f"br{n}" for n, network in enumerate(networks)}
        try:
            self._make_bridges(networks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends everything; may be called again."""
        if self._janitor.stdin is not None and not self._janitor.stdin.closed:
            self._janitor.stdin.close()
        self._janitor.wait(_STOP_TIMEOUT)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        # A socket's path has at most 107 bytes, a directory's may have more.
        directory = os.open(self._directory, os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{directory}/agent")
        except OSError:
            connection.close()
            raise
        finally:
            os.close(directory)
        return connection

    def _make_bridges(self, networks: Iterable[Network]) -> None:
        lines = []
        for network in networks:
            bridge = self.bridges[network.name]
            lines.append(bridge_line(bridge))
            for interface in network.controller_interfaces():
                extra = "nodad" if interface.version == 6 else "brd +"  # noqa: PLR2004 — IPv6
                lines.append(f"addr add {interface} dev {bridge} {extra}")
            lines.append(f"link set {bridge} up")
        self.agent.check("", "ip -batch -", "".join(f"{line}\n" for line in lines).encode(), 20)


def bridge_line(name: str) -> str:
    """What makes a plain switch: no protocol of its own, no wait, nothing learned about groups."""
    return f"link add name {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
