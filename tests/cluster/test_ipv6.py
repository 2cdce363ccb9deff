"""IPv6 by real packets: both families side by side with two directors, and a cluster that has no IPv4 at all.

The tests of each cluster build on each other, in order: it is set up once and asked much.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lvsdeploy.lab import Init
from tests.cluster.living import Living, differences, living

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

EXAMPLE = Path(__file__).parents[2] / "inventories/dual-stack.yaml"
VIPS = ("192.0.2.50", "[2001:db8::50]")
NAT_VIPS = ("192.0.2.51", "[2001:db8::51]")
VIP, GATEWAY = "2001:db8::50", "2001:db8:2::1"
HOSTS = ("lvs1", "lvs2", "web1", "web2", "app1", "app2")

# A router's advertisement (RFC 4861, 4.2), as radvd would send it: a default router for half an hour.
ADVERTISE = r"""python3 - {} <<'EOF'
import socket, struct, sys
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
raw.sendto(advertisement, (sys.argv[1], 0, 0, socket.if_nametoindex("eth0")))
EOF"""
ROUTES = "ip -6 route show default"


def lasting(picture: dict[str, Any]) -> dict[str, Any]:
    """A picture without the time that an advertised route has left."""
    return {re.sub(r" expires \d+sec", "", key): value for key, value in picture.items()}


# --- both families, two directors ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    declared = yaml.safe_load(EXAMPLE.read_text())
    declared["services"]["web"]["health_check"] = {"type": "tcp", "interval": 2, "timeout": 2}
    declared["services"]["api"]["health_check"] = {"type": "tcp", "interval": 2, "timeout": 2}
    serve = {"web1": [80], "web2": [80], "app1": [8080], "app2": [8080]}
    with living(tmp_path_factory.mktemp("dual"), declared, Init.SSHD, serve=serve) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def before(dual: Living) -> dict[str, dict[str, Any]]:
    """What each machine was before the first apply; lvs1 has its IPv6 route from a router's advertisement."""
    dual.sh("lvs1", "ip -6 route del default; echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra")
    (own,) = re.findall(r"fe80::\S+(?=/64)", dual.sh("lvs1", "ip -6 address show dev eth0 scope link"))
    dual.sh("router", ADVERTISE.replace("{}", own, 1))
    dual.wait("the advertised route", lambda: " proto ra " in dual.sh("lvs1", ROUTES))
    return {host: lasting(dual.picture(host)) for host in HOSTS}


def test_both_families_are_applied(dual: Living, before: dict[str, Any]) -> None:
    assert set(before) == set(HOSTS)
    found = dual.drift()
    assert "web1: address 2001:db8::50/128 on lo [not there yet]" in found
    assert f"app1: route default via {GATEWAY} [not there yet]" in found
    assert "lvs1: sysctl net.ipv6.conf.all.forwarding [not there yet]" in found
    assert "lvs1: sysctl net.ipv6.conf.eth0.accept_ra [not there yet]" in found
    assert not [line for line in found if line.startswith("lvs2") and "accept_ra" in line]
    assert "read back and as declared" in dual.run("apply")
    dual.wait("lvs1 is MASTER", lambda: dual.master() == "lvs1")
    assert dual.drift() == []
    assert "Nothing to do" in dual.run("apply")


def test_an_advertised_default_route_outlasts_forwarding(dual: Living) -> None:
    assert " proto ra " in dual.sh("lvs1", ROUTES)
    assert dual.sh("lvs1", "cat /proc/sys/net/ipv6/conf/all/forwarding").strip() == "1"
    assert dual.sh("lvs1", "cat /proc/sys/net/ipv6/conf/eth0/accept_ra").strip() == "2"


def test_the_vips_are_where_they_belong_and_serve_at_once(dual: Living) -> None:
    for server in ("web1", "web2"):
        shown = dual.sh(server, "ip -o address show dev lo")
        assert "192.0.2.50/32" in shown
        (line,) = [line for line in shown.splitlines() if f" {VIP}/128 " in line]
        assert " nodad" in line
        assert "tentative" not in line
    assert f" {GATEWAY}/64 " in dual.sh("lvs1", "ip -o -6 address show dev eth1")
    assert f" {GATEWAY}/64 " not in dual.sh("lvs2", "ip -o -6 address show dev eth1")


