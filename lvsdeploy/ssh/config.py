"""Which way a target is reached: the inventory's `ssh:`, ~/.ssh/config, OpenSSH's defaults.

What the inventory says wins, key by key. Of ssh_config these are honoured: Host, Match, Include,
HostName, User, Port, IdentityFile, IdentitiesOnly, IdentityAgent, ProxyJump, ProxyCommand,
UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias, ConnectTimeout and AddressFamily.
StrictHostKeyChecking is not: see known_hosts.py.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paramiko.config import SSHConfig, SSHConfigDict
from paramiko.ssh_exception import ConfigParseError, CouldNotCanonicalize

from lvsdeploy.ssh.faults import Fault
from lvsdeploy.ssh.keys import DEFAULT_NAMES
from lvsdeploy.ssh.known_hosts import DEFAULT_PORT, DEFAULT_TIMEOUT, host_key_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.inventory.model import SshSettings
    from lvsdeploy.ssh.target import Target

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")

_DEEPEST_INCLUDE = 16  # OpenSSH's READCONF_MAX_DEPTH
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"


@dataclass(frozen=True)
class Hop:
    """One login on the way, everything resolved. Equal hops may share a connection."""

    name: str  # as the user writes it
    host: str
    port: int
    user: str
    key_name: str  # what known_hosts calls it
    bare_name: str | None  # the same without the port, when that may be looked up too
    known_hosts: tuple[Path, ...]
    first_decides: bool  # the first file alone, when it has an entry: the inventory's, for a jump host
    identities: tuple[Path, ...]
    only: Path | None  # the inventory's identity file: nothing else is tried
    agent: str  # path of its socket; empty: none
    identities_only: bool
    timeout: float  # seconds
    family: int
    proxy_command: str | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class _Jump:
    user: str | None
    host: str
    port: int | None


class SshConfig:
    """The user's ssh_config, parsed once."""

    def __init__(self, files: tuple[Path, ...], environ: Mapping[str, str]) -> None:
        """Read `files`, those that exist. Raises Fault when one cannot be understood."""
        self._environ = environ
        self._home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        self._config = SSHConfig()
        for file in files:
            try:
                self._config.parse(iter(_lines(file, self._home)))
            except (ConfigParseError, ValueError) as error:
                raise Fault(f"{file} cannot be understood: {error}") from error
            except OSError as error:
                raise Fault(f"{error.filename} cannot be read: {error.strerror}") from error

    def route(self, target: Target) -> tuple[Hop, ...]:
        """The logins to make, in order; the last is the target itself."""
        settings = target.settings
        last, options = self._hop(target.address, settings, _Jump(settings.user, "", settings.port))
        if settings.proxy_jump is not None:
            jumps, command = settings.proxy_jump, None
        else:
            jumps, command = _proxy(options)
        last = replace(last, proxy_command=command)
        return (*self._through(jumps, settings, ((last.host, last.port),)), last)

    def _through(
        self, jumps: str, settings: SshSettings, seen: tuple[tuple[str, int], ...]
    ) -> tuple[Hop, ...]:
        """The jump hosts of a ProxyJump. Only the first one's own ProxyJump counts, as in ssh."""
        hops: list[Hop] = []
        for text in jumps.split(",") if jumps.strip().lower() not in ("", "none") else ():
            jump = _parse_jump(text.strip())
            hop, options = self._hop(jump.host, settings, jump, jump_host=True)
            # `Host *` with a ProxyJump means the jump host too; it cannot be reached through
            # itself.
            if (hop.host, hop.port) in seen:
                continue
            first = not hops
            seen = (*seen, (hop.host, hop.port))
            if first:
                before, command = _proxy(options)
                hops += self._through(before, settings, seen)
                hop = replace(hop, proxy_command=None if hops else command)
            hops.append(hop)
        return tuple(hops)

    def _hop(
        self, name: str, settings: SshSettings, given: _Jump, *, jump_host: bool = False
    ) -> tuple[Hop, dict[str, Any]]:
        options = self._lookup(name, given)
        host = options["hostname"]
        port = _number(options, "port", DEFAULT_PORT)
        alias = options.get("hostkeyalias")
        own = settings.known_hosts
        usual = self._paths(options.get("userknownhostsfile", _USER_KNOWN_HOSTS)) + self._paths(
            options.get("globalknownhostsfile", _GLOBAL_KNOWN_HOSTS)
        )
        listed = tuple(self._path(file) for file in options.get("identityfile", ()))
        only = None if jump_host or not settings.identity_file else settings.identity_file
        if jump_host and not listed and settings.identity_file:
            listed = (settings.identity_file.expanduser(),)
        timeout = settings.connect_timeout
        if timeout is None:
            timeout = _number(options, "connecttimeout", DEFAULT_TIMEOUT) or DEFAULT_TIMEOUT
        return Hop(
            name=name,
            host=host,
            port=port,
            user=options.get("user") or self._me(),
            key_name=alias.lower() if alias else host_key_name(host, port),
            bare_name=None if alias or port == DEFAULT_PORT else host.lower(),
            known_hosts=((own.expanduser(),) + (usual if jump_host else ())) if own else usual,
            first_decides=own is not None,
            identities=listed or tuple(self._home / ".ssh" / name for name in DEFAULT_NAMES),
            only=only.expanduser() if only else None,
            agent=self._agent(options.get("identityagent", "SSH_AUTH_SOCK")),
            identities_only=options.get("identitiesonly", "no").lower() in ("yes", "true"),
            timeout=timeout,
            family=_FAMILIES.get(options.get("addressfamily", "any").lower(), socket.AF_UNSPEC),
        ), options

    def _lookup(self, name: str, given: _Jump) -> dict[str, Any]:
        settled = {"user": given.user, "port": given.port and str(given.port)}
        lookup = _Lookup(self._config, {k: v for k, v in settled.items() if v}, self._me())
        try:
            return dict(lookup.lookup(name))
        except (ConfigParseError, CouldNotCanonicalize, KeyError, ValueError) as error:
            raise Fault(f"ssh_config cannot be applied to {name}: {error}") from error

    def _me(self) -> str:
        for variable in ("LOGNAME", "USER"):
            if self._environ.get(variable):
                return self._environ[variable]
        return getpass.getuser()

    def _path(self, text: str) -> Path:
        if text == "~" or text.startswith("~/"):
            return self._home / text[2:]
        return Path(text).expanduser()

    def _paths(self, text: str) -> tuple[Path, ...]:
        try:
            words = shlex.split(text)
        except ValueError:
            words = text.split()
        return tuple(self._path(word) for word in words if word.lower() != "none")

    def _agent(self, text: str) -> str:
        if text.lower() == "none":
            return ""
        if text == "SSH_AUTH_SOCK":
            return self._environ.get("SSH_AUTH_SOCK", "")
        if text.startswith("$"):
            return self._environ.get(text[1:].strip("{}"), "")
        return str(self._path(text))


