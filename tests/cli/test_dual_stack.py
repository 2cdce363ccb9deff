"""Real servers with both families: real `ip -6`, on hosts with interfaces and routes of their own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.acting import VIP
from tests.hosts import INSIDE, OUTSIDE, needs_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces

VIP6, GATEWAY6 = "2001:db8::50", "2001:db8:2::1"
SHOW = "ip -6 route show default"


@pytest.fixture
def host(site: Site) -> NamespaceHost:
    host = site.host("db1", 21)
    host.sh("ip address add 2001:db8::21/64 dev eth0 nodad; ip address add 2001:db8:2::21/64 dev eth0 nodad")
    return host


def direct(site: Site, host: NamespaceHost, *vips: str) -> Path:
    return site.inventory(
        "shop",
        directors={"lvs1": _director(site)},
        real_servers={"db1": host.declared(rip=f"{OUTSIDE}21", rip6="2001:db8::21")},
        services={"http": {"vips": list(vips), "port": 80, "real_servers": ["db1"]}},
    )


def inside(site: Site, host: NamespaceHost, *vips: str) -> Path:
    return site.inventory(
        "shop",
        directors={"lvs1": _director(site)},
        real_servers={"db1": host.declared(rip=f"{INSIDE}21", rip6="2001:db8:2::21")},
        nat={
            "gateway": f"{INSIDE}1/24",
            "gateway6": f"{GATEWAY6}/64",
            "interface": "eth1",
            "configure_gateway": True,
        },
        services={"api": {"vips": list(vips), "port": 80, "mode": "nat", "real_servers": ["db1"]}},
    )


def _director(site: Site) -> dict[str, object]:
    return {**site.document()["directors"]["lvs1"], "dip6": "2001:db8::2"}


def limited(run: Callable[..., Done], verb: str, inventory: Path, code: int = 0) -> str:
    done = run(verb, "--limit", "db1", inventory)
    assert done.code == code, done.out + done.err
    return done.out


def lasting(everything: dict[str, object]) -> str:
    """All of a host, without the time that an advertised route has left."""
    return re.sub(r"expires \d+sec", "", repr(everything))


def test_vips_of_both_families_come_and_go(site: Site, host: NamespaceHost, run: Callable[..., Done]) -> None:
    before = host.everything(times=True)
    both = direct(site, host, VIP, VIP6)
    limited(run, "apply", both)
    limited(run, "check", both)
    shown = host.sh("ip -o address show dev lo")
    assert f" {VIP}/32 " in shown
    assert re.search(rf" {VIP6}/128 scope global nodad", shown)
    script = "/etc/lvsdeploy/shop/real-server"
    host.sh(f"ip address del {VIP6}/128 dev lo; ! sh {script} status; sh {script} start; sh {script} status")
    assert re.search(rf" {VIP6}/128 scope global nodad", host.sh("ip -o address show dev lo"))

    six = direct(site, host, VIP6)
    said = limited(run, "apply", six)
    assert f"address {VIP}/32 on lo" in said
    assert host.sh("cat /proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "0", "only IPv4 has ARP"
    assert f" {VIP6}/128 " in host.sh("ip -o address show dev lo")
    limited(run, "destroy", six)
    assert host.everything(times=True) == before


@pytest.mark.parametrize(
    "way",
    [
        "via 2001:db8::9 dev eth0 proto static",
        "via fe80::9 dev eth0 proto ra metric 1024 expires 1800",
        "via fe80::9 dev eth0 proto ra metric 100 expires 1800 pref high",
        "via 2001:db8::9 dev eth0 metric 1",
        "",
    ],
    ids=["plain", "advertised", "advertised, preferred", "as preferred as ours", "none"],
)
def test_default_routes_of_both_families_come_and_go(
    way: str, site: Site, host: NamespaceHost, run: Callable[..., Done]
) -> None:
    if way:
        host.sh(f"ip -6 route add default {way}")
    before = lasting(host.everything(times=True))
    both = inside(site, host, VIP, "2001:db8::51")
    limited(run, "apply", both)
    limited(run, "check", both)
    assert host.sh("ip route show default").startswith(f"default via {INSIDE}1 dev eth0")
    assert host.sh(SHOW).startswith(f"default via {GATEWAY6} dev eth0 metric 1 ")

    host.sh("ip -6 route replace default via 2001:db8::77 metric 1")
    assert f"route default via {GATEWAY6}" in limited(run, "check", both, code=2)
    limited(run, "apply", both)
    limited(run, "check", both)
    script = "/etc/lvsdeploy/shop/real-server"
    host.sh(f"ip -6 route del default metric 1; ! sh {script} status; sh {script} start; sh {script} status")
    limited(run, "check", both)

    limited(run, "destroy", both)
    assert lasting(host.everything(times=True)) == before


def test_one_family_goes_and_the_other_stays(
    site: Site, host: NamespaceHost, run: Callable[..., Done]
) -> None:
    limited(run, "apply", inside(site, host, VIP, "2001:db8::51"))
    said = limited(run, "apply", inside(site, host, VIP))
    assert "route" in said
    assert host.sh(SHOW) == ""
    assert host.sh("ip route show default").startswith(f"default via {INSIDE}1 dev eth0")
    (route,) = host.manifest()["routes"]
    assert route["via"] == f"{INSIDE}1"


def test_a_record_with_one_route_is_read(site: Site, host: NamespaceHost, run: Callable[..., Done]) -> None:
    """As lvsdeploy wrote it before there were two."""
    before = host.everything(times=False)
    inventory = inside(site, host, VIP)
    limited(run, "apply", inventory)
    manifest = host.manifest()
    (manifest["route"],) = manifest.pop("routes")
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    host.write("/var/lib/lvsdeploy/shop/manifest.json", text)
    limited(run, "check", inventory)
    limited(run, "destroy", inventory)
    assert host.everything(times=False) == before
