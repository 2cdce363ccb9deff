"""The sections `vrrp` and `ipvs`: what becomes of them, and what is said about names and numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.build import build
from lvsdeploy.inventory.document import read
from lvsdeploy.inventory.model import Garp, IpvsTimeouts, SyncDaemonOptions, TrackedInterface, TrackScript
from lvsdeploy.inventory.needs import needed_sysctls
from lvsdeploy.inventory.schema_check import check
from lvsdeploy.inventory.together import router_ids
from tests.inventory.shown import findings_of
from tests.inventory.test_rules import inventory

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster

GROUPS = """
vrrp: {groups: {blue: {virtual_router_id: 60, master: lvs2}, red: {virtual_router_id: 61}}}
vips: {blue: {address: 192.0.2.51, group: blue}}
services:
  a: {vip: blue, port: 80, real_servers: [web1, web2]}
"""


def cluster_of(folder: Path, sections: str) -> Cluster:
    """What is built, whatever rules say about it."""
    path = folder / "inventory.yaml"
    path.write_text(inventory(sections), encoding="utf-8")
    document, _ = read(path, str(path))
    assert document is not None
    assert check(document) == []
    context, _ = build(document, (), folder=folder, environ={})
    return context.cluster


def told(folder: Path, sections: str) -> list[str]:
    path = folder / "inventory.yaml"
    path.write_text(inventory(sections), encoding="utf-8")
    return [finding.summary for finding in findings_of(path) if finding.is_error]


def test_groups(tmp_path: Path) -> None:
    cluster = cluster_of(tmp_path, GROUPS)
    (vip,) = cluster.vips
    group = cluster.vrrp.group(vip.group)
    assert group is not None
    assert (group.virtual_router_id, group.master) == (60, "lvs2")
    assert router_ids(cluster) == (51, 60, 61)


def test_names_in_groups(tmp_path: Path) -> None:
    assert told(tmp_path, GROUPS.replace("master: lvs2", "master: web")) == ["there is no director 'web'"]
    assert told(tmp_path, GROUPS.replace("group: blue", "group: blu")) == [
        "there is no VRRP group 'blu': did you mean 'blue'?"
    ]


def test_all_of_it(tmp_path: Path) -> None:
    cluster = cluster_of(
        tmp_path,
        """
vrrp:
  version: 3
  preempt_delay: 30
  vmac: true
  track_interfaces: [eth1, {interface: eth2, weight: -20}]
  track_scripts:
    resolver: {path: /usr/bin/dig, arguments: ["@127.0.0.1", +short], interval: 5, fall: 3, user: nobody}
  garp: {delay: 1, interval: 0.01}
  notify: {master: /usr/local/bin/m, any: /usr/local/bin/any, user: daemon}
ipvs:
  timeouts: {tcp: 3600, udp: 30}
  sysctls: {conntrack: true, sloppy_tcp: false, sync_threshold: "3 10", est_cpulist: "3,1-2,7-7,5-6"}
