"""What was there before comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.acting import OTHER_VIP, VIP, on_a_terminal, vips
from tests.hosts import FIRST_ROUTE, INSIDE, OUTSIDE, needs_namespaces, service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces


def test_destroy_leaves_what_was_there_before(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    theirs = "# written by hand\nnet.ipv4.conf.all.arp_ignore = 2\n"
    file = "/etc/sysctl.d/90-lvsdeploy-shop.conf"
    web1.write(file, theirs, 0o640)
    web1.sh("chown daemon:adm /etc/sysctl.d/90-lvsdeploy-shop.conf; mkdir -m 0711 /etc/lvsdeploy")
    web1.sh("echo 2 >/proc/sys/net/ipv4/conf/all/arp_ignore; ip address add 192.0.2.51/32 dev lo")
    services = {"http": service(VIP, web1), "api": service(OTHER_VIP, web1)}
    inventory = site.inventory("shop", web1, services=services)
    before = web1.everything(times=True)

    refused = web("apply", inventory, code=1)
    assert f"{file}" in refused.out
    assert "--adopt" in refused.out
    assert web1.everything(times=True) == before, "nothing was changed"

    web("apply", inventory, "--adopt")
    assert web1.read(f"{file}.before-lvsdeploy").decode() == theirs
    web("check", inventory)
    asked = on_a_terminal("n\n", "destroy", "--limit", "web*", inventory)
    assert (asked.code, "Change the hosts?" in asked.err) == (1, True)
    web("check", inventory)
    done = web("destroy", inventory)
    assert "without anything of lvsdeploy's" in done.out
    assert web1.everything(times=True) == before
    assert "Nothing to do" in web("destroy", inventory).out
    assert web1.everything(times=True) == before


def test_destroy_puts_the_default_route_back(site: Site, run: Callable[..., Done]) -> None:
    host = site.host("db1", 21)
    inventory = site.inventory(
        "shop",
        real_servers={"db1": host.declared(rip=f"{INSIDE}21")},
        nat={"gateway": f"{INSIDE}1/24", "interface": "eth1", "configure_gateway": True},
        services={"api": {"vip": VIP, "port": 80, "mode": "nat", "real_servers": ["db1"]}},
    )
    before = host.everything(times=True)
    assert run("apply", "--limit", "db1", inventory).code == 0
    assert host.sh("ip route show default").strip() == f"default via {INSIDE}1 dev eth0"
    assert run("check", "--limit", "db1", inventory).code == 0
    assert run("destroy", "--limit", "db1", inventory).code == 0
    assert host.everything(times=True) == before
    assert host.sh("ip route show default").strip() == FIRST_ROUTE


@pytest.mark.parametrize("order", [("shop", "blog"), ("blog", "shop")], ids=str)
def test_two_clusters_on_one_real_server(
    order: tuple[str, str], site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """They share a VIP, and each has one of its own."""
    before = web1.everything(times=True)
    own = {"shop": f"{OUTSIDE}51", "blog": f"{OUTSIDE}52"}
    inventories = {
        name: site.inventory(
            name,
            web1,
            cluster=name,
            services={"http": service(VIP, web1, port=port), "own": service(vip, web1, port=port)},
        )
        for (name, vip), port in zip(own.items(), (80, 81), strict=True)
    }
    for name in ("shop", "blog"):
        web("apply", inventories[name])
    assert vips(web1) == {f"{OUTSIDE}{n}/32" for n in (50, 51, 52)}
    for name in ("shop", "blog"):
        web("check", inventories[name])

    first, last = order
    web("destroy", inventories[first])
    assert vips(web1) == {f"{VIP}/32", f"{own[last]}/32"}, "the shared VIP stays while the other needs it"
    assert web1.sh("cat /proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "1"
    web("check", inventories[last])
    web("destroy", inventories[last])
    assert web1.everything(times=True) == before


def test_a_real_server_that_is_in_no_inventory_any_more_is_cleaned_by_its_address(
    site: Site, web1: NamespaceHost, web: Callable[..., Done], run: Callable[..., Done]
) -> None:
    web2 = site.host("web2", 12)
    before = web2.everything(times=True)
    web("apply", site.inventory("shop", web1, web2))
    smaller = site.inventory("smaller", web1)
    kept = web1.everything(times=True)
    for word in ("Cleaned", "Nothing to do"):
        done = run("destroy", "--limit", web2.sshd.address, smaller)
        assert word in done.out
        assert done.code == 1, "the director, which is out of reach, goes on naming it"
        assert "connection refused" in done.out + done.err
        assert web2.everything(times=True) == before
        assert web1.everything(times=True) == kept
