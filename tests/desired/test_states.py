"""Desired states: what each host gets, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.desired import (
    desired_state,
    expected_table,
    probe_paths,
    render_all,
    route_is_managed,
    unit_names,
)
from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.model import (
    ForwardingMethod,
    Protocol,
    Scheduler,
    SorryServer,
    Tunnel,
    TunnelType,
)
from lvsdeploy.record import history_path, manifest_path
from lvsdeploy.state.facts import Facts, ServiceManager
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.unit import Unit
from tests.desired import clusters

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster

SHOP_SYSCTL = "/etc/sysctl.d/90-lvsdeploy-shop.conf"
SHOP_MODULES = "/etc/modules-load.d/lvsdeploy-shop.conf"
SHOP_SCRIPT = "/etc/lvsdeploy/shop/real-server"
SHOP_UNIT = "/etc/systemd/system/lvsdeploy-shop.service"
SHOP_INIT = "/etc/init.d/lvsdeploy-shop"


def on(interface: str, address: str) -> Address:
    return Address(interface, ip_interface(address))


def test_dr_real_server() -> None:
    state = desired_state(clusters.smallest(), "web1", Facts())
    assert {path: file.mode for path, file in state.files.items()} == {
        SHOP_SCRIPT: 0o755,
        SHOP_SYSCTL: 0o644,
        SHOP_UNIT: 0o644,
    }
    assert state.sysctls == {
        "net.ipv4.conf.all.arp_ignore": 1,
        "net.ipv4.conf.all.arp_announce": 2,
        "net.ipv4.conf.eth0.arp_ignore": 1,
        "net.ipv4.conf.eth0.arp_announce": 2,
    }
    assert state.addresses == {on("lo", "192.0.2.50/32")}
    assert state.routes == ()
    assert state.units == {"lvsdeploy-shop": Unit("lvsdeploy-shop", enabled=True, active=True)}
    assert state.virtual_services is None


def test_rip_is_looked_for_where_no_interface_is_named() -> None:
    cluster = clusters.smallest()
    unknown = desired_state(cluster, "web2", Facts())
    assert [key for key in unknown.sysctls if ".all." not in key] == []
    seen = HostState(
        addresses=frozenset(
            {
                on("br0", "192.0.2.12/24"),
                on("bond0", "192.0.2.12/25"),
                on("eth1", "192.0.2.13/24"),
                on("lo", "192.0.2.12/32"),
            }
        )
    )
    found = desired_state(cluster, "web2", Facts(), seen)
    assert [key for key in found.sysctls if ".all." not in key] == [
        "net.ipv4.conf.bond0.arp_ignore",
        "net.ipv4.conf.bond0.arp_announce",
        "net.ipv4.conf.br0.arp_ignore",
        "net.ipv4.conf.br0.arp_announce",
    ]
    assert unknown.files[SHOP_SYSCTL] == found.files[SHOP_SYSCTL]


def test_nat_real_server_with_a_route_of_ours() -> None:
    cluster = clusters.nat_two_directors()
    state = desired_state(cluster, "db1", Facts())
    assert route_is_managed(cluster)
    assert state.routes == (Route(via=ip_address("10.2.0.1")),)
    assert sorted(state.files) == [
        "/etc/lvsdeploy/api/real-server",
        "/etc/systemd/system/lvsdeploy-api.service",
    ]
    assert (state.addresses, state.sysctls) == (frozenset(), {})


def test_nat_real_server_with_a_route_that_is_only_checked() -> None:
    cluster = clusters.nat_checked_only()
    assert not route_is_managed(cluster)
    assert desired_state(cluster, "db1", Facts()) == HostState(routes=(Route(via=ip_address("10.2.0.1")),))


def test_real_server_in_both() -> None:
    state = desired_state(clusters.mixed(), "web2", Facts())
    assert state.addresses == {on("lo", "192.0.2.50/32")}
    assert state.routes == (Route(via=ip_address("10.2.0.1")),)
    only_dr = desired_state(clusters.mixed(), "web1", Facts())
    assert only_dr.routes == ()


def test_a_sorry_server_of_a_dr_service_holds_its_vip() -> None:
    service = clusters.service("http", {clusters.WEB1: 1}, sorry_server=SorryServer(ip_address("192.0.2.12")))
    assert desired_state(clusters.cluster(service), "web2", Facts()).addresses == {on("lo", "192.0.2.50/32")}


def test_host_in_no_service_gets_nothing() -> None:
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}))
    assert desired_state(cluster, "web2", Facts()) == HostState()


@pytest.mark.parametrize("host", ["db2", "nobody"])
def test_hosts_that_are_not_ours(host: str) -> None:
    cluster = clusters.nat_two_directors()
    for call in (
        lambda: desired_state(cluster, host, Facts()),
        lambda: probe_paths(cluster, host),
        lambda: unit_names(cluster, host),
    ):
        with pytest.raises(LvsdeployError, match=host):
            call()
    assert host not in render_all(cluster)


def test_director_without_nat_routes_nothing() -> None:
    state = desired_state(clusters.dr_two_directors(), "lvs1", Facts())
    assert state.sysctls == {"net.ipv4.vs.expire_nodest_conn": 1, "net.ipv4.vs.conn_reuse_mode": 3}
    lines = settings_in(state.files[SHOP_SYSCTL].content)
    assert lines == ["net.ipv4.vs.expire_nodest_conn = 1", "net.ipv4.vs.conn_reuse_mode = 3"]
    assert state.files[SHOP_MODULES].content.decode().splitlines()[-1] == "ip_vs"
    assert state.programs == {"ip", "ipvsadm", "keepalived"}
    assert state.units == {"keepalived": Unit("keepalived", enabled=True, active=True)}


def test_nat_director_routes() -> None:
    state = desired_state(clusters.nat_checked_only(), "lvs1", Facts())
    assert state.sysctls == {
        "net.ipv4.ip_forward": 1,
        "net.ipv4.conf.all.send_redirects": 0,
        "net.ipv4.conf.eth0.100.send_redirects": 0,
        "net.ipv4.conf.eth1.send_redirects": 0,
        "net.ipv4.vs.expire_nodest_conn": 1,
    }
    assert settings_in(state.files[SHOP_SYSCTL].content) == [
        "net.ipv4.ip_forward = 1",
        "net.ipv4.conf.all.send_redirects = 0",
        "net/ipv4/conf/eth0.100/send_redirects = 0",
        "net.ipv4.conf.eth1.send_redirects = 0",
        "net.ipv4.vs.expire_nodest_conn = 1",
    ]


def test_every_sysctl_that_is_set_is_set_at_boot() -> None:
    """But for a real server's interfaces: `all` is enough there, and which they are is found on the host."""
    for build in clusters.CASES.values():
        for host, state in render_all(build()).items():
            files = [file for path, file in state.files.items() if path.startswith("/etc/sysctl.d/")]
            at_boot = {
                key.replace("/", ".")
                for file in files
                for key, _, _ in (line.partition(" = ") for line in settings_in(file.content))
            }
            interfaces = {key for key in state.sysctls if ".conf.eth0.arp_" in key}
            assert at_boot == state.sysctls.keys() - interfaces, host


