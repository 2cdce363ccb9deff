"""What real servers run: checked by shellcheck and systemd, and run for real by three shells."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import desired_state, render_all
from lvsdeploy.state.facts import Facts
from tests.desired import clusters, namespace
from tests.desired.test_golden import GOLDEN

if TYPE_CHECKING:
    from lvsdeploy.state.network import Address

SCRIPTS = sorted(
    file
    for pattern in ("etc/lvsdeploy/*/real-server", "etc/lvsdeploy/*/director", "etc/init.d/*")
    for file in GOLDEN.glob(f"*/*/{pattern}")
)
UNITS = sorted(GOLDEN.glob("*/*/etc/systemd/system/*.service"))

SHELLS = {"dash": "dash", "busybox": "busybox sh", "bash": "bash --posix"}


def name(file: Path) -> str:
    return "-".join(file.relative_to(GOLDEN).parts)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize("file", SCRIPTS, ids=name)
def test_shellcheck(file: Path) -> None:
    # SC2034, SC2317: an OpenRC service's variables and functions are used by openrc-run.
    exclude = ["--exclude=SC2034,SC2317"] if b"openrc-run" in file.read_bytes() else []
    result = subprocess.run(
        ["shellcheck", "--shell=sh", *exclude, str(file)], capture_output=True, text=True, check=False
    )
    assert result.stdout == ""
    assert result.returncode == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("file", UNITS, ids=name)
def test_systemd_accepts(file: Path) -> None:
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    ours = [line for line in result.stderr.splitlines() if file.name in line]
    assert ours == []


def script(tmp_path: Path, *, busybox: bool) -> Path:
    """The script of a real server in DR and NAT; under busybox it finds nothing but busybox's programs."""
    state = desired_state(clusters.mixed(), "web2", Facts())
    content = state.files["/etc/lvsdeploy/shop/real-server"].content
    if busybox:
        folder = tmp_path / "bin"
        folder.mkdir()
        for program in ("ip", "cat"):
            (folder / program).symlink_to(str(shutil.which("busybox")))
        path = b"PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
        assert path in content
        content = content.replace(path, f"PATH={folder}\n".encode())
    file = tmp_path / "real-server"
    file.write_bytes(content)
    return file


@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
def test_script_does_what_it_says(shell: str, tmp_path: Path) -> None:
    file = script(tmp_path, busybox=shell == "busybox")
    command = f"{SHELLS[shell]} {file}"
    look = [
        "ip -4 -brief address show dev lo",
        "ip -4 route show default",
        "cat /proc/sys/net/ipv4/conf/all/arp_ignore /proc/sys/net/ipv4/conf/all/arp_announce",
    ]
    steps = ["status", "start", "start", "status", "restart", "status", "stop", "stop", "status", "", "help"]
    commands = [f"{command} {step} 2>&1; echo '[{step}' $?']'" for step in steps]
    commands[4:4] = look
    commands[-2:-2] = look
    result = namespace.run(
        commands, interfaces=["eth0"], addresses=[("eth0", "10.2.0.22/24"), ("eth0", "192.0.2.12/24")]
    )
    assert result.stderr == ""
    words = [" ".join(line.split()) for line in result.stdout.splitlines()]
    usage = f"usage: {file} start|stop|restart|status"
    assert words == [
        "net.ipv4.conf.all.arp_ignore is not 1",
        "net.ipv4.conf.all.arp_announce is not 2",
        "192.0.2.50/32 is not on lo",
        "the default route is not via 10.2.0.1",
        "[status 3]",
        "[start 0]",
        "[start 0]",
        "[status 0]",
        "lo UNKNOWN 127.0.0.1/8 192.0.2.50/32",
        "default via 10.2.0.1 dev eth0",
        "1",
        "2",
        "[restart 0]",
        "[status 0]",
        "[stop 0]",
        "[stop 0]",
        "192.0.2.50/32 is not on lo",
        "[status 3]",
        "lo UNKNOWN 127.0.0.1/8",
        "default via 10.2.0.1 dev eth0",
        "1",
        "2",
        usage,
        "[ 2]",
        usage,
        "[help 2]",
    ]


NEIGHBOURS = {
    "alone": ({}, []),
    "the same VIP": ({"blog": "192.0.2.50/32"}, ["192.0.2.50/32"]),
    "first of several": ({"blog": "192.0.2.50/32 192.0.2.99/32"}, ["192.0.2.50/32"]),
    "last of several": ({"blog": "192.0.2.9/32 192.0.2.50/32"}, ["192.0.2.50/32"]),
    "amid several": ({"blog": "192.0.2.9/32 192.0.2.50/32 2001:db8::50/128"}, ["192.0.2.50/32"]),
    "of two clusters": ({"a": "192.0.2.9/32", "blog": "192.0.2.50/32"}, ["192.0.2.50/32"]),
    "another VIP": ({"blog": "192.0.2.51/32"}, []),
    "one that begins like it": ({"blog": "192.0.2.50/320 192.0.2.5/32"}, []),
    "one that ends like it": ({"blog": "1192.0.2.50/32"}, []),
    "one that a pattern would match": ({"blog": "192x0y2z50/32 *"}, []),
}


