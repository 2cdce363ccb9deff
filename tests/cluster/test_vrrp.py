"""VRRP and what belongs to it, by real keepalived and a real kernel: one boot, asked much.

The tests build on each other, in order: one MASTER for both address families first, then a group of VIPs for
each director, then VIPs on interfaces of their own, and at last nothing.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, differences, living
from tests.plan.test_every_sysctl import OTHERWISE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, SIXTH, BLUE = "192.0.2.50", "2001:db8::50", "192.0.2.60"
ECHO = 7000
# The lab lays out IPv4; the rest of this is said by `BOTH`, and IPv6 addresses are set by hand.
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "real_servers": {"web1": {"address": "192.0.2.11"}, "web2": {"address": "192.0.2.12"}},
    "vips": {"public": {"address": f"{VIP}/24"}, "blue": {"address": f"{BLUE}/24"}},
    "defaults": {"mode": "dr", "scheduler": "rr", "health_check": "none"},
    "services": {
        "echo": {"vip": "public", "port": ECHO, "real_servers": ["web1", "web2"]},
        "blue": {"vip": "blue", "port": 80, "real_servers": ["web1", "web2"]},
    },
}
BOTH: dict[str, Any] = {
    "directors": {"lvs1": {"dip6": "2001:db8::2"}, "lvs2": {"dip6": "2001:db8::3"}},
    "real_servers": {"web1": {"rip6": "2001:db8::11"}, "web2": {"rip6": "2001:db8::12"}},
    "vips": {
        "sixth": {"address": f"{SIXTH}/64"},
        "tagged": {"address": "192.0.2.70", "interface": "eth0.100"},
        "bonded": {"address": "192.0.2.71", "interface": "bond0"},
    },
    "services": {
        "echo": {"vip": None, "vips": ["public", "sixth"]},
        "elsewhere": {"vips": ["tagged", "bonded"], "port": 81, "real_servers": ["web1"]},
    },
    "vrrp": {
        "track_interfaces": ["trk0"],
        "track_scripts": {
            "well": {"path": "/usr/local/bin/well", "arguments": ["/run/ill"], "user": "nobody"}
        },
        "notify": {
            **{what: f"/usr/local/bin/as-{what}" for what in ("master", "backup", "fault", "stop")},
            "any": "/usr/local/bin/told",
            "user": "daemon",
        },
        "garp": {"repeat": 2, "interval": 0.01, "refresh": 0},
        "sync_daemon": {
            "interface": "eth0",
            "syncid": 9,
            "port": 8849,
            "max_length": 1000,
            "group": "224.0.0.99",
            "ttl": 3,
        },
    },
    "ipvs": {
        "timeouts": {"tcp": 1800, "udp": 30},
        "sysctls": {"sync_threshold": "1 10", "sloppy_tcp": True, "conn_reuse_mode": 1, "amemthresh": 2048},
    },
}
GROUPS: dict[str, Any] = {
    **BOTH,
    "vips": {**BOTH["vips"], "blue": {"group": "blue"}},
    "vrrp": {**BOTH["vrrp"], "groups": {"blue": {"virtual_router_id": 60, "master": "lvs2"}}},
}
VMAC: dict[str, Any] = {**GROUPS, "vrrp": {**GROUPS["vrrp"], "vmac": True}}

_SERVER = f"""
import socket, threading
def serve(connection):
    while data := connection.recv(100):
        connection.sendall(data)