def settings_in(content: bytes) -> list[str]:
    """The lines of a file that are no comments."""
    lines = content.decode().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_nat_that_no_service_uses_changes_nothing() -> None:
    plain = clusters.smallest()
    assert render_all(replace(plain, nat=clusters.INSIDE)) == render_all(plain)


def test_service_managers() -> None:
    paths = {
        manager: set(desired_state(clusters.smallest(), "web1", Facts(service_manager=manager)).files)
        for manager in ServiceManager
    }
    common = {SHOP_SCRIPT, SHOP_SYSCTL}
    assert paths == {
        ServiceManager.SYSTEMD: {SHOP_UNIT} | common,
        ServiceManager.OPENRC: {SHOP_INIT} | common,
        ServiceManager.SYSV: {SHOP_INIT} | common,
    }
    init = desired_state(clusters.smallest(), "web1", Facts(service_manager=ServiceManager.OPENRC))
    assert init.files[SHOP_INIT].mode == 0o755


def test_the_record_is_no_part_of_what_is_declared() -> None:
    """It tells what was there before, which no inventory knows."""
    for build in clusters.CASES.values():
        for state in render_all(build()).values():
            assert not [path for path in state.files if path.startswith("/var/lib/lvsdeploy")]


def test_same_cluster_same_bytes() -> None:
    for build in clusters.CASES.values():
        first, second = render_all(build()), render_all(build())
        assert first == second
        assert list(first) == list(second)
        for host, state in first.items():
            assert list(state.files) == sorted(state.files)
            assert list(state.files) == list(second[host].files)


