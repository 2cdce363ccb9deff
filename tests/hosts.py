"""Hosts that real servers can be made of, without a lab.

Each has an sshd of its own on a loopback address, and a mount and a network namespace in which its commands
run: /etc, /var/lib, /run and /usr/local/sbin, interfaces, addresses, routes and sysctls are its own. Nothing
of this machine is changed. Its service manager is plain init scripts. A director needs IPVS, and so a lab.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ssh.conftest import SSHD, Sshd, free_port, keygen, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or SSHD is None or not all(map(shutil.which, ("unshare", "nsenter", "ip"))),
    reason="needs root, namespaces and sshd",
)
OUTSIDE, INSIDE = "192.0.2.", "10.2.0."  # the networks that every host's eth0 is in
FIRST_ROUTE = f"default via {OUTSIDE}1 dev eth0"

_numbers = count(1)
_SET_UP = """\
mount --make-rprivate /
cd "$1"
shift
mkdir etc etc.work
mount -t overlay overlay -o lowerdir=/etc,upperdir=$PWD/etc,workdir=$PWD/etc.work /etc
for folder in /run /var/lib /usr/local/sbin; do mount -t tmpfs -o mode=755 own "$folder"; done
mkdir /run/sshd
touch net
unshare --net="$PWD/net" true
nsenter --net="$PWD/net" sh -e -c '
    mount -t sysfs sysfs /sys
    ip link set lo up
    ip link add eth0 type veth peer name peer
    for link in eth0 peer; do
        ip link set "$link" addrgenmode none # what it would make is random, and comes when it likes
        ip link set "$link" up
    done
    ip address add "$0/24" dev eth0
    ip address add "$1/24" dev eth0
    ip route add $2
' "$1" "$2" "$3"
shift 3
exec "$@"
"""


@dataclass
class NamespaceHost:
    """A host; `number` is the last part of its addresses."""

    name: str
    number: int
    sshd: Sshd

    @property
    def root(self) -> Path:
        """Its files, as it sees them."""
        assert self.sshd.process is not None
        return Path(f"/proc/{self.sshd.process.pid}/root")

    def declared(self, **more: Any) -> dict[str, Any]:
        """How it stands in an inventory."""
        return {"address": self.sshd.address, "rip": f"{OUTSIDE}{self.number}", **more}

    def read(self, path: str) -> bytes:
        return (self.root / path.lstrip("/")).read_bytes()

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.root / path.lstrip("/"))

    def sh(self, script: str, *, check: bool = True) -> str:
        """A script as root, in the host's namespaces; its stdout."""
        assert self.sshd.process is not None
        inside = ["nsenter", f"--net={self.sshd.folder}/net", "sh", "-c", script]
        done = subprocess.run(
            ["nsenter", "-t", str(self.sshd.process.pid), "-m", *inside],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def files(self, *folders: str, times: bool = False) -> dict[str, tuple[object, ...]]:
        """What is in folders: path -> kind, mode, owner, content (a digest), and `times`."""
        found: dict[str, tuple[object, ...]] = {}
        start = str(self.root)
        for folder in folders:
            for path, names, files in os.walk(start + folder):
                for name in (*names, *files):
                    file = Path(path, name)
                    status = file.lstat()
                    words: list[object] = [
                        stat.filemode(status.st_mode),
                        status.st_uid,
                        status.st_gid,
                    ]
                    if stat.S_ISLNK(status.st_mode):
                        words.append(str(file.readlink()))
                    elif stat.S_ISREG(status.st_mode):
                        words.append(_digest(str(file)[len(start) :], file, status))
                    if times and not stat.S_ISDIR(status.st_mode):
                        words.append(status.st_mtime_ns)
                    found[str(file)[len(start) :]] = tuple(words)
        return found

    def live(self) -> dict[str, list[str]]:
        """What only the kernel holds: sysctls, addresses, routes."""
        said = self.sh(
            "grep -rs . /proc/sys/net/ipv4 | sort; echo ==; ip -o address; echo ==; ip route; ip -6 route"
        )
        sysctls, addresses, routes = (part.splitlines() for part in said.split("==\n"))
        return {"sysctls": sysctls, "addresses": [_lasting(a) for a in addresses], "routes": routes}

    def everything(self, *, times: bool = False) -> dict[str, object]:
        """All that an apply could have changed."""
        return {**self.live(), "files": self.files("/etc", "/var/lib", times=times), "run": self.run_files()}

    def run_files(self) -> list[str]:
        """What lies in /run/lvsdeploy: locks and folders of who is at work."""
        return sorted(path for path in self.files("/run") if path.startswith("/run/lvsdeploy/"))

    def manifest(self, cluster: str = "shop") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read(f"/var/lib/lvsdeploy/{cluster}/manifest.json"))
        return found

    def instead_of(self, program: str, script: str) -> None:
        """A program that comes before the one of this name in PATH; `$real` is that one."""
        real = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert real is not None
        self.write(f"/usr/local/sbin/{program}", f"#!/bin/sh\nreal={real}\n{script}\n", 0o755)

    def as_found(self, program: str) -> None:
        """Takes such a program away again."""
        (self.root / "usr/local/sbin" / program).unlink()

    def processes(self) -> list[int]:
        """Those that run in its mount namespace, its sshd among them."""
        assert self.sshd.process is not None
        own = (self.root.parent / "ns/mnt").readlink()
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit() and (folder / "ns/mnt").readlink() == own:
                    found.append(int(folder.name))
        return sorted(found)

    def commands(self) -> dict[int, list[str]]:
        """Its processes' command lines."""
        found = {}
        for pid in self.processes():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                found[pid] = words
        return found

    def kill(self, word: str) -> list[int]:
        """SIGKILL for every process of the host with `word` in its command line, but for its sshd's."""
        killed = []
        for pid, words in self.commands().items():
            if not words[0].startswith(("sshd:", "/usr/sbin/sshd")) and any(word in w for w in words):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
        return killed

    def stop(self) -> None:
        """Ends its sshd, and whatever else still runs there."""
        with suppress(OSError):
            for pid in self.processes():
                if self.sshd.process is not None and pid != self.sshd.process.pid:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self.sshd.stop()


