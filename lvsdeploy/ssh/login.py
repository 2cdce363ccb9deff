"""Proving who we are: which keys are tried, in which order, and what to say when none was taken."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.auth_strategy import AuthStrategy

from lvsdeploy.printable import printable
from lvsdeploy.ssh.faults import Fault, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lvsdeploy.ssh.config import Hop
    from lvsdeploy.ssh.keys import Agent, KeyFile
    from lvsdeploy.ssh.transport import Transport


class Login(AuthStrategy):
    """Tries keys in OpenSSH's order.

    First those of the named files that the agent holds, then the agent's others, then the files.

    With an identity file from the inventory that one alone, by the agent when the file needs a
    passphrase.
    """

    def __init__(self, hop: Hop, files: Sequence[KeyFile], only: KeyFile | None, agent: Agent) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._hop = hop
        self._files = files
        self._only = only
        self._agent = agent
        self._tried: list[str] = []
        self._skipped: list[str] = []

    def check(self) -> None:
        """Raise Refused when it is clear beforehand that there is nothing to log in with."""
        if self._only is not None and not any(self._candidates()):
            problem = self._skipped[0]
            add = f"ssh-add {shlex.quote(str(self._only.path))}"
            if not self._hop.agent:
                add = f'eval "$(ssh-agent)" && {add}'
            raise Refused(f"the identity file {problem}", hint=add if "agent" in problem else "")
        self._skipped.clear()

    def get_sources(self) -> Iterator[Any]:
        """Not asked: authenticate() is our own."""
        return iter(())

    def _candidates(self) -> Iterator[tuple[str, paramiko.PKey]]:
        if self._only is not None:
            keys = self._only.keys()[0]
            if keys:
                yield from ((str(self._only.path), key) for key in keys)
                return
        held = {key.asbytes(): key for key in self._agent.identities()}
        files = [self._only] if self._only is not None else self._files
        rest = []
        for file in files:
            if (key := held.pop(file.public, None)) is not None:
                yield f"{file.path} (agent)", key
            else:
                rest.append(file)
        if self._only is None and not self._hop.identities_only:
            for key in held.values():
                yield f"agent's {printable(key.comment) or key.get_name()}", key
        for file in rest:
            keys, problem = file.keys()
            yield from ((str(file.path), key) for key in keys)
            if problem:
                self._skipped.append(f"{file.path} {problem}")

    def authenticate(self, transport: Any) -> list[Any]:
        """Log in. Raises Fault (Refused) with what was tried."""
        for name, key in self._candidates():
            self._tried.append(name)
            try:
                missing = transport.auth_publickey(self._hop.user, key)
            except paramiko.BadAuthenticationType as error:
                raise self._refused(transport, allowed=error.allowed_types) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                if not transport.is_active():
                    raise self._cut_off(transport) from error
                if "timeout" in str(error).lower():
                    raise Fault(f"no answer to the login as {self._who} in time") from error
                if not isinstance(error, paramiko.AuthenticationException):
                    self._tried[-1] += " (which could not sign)"
                continue
            if not missing:
                return []
            if "publickey" not in missing:
                raise self._refused(transport, allowed=missing, more=True)
        if self._tried:
            raise self._refused(transport)
        self._without_keys(transport)
        return []

    def _without_keys(self, transport: Transport) -> None:
        """Some appliances ask for nothing; the others say what they would take."""
        try:
            transport.auth_none(self._hop.user)
        except paramiko.BadAuthenticationType as error:
            raise self._refused(transport, allowed=error.allowed_types) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._refused(transport) from error

    @property
    def _who(self) -> str:
        return f"{printable(self._hop.user)}@{printable(self._hop.host)}"

    def _cut_off(self, transport: Transport) -> Fault:
        if transport.farewell or self._tried[1:]:
            return self._refused(transport)
        return Fault(f"the connection was lost during the login as {self._who}")

    def _refused(self, transport: Transport, *, allowed: Sequence[str] = (), more: bool = False) -> Refused:
        tried = ", ".join(self._tried)
        message = f"login as {self._who} refused; tried: {tried}"
        hint = f"put the public key into {self._hop.user}'s ~/.ssh/authorized_keys on the host"
        if more:
            message = (
                f"login as {self._who} needs more than a key: {_methods(allowed)}; taken so far: {tried}"
            )
            hint = "a key alone must do: no password or code is ever asked for"
        elif allowed and "publickey" not in allowed:
            message = f"login as {self._who} refused: the server takes no keys, only {_methods(allowed)}"
            hint = "set PubkeyAuthentication yes there; no password is ever asked for"
        elif transport.farewell:
            message += f"; the server hung up: {transport.farewell}"
            if "too many" in transport.farewell.lower():
                hint = "name the right key by `ssh: {identity_file: ...}`, so that it is tried first"
        if not self._tried:
            message = f"login as {self._who} refused: there is no key to try"
            hint = "start an agent (ssh-agent, ssh-add), or name a key by `ssh: {identity_file: ...}`"
        named = [skipped for skipped in self._skipped if "does not exist" not in skipped]
        if named:
            message += f" (not tried: {'; '.join(named)})"
        return Refused(message, hint=hint)


def _methods(names: Sequence[str]) -> str:
    return printable(", ".join(name for name in names if name) or "nothing")