class _Lookup(SSHConfig):
    """A look-up that knows what the inventory has settled, as OpenSSH knows its command line.

    So `Match user` and %r, %p see the user and the port that are really used. Tokens are expanded
    here: paramiko asks the resolver for this machine's own name at each IdentityFile, whether %l is
    in it or not.
    """

    _EXPANDED = frozenset(
        {
            *("certificatefile", "controlpath", "hostname", "identityagent", "identityfile"),
            *("match-exec", "proxycommand", "proxyjump", "userknownhostsfile"),
        }
    )

    def __init__(self, config: SSHConfig, settled: dict[str, str], me: str) -> None:
        super().__init__()
        self._config = config._config  # type: ignore[attr-defined]  # noqa: SLF001 - shared, read only
        self._settled = settled
        self._me = me

    def _lookup(
        self,
        hostname: str,
        options: SSHConfigDict | None = None,
        canonical: bool = False,  # noqa: FBT001, FBT002 - paramiko's signature
        final: bool = False,  # noqa: FBT001, FBT002 - the same
    ) -> SSHConfigDict:
        if options is None:
            options = SSHConfigDict(self._settled)
        found: SSHConfigDict = super()._lookup(hostname, options, canonical, final)  # type: ignore[misc]
        return found

    def _tokenize(self, config: SSHConfigDict, target: str, key: str, value: str) -> str:
        if "%" not in value or key not in self._EXPANDED:
            return value
        host = target if key == "hostname" else str(config.get("hostname", target))
        tokens = {
            "%": "%",
            "d": str(Path.home()),
            "h": host,
            "i": str(os.getuid()),
            "k": str(config.get("hostkeyalias", target)),
            "L": socket.gethostname().split(".")[0],
            "l": socket.gethostname(),
            "n": target,
            "p": str(config.get("port", DEFAULT_PORT)),
            "r": str(config.get("user", self._me)),
            "u": self._me,
        }
        return re.sub("%(.)", lambda m: tokens.get(m[1], m[0]), value)


def _number(options: Mapping[str, Any], key: str, default: Any) -> Any:
    try:
        return int(options.get(key, default))
    except ValueError as error:
        raise Fault(f"ssh_config: {key} {options[key]!r} is not a number") from error


def _proxy(options: Mapping[str, Any]) -> tuple[str, str | None]:
    """ProxyJump and ProxyCommand: the first switches the other off (ssh_config(5))."""
    for key, value in options.items():
        if key == "proxyjump":
            return value, None
        if key == "proxycommand":
            return "", value
    return "", None


def _parse_jump(text: str) -> _Jump:
    """`[user@]host[:port]` or `ssh://...`; an IPv6 address with a port stands in brackets."""
    user, _, where = text.removeprefix("ssh://").rstrip("/").rpartition("@")
    match = re.fullmatch(r"\[([^]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?|([0-9a-fA-F:.%]+)", where)
    if match is None:
        raise Fault(f"the jump host {text!r} is not [user@]host[:port]")
    port = match[2] or match[4]
    host = match[1] or match[3] or match[5]
    return _Jump(user or None, host, int(port) if port else None)


def _lines(file: Path, home: Path, depth: int = 0) -> Iterator[str]:
    """The lines of an ssh_config with its Includes in place; paramiko does not know them.

    What follows an Include belongs to the block that the Include stands in, so that block's header
    is said again. (An included file's own Host lines are taken as they are, also inside a Host
    block.)
    """
    try:
        text = file.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    block = "Host *"
    for raw in text.splitlines():
        line = raw.strip()
        word, _, rest = line.replace("=", " ", 1).partition(" ")
        keyword = word.lower()
        if keyword in ("host", "match"):
            block = line
        if keyword != "include" or depth >= _DEEPEST_INCLUDE:
            yield line
            continue
        base = home / ".ssh" if file.is_relative_to(home) else file.parent
        for pattern in shlex.split(rest):
            for included in _glob(pattern, base, home):
                yield from _lines(included, home, depth + 1)
        yield block


def _glob(pattern: str, base: Path, home: Path) -> list[Path]:
    if pattern.startswith("~/"):
        pattern = str(home / pattern[2:])
    path = base / pattern  # an absolute pattern replaces the base
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
