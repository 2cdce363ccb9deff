"""A director without any daemon: the table by ipvsadm, saved and restored by the distribution's own service.

DR and NAT, TCP and UDP. The tests of this module build on each other, in order; at the end the host is as it
was.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, differences, living

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.lab.remote import Background

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, NAT_VIP, GATEWAY = "192.0.2.50", "192.0.2.51", "10.2.0.1"
RULES, SWITCH = "/etc/ipvsadm.rules", "/etc/default/ipvsadm"
WEB: dict[str, Any] = {"vip": VIP, "mode": "dr", "scheduler": "rr", "real_servers": ["web1", "web2"]}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "engine": "ipvsadm",
    "directors": {"lvs1": {"address": "192.0.2.2", "interface": "eth0"}},
    "nat": {"gateway": f"{GATEWAY}/24", "interface": "eth1", "configure_gateway": True},
    "real_servers": {
        **{f"web{n}": {"address": f"192.0.2.1{n}"} for n in (1, 2, 3)},
        "db1": {"address": "10.2.0.21"},
        "db2": {"address": "10.2.0.22"},
    },
    "services": {
        "http": {
            **WEB,
            "port": 80,
            "scheduler": "wrr",
            "real_servers": ["web1", {"name": "web2", "weight": 3}],
        },
        "talk": {**WEB, "port": 81},
        "dns": {**WEB, "port": 53, "protocol": "udp", "one_packet": True},
        "limited": {
            **WEB,
            "port": 82,
            "real_servers": [{"name": "web1", "upper": 100, "lower": 80}, "web2"],
        },
        "api": {
            "vip": NAT_VIP,
            "port": 80,
            "mode": "nat",
            "scheduler": "rr",
            "real_servers": [{"name": "db1", "port": 8080}, {"name": "db2", "port": 8080}],
        },
    },
}
# Answers each datagram with its name.
ECHO = """
import socket
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(('192.0.2.50', 53))
while True:
    _, client = here.recvfrom(100)
    here.sendto(socket.gethostname().encode(), client)
"""
ASK = """
import socket
for _ in range(20):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    s.sendto(b'?', ('192.0.2.50', 53))
    print(s.recv(100).decode())
    s.close()
"""
# Holds one connection that data goes back and forth on, and says when it breaks.
HOLD = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.settimeout(60)
first = s.recv(100).decode()
print('open', first, flush=True)
while True:
    s.sendall(b'x')
    if s.recv(100) != b'x':
        break
    print('.', end='', flush=True)
    time.sleep(0.1)
print('broken', flush=True)
"""
TALK = """
import socket, socketserver
class Talk(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(socket.gethostname().encode())
        while data := self.request.recv(100):
            self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(('', 81), Talk).serve_forever()
"""


def python(script: str, *arguments: object) -> str:
    return f"exec python3 - {' '.join(map(str, arguments))} <<'EOF'\n{script}\nEOF"


@pytest.fixture(scope="module", params=[Init.SSHD, Init.SYSTEMD], ids=str)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {"web1": [80, 82], "web2": [80, 82], "web3": [80, 82], "db1": [8080], "db2": [8080]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, request.param, serve=serve) as cluster:
        for server in ("web1", "web2", "web3"):
            cluster.lab.spawn(server, python(TALK))
        yield cluster


@pytest.fixture(scope="module")
def before(cluster: Living) -> dict[str, Any]:
    """The director as it was found, with the files of the distribution's package."""
    return cluster.picture("lvs1")


def services_with(cluster: Living, **services: Any) -> Any:
    return cluster.variant("changed", {"services": services})


@contextmanager
def held(cluster: Living, service: str, port: int) -> Iterator[Background]:
    """A connection of the client's that goes on."""
    process = cluster.lab.spawn("client", python(HOLD, service, port))
    cluster.wait("the connection is open", lambda: "open" in process.output)
    try:
        yield process
    finally:
        process.stop()


def goes_on(cluster: Living, process: Background) -> bool:
    seen = process.output.count(".")
    cluster.wait("data goes back and forth", lambda: process.output.count(".") > seen + 5, 40)
    return "broken" not in process.output


