"""Every forwarding method, in both address families, by both engines: applied, balanced, and as declared.

One director; real servers beside it (DR), inside (NAT) and behind a router (TUN, of each type, and of one
family in the other), also all of them in one pool, by marks, and as each other's sorry servers. The cluster
is set up with keepalived, then turned over to ipvsadm alone.
"""

from __future__ import annotations

import os
from collections import Counter
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

NEAR, INSIDE, FAR = ["web1", "web2"], ["db1", "db2"], ["far1", "far2"]
CHECK = {"type": "tcp", "interval": 2, "timeout": 1}


def both(number: int) -> list[str]:
    """A VIP of each family."""
    return [f"192.0.2.{number}", f"2001:db8::{number}"]


SERVICES: dict[str, dict[str, Any]] = {
    "direct": {"vips": both(50), "mode": "dr", "real_servers": NEAR},
    "inside": {
        "vips": both(51),
        "mode": "nat",
        "real_servers": [{"name": name, "port": 8080} for name in INSIDE],
    },
    "ipip": {"vips": both(52), "mode": "tun", "real_servers": FAR},
    "gre": {"vips": both(53), "mode": "tun", "tunnel": {"type": "gre"}, "real_servers": FAR},
    "gue": {"vips": both(54), "mode": "tun", "tunnel": {"type": "gue"}, "real_servers": FAR},
    "marked": {"vips": both(55), "ports": [80, 81], "fwmark": 7, "mode": "dr", "real_servers": NEAR},
    # One family in the other: packets go to a RIP of the other one, answers go by the own.
    "six-in-four": {"vip": "2001:db8::56", "mode": "tun", "real_servers": ["only4"]},
    "four-in-six": {"vip": "192.0.2.57", "mode": "tun", "real_servers": ["only6"]},
    "every-way": {
        "vips": both(58),
        "mode": "dr",
        "real_servers": [
            "web1",
            {"name": "far1", "mode": "tun", "tunnel": {"type": "gre"}},
            {"name": "far2", "mode": "tun"},
            {"name": "db1", "mode": "nat", "port": 8080},
        ],
    },
    # web1 and web2 serve in DR, too.
    "near-by-tunnel": {"vips": both(59), "mode": "tun", "real_servers": NEAR},
    "marked-far": {"vips": both(60), "ports": [80, 81], "fwmark": 8, "mode": "tun", "real_servers": FAR},
    "marked-inside": {
        "vips": both(61),
        "ports": [80, 81],
        "fwmark": 9,
        "mode": "nat",
        "real_servers": [{"name": name, "port": 8080} for name in INSIDE],
    },
}
KEPT: dict[str, dict[str, Any]] = {
    "kept": {
        "vip": "2001:db8::62",
        "ports": [80, 81],
        "fwmark": 10,
        "mode": "dr",
        "persistence": 60,
        "persistence_netmask": 64,
        "real_servers": NEAR,
    },
}
SPARE: dict[str, dict[str, Any]] = {
    "spare-far": {
        "vips": both(63),
        "port": 82,
        "mode": "dr",
        "real_servers": ["web1"],
        "sorry_server": {"address": "10.9.0.32", "mode": "tun"},
    },
    "spare-inside": {
        "vip": "192.0.2.64",
        "port": 82,
        "mode": "dr",
        "real_servers": ["web1"],
        "sorry_server": {"address": "10.2.0.22", "port": 8080, "mode": "nat"},
    },
    "spare-near": {
        "vip": "192.0.2.65",
        "port": 83,
        "mode": "nat",
        "real_servers": [{"name": "db1", "port": 8083}],
        "sorry_server": {"address": "192.0.2.12", "mode": "dr"},
    },
}
ALL = {**SERVICES, **KEPT, **SPARE}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {"lvs1": {"address": "192.0.2.2", "dip6": "2001:db8::2", "interface": "eth0"}},
    "nat": {
        "gateway": "10.2.0.1/24",
        "gateway6": "2001:db8:2::1/64",
        "interface": "eth1",
        "configure_gateway": True,
    },
    "real_servers": {
        "web1": {"address": "192.0.2.11", "rip6": "2001:db8::11"},
        "web2": {"address": "192.0.2.12", "rip6": "2001:db8::12"},
        "db1": {"address": "10.2.0.21", "rip6": "2001:db8:2::21"},
        "db2": {"address": "10.2.0.22", "rip6": "2001:db8:2::22"},
        "far1": {"address": "10.9.0.31", "rip6": "2001:db8:9::31"},
        "far2": {"address": "10.9.0.32", "rip6": "2001:db8:9::32"},
        "only4": {"address": "2001:db8:9::33", "rip": "10.9.0.33"},
        "only6": {"address": "10.9.0.34", "rip": "2001:db8:9::34"},
    },
    "defaults": {"scheduler": "rr"},
    "services": {
        name: {**({} if "ports" in service else {"port": 80}), "health_check": CHECK, **service}
        for name, service in ALL.items()
    },
}
WITHOUT_DAEMON = {
    "engine": "ipvsadm",
    "services": {name: {"health_check": None, "sorry_server": None} for name in ALL},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("lab")
    serve = {
        "web1": [80, 81, 82],
        "web2": [80, 81, 83],
        "db1": [8080, 8083],
        "db2": [8080],
        "far1": [80, 81],
        "far2": [80, 81, 82],
        **{name: [80] for name in ("only4", "only6")},
    }
    with living(folder, DECLARED, Init.SSHD, serve=serve) as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["keepalived", "ipvsadm"])
