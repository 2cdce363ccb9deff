"""What makes a copy of this machine's root a machine of its own: files over it, and files hidden.

A lab machine is an overlay over `/`, so it has every program that is installed here. It must not
have this machine's settings: they would decide what a test sees.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lvsdeploy.lab.topology import Init, Machine, Topology

DEPLOY = "deploy"  # sudo without a password
NOSUDO = "nosudo"  # sudo asks for one
NOSUDO_PASSWORD = "lab"  # noqa: S105 — of a machine that nobody else can reach
_NOSUDO_HASH = (
    "$6$lvsdeploy$W6sy3w3KnnHI3cl9LXl/hNDZm0NL/.4nDyC2dSqH8sFE6v4UCBtPVj4b2nc51Y4Q.PIl61C3tE3IlNz8L1GIn0"
)

_LOGINS = {DEPLOY: 2001, NOSUDO: 2002}
# "*" is no password, but not locked: sshd refuses locked accounts.
_HASHES = {DEPLOY: "*", NOSUDO: _NOSUDO_HASH}

_SUDOERS = f"{DEPLOY} ALL=(ALL:ALL) NOPASSWD: ALL\n{NOSUDO} ALL=(ALL:ALL) ALL\n"

_SSHD_CONFIG = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
MaxSessions 100
MaxStartups 100:30:200
LoginGraceTime 60
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
"""

_ENVIRONMENT = "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"

# Units that a machine without hardware, screens and users has no use for, or that would only take
# time. What is not on this base machine does no harm here.
_MASKED = """
    apt-daily-upgrade.service apt-daily-upgrade.timer apt-daily.service apt-daily.timer
    console-getty.service dev-hugepages.mount dev-mqueue.mount e2scrub_reap.service getty.target
    getty-static.service kmod-static-nodes.service ldconfig.service
    proc-sys-fs-binfmt_misc.automount serial-getty@.service
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount
    sys-kernel-tracing.mount systemd-binfmt.service systemd-boot-system-token.service
    systemd-firstboot.service systemd-hwdb-update.service systemd-journal-catalog-update.service
    systemd-journal-flush.service systemd-journald-audit.socket systemd-logind.service
    systemd-machine-id-commit.service systemd-networkd.service systemd-networkd.socket
    systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pstore.service
    systemd-quotacheck.service systemd-random-seed.service systemd-remount-fs.service
    systemd-resolved.service systemd-sysusers.service systemd-timesyncd.service
    systemd-tmpfiles-clean.timer systemd-tmpfiles-setup-dev.service systemd-udev-settle.service
    systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket
    systemd-udevd.service systemd-update-done.service systemd-update-utmp-runlevel.service
    systemd-update-utmp.service timers.target
""".split()  # noqa: SIM905 — a column of quotes would be harder to read

# What the base machine's owner set, by folder; `*` is one name.
_FOREIGN = (
    "etc/keepalived/*",
    "etc/sysctl.d/*",
    "usr/lib/sysctl.d/*",
    "etc/modules-load.d/*",
    "etc/sudoers.d/*",
    "etc/ssh/ssh_host_*",
    "etc/ssh/sshd_config.d/*",
    "etc/iproute2/rt_tables.d/*",
    "etc/systemd/system/*.wants/*",
    "etc/systemd/system/*.requires/*",
    "etc/systemd/network/*",
    "etc/network/if-*.d/*",
    "root/.ssh/*",
    "root/.bash_*",
    "usr/sbin/policy-rc.d",
    "var/log/keepalived*",
    "var/lib/lvsdeploy",
)
# Files of packages among them, which a fresh installation has too.
_KEPT = {"README", "README.sysctl", "keepalived.conf.sample"}