def test_apply(cluster: Living, before: dict[str, Any]) -> None:
    assert any(line.startswith("file /etc/ipvsadm.rules") for line in before), "Debian's package has it"
    assert "read back and as declared" in cluster.run("apply")
    assert cluster.drift() == []
    assert "Nothing to do" in cluster.run("apply")
    assert cluster.pid("lvs1") == ""


def test_the_kernel_has_the_declared_table(cluster: Living) -> None:
    assert cluster.table("lvs1") == {
        f"-A -t {VIP}:80 -s wrr",
        f"-a -t {VIP}:80 -r 192.0.2.11:80 -g -w 1",
        f"-a -t {VIP}:80 -r 192.0.2.12:80 -g -w 3",
        f"-A -t {VIP}:81 -s rr",
        f"-a -t {VIP}:81 -r 192.0.2.11:81 -g -w 1",
        f"-a -t {VIP}:81 -r 192.0.2.12:81 -g -w 1",
        f"-A -t {VIP}:82 -s rr",
        f"-a -t {VIP}:82 -r 192.0.2.11:82 -g -w 1",
        f"-a -t {VIP}:82 -r 192.0.2.12:82 -g -w 1",
        f"-A -u {VIP}:53 -s rr -o",
        f"-a -u {VIP}:53 -r 192.0.2.11:53 -g -w 1",
        f"-a -u {VIP}:53 -r 192.0.2.12:53 -g -w 1",
        f"-A -t {NAT_VIP}:80 -s rr",
        f"-a -t {NAT_VIP}:80 -r 10.2.0.21:8080 -m -w 1",
        f"-a -t {NAT_VIP}:80 -r 10.2.0.22:8080 -m -w 1",
    }
    assert limits(cluster) == ["100", "80"]


def limits(cluster: Living) -> list[str]:
    """Thresholds of web1 in the service that has some."""
    lines = cluster.sh("lvs1", f"ipvsadm -Ln --thresholds -t {VIP}:82").splitlines()
    return next(line.split()[2:4] for line in lines if "192.0.2.11:82" in line)


def balanced(cluster: Living) -> None:
    assert cluster.requests("client", f"http://{VIP}/", 20) == Counter(web1=5, web2=15)
    assert cluster.requests("client", f"http://{NAT_VIP}/", 10) == Counter(db1=5, db2=5)
    assert cluster.requests("remote", f"http://{NAT_VIP}/", 10) == Counter(db1=5, db2=5)
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}
    answers = Counter(cluster.sh("client", python(ASK)).split())
    assert answers == Counter(web1=10, web2=10)


def test_packets_are_balanced(cluster: Living) -> None:
    for server in ("web1", "web2"):
        cluster.lab.spawn(server, python(ECHO))
    cluster.wait("DNS answers", lambda: "web" in cluster.sh("client", python(ASK), check=False))
    balanced(cluster)


def test_status(cluster: Living) -> None:
    status = json.loads(cluster.run("status", "--output", "json"))
    (director,) = status["directors"]
    assert director["role"] == "no VRRP"
    assert set(director["holds"]) == {VIP, NAT_VIP, GATEWAY}
    assert {d["state"] for s in director["services"] for d in s["destinations"]} == {"up"}


def test_drift_is_found_and_mended_by_the_smallest_commands(cluster: Living) -> None:
    cluster.sh(
        "lvs1",
        f"""
        ipvsadm -e -t {VIP}:80 -r 192.0.2.11:80 -g -w 9
        ipvsadm -d -t {VIP}:81 -r 192.0.2.12:81
        ipvsadm -a -t {VIP}:81 -r 192.0.2.77:81 -g
        ipvsadm -e -t {VIP}:82 -r 192.0.2.11:82 -g -w 1 -x 7
        ipvsadm -E -u {VIP}:53 -s wlc -o
        ipvsadm -D -t {NAT_VIP}:80
        ipvsadm -A -t 192.0.2.99:80 -s rr
        ip address del {VIP}/32 dev eth0
        """,
    )
    assert sorted(cluster.drift()) == sorted(
        f"lvs1: {what} [changed on the host]"
        for what in (
            f"address {VIP}/32 on eth0",
            f"destination 192.0.2.11:80 of tcp {VIP}:80",
            f"destination 192.0.2.12:81 of tcp {VIP}:81",
            f"destination 192.0.2.77:81 of tcp {VIP}:81",
            f"destination 192.0.2.11:82 of tcp {VIP}:82",
            f"virtual service udp {VIP}:53",
            f"virtual service tcp {NAT_VIP}:80",
            "virtual service tcp 192.0.2.99:80",
        )
    )
    cluster.run("apply")
    assert cluster.drift() == []
    assert limits(cluster) == ["100", "80"]
    balanced(cluster)