def test_one_machine_answers_for_a_vip_of_either_family(dual: Living) -> None:
    assert dual.answering_macs("client", "192.0.2.50") == {dual.mac("lvs1")}
    assert dual.neighbour_macs("client", VIP) == {dual.mac("lvs1")}
    assert dual.neighbour_macs("client", "2001:db8::11") == {dual.mac("web1")}, "the question is a good one"


@pytest.mark.parametrize("vip", VIPS)
def test_dr_balances(dual: Living, vip: str) -> None:
    assert dual.requests("client", f"http://{vip}/", 10) == Counter(web1=5, web2=5)
    assert dual.requests("remote", f"http://{vip}/", 4) == Counter(web1=2, web2=2)


@pytest.mark.parametrize("vip", NAT_VIPS)
def test_nat_balances_and_replies_cross_the_director(dual: Living, vip: str) -> None:
    assert dual.requests("client", f"http://{vip}/", 10) == Counter(app1=5, app2=5)
    assert dual.requests("remote", f"http://{vip}/", 4) == Counter(app1=2, app2=2)
    seen = dual.sh("remote", f"curl -s --max-time 2 http://{vip}/").split()[1]
    assert seen == ("2001:db8:fa::a" if ":" in vip else "203.0.113.10"), "the client's own address"


def test_nat_replies_of_ipv6_pass_through_the_director(dual: Living) -> None:
    dual.sh("lvs1", "ipvsadm -Z")
    dual.requests("remote", f"http://{NAT_VIPS[1]}/", 4)

    def replies() -> int:
        said = dual.sh("lvs1", f"ipvsadm -Ln --stats --exact -t {NAT_VIPS[1]}:80").splitlines()
        return int(next(line for line in said if line.startswith("TCP")).split()[4])

    dual.wait("the kernel sums up", lambda: replies() > 8)


