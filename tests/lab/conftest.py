"""The cluster that the tests of the lab ask: booted once, asked much."""

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network

import pytest

from lvsdeploy.lab import Init, Lab, LabError, Machine, Network, Nic, Route, Topology

LAN = Network("lan", (ip_network("192.0.2.0/24"), ip_network("2001:db8:1::/64")))
OUTSIDE = Network("outside", (ip_network("198.51.100.0/24"),))


def on_lan(number: int) -> Nic:
    addresses = (ip_interface(f"192.0.2.{number}/24"), ip_interface(f"2001:db8:1::{number}/64"))
    return Nic("lan", "eth0", addresses)


def outside(number: int, interface: str = "eth0") -> Nic:
    return Nic("outside", interface, (ip_interface(f"198.51.100.{number}/24"),))


TO_ROUTER = (Route("default", "192.0.2.1"),)

CLUSTER = Topology(
    networks=(LAN, OUTSIDE),
    machines=(
        Machine("client", (outside(9),), (Route("default", "198.51.100.1"),)),
        Machine("router", (on_lan(1), outside(1, "eth1")), forwards=True),
        Machine("lvs1", (on_lan(2),), TO_ROUTER, ipvs=True),
        Machine("lvs2", (on_lan(3),), TO_ROUTER, ipvs=True, init=Init.SYSTEMD),
        Machine("web1", (on_lan(11),), TO_ROUTER),
        Machine("web2", (on_lan(12),), TO_ROUTER, init=Init.SYSTEMD),
    ),
)


def opened(topology: Topology) -> Lab:
    """A lab that is up, or the test is skipped with what this machine lacks."""
    lab = Lab(topology)
    try:
        return lab.__enter__()
    except LabError as error:
        if "cannot start here" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="session")
def cluster() -> Iterator[Lab]:
    lab = opened(CLUSTER)
    yield lab
    lab.close()