def test_connections_to_untouched_destinations_go_on(cluster: Living) -> None:
    """One goes through one real server while others are added, changed and removed around it."""
    with held(cluster, VIP, 81) as connection:
        own = connection.output.split()[1]
        other = "web2" if own == "web1" else "web1"
        for servers in (
            [own, other, "web3"],
            [own, {"name": other, "weight": 5}, "web3"],
            [own, {"name": "web3", "upper": 50}],
            [own],
        ):
            changed = services_with(cluster, talk={"real_servers": servers, "scheduler": "wlc"})
            cluster.run("apply", inventory=changed)
            assert cluster.drift(inventory=changed) == []
            assert goes_on(cluster, connection)
        cluster.run("apply")
        assert goes_on(cluster, connection)
    assert cluster.drift() == []


def on_web1(cluster: Living, verb: str) -> None:
    done = cluster.lab.run([*cluster.argv(verb), "web1"], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_drain_and_undrain(cluster: Living) -> None:
    on_web1(cluster, "drain")
    assert cluster.requests("client", f"http://{VIP}/", 6) == Counter(web2=6)
    assert f"-a -t {VIP}:80 -r 192.0.2.11:80 -g -w 0" in cluster.table("lvs1")
    assert f"-a -t {VIP}:80 -r 192.0.2.11:80 -g -w 0" in cluster.sh("lvs1", f"cat {RULES}")
    assert cluster.drift() == []
    on_web1(cluster, "undrain")
    balanced(cluster)
    assert cluster.drift() == []


def test_a_rollback(cluster: Living) -> None:
    before = cluster.table("lvs1")
    cluster.run("apply", inventory=services_with(cluster, http={"scheduler": "sh"}, dns={"port": 5353}))
    assert cluster.table("lvs1") != before
    cluster.run("rollback", "--yes")
    assert cluster.table("lvs1") == before
    assert cluster.drift() == []


def test_a_reboot(cluster: Living) -> None:
    cluster.lab.reboot("lvs1")
    cluster.wait("the VIP is there", lambda: f"{VIP}/32" in cluster.sh("lvs1", "ip -o address show dev eth0"))
    assert cluster.drift() == []
    assert limits(cluster) == ["100", "80"]
    balanced(cluster)


def test_to_keepalived_and_back(cluster: Living) -> None:
    """The table stays as it is all the time, and so does a connection."""
    table = cluster.table("lvs1")
    keepalived = cluster.variant("keepalived", {"engine": "keepalived"})
    with held(cluster, VIP, 81) as connection:
        cluster.run("apply", inventory=keepalived)
        assert cluster.pid("lvs1")
        assert cluster.table("lvs1") == table
        cluster.wait("VIP", lambda: f"{VIP}/32" in cluster.sh("lvs1", "ip -o address show dev eth0"))
        assert goes_on(cluster, connection)
        assert cluster.drift(inventory=keepalived) == []
        assert cluster.sh("lvs1", f"cat {SWITCH}").count('AUTO="false"') == 1, "the package's own is back"
        cluster.run("apply")
        assert cluster.pid("lvs1") == ""
        assert cluster.table("lvs1") == table
        assert goes_on(cluster, connection)
    assert cluster.drift() == []
    balanced(cluster)


def test_destroy_leaves_the_host_as_it_was(cluster: Living, before: dict[str, Any]) -> None:
    cluster.run("destroy", "--yes")
    differing = differences(before, cluster.picture("lvs1"))
    # What ran at a boot counts as having run.
    ran = ("active ipvsadm.service", "active systemd-modules-load.service")
    assert [key for key in differing if not key.startswith(ran)] == []
    assert cluster.table("lvs1") == set()
    assert "empty rules" in cluster.sh("lvs1", f"cat {RULES}").replace("emtpy", "empty")
