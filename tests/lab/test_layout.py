"""How an inventory becomes the machines of a lab: networks, cards, addresses, default routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lvsdeploy.inventory import load
from lvsdeploy.lab import LabError
from lvsdeploy.lab.cluster import topology_of
from lvsdeploy.lab.topology import network_script

if TYPE_CHECKING:
    from lvsdeploy.lab import Topology

EXAMPLES = Path(__file__).parents[2] / "inventories"


def laid_out(tmp_path: Path, **parts: Any) -> Topology:
    declared = {
        "version": 1,
        "cluster": "shop",
        "directors": {"lvs1": {"address": "2001:db8::2", "interface": "eth0"}},
        "real_servers": {"web1": {"address": "2001:db8::11"}},
        "services": {"http": {"vip": "2001:db8::50", "port": 80, "real_servers": ["web1"]}},
        **parts,
    }
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(declared))
    return topology_of(load(path).cluster)


def shown(topology: Topology) -> dict[str, list[str]]:
    """Machine -> its cards with their addresses, and its default routes."""
    return {
        machine.name: [
            *(f"{nic.interface} {' '.join(map(str, nic.addresses))}" for nic in machine.nics),
            *(f"{route.destination} via {route.via}" for route in machine.routes),
        ]
        for machine in topology.machines
    }


def networks(topology: Topology) -> list[list[str]]:
    return [[str(net) for net in network.subnets] for network in topology.networks]


def test_both_families_are_one_segment() -> None:
    topology = topology_of(load(EXAMPLES / "dual-stack.yaml").cluster)
    assert networks(topology) == [
        ["192.0.2.0/24", "2001:db8::/64"],
        ["10.2.0.0/24", "2001:db8:2::/64"],
        ["203.0.113.0/24", "2001:db8:fa::/64"],
    ]
    found = shown(topology)
    assert found["lvs1"] == [
        "eth0 192.0.2.2/24 2001:db8::2/64",
        "eth1 10.2.0.252/24 2001:db8:2:0:ffff:ffff:ffff:fffc/64",
        "default via 192.0.2.253",
        "default via 2001:db8::ffff:ffff:ffff:fffd",
    ]
    assert found["app2"] == [
        "eth0 10.2.0.22/24 2001:db8:2::22/64",
        "default via 10.2.0.253",
        "default via 2001:db8:2:0:ffff:ffff:ffff:fffd",
    ]
    assert len(found["client"]) == 3
    assert found["remote"] == [
        "eth0 203.0.113.10/24 2001:db8:fa::a/64",
        "default via 203.0.113.1",
        "default via 2001:db8:fa::1",
    ]
    assert [line.split()[0] for line in found["router"]] == ["eth0", "eth1", "eth2"]
    script = network_script(topology.machine("lvs1")).splitlines()
    assert "addr add 2001:db8::2/64 dev eth0 nodad" in script
    assert "route add default via 2001:db8::ffff:ffff:ffff:fffd" in script


def test_a_cluster_without_ipv4_has_none_anywhere(tmp_path: Path) -> None:
    topology = laid_out(tmp_path)
    assert networks(topology) == [["2001:db8::/64"], ["2001:db8:fa::/64"]]
    assert all("." not in line for lines in shown(topology).values() for line in lines)


def test_a_host_of_one_family_among_others_of_both(tmp_path: Path) -> None:
    topology = laid_out(
        tmp_path,
        directors={"lvs1": {"address": "192.0.2.2", "dip6": "2001:db8::2", "interface": "eth0"}},
    )
    assert shown(topology)["web1"] == ["eth0 2001:db8::11/64", "default via 2001:db8::ffff:ffff:ffff:fffd"]
    assert networks(topology)[0] == ["192.0.2.0/24", "2001:db8::/64"]


def test_ssh_by_another_address_is_another_card(tmp_path: Path) -> None:
    servers = {"web1": {"address": "fd00:9::11", "rip": "192.0.2.11", "rip6": "2001:db8::11"}}
    found = shown(laid_out(tmp_path, real_servers=servers))
    assert found["web1"][:2] == ["eth0 192.0.2.11/24 2001:db8::11/64", "mgmt0 fd00:9::11/64"]


def test_a_vip_of_another_subnet_is_on_the_directors_segment(tmp_path: Path) -> None:
    vip = {"vip": "2001:db8:99::50/64", "port": 80, "real_servers": ["web1"]}
    topology = laid_out(tmp_path, services={"http": vip})
    assert networks(topology)[0] == ["2001:db8:99::/64", "2001:db8::/64"]
    assert shown(topology)["client"][0].count("/64") == 2


@pytest.mark.parametrize("configured", [True, False])
def test_where_the_route_is_only_checked_it_is_there(tmp_path: Path, configured: bool) -> None:  # noqa: FBT001
    topology = laid_out(
        tmp_path,
        real_servers={"app1": {"address": "2001:db8:2::21"}},
        nat={"gateway": "2001:db8:2::1/64", "interface": "eth1", "configure_gateway": configured},
        services={"api": {"vip": "2001:db8::51", "port": 80, "mode": "nat", "real_servers": ["app1"]}},
    )
    router = "2001:db8:2:0:ffff:ffff:ffff:fffd"
    assert shown(topology)["app1"][-1] == f"default via {router if configured else '2001:db8:2::1'}"


def test_one_armed_nat_has_both_subnets_on_one_card(tmp_path: Path) -> None:
    topology = laid_out(
        tmp_path,
        real_servers={"app1": {"address": "2001:db8:2::21"}},
        nat={"gateway": "2001:db8:2::1/64", "interface": "eth0"},
        services={"api": {"vip": "2001:db8::51", "port": 80, "mode": "nat", "real_servers": ["app1"]}},
    )
    assert networks(topology)[0] == ["2001:db8:2::/64", "2001:db8::/64"]


@pytest.mark.parametrize(
    ("address", "why"),
    [("web1.example", "the name web1.example"), ("fe80::11%eth0", "no link-local addresses")],
)
def test_addresses_that_no_machine_can_be_given(tmp_path: Path, address: str, why: str) -> None:
    with pytest.raises(LabError, match=why):
        laid_out(tmp_path, real_servers={"web1": {"address": address, "rip": "2001:db8::11"}})