DRIFTS: dict[str, tuple[str, str, str]] = {
    "VIP gone from lo": (
        "web1",
        f"ip -6 address del {VIP}/128 dev lo",
        f"address {VIP}/128 on lo [changed on the host]",
    ),
    "VIP on the network, too": (
        "web2",
        f"ip -6 address add {VIP}/128 dev eth0 nodad",
        f"address {VIP}/128 on eth0 [changed on the host]",
    ),
    "route past the director": (
        "app1",
        "ip -6 route replace default via 2001:db8:2:0:ffff:ffff:ffff:fffd metric 1",
        f"route default via {GATEWAY} [changed on the host]",
    ),
    "forwarding off": (
        "lvs1",
        "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding",
        "sysctl net.ipv6.conf.all.forwarding [changed on the host]",
    ),
    "advertisements are not heeded": (
        "lvs1",
        "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra",
        "sysctl net.ipv6.conf.eth0.accept_ra [changed on the host]",
    ),
    "destination removed": (
        "lvs1",
        f"ipvsadm -d -t [{VIP}]:80 -r [2001:db8::11]:80",
        f"destination [2001:db8::11]:80 of tcp [{VIP}]:80 [changed on the host]",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_is_found_and_mended(dual: Living, drift: str) -> None:
    host, injection, expected = DRIFTS[drift]
    dual.sh(host, injection)
    found = dual.drift()
    assert f"{host}: {expected}" in found
    assert {line.partition(":")[0] for line in found} == {host}
    assert f"Applied to {host}:" in dual.run("apply")
    assert dual.drift() == []


def test_the_mended_cluster_serves(dual: Living) -> None:
    for vip in (*VIPS, *NAT_VIPS):
        assert "" not in dual.requests("remote", f"http://{vip}/", 4), vip


def test_the_backup_takes_over_both_families(dual: Living) -> None:
    dual.sh("lvs1", "kill $(cat /run/keepalived.pid)")
    dual.wait("lvs2 is MASTER", lambda: VIP in dual.sh("lvs2", "ip -o -6 address show dev eth0"))
    dual.wait("and has the inside", lambda: GATEWAY in dual.sh("lvs2", "ip -o -6 address show dev eth1"))
    assert dual.neighbour_macs("client", VIP) == {dual.mac("lvs2")}
    for vip in (*VIPS, *NAT_VIPS):
        dual.wait(f"{vip} is served", lambda vip=vip: "" not in dual.requests("client", f"http://{vip}/", 4))
    dual.sh("lvs1", "service keepalived start")
    dual.wait("lvs1 is MASTER again", lambda: dual.master() == "lvs1")
    dual.wait("all is as declared", lambda: dual.drift() == [])


def test_after_a_reboot_real_servers_are_as_declared_without_lvsdeploy(dual: Living) -> None:
    for host, port in (("web1", 80), ("app1", 8080)):
        dual.lab.stop(host)
        dual.lab.start(host)
        dual.serve({host: [port]})
    dual.wait("all is as declared", lambda: dual.drift() == [], seconds=40)
    routes = dual.sh("app1", ROUTES).splitlines()
    assert routes[0].startswith(f"default via {GATEWAY} dev eth0 metric 1 ")
    assert len(routes) == 2, "the one from before stands behind it"
    for vip in (VIPS[1], NAT_VIPS[1]):
        dual.wait("served", lambda vip=vip: len(dual.requests("client", f"http://{vip}/", 6)) == 2)


def test_destroy_leaves_the_hosts_as_they_were(dual: Living, before: dict[str, Any]) -> None:
    dual.run("destroy", "--yes")
    for host in HOSTS:
        assert differences(before[host], lasting(dual.picture(host))) == {}, host


# --- IPv6 alone, one director -------------------------------------------------------------------------------

ALONE: dict[str, Any] = {
    "version": 1,
    "cluster": "six",
    "directors": {"lvs1": {"address": "2001:db8::2", "interface": "eth0"}},
    "nat": {"gateway": f"{GATEWAY}/64", "interface": "eth1"},
    "real_servers": {
        "web1": {"address": "2001:db8::11"},
        "web2": {"address": "2001:db8::12"},
        "app1": {"address": "2001:db8:2::21"},
    },
    "services": {
        "web": {"vip": VIP, "port": 80, "scheduler": "rr", "real_servers": ["web1", "web2"]},
        "api": {
            "vip": "2001:db8::51/64",
            "port": 80,
            "mode": "nat",
            "real_servers": [{"name": "app1", "port": 8080}],
        },
    },
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {"web1": [80], "web2": [80], "app1": [8080]}
    folder = tmp_path_factory.mktemp("alone")
    with living(folder, ALONE, Init.SYSTEMD, user="deploy", serve=serve) as cluster:
        yield cluster


def test_a_cluster_without_ipv4(alone: Living) -> None:
    assert "inet " not in alone.sh("lvs1", "ip address show dev eth0")
    assert "read back and as declared" in alone.run("apply")
    assert alone.drift() == []
    alone.wait("MASTER", lambda: alone.master() == "lvs1")
    assert alone.neighbour_macs("client", VIP) == {alone.mac("lvs1")}
    assert alone.requests("client", f"http://[{VIP}]/", 10) == Counter(web1=5, web2=5)
    assert alone.requests("remote", "http://[2001:db8::51]/", 4) == Counter(app1=4)


def test_what_is_not_needed_without_ipv4_is_left_alone(alone: Living) -> None:
    assert alone.sh("lvs1", "cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    assert alone.sh("web1", "cat /proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "0"


def test_a_route_that_is_only_checked(alone: Living) -> None:
    """It is the operator's: the lab has set it through the gateway."""
    gateway = f"ip -6 route replace default via {GATEWAY}"
    alone.sh("app1", "ip -6 route replace default via 2001:db8:2:0:ffff:ffff:ffff:fffd")
    assert alone.drift() == ["app1: LVS512"]
    alone.sh("app1", gateway)
    assert alone.drift() == []