""",
    )
    vrrp = cluster.vrrp
    assert (vrrp.version, vrrp.preempt_delay, vrrp.vmac) == (3, 30.0, True)
    assert vrrp.track_interfaces == (TrackedInterface("eth1"), TrackedInterface("eth2", -20))
    arguments = ("@127.0.0.1", "+short")
    assert vrrp.track_scripts == (
        TrackScript("resolver", "/usr/bin/dig", arguments, interval=5, fall=3, user="nobody"),
    )
    assert vrrp.garp == Garp(delay=1, interval=0.01)
    assert vrrp.notify.scripts() == (("master", "/usr/local/bin/m"), ("any", "/usr/local/bin/any"))
    assert cluster.ipvs.timeouts == IpvsTimeouts(3600, None, 30)
    assert dict(cluster.ipvs.sysctls) == {
        "conntrack": 1,
        "sloppy_tcp": 0,
        "sync_threshold": "3 10",
        "est_cpulist": "1-3,5-7",
    }


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ("ipvs: {sysctls: {conn_reuse_mod: 1}}\n", "did you mean 'conn_reuse_mode'?"),
        ("ipvs: {sysctls: {conn_reuse_mode: 9}}\n", "0 to 3"),
        ("ipvs: {sysctls: {conntrack: 2}}\n", "2 is not known for 'conntrack'"),
        ("ipvs: {sysctls: {sync_ports: 3}}\n", "3 is not known for 'sync_ports'"),
        ("ipvs: {sysctls: {sync_threshold: 3}}\n", "two numbers"),
        ("ipvs: {timeouts: {tcp: 0}}\n", "1 to 2678400"),
        ("vrrp: {track_interfaces: [{interface: eth1, weight: 254}]}\n", "-253 to 253"),
        ("vrrp: {track_scripts: {a: {path: bin/a}}}\n", "absolute path"),
        ('vrrp: {track_scripts: {a: {path: /bin/a, arguments: ["a b"]}}}\n', "without white space"),
        ("vrrp: {notify: {master: /bin/a, user: 'a b'}}\n", "a user name"),
        ("vrrp: {version: 4}\n", "4 is not known for 'version'"),
        ("vrrp: {groups: {blue: {master: lvs1}}}\n", "virtual_router_id"),
        ("vrrp: {garp: {delay: 4295}}\n", "0 to 4294"),
        ("vrrp: {garp: {lower_prio_delay: 4295}}\n", "0 to 4294"),
        ("vrrp: {track_scripts: {a: {path: /bin/a, interval: 4295}}}\n", "1 to 4294"),
        ("vrrp: {track_scripts: {a: {path: /bin/a, interval: 9, timeout: 4295}}}\n", "1 to 4294"),
        ("vrrp: {track_interfaces: [eth1, {interface: eth1, weight: 60}]}\n", "holds eth1 twice"),
        ('ipvs: {sysctls: {conntrack: "1"}}\n', "'conntrack' must be a number, not '1'"),
        ("vrrp: {sync_daemon: {interface: lo}}\n", "the sync daemon is on lo"),
    ],
)
def test_what_is_refused(sections: str, words: str, tmp_path: Path) -> None:
    assert any(words in summary for summary in told(tmp_path, sections))


def test_sync_daemon(tmp_path: Path) -> None:
    """Its id is the router's; its group is one."""
    text = "vrrp: {virtual_router_id: 77, sync_daemon: {interface: eth1, group: 224.0.0.99}}\n"
    daemon = cluster_of(tmp_path, text).vrrp.sync_daemon
    assert isinstance(daemon, SyncDaemonOptions)
    assert (daemon.interface, daemon.syncid, str(daemon.group)) == ("eth1", 77, "224.0.0.99")
    assert "'192.0.2.99' is not a multicast group" in told(tmp_path, text.replace("224.0.0.99", "192.0.2.99"))


BLUE = """
vips: {blue: {address: 192.0.2.51, group: blue}}
services:
  a: {vip: 192.0.2.50, port: 80, real_servers: [web1, web2]}
  b: {vip: blue, port: 80, real_servers: [web1, web2]}
vrrp: {sync_daemon: {interface: eth0}, groups: {blue: {virtual_router_id: 60, master: lvs2}}}
"""
SERVING = (
    BLUE.replace("[web1, web2]", "[lvs1, lvs2]")
    + """
real_servers: {lvs1: {address: 192.0.2.2}, lvs2: {address: 192.0.2.3}}
"""
)


def test_with_both_sync_daemons_backup_only_would_stop_all_directors(tmp_path: Path) -> None:
    """Whether it is declared or a director that serves asks for it."""
    both = "each director runs both sync daemons, so none would balance"
    declared = "ipvs: {sysctls: {backup_only: 1}}\n"
    assert told(tmp_path, BLUE) == []
    assert told(tmp_path, BLUE + declared.replace("1", "0")) == []
    assert told(tmp_path, BLUE + declared) == [f"backup_only is 1, and {both}"]
    why = "is a real server, too, which takes backup_only"
    assert told(tmp_path, SERVING) == [f"the director lvs1 {why}; {both}"]
    one_group = SERVING.replace(", group: blue", "")
    assert told(tmp_path, one_group + declared) == []


def test_no_sync_daemon_is_advised_where_it_would_not_help(tmp_path: Path) -> None:
    def fixes(sections: str) -> set[str]:
        path = tmp_path / "inventory.yaml"
        path.write_text(inventory(sections), encoding="utf-8")
        return {finding.fix for finding in findings_of(path) if finding.code == "LVS140"}

    without = SERVING.replace("sync_daemon: {interface: eth0}, ", "")
    (fix,) = fixes(without)
    assert fix.endswith("so a sync daemon would not help.")
    (fix,) = fixes(without + "engine: ipvsadm\n")
    assert "engine ipvsadm cannot tell who is BACKUP" in fix
    (fix,) = fixes(without.replace(", group: blue", ""))
    assert fix.startswith("Add `vrrp: {sync_daemon:")


