"""Netfilter rules as they come, in any combination."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.netfilter import ClampMss, Firewall, Mark, Masquerade, Ruleset

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

_ipv4 = st.integers(0x0B000000, 0x7E000000).map(ip_address)
_ipv6 = st.integers(2, 2**64).map(lambda n: ip_address((0x20010DB8 << 96) + n))
_ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda pair: (min(pair), max(pair)))
_alone = st.integers(0, 65535).map(lambda port: (port, port))


@st.composite
def _masquerades(draw: st.DrawFn) -> Masquerade:
    vip = draw(st.one_of(_ipv4, _ipv6))
    client = draw(_ipv4 if vip.version == 4 else _ipv6)
    length = draw(st.integers(8, vip.max_prefixlen))
    clients: IPv4Network | IPv6Network = ip_network(f"{client}/{length}", strict=False)
    return Masquerade(vip, clients)


_rules = st.one_of(
    st.builds(
        Mark,
        st.one_of(_ipv4, _ipv6),
        st.sampled_from(Protocol),
        st.lists(st.one_of(_ports, _alone, _alone), max_size=40).map(tuple),
        st.integers(1, 2**32 - 1),
    ),
    _masquerades(),
    st.builds(ClampMss, st.one_of(_ipv4, _ipv6), st.integers(536, 65495)),
)


@st.composite
def _neighbours(draw: st.DrawFn) -> list[Mark]:
    """Marks that differ in their address alone, of addresses of which many stand side by side."""
    first = draw(st.one_of(_ipv4, _ipv6))
    offsets = draw(st.sets(st.integers(0, 300), min_size=1, max_size=60))
    offsets |= set(range(draw(st.integers(0, 300))))
    ports = tuple(draw(st.lists(_alone, max_size=3)))
    return [Mark(first + n, Protocol.TCP, ports, 9) for n in offsets]


def rulesets(program: Firewall) -> st.SearchStrategy[Ruleset]:
    """Any rules, in order."""
    return st.builds(
        lambda rules, neighbours: Ruleset.of(program, [*rules, *neighbours]),
        st.lists(_rules, max_size=5),
        st.just([]) | _neighbours(),
    )