server = socket.create_server(("0.0.0.0", {ECHO}))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
_CLIENT = f"""
import socket, sys, time
connection = socket.create_connection(("{VIP}", {ECHO}), timeout=20)
for number in range(400):
    connection.sendall(b"x")
    assert connection.recv(1) == b"x"
    open("/run/echoes", "w").write(str(number))
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("lab")
    with living(folder, DECLARED, Init.SSHD, serve={"web1": [80], "web2": [80]}) as cluster:
        numbers = {"lvs1": 2, "lvs2": 3, "web1": 11, "web2": 12, "client": 99}
        for machine, number in numbers.items():
            cluster.sh(machine, f"ip address add 2001:db8::{number}/64 dev eth0 nodad")
        for server in ("web1", "web2"):
            cluster.lab.spawn(server, f"exec python3 -c '{_SERVER}'")
        for director in ("lvs1", "lvs2"):
            cluster.sh(director, "ip link add trk0 type dummy && ip link set trk0 up")
            cluster.sh(
                director, "ip link add link eth0 name eth0.100 type vlan id 100 && ip link set eth0.100 up"
            )
            cluster.sh(
                director,
                "ip link add bond0 type bond && ip link add leg0 type dummy && ip link set leg0 master bond0 "
                "&& ip link set leg0 up && ip link set bond0 up",
            )
            cluster.sh(
                director,
                _program("well", 'test ! -e "$1"')
                + _program("told", 'echo "$2 $3 $(id -un)" >>/run/told')
                + "".join(
                    _program(f"as-{what}", f"echo {what} >>/run/told")
                    for what in ("master", "backup", "fault", "stop")
                )
                + "install -m 666 /dev/null /run/told",
            )
        yield cluster


def _program(name: str, line: str) -> str:
    return f"printf '#!/bin/sh\\n%s\\n' '{line}' >/usr/local/bin/{name}\nchmod 755 /usr/local/bin/{name}\n"


def held(cluster: Living, director: str) -> set[str]:
    """The VIPs on a director, on whatever interface."""
    words = cluster.sh(director, "ip -o address show").replace("/", " ").split()
    return {VIP, SIXTH, BLUE}.intersection(words)


def await_held(cluster: Living, lvs1: set[str], lvs2: set[str], seconds: float = 30) -> None:
    def so() -> bool:
        return (held(cluster, "lvs1"), held(cluster, "lvs2")) == (lvs1, lvs2)

    cluster.wait(f"lvs1 holds {lvs1}, lvs2 {lvs2}", so, seconds)


def daemons(cluster: Living, director: str) -> list[str]:
    return cluster.sh(director, "ipvsadm -Ln --daemon").splitlines()


def stop(cluster: Living, director: str) -> None:
    cluster.sh(director, "service keepalived stop")
    # A start while it still ends would do nothing.
    cluster.wait("keepalived has ended", lambda: not cluster.sh(director, "pidof keepalived", check=False))


def start(cluster: Living, director: str) -> None:
    cluster.sh(director, "service keepalived start")


ALL = {VIP, SIXTH, BLUE}
# keepalived sets these below the interfaces that it makes, and does not always put them back
# (vrrp_if_config.c, reset_interface_parameters).
_BELOW_VMAC = re.compile(r"sysctl net/ipv4/conf/(eth0|eth0\.100|bond0)/arp_(ignore|filter)")


def test_apply(cluster: Living) -> None:
    """Nothing is left to do afterwards, though VRRP and the sync daemons take their time."""
    before = {machine: cluster.picture(machine) for machine in ("lvs1", "lvs2", "web1")}
    cluster.__dict__["before"] = before
    both = cluster.variant("both", BOTH)
    cluster.run("apply", inventory=both)
    await_held(cluster, ALL, set())
    assert cluster.drift(inventory=both) == []
    assert "Nothing to do" in cluster.run("apply", inventory=both)


def test_vips_on_a_vlan_and_on_a_bond(cluster: Living) -> None:
    assert "192.0.2.70/32" in cluster.sh("lvs1", "ip -o address show dev eth0.100")
    assert "192.0.2.71/32" in cluster.sh("lvs1", "ip -o address show dev bond0")


def test_settings_of_ipvs(cluster: Living) -> None:
    for director in ("lvs1", "lvs2"):
        assert "Timeout (tcp tcpfin udp): 1800 120 30" in cluster.sh(director, "ipvsadm -Ln --timeout")
        names = "sync_threshold sloppy_tcp conn_reuse_mode amemthresh expire_nodest_conn"
        said = cluster.sh(director, f"cd /proc/sys/net/ipv4/vs && cat {names}").split()
        assert said == ["1", "10", "1", "1", "2048", "1"]


def test_sync_daemons_follow_vrrp(cluster: Living) -> None:
    """The kernel lets a BACKUP take no less than 1024 bytes, whatever is declared."""
    words = "(mcast=eth0, syncid=9, maxlen={}, group=224.0.0.99, port=8849, ttl=3)"
    assert daemons(cluster, "lvs1") == [f"master sync daemon {words.format(1000)}"]
    assert daemons(cluster, "lvs2") == [f"backup sync daemon {words.format(1024)}"]


def test_drift_of_settings_is_found_and_mended(cluster: Living) -> None:
    both = cluster.variant("both", BOTH)
    cluster.sh("lvs1", "ipvsadm --set 900 0 0; echo '3 50' >/proc/sys/net/ipv4/vs/sync_threshold")
    cluster.sh("lvs1", "ipvsadm --stop-daemon master")
    cluster.sh("lvs2", "ipvsadm --stop-daemon backup")
    cluster.sh("lvs2", "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 77")
    assert cluster.drift(inventory=both) == [
        "lvs1: sysctl net.ipv4.vs.sync_threshold [changed on the host]",
        "lvs1: IPVS timeout tcp [changed on the host]",
        "lvs1: sync daemon master [changed on the host]",
        "lvs2: sync daemon backup [changed on the host]",
    ]
    pids = [cluster.pid(director) for director in ("lvs1", "lvs2")]
    cluster.run("apply", inventory=both)
    assert cluster.drift(inventory=both) == []
    test_settings_of_ipvs(cluster)
    test_sync_daemons_follow_vrrp(cluster)
    assert [cluster.pid(director) for director in ("lvs1", "lvs2")] == pids
    assert held(cluster, "lvs1") == ALL


def test_a_connection_survives_the_failover_of_both_families(cluster: Living) -> None:
    cluster.lab.spawn("client", f"exec python3 -c '{_CLIENT}'")

    def copied() -> bool:
        return "ESTABLISHED" in cluster.sh("lvs2", "ipvsadm -Lcn")

    cluster.wait("the BACKUP knows the connection", copied, 30)
    stop(cluster, "lvs1")
    await_held(cluster, set(), ALL)
    first = int(cluster.sh("client", "cat /run/echoes"))
    cluster.wait(
        "the connection goes on", lambda: int(cluster.sh("client", "cat /run/echoes")) > first + 5, 30
    )
    cluster.sh("client", f"ping -6 -c 2 -W 2 {SIXTH}")
    assert daemons(cluster, "lvs2")[0].startswith("master sync daemon")
    start(cluster, "lvs1")
    await_held(cluster, ALL, set())
    later = int(cluster.sh("client", "cat /run/echoes"))
    cluster.wait("and on", lambda: int(cluster.sh("client", "cat /run/echoes")) > later + 3, 30)
    both = cluster.variant("both", BOTH)
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=both) == [], 60)


def test_a_tracked_interface_moves_the_vips(cluster: Living) -> None:
    cluster.sh("lvs1", "ip link set trk0 down")
    await_held(cluster, set(), ALL)
    cluster.sh("lvs1", "ip link set trk0 up")
    await_held(cluster, ALL, set())


def test_a_track_script_moves_the_vips(cluster: Living) -> None:
    cluster.sh("lvs1", "touch /run/ill")
    await_held(cluster, set(), ALL)
    cluster.sh("lvs1", "rm /run/ill")
    await_held(cluster, ALL, set())


def test_notify_scripts_ran(cluster: Living) -> None:
    """At a stop, a fault, and what comes after; with the user and the words that are declared."""
    told = cluster.sh("lvs1", "cat /run/told").splitlines()
    assert {"shop MASTER daemon", "shop BACKUP daemon", "shop FAULT daemon", "shop STOP daemon"} <= set(told)
    assert {"master", "backup", "fault", "stop"} <= set(told)


def test_a_director_that_returns_waits_before_it_takes_the_vips_back(cluster: Living) -> None:
    """`preempt_delay`; and the one that took over says so as often as `garp` has it: two messages, twice."""
    delay = 15
    path = cluster.variant("waiting", {**BOTH, "vrrp": {**BOTH["vrrp"], "preempt_delay": delay}})
    cluster.run("apply", inventory=path)
    await_held(cluster, ALL, set(), 60)
    cluster.lab.spawn("client", "exec timeout 14 tcpdump -lennpi eth0 arp >/run/arp 2>/dev/null")
    time.sleep(1)
    stop(cluster, "lvs1")
    await_held(cluster, set(), ALL)
    time.sleep(8)  # the second burst comes after 2 s
    start(cluster, "lvs1")
    began = time.monotonic()
    await_held(cluster, ALL, set(), 60)
    assert delay - 2 < time.monotonic() - began < delay + 15
    mac = cluster.mac("lvs2")
    said = [line for line in cluster.sh("client", "cat /run/arp").splitlines() if f" {mac} > " in line]
    assert sum(f"who-has {VIP} " in line and f"tell {VIP}," in line for line in said) == 4
    cluster.run("apply", inventory=cluster.variant("both", BOTH))
    await_held(cluster, ALL, set(), 60)


def test_every_sysctl_of_ipvs_that_this_kernel_has(cluster: Living) -> None:
    """Set, read back and left alone; then those that are not declared any more are as they were."""
    both, folder = cluster.variant("both", BOTH), "/proc/sys/net/ipv4/vs"
    there = set(cluster.sh("lvs1", f"ls {folder}").split()) & OTHERWISE.keys()
    assert there >= OTHERWISE.keys() - {"est_cpulist", "est_nice"}  # Linux 6.2

    def values(director: str) -> dict[str, str]:
        lines = cluster.sh(director, f"cd {folder} && grep -H '' {' '.join(sorted(there))}").splitlines()
        return {name: " ".join(text.split()) for name, _, text in (line.partition(":") for line in lines)}

    before = {director: values(director) for director in ("lvs1", "lvs2")}
    wanted = {name: OTHERWISE[name] for name in there}
    every = cluster.variant("every", {**BOTH, "ipvs": {**BOTH["ipvs"], "sysctls": wanted}})
    cluster.run("apply", inventory=every)
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=every) == [], 60)
    for director in ("lvs1", "lvs2"):
        now = values(director)
        for name in ("drop_entry", "drop_packet", "secure_tcp"):  # the kernel writes 2 while memory is short
            assert now.pop(name) in {"1", "2"}
        assert now == {name: str(wanted[name]) for name in now}
    assert "Nothing to do" in cluster.run("apply", inventory=every)
    cluster.run("apply", inventory=both)
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=both) == [], 60)
    assert {director: values(director) for director in before} == before


def test_each_director_is_master_of_its_group(cluster: Living) -> None:
    groups = cluster.variant("groups", GROUPS)
    cluster.run("apply", inventory=groups)
    await_held(cluster, {VIP, SIXTH}, {BLUE})
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=groups) == [], 60)
    for director in ("lvs1", "lvs2"):
        roles = sorted(line.split()[0] for line in daemons(cluster, director))
        assert roles == ["backup", "master"]
    said = cluster.run("status", inventory=groups)
    assert f"lvs1: MASTER of default, holds {VIP}, {SIXTH}" in said
    assert f"lvs2: MASTER of blue, holds {BLUE}" in said


def test_groups_fail_over_and_return(cluster: Living) -> None:
    stop(cluster, "lvs2")
    await_held(cluster, ALL, set())
    start(cluster, "lvs2")
    await_held(cluster, {VIP, SIXTH}, {BLUE})
    stop(cluster, "lvs1")
    await_held(cluster, set(), ALL)
    start(cluster, "lvs1")
    await_held(cluster, {VIP, SIXTH}, {BLUE})
    groups = cluster.variant("groups", GROUPS)
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=groups) == [], 60)


def test_vips_on_interfaces_of_their_own(cluster: Living) -> None:
    vmac = cluster.variant("vmac", VMAC)
    cluster.run("apply", inventory=vmac)
    await_held(cluster, {VIP, SIXTH}, {BLUE}, 60)
    assert VIP in cluster.sh("lvs1", "ip -o -4 address show dev vrrp.51")
    assert BLUE in cluster.sh("lvs2", "ip -o -4 address show dev vrrp.60")
    assert SIXTH in cluster.sh("lvs1", "ip -o -6 address show dev vrrp6.51")
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=vmac) == [], 60)
    assert cluster.answering_macs("client", VIP) == {"00:00:5e:00:01:33"}
    assert cluster.answering_macs("client", BLUE) == {"00:00:5e:00:01:3c"}
    assert sum(cluster.requests("client", f"http://{BLUE}/", 10)[name] for name in ("web1", "web2")) == 10
    stop(cluster, "lvs1")
    await_held(cluster, set(), ALL)
    start(cluster, "lvs1")
    await_held(cluster, {VIP, SIXTH}, {BLUE})


def test_without_a_sync_daemon_none_is_left(cluster: Living) -> None:
    plain = {**GROUPS, "vrrp": {"groups": GROUPS["vrrp"]["groups"]}, "ipvs": None}
    path = cluster.variant("plain", plain)
    cluster.run("apply", inventory=path)
    await_held(cluster, {VIP, SIXTH}, {BLUE}, 60)
    for director in ("lvs1", "lvs2"):
        assert daemons(cluster, director) == []
        assert "Timeout (tcp tcpfin udp): 900 120 300" in cluster.sh(director, "ipvsadm -Ln --timeout")
        assert cluster.sh(director, "cat /proc/sys/net/ipv4/vs/sync_threshold").split() == ["3", "50"]
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=path) == [], 60)


def test_directors_with_different_passwords_do_not_hear_each_other(cluster: Living) -> None:
    """Each is MASTER then, which `check` tells; with one password there is one again."""
    here, other = (cluster.variant(name, {"vrrp": {"password": name}}) for name in ("alpha", "bravo"))
    cluster.run("apply", inventory=here)
    await_held(cluster, {VIP, BLUE}, set(), 60)
    cluster.attempt("apply", "--limit", "lvs2", inventory=other)
    await_held(cluster, {VIP, BLUE}, {VIP, BLUE}, 60)
    assert f"{VIP} is on 2 directors: lvs1, lvs2" in cluster.run("check", code=2, inventory=other)
    cluster.run("apply", inventory=other)
    await_held(cluster, {VIP, BLUE}, set(), 60)
    cluster.wait("all is as declared", lambda: cluster.drift(inventory=other) == [], 60)


def test_destroy_leaves_all_as_before(cluster: Living) -> None:
    both = cluster.variant("both", BOTH)
    cluster.run("apply", inventory=both)
    cluster.run("destroy", "--yes", inventory=both)
    for machine, before in cluster.__dict__["before"].items():
        left = differences(before, cluster.picture(machine))
        assert [key for key in left if not _BELOW_VMAC.fullmatch(key)] == [], machine