def test_weights_where_nobody_preempts(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    text = "vrrp: {preempt: false, track_scripts: {s: {path: /bin/s, weight: -100}}}\n"
    for sections, said in ((text, True), (text.replace("false", "true"), False)):
        path.write_text(inventory(sections), encoding="utf-8")
        found = [finding.summary for finding in findings_of(path) if finding.code == "LVS228"]
        assert found == (["the weight -100 does nothing with preempt: false"] if said else [])


@pytest.mark.parametrize(
    ("interface", "carried"),
    [("eth0", True), ("eth1", True), ("eth2", False), ("eth3", False)],
)
def test_weights_of_interfaces_that_carry_what_moves(
    interface: str, *, carried: bool, tmp_path: Path
) -> None:
    """The gateway of NAT on eth1 is moved with all VIPs; eth2 carries the VIPs of one group of two."""
    sections = """
nat: {gateway: 10.2.0.1/24, interface: eth1}
real_servers: {web1: {address: 10.2.0.11}, web2: {address: 192.0.2.12}}
vips: {p: {address: 192.0.2.51, group: blue, interface: eth2}, q: {address: 192.0.2.52, interface: eth4}}
services:
  n: {vip: 192.0.2.50, port: 80, mode: nat, real_servers: [web1]}
"""
    groups = ", groups: {blue: {virtual_router_id: 90}}"
    other = "  b: {vip: p, port: 80, real_servers: [web2]}\n"
    vrrp = f"vrrp: {{track_interfaces: [{{interface: {interface}, weight: -60}}]"
    said = f"{interface} carries what VRRP moves, with or without a weight"
    alone = told(tmp_path, sections.replace(", group: blue", "") + vrrp + "}\n")
    assert (said in alone) is carried
    both = told(tmp_path, sections + other + vrrp + groups + "}\n")
    assert (said in both) is (interface == "eth0")


def test_a_service_with_an_error_has_its_names_looked_up(tmp_path: Path) -> None:
    text = """
services:
  a: {vip: nosuch, port: 80, scheduler: xx, real_servers: [web9, {name: "@x"}, {nam: web8}, web1]}
  b: {vips: [192.0.2.50, other, 192.0.2.52-59], port: 80, real_servers: [web7]}
"""
    unknown = [
        "there is no VIP 'nosuch'",
        "there is no real server 'web9': did you mean 'web2'?",
        "there is no group 'x'",
    ]
    found = told(tmp_path, text)
    assert [line for line in found if line.startswith("there is no")] == [
        *unknown,
        "there is no VIP 'other'",
        "there is no real server 'web7': did you mean 'web2'?",
    ]
    broken = text.replace("port: 80", "port: 80, colour: red") + "defaults: {scheduler: yy}\n"
    again = told(tmp_path, broken)
    assert [line for line in again if line.startswith("there is no")] == [
        line for line in found if line.startswith("there is no")
    ]


def test_needs(tmp_path: Path) -> None:
    nat = """
nat: {gateway: 10.2.0.1/24, interface: eth1, masquerade: true}
real_servers: {web1: {address: 10.2.0.11}, lvs1: {address: 192.0.2.2}}
services:
  a: {vip: 192.0.2.50, port: 80, mode: nat, real_servers: [web1]}
"""
    assert [(need.name, need.value) for need in needed_sysctls(cluster_of(tmp_path, nat))] == [
        ("conntrack", 1)
    ]
    serving = nat + "  b: {vip: 192.0.2.50, port: 81, real_servers: [lvs1]}\n"
    found = needed_sysctls(cluster_of(tmp_path, serving))
    assert [(need.name, need.value) for need in found] == [("conntrack", 1), ("backup_only", 1)]
    alone = serving + "directors: {lvs1: {address: 192.0.2.2, interface: eth0}}\n"
    assert [need.name for need in needed_sysctls(cluster_of(tmp_path, alone))] == ["conntrack"]