@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("case", NEIGHBOURS)
def test_a_vip_that_another_cluster_needs_stays(case: str, shell: str, tmp_path: Path) -> None:
    """`stop` takes away what nobody else on this machine needs; a script of its own does not count."""
    others, left = NEIGHBOURS[case]
    file = installed(tmp_path, others, busybox=shell == "busybox")
    command = f"{SHELLS[shell]} {file}"
    result = namespace.run(
        [f"{command} start", f"{command} stop; echo $?", "ip -4 -brief address show dev lo"],
        interfaces=["eth0"],
        addresses=[("eth0", "10.2.0.22/24")],
    )
    assert result.stderr == ""
    code, shown = result.stdout.splitlines()
    assert code == "0"
    assert shown.split()[2:] == ["127.0.0.1/8", *left]


@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
def test_of_two_scripts_the_one_that_remains_takes_the_vip(shell: str, tmp_path: Path) -> None:
    file = installed(tmp_path, {"blog": "192.0.2.50/32"}, busybox=shell == "busybox")
    command = f"{SHELLS[shell]} {file}"
    other = tmp_path / "lvsdeploy/blog/real-server"
    steps = [f"{command} start", f"{command} stop", f"rm {other}", f"{command} stop"]
    result = namespace.run(
        [*steps, "ip -4 -brief address show dev lo"],
        interfaces=["eth0"],
        addresses=[("eth0", "10.2.0.22/24")],
    )
    assert result.stderr == ""
    assert result.stdout.split()[2:] == ["127.0.0.1/8"]


def installed(tmp_path: Path, others: dict[str, str], *, busybox: bool) -> Path:
    """The script of cluster shop at its place below a folder, and those of other clusters with their VIPs."""
    content = script(tmp_path, busybox=busybox).read_bytes()
    folder = tmp_path / "lvsdeploy"
    for cluster, vips in others.items():
        (folder / cluster).mkdir(parents=True)
        text = f"#!/bin/sh\n# vips='192.0.2.50/32'\n\nvips='{vips}'\ngateway='192.0.2.50/32'\n"
        (folder / cluster / "real-server").write_text(text)
    (folder / "shop").mkdir(parents=True)
    (folder / "empty").mkdir()
    file = folder / "shop/real-server"
    assert content.count(b"/etc/lvsdeploy/") == 2
    file.write_bytes(content.replace(b"/etc/lvsdeploy/", f"{folder}/".encode()))
    return file


def test_scripts_name_their_vips_in_the_line_that_others_read() -> None:
    for case in clusters.CASES.values():
        for host, state in render_all(case()).items():
            for path, file in state.files.items():
                if path.endswith("/real-server"):
                    on_lo = (a for a in state.addresses if a.interface == "lo")
                    vips = " ".join(str(a.address) for a in sorted(on_lo, key=vip_order))
                    lines = [x for x in file.content.decode().splitlines() if x.startswith("vips=")]
                    assert lines == ([f"vips='{vips}'"] if vips else []), host


def vip_order(address: Address) -> tuple[int, int]:
    return address.address.version, int(address.address.ip)


@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
def test_script_fails_loudly(shell: str, tmp_path: Path) -> None:
    """Without a network the gateway cannot be a route; the unit must not look started."""
    command = f"{SHELLS[shell]} {script(tmp_path, busybox=shell == 'busybox')}"
    result = namespace.run([f"{command} start"])
    assert result.returncode != 0
    assert result.stderr != ""


@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
def test_sysctls_come_before_addresses(shell: str, tmp_path: Path) -> None:
    """A VIP that is on lo before arp_ignore is set leaks ARP answers."""
    file = script(tmp_path, busybox=shell == "busybox")
    file.write_bytes(file.read_bytes().replace(b"ip address add", b"false"))
    result = namespace.run(
        [f"{SHELLS[shell]} {file} start || cat /proc/sys/net/ipv4/conf/all/arp_ignore"], interfaces=["eth0"]
    )
    assert result.stdout == "1\n"


@namespace.needs()
def test_ipv6_vip_needs_no_waiting(tmp_path: Path) -> None:
    """The kernel looks for no duplicates on a loopback interface, so the VIP is never tentative."""
    state = desired_state(clusters.six(), "web6", Facts())
    file = tmp_path / "real-server"
    file.write_bytes(state.files["/etc/lvsdeploy/shop/real-server"].content)
    result = namespace.run([f"sh {file} start && sh {file} status && ip -6 address show dev lo"])
    assert result.returncode == 0
    assert "2001:db8::50/128 scope global" in result.stdout
    assert "tentative" not in result.stdout


SYSCTLS = sorted(GOLDEN.glob("*/*/etc/sysctl.d/*.conf"))


@namespace.needs("sysctl")
@pytest.mark.parametrize("program", ["sysctl", "busybox"])
@pytest.mark.parametrize("file", SYSCTLS, ids=name)
def test_sysctl_files_are_read(file: Path, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    command = {"sysctl": "sysctl", "busybox": "busybox sysctl"}[program]
    tunnels = set(re.findall(r"conf\.(tunl0|lvs-[^.]*)\.", file.read_text()))
    interfaces = ["eth0", "eth1", "eth0.100", *sorted(tunnels)]
    result = namespace.run([f"{command} -p {file} >/dev/null"], interfaces=interfaces)
    no_ipvs = not Path("/proc/sys/net/ipv4/vs").exists()  # then its keys are rightly missed, and no others
    lines = result.stderr.splitlines()
    assert [line for line in lines if not (no_ipvs and re.search("net[./]ipv4[./]vs/", line))] == []
    assert result.returncode == 0 or lines
