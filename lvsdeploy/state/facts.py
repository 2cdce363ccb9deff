"""What a host is, as far as lvsdeploy has to know: facts are read and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.state.netfilter import Firewall
    from lvsdeploy.state.script import Script


class ServiceManager(StrEnum):
    """What starts services on a host."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    SYSV = "sysv"


class PackageManager(StrEnum):
    """What installs packages on a host."""

    APT = "apt-get"
    DNF = "dnf"
    YUM = "yum"
    ZYPPER = "zypper"
    APK = "apk"
    PACMAN = "pacman"


@dataclass(frozen=True)
class Facts:
    """A host's identity and abilities.

    Names and versions are the host's own words, stripped of control characters; an unknown one is ""
    or None.
    """

    hostname: str = ""
    os_id: str = ""  # ID of /etc/os-release: debian, rocky, alpine ...
    os_like: tuple[str, ...] = ()  # ID_LIKE: what it is derived from, the closest first
    os_version: str = ""
    kernel: str = ""
    service_manager: ServiceManager = ServiceManager.SYSTEMD
    package_manager: PackageManager | None = None
    root: bool = True
    programs: Mapping[str, str] = field(default_factory=dict)  # program found on PATH -> its version
    built_with: Mapping[str, frozenset[str]] = field(default_factory=dict)  # program -> options, if it tells
    modules: frozenset[str] = frozenset()  # kernel modules loaded or built in, of those asked about
    available_modules: frozenset[str] = frozenset()  # those that modprobe could load
    modules_listed: bool = True  # False: only loaded modules can be seen, as in a container
    firewall: Firewall | None = None  # what loads netfilter rules here; None: nothing does, or nobody asked
    links: Mapping[str, bool] = field(default_factory=dict)  # interface -> is its link up
    scripts: Mapping[tuple[str, str], Script] = field(default_factory=dict)  # by (path, user), as asked for
