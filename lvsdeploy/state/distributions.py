"""What distributions call and put where what LVS needs: one row each, and nothing of it anywhere else.

A row is chosen by ID of os-release(5), then by ID_LIKE, at last by the host's package manager. What starts
services and what installs packages is asked of the host itself; here is what the distribution comes with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lvsdeploy.state.facts import PackageManager, ServiceManager

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.state.facts import Facts


@dataclass(frozen=True)
class SavedTable:
    """Where the distribution's ipvsadm package keeps the IPVS table, and how it is restored at boot.

    `path` holds what `ipvsadm -Sn` prints. `unit` restores it when it is enabled, and, where there is a
    `switch`, when that file (of shell assignments) has the line `setting`.
    """

    path: str
    unit: str = "ipvsadm"
    switch: str = ""
    setting: str = ""
    shipped: bool = False
    """Whether the package comes with `setting`."""
    saves_on_stop: bool = False
    """Whether stopping the unit writes the kernel's table over `path`."""


@dataclass(frozen=True)
class Distribution:
    """One row. `packages` has the programs whose package has another name."""

    name: str
    ids: tuple[str, ...]
    package_managers: tuple[PackageManager, ...]
    service_manager: ServiceManager
    saved_table: SavedTable | None
    keepalived_options: tuple[str, str]
    """The file with the options that keepalived is started with, and the variable that holds them."""
    packages: Mapping[str, str] = field(default_factory=dict)
    keepalived_unit: str = "keepalived"
    keepalived_conf: str = "/etc/keepalived/keepalived.conf"
    modules_load: str = "/etc/modules-load.d"
    sysctl_d: str = "/etc/sysctl.d"
    takes_features_over: bool = False
    """Whether its kernels have features of later ones, so that a kernel's version tells little."""
    sources: tuple[str, ...] = ()
    """Where this is to be found."""

    def package(self, program: str) -> str:
        """The package that a program comes in."""
        return self.packages.get(program, _PACKAGES.get(program, program))


PROGRAMS = ("keepalived", "ipvsadm", "ip", "nft", "iptables", "ip6tables", "modprobe")
"""The programs that lvsdeploy may need on a host."""
_PACKAGES = {"ip": "iproute2", "nft": "nftables", "ip6tables": "iptables", "modprobe": "kmod"}

DEBIAN = Distribution(
    name="Debian",
    ids=("debian",),
    package_managers=(PackageManager.APT,),
    service_manager=ServiceManager.SYSTEMD,
    # An init script; it asks whether AUTO is `true`, and flushes the table when it is stopped.
    saved_table=SavedTable("/etc/ipvsadm.rules", switch="/etc/default/ipvsadm", setting='AUTO="true"'),
    keepalived_options=("/etc/default/keepalived", "DAEMON_ARGS"),
    sources=("https://sources.debian.org/src/ipvsadm/", "https://sources.debian.org/src/keepalived/"),
)
UBUNTU = replace(DEBIAN, name="Ubuntu", ids=("ubuntu",), sources=("https://packages.ubuntu.com/ipvsadm",))
RHEL = Distribution(
    name="RHEL and its kin",
    ids=("rhel", "rocky", "almalinux", "centos", "ol", "fedora"),
    package_managers=(PackageManager.DNF, PackageManager.YUM),
    service_manager=ServiceManager.SYSTEMD,
    # ExecStop is `ipvsadm-save -n > /etc/sysconfig/ipvsadm`, then `ipvsadm -C`.
    saved_table=SavedTable("/etc/sysconfig/ipvsadm", saves_on_stop=True),
    keepalived_options=("/etc/sysconfig/keepalived", "KEEPALIVED_OPTIONS"),
    packages={"ip": "iproute"},
    takes_features_over=True,
    sources=(
        "https://src.fedoraproject.org/rpms/ipvsadm",
        "https://src.fedoraproject.org/rpms/keepalived",
    ),
)
SUSE = Distribution(
    name="SUSE",
    ids=("suse", "sles", "sled", "opensuse", "opensuse-leap", "opensuse-tumbleweed"),
    package_managers=(PackageManager.ZYPPER,),
    service_manager=ServiceManager.SYSTEMD,
    # The unit reads the path from there, and comes with this setting.
    saved_table=SavedTable(
        "/etc/ipvsadm.rules",
        switch="/etc/sysconfig/ipvsadm",
        setting='IPVSADM_CONFIG="/etc/ipvsadm.rules"',
        shipped=True,
    ),
    keepalived_options=("/etc/sysconfig/keepalived", "KEEPALIVED_OPTIONS"),
    takes_features_over=True,
    sources=(
        "https://build.opensuse.org/package/view_file/openSUSE:Factory/ipvsadm/ipvsadm.spec",
        "https://build.opensuse.org/package/show/openSUSE:Factory/keepalived",
    ),
)
ALPINE = Distribution(
    name="Alpine",
    ids=("alpine",),
    package_managers=(PackageManager.APK,),
    service_manager=ServiceManager.OPENRC,
    saved_table=SavedTable("/var/lib/ipvsadm/rules-save"),
    keepalived_options=("/etc/conf.d/keepalived", "KEEPALIVED_OPTS"),
    packages={"ip6tables": "ip6tables"},
    sources=(
        "https://gitlab.alpinelinux.org/alpine/aports/-/tree/master/main/ipvsadm",
        "https://gitlab.alpinelinux.org/alpine/aports/-/tree/master/community/keepalived",
    ),
)
ARCH = Distribution(
    name="Arch",
    ids=("arch",),
    package_managers=(PackageManager.PACMAN,),
    service_manager=ServiceManager.SYSTEMD,
    saved_table=SavedTable("/etc/ipvsadm.conf"),
    keepalived_options=("/etc/sysconfig/keepalived", "KEEPALIVED_OPTIONS"),
    sources=(
        "https://gitlab.archlinux.org/archlinux/packaging/packages/ipvsadm",
        "https://gitlab.archlinux.org/archlinux/packaging/packages/keepalived",
    ),
)
DISTRIBUTIONS = (DEBIAN, UBUNTU, RHEL, SUSE, ALPINE, ARCH)

UNKNOWN = Distribution(
    name="another distribution",
    ids=(),
    package_managers=(),
    service_manager=ServiceManager.SYSTEMD,
    saved_table=None,
    keepalived_options=("/etc/sysconfig/keepalived", "KEEPALIVED_OPTIONS"),
)
"""For a host that no row is about: names and paths of the projects themselves."""


def by_release(os_id: str, os_like: tuple[str, ...] = ()) -> Distribution | None:
    """The row for a host's ID and ID_LIKE; None when there is none."""
    rows = {name: row for row in DISTRIBUTIONS for name in row.ids}
    return next((rows[name] for name in (os_id, *os_like) if name in rows), None)


def distribution_of(facts: Facts) -> Distribution:
    """The row for a host; of an unknown distribution, the one with the same package manager."""
    found = by_release(facts.os_id, facts.os_like)
    if found is None and facts.package_manager is not None:
        found = next((d for d in DISTRIBUTIONS if facts.package_manager in d.package_managers), None)
    return found or UNKNOWN


def is_known(facts: Facts) -> bool:
    """Whether there is a row for the host's own distribution, or one that it is like."""
    return by_release(facts.os_id, facts.os_like) is not None
