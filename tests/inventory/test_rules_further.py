"""Further inventories that break a rule, beside the one of each in test_rules.py, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lvsdeploy.diagnostics import Severity
from tests.inventory.shown import findings_of
from tests.inventory.test_rules import (
    BOTH_VIPS,
    BY_HAND,
    GROUPS,
    LOCALNODE,
    NAT,
    ONE,
    SIX,
    inventory,
    service,
)

if TYPE_CHECKING:
    from pathlib import Path

TWO_ROUTES = "nat: {gateway: 192.0.2.1/24, interface: eth0, configure_gateway: true}\n"
SPREAD = "scheduler: sh, scheduler_flags: [sh-port]"
ELSEWHERE = "sorry_server: {address: 198.51.100.9}"
DIRECT_SORRY = NAT + service("port: 80, mode: nat, sorry_server: {address: 192.0.2.9, mode: dr}")
GUE = "mode: tun, tunnel: {type: gue, port: 500}"
CLASH = "from its RIP it needs another default route than from the VIP"
ITSELF = """
directors:
  lvs1: {address: 192.0.2.2, interface: eth0}
real_servers:
  lvs1: {address: 192.0.2.2}
"""
ALONE = (
    ITSELF
    + """
nat: {gateway: 10.2.0.1/24, interface: eth1, configure_gateway: true}
services:
  a: {vip: 192.0.2.50, port: 80, mode: nat, real_servers: [lvs1]}
  b: {vip: 192.0.2.50, port: 81, mode: tun, real_servers: [lvs1]}
