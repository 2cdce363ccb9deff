"""Mode tun by real packets: real servers in another network, behind a router that is no director.

ipip, gre and gue, in IPv4 and IPv6 and one in the other. The tests of this module build on each other, in
order: the cluster is set up once and asked much.
"""

from __future__ import annotations

import os
from collections import Counter
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any

import pytest

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


IN_SIX = ("far1", "far2")  # the same machines by their IPv6 addresses alone
IN_FOUR = ("near1", "near2")
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {"lvs1": {"address": "192.0.2.2", "dip6": "2001:db8:1::2", "interface": "eth0"}},
    "real_servers": {
        "web1": {"address": "10.2.0.11", "rip6": "2001:db8:2::11"},
        "web2": {"address": "10.2.0.12", "rip6": "2001:db8:2::12"},
    },
    "services": {
        "ipip": service("192.0.2.50", clamp_mss=True),
        "gre": service("192.0.2.51", "gre"),
        "gue": service("192.0.2.53", "gue", port=6081),
        "gue-remcsum": service("192.0.2.54", "gue", checksum="remcsum"),
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {name: [80] for name in REAL_SERVERS}
    folder = tmp_path_factory.mktemp("lab")
    with living(folder, DECLARED, Init.SSHD, serve=serve, topology=TOPOLOGY) as cluster:
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
