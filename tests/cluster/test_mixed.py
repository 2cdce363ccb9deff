"""The whole main job, by real packets: two directors, DR with weights, NAT with a port mapping.

Once as root on machines whose first process is sshd and once, through sudo, on machines that run systemd. The
tests of this module build on each other, in order: the cluster is set up once and asked much.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, NAT_VIP, APP_VIP, GATEWAY = "192.0.2.50", "192.0.2.51", "192.0.2.52", "10.2.0.1"
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "vrrp": {"virtual_router_id": 51, "password": {"file": "vrrp-password"}},
    "nat": {"gateway": f"{GATEWAY}/24", "interface": "eth1", "configure_gateway": True},
    "real_servers": {
        "web1": {"address": "192.0.2.11"},
        "web2": {"address": "192.0.2.12"},
        "web3": {"address": "192.0.2.13"},
        "db1": {"address": "10.2.0.21"},
        "db2": {"address": "10.2.0.22"},
        "box": {"address": "10.2.0.23", "managed": False},
    },
    "services": {
        "http": {
            "vip": VIP,
            "port": 80,
            "mode": "dr",
            "scheduler": "wrr",
            "health_check": {"type": "http", "path": "/", "interval": 2, "timeout": 2},
            "real_servers": ["web1", "web2", {"name": "web3", "weight": 2}],
        },
        "api": {
            "vip": NAT_VIP,
            "port": 80,
            "mode": "nat",
            "scheduler": "rr",
            "real_servers": [{"name": "db1", "port": 8080}, {"name": "db2", "port": 8080}],
        },
        "app": {
            "vip": APP_VIP,
            "port": 80,
            "mode": "nat",
            "scheduler": "rr",
            "health_check": {"type": "tcp", "interval": 2, "timeout": 2},
            "real_servers": [{"name": "db1", "port": 8080}, {"name": "box", "port": 8080}],
        },
    },
}
PASSWORD = "s3cretpw"  # noqa: S105 — of this test's own VRRP


@pytest.fixture(
    scope="module", params=[(Init.SSHD, "root"), (Init.SYSTEMD, "deploy")], ids=["sshd-root", "systemd-sudo"]
)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    init, user = request.param
    folder = tmp_path_factory.mktemp("lab")
    (folder / "vrrp-password").write_text(PASSWORD)
    serve = {"web1": [80], "web2": [80], "web3": [80], "db1": [8080], "db2": [8080], "box": [8080]}
    with living(folder, DECLARED, init, user=user, serve=serve) as cluster:
        cluster.sh("box", f"ip route replace default via {GATEWAY}")  # nobody else does it
        cluster.sh("box", "iptables -I INPUT -p tcp --dport 22")  # counts who comes to log in
        yield cluster


def test_check_before_the_first_apply_finds_everything_missing(cluster: Living) -> None:
    found = cluster.drift()
    assert "web1: address 192.0.2.50/32 on lo [not there yet]" in found
    assert "lvs1: file /etc/keepalived/keepalived.conf [not there yet]" in found
    assert "lvs1: virtual service tcp 192.0.2.50:80 [not there yet]" in found


def test_apply_makes_it_so(cluster: Living) -> None:
    said = cluster.run("apply")
    assert "read back and as declared" in said
    assert PASSWORD not in said
    assert cluster.drift() == []


def test_a_second_apply_changes_nothing(cluster: Living) -> None:
    before = cluster.sh(
        "lvs1", "stat -c '%n %y %i' /etc/keepalived/* /var/lib/lvsdeploy/shop/*; pidof keepalived"
    )
    assert "Nothing to do" in cluster.run("apply")
    after = cluster.sh(
        "lvs1", "stat -c '%n %y %i' /etc/keepalived/* /var/lib/lvsdeploy/shop/*; pidof keepalived"
    )
    assert before == after


def test_the_file_with_the_password_is_root_s_alone(cluster: Living) -> None:
    conf = cluster.sh(
        "lvs1", "stat -c '%a %U' /etc/keepalived/keepalived.conf; cat /etc/keepalived/keepalived.conf"
    )
    assert conf.startswith("600 root\n")
    assert PASSWORD in conf


def test_dr_every_real_server_holds_the_vip_and_one_mac_answers(cluster: Living) -> None:
    for server in ("web1", "web2", "web3"):
        assert f"{VIP}/32" in cluster.sh(server, "ip -o address show dev lo")
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}


def test_dr_requests_spread_by_weight(cluster: Living) -> None:
    assert cluster.requests("client", f"http://{VIP}/", 40) == Counter(web1=10, web2=10, web3=20)
    assert cluster.requests("remote", f"http://{VIP}/", 8) == Counter(web1=2, web2=2, web3=4)


def counters(cluster: Living, vip: str) -> tuple[int, int, int]:
    """Connections, packets in, packets out of a virtual service on lvs1. The kernel sums up every 2 s."""
    stats = cluster.sh("lvs1", f"ipvsadm -Ln --stats --exact -t {vip}:80").splitlines()
    row = next(line for line in stats if line.startswith("TCP")).split()
    return int(row[2]), int(row[3]), int(row[4])


def test_dr_on_the_wire_the_destination_is_the_vip_and_replies_pass_the_director_by(cluster: Living) -> None:
    cluster.sh("lvs1", "ipvsadm -Z")
    capture = cluster.lab.spawn(
        "web1", "exec timeout 30 tcpdump -enlp -i eth0 -c 8 tcp port 80 and host 192.0.2.50 2>&1"
    )
    cluster.wait("tcpdump listens", lambda: "listening" in capture.output)
    cluster.requests("client", f"http://{VIP}/", 8)
    cluster.wait("packets", lambda: f"> {VIP}.80" in capture.output)
    capture.stop()
    director, server = cluster.mac("lvs1"), cluster.mac("web1")
    requests = [line for line in capture.output.splitlines() if f"> {VIP}.80:" in line]
    replies = [line for line in capture.output.splitlines() if f"{VIP}.80 >" in line]
    assert requests, capture.output
    assert all(f"{director} > {server}" in line for line in requests), (
        "the frame, and only the frame, is rewritten"
    )
    assert replies, capture.output
    assert all(f"{server} > {cluster.mac('client')}" in line for line in replies)
    cluster.wait("the kernel sums up", lambda: counters(cluster, VIP)[1] > 8)
    assert counters(cluster, VIP)[2] == 0, "replies pass the director by"


def test_nat_maps_the_port_and_every_reply_crosses_the_director(cluster: Living) -> None:
    cluster.sh("lvs1", "ipvsadm -Z")
    checks = "not host 10.2.0.252 and not host 10.2.0.251"  # of the directors' keepalived
    capture = f"exec timeout 40 tcpdump -nlp -i eth0 -c 12 tcp port 8080 and {checks} 2>&1"
    inside = cluster.lab.spawn("db1", capture)
    capture = f"exec timeout 40 tcpdump -nlp -i eth0 -c 12 host {NAT_VIP} 2>&1"
    outside = cluster.lab.spawn("client", capture)
    cluster.wait("tcpdump listens", lambda: "listening" in inside.output and "listening" in outside.output)
    assert cluster.requests("client", f"http://{NAT_VIP}/", 10) == Counter(db1=5, db2=5)
    client = cluster.sh("client", "hostname -I").split()[0]
    cluster.wait(
        "packets", lambda: f"{NAT_VIP}.80 >" in outside.output and "10.2.0.21.8080 >" in inside.output
    )
    inside.stop()
    outside.stop()
    assert re.search(rf"{re.escape(client)}\.\d+ > 10\.2\.0\.21\.8080:", inside.output)
    assert re.search(rf"10\.2\.0\.21\.8080 > {re.escape(client)}\.", inside.output)
    assert re.search(rf"{re.escape(NAT_VIP)}\.80 > {re.escape(client)}\.", outside.output)
    cluster.wait("replies pass the director", lambda: counters(cluster, NAT_VIP)[2] > 10)
    assert set(cluster.requests("remote", f"http://{NAT_VIP}/", 4)) == {"db1", "db2"}


def test_status_tells_who_is_master_and_what_is_balanced(cluster: Living) -> None:
    said = cluster.run("status")
    assert re.search(r"lvs1: MASTER, holds .*192\.0\.2\.50.*10\.2\.0\.1", said)
    assert "lvs2: BACKUP" in said
    assert re.search(r"http\s+tcp 192\.0\.2\.50:80\s+wrr\s+web1\s+192\.0\.2\.11:80\s+DR\s+1", said)


# --- a real server that is not managed ---------------------------------------------------------------------


def test_a_real_server_that_is_not_managed_gets_its_share_and_no_login(cluster: Living) -> None:
    before = cluster.picture("box")
    assert cluster.requests("client", f"http://{APP_VIP}/", 8) == Counter(db1=4, box=4)
    assert "Nothing to do" in cluster.run("apply")
    assert cluster.drift() == []
    assert re.search(r"box\s+10\.2\.0\.23:8080\s.* up \(not managed\)", cluster.run("status"))
    counted = cluster.sh("box", "iptables -nvxL INPUT").splitlines()
    (row,) = (line.split() for line in counted if "dpt:22" in line)
    assert row[0] == "0", "nobody came to log in"
    assert "/var/lib/lvsdeploy" not in " ".join(before)
    assert "lvsdeploy" not in cluster.sh("box", "ls /etc /etc/init.d /etc/sysctl.d /var/lib")


def test_a_real_server_that_is_not_managed_is_told_of_when_it_is_down(cluster: Living) -> None:
    cluster.sh("box", "iptables -I INPUT -p tcp --dport 8080 -j REJECT --reject-with tcp-reset")
    for director in ("lvs1", "lvs2"):
        cluster.wait(
            "it leaves the table",
            lambda d=director: "10.2.0.23" not in cluster.sh(d, "ipvsadm -Sn"),
            seconds=40,
        )
    said = cluster.run("check")
    line = "warning[LVS546]: box (10.2.0.23), which is not managed: gets no clients of app"
    assert f"lvs1, lvs2: {line}" in said
    assert re.search(r"box\s.*down: its health check fails \(not managed\)", cluster.run("status"))
    assert cluster.drift() == []
    cluster.sh("box", "iptables -D INPUT -p tcp --dport 8080 -j REJECT --reject-with tcp-reset")
    # Without its link, nobody answers at its address.
    cluster.sh("box", "ip link set eth0 down")
    silent = f"{line}; nobody answers at 10.2.0.23"
    cluster.wait("the neighbour is missed", lambda: silent in cluster.run("check"), seconds=60)
    cluster.sh("box", f"ip link set eth0 up; ip route replace default via {GATEWAY}")
    for director in ("lvs1", "lvs2"):
        cluster.wait(
            "it is back", lambda d=director: "10.2.0.23:8080" in cluster.sh(d, "ipvsadm -Sn"), seconds=60
        )
    # A director that never took it out asks for its address at the next health check.
    cluster.wait("nothing is told any more", lambda: "LVS546" not in cluster.run("check"))


# --- drift: each injected by hand, found, named, mended, and nothing else touched -------------------------

CONF = "/etc/keepalived/keepalived.conf"
BYPASS = "ip route replace default via 10.2.0.253"
DRIFTS: dict[str, tuple[str, str, set[str]]] = {
    "edited file": ("lvs1", f"echo '# mine' >>{CONF}", {f"file {CONF} [changed on the host]"}),
    "missing file": (
        "web1",
        "rm /etc/sysctl.d/90-lvsdeploy-shop.conf",
        {"file /etc/sysctl.d/90-lvsdeploy-shop.conf [changed on the host]"},
    ),
    "wrong mode": ("lvs2", f"chmod 644 {CONF}", {f"file {CONF} [changed on the host]"}),
    "sysctl changed live": (
        "web2",
        "echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore",
        {"sysctl net.ipv4.conf.all.arp_ignore [changed on the host]"},
    ),
    "sysctl hidden by the other": (
        "web2",
        "echo 2 >/proc/sys/net/ipv4/conf/eth0/arp_ignore",
        {"sysctl net.ipv4.conf.eth0.arp_ignore [changed on the host]"},
    ),
    "sysctl hidden by conf.all": (
        "lvs1",
        "echo 1 >/proc/sys/net/ipv4/conf/all/send_redirects",
        {"sysctl net.ipv4.conf.all.send_redirects [changed on the host]"},
    ),
    "forwarding off": (
        "lvs2",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        {"sysctl net.ipv4.ip_forward [changed on the host]"},
    ),
    "VIP gone from lo": (
        "web3",
        f"ip address del {VIP}/32 dev lo",
        {f"address {VIP}/32 on lo [changed on the host]"},
    ),
    "VIP added to eth0": (
        "web1",
        f"ip address add {VIP}/32 dev eth0",
        {f"address {VIP}/32 on eth0 [changed on the host]"},
    ),
    "route past the director": ("db1", BYPASS, {f"route default via {GATEWAY} [changed on the host]"}),
    "virtual server removed": (
        "lvs1",
        f"ipvsadm -D -t {VIP}:80",
        {f"virtual service tcp {VIP}:80 [changed on the host]"},
    ),
    "virtual server added": (
        "lvs2",
        "ipvsadm -A -t 192.0.2.99:81 -s rr",
        {"virtual service tcp 192.0.2.99:81 [changed on the host]"},
    ),
    "virtual server altered": (
        "lvs1",
        f"ipvsadm -E -t {VIP}:80 -s rr",
        {f"virtual service tcp {VIP}:80 [changed on the host]"},
    ),
    "destination removed": (
        "lvs1",
        f"ipvsadm -d -t {VIP}:80 -r 192.0.2.11:80",
        {f"destination 192.0.2.11:80 of tcp {VIP}:80 [changed on the host]"},
    ),
    "destination added": (
        "lvs1",
        f"ipvsadm -a -t {NAT_VIP}:80 -r 10.2.0.99:8080 -m",
        {f"destination 10.2.0.99:8080 of tcp {NAT_VIP}:80 [changed on the host]"},
    ),
    "destination altered": (
        "lvs2",
        f"ipvsadm -e -t {VIP}:80 -r 192.0.2.13:80 -g -w 7",
        {f"destination 192.0.2.13:80 of tcp {VIP}:80 [changed on the host]"},
    ),
    "keepalived not enabled": (
        "lvs2",
        "[ ! -d /run/systemd/system ] || exec systemctl disable keepalived; update-rc.d keepalived disable",
        {"service keepalived [changed on the host]"},
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_is_found_named_and_mended(cluster: Living, drift: str) -> None:
    host, injection, expected = DRIFTS[drift]
    pids = {director: cluster.sh(director, "pidof keepalived") for director in ("lvs1", "lvs2")}
    cluster.sh(host, injection)
    assert set(cluster.drift()) == {f"{host}: {text}" for text in expected}
    said = cluster.run("apply")
    assert f"Applied to {host}:" in said
    assert cluster.drift() == []
    assert {director: cluster.sh(director, "pidof keepalived") for director in pids} == pids, (
        "nothing restarted"
    )


def test_a_failed_health_check_is_not_drift(cluster: Living) -> None:
    cluster.sh("web1", "iptables -I INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    cluster.wait(
        "web1 leaves the table", lambda: "192.0.2.11:80" not in cluster.sh("lvs1", "ipvsadm -Sn"), seconds=40
    )
    said = cluster.run("check", code=0)
    assert "192.0.2.11:80 of tcp 192.0.2.50:80 is out of the table: its health check fails" in said
    assert re.search(r"web1\s+192\.0\.2\.11:80.*down: its health check fails", cluster.run("status"))
    assert "Nothing to do" in cluster.run("apply")
    cluster.sh("web1", "iptables -D INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset")
    for director in ("lvs1", "lvs2"):
        cluster.wait(
            "web1 is back", lambda d=director: "192.0.2.11:80" in cluster.sh(d, "ipvsadm -Sn"), seconds=40
        )


def longest_gap(cluster: Living, disturbance: str) -> float:
    """The longest time between two answers to a client, in seconds, while lvs1 suffers `disturbance`."""
    answer = f"curl -s --max-time 0.5 http://{VIP}/ >/dev/null && date +%s.%N"
    loop = cluster.lab.spawn("client", f"for i in $(seq 80); do {answer}; sleep 0.1; done")
    cluster.wait("requests are answered", lambda: len(loop.output.splitlines()) >= 5)
    cluster.sh("lvs1", disturbance)
    times = [float(line) for line in loop.wait(60).stdout.split()]
    assert len(times) > 20, "requests go on"
    return max(after - before for before, after in pairwise(times))


def test_the_backup_takes_over_within_five_seconds(cluster: Living) -> None:
    assert longest_gap(cluster, "kill $(cat /run/keepalived.pid)") < 5.0
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs2")}
    assert set(cluster.requests("client", f"http://{NAT_VIP}/", 4)) == {"db1", "db2"}
    assert "lvs1: service keepalived [changed on the host]" in cluster.drift()
    cluster.sh("lvs1", "service keepalived start")
    cluster.wait("lvs1 is MASTER again", lambda: cluster.master() == "lvs1")
    cluster.wait("all is as declared", lambda: cluster.drift() == [])
    assert "Nothing to do" in cluster.run("apply")


def test_a_killed_keepalived_leaves_two_holders_and_apply_mends_it(cluster: Living) -> None:
    assert longest_gap(cluster, "kill -9 $(pidof keepalived)") < 5.0
    cluster.wait("lvs2 took over", lambda: VIP in cluster.sh("lvs2", "ip -o address show dev eth0"))
    found = cluster.drift()
    assert "lvs1: service keepalived [changed on the host]" in found
    assert "None: LVS541" in found, "nobody took the VIP from lvs1"
    said = cluster.run("check", code=2)
    assert f"{VIP} is on 2 directors: lvs1, lvs2" in said
    assert "Applied to lvs1:" in cluster.run("apply")
    cluster.wait("lvs1 is MASTER again", lambda: cluster.master() == "lvs1")
    cluster.wait("all is as declared", lambda: cluster.drift() == [])
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}


def test_after_a_reboot_each_host_is_as_declared_without_lvsdeploy(cluster: Living) -> None:
    for host in ("web1", "db1", "lvs1"):
        cluster.lab.stop(host)
        cluster.lab.start(host)
    cluster.serve({"web1": [80], "db1": [8080]})
    cluster.wait("lvs1 is MASTER", lambda: cluster.master() == "lvs1", seconds=40)
    cluster.wait("all are in the table", lambda: cluster.drift() == [], seconds=40)
    cluster.wait(
        "web1 serves again", lambda: "192.0.2.11:80" in cluster.sh("lvs1", "ipvsadm -Sn"), seconds=40
    )
    assert cluster.requests("client", f"http://{VIP}/", 8) == Counter(web1=2, web2=2, web3=4)
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}


# --- one real server in NAT and in DR ----------------------------------------------------------------------

ROUTER = "10.2.0.253"
BOTH_VIP = "192.0.2.53"
RULES = f"""
ip route replace default via {ROUTER}
ip route replace default via {GATEWAY} table 100
ip rule add from 10.2.0.21 lookup main suppress_prefixlength 0 priority 98
ip rule add from 10.2.0.21 lookup 100 priority 99
"""


def test_a_real_server_serves_in_nat_and_in_dr_with_rules_by_source(cluster: Living) -> None:
    direct = {"vip": BOTH_VIP, "port": 8080, "mode": "dr", "scheduler": "rr", "real_servers": ["db1", "db2"]}
    path = cluster.variant("both", {"nat": {"configure_gateway": False}, "services": {"direct": direct}})
    cluster.run("apply", code=None, inventory=path)
    for server in ("db1", "db2"):
        cluster.sh(server, f"ip route replace default via {GATEWAY}")
    said = cluster.run("check", inventory=path)
    wrong = f"the default route is `default via {GATEWAY} dev eth0`, and that is lvs1, which drops what comes"
    assert f"db1, db2: warning[LVS545]: {wrong} from its own VIP" in said
    assert cluster.requests("remote", f"http://{BOTH_VIP}:8080/", 2) == Counter({"": 2})
    for server in ("db1", "db2"):
        cluster.sh(server, f"ip route replace default via {ROUTER}")
    assert sorted(cluster.drift(inventory=path)) == ["db1: LVS512", "db2: LVS512"]
    assert cluster.requests("remote", f"http://{NAT_VIP}/", 2) == Counter({"": 2})
    for server, rip in (("db1", "10.2.0.21"), ("db2", "10.2.0.22")):
        cluster.sh(server, RULES.replace("10.2.0.21", rip))
    assert cluster.drift(inventory=path) == []
    assert "Nothing to do" in cluster.run("apply", inventory=path)
    said = cluster.run("check", inventory=path)
    assert "LVS545" not in said
    for client in ("client", "remote"):
        assert cluster.requests(client, f"http://{BOTH_VIP}:8080/", 4) == Counter(db1=2, db2=2)
        assert cluster.requests(client, f"http://{NAT_VIP}/", 4) == Counter(db1=2, db2=2)
    cluster.sh("db1", "ip rule del priority 99")
    assert cluster.drift(inventory=path) == ["db1: LVS512"]
