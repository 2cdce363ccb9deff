"""The forwarding method of each destination, and of sorry servers: what hosts and the table get from it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_interface
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import desired_state, expected_table
from lvsdeploy.inventory.model import (
    Cluster,
    ForwardingMethod,
    Protocol,
    RealServer,
    SorryServer,
    SyncDaemonOptions,
    Tunnel,
    TunnelType,
    Vrrp,
)
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.ipvs import ServiceKey
from lvsdeploy.state.netfilter import ClampMss
from lvsdeploy.state.network import Address
from tests.desired import clusters
from tests.desired.clusters import DB1, INSIDE, LVS1, LVS2, PUBLIC, WEB1, WEB2, by, cluster, service, vip

if TYPE_CHECKING:
    from lvsdeploy.state.host import HostState

DR, NAT, TUN = ForwardingMethod.DR, ForwardingMethod.NAT, ForwardingMethod.TUN
FAR = RealServer("far1", "10.9.0.31", ip_address("10.9.0.31"))
GRE = Tunnel(TunnelType.GRE)


def state(whole: Cluster, host: str) -> HostState:
    return desired_state(whole, host, Facts())


def on(interface: str, address: str) -> frozenset[Address]:
    """One address."""
    return frozenset({Address(interface, ip_interface(address))})


def pool_of_all() -> Cluster:
    ways = {"far1": {"mode": TUN, "tunnel": GRE}, "db1": {"mode": NAT, "port": 8080}}
    return cluster(
        by(service("http", {WEB1: 1, FAR: 2, DB1: 3}), **ways),
        real_servers=(WEB1, FAR, DB1),
        nat=replace(INSIDE, configure_gateway=True),
    )


def test_each_destination_of_a_pool_goes_its_own_way() -> None:
    (row,) = expected_table(pool_of_all()).values()
    assert [" ".join(d.options()) for d in row.destinations] == [
        "-r 10.2.0.21:8080 -m -w 3",
        "-r 10.9.0.31:80 -i -w 2 --tun-type gre --tun-nocsum",
        "-r 192.0.2.11:80 -g -w 1",
    ]


def test_each_real_server_of_a_pool_gets_what_its_way_needs() -> None:
    whole = pool_of_all()
    near, far, inside = (state(whole, name) for name in ("web1", "far1", "db1"))
    assert (near.addresses, list(near.tunnels), near.routes) == (on("lo", "192.0.2.50/32"), [], ())
    (link,) = far.tunnels
    assert (far.addresses, far.routes) == (on(link, "192.0.2.50/32"), ())
    assert (inside.addresses, inside.sysctls, len(inside.routes)) == (frozenset(), {}, 1)
    director = state(whole, "lvs1")
    assert (director.sysctls["net.ipv4.ip_forward"], director.sysctls["net.ipv4.vs.conn_reuse_mode"]) == (
        1,
        3,
    )


def test_what_a_service_says_is_for_those_that_say_nothing() -> None:
    whole = cluster(by(service("http", {WEB1: 1}, mode=NAT), web1={"mode": DR}), nat=INSIDE)
    assert "net.ipv4.ip_forward" not in state(whole, "lvs1").sysctls
    assert state(whole, "web1").addresses == on("lo", "192.0.2.50/32")


def with_sorry(mode: ForwardingMethod, server: RealServer, own: ForwardingMethod) -> Cluster:
    """A service of WEB1 in one mode, whose sorry server is in another."""
    first = DB1 if mode is NAT else WEB1
    sorry = SorryServer(server.rip, mode=own, tunnel=GRE)
    return cluster(
        service("http", {first: 1}, mode=mode, sorry_server=sorry),
        real_servers=(first, server),
        nat=replace(INSIDE, configure_gateway=True),
    )


@pytest.mark.parametrize("mode", [NAT, TUN])
def test_a_sorry_server_in_dr_holds_the_vip(mode: ForwardingMethod) -> None:
    found = state(with_sorry(mode, WEB2, DR), "web2")
    assert (found.addresses, found.routes, list(found.tunnels)) == (on("lo", "192.0.2.50/32"), (), [])
    assert found.sysctls["net.ipv4.conf.all.arp_ignore"] == 1


@pytest.mark.parametrize("mode", [DR, TUN])
def test_a_sorry_server_in_nat_answers_through_the_director(mode: ForwardingMethod) -> None:
    whole = with_sorry(mode, DB1, NAT)
    found = state(whole, "db1")
    assert (found.addresses, len(found.routes), found.tunnels) == (frozenset(), 1, {})
    assert state(whole, "lvs1").sysctls["net.ipv4.ip_forward"] == 1


@pytest.mark.parametrize("mode", [DR, NAT])
def test_a_sorry_server_in_tun_unwraps(mode: ForwardingMethod) -> None:
    found = state(with_sorry(mode, FAR, TUN), "far1")
    (link,) = found.tunnels
    assert found.tunnels[link].kind.value == "gre"
    assert (found.addresses, found.routes) == (on(link, "192.0.2.50/32"), ())


@pytest.mark.parametrize(("mode", "families"), [(DR, [4]), (TUN, [4, 6])])
def test_a_sorry_server_of_one_family(mode: ForwardingMethod, families: list[int]) -> None:
    """Keepalived refuses one of the other family, but for a tunnel."""
    web = replace(WEB1, rip6=IPv6Address("2001:db8::11"))
    sorry = SorryServer(WEB2.rip, mode=mode, inhibit=True)
    whole = cluster(service("http", {web: 1}, vips=(PUBLIC, vip("2001:db8::50")), sorry_server=sorry))
    table = expected_table(whole)
    with_it = [
        key.family for key, row in table.items() if ("192.0.2.12", 80) in {d.key for d in row.destinations}
    ]
    assert with_it == families
    (conf,) = (
        f.content.decode() for p, f in state(whole, "lvs1").files.items() if p.endswith("keepalived.conf")
    )
    assert conf.count("    sorry_server 192.0.2.12 80\n") == len(families)
    assert conf.count("sorry_server") == 3 * len(families)
    held = {a.address.version for a in state(whole, "web2").addresses}
    assert sorted(held) == families


def test_a_director_as_the_sorry_server_is_a_real_server_of_the_others() -> None:
    own = RealServer("lvs2", "192.0.2.3", LVS2.dip, interface="eth0")
    whole = cluster(
        service("http", {WEB1: 1}, sorry_server=SorryServer(LVS2.dip)),
        directors=(LVS1, LVS2),
        real_servers=(WEB1, own),
        vrrp=Vrrp(sync_daemon=SyncDaemonOptions("eth0", 51)),
    )
    found = state(whole, "lvs2")
    assert on("lo", "192.0.2.50/32") <= found.addresses
    assert found.sysctls["net.ipv4.vs.backup_only"] == 1
    assert state(replace(whole, directors=(LVS2,)), "lvs2").addresses == frozenset(), "its own is local"


def test_clamped_segments_are_those_of_each_tunnel() -> None:
    small = Tunnel(clamp_mss=1200)
    whole = cluster(
        by(
            service("http", {WEB1: 1, FAR: 1}, mode=TUN, tunnel=Tunnel(clamp_mss=1360)),
            far1={"tunnel": small},
        ),
        real_servers=(WEB1, FAR),
    )
    for name, mss in {"web1": 1360, "far1": 1200}.items():
        found = state(whole, name).netfilter
        assert found is not None
        assert found.rules == (ClampMss(PUBLIC.ip, mss),)


def test_every_way_has_every_way() -> None:
    """The whole cluster of the golden files is what its description says."""
    table = expected_table(clusters.every_way())
    pool = table[ServiceKey(Protocol.TCP, "192.0.2.50", 80)]
    assert {d.forwarding.name for d in pool.destinations} == {"DR", "NAT", "TUN"}
    marked = table[ServiceKey(None, "", 0, 7, 6)]
    assert (marked.netmask, {d.forwarding.name for d in marked.destinations}) == ("64", {"TUN"})
