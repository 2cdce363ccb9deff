"""Mode tun by real packets: real servers in another network, behind a router that is no director.

ipip, gre and gue, in IPv4 and IPv6 and one in the other. The tests of this module build on each other, in
order: the cluster is set up once and asked much.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lvsdeploy.lab import Init, Machine, Network, Nic, Route, Topology
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

NETWORKS = {
    "outside": ("198.51.100.", "2001:db8:9::"),
    "lan": ("192.0.2.", "2001:db8:1::"),
    "farm": ("10.2.0.", "2001:db8:2::"),
}
REAL_SERVERS = ("web1", "web2")


def nic(network: str, number: int, interface: str = "eth0") -> Nic:
    four, six = NETWORKS[network]
    return Nic(network, interface, (ip_interface(f"{four}{number}/24"), ip_interface(f"{six}{number}/64")))


def way_out(network: str) -> tuple[Route, ...]:
    return tuple(Route("default", f"{prefix}1") for prefix in NETWORKS[network])


TOPOLOGY = Topology(
    tuple(
        Network(name, (ip_network(f"{four}0/24"), ip_network(f"{six}/64")))
        for name, (four, six) in NETWORKS.items()
    ),
    (
        Machine("client", (nic("outside", 9),), way_out("outside")),
        Machine("router", (nic("outside", 1), nic("lan", 1, "eth1"), nic("farm", 1, "eth2")), forwards=True),
        Machine("lvs1", (nic("lan", 2),), way_out("lan"), ipvs=True),
        Machine("web1", (nic("farm", 11),), way_out("farm"), tunnels=True),
        Machine("web2", (nic("farm", 12),), way_out("farm"), tunnels=True, init=Init.SYSTEMD),
    ),
)


def service(vip: str, kind: str = "ipip", servers: tuple[str, ...] = REAL_SERVERS, **tunnel: Any) -> Any:
    return {
        "vip": vip,
        "port": 80,
        "mode": "tun",
        "tunnel": {"type": kind, **tunnel},
        "scheduler": "rr",
        "health_check": {"type": "tcp", "interval": 2, "timeout": 2},
        "real_servers": list(servers),
    }


DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {"lvs1": {"address": "192.0.2.2", "dip6": "2001:db8:1::2", "interface": "eth0"}},
    "real_servers": {
        "web1": {"address": "10.2.0.11", "rip6": "2001:db8:2::11"},
        "web2": {"address": "10.2.0.12", "rip6": "2001:db8:2::12"},
    },
    "services": {
        "ipip": service("192.0.2.50"),
        "gre": service("192.0.2.51", "gre"),
        "gue": service("192.0.2.53", "gue", port=6081),
        "gue-remcsum": service("192.0.2.54", "gue", checksum="remcsum"),
        "ipip6": service("2001:db8:1::50"),
        "gre6": service("2001:db8:1::51", "gre"),
        "gue6": service("2001:db8:1::52", "gue", port=6081),
    },
}


SERVER = """
import http.server, socket
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        first, _, size = self.path.strip('/').partition('/')
        self.answer((socket.gethostname() + chr(10)).encode() if first != 'large' else b'x' * int(size))
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.do_GET()
    def answer(self, body):
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128
Server(('::', 80), Page).serve_forever()
"""


def serve(cluster: Living, *machines: str) -> None:
    """Both families; `/large/SIZE` has so many bytes, and the other pages the machine's name."""
    for machine in machines:
        cluster.lab.spawn(machine, f"exec python3 -c {shlex.quote(SERVER)}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("lab")
    with living(folder, DECLARED, Init.SSHD, serve={}, topology=TOPOLOGY) as cluster:
        serve(cluster, *REAL_SERVERS)
        yield cluster


def balanced(cluster: Living, vip: str) -> bool:
    """Whether requests are spread evenly."""
    host = f"[{vip}]" if ":" in vip else vip
    return cluster.requests("client", f"http://{host}/", 8) == Counter(dict.fromkeys(REAL_SERVERS, 4))


def test_apply_makes_it_so(cluster: Living) -> None:
    assert "read back and as declared" in cluster.run("apply")
    assert cluster.drift() == []
    assert "Nothing to do" in cluster.run("apply")
    for name, entry in DECLARED["services"].items():
        assert balanced(cluster, entry["vip"]), name


def test_the_kernel_has_each_type_as_declared(cluster: Living) -> None:
    table = "\n".join(sorted(cluster.table("lvs1")))
    for words in (
        "192.0.2.50:80 -r 10.2.0.11:80 -i -w 1 --tun-type ipip",
        "192.0.2.51:80 -r 10.2.0.12:80 -i -w 1 --tun-type gre --tun-nocsum",
        "192.0.2.53:80 -r 10.2.0.11:80 -i -w 1 --tun-type gue --tun-port 6081 --tun-nocsum",
        "192.0.2.54:80 -r 10.2.0.12:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        "[2001:db8:1::51]:80 -r [2001:db8:2::11]:80 -i -w 1 --tun-type gre --tun-nocsum",
    ):
        assert words in table
    for server in REAL_SERVERS:
        assert "192.0.2.50/32" in cluster.sh(server, "ip -o address show dev tunl0")
        cluster.sh(server, "/etc/lvsdeploy/shop/real-server status")


def test_large_answers_and_uploads_pass_a_path_of_1500_bytes(cluster: Living) -> None:
    cluster.sh("client", "head -c 200000 /dev/zero >/tmp/large")
    for entry in DECLARED["services"].values():
        assert upload(cluster, entry["vip"]) == "200 200000 200000", entry


def test_the_size_of_the_way_is_asked_of_the_kernel(cluster: Living) -> None:
    words = "ipip to web1 (10.2.0.11) takes 20, and a client's packet of 1500 does not fit"
    assert f"lvs1: warning[LVS543]: ipip: of the MTU of eth0, 1500, {words}" in cluster.run("check")
    cluster.sh("lvs1", "ip route add 10.2.0.0/24 via 192.0.2.1 mtu 1400")
    assert f"lvs1: warning[LVS543]: ipip: of the MTU of eth0, 1400, {words}" in cluster.run("check")
    cluster.sh("lvs1", "ip route del 10.2.0.0/24")


def upload(cluster: Living, vip: str, seconds: int = 10) -> str:
    """200 kB to a VIP, and as much back: the status, and the bytes of both."""
    url = f"http://[{vip}]/" if ":" in vip else f"http://{vip}/"
    curl = f"curl -g -s --max-time {seconds} -H Expect: --data-binary @/tmp/large -o /dev/null"
    what = "-w '%{http_code} %{size_upload} %{size_download}'"
    return cluster.sh("client", f"{curl} {what} {url}large/200000", check=False)


TOO_LARGE = (  # ICMP's words for it
    ("iptables", "-p icmp --icmp-type fragmentation-needed"),
    ("ip6tables", "-p icmpv6 --icmpv6-type packet-too-big"),
)


def test_clamped_segments_pass_where_nobody_tells_that_packets_are_too_large(cluster: Living) -> None:
    """On the way to the client, the directors' ICMP is dropped: it goes on sending full packets."""
    for program, what in TOO_LARGE:
        cluster.sh("router", f"{program} -I FORWARD {what} -j DROP")
    cluster.sh("client", "ip route flush cache; ip -6 route flush cache")  # what it has been told before
    some = {name: DECLARED["services"][name]["vip"] for name in ("ipip", "gre", "gue", "ipip6", "gue6")}
    for name, vip in some.items():
        status, _, came = upload(cluster, vip, 4).split()
        assert (status, came) == ("000", "0"), f"{name}: the upload stalls"
        assert balanced(cluster, vip), "what is small passes"
    clamped = {
        name: {"tunnel": {"clamp_mss": True, **entry["tunnel"]}}
        for name, entry in DECLARED["services"].items()
    }
    path = cluster.variant("clamped", {"services": clamped})
    assert "read back and as declared" in cluster.run("apply", inventory=path)
    assert cluster.drift(inventory=path) == []
    assert "LVS543" not in cluster.run("check", inventory=path)
    for entry in DECLARED["services"].values():
        assert upload(cluster, entry["vip"]) == "200 200000 200000", entry
    cluster.run("apply")
    assert cluster.drift() == []
    assert upload(cluster, some["ipip"], 4).startswith("000")
    for program, what in TOO_LARGE:
        cluster.sh("router", f"{program} -D FORWARD {what} -j DROP")


DRIFT = {
    "ip link set tunl0 down": "tunnel interface tunl0",
    "ip fou del port 6081": "GUE port 6081/4",
    "ip -6 fou del port 6081": "GUE port 6081/6",
    "ip link del $(ls /sys/class/net | grep lvs-gre-)": "tunnel interface lvs-gre-",
    "ip address del 192.0.2.50/32 dev tunl0": "address 192.0.2.50/32 on tunl0",
    "ip link set $(ls /sys/class/net | grep lvs-ip6-) down": "tunnel interface lvs-ip6-",
    "ip tunnel change $(ls /sys/class/net | grep lvs-gre-) icsum": "tunnel interface lvs-gre-",
    "echo 1 >/proc/sys/net/ipv4/conf/tunl0/rp_filter": "sysctl net.ipv4.conf.tunl0.rp_filter",
}


@pytest.mark.parametrize("command", DRIFT)
def test_drift_is_found(cluster: Living, command: str) -> None:
    cluster.sh("web1", command)
    found = cluster.drift("--limit", "web1")
    assert any(line.startswith(f"web1: {DRIFT[command]}") for line in found), found
    assert all("[changed on the host]" in line for line in found)
    cluster.run("apply", "--limit", "web1")
    assert cluster.drift("--limit", "web1") == []


def test_what_drifted_serves_again(cluster: Living) -> None:
    for name, entry in DECLARED["services"].items():
        assert balanced(cluster, entry["vip"]), name


def test_after_a_reboot_a_real_server_is_as_declared(cluster: Living) -> None:
    cluster.lab.reboot("web2")
    serve(cluster, "web2")
    cluster.wait("web2 has its tunnels", lambda: cluster.drift("--limit", "web2") == [], seconds=40)
    for name, entry in DECLARED["services"].items():
        cluster.wait(f"{name} is balanced", lambda e=entry: balanced(cluster, e["vip"]), seconds=40)


def test_one_family_in_the_other(cluster: Living) -> None:
    """Real servers of one family alone."""
    four, six = (
        {name: {"address": a} for name, a in zip(REAL_SERVERS, addresses, strict=True)}
        for addresses in (("10.2.0.11", "10.2.0.12"), ("2001:db8:2::11", "2001:db8:2::12"))
    )
    kinds: list[tuple[str, dict[str, Any]]] = [("ipip", {}), ("gre", {"checksum": "csum"}), ("gue", {})]
    for servers, vips in ((four, "2001:db8:1::6{}"), (six, "192.0.2.6{}")):
        services = {
            kind: service(vips.format(number), kind, **options)
            for number, (kind, options) in enumerate(kinds)
        }
        changed = {**DECLARED, "real_servers": servers, "services": services}
        path = cluster.variant("cross", {"real_servers": None, "services": None})
        declared = {**cluster.declared, **{key: changed[key] for key in ("real_servers", "services")}}
        path.write_text(yaml.safe_dump(declared, sort_keys=False))
        cluster.run("apply", inventory=path)
        assert cluster.drift(inventory=path) == []
        for entry in services.values():
            assert balanced(cluster, entry["vip"]), entry
    cluster.run("apply")
    assert cluster.drift() == []


def test_destroy_leaves_nothing(cluster: Living) -> None:
    assert "without anything of lvsdeploy's" in cluster.run("destroy", "--yes")
    for server in REAL_SERVERS:
        assert "lvs-" not in cluster.sh(server, "ip -o link")
        assert ",UP" not in cluster.sh(server, "ip -o link show tunl0")
        assert "port" not in cluster.sh(server, "ip fou show")
        assert "192.0.2.5" not in cluster.sh(server, "ip -o address")
        assert "lvsdeploy" not in cluster.sh(server, "ls /etc /etc/init.d /etc/sysctl.d /etc/modules-load.d")
