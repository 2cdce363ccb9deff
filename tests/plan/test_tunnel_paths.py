"""Mode tun on live hosts: the way to the real servers, and back."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.model import ForwardingMethod, RealServer, Tunnel, TunnelType
from lvsdeploy.plan import live
from lvsdeploy.plan.change import Role
from lvsdeploy.state.network import Rule, Way
from tests.desired import clusters
from tests.plan.hosts import FACTS, converged, on, plan, routes
from tests.plan.test_live import states

if TYPE_CHECKING:
    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.host import HostState

FAR = RealServer("far1", "10.2.0.11", ip_address("10.2.0.11"), rip6=IPv6Address("2001:db8:2::11"))


def tun(*addresses: str, **tunnel: Any) -> Cluster:
    """One service in mode tun with these VIPs, and one real server behind a router."""
    vips = tuple(clusters.vip(address) for address in addresses or ("192.0.2.50/32",))
    return clusters.cluster(
        clusters.service("http", {FAR: 1}, vips=vips, mode=ForwardingMethod.TUN, tunnel=Tunnel(**tunnel)),
        directors=(clusters.BOTH1,),
        real_servers=(FAR,),
    )


def found(cluster: Cluster, seen: dict[str, HostState]) -> list[Finding]:
    return list(live.about_the_cluster(cluster, seen, {}, {}, whole=False))


def lines(cluster: Cluster, seen: dict[str, HostState]) -> list[str]:
    return [f"{f.host}: {f.code} {f.summary}" for f in found(cluster, seen)]


def director_with(cluster: Cluster, **mtus: int) -> dict[str, HostState]:
    """The director with interfaces of these MTUs; its default route is by eth0."""
    return {"lvs1": replace(states(cluster)["lvs1"], mtus=mtus)}


# --- LVS543: the size of what is wrapped --------------------------------------------------------------------


def test_a_full_packet_does_not_fit_the_tunnel() -> None:
    cluster = tun()
    (finding,) = found(cluster, director_with(cluster, eth0=1500))
    assert (finding.code, finding.host, finding.is_error, finding.drift) == ("LVS543", "lvs1", False, False)
    assert finding.summary == (
        "http: of the MTU of eth0, 1500, ipip to far1 (10.2.0.11) takes 20, and a client's packet of 1500 "
        "does not fit"
    )
    assert finding.fix == (
        "Let the real servers ask for smaller segments with `tunnel: {clamp_mss: true}`, or raise the MTU to "
        "1520 on the whole way to the real servers."
    )
    assert found(cluster, director_with(cluster, eth0=1520)) == []
    assert len(found(cluster, director_with(cluster, eth0=1519))) == 1
    assert found(cluster, director_with(cluster, eth1=1500)) == [], "nobody knows"


@pytest.mark.parametrize(
    ("kind", "options", "takes"),
    [
        (TunnelType.IPIP, {}, "ipip to far1 (10.2.0.11) takes 20"),
        (TunnelType.GRE, {}, "gre to far1 (10.2.0.11) takes 24"),
        (TunnelType.GRE, {"checksum": "csum"}, "gre to far1 (10.2.0.11) takes 28"),
        (TunnelType.GUE, {}, "gue (in UDP) to far1 (10.2.0.11) takes 32"),
        (TunnelType.GUE, {"checksum": "remcsum"}, "gue (in UDP) to far1 (10.2.0.11) takes 40"),
    ],
)
def test_what_each_type_takes(kind: TunnelType, options: dict[str, str], takes: str) -> None:
    cluster = tun(type=kind, **options)
    (line,) = lines(cluster, director_with(cluster, eth0=1500))
    assert takes in line
    added = int(takes.rpartition(" ")[2])
    assert lines(cluster, director_with(cluster, eth0=1500 + added)) == []


def test_segments_that_are_clamped_fit() -> None:
    clamped = tun(clamp_mss=1440)  # and 40 of IP and TCP, and 20 of the outer IP
    assert found(clamped, director_with(clamped, eth0=1500)) == []
    (finding,) = found(clamped, director_with(clamped, eth0=1499))
    assert finding.summary == (
        "http: of the MTU of eth0, 1499, ipip to far1 (10.2.0.11) takes 20, and a client's packet of 1480 "
        "does not fit"
    )
    assert "`tunnel: {clamp_mss: 1439}`" in finding.fix
    six = tun("2001:db8:1::50/128", clamp_mss=1400)  # 60 of IPv6 and TCP, and 40 of the outer IPv6
    seen = director_with(six, eth0=1500)
    way = routes("default via fe80::1 dev eth0 metric 1024 pref medium")
    seen["lvs1"] = replace(seen["lvs1"], routes=way)
    assert found(six, seen) == []
    assert len(found(six, {"lvs1": replace(seen["lvs1"], mtus={"eth0": 1499})})) == 1


def test_an_interface_in_the_real_servers_network_is_the_way() -> None:
    cluster = tun()
    seen = director_with(cluster, eth0=1500, eth1=9000)
    inside = replace(seen["lvs1"], addresses=seen["lvs1"].addresses | {on("eth1", "10.2.0.2/24")})
    assert len(found(cluster, seen)) == 1
    assert found(cluster, {"lvs1": inside}) == []


def test_each_real_server_has_a_tunnel_of_its_own() -> None:
    """By NAT nothing is wrapped; of two tunnels, the one that clamps enough fits."""
    near = replace(FAR, name="far2", rip=ip_address("10.2.0.12"))
    service = clusters.service("http", {FAR: 1, near: 1}, mode=ForwardingMethod.NAT)
    gre = {"mode": ForwardingMethod.TUN, "tunnel": Tunnel(TunnelType.GRE)}
    small = {"mode": ForwardingMethod.TUN, "tunnel": Tunnel(clamp_mss=1300)}
    servers, nat = (FAR, near), clusters.INSIDE

    def said(**ways: dict[str, Any]) -> list[str]:
        cluster = clusters.cluster(clusters.by(service, **ways), real_servers=servers, nat=nat)
        seen = director_with(cluster, eth0=1500, eth1=1500)
        return [line for line in lines(cluster, seen) if "LVS543" in line]

    assert said(far2=small) == []
    (line,) = said(far1=small, far2=gre)
    assert "gre to far2 (10.2.0.12) takes 24" in line


def test_a_service_is_told_of_once() -> None:
    far2 = replace(FAR, name="far2", address="10.2.0.12", rip=ip_address("10.2.0.12"))
    service = clusters.service("http", {FAR: 1, far2: 1}, 80, 443, mode=ForwardingMethod.TUN)
    cluster = clusters.cluster(service, directors=(clusters.BOTH1,), real_servers=(FAR, far2))
    assert len(found(cluster, director_with(cluster, eth0=1500))) == 1
    direct = clusters.smallest()
    assert found(direct, director_with(direct, eth0=1500)) == [], "nothing is wrapped"


# --- LVS544: what unwraps it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "module"),
    [
        *(("far1", module) for module in ("ipip", "ip_gre", "fou", "ip6_tunnel")),
        ("far6", "ip6_gre"),
        ("web1", "sit"),
    ],
)
def test_a_kernel_that_cannot_unwrap(host: str, module: str) -> None:
    lacking = replace(FACTS, kernel="6.1.0", available_modules=FACTS.available_modules - {module})
    context = converged(clusters.tunnels(), host)
    (finding,) = plan(replace(context, facts=lacking), Role.REAL_SERVER).findings
    assert (finding.code, finding.host, finding.is_error) == ("LVS544", host, True)
    assert finding.summary == f"kernel 6.1.0 has no module {module}"
    unknown = replace(lacking, kernel="", modules_listed=False)
    (finding,) = plan(replace(context, facts=unknown), Role.REAL_SERVER).findings
    assert (finding.summary, finding.is_error) == (f"kernel of this host has no module {module}", False)


def test_a_kernel_that_has_what_is_needed() -> None:
    loaded = replace(FACTS, modules=FACTS.modules | FACTS.available_modules, available_modules=frozenset())
    for facts in (FACTS, loaded):
        context = replace(converged(clusters.tunnels(), "far1"), facts=facts)
        assert plan(context, Role.REAL_SERVER).findings == ()
    lacking = replace(FACTS, available_modules=FACTS.available_modules - {"ip_gre", "sit"})
    direct = replace(converged(clusters.smallest(), "web1"), facts=lacking)
    assert plan(direct, Role.REAL_SERVER).findings == ()


# --- LVS545: the way back -----------------------------------------------------------------------------------


def server_with(cluster: Cluster, *lines: str) -> dict[str, HostState]:
    """The real server with these default routes, and the director."""
    seen = director_with(cluster, eth0=9000)
    return {**seen, "far1": replace(states(cluster)["far1"], routes=routes(*lines))}


def test_replies_go_to_a_director() -> None:
    cluster = tun()
    seen = server_with(cluster, "default via 192.0.2.2 dev eth0")
    (finding,) = found(cluster, seen)
    assert (finding.code, finding.host, finding.is_error, finding.drift) == ("LVS545", "far1", False, False)
    assert finding.summary == (
        "the default route is `default via 192.0.2.2 dev eth0`, and that is lvs1, which drops what comes "
        "from its own VIP"
    )
    elsewhere = replace(seen["lvs1"], addresses=seen["lvs1"].addresses | {on("eth1", "10.2.0.2/24")})
    inside = server_with(cluster, "default via 10.2.0.2 dev eth0")
    assert len(found(cluster, {**inside, "lvs1": elsewhere})) == 1, "any address of a director"
    assert found(cluster, {"far1": seen["far1"]})[0].code == "LVS545", "its DIP is declared"


@pytest.mark.parametrize(
    "now",
    [
        ["default via 10.2.0.1 dev eth0"],
        ["default via 10.2.0.1 dev eth0", "default via 192.0.2.2 dev eth0 metric 100"],
        [],
        ["default dev ppp0 scope link"],
        ["default via 2001:db8::2 dev eth0 metric 1024 pref medium"],
    ],
    ids=["a router", "the director comes second", "none", "no gateway", "the VIP is of the other family"],
)
def test_replies_go_elsewhere(now: list[str]) -> None:
    cluster = tun()
    assert found(cluster, server_with(cluster, *now)) == []


def test_replies_of_ipv6_go_to_a_director() -> None:
    cluster = tun("2001:db8:1::50/128")
    back = "default via 2001:db8::2 dev eth0 metric 1024 pref medium"
    assert [f.code for f in found(cluster, server_with(cluster, back))] == ["LVS545"]


def test_replies_of_dr_go_to_a_director() -> None:
    cluster = clusters.smallest()
    seen = states(cluster)
    seen["web1"] = replace(seen["web1"], routes=routes("default via 192.0.2.2 dev eth0"))
    (finding,) = found(cluster, seen)
    assert (finding.code, finding.host, finding.is_error, finding.drift) == ("LVS545", "web1", False, False)
    assert finding.summary == (
        "the default route is `default via 192.0.2.2 dev eth0`, and that is lvs1, which drops what comes "
        "from its own VIP"
    )


def shared(*lines: str, rules: tuple[Rule, ...] = (), table: str = "") -> dict[str, HostState]:
    """A real server in DR and in NAT; the default route of a table, and rules, beside those of main."""
    seen = states(clusters.mixed(), lvs1="eth1 10.2.0.2/24", lvs2="eth1 10.2.0.3/24")
    tables = {"100": routes(table)} if table else {}
    policy = {4: rules} if rules else {}
    seen["web2"] = replace(seen["web2"], routes=routes(*lines), tables=tables, rules=policy)
    return seen


ROUTER, GATEWAY = "default via 192.0.2.1 dev eth0", "default via 10.2.0.1 dev eth0"
LOCAL, ALL = Rule(None, "local"), Rule(None, "main")
FROM_RIP, FROM_VIP = (Rule(ip_network(ip), "100") for ip in ("192.0.2.12", "192.0.2.50/32"))


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (shared(ROUTER), False),
        (shared(GATEWAY), True),
        (shared(ROUTER, rules=(LOCAL, FROM_RIP, ALL), table=GATEWAY), False),
        (shared(GATEWAY, rules=(LOCAL, FROM_RIP, ALL), table=ROUTER), True),
        (shared(GATEWAY, rules=(LOCAL, FROM_VIP, ALL), table=ROUTER), False),
        (shared(ROUTER, rules=(LOCAL, FROM_VIP, ALL), table=GATEWAY), True),
        (shared(ROUTER, rules=(replace(ALL, passes_default=True), FROM_VIP), table=GATEWAY), True),
    ],
)
def test_a_shared_real_server(seen: dict[str, HostState], told: bool) -> None:  # noqa: FBT001
    line = (
        "web2: LVS545 the default route is `default via 10.2.0.1 dev eth0`, and that is the directors' "
        "gateway, which drops what comes from its own VIP"
    )
    assert lines(clusters.mixed(), seen) == ([line] if told else [])


# --- what the kernel says of the way ------------------------------------------------------------------------


def test_the_kernel_is_asked_for_the_way() -> None:
    """A static route leads elsewhere than the default route; and a route may have an MTU of its own."""
    cluster, rip = tun(), ip_address("10.2.0.11")
    seen = director_with(cluster, eth0=9000, eth1=1500)

    def told(way: Way) -> list[str]:
        return lines(cluster, {"lvs1": replace(seen["lvs1"], ways={rip: way})})

    assert lines(cluster, seen) == []
    assert told(Way("eth0")) == []
    (line,) = told(Way("eth1"))
    assert line.startswith("lvs1: LVS543 http: of the MTU of eth1, 1500, ipip to far1 (10.2.0.11) takes 20,")
    (line,) = told(Way("eth0", 1400))
    assert line.startswith("lvs1: LVS543 http: of the MTU of eth0, 1400, ipip to far1 (10.2.0.11) takes 20,")
    assert told(Way("eth0", 1520)) == []
    assert len(told(Way("eth1", 9000))) == 1, "the interface takes no more"
    assert told(Way("eth7")) == [], "nobody knows"
