"""What stands around the hosts, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsdeploy.inventory.model import Cluster, ForwardingMethod, Protocol, SorryServer, Tunnel, TunnelType
from lvsdeploy.observe import Surroundings
from lvsdeploy.observe.surroundings import Listener
from lvsdeploy.plan import surroundings
from tests.desired import clusters
from tests.plan.test_firewall import USUAL, nft

CLUSTER = clusters.cluster(
    clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 1}),
    directors=(clusters.LVS1, clusters.LVS2),
)
LVS1, LVS2, WEB1 = "52:54:00:00:00:02", "52:54:00:00:00:03", "52:54:00:00:00:11"


def told(cluster: Cluster, **seen: Surroundings) -> list[str]:
    """Findings as `CODE host: summary`."""
    return [f"{f.code} {f.host}: {f.summary}" for f in surroundings.findings(cluster, seen)]


def listening(*sockets: str) -> Surroundings:
    """`tcp 192.0.2.11 80`: a real server with these listeners."""
    words = [socket.split() for socket in sockets]
    return Surroundings(listeners=frozenset(Listener(Protocol(p), a, int(n)) for p, a, n in words))


@pytest.mark.parametrize(
    "socket", ["tcp 0.0.0.0 80", "tcp * 80", "tcp 192.0.2.50 80"], ids=["all", "both families", "the VIP"]
)
def test_a_dr_real_server_that_listens(socket: str) -> None:
    assert told(CLUSTER, web1=listening(socket)) == []


def test_nothing_listens() -> None:
    said = ["LVS554 web1: nothing listens on tcp port 80, which http is to serve on"]
    assert told(CLUSTER, web1=listening("tcp 0.0.0.0 22", "udp 0.0.0.0 80")) == said
    assert told(CLUSTER, web1=listening("tcp 0.0.0.0 22"), web2=listening("tcp * 80")) == said
    assert told(CLUSTER, web1=Surroundings()) == []  # it could not tell


@pytest.mark.parametrize("address", ["192.0.2.11", "127.0.0.1", "::"])
def test_it_listens_elsewhere(address: str) -> None:
    (line,) = told(CLUSTER, web1=listening(f"tcp {address} 80"))
    assert line == f"LVS555 web1: tcp port 80 is listened on at {address}, and not at 192.0.2.50"


def test_in_nat_packets_arrive_for_the_rip_and_its_port() -> None:
    nat = clusters.cluster(
        clusters.service("api", {clusters.DB1: 1}, rport=8080, mode=ForwardingMethod.NAT),
        real_servers=(clusters.DB1,),
        nat=clusters.INSIDE,
    )
    assert told(nat, db1=listening("tcp 10.2.0.21 8080")) == []
    assert told(nat, db1=listening("tcp 192.0.2.50 8080"))[0].startswith("LVS555 db1")
    assert told(nat, db1=listening("tcp 0.0.0.0 80"))[0].startswith("LVS554 db1")


def test_each_real_server_listens_where_its_own_way_asks() -> None:
    ways = {"db1": {"mode": ForwardingMethod.NAT, "port": 8080}}
    cluster = clusters.cluster(
        clusters.by(clusters.service("http", {clusters.WEB1: 1, clusters.DB1: 1}), **ways),
        real_servers=(clusters.WEB1, clusters.DB1),
        nat=clusters.INSIDE,
    )
    assert told(cluster, web1=listening("tcp 192.0.2.50 80"), db1=listening("tcp 10.2.0.21 8080")) == []
    assert told(cluster, db1=listening("tcp 192.0.2.50 8080"))[0].startswith("LVS555 db1")


def test_a_sorry_server_listens_too() -> None:
    sorry = SorryServer(clusters.WEB2.rip, mode=ForwardingMethod.TUN)
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, sorry_server=sorry))
    assert told(cluster, web2=listening("tcp * 80")) == []
    (line,) = told(cluster, web2=listening("tcp * 22"))
    assert line == "LVS554 web2: nothing listens on tcp port 80, which http is to serve on"
    walled = Surroundings(firewall=tuple(nft(*USUAL)), firewall_kind="nft")
    (line,) = told(cluster, web2=walled)
    assert line.startswith("LVS556 web2: the firewall drops IP in IP (IP protocol 4)")


def test_marked_ports_are_looked_for_one_by_one() -> None:
    service = clusters.service(
        "tls",
        {clusters.WEB1: 1},
        0,
        fwmark=7,
        port_ranges=((80, 80), (443, 443), (8000, 8010)),
        protocols=(Protocol.TCP,),
    )
    cluster = clusters.cluster(service)
    (line,) = told(cluster, web1=listening("tcp * 80"))
    assert line == "LVS554 web1: nothing listens on tcp port 443, which tls is to serve on"


def test_the_directors_must_hear_vrrp() -> None:
    walled = Surroundings(firewall=tuple(nft(*USUAL)), firewall_kind="nft")
    (line,) = told(CLUSTER, lvs2=walled)
    assert line.startswith(
        "LVS556 lvs2: the firewall drops VRRP (IP protocol 112): chain input of table inet"
    )
    alone = replace(CLUSTER, directors=(clusters.LVS1,))
    assert told(alone, lvs1=walled) == []
    assert told(CLUSTER, lvs2=replace(walled, firewall=tuple(nft(*USUAL, "ip protocol 112 accept")))) == []


def test_vrrp_of_both_families_is_to_be_heard() -> None:
    both = clusters.active_active()
    service = clusters.service("six", {clusters.WEB6: 1}, vip=clusters.vip("2001:db8::50/128"))
    dual = clusters.cluster(
        *both.services,
        service,
        directors=(clusters.BOTH1, clusters.BOTH2),
        real_servers=(clusters.WEB1, clusters.WEB2, clusters.WEB6),
    )
    four = Surroundings(firewall=tuple(nft(*USUAL, "ip protocol 112 accept")), firewall_kind="nft")
    walled = replace(four, firewall=tuple(nft(*USUAL)))
    words = "VRRP (IP protocol 112)"
    said = [line.partition(" drops ")[2].partition(": ")[0] for line in told(dual, lvs2=walled)]
    assert said == [words, f"{words} over IPv6"]
    assert told(dual, lvs2=four) == [], "nft's table is one for both"
    six = Surroundings(firewall=tuple(nft(*USUAL, family="ip6")), firewall_kind="nft")
    (line,) = told(dual, lvs2=six)
    assert line.startswith("LVS556 lvs2: the firewall drops VRRP (IP protocol 112) over IPv6: chain input of")
    assert told(both, lvs2=six) == [], "no VIP of IPv6"


@pytest.mark.parametrize(
    ("kind", "rule", "words"),
    [
        (TunnelType.IPIP, "ip protocol 47 accept", "IP in IP (IP protocol 4)"),
        (TunnelType.GRE, "ip protocol 4 accept", "GRE (IP protocol 47)"),
        (TunnelType.IPIP, "ip protocol 4 accept", ""),
        (TunnelType.GRE, "ip protocol 47 accept", ""),
        (TunnelType.GUE, "ip protocol 47 accept", "GUE (UDP port 6080)"),
        (TunnelType.GUE, "udp dport 6081 accept", "GUE (UDP port 6080)"),
        (TunnelType.GUE, "udp dport 6080 accept", ""),
    ],
)
def test_real_servers_must_let_tunnels_in(kind: TunnelType, rule: str, words: str) -> None:
    service = clusters.service("http", {clusters.WEB1: 1}, mode=ForwardingMethod.TUN, tunnel=Tunnel(kind))
    walled = Surroundings(firewall=tuple(nft(*USUAL, rule)), firewall_kind="nft")
    said = told(clusters.cluster(service), web1=walled)
    assert [line.partition(" drops ")[2].partition(": ")[0] for line in said] == ([words] if words else [])


def test_offloads_harm_where_packets_go_on_as_they_are() -> None:
    joins = Surroundings(offloads={"eth0": ("large-receive-offload",)})
    assert told(CLUSTER, lvs1=joins) == ["LVS557 lvs1: large-receive-offload is on for eth0"]
    assert told(CLUSTER, web1=joins) == []
    nat = clusters.cluster(
        clusters.service("api", {clusters.DB1: 1}, mode=ForwardingMethod.NAT),
        real_servers=(clusters.DB1,),
        nat=clusters.INSIDE,
    )
    assert told(nat, lvs1=joins) == []


def test_another_machine_has_the_vip() -> None:
    directors = {"lvs1": Surroundings(macs=frozenset({LVS1})), "lvs2": Surroundings(macs=frozenset({LVS2}))}

    def asked(mac: str, address: str = "192.0.2.50") -> list[str]:
        lvs2 = replace(directors["lvs2"], neighbours=frozenset({(address, mac)}))
        return told(CLUSTER, **{**directors, "lvs2": lvs2, "web1": Surroundings(macs=frozenset({WEB1}))})

    assert asked(LVS1) == []
    assert asked("00:00:5e:00:01:33") == []  # VRRP's own
    assert asked(WEB1, "192.0.2.77") == []
    assert asked(WEB1) == [f"LVS558 None: lvs2 has {WEB1} as the owner of 192.0.2.50: web1's"]
    stranger = "52:54:00:00:00:99"
    assert asked(stranger)[0].endswith(f"{stranger} as the owner of 192.0.2.50: no host's of this cluster")
    # A director that was not read may be the owner.
    assert told(CLUSTER, lvs2=replace(directors["lvs2"], neighbours=frozenset({("192.0.2.50", WEB1)}))) == []
