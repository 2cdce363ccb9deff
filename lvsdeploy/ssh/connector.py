"""Opening connections: everything that is loaded once a run, and the way to a host, hop by hop."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fabric
import paramiko
from paramiko.config import SSHConfig

from lvsdeploy.printable import printable
from lvsdeploy.ssh.config import SYSTEM_CONFIG, Hop, SshConfig
from lvsdeploy.ssh.connection import Connection
from lvsdeploy.ssh.faults import ClosedAtOnce, Fault
from lvsdeploy.ssh.keys import Agent, KeyFile
from lvsdeploy.ssh.known_hosts import HostKeys, KnownHostsFile
from lvsdeploy.ssh.login import Login
from lvsdeploy.ssh.quick import ProxySocket, open_proxy, open_tcp
from lvsdeploy.ssh.transport import Transport, VerifyHostKey, transport_factory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.ssh.target import Target

# sshd drops connections at random beyond 10 that have not logged in yet (MaxStartups 10:30:100):
# all that helps is to come again a little later.
TRIES = 6
FIRST_PAUSE = 0.25  # seconds; doubled each time, and spread

AUTH_TIMEOUT = 30.0  # seconds; sshd may look our address up first (UseDNS)
SHORTEST_HANDSHAKE = 15.0  # seconds; a hundred logins at once slow each other down
IDLE_POLL = 5.0  # seconds; paramiko's 0.1 costs 3 % of a processor with a hundred idle connections
JUMP_RETRY_AFTER = 30.0  # seconds; a jump host that is down fails the hosts behind it without a wait each


@dataclass
class _Jump:
    """A connection to a jump host, shared by all targets behind it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    connection: Any = None
    before: _Jump | None = None
    fault: Fault | None = None
    failed_at: float = 0.0


class _Opening(fabric.Connection):  # type: ignore[misc]  # fabric has no types
    """fabric's, which only reads the configuration that it shares with others.

    invoke's DataProxy writes an attribute that the class lacks into the configuration, and merges
    that anew, while other threads read it. fabric declares all its attributes but this one.
    """

    inline_ssh_env = True