"""
)
NAMED = service("port: 80").replace("192.0.2.50", "public")
ON_LO = "vips: {public: {address: 192.0.2.50, interface: lo}}\n" + NAMED
CASES = [
    ("LVS107", ALONE, []),
    ("LVS114", ALONE, []),
    ("LVS134", ALONE, []),
    ("LVS412", ITSELF.replace("2.2}", "2.2, managed: false}") + service("port: 80", "[lvs1]"), []),
    (
        "LVS416",
        ITSELF.replace("2.2}", "2.2, managed: false, ssh: {port: 99}}") + service("port: 80", "[lvs1]"),
        [],
    ),
    (
        "LVS114",
        TWO_ROUTES.replace("true", "false")
        + service("port: 80, mode: nat")
        + "  b: {vip: 192.0.2.50, port: 81, real_servers: [web1]}\n"
        + "  c: {vip: 192.0.2.50, port: 82, mode: tun, real_servers: [web1]}\n",
        [f"web1 is in DR and NAT and TUN services: {CLASH}"],
    ),
    (
        "LVS114",
        TWO_ROUTES.replace("true", "false")
        + service("port: 80, mode: nat")
        + "  b: {vip: 192.0.2.50, port: 81, mode: nat, real_servers: [web1]}\n",
        [],
    ),
    (
        "LVS319",
        BOTH_VIPS.format("persistence_netmask: {ipv4: 255.0.255.0, ipv6: 64}"),
        ["'255.0.255.0' is not a netmask: ones first, then zeros"],
    ),
    (
        "LVS340",
        service("port: 80, persistence: 60, persistence_netmask: {ipv6: 64}"),
        ["it says nothing of IPv4, and 'http' is IPv4"],
    ),
    ("LVS340", service("port: 80, persistence: 60, persistence_netmask: {ipv4: 24, ipv6: 64}"), []),
    (
        "LVS392",
        BOTH_VIPS.format("persistence_netmask: 64"),
        ["64 stands for both families: each client by itself of IPv4, /64 of IPv6"],
    ),
    ("LVS392", BOTH_VIPS.format("persistence_netmask: 255.255.255.0"), []),
    ("LVS392", BOTH_VIPS.format("persistence_netmask: {ipv6: 64}"), []),
    (
        "LVS391",
        service(f"port: 80, {GUE}", "[web1]")
        + "  ike: {vip: 192.0.2.50, fwmark: 9, protocol: udp, ports: [4500, '400-600'], scheduler: sh,"
        + " real_servers: [web2, web1]}\n",
        ["web1 serves 'ike' on UDP port 500, which GUE takes"],
    ),
    (
        "LVS391",
        service(f"port: 80, {GUE}", "[web1]")
        + "  ike: {vip: 192.0.2.50, protocol: udp, port: 500, real_servers: [web2]}\n",
        [],
    ),
    (
        "LVS369",
        service(
            "port: 80, quorum_up: {path: /usr/bin/true, arguments: ['{rip}', '{}']}",
            "[{name: web1, notify_up: {path: /usr/bin/true, arguments: ['{rip}', '{vip}']}}]",
        ),
        ["{vip} is not filled in", "{rip} is not filled in"],
    ),
    (
        "LVS101",
        service("port: 80, sorry_server: {address: 192.0.2.99, port: 81}"),
        ["the sorry server's port 81 differs, in mode dr"],
    ),
    (
        "LVS101",
        NAT + service("port: 80, mode: nat, sorry_server: {address: 192.0.2.99, port: 81, mode: dr}"),
        [],
    ),
    (
        "LVS102",
        "vips: {public: {address: 192.0.2.50/24}}\n"
        + service(f"port: 80, {ELSEWHERE}").replace("192.0.2.50", "public"),
        ["the sorry server 198.51.100.9 is outside 192.0.2.0/24, in mode dr"],
    ),
    (
        "LVS105",
        service("port: 80, sorry_server: {address: 10.2.0.9, mode: nat}"),
        ["the sorry server of 'http' has mode nat, and there is no `nat` section"],
    ),
    (
        "LVS107",
        NAT + service("port: 80, mode: nat, sorry_server: {address: 192.0.2.9}"),
        ["the sorry server 192.0.2.9 is outside 10.2.0.0/24"],
    ),
    ("LVS107", DIRECT_SORRY, []),
    (
        "LVS114",
        TWO_ROUTES
        + service("port: 80, mode: nat")
        + "  b: {vip: 192.0.2.50, port: 81, mode: tun, real_servers: [web1]}\n",
        ["web1 is in NAT and TUN services, with its route set to the director"],
    ),
    (
        "LVS114",
        TWO_ROUTES
        + service("port: 80, mode: dr")
        + "  b: {vip: 192.0.2.50, port: 81, mode: tun, real_servers: [web1]}\n",
        [],
    ),
    ("LVS115", DIRECT_SORRY, ["the sorry server 192.0.2.9 needs the VIP on lo, set up by hand"]),
    ("LVS115", service("port: 80, sorry_server: {address: 127.0.0.1}"), []),
    (
        "LVS116",
        NAT + service("port: 0, persistence: 9, mode: nat, health_check: none", "[{name: web1, port: 80}]"),
        ["all ports of 'http' go to port 80"],
    ),
    (
        "LVS116",
        NAT + service('ports: ["80-90"], mode: nat', "[{name: web1, port: 80}]"),
        ["ports 80-90 all go to port 80"],
    ),
    (
        "LVS201",
        service('ports: ["80-90"]') + '  b: {vip: 192.0.2.50, ports: ["85-95"], real_servers: [web1]}\n',
        ["'b' has tcp 192.0.2.50 port 85 (5 more), and so has 'http'"],
    ),
    ("LVS213", service("port: 80, sorry_server: {address: 127.0.0.1}"), []),
    (
        "LVS243",
        service('ports: ["80-90"], fwmark: 7'),
        ["'http' has one mark for several ports, and no persistence"],
    ),
    ("LVS243", service("port: 80, fwmark: 7"), []),
    (
        "LVS248",
        "vips: {a: {address: 192.0.2.50}}\n"
        + service("port: 80").replace("vip: 192.0.2.50", 'vips: ["192.0.2.40-59", a, "192.0.2.58-61"]'),
        ["'http' has the VIP 192.0.2.50 already", "'http' has the VIP 192.0.2.58 and 1 more already"],
    ),
    ("LVS309", service("ports: [53], fwmark: 7, protocols: [tcp, udp], one_packet: true"), []),
    (
        "LVS309",
        service("ports: [53], fwmark: 7, protocols: [tcp, sctp], one_packet: true"),
        ["one_packet is for UDP; 'http' is tcp and sctp"],
    ),
    (
        "LVS310",
        service("port: 53, protocol: udp, one_packet: true, persistence: 9, persistence_engine: sip"),
        [],
    ),
    (
        "LVS374",
        service("port: 80, scheduler: mh", "[web1, {name: web2, inhibit_on_failure: true}]"),
        ["mh refuses the clients of a failed real server with weight 0"],
    ),
    ("LVS374", service("port: 80, scheduler: sh", "[{name: web1, weight: 0}, {name: web2, weight: 0}]"), []),
    ("LVS377", service("port: 5060, protocol: udp, persistence: 9, persistence_engine: sip, " + SPREAD), []),
    ("LVS378", service("port: 80, persistence: 9, scheduler: sh, scheduler_flags: [sh-port]"), []),
    (
        "LVS381",
        service("port: 80, quorum: 2, hysteresis: 1, weight: 2, sorry_server: {address: 192.0.2.99}"),
        [],
    ),
    ("LVS144", ONE + service("port: 80, sorry_server: {address: 192.0.2.2}"), []),
    ("LVS115", ONE + service("port: 80, sorry_server: {address: 192.0.2.2}"), []),
    (
        "LVS144",
        LOCALNODE.replace("lvs1, lvs2]", "lvs1], sorry_server: {address: 192.0.2.3}"),
        [],
    ),
    (
        "LVS140",
        "real_servers:\n  lvs2: {address: 192.0.2.3}\n  web1: {address: 192.0.2.11}\n"
        + service("port: 80, sorry_server: {address: 192.0.2.3}", "[web1]"),
        ["the director lvs2 serves http, and there is no sync daemon"],
    ),
    (
        "LVS112",
        service('port: 80, sorry_server: {address: "2001:db8::9", mode: tun}'),
        [],
    ),
    (
        "LVS112",
        service('port: 80, mode: tun, sorry_server: {address: "2001:db8::9", mode: dr}'),
        ["the VIP is IPv4, the sorry server is not"],
    ),
    (
        "LVS343",
        SIX.replace("vip: six", "vips: [six, 192.0.2.50], sorry_server: {address: 192.0.2.99, mode: tun}"),
        [],
    ),
    (
        "LVS105",
        service("port: 80", "[web1, {name: web2, mode: nat}]"),
        ["web2 of 'http' has mode nat, and there is no `nat` section"],
    ),
    (
        "LVS107",
        NAT.replace("10.2.0.12", "192.0.2.12") + service("port: 80", "[web2, {name: web1, mode: nat}]"),
        [],
    ),
    (
        "LVS107",
        NAT.replace("10.2.0.12", "192.0.2.12") + service("port: 80, mode: nat", "[web2, web1]"),
        ["web2's RIP 192.0.2.12 is outside 10.2.0.0/24"],
    ),
    ("LVS111", NAT + service("port: 80", "[web1, {name: web2, mode: nat}]"), []),
    (
        "LVS114",
        TWO_ROUTES
        + service("port: 80, mode: nat")
        + "  b: {vip: 192.0.2.50, port: 81, mode: nat, real_servers: [{name: web1, mode: tun}]}\n",
        ["web1 is in NAT and TUN services, with its route set to the director"],
    ),
    (
        "LVS114",
        TWO_ROUTES + service("port: 80, mode: nat, sorry_server: {address: 192.0.2.12, mode: dr}", "[web1]"),
        [],
    ),
    (
        "LVS116",
        NAT + service("ports: [80, 443]", "[web2, {name: web1, port: 8080, mode: nat}]"),
        ["ports 80, 443 all go to port 8080"],
    ),
    (
        "LVS125",
        NAT
        + service(
            "ports: [80, 443], fwmark: 7, persistence: 9", "[web2, {name: web1, port: 8080, mode: nat}]"
        ),
        ["all ports of 'http' go to port 8080"],
    ),
    (
        "LVS217",
        GROUPS
        + NAT
        + "services:\n  a: {vip: blue, port: 80, real_servers: [web1, {name: web2, mode: nat}]}\n",
        ["'a' has mode nat, and its VIP 192.0.2.51 is in the group 'blue'"],
    ),
    ("LVS405", service("port: 80, sorry_server: {address: 192.0.2.12}", "[web1]"), []),
    (
        "LVS134",
        service("port: 80", "[web1, {name: web2, mode: tun}]"),
        ["those in mode tun of 'http' are beside the directors: dr would do"],
    ),
    (
        "LVS384",
        NAT + service("port: 21, mode: nat, persistence: 60"),
        ["'http' is FTP, and needs the module ip_vs_ftp in NAT"],
    ),
    ("LVS385", service("port: 80, health_check: https"), ["'http' is checked by https on port 80"]),
    ("LVS385", service("port: 443, health_check: https"), []),
    ("LVS415", NAT.replace("eth1", "lo"), ["lo is in no network, and the real servers are in one"]),
    ("LVS415", ON_LO, ["the VIP 192.0.2.50 is on lo, where VRRP can tell nobody of it"]),
    ("LVS415", ON_LO + "engine: ipvsadm\n", []),
    (
        "LVS415",
        "vrrp: {sync_daemon: {interface: lo}}\n",
        ["the sync daemon is on lo, which leads to no other director"],
    ),
    ("LVS231", ON_LO + "engine: ipvsadm\n", []),
    (
        "LVS231",
        ON_LO.replace("192.0.2.50", "192.0.2.50/24") + "engine: ipvsadm\n",
        ["on lo the director would take all of 192.0.2.0/24 for itself"],
    ),
    (
        "LVS231",
        'vips: {public: {address: "2001:db8::50/15"}}\n' + NAMED,
        ["/15 of the VIP 2001:db8::50 is no network of a site"],
    ),
    ("LVS231", 'vips: {public: {address: "2001:db8::50/16"}}\n' + NAMED, []),
    ("LVS115", BY_HAND + service("port: 80, " + ELSEWHERE), []),
    ("LVS337", BY_HAND + service("port: 80, quorum: 2, " + ELSEWHERE), []),
    ("LVS338", BY_HAND + service("port: 80, virtualhost: a.example"), []),
    (
        "LVS351",
        BY_HAND + service("port: 80, " + ELSEWHERE),
        ["'http' has a sorry server, and nobody puts it in"],
    ),
    ("LVS353", BY_HAND.replace("eth0", "eth0, priority: 9"), ["lvs1 has a priority, and nobody speaks VRRP"]),
    ("LVS353", BY_HAND, []),
]


@pytest.mark.parametrize(("code", "sections", "said"), CASES)
def test_says(code: str, sections: str, said: list[str], tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(inventory(sections), encoding="utf-8")
    found = findings_of(path)
    assert [finding.summary for finding in found if finding.code == code] == said
    assert not [finding for finding in found if finding.code.startswith("LVS0")]


@pytest.mark.parametrize(
    ("code", "sections", "fix", "by_hand"),
    [
        ("LVS406", BY_HAND, "Add a second director; VRRP then moves the VIPs.", "Use `engine: keepalived`"),
        (
            "LVS316",
            service("port: 80", "[web1]"),
            "Add a real server, or a sorry server.",
            "Add a real server.",
        ),
    ],
)
def test_nothing_is_advised_that_the_engine_refuses(
    code: str, sections: str, fix: str, by_hand: str, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.yaml"
    for engine, said in (("keepalived", fix), ("ipvsadm", by_hand)):
        text = sections.replace("engine: ipvsadm\n", "") + f"engine: {engine}\n"
        path.write_text(inventory(text), encoding="utf-8")
        (finding,) = [finding for finding in findings_of(path) if finding.code == code]
        assert finding.fix.startswith(said)
        assert (finding.fix == fix) is (engine == "keepalived")


def test_a_sync_group_that_is_none(tmp_path: Path) -> None:
    """What to do is about groups, and not about VIPs."""
    path = tmp_path / "inventory.yaml"
    path.write_text(inventory("vrrp: {sync_daemon: {interface: eth0, group: 192.0.2.9}}\n"), encoding="utf-8")
    (finding,) = [finding for finding in findings_of(path) if finding.is_error]
    assert (finding.code, finding.summary) == ("LVS020", "'192.0.2.9' is not a multicast group")
    assert "by multicast" in finding.why
    assert "224.0.0.0/4" in finding.fix


@pytest.mark.parametrize(("ours", "severity"), [("true", Severity.WARNING), ("false", Severity.NOTE)])
def test_a_real_server_with_two_ways_back(ours: str, severity: Severity, tmp_path: Path) -> None:
    """Where the operator sets the routes, they may be right already: the live host tells."""
    path = tmp_path / "inventory.yaml"
    services = service("port: 80, mode: nat") + "  b: {vip: 192.0.2.50, port: 81, real_servers: [web1]}\n"
    path.write_text(inventory(TWO_ROUTES.replace("true", ours) + services), encoding="utf-8")
    (finding,) = [finding for finding in findings_of(path) if finding.code == "LVS114"]
    assert finding.severity is severity
    assert "let rules lead what comes from the RIP" in finding.fix.replace("Let", "let")
