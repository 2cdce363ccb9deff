"""What this machine must have for a lab, and what its kernel can do by itself."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.topology import Init, Machine

# `host` or `uml`: where directors go, when the choice is not to be made by what there is.
KERNEL_VARIABLE = "LVSDEPLOY_LAB_KERNEL"

_UML_MODULES = Path("/usr/lib/uml/modules")

# Program, Debian package.
_PROGRAMS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "sysctl": "procps",
    "taskset": "util-linux",
}
_SBIN = "/usr/sbin:/sbin"


def has_ipvs_kernel() -> bool:
    """Whether this machine's own kernel can balance; loads the module when it is there."""
    chosen = os.environ.get(KERNEL_VARIABLE)
    if chosen in ("host", "uml"):
        return chosen == "host"
    return Path("/proc/net/ip_vs").exists() or (
        _succeeds("modprobe", "-q", "ip_vs") and Path("/proc/net/ip_vs").exists()
    )


def has_tunnels() -> bool:
    """Whether this machine's own kernel can unwrap ipip."""
    if os.environ.get(KERNEL_VARIABLE) == "uml":
        return False
    # Tried out in a network namespace that is gone with the program.
    return _succeeds("unshare", "--net", "ip", "link", "add", "name", "lvslab", "type", "ipip")


def uml_modules() -> Path | None:
    """The folder with the modules of the installed linux.uml; None when there is none."""
    found = sorted(_UML_MODULES.glob("*/modules.dep"))
    return found[-1].parent if found and find("linux.uml") else None


def find(program: str) -> str | None:
    """The path of a program, in sbin too, which is not everybody's PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


def check(machines: Iterable[Machine], *, needs_uml: bool) -> None:
    """Raises one LabError that says everything that is missing, and what to do."""
    lacks = []
    if platform.system() != "Linux":
        lacks.append("a lab needs Linux")
    elif os.geteuid() != 0:
        lacks.append("it makes namespaces, so run it as root (sudo)")
    packages = {package for program, package in _PROGRAMS.items() if find(program) is None}
    if (
        any(machine.init is Init.SYSTEMD for machine in machines)
        and not Path("/lib/systemd/systemd").exists()
    ):
        packages.add("systemd")
    if needs_uml and uml_modules() is None:
        packages.add("user-mode-linux")
        lacks.append(
            "this kernel has no IPVS or no tunnels (`modprobe ip_vs` fails), "
            "so directors run on a User-Mode Linux kernel"
        )
    if needs_uml and needs_xstate() and find("gcc") is None:
        packages.add("gcc")
    if packages:
        lacks.append(f"install what is missing: apt-get install {' '.join(sorted(packages))}")
    if lacks:
        raise LabError("the lab cannot start here: " + "; ".join(lacks))


def needs_xstate() -> bool:
    """Whether the processor has registers that User-Mode Linux needs help with; see xstate.c."""
    return "amx_tile" in Path("/proc/cpuinfo").read_text("ascii", errors="replace").split()


def _succeeds(*argv: str) -> bool:
    program = find(argv[0])
    if program is None:
        return False
    return subprocess.run([program, *argv[1:]], capture_output=True, check=False).returncode == 0
