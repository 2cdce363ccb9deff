"""A machine from the inside: what its first process does, up to and as its init."""

import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from . import kernel, wire

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}

# In /dev, since that can be written to in every place; kmod goes by the name it is called by.
MODPROBE = "modprobe"

BOOT_LOG = Path("/var/log/lab-boot.log")
# A script in rc2.d that hangs must not hang the lab, and sshd in UML takes its time.
_SSHD_DEADLINE = 20.0  # seconds

# On the kernel that the lab shares with its user: what would reach beyond the machine.
_SYS_RAWIO, _SYS_TIME, _SYSLOG = 17, 25, 34

# A new network namespace inherits these from the first one, where anything may be set.
_DEFAULTS = {
    "arp_announce": "0",
    "arp_filter": "0",
    "arp_ignore": "0",
    "accept_local": "0",
    "forwarding": "0",
    "rp_filter": "0",
    "send_redirects": "1",
}

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
    "net/tun": (10, 200),
    "console": (1, 3),  # there is no screen: what goes there is gone
}


def boot(spec: dict[str, Any], state: Path, connection: socket.socket, ready: int, go: int) -> None:
    """The life of a machine's first process; never returns.

    `ready` is written to when the network namespace is as a kernel's first one would be; `go` is
    read until its end, when the cards have been plugged in. The outcome goes to `connection`.
    """
    try:
        _reset_network(forwards=spec["forwards"])
        os.write(ready, b"+")
        # Nothing else that the agent has open is this machine's.
        keep = sorted({0, 1, 2, connection.fileno(), go})
        for low, high in zip(keep, [*keep[1:], 4096], strict=True):
            os.closerange(low + 1, high)
        shared = bool(spec["shared_kernel"])
        if shared:
            for capability in (_SYS_RAWIO, _SYS_TIME, _SYSLOG):
                kernel.drop_capability(capability)
        root = _root(spec, state, shared=shared)
        kernel.change_root(root)
        socket.sethostname(spec["machine"])
        while os.read(go, 1):
            pass
        os.close(go)
        os.environ.clear()
        os.environ.update(ENVIRONMENT)
        BOOT_LOG.write_text("", encoding="utf-8")
        _run(["ip", "-batch", "-"], spec["network"].encode())
        if spec["init"] == "systemd":
            connection.sendall(wire.json_frame(wire.DONE, {}))
            connection.close()
            _become_systemd()
        _start_services()
        connection.sendall(wire.json_frame(wire.DONE, {}))
        connection.close()
    except Exception as error:  # noqa: BLE001 — whatever it is, the controller has to hear it
        log = BOOT_LOG.read_text("utf-8") if BOOT_LOG.exists() else ""
        text = f"{spec['machine']} does not boot: {type(error).__name__}: {error}\n{log}"
        connection.sendall(wire.frame(wire.FAILED, text.encode()))
        os._exit(1)
    _reap_forever()


def unpack(image: dict[str, Any], upper: Path) -> None:
    """Writes a machine's own files over the base: directories, files, links, and what is hidden."""
    for path, mode, uid, gid in image["directories"]:
        target = _place(upper, path)
        target.mkdir(exist_ok=True)
        os.chown(target, uid, gid)
        target.chmod(mode)
    for path, mode, uid, gid, text in image["files"]:
        target = _place(upper, path)
        target.write_text(text, encoding="utf-8")
        os.chown(target, uid, gid)
        target.chmod(mode)
    for path, destination in image["links"]:
        _place(upper, path).symlink_to(destination)
    for path in image["hidden"]:
        # How overlayfs spells "deleted".
        os.mknod(_place(upper, path), stat.S_IFCHR, os.makedev(0, 0))


def _place(upper: Path, path: str) -> Path:
    """Where `path` is in the upper layer; its directories look there as they do below."""
    target = upper / path
    missing = []
    parent = target.parent
    while parent != upper and not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for directory in reversed(missing):
        directory.mkdir()
        below = Path("/") / directory.relative_to(upper)
        if below.is_dir():
            known = below.stat()
            os.chown(directory, known.st_uid, known.st_gid)
            directory.chmod(stat.S_IMODE(known.st_mode))
    return target


def _reset_network(*, forwards: bool) -> None:
    net = Path("/proc/sys/net")
    for key, value in _DEFAULTS.items():
        for scope in ("all", "default", "lo"):
            (net / "ipv4/conf" / scope / key).write_text(value, encoding="ascii")
    if forwards:
        (net / "ipv4/ip_forward").write_text("1", encoding="ascii")
        ipv6 = net / "ipv6/conf/all/forwarding"
        if ipv6.exists():
            ipv6.write_text("1", encoding="ascii")