def test_probe_paths_hold_every_variant() -> None:
    for build in clusters.CASES.values():
        cluster = build()
        for host in render_all(cluster):
            paths = probe_paths(cluster, host)
            assert list(paths) == sorted(paths)
            assert manifest_path(cluster.name) in paths
            for manager in ServiceManager:
                for path, file in desired_state(cluster, host, Facts(service_manager=manager)).files.items():
                    assert paths[path][file.digest] == file.content


def test_probe_asks_about_what_an_earlier_inventory_may_have_put_there() -> None:
    paths = probe_paths(clusters.smallest(), "lvs1")
    assert dict(paths[SHOP_SCRIPT]) == {}
    assert dict(probe_paths(clusters.smallest(), "web1")[SHOP_MODULES]) == {}
    assert dict(paths[SHOP_UNIT]) == {}
    assert unit_names(clusters.smallest(), "lvs1") == ("keepalived", "lvsdeploy-shop")
    assert unit_names(clusters.smallest(), "web1") == ("lvsdeploy-shop",)


def test_probe_asks_about_every_folder_on_the_way() -> None:
    """A folder that is not there yet is made, and remembered as ours."""
    for build in clusters.CASES.values():
        cluster = build()
        for host in render_all(cluster):
            paths = probe_paths(cluster, host)
            written = [path for path, known in paths.items() if known]
            for path in (*written, manifest_path(cluster.name), history_path(cluster.name, "x")):
                parents = {str(parent) for parent in PurePosixPath(path).parents} - {"/"}
                assert parents <= paths.keys(), path
            assert "/" not in paths


def test_expected_table() -> None:
    table = expected_table(clusters.dr_two_directors())
    assert list(table) == sorted(table)
    assert len(table) == 6
    key = ServiceKey(Protocol.TCP, "192.0.2.50", 8080)
    assert table[key] == VirtualService(
        key,
        "wrr",
        persistence=300,
        netmask="255.255.255.0",
        destinations=(
            TableDestination("192.0.2.11", 8080, Forwarding.DR, 1),
            TableDestination("192.0.2.12", 8080, Forwarding.DR, 3),
        ),
    )
    dns = table[ServiceKey(Protocol.UDP, "192.0.2.9", 53)]
    assert dns.one_packet
    assert dns.destinations[1].weight == 0
    nat = expected_table(clusters.nat_two_directors())[ServiceKey(Protocol.TCP, "192.0.2.50", 80)]
    assert nat.destinations[0] == TableDestination("10.2.0.21", 8080, Forwarding.NAT, 2)


def test_expected_table_of_marks_of_both_families() -> None:
    """A virtual service in each family, with the destinations of that family."""
    web = replace(clusters.WEB1, rip6=IPv6Address("2001:db8::11"))
    service = clusters.service(
        "tls",
        {web: 2},
        0,
        vips=(clusters.PUBLIC, clusters.vip("2001:db8::50/128")),
        fwmark=7,
        persistence=300,
        persistence_netmask=IPv4Address("255.255.255.0"),
        persistence_prefix=64,
        persistence_engine="sip",
    )
    table = expected_table(clusters.cluster(service))
    assert {str(key): found.options() for key, found in table.items()} == {
        "fwmark 7": ("-s", "wlc", "-p", "300", "-M", "255.255.255.0", "--pe", "sip"),
        "fwmark 7 IPv6": ("-s", "wlc", "-p", "300", "-M", "64", "--pe", "sip"),
    }
    assert [found.destinations for found in table.values()] == [
        (TableDestination("192.0.2.11", 0, Forwarding.DR, 2),),
        (TableDestination("2001:db8::11", 0, Forwarding.DR, 2),),
    ]


