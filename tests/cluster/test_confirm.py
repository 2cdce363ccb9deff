"""Changes that end badly: not confirmed, left in the middle, cut off by a reboot, harmful to a service.

The tests of this module build on each other, in order.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, SECOND_VIP = "192.0.2.50", "192.0.2.51"
CONF = "/etc/keepalived/keepalived.conf"
DIRECTORS, SERVERS = ("lvs1", "lvs2"), ("web1", "web2")
JOURNAL = "/var/lib/lvsdeploy/.journal"
SECONDS = 8  # within which a change is to be confirmed
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "ssh": {"connect_timeout": 3},
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "real_servers": {"web1": {"address": "192.0.2.11"}, "web2": {"address": "192.0.2.12"}},
    "services": {
        "http": {
            "vip": VIP,
            "port": 80,
            "mode": "dr",
            "scheduler": "wrr",
            "health_check": {"type": "tcp", "interval": 1, "timeout": 1, "retries": 0},
            "real_servers": ["web1", "web2"],
        }
    },
}


@pytest.fixture(
    scope="module", params=[(Init.SSHD, "root"), (Init.SYSTEMD, "deploy")], ids=["sshd-root", "systemd-sudo"]
)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    init, user = request.param
    serve = {"web1": [80], "web2": [80]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, init, user=user, serve=serve) as cluster:
        cluster.run("apply")
        yield cluster


def weighted(cluster: Living, weight: int) -> Path:
    """The inventory with another weight of web2: a change of the directors alone."""
    servers = ["web1", {"name": "web2", "weight": weight}]
    return cluster.variant(f"weight-{weight}", {"services": {"http": {"real_servers": servers}}})


def line(weight: int) -> str:
    return f"-a -t {VIP}:80 -r 192.0.2.12:80 -g -w {weight}"


def written(cluster: Living, host: str) -> str:
    """Files of lvsdeploy on a machine, with their contents and times."""
    return cluster.sh(
        host,
        "find /etc/keepalived /etc/lvsdeploy /etc/sysctl.d /etc/systemd/system /etc/init.d /var/lib/lvsdeploy"
        " -type f -exec stat -c '%n %s %Y %a %U' {} + -exec sha256sum {} + 2>/dev/null | sort; true",
    )


def is_clean(cluster: Living, host: str) -> bool:
    """No half-written file, lock, journal or guard."""
    return not cluster.sh(
        host,
        "find /etc /var/lib/lvsdeploy -name '.*.lvsdeploy-*' 2>/dev/null; ls -A /run/lvsdeploy 2>/dev/null |"
        f" grep -vx settled; ls -d {JOURNAL} 2>/dev/null; ps axww | grep '[j]ournal/lib'",
        check=False,
    )


def is_armed(cluster: Living, host: str) -> bool:
    return bool(cluster.sh(host, f"ls {JOURNAL}/armed.* 2>/dev/null", check=False))


# --- changes that wait to be confirmed --------------------------------------------------------------------


def test_a_change_that_is_confirmed_lasts(cluster: Living) -> None:
    pids = [cluster.pid(director) for director in DIRECTORS]
    inventory = weighted(cluster, 3)
    said = cluster.run("apply", "--confirm", str(SECONDS), inventory=inventory)
    assert "Applied to lvs1, lvs2:" in said
    for director in DIRECTORS:
        # Not at once: a guard that was not needed goes by itself.
        cluster.wait("nothing is left", lambda d=director: is_clean(cluster, d))
    time.sleep(SECONDS)
    assert cluster.drift(inventory=inventory) == []
    for director in DIRECTORS:
        assert line(3) in cluster.table(director)
    assert [cluster.pid(director) for director in DIRECTORS] == pids
    assert cluster.run("history").count("  apply  ") == 2


def test_a_change_whose_controller_dies_is_put_back(cluster: Living) -> None:
    before = {host: written(cluster, host) for host in (*DIRECTORS, *SERVERS)}
    pid = cluster.pid("lvs2")
    with cluster.started("apply", "--confirm", str(SECONDS), inventory=weighted(cluster, 4)) as process:
        cluster.wait("lvs2 waits", lambda: is_armed(cluster, "lvs2"), seconds=60)
        process.kill()
    armed = time.monotonic()
    # Somebody else is told, and changes nothing meanwhile.
    said = cluster.run("apply", code=1, inventory=weighted(cluster, 5))
    assert "unless confirmed" in said
    cluster.wait("lvs2 puts it back", lambda: is_clean(cluster, "lvs2"), seconds=SECONDS + 12)
    assert time.monotonic() - armed < SECONDS + 12
    assert {host: written(cluster, host) for host in before} == before
    assert line(3) in cluster.table("lvs2")
    assert cluster.pid("lvs2") == pid
    assert cluster.drift(inventory=weighted(cluster, 3)) == []


def test_a_change_that_locks_us_out_is_put_back(cluster: Living) -> None:
    """As soon as the new configuration is in place nobody can log in to lvs2."""
    before = {host: written(cluster, host) for host in (*DIRECTORS, *SERVERS)}
    pid = cluster.pid("lvs2")
    watcher = cluster.lab.spawn(
        "lvs2",
        f"until grep -q 'weight 6' {CONF}; do sleep 0.1; done;"
        "iptables -I INPUT -p tcp --dport 22 --syn -j DROP",
    )
    try:
        said = cluster.run("apply", "--confirm", str(SECONDS), code=1, inventory=weighted(cluster, 6))
        assert f"it puts itself back within {SECONDS} s" in said
        assert "lvs1: not changed: directors are changed one after the other, and lvs2 is not ready" in said
        cluster.wait("lvs2 puts it back", lambda: is_clean(cluster, "lvs2"), seconds=SECONDS + 12)
        assert {host: written(cluster, host) for host in before} == before
        assert line(3) in cluster.table("lvs2")
        assert cluster.pid("lvs2") == pid
    finally:
        watcher.stop()
        cluster.sh("lvs2", "iptables -D INPUT -p tcp --dport 22 --syn -j DROP", check=False)
    assert cluster.drift(inventory=weighted(cluster, 3)) == []


# --- who dies in the middle -------------------------------------------------------------------------------


def test_a_controller_that_dies_leaves_finished_hosts_and_the_rest_to_the_next_apply(cluster: Living) -> None:
    more = {"services": {"more": {**DECLARED["services"]["http"], "vip": SECOND_VIP}}}
    inventory = cluster.variant("more", more)
    slow = '#!/bin/sh\nmkdir /run/slowed 2>/dev/null && sleep 3\nexec /bin/chown "$@"\n'
    for server in SERVERS:
        cluster.lab.exec(server, "cat >/usr/local/sbin/chown; chmod 755 /usr/local/sbin/chown",
                         input=slow.encode())  # fmt: skip
    before = {director: written(cluster, director) for director in DIRECTORS}
    with cluster.started("apply", inventory=inventory) as process:
        for server in SERVERS:
            cluster.wait(
                f"{server} is being changed",
                lambda s=server: cluster.sh(s, "ls -d /run/slowed 2>/dev/null", check=False),
                seconds=60,
            )
        process.kill()
    for server in SERVERS:
        cluster.wait(f"{server} has finished", lambda s=server: is_clean(cluster, s))
        assert f"{SECOND_VIP}/32" in cluster.sh(server, "ip -o address show dev lo")
        cluster.sh(server, "rm /usr/local/sbin/chown")
    assert {director: written(cluster, director) for director in DIRECTORS} == before
    assert cluster.drift("--limit", "web1,web2", inventory=inventory) == []
    assert "Applied to lvs1, lvs2:" in cluster.run("apply", inventory=inventory)
    assert "Applied to web1, web2, lvs1, lvs2:" in cluster.run("apply")
    assert cluster.drift() == []


def test_a_director_that_reboots_in_the_middle_is_recovered_by_the_next_apply(cluster: Living) -> None:
    """lvs2 goes down when its new configuration is in place and keepalived has been told."""
    slow = (
        f"#!/bin/sh\ngrep -q 'weight 7' {CONF} && mkdir /run/slowed 2>/dev/null && sleep 60\n"
        'exec /sbin/ipvsadm "$@"\n'
    )
    cluster.lab.exec("lvs2", "cat >/usr/local/sbin/ipvsadm; chmod 755 /usr/local/sbin/ipvsadm",
                     input=slow.encode())  # fmt: skip
    inventory = weighted(cluster, 7)
    with cluster.started("apply", inventory=inventory) as process:
        cluster.wait(
            "lvs2 is being changed",
            lambda: cluster.sh("lvs2", "ls -d /run/slowed 2>/dev/null", check=False),
            seconds=60,
        )
        process.kill()
    cluster.lab.stop("lvs2")
    cluster.lab.start("lvs2")
    cluster.sh("lvs2", "rm /usr/local/sbin/ipvsadm")
    cluster.wait("lvs2 runs keepalived", lambda: cluster.pid("lvs2"))
    assert "weight 7" in cluster.sh("lvs2", f"cat {CONF}")
    assert "warning[LVS526]: an apply broke off here: " in cluster.run("check", code=2)
    said = cluster.run("apply", inventory=inventory)
    assert "lvs2: put back first what had broken off there: " in said
    assert "Applied to lvs1, lvs2:" in said
    assert is_clean(cluster, "lvs2")
    cluster.wait("the table", lambda: line(7) in cluster.table("lvs2"))
    assert cluster.drift(inventory=inventory) == []
    cluster.run("apply")
    assert cluster.drift() == []


# --- waves --------------------------------------------------------------------------------------------------


def test_a_wave_that_hurts_a_service_is_the_last_one(cluster: Living) -> None:
    """web1 stops to serve as soon as its new file is there."""
    more = {"services": {"more": {**DECLARED["services"]["http"], "vip": SECOND_VIP}}}
    inventory = cluster.variant("more", more)
    before = {host: written(cluster, host) for host in ("web2", *DIRECTORS)}
    watcher = cluster.lab.spawn(
        "web1",
        f"until grep -q {SECOND_VIP} /etc/lvsdeploy/shop/real-server; do sleep 0.1; done;"
        "kill $(ss -Hltnp 'sport = :80' | grep -o 'pid=[0-9]*' | cut -d= -f2)",
    )
    done = cluster.attempt("apply", "--serial", "1", "-v", inventory=inventory)
    watcher.stop()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "wave 1 of 2: web1" in done.stderr
    assert "Applied to web1:" in done.stdout
    assert "web2: not changed: after a wave of real servers a health check fails: " in done.stdout
    for director in DIRECTORS:
        assert f"{director}: not changed: " in done.stdout
    assert {host: written(cluster, host) for host in before} == before
    cluster.serve({"web1": [80]})
    cluster.wait(
        "web1 serves again",
        lambda: all(any("192.0.2.11:80" in row for row in cluster.table(d)) for d in DIRECTORS),
    )
    said = cluster.run("apply", "--serial", "50%", inventory=inventory)
    assert "Applied to web2, lvs1, lvs2:" in said
    assert cluster.drift(inventory=inventory) == []