def _root(spec: dict[str, Any], state: Path, *, shared: bool) -> Path:
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    directory = state.joinpath(spec["machine"])
    upper, work, root = (directory / name for name in ("upper", "work", "root"))
    if not upper.exists():
        fresh = directory / "fresh"
        for each in (fresh, work, root):
            each.mkdir(parents=True)
        fresh.chmod(0o755)
        unpack(spec["image"], fresh)
        # Only now: a half-written layer is no machine.
        fresh.rename(upper)
    kernel.mount("overlay", root, "overlay", data=f"lowerdir=/,upperdir={upper},workdir={work}")
    kernel.mount("proc", root / "proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    if shared:
        proc_sys = root / "proc/sys"
        kernel.bind(str(proc_sys / "net"), proc_sys / "net")
        kernel.bind(str(proc_sys), proc_sys, read_only=True)
        trigger = root / "proc/sysrq-trigger"
        if trigger.exists():
            kernel.bind(str(trigger), trigger, read_only=True)
    read_only = kernel.RDONLY if shared else 0
    kernel.mount("sysfs", root / "sys", "sysfs", kernel.NOSUID | read_only)
    if spec["init"] == "systemd":
        kernel.mount("cgroup2", root / "sys/fs/cgroup", "cgroup2", kernel.NOSUID)
    _devices(root / "dev")
    if not shared:
        (root / "dev" / MODPROBE).symlink_to("/sbin/modprobe")
    kernel.mount("tmpfs", root / "run", "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755")
    kernel.mount("tmpfs", root / "tmp", "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=1777")
    for name, mode in (("lock", 0o1777), ("sshd", 0o755)):
        made = root / "run" / name
        made.mkdir()
        made.chmod(mode)
    return root


def _devices(dev: Path) -> None:
    kernel.mount("tmpfs", dev, "tmpfs", kernel.NOSUID, "mode=755")
    for name in ("pts", "shm", "net"):
        (dev / name).mkdir()
    for name, (major, minor) in _DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    kernel.mount("devpts", dev / "pts", "devpts", kernel.NOSUID, "newinstance,mode=620,ptmxmode=666")
    kernel.mount("tmpfs", dev / "shm", "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=1777")
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        (dev / name).symlink_to(target)


def _become_systemd() -> NoReturn:
    # systemd takes any value for "do not expect hardware".
    os.environ["container"] = "lvslab"  # noqa: SIM112 — systemd's own name for it
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, 4096)
    os.execv("/lib/systemd/systemd", ["/lib/systemd/systemd"])  # noqa: S606 — pid 1


def _start_services() -> None:
    """What a plain init does at boot: modules, sysctls, rc2.d, sshd."""
    modules = _words(Path("/etc/modules"), *sorted(Path("/etc/modules-load.d").glob("*.conf")))
    if modules:
        _run(["modprobe", "-a", *modules])
    if _words(Path("/etc/sysctl.conf"), *sorted(Path("/etc/sysctl.d").glob("*.conf"))):
        _run(["sysctl", "--system"])
    for script in sorted(Path("/etc/rc2.d").glob("S[0-9][0-9]*")):
        if script.name[3:] != "ssh" and os.access(script, os.X_OK):
            _run([str(script), "start"])
    _spawn(["/usr/sbin/sshd", "-D"])
    # Written only when it listens.
    deadline = time.monotonic() + _SSHD_DEADLINE
    while not Path("/run/sshd.pid").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("sshd does not listen")
        time.sleep(0.005)


def _words(*files: Path) -> list[str]:
    """The lines of configuration files that are no comment, those of missing ones excepted."""
    lines = [line.strip() for f in files if f.is_file() for line in f.read_text("utf-8").split("\n")]
    return [line for line in lines if line and line[0] not in "#;"]


def _run(argv: list[str], text: bytes = b"") -> None:
    """Runs a program to its end, as every init does: what fails is logged, and boot goes on."""
    _, status = os.waitpid(_spawn(argv, text), 0)
    if status:
        with BOOT_LOG.open("a", encoding="utf-8") as log:
            log.write(f"{argv[0]}: exit code {os.waitstatus_to_exitcode(status)}\n")


def _spawn(argv: list[str], text: bytes = b"") -> int:
    read_end, write_end = os.pipe()
    os.write(write_end, text)  # far below what a pipe holds
    os.close(write_end)
    log = os.open(BOOT_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    child = os.posix_spawnp(
        argv[0],
        argv,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, read_end, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    )
    os.close(read_end)
    os.close(log)
    return child


def _reap_forever() -> NoReturn:
    kernel.set_name("init")
    sys.stdin.close()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)
