"""What a host's os-release says, and the row of the table that is chosen by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lvsdeploy.desired import paths
from lvsdeploy.observe import facts
from lvsdeploy.state import distributions
from lvsdeploy.state.distributions import (
    ALPINE,
    ARCH,
    DEBIAN,
    DISTRIBUTIONS,
    PROGRAMS,
    RHEL,
    SUSE,
    UBUNTU,
    UNKNOWN,
    Distribution,
    distribution_of,
    is_known,
)
from lvsdeploy.state.facts import Facts, PackageManager

RECORDED = Path(__file__).parent / "recorded" / "os-release"
EXPECTED = {
    "debian-12": (DEBIAN, "debian 12"),
    "ubuntu-22.04": (UBUNTU, "ubuntu 22.04"),
    "linuxmint-21": (UBUNTU, "linuxmint 21"),
    "rhel-8.9": (RHEL, "rhel 8.9"),
    "rocky-9.3": (RHEL, "rocky 9.3"),
    "almalinux-9.4": (RHEL, "almalinux 9.4"),
    "centos-7": (RHEL, "centos 7"),
    "fedora-40": (RHEL, "fedora 40"),
    "amzn-2023": (RHEL, "amzn 2023"),
    "sles-15.5": (SUSE, "sles 15.5"),
    "opensuse-leap-15.6": (SUSE, "opensuse-leap 15.6"),
    "opensuse-tumbleweed": (SUSE, "opensuse-tumbleweed 20240523"),
    "alpine-3.19": (ALPINE, "alpine 3.19.1"),
    "arch": (ARCH, "arch "),
    "manjaro": (ARCH, "manjaro "),
}
UNKNOWN_ONES = {"gentoo", "void"}


def read(name: str, *managers: PackageManager) -> Facts:
    """Facts of a host with this os-release, as the probe sends it, on which all of these are installed."""
    lines = [
        f"os {line}"
        for line in (RECORDED / name).read_text().splitlines()
        if line.startswith(("ID=", "ID_LIKE=", "VERSION_ID="))
    ]
    return facts.parse(["manager systemd", *lines, *(f"packages {m}" for m in managers)], [], [], {})


def test_every_recorded_one_is_expected() -> None:
    assert {path.name for path in RECORDED.iterdir()} == EXPECTED.keys() | UNKNOWN_ONES
    assert {row.name for row, _ in EXPECTED.values()} == {row.name for row in DISTRIBUTIONS}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_row_is_chosen_by_id_then_by_what_it_is_like(name: str) -> None:
    row, release = EXPECTED[name]
    found = read(name, *PackageManager)
    assert distribution_of(found) is row
    assert is_known(found)
    assert f"{found.os_id} {found.os_version}" == release
    assert found.package_manager == row.package_managers[0], "not another family's, which is there, too"


@pytest.mark.parametrize("name", sorted(UNKNOWN_ONES))
@pytest.mark.parametrize("row", DISTRIBUTIONS, ids=[row.name for row in DISTRIBUTIONS])
def test_an_unknown_one_is_like_those_with_its_package_manager(name: str, row: Distribution) -> None:
    found = read(name, row.package_managers[-1])
    assert not is_known(found)
    assert distribution_of(found) is (DEBIAN if row is UBUNTU else row)


def test_an_unknown_one_without_a_package_manager_has_the_projects_own_names() -> None:
    found = read("gentoo")
    assert distribution_of(found) is UNKNOWN
    assert UNKNOWN.package("nft") == "nftables"
    assert UNKNOWN.saved_table is None


def test_packages() -> None:
    names = {row.name: [row.package(program) for program in PROGRAMS] for row in DISTRIBUTIONS}
    usual = ["keepalived", "ipvsadm", "iproute2", "nftables", "iptables", "iptables", "kmod"]
    assert names == {
        **dict.fromkeys((DEBIAN.name, UBUNTU.name, SUSE.name, ARCH.name), usual),
        RHEL.name: [*usual[:2], "iproute", *usual[3:]],
        ALPINE.name: [*usual[:5], "ip6tables", "kmod"],
    }


def test_a_name_is_in_one_row() -> None:
    names = [name for row in DISTRIBUTIONS for name in row.ids]
    assert len(names) == len(set(names))


def test_paths_are_absolute() -> None:
    for row in DISTRIBUTIONS:
        assert row.saved_table is not None
        told = [row.saved_table.path, row.saved_table.switch or "/", row.keepalived_options[0]]
        assert all(
            path.startswith("/") for path in [*told, row.keepalived_conf, row.sysctl_d, row.modules_load]
        )
        assert bool(row.saved_table.switch) == bool(row.saved_table.setting)


def test_what_is_the_same_everywhere_is_what_is_written() -> None:
    for row in (*DISTRIBUTIONS, UNKNOWN):
        assert (row.keepalived_unit, row.keepalived_conf) == (paths.KEEPALIVED_UNIT, paths.KEEPALIVED_CONF)
        assert paths.modules_path("shop").startswith(f"{row.modules_load}/")
        assert paths.sysctl_path("shop").startswith(f"{row.sysctl_d}/")


def test_what_names_no_distribution_has_no_row() -> None:
    assert distributions.by_release("") is None
    assert distributions.by_release("", ("", "arch")) is ARCH
    assert distribution_of(replace(Facts(), package_manager=PackageManager.YUM)) is RHEL
