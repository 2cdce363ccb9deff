"""The probe on a host that has IPv6, by each shell, with iproute2 and with the ip of busybox."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsdeploy.observe import Request
from lvsdeploy.state.network import Route
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
