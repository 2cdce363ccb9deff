"""The probe on a host that has IPv6, by each shell, with iproute2 and with the ip of busybox."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from lvsdeploy.observe import Request
from lvsdeploy.state.network import Route, Rule, Way
from tests.observe.sandbox import needs_namespaces

if TYPE_CHECKING:
    from tests.observe.sandbox import Sandbox

pytestmark = needs_namespaces

SET_UP = [
    "ip link add eth0 type veth peer name far",
    "ip link set eth0 up; ip link set far up",
    "ip address add 192.0.2.11/24 dev eth0",
    "ip -6 address add 2001:db8::11/64 dev eth0 nodad",
    "ip route add default via 192.0.2.1",
    "ip route add default via 192.0.2.9 table 100",
    "ip -6 route add default via 2001:db8::1 proto static",
    "ip -6 route add default via fe80::1 dev eth0 proto ra metric 512 expires 1800",
    "ip -6 route add default dev far metric 4000",
]


def test_default_routes_of_both_families(sandbox: Sandbox) -> None:
    sandbox.setup = list(SET_UP)
    if sandbox.shell != "busybox":  # its ip does not tell the tables of IPv6 apart
        sandbox.setup.append("ip -6 route add default via 2001:db8::9 metric 5 table 100")
    seen = sandbox.observe(Request()).state.routes
    assert seen == (
        Route(ip_address("192.0.2.1"), "eth0"),
        Route(ip_address("fe80::1"), "eth0", 512, 6),
        Route(ip_address("2001:db8::1"), "eth0", 1024, 6),
        Route(None, "far", 4000, 6),
    )
    assert [route.advertised for route in seen] == [False, True, False, False]
    assert seen[1].words == ()
    words = " ".join(seen[2].words)
    assert words.startswith("default via 2001:db8::1 dev eth0 ")
    assert "metric 1024" in words


def test_sysctls_of_ipv6(sandbox: Sandbox) -> None:
    sandbox.setup = [
        *SET_UP,
        "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
        "echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra",
        "echo 0 >/proc/sys/net/ipv6/conf/far/accept_ra",
        "echo 1 >/proc/sys/net/ipv6/conf/far/disable_ipv6",
    ]
    sysctls = sandbox.observe(Request()).state.sysctls
    assert sysctls["net.ipv6.conf.all.forwarding"] == 1
    assert sysctls["net.ipv6.conf.eth0.forwarding"] == 1
    assert sysctls["net.ipv6.conf.eth0.accept_ra"] == 2
    assert sysctls["net.ipv6.conf.eth0.disable_ipv6"] == 0
    assert sysctls["net.ipv6.conf.far.accept_ra"] == 0
    assert sysctls["net.ipv6.conf.far.disable_ipv6"] == 1


def test_addresses_that_serve_nobody(sandbox: Sandbox) -> None:
    """One that another machine has, and one that may be asked for yet: its link has no carrier."""
    sandbox.setup = [
        *SET_UP,
        "ip -6 address add 2001:db8::50/64 dev far nodad",
        "ip -6 address add 2001:db8::50/64 dev eth0",
        "n=0; until ip address show dev eth0 | grep -q dadfailed; do sleep 0.1; [ $((n += 1)) -lt 40 ]; done",
        "ip link add eth1 type veth peer name away; ip link set eth1 up",
        "ip -6 address add 2001:db8:1::1/64 dev eth1",
    ]
    seen = sandbox.observe(Request())
    assert {str(address) for address in seen.duplicate} == {"2001:db8::50/64 on eth0"}
    assert "2001:db8:1::1/64 on eth1" in {str(address) for address in seen.tentative}
    assert "2001:db8::50/64 on eth0" not in {str(address) for address in seen.tentative}


def test_policy_routing_and_ways(sandbox: Sandbox) -> None:
    """Which table a packet takes by its source, and how the kernel would send to an address."""
    sandbox.setup = [
        *SET_UP,
        "ip link set far mtu 1400; ip address add 10.2.0.2/24 dev far",
        "ip route add 10.3.0.0/16 via 10.2.0.1 dev far",
        "ip route add 10.4.0.0/16 via 192.0.2.9 mtu 1300",
        "ip route add unreachable 10.5.0.0/16",
        "ip rule add from 192.0.2.11 lookup 100 priority 99",
        "ip rule add from 192.0.2.11 lookup main suppress_prefixlength 0 priority 98",
        "ip rule add from 192.0.2.11 fwmark 7 lookup 101 priority 97",
        "ip -6 rule add from 2001:db8::/64 lookup 200 priority 50",
    ]
    far, near, slow, nowhere, six = map(
        ip_address, ("10.3.0.1", "198.51.100.1", "10.4.0.1", "10.5.0.1", "2001:db8:9::1")
    )
    asked = Request(ways=(nowhere, far, near, slow, six), policy=True)
    state = sandbox.observe(asked).state
    assert state.ways == {
        far: Way("far"),
        near: Way("eth0"),
        slow: Way("eth0", 1300 if sandbox.shell != "busybox" else None),  # its ip does not tell
        six: Way("eth0"),
    }
    if sandbox.shell == "busybox":  # its ip does not tell tables apart
        assert (state.rules, state.tables) == ({}, {})
        return
    rip = ip_network("192.0.2.11")
    assert state.rules[4] == (
        Rule(None, "local"),
        Rule(rip, "main", passes_default=True),
        Rule(rip, "100"),
        Rule(None, "main"),
        Rule(None, "default"),
    )
    assert state.rules[6][1] == Rule(ip_network("2001:db8::/64"), "200")
    assert state.tables == {"100": (Route(ip_address("192.0.2.9"), "eth0"),)}
    assert [str(r) for r in state.defaults_from(ip_address("192.0.2.11"))] == [
        "default via 192.0.2.9 dev eth0"
    ]
    assert [str(r) for r in state.defaults_from(ip_address("192.0.2.50"))] == [
        "default via 192.0.2.1 dev eth0"
    ]
    assert 6 not in sandbox.observe(Request()).state.rules
