"""Sections of the answer, one by one: lines that differ between systems."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.inventory.model import Protocol
from lvsdeploy.observe import Connections, Request, connections, facts, ipvs_table, network, parse
from lvsdeploy.observe.observation import TABLE
from lvsdeploy.state.facts import PackageManager
from lvsdeploy.state.ipvs import ServiceKey
from lvsdeploy.state.network import Route, Rule, Way

HTTP = ipvs_table.parse("-A -t 192.0.2.50:80 -s rr\n-a -t 192.0.2.50:80 -r 10.0.0.1:80 -g -w 1\n")
OTHER = ipvs_table.parse("-A -t 192.0.2.50:80 -s wlc\n")
ROUTER = ip_address("192.0.2.1")


def answer(*sections: str, token: str = "f00d") -> bytes:  # noqa: S107 — not a password
    fixed = ("begin 1", "host\nuid 0\nmanager sysv")
    return "".join(f"\n{token} {section}\n" for section in (*fixed, *sections, "end")).encode()


FAR = ip_address("10.2.0.11")


@pytest.mark.parametrize(
    ("line", "ways"),
    [
        (r"10.2.0.11 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0 \    cache ", {FAR: Way("eth0")}),
        (r"10.2.0.11 via 192.0.2.1 dev eth0 src 192.0.2.2 \    cache mtu 1400 ", {FAR: Way("eth0", 1400)}),
        # What a router has told by ICMP lasts ten minutes.
        (r"10.2.0.11 dev eth0 src 192.0.2.2 \    cache expires 500sec mtu 1400 ", {FAR: Way("eth0")}),
        ("local 10.2.0.11 dev lo src 10.2.0.11 uid 0", {FAR: Way("lo")}),
        ("10.2.0.11 dev eth0 mtu 99999999999", {FAR: Way("eth0")}),
        ("10.2.0.11 dev eth0 mtu lock", {FAR: Way("eth0")}),
        ("10.2.0.11 via 192.0.2.1", {}),
        ("10.2.0.999 dev eth0", {}),
        ("", {}),
        ("local", {}),
        ("dev eth0", {}),
    ],
)
def test_ways(line: str, ways: dict[object, Way]) -> None:
    assert network.ways([line]) == ways


def test_a_way_that_nobody_asked_for_is_not_taken() -> None:
    said = answer("ways\n10.2.0.11 dev eth0\n10.2.0.12 dev eth1", "end")
    state = parse("lvs1", said, Request(ways=(FAR,), token="f00d")).state  # noqa: S106 — not a password
    assert state.ways == {FAR: Way("eth0")}


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("0:\tfrom all lookup local", [Rule(None, "local")]),
        ("0:\tfrom all lookup local proto kernel", [Rule(None, "local")]),
        (
            "98:\tfrom 10.2.0.21 lookup main suppress_prefixlength 0",
            [Rule(ip_network("10.2.0.21"), "main", passes_default=True)],
        ),
        ("99:\tfrom 10.2.0.0/24 lookup gw proto static", [Rule(ip_network("10.2.0.0/24"), "gw")]),
        ("99:\tfrom 10.2.0.21/24 lookup gw", []),
        ("99:\tfrom all fwmark 0x7 lookup 100", []),
        ("99:\tnot from all fwmark 0xca6c lookup 51820", []),
        ("99:\tfrom all to 10.2.0.0/24 lookup 100", []),
        ("99:\tfrom all iif eth1 lookup 100", []),
        ("99:\tfrom 10.2.0.21 blackhole", []),
        ("99:\tfrom 10.2.0.21 goto 200", []),
        ("99:\tfrom nonsense lookup 100", []),
        ("lookup", []),
    ],
)
def test_rules(line: str, rules: list[Rule]) -> None:
    """Those that ask for more than the source are about other packets."""
    assert list(network.rules([line])) == rules


@pytest.mark.parametrize(
    ("lines", "routes"),
    [
        ("default via 192.0.2.1 dev eth0 ", [Route(ROUTER, "eth0", 0)]),
        ("default via 192.0.2.1 dev eth0 proto dhcp metric 100 onlink", [Route(ROUTER, "eth0", 100)]),
        ("default dev ppp0 scope link", [Route(None, "ppp0", 0)]),
        ("default via inet6 fe80::1 dev eth0", [Route(ip_address("fe80::1"), "eth0", 0)]),
        (
            "default metric 5 \\\tnexthop via 192.0.2.1 dev a \\\tnexthop via 192.0.2.2 dev b weight 1",
            [Route(ROUTER, "a", 5), Route(ip_address("192.0.2.2"), "b", 5)],
        ),
        ("unreachable default metric 9", []),
        (
            "default via 192.0.2.1 dev b table 9\ndefault via 192.0.2.1 dev a\ndefault dev x table vpn",
            [Route(ROUTER, "a", 0)],
        ),
        (
            "default via 2001:db8::1 dev eth0 metric 1 pref medium\ndefault via 192.0.2.1 dev eth0 metric 7",
            [Route(ROUTER, "eth0", 7), Route(ip_address("2001:db8::1"), "eth0", 1, 6)],
        ),
        ("default dev ppp0 metric 1024 pref medium", [Route(None, "ppp0", 1024, 6)]),
        ("default dev eth0  metric 5000 ", [Route(None, "eth0", 5000, 6)]),
        ("default dev ppp0 scope link metric 5", [Route(None, "ppp0", 5)]),
        (
            "default metric 1024 pref medium\\\tnexthop via 2001:db8::4 dev a \\\tnexthop via fe80::1 dev b",
            [
                Route(ip_address("2001:db8::4"), "a", 1024, 6),
                Route(ip_address("fe80::1"), "b", 1024, 6),
            ],
        ),
        (
            "default via 192.0.2.1 dev b metric 9\ndefault via 192.0.2.1 dev a\ndefault via 192.0.2.1 dev a",
            [Route(ROUTER, "a", 0), Route(ROUTER, "b", 9)],
        ),
    ],
)
def test_default_routes(lines: str, routes: list[Route]) -> None:
    assert list(network.parse(lines.splitlines()).routes) == routes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "default via 10.2.0.254 dev eth0 proto static ",
            ("default", "via", "10.2.0.254", "dev", "eth0", "proto", "static"),
        ),
        (
            "default via 10.2.0.254 dev eth0.7 onlink dead linkdown ",
            "default via 10.2.0.254 dev eth0.7 onlink",
        ),
        ("default via inet6 fe80::1 dev eth0", "default via inet6 fe80::1 dev eth0"),
        ("default dev dead scope link linkdown", "default dev dead scope link"),
        ("default dev eth$(id) scope link", ""),
        (
            "default via 2001:db8::1 dev eth0 metric 1024 pref medium",
            "default via 2001:db8::1 dev eth0 metric 1024 pref medium",
        ),
        # these go by themselves, and their time runs
        ("default via fe80::1 dev eth0 proto ra metric 1024 expires 1790sec hoplimit 64 pref medium", ""),
        ("default via fe80::1 dev eth0 proto ra metric 100 pref high", ""),
        ("default via fe80::1 dev eth0  metric 1024  expires 0sec", ""),
        ("default via 10.2.0.254 dev -eth0", ""),
        ("default via 10.2.0.254 dev éth0", ""),
        ("default metric 5 \\\tnexthop via 10.2.0.254 dev a \\\tnexthop via 10.2.0.253 dev b", ""),
    ],
)
def test_words_of_a_route(line: str, words: str | tuple[str, ...]) -> None:
    expected = tuple(words.split()) if isinstance(words, str) else words
    routes = network.parse([line]).routes
    assert routes
    assert all(route.words == expected for route in routes)
    assert "proto" not in repr(routes)


def test_words_do_not_tell_routes_apart() -> None:
    (route,) = network.parse(
        ["default via 192.0.2.1 dev eth0 proto static", "default via 192.0.2.1 dev eth0"]
    ).routes
    assert route == Route(ROUTER, "eth0")
    assert route.words[-1] == "static"


@pytest.mark.parametrize(
    ("section", "busy", "unfinished"),
    [
        ("", "", ""),
        ("transaction\nbusy ops@desk, since then", "ops@desk, since then", ""),
        ("transaction\nbusy ", "somebody", ""),
        ("transaction\nbusy \x1b[2J\u202e", "[2J", ""),
        ("transaction\nunfinished ops@desk", "", "ops@desk"),
        ("transaction\nunfinished \x07\nbusy too", "", "somebody"),
        ("transaction\nunfinished " + "x" * 999, "", "x" * 199 + "…"),
    ],
)
def test_transactions(section: str, busy: str, unfinished: str) -> None:
    parts = (section,) if section else ()
    seen = parse("lvs1", answer(*parts), Request(token="f00d"))  # noqa: S106 — not a password
    assert (seen.busy, seen.unfinished) == (busy, unfinished)


def test_a_transaction_that_is_none() -> None:
    with pytest.raises(AnswerInvalid, match="transactions"):
        parse("lvs1", answer("transaction\nhm"), Request(token="f00d"))  # noqa: S106 — not a password


def test_links_among_addresses() -> None:
    """The ip of busybox, and an old one of iproute2, print both with `ip -o address`."""
    seen = network.parse(
        [
            "2: eth0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue \\    link/ether",
            "2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\  valid_lft forever",
            "3: eth1.100: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noop state DOWN",
            "3: eth1.100    inet6 2001:db8::1/64 scope global dadfailed tentative ",
            "3: eth1.100    inet6 2001:db8::2/64 scope global tentative ",
            "3: eth1.100    inet6 2001:db8::3/64 scope global nodad ",
            "4: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0",
        ]
    )
    assert seen.links == {"eth0": True, "eth1.100": False}
    assert {str(a) for a in seen.addresses} == {
        "192.0.2.2/24 on eth0",
        *(f"2001:db8::{number}/64 on eth1.100" for number in (1, 2, 3)),
        "10.8.0.1/32 on tun0",
    }
    assert {str(a) for a in seen.tentative} == {"2001:db8::2/64 on eth1.100"}
    assert {str(a) for a in seen.duplicate} == {"2001:db8::1/64 on eth1.100"}


@pytest.mark.parametrize(
    ("release", "found", "manager"),
    [
        (["ID=debian"], ["apt-get"], PackageManager.APT),
        (['ID="rocky"', 'ID_LIKE="rhel centos fedora"'], ["apt-get", "dnf"], PackageManager.DNF),
        (['ID="opensuse-leap"', 'ID_LIKE="suse opensuse"'], ["zypper"], PackageManager.ZYPPER),
        (["ID=alpine"], ["apk"], PackageManager.APK),
        (["ID=mine"], ["pacman"], PackageManager.PACMAN),
        (["ID=arch"], [], None),
        ([], ["apt-get"], PackageManager.APT),
    ],
)
def test_package_manager(release: list[str], found: list[str], manager: PackageManager | None) -> None:
    lines = ["manager systemd", *(f"os {x}" for x in release), *(f"packages {x}" for x in found)]
    assert facts.parse(lines, [], [], {}).package_manager == manager


def test_modules_and_versions() -> None:
    seen = facts.parse(
        ["manager openrc", "uid 1000"],
        [
            "keepalived Keepalived v2.3.1 (05/24,2024), git commit v2.3.0-1",
            "+keepalived   LVS BFD INIT=systemd",
            "+keepalived VSYSLOG",
            "ip ",
            "odd version?",
        ],
        [
            "loaded ip_vs",
            "ipip 16384 0 - Live 0x0000000000000000",
            "kernel/net/ipv4/tunnel4.ko",
            "kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz",
            "kernel/net/netfilter/nf-log.ko: ",
        ],
        {},
    )
    assert dict(seen.programs) == {"keepalived": "2.3.1", "ip": "", "odd": "version?"}
    assert dict(seen.built_with) == {"keepalived": {"LVS", "BFD", "INIT=systemd", "VSYSLOG"}}
    assert seen.modules == {"ip_vs", "ipip", "tunnel4"}
    assert seen.available_modules == seen.modules | {"ip_vs_wlc", "nf_log"}
    assert not seen.root


@pytest.mark.parametrize(
    ("section", "table", "reason"),
    [
        ("table same", HTTP, ""),
        ("table differs\n-A -t 192.0.2.50:80 -s wlc", OTHER, ""),
        ("table absent", {}, ""),
        ("table refused", None, "only root"),
        ("table lacking", None, "ipvsadm is not installed"),
        ("table failed", None, "failed"),
    ],
)
def test_states_of_the_table(section: str, table: object, reason: str) -> None:
    request = Request(table=frozenset(HTTP.values()), token="f00d")  # noqa: S106 — not a password
    seen = parse("lvs1", answer(section), request)
    assert seen.state.virtual_services == table
    assert reason in seen.unread.get(TABLE, "")
    assert bool(reason) == (TABLE in seen.unread)


def test_connections() -> None:
    text = (Path(__file__).parent / "recorded" / "tables" / "ipvsadm-1.31-linux-6.1.thresholds").read_text()
    found = connections.parse(text)
    assert found[ServiceKey(None, "", 0, 7)][("10.0.0.1", 80)] == Connections(0, 0)
    assert set(found[ServiceKey(None, "", 0, 9, 6)]) == {("2001:db8::5", 80)}
    sixth = found[ServiceKey(Protocol.TCP, "2001:db8::50", 80)]
    assert set(sixth) == {("2001:db8::11", 80), ("2001:db8::12", 8080)}
    limits = connections.thresholds(text)
    assert limits[ServiceKey(None, "", 0, 7)] == {("10.0.0.1", 80): (100, 75), ("10.0.0.2", 0): (0, 0)}
    busy = "TCP  192.0.2.50:80 rr (flag-1) persistent 300 mask 255.255.255.0\n"
    busy += "  -> 10.0.0.1:8080                0          0          3          12        \n"
    key = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    assert connections.parse(busy) == {key: {("10.0.0.1", 8080): Connections(3, 12)}}


@pytest.mark.parametrize(
    "text",
    [
        "  -> 10.0.0.1:80 0 0 0 0",
        "TCP  192.0.2.50:80 rr\n  -> 10.0.0.1:80 0 0 0",
        "TCP  192.0.2.50:80 rr\n  -> 10.0.0.1:80 0 0 0 x",
        "TCP  192.0.2.50:80 rr\n  -> 10.0.0.1:80 0 0 0 99999999999",
        "ICMP 192.0.2.50:80 rr",
        "FWM  0 rr",
    ],
)
def test_what_is_no_listing_of_connections(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        connections.parse(text)
