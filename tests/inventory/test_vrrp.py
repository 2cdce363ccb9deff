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
