"""Netfilter rules in a transaction: exchanged, and put back as they were, by the kernel's own programs."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.model import IPV4, Protocol
from lvsdeploy.plan.change import Phase, Step
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.netfilter import Firewall, Mark, Ruleset
from tests.execute.running import SHELLS, Namespace, shell_tools
from tests.state.test_netfilter import needs_iptables, needs_nft

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

NAME = "lvsdeploy-shop"
RULES = Ruleset.of(Firewall.NFT, [Mark(ip_address("192.0.2.50"), Protocol.TCP, ((80, 80), (443, 443)), 7)])
FAIL = Step(Phase.SETTLE, ("sysctl_set", "/proc/sys/no/such/key", "1"))
THEIRS = f"""
table inet {NAME} {{
    chain marking {{ tcp dport 22 counter drop comment "it's mine"; }}
    set them {{ type mark; }}
}}
"""


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Namespace]:
    namespace = Namespace(shell_tools(tmp_path, request.param))
    yield namespace
    namespace.close()


def load(program: str) -> Step:
    text = nft.render(NAME, RULES) if program == "nft" else iptables.render(NAME, RULES, IPV4)
    return Step(Phase.NETFILTER, ("netfilter_load", program, NAME), text.encode())


def remove(program: str) -> Step:
    return Step(Phase.RELEASE, ("netfilter_remove", program, NAME))


@needs_nft
def test_a_table_of_nft(host: Namespace) -> None:
    assert host.apply(load("nft")).failed is None
    assert nft.parse(NAME, host.sh(f"nft list table inet {NAME}")) == RULES
    assert host.apply(load("nft"), load("nft")).failed is None, "as often as one likes"
    assert host.apply(remove("nft"), remove("nft")).failed is None
    assert host.sh("nft list ruleset") == ""


@needs_nft
@pytest.mark.parametrize("before", ["", THEIRS])
def test_what_was_there_comes_back_when_a_later_step_fails(host: Namespace, before: str) -> None:
    if before:
        host.sh(f"nft -f - <<'END'\n{before}\nEND")
    was = host.sh("nft list ruleset")
    outcome = host.apply(load("nft"), remove("nft"), load("nft"), FAIL)
    assert (outcome.failed, outcome.undone) == (FAIL, True)
    assert host.sh("nft list ruleset") == was
    outcome = host.apply(remove("nft"), FAIL)
    assert (outcome.failed, outcome.undone) == (FAIL, True)
    assert host.sh("nft list ruleset") == was
    assert host.sh("ls -A /var/lib/lvsdeploy 2>/dev/null || true") == ""


@needs_nft
def test_rules_that_the_kernel_refuses_change_nothing(host: Namespace) -> None:
    host.apply(load("nft"))
    was = host.sh("nft list ruleset")
    wrong = Step(Phase.NETFILTER, ("netfilter_load", "nft", NAME), f"table inet {NAME} {{ hm }}\n".encode())
    outcome = host.apply(wrong)
    assert (outcome.failed, outcome.undone) == (wrong, True)
    assert "hm" in outcome.detail
    assert host.sh("nft list ruleset") == was


@needs_iptables
def test_chains_of_iptables(host: Namespace) -> None:
    host.sh('iptables -t mangle -A PREROUTING -m comment --comment "their rule" -j ACCEPT')
    before = host.sh("iptables -t mangle -S")
    assert host.apply(load("iptables"), load("iptables")).failed is None
    found = iptables.parse(NAME, host.sh("iptables-save"))
    assert found is not None
    assert found.rules == RULES.rules
    assert found.strange == ()
    host.sh(f'iptables -t mangle -A {NAME}-in -p tcp -m comment --comment "it\'s mine" -j ACCEPT')
    host.sh(f"iptables -t mangle -I PREROUTING -s 10.0.0.1 -j {NAME}-in")
    was = host.sh("iptables -t mangle -S")
    outcome = host.apply(load("iptables"), remove("iptables"), FAIL)
    assert (outcome.failed, outcome.undone) == (FAIL, True)
    # Jumps may have changed their place among others' rules.
    assert sorted(host.sh("iptables -t mangle -S").splitlines()) == sorted(was.splitlines())
    assert host.apply(remove("iptables"), remove("iptables")).failed is None
    assert host.sh("iptables -t mangle -S") == before
    outcome = host.apply(load("iptables"), FAIL)
    assert (outcome.failed, outcome.undone) == (FAIL, True)
    assert host.sh("iptables -t mangle -S") == before