def test_persistence_s_options_go_with_persistence() -> None:
    options: dict[str, Any] = {"persistence_prefix": 64, "persistence_engine": "sip"}
    six = clusters.vip("2001:db8::50/128")
    (row,) = expected_table(clusters.cluster(clusters.service("a", {}, vip=six, **options))).values()
    assert row.options() == ("-s", "wlc")
    options |= {"persistence": 60, "persistence_prefix": 128}
    (row,) = expected_table(clusters.cluster(clusters.service("a", {}, vip=six, **options))).values()
    assert row.options() == ("-s", "wlc", "-p", "60", "--pe", "sip")


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        (Tunnel(), "-i -w 1"),
        (Tunnel(TunnelType.GRE, checksum="csum"), "-i -w 1 --tun-type gre --tun-csum"),
        (Tunnel(TunnelType.GUE, 5555), "-i -w 1 --tun-type gue --tun-port 5555 --tun-nocsum"),
    ],
)
def test_expected_table_of_tunnels_and_thresholds(declared: Tunnel, shown: str) -> None:
    service = clusters.service("http", {clusters.WEB1: 1}, mode=ForwardingMethod.TUN, tunnel=declared)
    limited = tuple(
        replace(pool, destinations=tuple(replace(d, upper=100, lower=75) for d in pool.destinations))
        for pool in service.pools
    )
    (row,) = expected_table(clusters.cluster(replace(service, pools=limited))).values()
    assert " ".join(row.destinations[0].options()) == f"-r 192.0.2.11:80 {shown} -x 100 -y 75"


@pytest.mark.parametrize(
    ("scheduler", "declared", "shown"),
    [
        (Scheduler.SH, ("sh-port", "sh-fallback"), ("sh-fallback", "sh-port")),
        (Scheduler.SH, ("flag-1",), ("sh-fallback",)),
        (Scheduler.MH, ("mh-port",), ("mh-port",)),
        (Scheduler.WLC, ("flag-3", "flag-1"), ("flag-1", "flag-3")),
    ],
)
def test_flags_as_ipvsadm_shows_them(
    scheduler: Scheduler, declared: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    service = clusters.service("http", {clusters.WEB1: 1}, scheduler=scheduler, scheduler_flags=declared)
    (row,) = expected_table(clusters.cluster(service)).values()
    assert row.scheduler_flags == shown


def test_templates_can_be_replaced_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "sysctl").mkdir()
    (tmp_path / "sysctl/real-server.conf.j2").write_text("# ours, for {{ cluster }}\n")
    cluster = clusters.smallest()
    state = desired_state(cluster, "web1", Facts(), templates_dir=tmp_path)
    assert state.files[SHOP_SYSCTL].content == b"# ours, for shop\n"
    assert state.files[SHOP_SCRIPT] == desired_state(cluster, "web1", Facts()).files[SHOP_SCRIPT]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("\n{{ nothing }}\n", "line 2: 'nothing' is undefined"),
        ("{% if %}\n", "line 1: Expected an expression, got 'end of statement block'"),
        ("\n\n{{ 1 / 0 }}\n", "line 3: ZeroDivisionError: division by zero"),
        ("{% include 'no.j2' %}", "template no.j2 is missing"),
        ("{{ 'two words' }}", "line 1: a value that may not be written here: it has ' '"),
    ],
)
def test_errors_in_a_template_are_one_clear_line(tmp_path: Path, template: str, message: str) -> None:
    (tmp_path / "sysctl").mkdir()
    (tmp_path / "sysctl/real-server.conf.j2").write_text(template)
    with pytest.raises(LvsdeployError) as caught:
        desired_state(clusters.smallest(), "web1", Facts(), templates_dir=tmp_path)
    assert message in str(caught.value)
    assert "sysctl/real-server.conf.j2" in str(caught.value) or "missing" in message
    assert "\n" not in str(caught.value)


def test_a_mode_of_each_service() -> None:
    """The mixed cluster's table has both methods."""
    methods = {d.forwarding for row in expected_table(clusters.mixed()).values() for d in row.destinations}
    assert methods == {Forwarding.DR, Forwarding.NAT}
    assert {s.mode for s in clusters.mixed().services} == {ForwardingMethod.DR, ForwardingMethod.NAT}


def test_vips_of_both_families_on_interfaces_of_their_own_are_answered_for_once() -> None:
    """Of the interfaces that keepalived makes, those of IPv6 answer ARP for IPv4, unless told otherwise."""
    line = "\nnet.ipv4.conf.all.arp_ignore = 1\n"

    def told(cluster: Cluster) -> list[bool]:
        state = desired_state(cluster, "lvs1", Facts())
        text = state.files["/etc/sysctl.d/90-lvsdeploy-shop.conf"].content.decode()
        return [state.sysctls.get("net.ipv4.conf.all.arp_ignore") == 1, line in text]

    both = clusters.both_families()
    vmac = replace(both, vrrp=replace(both.vrrp, vmac=True))
    assert told(vmac) == [True, True]
    assert told(both) == [False, False]
    assert told(clusters.active_active()) == [False, False], "VMAC, and IPv4 alone"
