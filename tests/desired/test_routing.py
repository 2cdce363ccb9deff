"""The sysctls of a NAT director, by address family and by what is found on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired import desired_state
from lvsdeploy.desired.routing import FORWARD, FORWARD_SIXTH, routing_sysctls
from lvsdeploy.inventory.model import Cluster, ForwardingMethod
from lvsdeploy.observe import network
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.host import HostState
from lvsdeploy.state.sysctl import conf
from tests.desired import clusters

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSCTL_D = "/etc/sysctl.d/90-lvsdeploy-shop.conf"
ADVERTISED = "default via fe80::1 dev eth0 proto ra metric 1024 expires 1790sec pref medium"


def found(*lines: str, **accept_ra: int) -> HostState:
    """A director with these default routes, and accept_ra by interface."""
    keys = {conf(name.replace("_", "."), "accept_ra", 6): value for name, value in accept_ra.items()}
    return HostState(routes=network.parse(lines).routes, sysctls=keys)


def sixth(actual: HostState | None) -> Mapping[str, int]:
    cluster = clusters.dual_stack()
    sysctls = routing_sysctls(cluster, cluster.directors[0], actual)
    return {key: value for key, value in sysctls.items() if key.startswith("net.ipv6.")}


def only(version: int) -> Cluster:
    """The cluster with the VIPs of one family."""
    cluster = clusters.dual_stack()
    services = tuple(
        replace(s, pools=tuple(pool for pool in s.pools if pool.version == version)) for s in cluster.services
    )
    return replace(cluster, services=services)


def test_each_family_is_forwarded_only_where_a_nat_service_has_it() -> None:
    director = clusters.dual_stack().directors[0]
    both = routing_sysctls(clusters.dual_stack(), director, None)
    assert (both[FORWARD], both[FORWARD_SIXTH]) == (1, 1)
    assert FORWARD_SIXTH not in routing_sysctls(only(4), director, None)
    assert routing_sysctls(only(6), director, None) == {FORWARD_SIXTH: 1}
    dr = [s for s in clusters.dual_stack().services if s.mode is ForwardingMethod.DR]
    assert routing_sysctls(replace(clusters.dual_stack(), services=tuple(dr)), director, None) == {}


def test_advertised_default_routes_outlast_forwarding() -> None:
    """First accept_ra: the kernel drops these routes the moment it begins to forward."""
    keys = list(sixth(found(ADVERTISED, eth0=1, eth1=1)).items())
    assert keys == [(conf("eth0", "accept_ra", 6), 2), (FORWARD_SIXTH, 1)]


def test_an_interface_that_was_made_to_heed_advertisements_stays_so() -> None:
    """Also while its router is away: otherwise the route could not come back."""
    assert sixth(found(eth0=2, eth1=1, all=2, default=2)) == {
        conf("eth0", "accept_ra", 6): 2,
        FORWARD_SIXTH: 1,
    }


def test_where_somebody_else_than_the_kernel_reads_advertisements() -> None:
    assert sixth(found(ADVERTISED, eth0=0)) == {FORWARD_SIXTH: 1}
    assert sixth(found("default via 2001:db8::1 dev eth0 metric 1024 pref medium", eth0=1)) == {
        FORWARD_SIXTH: 1
    }
    assert sixth(None) == {FORWARD_SIXTH: 1}


def test_the_file_has_what_is_set() -> None:
    def text(actual: HostState | None) -> list[str]:
        content = desired_state(clusters.dual_stack(), "lvs1", Facts(), actual).files[SYSCTL_D].content
        return [line for line in content.decode().splitlines() if line.startswith("net") and "6" in line]

    assert text(None) == ["net.ipv6.conf.all.forwarding = 1"]
    named = ADVERTISED.replace("eth0", "eth0.100")
    assert text(found(named, eth0_100=1)) == [
        "net/ipv6/conf/eth0.100/accept_ra = 2",
        "net.ipv6.conf.all.forwarding = 1",
    ]
    assert text(None) == ["net.ipv6.conf.all.forwarding = 1"]
