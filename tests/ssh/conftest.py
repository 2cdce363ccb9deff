"""Real sshd, ssh-agent and sudo for the tests of lvsdeploy.ssh.

Each sshd listens on a loopback address of its own, in the foreground, and is ended by its process
id. Those that need other users run in a mount namespace of their own, with an /etc/passwd and an
/etc/sudoers that nobody else sees: nothing of this machine is changed, whatever happens to the
test.
"""

from __future__ import annotations

import functools
import getpass
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.model import SshSettings
from lvsdeploy.ssh import Connector, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
SUDO_USERS = ("lvst-free", "lvst-asked", "lvst-none", "lvst-pty", "lvst-tty")

_CONFIG = """\
ListenAddress {address}:{port}
HostKey {host_key}
PidFile none
UsePAM no
StrictModes no
UseDNS no
AuthorizedKeysFile {authorized_keys}
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
PermitRootLogin yes
LogLevel VERBOSE
"""

_numbers = itertools.count(1)


def keygen(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


@functools.cache
def worker() -> int:
    """pytest-xdist's number, so that two workers do not meet on one address."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)


@dataclass
class Sshd:
    """A running sshd."""

    folder: Path
    address: str
    port: int
    host_key: Path
    user_key: Path
    options: str = ""
    prefix: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        config = self.folder / "sshd_config"
        authorized = self.folder / "authorized_keys"
        if not authorized.exists():
            authorized.write_text(self.public(self.user_key))
        # sshd takes the first value that it finds.
        config.write_text(
            self.options
            + _CONFIG.format(
                address=self.address,
                port=self.port,
                host_key=self.host_key,
                authorized_keys=authorized,
            )
        )
        assert SSHD
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, SSHD, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            assert self.process.poll() is None, self.log()
            time.sleep(0.02)
        raise AssertionError(self.log())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    @staticmethod
    def public(key: Path) -> str:
        return key.with_name(key.name + ".pub").read_text()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def known_name(self) -> str:
        return f"[{self.address}]:{self.port}"

    def known_line(self, key: Path | None = None) -> str:
        kind, blob = self.public(key or self.host_key).split()[:2]
        return f"{self.known_name} {kind} {blob}\n"


@dataclass
class World:
    """What one test needs to be a user of its own."""

    folder: Path
    environ: dict[str, str]
    sshd: Sshd

    @property
    def known_hosts(self) -> Path:
        return self.folder / ".ssh" / "known_hosts"

    @property
    def config(self) -> Path:
        return self.folder / ".ssh" / "config"

    def connector(self) -> Connector:
        """A new run of the tool: nothing is remembered from the last. The system's config is not read."""
        self.config.touch()
        return Connector(ssh_config=self.config, environ=self.environ)

    def target(self, sshd: Sshd | None = None, **settings: Any) -> Target:
        sshd = sshd or self.sshd
        chosen = SshSettings(
            user=getpass.getuser(),
            port=sshd.port,
            identity_file=sshd.user_key,
            known_hosts=self.known_hosts,
        )
        return Target("web1", sshd.address, replace(chosen, **settings))


@pytest.fixture(scope="session")
def keys() -> Iterator[Callable[[str], Path]]:
    """Makes keys, by name, once."""
    with tempfile.TemporaryDirectory(prefix="lvst-keys-") as folder:

        @functools.cache
        def make(name: str) -> Path:
            kind = name.split("-", maxsplit=1)[0]
            return keygen(Path(folder) / name, kind=kind)

        yield make


@pytest.fixture(scope="session")
def start(keys: Callable[[str], Path]) -> Iterator[Callable[..., Sshd]]:
    """Starts an sshd; all are ended at the end of the session."""
    if SSHD is None:
        pytest.skip("sshd is not installed")
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    started: list[Sshd] = []
    with tempfile.TemporaryDirectory(prefix="lvst-sshd-") as root:
        Path(root).chmod(0o755)  # sshd reads authorized_keys as the user who logs in

        def run(
            *, host_key: str | Path = "ed25519-host", options: str = "", prefix: tuple[str, ...] = ()
        ) -> Sshd:
            number = next(_numbers)
            folder = Path(root) / str(number)
            folder.mkdir()
            sshd = Sshd(
                folder,
                address=f"127.77.{worker()}.{number}",
                port=free_port(),
                host_key=keys(host_key) if isinstance(host_key, str) else host_key,
                user_key=keys("ed25519-user"),
                options=options,
                prefix=prefix,
            )
            started.append(sshd)
            sshd.start()
            return sshd

        yield run
        for sshd in started:
            sshd.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def shared_sshd(start: Callable[..., Sshd]) -> Sshd:
    """One for all the tests that leave it as it is."""
    return start(options="MaxStartups 200\nMaxSessions 50\n")


@pytest.fixture
def world(tmp_path: Path, shared_sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> World:
    """A home of one's own in which the shared sshd is known."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    world = World(tmp_path, {"HOME": str(tmp_path), "LOGNAME": getpass.getuser()}, shared_sshd)
    world.known_hosts.write_text(shared_sshd.known_line())
    return world


@pytest.fixture
def agent(world: World) -> Iterator[Callable[[Path], None]]:
    """A real ssh-agent; the fixture's value adds a key to it."""
    sock = Path(tempfile.mkdtemp(prefix="lvst-agent-")) / "sock"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    while not sock.exists():
        assert process.poll() is None
        time.sleep(0.01)
    world.environ["SSH_AUTH_SOCK"] = str(sock)

    def add(key: Path, passphrase: str = "") -> None:
        askpass = world.folder / "askpass"
        askpass.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
        askpass.chmod(0o700)
        subprocess.run(
            ["ssh-add", "-q", str(key)],
            check=True,
            stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                "SSH_AUTH_SOCK": str(sock),
                "SSH_ASKPASS": str(askpass),
                "SSH_ASKPASS_REQUIRE": "force",
            },
        )

    yield add
    process.terminate()
    process.wait(5)
    shutil.rmtree(sock.parent)


@pytest.fixture(scope="session")
def sudo_sshd(start: Callable[..., Sshd], tmp_path_factory: pytest.TempPathFactory) -> Sshd:
    """An sshd in a world with more users: sudo without a password, with one, none at all."""
    if os.geteuid() != 0:
        pytest.skip("other users need root")
    if shutil.which("sudo") is None or shutil.which("unshare") is None:
        pytest.skip("sudo or unshare is not installed")
    etc = tmp_path_factory.mktemp("etc")
    passwd, shadow, group = (Path("/etc") / n for n in ("passwd", "shadow", "group"))
    users = list(enumerate(SUDO_USERS, start=64100))
    copies = {
        passwd: passwd.read_text() + "".join(f"{name}:x:{n}:{n}::/tmp:/bin/sh\n" for n, name in users),
        shadow: shadow.read_text() + "".join(f"{name}:*:19000:0:99999:7:::\n" for _, name in users),
        group: group.read_text() + "".join(f"{name}:x:{n}:\n" for n, name in users),
        Path("/etc/sudoers"): (
            "Defaults:lvst-pty use_pty\n"  # the default of Debian and of sudo 1.9.14
            "Defaults:lvst-tty requiretty\n"  # the default of RHEL before 8
            "root ALL=(ALL) ALL\nlvst-asked ALL=(ALL) ALL\n"
            + "".join(f"{n} ALL=(ALL) NOPASSWD: ALL\n" for n in ("lvst-free", "lvst-pty", "lvst-tty"))
        ),
    }
    script = ["mount --make-rprivate /"]
    for path, text in copies.items():
        copy = etc / path.name
        copy.write_text(text)
        copy.chmod(0o440 if path.name == "sudoers" else path.stat().st_mode & 0o777)
        script.append(f"mount --bind {copy} {path}")
    script.append('exec "$@"')
    return start(prefix=("unshare", "-m", "sh", "-e", "-c", "\n".join(script), "sh"))