@dataclass
class Site:
    """Hosts, the keys to them, and a folder for who applies."""

    folder: Path
    host_key: Path
    user_key: Path
    port: int = field(default_factory=free_port)  # of all of them: each has an address of its own
    hosts: list[NamespaceHost] = field(default_factory=list)

    def host(self, name: str, number: int, options: str = "", route: str = FIRST_ROUTE) -> NamespaceHost:
        """Starts a host."""
        serial = next(_numbers)
        folder = Path(tempfile.mkdtemp(prefix="lvst-host-"))
        folder.chmod(0o755)
        enter = f'exec nsenter --net={folder}/net sh -c "$SSH_ORIGINAL_COMMAND"'
        sshd = Sshd(
            folder,
            address=f"127.78.{worker()}.{serial % 250 + 1}",
            port=self.port,
            host_key=self.host_key,
            user_key=self.user_key,
            options=f"MaxStartups 200\nMaxSessions 50\nForceCommand {enter}\n{options}",
            prefix=(
                *("unshare", "-m", "sh", "-e", "-c", _SET_UP, "sh", str(folder)),
                *(f"{OUTSIDE}{number}", f"{INSIDE}{number}", route),
            ),
        )
        sshd.start()
        host = NamespaceHost(name, number, sshd)
        self.hosts.append(host)
        with (self.folder / "known_hosts").open("a") as known:
            known.write(sshd.known_line())
        return host

    def inventory(self, name: str, *hosts: NamespaceHost, **parts: Any) -> Path:
        """An inventory of these hosts and a director that is out of reach; `parts` replace its parts."""
        document = {**self.document(*hosts), **parts}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(document))
        return path

    def document(self, *hosts: NamespaceHost) -> dict[str, Any]:
        return {
            "version": 1,
            "cluster": "shop",
            "ssh": {
                "user": "root",
                "port": self.port,
                "identity_file": str(self.user_key),
                "known_hosts": str(self.folder / "known_hosts"),
                "connect_timeout": 5,
            },
            "directors": {
                "lvs1": {
                    "address": f"127.78.{worker()}.254",
                    "dip": f"{OUTSIDE}2",
                    "interface": "eth0",
                    "ssh": {"port": 9},
                }
            },
            "real_servers": {host.name: host.declared() for host in hosts},
            "services": {"http": service(f"{OUTSIDE}50", *hosts)},
        }

    def stop(self) -> None:
        for host in self.hosts:
            host.stop()
        for host in self.hosts:
            shutil.rmtree(host.sshd.folder, ignore_errors=True)
        self.hosts.clear()


def service(vip: str, *hosts: NamespaceHost, **more: Any) -> dict[str, Any]:
    """A service in an inventory, direct routing to these hosts."""
    return {"vip": vip, "port": 80, "mode": "dr", "real_servers": [host.name for host in hosts], **more}


def wait(what: str, holds: Any, seconds: float = 20) -> None:
    """Waits until `holds()` is true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.02)


_digests: dict[tuple[object, ...], str] = {}


def _digest(path: str, file: Path, status: os.stat_result) -> str:
    """SHA-256, worked out once for what all hosts have of this machine."""
    key = (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if key not in _digests:
        _digests[key] = sha256(file.read_bytes()).hexdigest()
    return _digests[key]


def _lasting(address: str) -> str:
    """A line of `ip -o address` without what changes by itself."""
    return address.replace(" tentative", "").partition("valid_lft")[0].rstrip(" \\")


@pytest.fixture(scope="session")
def site_keys() -> Iterator[tuple[Path, Path]]:
    """A host key and a user's, made once."""
    with tempfile.TemporaryDirectory(prefix="lvst-site-") as folder:
        yield keygen(Path(folder) / "host"), keygen(Path(folder) / "user")


@pytest.fixture
def site(tmp_path: Path, site_keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Hosts, for one test, and a home in which nothing is known of them but what the inventory says."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    host_key, user_key = site_keys
    site = Site(tmp_path, host_key, user_key)
    yield site
    site.stop()
