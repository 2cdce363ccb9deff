"""What runs on a director at boot, by the kernel's own nft and iptables, in a network of its own."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired.boot import Boot
from lvsdeploy.desired.director_script import director_script
from lvsdeploy.desired.firewall import LoadedRules
from lvsdeploy.desired.templates import Templates
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.netfilter import Firewall, Ruleset
from tests.desired import namespace

if TYPE_CHECKING:
    from pathlib import Path

NAME = "lvsdeploy-shop"
NFT = f"""\
add table inet {NAME}
delete table inet {NAME}
table inet {NAME} {{
	chain marks {{
		type filter hook prerouting priority -150; policy accept;
		ip daddr 192.0.2.50 tcp dport 80 meta mark set 0x00000007
	}}
}}
"""
V4 = f"""\
*mangle
:{NAME}-in - [0:0]
-A PREROUTING -j {NAME}-in
-A {NAME}-in -d 192.0.2.50/32 -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x7/0xffffffff
COMMIT
"""
SHELLS = {"dash": "dash", "busybox": "busybox sh", "bash": "bash --posix"}


def works(*probe: str) -> bool:
    """Whether this kernel takes such rules; it may lack the modules."""
    argv = ["unshare", "-n", *probe]
    return (
        shutil.which(probe[0]) is not None
        and subprocess.run(argv, check=False, capture_output=True).returncode == 0
    )


needs_nft = pytest.mark.skipif(
    not works("nft", "add table inet x"), reason="needs root, nft and a kernel with nf_tables"
)
needs_iptables = pytest.mark.skipif(
    not works("iptables", "-t", "mangle", "-S"), reason="needs root, iptables and a kernel that has it"
)


def in_a_network(script: str, shell: str, commands: list[str]) -> str:
    """What the commands say, in a network namespace of their own; `run VERB` is the script."""
    text = "\n".join([f'run() {{ {shell} {script} "$@"; }}', *commands])
    argv = ["unshare", "-n", "sh", "-c", text]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def script(tmp_path: Path, *firewall: tuple[str, str, str]) -> str:
    """The director's script, and its rules as files beside it."""
    loaded = []
    for program, ending, rules in firewall:
        (tmp_path / f"firewall.{ending}").write_text(rules)
        loaded.append((program, str(tmp_path / f"firewall.{ending}")))
    files = LoadedRules(Ruleset(Firewall.NFT), NAME, (), tuple(loaded)) if loaded else None
    file = director_script(Templates(), "shop", files)
    (tmp_path / "director").write_bytes(file.content)
    return str(tmp_path / "director")


@needs_nft
@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
def test_nft_rules_come_and_go(shell: str, tmp_path: Path) -> None:
    said = in_a_network(
        script(tmp_path, ("nft", "nft", NFT)),
        SHELLS[shell],
        [
            "nft add table inet theirs",
            "run status; echo $?",
            "run start; run start; run status; echo $?",
            f"nft list table inet {NAME} | grep -c 'mark set'",
            "nft delete table inet lvsdeploy-shop; run restart; run status; echo $?",
            "run stop; nft list tables",
        ],
    )
    missing = f"the rules of {tmp_path}/firewall.nft are not loaded\n3\n"
    assert said == f"{missing}0\n1\n0\ntable inet theirs\ntable inet {NAME}\n"


@needs_iptables
@namespace.needs("dash", "busybox", "bash")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_iptables_rules_come_and_go(shell: str, variant: str, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for ending in ("", "-save", "-restore"):
        (folder / f"iptables{ending}").symlink_to(f"/usr/sbin/iptables-{variant}{ending}")
    file = script(tmp_path, ("iptables", "v4", V4))
    text = (tmp_path / "director").read_text()
    (tmp_path / "director").write_text(text.replace("PATH=/usr/sbin", f"PATH={folder}:/usr/sbin"))
    look = f"iptables-save -t mangle | grep -e {NAME} -e ours"
    theirs = '-A PREROUTING -m comment --comment "not ours" -j ACCEPT'
    said = in_a_network(
        file,
        SHELLS[shell],
        [
            f"PATH={folder}:$PATH",
            f"iptables -t mangle {theirs}",
            "run status; echo $?",
            "run start; run start; run status; echo $?",
            look,
            # another jump, a rule more, a chain too many, and a neighbour's
            f"iptables -t mangle -I PREROUTING -s 203.0.113.9 -j {NAME}-in",
            f"iptables -t mangle -N {NAME}-out",
            f"iptables -t mangle -A {NAME}-in -p tcp -j ACCEPT",
            f"iptables -t mangle -A {NAME}-in -j {NAME}-out",
            f"iptables -t nat -N {NAME}-in-in",
            "run start",
            look,
            "run stop; run status; echo $?",
            f"iptables-save -t nat | grep {NAME}",
        ],
    )
    rules = (
        f":{NAME}-in - [0:0]\n{theirs}\n-A PREROUTING -j {NAME}-in\n"
        f"-A {NAME}-in -d 192.0.2.50/32 -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x7/0xffffffff\n"
    )
    missing = f"the rules of {tmp_path}/firewall.v4 are not loaded\n3\n"
    assert said == f"{missing}0\n{rules}{rules}0\n:{NAME}-in-in - [0:0]\n"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize("firewall", [(), ("nft",), ("iptables", "ip6tables")])
def test_shellcheck(firewall: tuple[str, ...], tmp_path: Path) -> None:
    file = script(tmp_path, *((program, program, "") for program in firewall))
    done = subprocess.run(["shellcheck", "--shell=sh", file], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("manager", ServiceManager)
def test_one_service_runs_the_scripts_of_both_roles(manager: ServiceManager) -> None:
    """A director that is also a real server; keepalived comes after it, and other firewalls before."""
    boot = Boot(director=True, real_server=True, firewall=True)
    text = boot.unit(Templates(), "shop", manager).content.decode()
    assert "director and real server of cluster shop" in text
    assert "keepalived" in text
    assert "nftables" in text
    scripts = ["/etc/lvsdeploy/shop/director", "/etc/lvsdeploy/shop/real-server"]
    found = [word for word in text.replace(";", " ").split() if word in scripts]
    if manager is ServiceManager.SYSV:
        assert found == scripts
    else:  # stopped in the reverse order; OpenRC also asks both
        assert found == [*scripts, *reversed(scripts), *(scripts if manager is ServiceManager.OPENRC else ())]
    alone = Boot(real_server=True).unit(Templates(), "shop", manager).content.decode()
    assert "keepalived" not in alone
    assert "nftables" not in alone
