"""The cluster's netfilter rules as the probe finds them, with the kernel's own nft and iptables."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.model import IPV4, IPV6, Protocol
from lvsdeploy.observe import Request, netfilter
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.netfilter import ClampMss, Firewall, Mark, Ruleset
from tests.observe.sandbox import needs_namespaces
from tests.state.test_netfilter import needs_iptables, needs_nft

if TYPE_CHECKING:
    from lvsdeploy.state.netfilter import Rule
    from tests.observe.sandbox import Sandbox

NAME = "lvsdeploy-shop"
RULES: tuple[Rule, ...] = (
    Mark(ip_address("192.0.2.50"), Protocol.TCP, ((80, 80), (8000, 8010)), 7),
    Mark(ip_address("2001:db8::50"), Protocol.TCP, ((80, 80),), 7),
    ClampMss(ip_address("192.0.2.51"), 1400),
)
ASKED = Request(rules_of="shop", ruled=True)
OWN_ETC = [
    "mount -t tmpfs none /mnt",
    "mkdir /mnt/upper /mnt/work",
    "mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work none /etc",
    "mkdir -p /etc/lvsdeploy/shop",
]


def loaded(program: Firewall) -> list[str]:
    """Commands that load rules."""
    wanted = Ruleset.of(program, RULES)
    if program is Firewall.NFT:
        return [f"nft -f - <<'END'\n{nft.render(NAME, wanted)}END"]
    return [
        f"{loader}-restore --noflush <<'END'\n{iptables.render(NAME, wanted, version)}END"
        for version, loader in ((IPV4, "iptables"), (IPV6, "ip6tables"))
    ]


@needs_namespaces
@needs_nft
def test_rules_of_nft(sandbox: Sandbox) -> None:
    seen = sandbox.observe(ASKED)
    assert (seen.facts.firewall, seen.state.netfilter) == (Firewall.NFT, None)
    sandbox.setup = ["nft add table inet theirs", *loaded(Firewall.NFT)]
    seen = sandbox.observe(ASKED)
    assert (seen.facts.firewall, seen.state.netfilter) == (Firewall.NFT, Ruleset.of(Firewall.NFT, RULES))
    sandbox.setup += [
        f"nft delete chain inet {NAME} clamping",
        f"nft add rule inet {NAME} marking tcp dport 22 counter drop",
    ]
    found = sandbox.observe(ASKED).state.netfilter
    assert found is not None
    assert found.lacks(Ruleset.of(Firewall.NFT, RULES)) == (RULES[2],)
    assert found.strange == ("tcp dport 22 counter packets 0 bytes 0 drop",)


@needs_namespaces
@needs_iptables
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_rules_of_iptables_where_nft_does_not_work(sandbox: Sandbox, variant: str) -> None:
    """As on a kernel whose nf_tables knows bridges only, or with a program that is older than the kernel."""
    hidden = [
        "mount --bind /bin/false /usr/sbin/nft",
        *(
            f"mount --bind /usr/sbin/xtables-{'nft' if variant == 'nft' else 'legacy'}-multi {path}"
            for path in ("/usr/sbin/xtables-nft-multi", "/usr/sbin/xtables-legacy-multi")
            if variant not in path
        ),
    ]
    sandbox.setup = hidden
    seen = sandbox.observe(ASKED)
    assert (seen.facts.firewall, seen.state.netfilter) == (Firewall.IPTABLES, None)
    sandbox.setup = [*hidden, *loaded(Firewall.IPTABLES), "iptables -A INPUT -j ACCEPT"]
    wanted = Ruleset.of(Firewall.IPTABLES, RULES)
    assert sandbox.observe(ASKED).state.netfilter == wanted
    sandbox.setup += [
        "ip6tables -t mangle -F PREROUTING",
        f"iptables -t mangle -A {NAME}-in -j ACCEPT",
        f"iptables -t mangle -D {NAME}-out 1",
    ]
    found = sandbox.observe(ASKED).state.netfilter
    assert found is not None
    assert found.lacks(wanted) == (RULES[2],)
    assert found.strange == (f"-A {NAME}-in -j ACCEPT", f"no jump to {NAME}-in")


@needs_namespaces
@needs_nft
def test_undeclared_rules_are_looked_for_where_files_tell_of_some(sandbox: Sandbox) -> None:
    undeclared = Request(rules_of="shop")
    sandbox.setup = [*loaded(Firewall.NFT), *OWN_ETC]
    assert sandbox.observe(undeclared).state.netfilter is None
    sandbox.setup.append("touch /etc/lvsdeploy/shop/firewall.nft")
    assert sandbox.observe(undeclared).state.netfilter == Ruleset.of(Firewall.NFT, RULES)
    assert sandbox.observe(Request()).state.netfilter is None, "nobody asked"


@needs_namespaces
@needs_nft
@needs_iptables
def test_rules_stay_with_the_program_that_loaded_them(sandbox: Sandbox) -> None:
    """Nft may come to a host later."""
    sandbox.setup = [*loaded(Firewall.IPTABLES), *OWN_ETC, "touch /etc/lvsdeploy/shop/firewall.v4"]
    seen = sandbox.observe(ASKED)
    assert seen.facts.firewall is Firewall.IPTABLES
    assert seen.state.netfilter == Ruleset.of(Firewall.IPTABLES, RULES)


def test_what_a_host_says_is_cut_and_cleaned() -> None:
    text = f"table inet {NAME} {{\n" + "\x1b[2J evil\n" * 30 + "}\n"
    works, found = netfilter.parse("shop", "nft", {"nft": text})
    assert works is Firewall.NFT
    assert found is not None
    assert len(found.strange) == 21
    assert found.strange[0] == "[2J evil"
    assert found.strange[-1] == "and 10 more"


def test_nothing_loads_rules() -> None:
    assert netfilter.parse("shop", "none", {}) == (None, None)
    with pytest.raises(ValueError, match="pf"):
        netfilter.parse("shop", "pf", {})