class Connector:
    """Opens connections; one a run. Any number of threads may use it.

    Holds what is loaded once: ssh_config, known_hosts, private keys, the agent's keys, and the
    fabric configuration. Hosts behind the same jump host share one connection to it: a hundred
    logins there would run into its MaxStartups.
    """

    def __init__(self, *, ssh_config: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        """`ssh_config` stands in for ~/.ssh/config and the system's, as `ssh -F` does.

        `environ` gives HOME, SSH_AUTH_SOCK and the login name.
        """
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        self._config_files = (
            (ssh_config,) if ssh_config is not None else (home / ".ssh" / "config", SYSTEM_CONFIG)
        )
        self._environ = environ
        self._config: SshConfig | None = None
        self._fabric: Any = None
        self._known: dict[Path, KnownHostsFile] = {}
        self._keys: dict[Path, KeyFile] = {}
        self._agents: dict[str, Agent] = {}
        self._jumps: dict[tuple[Hop, ...], _Jump] = {}
        self._lock = threading.Lock()

    def connect(self, target: Target) -> Connection:
        """Log in. Raises Unreachable or LoginRefused, each with one line that says why."""
        jump: _Jump | None = None
        try:
            *way, last = self._load().route(target)
            jump = self._acquire(tuple(way))
            opened = self._open(last, jump)
        except Fault as fault:
            self._release(jump)
            raise fault.of(target.name) from fault
        except BaseException:
            self._release(jump)
            raise
        return Connection(target, last.user, opened, lambda: self._release(jump))

    def _load(self) -> SshConfig:
        with self._lock:
            if self._config is None:
                self._config = SshConfig(self._config_files, self._environ)
                # Lazy, and with an ssh_config of its own that is empty: each default Config looks
                # for half a dozen files, and its AutoAdd, ProxyJump and IdentityFile are not ours.
                self._fabric = fabric.Config(lazy=True, ssh_config=SSHConfig())
            return self._config

    # -- jump hosts
    # -----------------------------------------------------------------------------------

    def _acquire(self, way: tuple[Hop, ...]) -> _Jump | None:
        """The connection to the last host of `way`, opened by whoever comes first."""
        if not way:
            return None
        with self._lock:
            jump = self._jumps.setdefault(way, _Jump())
            jump.users += 1
        try:
            with jump.lock:
                self._ensure(jump, way)
        except BaseException:
            self._release(jump)
            raise
        return jump

    def _ensure(self, jump: _Jump, way: tuple[Hop, ...]) -> None:
        if jump.connection is not None and jump.connection.is_connected:
            return
        if jump.fault and time.monotonic() - jump.failed_at < JUMP_RETRY_AFTER:
            raise type(jump.fault)(jump.fault.message, hint=jump.fault.hint)
        jump.fault = None
        if jump.before is not None:  # the connection was lost, and its way with it
            self._release(jump.before)
            jump.before = None
        before = self._acquire(way[:-1])
        try:
            jump.connection = self._open(way[-1], before)
        except Fault as fault:
            self._release(before)
            jump.fault, jump.failed_at = fault.at_jump_host(str(way[-1])), time.monotonic()
            raise jump.fault from fault
        except BaseException:
            self._release(before)
            raise
        jump.before = before

    def _release(self, jump: _Jump | None) -> None:
        """Give a jump host back; the last one closes it."""
        if jump is None:
            return
        with self._lock:
            jump.users -= 1
            if jump.users:
                return
            connection, jump.connection = jump.connection, None
            before, jump.before = jump.before, None
        if connection is not None:
            connection.client.close()
        self._release(before)

    # -- one login
    # ------------------------------------------------------------------------------------

    def _open(self, hop: Hop, jump: _Jump | None) -> Any:
        """Log in to one hop: a fabric.Connection that is open. Raises Fault."""
        login = self._login(hop)
        login.check()
        keys = self._host_keys(hop)
        pause = FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            try:
                return self._attempt(hop, jump, login, keys)
            except ClosedAtOnce:
                if attempt == TRIES:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - so that not all come again at once
            pause *= 2
        raise AssertionError  # not reached

    def _attempt(self, hop: Hop, jump: _Jump | None, login: Login, keys: HostKeys) -> Any:
        sock = _socket(hop, jump)
        connection = _Opening(
            hop.host,
            user=hop.user,
            port=hop.port,
            config=self._fabric,
            gateway=False,
            connect_kwargs={
                "sock": sock,
                "timeout": max(hop.timeout, SHORTEST_HANDSHAKE),
                "banner_timeout": hop.timeout,
                "auth_timeout": AUTH_TIMEOUT,
                "channel_timeout": AUTH_TIMEOUT,
                "transport_factory": transport_factory(keys),
                "auth_strategy": login,
            },
        )
        connection.client.set_missing_host_key_policy(VerifyHostKey(keys))
        try:
            connection.open()
        except BaseException as error:
            transport = connection.client.get_transport()
            connection.client.close()
            sock.close()
            failed = sock.failure if isinstance(sock, ProxySocket) else ""
            if isinstance(error, Fault) or not isinstance(error, Exception):
                raise
            if failed and not (transport and transport.remote_version):
                raise Fault(f"the ProxyCommand failed: {failed}") from error
            raise _why(error, hop, transport) from error
        if isinstance(sock, socket.socket):  # ours, whose close() wakes the reader
            sock.settimeout(IDLE_POLL)
        return connection

    def _login(self, hop: Hop) -> Login:
        with self._lock:
            agent = self._agents.setdefault(hop.agent, Agent(hop.agent))
            files = [self._keys.setdefault(path, KeyFile(path)) for path in hop.identities]
            only = self._keys.setdefault(hop.only, KeyFile(hop.only)) if hop.only else None
        return Login(hop, files, only, agent)

    def _host_keys(self, hop: Hop) -> HostKeys:
        with self._lock:
            for path in hop.known_hosts:
                if path not in self._known:
                    self._known[path] = KnownHostsFile.read(path)
            known = [(path, self._known[path]) for path in hop.known_hosts]
        keys = HostKeys.find(known[:1], hop.key_name, hop.bare_name)
        if hop.first_decides and (keys.lines or keys.without_port):
            return keys
        return HostKeys.find(known, hop.key_name, hop.bare_name)


def _socket(hop: Hop, jump: _Jump | None) -> Any:
    if jump is not None:
        return _through(hop, jump.connection.transport)
    if hop.proxy_command is not None:
        return open_proxy(hop.proxy_command)
    return open_tcp(hop.host, hop.port, timeout=hop.timeout, family=hop.family)


def _through(hop: Hop, transport: Transport) -> paramiko.Channel:
    where = f"{printable(hop.host)} port {hop.port}"
    try:
        channel: paramiko.Channel = transport.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("", 0), timeout=hop.timeout
        )
    except paramiko.ChannelException as error:
        if error.code == 1:  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED, RFC 4254 5.1
            raise Fault(
                f"the jump host may not connect on to {where}",
                hint="see AllowTcpForwarding and PermitOpen in the jump host's sshd_config",
            ) from error
        raise Fault(
            f"the jump host cannot connect to {where}",
            hint="is the host up, does it listen there, does the jump host resolve its name?",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        if not transport.is_active():
            raise Fault("the connection to the jump host was lost") from error
        raise Fault(f"the jump host got no answer from {where} within {hop.timeout:g} s") from error
    return channel


def _why(error: Exception, hop: Hop, transport: Any) -> Fault:
    """What an error of paramiko means."""
    where = f"{printable(hop.host)} port {hop.port}"
    text = printable(str(error))
    if transport is None or not transport.remote_version:
        return _before_banner(error, where, transport, hop)
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return Fault(
            f"nothing in common with {where} ({printable(transport.remote_version)}): {text}",
            hint="the server is too old or too strict; see KexAlgorithms, Ciphers, MACs and "
            "HostKeyAlgorithms in its sshd_config",
        )
    if "No existing session" in text:
        return Fault(f"{where} did not finish the key exchange in time")
    if isinstance(error, (EOFError, OSError)) or transport.farewell:
        reason = f": {transport.farewell}" if transport.farewell else ""
        return Fault(f"{where} hung up during the key exchange{reason}")
    return Fault(f"the SSH handshake with {where} failed: {text}")


def _before_banner(error: Exception, where: str, transport: Any, hop: Hop) -> Fault:
    greeting = " ".join(transport.greeting) if transport is not None else ""
    cause = error.__context__ if isinstance(error, paramiko.SSHException) else error
    silent = isinstance(cause, TimeoutError) or "No existing session" in str(error)
    if silent and not greeting:
        return Fault(
            f"{where} accepts connections and then says nothing for {hop.timeout:g} s",
            hint="is that really sshd? A host that is out of memory behaves so, too",
        )
    # sshd says these two since OpenSSH 9.8, and nothing before (sshd.c, drop_connection).
    busy = greeting.startswith(("Exceeded MaxStartups", "Not allowed at this time"))
    if busy or (isinstance(cause, (EOFError, OSError)) and not greeting):
        said = f": {greeting}" if greeting else ""
        return ClosedAtOnce(
            f"{where} closes each connection at once, {TRIES} times now{said}",
            hint="too many logins at a time (MaxStartups, PerSourcePenalties in its sshd_config), "
            "or a firewall; try a smaller --parallel",
        )
    said = greeting or "what it sends is no SSH banner"
    return Fault(f"{where} is not an SSH server: {said}", hint="is the port right? `ssh: {port: ...}`")