@dataclass(frozen=True)
class Image:
    """The upper layer of a machine that was never started; paths have no leading slash.

    `directories`: (path, mode, uid, gid). `files`: (path, mode, uid, gid, text). `links`:
    (path, target). `hidden`: paths of the base that this machine does not have.
    """

    directories: list[tuple[str, int, int, int]] = field(default_factory=list)
    files: list[tuple[str, int, int, int, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def file(self, path: str, text: str, mode: int = 0o644, owner: int = 0) -> None:
        self.files.append((path, mode, owner, owner, text))

    def directory(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        self.directories.append((path, mode, owner, owner))


@dataclass(frozen=True)
class Keys:
    """One machine's SSH keys, as OpenSSH writes them."""

    host_private: str
    host_public: str
    authorized: str


def machine_image(
    machine: Machine, topology: Topology, keys: Keys, *, modules: Path | None, base: Path = Path("/")
) -> Image:
    """The first upper layer of `machine` over the root `base`.

    `modules`: the folder with the modules of the kernel that it will run on, when that is not
    where modprobe looks.
    """
    image = Image()
    _identity(image, machine, topology)
    _logins(image, base, keys)
    _ssh(image, keys)
    if modules is not None:
        image.links.append((f"usr/lib/modules/{modules.name}", str(modules)))
        _legacy_iptables(image, base)
    if machine.init is Init.SYSTEMD:
        _systemd(image)
    written = {entry[0] for entry in (*image.files, *image.links)}
    _runlevels(image, base)
    image.hidden.extend(path for path in _foreign(base) if path not in written)
    return image


def _identity(image: Image, machine: Machine, topology: Topology) -> None:
    hosts = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for each in topology.machines:
        hosts += [f"{address} {each.name}" for address in each.addresses()]
    if not machine.nics:
        hosts.append(f"127.0.1.1 {machine.name}")
    image.file("etc/hostname", f"{machine.name}\n")
    image.file("etc/hosts", "".join(f"{line}\n" for line in hosts))
    # md5-like: 32 hexadecimal digits, not all of them zero.
    image.file("etc/machine-id", f"{machine.name.encode().hex():0<31.31}1\n", 0o444)
    image.file("etc/resolv.conf", "")
    image.file("etc/fstab", "")
    image.file("etc/modules", "")
    image.file("etc/sysctl.conf", "")
    image.file("etc/environment", "")


def _logins(image: Image, base: Path, keys: Keys) -> None:
    additions = {
        "passwd": "{name}:x:{uid}:{uid}::/home/{name}:/bin/bash\n",
        "shadow": "{name}:{hash}:19000:0:99999:7:::\n",
        "group": "{name}:x:{uid}:\n",
        "gshadow": "{name}:!::\n",
    }
    for name, line in additions.items():
        path = base / "etc" / name
        if not path.exists():
            continue
        text = _without(path.read_text("utf-8"), _LOGINS)
        for login, uid in _LOGINS.items():
            text += line.format(name=login, uid=uid, hash=_HASHES[login])
        if name == "shadow":
            text = re.sub(r"^root:[^:]*:", "root:*:", text, flags=re.MULTILINE)
        image.file(f"etc/{name}", text, 0o600 if "shadow" in name else 0o644)
    for login, uid in (("root", 0), *_LOGINS.items()):
        home = "root" if login == "root" else f"home/{login}"
        image.directory(home, 0o700, uid)
        image.directory(f"{home}/.ssh", 0o700, uid)
        image.file(f"{home}/.ssh/authorized_keys", keys.authorized, 0o600, uid)
        # bash reads it for a command over SSH; the base machine's may be anything, and slow.
        image.file(f"{home}/.bashrc", _ENVIRONMENT, 0o644, uid)
        image.file(f"{home}/.profile", _ENVIRONMENT, 0o644, uid)
    image.file("etc/sudoers.d/lab", _SUDOERS, 0o440)


def _without(text: str, logins: Iterable[str]) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.split(":")[0] not in set(logins))


def _ssh(image: Image, keys: Keys) -> None:
    image.file("etc/ssh/sshd_config", _SSHD_CONFIG, 0o600)
    image.file("etc/ssh/ssh_host_ed25519_key", keys.host_private, 0o600)
    image.file("etc/ssh/ssh_host_ed25519_key.pub", keys.host_public)


def _systemd(image: Image) -> None:
    for unit in _MASKED:
        image.links.append((f"etc/systemd/system/{unit}", "/dev/null"))
    units = "/lib/systemd/system"
    image.links.append(("etc/systemd/system/default.target", f"{units}/multi-user.target"))
    image.links.append(("etc/systemd/system/multi-user.target.wants/ssh.service", f"{units}/ssh.service"))
    image.directory("etc/systemd/system.conf.d")
    # A stop that waits 90 s would make every test of a failure wait.
    image.file(
        "etc/systemd/system.conf.d/lab.conf",
        "[Manager]\nDefaultTimeoutStopSec=10s\nDefaultTimeoutStartSec=60s\n",
    )


def _legacy_iptables(image: Image, base: Path) -> None:
    """Debian's UML kernel has nf_tables for bridges only, so iptables has to be the older one."""
    for name in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            legacy = f"usr/sbin/{name}-legacy{suffix}"
            if (base / legacy).exists():
                image.links.append((f"etc/alternatives/{name}{suffix}", f"/{legacy}"))


def _runlevels(image: Image, base: Path) -> None:
    """Leaves SysV scripts disabled, as `update-rc.d NAME disable` does, sshd's excepted."""
    for level in "2345":
        for script in sorted((base / f"etc/rc{level}.d").glob("S[0-9][0-9]*")):
            name = script.name[3:]
            if name == "ssh":
                continue
            image.hidden.append(str(script.relative_to(base)))
            stopped = f"etc/rc{level}.d/K01{name}"
            if not (base / stopped).is_symlink():
                image.links.append((stopped, f"../init.d/{name}"))


def _foreign(base: Path) -> Iterator[str]:
    for pattern in _FOREIGN:
        for path in sorted(base.glob(pattern)):
            if path.name not in _KEPT:
                yield str(path.relative_to(base))
