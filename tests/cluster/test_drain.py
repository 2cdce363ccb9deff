"""Real servers out of service and back, ways back, saved plans, and drift mended under running connections.

The tests of this module build on each other, in order.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lvsdeploy.lab.remote import Background

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, WEB2 = "192.0.2.50", "192.0.2.12"
CONF = "/etc/keepalived/keepalived.conf"
DIRECTORS, SERVERS = ("lvs1", "lvs2"), ("web1", "web2", "web3")
WEB: dict[str, Any] = {
    "vip": VIP,
    "mode": "dr",
    "scheduler": "rr",
    "health_check": {"type": "tcp", "interval": 2, "timeout": 2},
    "real_servers": ["web1", "web2"],
}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "real_servers": {f"web{n}": {"address": f"192.0.2.1{n}"} for n in (1, 2, 3)},
    "services": {
        "http": {**WEB, "port": 80},
        "slow": {**WEB, "port": 81},
        "third": {**WEB, "port": 82, "real_servers": ["web3"]},
    },
}
# Tells its name, then goes on talking until it is told to end.
SLOW = """
import os, socket, socketserver, sys, time
class Talk(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(socket.gethostname().encode())
        while not os.path.exists('/run/enough'):
            self.request.sendall(b'.')
            time.sleep(0.2)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(('', int(sys.argv[1])), Talk).serve_forever()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {server: [80, 82] for server in SERVERS}
    folder = tmp_path_factory.mktemp("lab")
    with living(folder, DECLARED, Init.SYSTEMD, user="deploy", serve=serve) as cluster:
        for server in SERVERS:
            cluster.lab.spawn(server, f"exec python3 -c {shlex.quote(SLOW)} 81")
        cluster.run("apply")
        yield cluster


def answering(cluster: Living, count: int = 6) -> set[str]:
    return set(cluster.requests("client", f"http://{VIP}/", count))


@contextmanager
def talking(cluster: Living, server: str) -> Iterator[Background]:
    """A long request of the client that has gone to this server."""
    ask = (
        f'exec python3 -uc \'import socket, sys; s = socket.create_connection(("{VIP}", 81))\n'
        'for data in iter(lambda: s.recv(99), b""): sys.stdout.write(data.decode())\''
    )
    cluster.sh(server, "rm -f /run/enough")
    others: list[Background] = []
    try:
        while True:
            request = cluster.lab.spawn("client", ask)
            request.expect(".")
            if request.output.startswith(server):
                break
            others.append(request)
            assert len(others) < 4, "it is the round of both"
        for other in others:
            other.stop()
        yield request
    finally:
        request.stop()


def goes_on(cluster: Living, request: Background) -> bool:
    """Whether a long request gets more."""
    length = len(request.output)
    cluster.wait("more of it", lambda: len(request.output) > length or not request.running, seconds=5)
    return request.running


def weights(cluster: Living, director: str, server: str) -> dict[str, str]:
    """Port -> weight of a real server's destinations in a director's table."""
    found = re.findall(rf"-a -t {VIP}:(\d+) -r {server}:\d+ -g -w (\d+)", "\n".join(cluster.table(director)))
    return dict(found)


def run_drain(cluster: Living, host: str, *options: str, verb: str = "drain", code: int = 0) -> str:
    done = cluster.lab.run([*cluster.argv(verb, *options), host])
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- drain ------------------------------------------------------------------------------------------------


def test_a_drained_real_server_gets_nothing_new_and_its_connections_go_on(cluster: Living) -> None:
    with talking(cluster, "web2") as request:
        said = run_drain(cluster, "web2")
        assert "Drained on lvs1, lvs2:" in said
        for director in DIRECTORS:
            assert weights(cluster, director, WEB2) == {"80": "0", "81": "0"}
        assert answering(cluster) == {"web1"}
        assert goes_on(cluster, request)
        assert "As declared" in cluster.run("check")
        assert "Nothing to do" in cluster.run("apply")
        status = cluster.run("status")
        assert re.search(rf"web2\s+{WEB2}:80 .* drained since 20\S+Z by {getpass.getuser()}@\S+", status), (
            status
        )
        # Not before its connections have ended.
        said = run_drain(cluster, "web2", "--wait", "--drain-timeout", "2", code=1)
        assert "web2: after 2 s there are connections left: 1 on lvs1" in said
        with cluster.lab.popen([*cluster.argv("drain", "--wait"), "web2"]) as process:
            time.sleep(6)
            assert process.poll() is None, "it waits"
            cluster.sh("web2", "touch /run/enough")
            assert process.wait(30) == 0
        assert not request.running


def test_a_drain_outlasts_a_reload_a_failover_and_a_reboot(cluster: Living) -> None:
    pids = [cluster.pid(director) for director in DIRECTORS]
    other = cluster.variant("other", {"services": {"third": {"scheduler": "wlc"}}})
    assert "Applied to lvs1, lvs2:" in cluster.run("apply", inventory=other)
    assert [cluster.pid(director) for director in DIRECTORS] == pids
    assert answering(cluster, 4) == {"web1"}
    cluster.run("apply")
    cluster.sh("lvs1", "service keepalived stop")
    cluster.wait("lvs2 is MASTER", lambda: VIP in cluster.sh("lvs2", "ip -o address show dev eth0"))
    assert answering(cluster, 4) == {"web1"}
    cluster.lab.reboot("lvs1")
    cluster.wait(
        "lvs1 is MASTER", lambda: VIP in cluster.sh("lvs1", "ip -o address show dev eth0"), seconds=40
    )
    cluster.wait("it balances", lambda: answering(cluster, 4) == {"web1"})
    cluster.wait("as declared", lambda: cluster.drift() == [])
    assert weights(cluster, "lvs1", WEB2) == {"80": "0", "81": "0"}


def test_undrain_brings_it_back(cluster: Living) -> None:
    assert "Undrained on lvs1, lvs2:" in run_drain(cluster, "web2", verb="undrain")
    assert answering(cluster) == {"web1", "web2"}
    assert "drained" not in cluster.run("status")
    assert cluster.drift() == []


def test_one_service_alone_is_drained(cluster: Living) -> None:
    run_drain(cluster, "web2", "--service", "http")
    for director in DIRECTORS:
        assert weights(cluster, director, WEB2) == {"80": "0", "81": "1"}
    assert answering(cluster) == {"web1"}
    with talking(cluster, "web2"):
        pass
    assert cluster.drift() == []
    said = run_drain(cluster, "web1", code=1)
    assert "http: no other real server is left, and its clients would be refused" in said
    assert answering(cluster) == {"web1"}
    run_drain(cluster, "web2", "--service", "http", verb="undrain")
    assert answering(cluster) == {"web1", "web2"}


# --- ways back --------------------------------------------------------------------------------------------


def applies(cluster: Living) -> list[str]:
    """The ids of what changed the cluster, the newest first."""
    return [apply["id"] for apply in json.loads(cluster.run("history", "--output", "json"))["applies"]]


def test_rollback_of_a_removed_real_server_and_of_a_weight(cluster: Living) -> None:
    start = applies(cluster)[0]
    servers = ["web1", {"name": "web2", "weight": 3}]
    heavy = cluster.variant("heavy", {"services": {"http": {"scheduler": "wrr", "real_servers": servers}}})
    cluster.run("apply", inventory=heavy)
    fewer = cluster.variant("fewer", {"services": {n: {"real_servers": ["web1"]} for n in ("http", "slow")}})
    cluster.run("apply", "--drain-timeout", "0", inventory=fewer)
    assert VIP not in cluster.sh("web2", "ip -o address show dev lo")
    pids = [cluster.pid(director) for director in DIRECTORS]
    said = cluster.run("rollback")
    assert re.search(rf"^ +\+ +real_server {WEB2} 80 ", said, re.MULTILINE), "the diff is shown"
    assert re.search(r"^Rolled back web2, lvs1, lvs2:", said, re.MULTILINE), said
    assert f"{VIP}/32" in cluster.sh("web2", "ip -o address show dev lo")
    assert weights(cluster, "lvs1", WEB2) == {"80": "3", "81": "1"}
    assert answering(cluster) == {"web1", "web2"}
    assert cluster.drift(inventory=heavy) == []
    # Further back, to before the weight.
    said = cluster.run("rollback", "--to", start)
    assert re.search(r"^ +- +weight 3$", said, re.MULTILINE), said
    assert weights(cluster, "lvs1", WEB2) == {"80": "1", "81": "1"}
    assert cluster.drift() == []
    assert [cluster.pid(director) for director in DIRECTORS] == pids
    told = cluster.run("history")
    whats = [line.split("  ")[1] for line in told.splitlines() if line.startswith("20")]
    assert whats[:4] == [f"rollback to {start}", "rollback", "apply", "apply"]
    said = cluster.run("rollback", "--to", "20200101T000000Z-0000", code=64)
    assert f"There are: {applies(cluster)[0]}" in said


def test_the_kernel_s_drift_is_mended_under_running_connections(cluster: Living) -> None:
    cluster.run("apply")
    pids = [cluster.pid(director) for director in DIRECTORS]
    with talking(cluster, "web1") as request:
        cluster.sh(
            "lvs1",
            f"ipvsadm -D -t {VIP}:82; ipvsadm -d -t {VIP}:81 -r {WEB2}:81;"
            f"ipvsadm -e -t {VIP}:80 -r {WEB2}:80 -g -w 9",
        )
        assert set(cluster.drift()) == {
            f"lvs1: virtual service tcp {VIP}:82 [changed on the host]",
            f"lvs1: destination {WEB2}:81 of tcp {VIP}:81 [changed on the host]",
            f"lvs1: destination {WEB2}:80 of tcp {VIP}:80 [changed on the host]",
        }
        assert "Applied to lvs1:" in cluster.run("apply")
        assert goes_on(cluster, request)
    assert cluster.drift() == []
    assert [cluster.pid(director) for director in DIRECTORS] == pids
    assert set(cluster.requests("client", f"http://{VIP}:82/", 2)) == {"web3"}


# --- saved plans ------------------------------------------------------------------------------------------


def test_a_saved_plan_is_applied_and_refused_where_hosts_have_moved_on(
    cluster: Living, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    inventory = cluster.variant("planned", {"services": {"third": {"scheduler": "wlc"}}})
    cluster.run("plan", "--out", str(plan), inventory=inventory)
    injuries = {
        "a file": ("lvs2", f"echo '# mine' >>{CONF}", f"sed -i '/^# mine/d' {CONF}"),
        "the table": (
            "lvs1",
            f"ipvsadm -e -t {VIP}:80 -r {WEB2}:80 -g -w 9",
            f"ipvsadm -e -t {VIP}:80 -r {WEB2}:80 -g -w 1",
        ),
    }
    for host, injury, mend in injuries.values():
        cluster.sh(host, injury)
        before = {director: cluster.sh(director, f"cat {CONF}; ipvsadm -Sn") for director in DIRECTORS}
        said = cluster.run("apply", code=1, inventory=plan)
        assert "the hosts have moved on since the plan was made (20" in said
        assert f"): {host}; nothing was changed" in said
        assert {d: cluster.sh(d, f"cat {CONF}; ipvsadm -Sn") for d in DIRECTORS} == before
        cluster.sh(host, mend)
    assert "Applied to lvs1, lvs2:" in cluster.run("apply", inventory=plan)
    assert cluster.drift(inventory=inventory) == []
    assert "the hosts have moved on" in cluster.run("apply", code=1, inventory=plan)