def engine(request: pytest.FixtureRequest, cluster: Living) -> str:
    """The engine, once the cluster is as its inventory says."""
    if request.param == "ipvsadm":
        cluster.inventory = cluster.variant("ipvsadm", WITHOUT_DAEMON)
    assert "read back and as declared" in cluster.run("apply", "--drain-timeout", "0")
    cluster.wait("every health check succeeds", lambda: "-w 0" not in "".join(cluster.table("lvs1")))
    cluster.wait("every destination is there", lambda: len(cluster.table("lvs1")) == TABLE, 30)
    return str(request.param)


TABLE = sum(
    # virtual services, each with its destinations
    len(service.get("vips", [0])) * (1 + len(service["real_servers"]))
    for service in ALL.values()
)
EVERY = [
    (name, vip, port)
    for name, service in SERVICES.items()
    for vip in service.get("vips", [service.get("vip")])
    for port in service.get("ports", [80])
]


VIPS = [vip for service in ALL.values() for vip in service.get("vips", [service.get("vip")])]


@pytest.mark.parametrize(("name", "vip", "port"), EVERY, ids=[f"{n}-{v}-{p}" for n, v, p in EVERY])
@pytest.mark.parametrize("client", ["client", "remote"])
def test_balanced(cluster: Living, engine: str, client: str, name: str, vip: str, port: int) -> None:
    names = [r["name"] if isinstance(r, dict) else r for r in SERVICES[name]["real_servers"]]
    url = f"http://[{vip}]:{port}/" if ":" in vip else f"http://{vip}:{port}/"
    assert cluster.requests(client, url, 4 * len(names)) == Counter(dict.fromkeys(names, 4)), engine


def test_a_whole_prefix_is_one_client(cluster: Living, engine: str) -> None:
    """By itself the second client would get the other real server, since that is rr's turn."""
    served = Counter[str]()
    for number in (1, 2, 3):
        own = f"2001:db8::c:{number}"
        cluster.sh("client", f"ip address add {own}/64 dev eth0 nodad preferred_lft 0")
        for port in (80, 81):
            asked = f"curl -s --max-time 2 --interface {own} 'http://[2001:db8::62]:{port}/'"
            served[cluster.sh("client", asked).split()[0]] += 1
        cluster.sh("client", f"ip address del {own}/64 dev eth0")
    assert list(served.values()) == [6], (engine, served)
    assert "-A -f 10 -6 -s rr -p 60 -M 64" in cluster.table("lvs1")


def spare_answers(cluster: Living) -> list[str]:
    """Who answers for the services that have a sorry server."""
    urls = ["192.0.2.63:82", "[2001:db8::63]:82", "192.0.2.64:82", "192.0.2.65:83"]
    return [next(iter(cluster.requests("remote", f"http://{url}/", 1))) for url in urls]


@pytest.mark.parametrize("engine", ["keepalived"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_a_sorry_server_in_another_mode_answers(cluster: Living) -> None:
    assert spare_answers(cluster) == ["web1", "web1", "web1", "db1"]
    broken = {"web1": 82, "db1": 8083}
    try:
        for host, port in broken.items():
            cluster.sh(
                host, f"for i in iptables ip6tables; do $i -I INPUT -p tcp --dport {port} -j DROP; done"
            )
        wanted = ["far2", "far2", "db2", "web2"]
        cluster.wait("the sorry servers answer", lambda: spare_answers(cluster) == wanted, 40)
        assert cluster.drift() == []
    finally:
        for host in broken:
            cluster.sh(host, "for i in iptables ip6tables; do $i -F INPUT; done")
    cluster.wait("the real servers do again", lambda: "far2" not in spare_answers(cluster), 40)
    cluster.wait("every destination is there", lambda: len(cluster.table("lvs1")) == TABLE, 30)


def test_it_is_as_declared_and_stays_so(cluster: Living, engine: str) -> None:
    assert cluster.drift() == [], engine
    assert "Nothing to do" in cluster.run("apply")


def test_only_the_engine_runs_that_is_declared(cluster: Living, engine: str) -> None:
    assert bool(cluster.pid("lvs1")) is (engine == "keepalived")


@pytest.mark.parametrize("engine", ["ipvsadm"], indirect=True)
@pytest.mark.usefixtures("engine")
def test_destroy_leaves_nothing(cluster: Living) -> None:
    cluster.run("destroy", "--yes")
    assert cluster.table("lvs1") == set()
    for host in ("lvs1", *DECLARED["real_servers"]):
        addresses = cluster.sh(host, "ip -o address")
        assert not [vip for vip in VIPS if f" {vip}/" in addresses], host
        assert cluster.sh(host, "ls -d /etc/lvsdeploy /var/lib/lvsdeploy", check=False) == ""
