"""keepalived.conf: accepted by keepalived without a word, and saying what was declared."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import KEEPALIVED_CONF, desired_state, inside_router_id, render_all
from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory.health_checks import HttpCheck, Url, WithPort, port_of
from lvsdeploy.inventory.model import (
    Engine,
    Program,
    Protocol,
    Scheduler,
    Secret,
    SyncDaemonOptions,
    Vrrp,
)
from lvsdeploy.state.facts import Facts
from tests.desired import check_clusters, clusters, namespace
from tests.desired.test_golden import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster

KEPT = sorted(GOLDEN.glob("*/*/etc/keepalived/keepalived.conf"))


def text(cluster: Cluster, director: str = "lvs1") -> str:
    return desired_state(cluster, director, Facts()).files[KEEPALIVED_CONF].content.decode()


def assert_accepted(file: Path) -> None:
    """`keepalived -t` takes the file and says nothing: it only warns about much that it then ignores."""
    content = file.read_text()
    interfaces = set(re.findall(r"(?:interface|dev|lvs_sync_daemon) (\S+)(?: .*)?$", content, re.MULTILINE))
    for block in re.findall(r"track_interface \{\n(.*?)\}", content, re.DOTALL):
        interfaces.update(line.split()[0] for line in block.splitlines() if line.strip())
    interfaces.discard("{")
    dips = set(re.findall(r"unicast_src_ip (\S+)", content)) or {"192.0.2.2"}
    main = re.findall(r"^    interface (\S+)$", content, re.MULTILINE)[0]
    result = namespace.run(
        ["trap '' TERM", f"exec keepalived --config-test --use-file {file}"],
        interfaces=sorted(interfaces),
        addresses=[(main, f"{dip}/64 nodad" if ":" in dip else f"{dip}/24") for dip in dips],
    )
    assert (result.stdout + result.stderr, result.returncode) == ("", 0)


@namespace.needs("keepalived")
@pytest.mark.parametrize("file", KEPT, ids=lambda file: "-".join(file.relative_to(GOLDEN).parts[:2]))
def test_keepalived_accepts(file: Path) -> None:
    assert_accepted(file)


@namespace.needs("keepalived")
@pytest.mark.parametrize("scheduler", Scheduler)
def test_keepalived_knows_every_scheduler(scheduler: Scheduler, tmp_path: Path) -> None:
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, scheduler=scheduler))
    file = tmp_path / "keepalived.conf"
    file.write_text(text(cluster))
    assert_accepted(file)


@namespace.needs("keepalived")
@pytest.mark.parametrize("protocol", Protocol)
def test_keepalived_knows_every_protocol(protocol: Protocol, tmp_path: Path) -> None:
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, protocol=protocol))
    file = tmp_path / "keepalived.conf"
    file.write_text(text(cluster))
    assert_accepted(file)


@namespace.needs("keepalived")
@pytest.mark.parametrize(
    ("scheduler", "flags"),
    [
        (Scheduler.SH, ("sh-fallback", "sh-port")),
        (Scheduler.MH, ("mh-fallback", "mh-port")),
        (Scheduler.RR, ("flag-1", "flag-2", "flag-3")),
    ],
)
def test_keepalived_knows_every_flag(scheduler: Scheduler, flags: tuple[str, ...], tmp_path: Path) -> None:
    service = clusters.service("http", {clusters.WEB1: 1}, scheduler=scheduler, scheduler_flags=flags)
    file = tmp_path / "keepalived.conf"
    file.write_text(text(clusters.cluster(service)))
    assert_accepted(file)


@namespace.needs("keepalived")
def test_fifty_vips(tmp_path: Path) -> None:
    services = [
        clusters.service(f"s{n}", {clusters.WEB1: 1}, vip=clusters.vip(f"192.0.2.{n}/24"))
        for n in range(100, 150)
    ]
    file = tmp_path / "keepalived.conf"
    file.write_text(text(clusters.cluster(*services)))
    assert_accepted(file)


def test_one_vip_is_advertised_and_adding_another_keeps_it() -> None:
    """Directors reject adverts with other addresses than their own, and are changed one by one."""
    first = clusters.service("a", {clusters.WEB1: 1}, vip=clusters.vip("192.0.2.70/32"))
    second = clusters.service("b", {clusters.WEB1: 1}, vip=clusters.vip("192.0.2.60/32"))
    advertised = re.compile(r"virtual_ipaddress \{\n(.*?)\}", re.DOTALL)
    before = advertised.findall(text(clusters.cluster(first)))
    after = advertised.findall(text(clusters.cluster(first, second)))
    assert before == after == ["        192.0.2.70/32 dev eth0\n    "]
    assert "192.0.2.60/32 dev eth0" in text(clusters.cluster(first, second))


def test_virtual_servers_are_the_same_on_all_directors() -> None:
    for build in clusters.CASES.values():
        states = render_all(build())
        tails = {
            state.files[KEEPALIVED_CONF].content.partition(b"virtual_server")[2]
            for state in states.values()
            if KEEPALIVED_CONF in state.files
        }
        assert len(tails) == (build().engine is Engine.KEEPALIVED)


def test_states() -> None:
    preempting = clusters.dr_two_directors()
    assert "state MASTER" in text(preempting, "lvs1")
    assert "state BACKUP" in text(preempting, "lvs2")
    staying = replace(preempting, vrrp=replace(preempting.vrrp, preempt=False))
    for director in ("lvs1", "lvs2"):
        assert "state BACKUP\n    nopreempt\n" in text(staying, director)
        assert "state MASTER" not in text(staying, director)


def test_one_director_has_no_peers_and_no_group() -> None:
    conf = text(clusters.smallest())
    assert "unicast" not in conf
    assert "vrrp_sync_group" not in conf
    assert "vrrp_instance" in conf


def test_never_strict() -> None:
    for build in clusters.CASES.values():
        for state in render_all(build()).values():
            for file in state.files.values():
                assert b"strict" not in file.content


def test_a_password_makes_the_file_private() -> None:
    state = desired_state(clusters.dr_two_directors(), "lvs1", Facts())
    file = state.files[KEEPALIVED_CONF]
    assert (file.mode, file.secret) == (0o600, True)
    assert b"auth_pass s3cret" in file.content
    assert "s3cret" not in file.shown()
    public = desired_state(clusters.smallest(), "lvs1", Facts()).files[KEEPALIVED_CONF]
    assert (public.mode, public.secret) == (0o644, False)


def test_inside_router_id_stays_in_range() -> None:
    cluster = clusters.nat_two_directors()
    assert inside_router_id(cluster) == 254
    assert inside_router_id(replace(cluster, vrrp=Vrrp(virtual_router_id=51))) == 52


@pytest.mark.parametrize("bad", ["a b", "a\nb", "a}", "{a", 'a"', "a!", "a#", "$A", "a\\", "a~SEQ(x,1)", ""])
def test_last_guard(bad: str) -> None:
    """Validation refuses these; if it did not, they would still never reach keepalived.conf."""
    check = HttpCheck((Url(bad),))
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}, health_check=check))
    with pytest.raises(LvsdeployError, match=r"template keepalived/checks/http\.j2, line 11: a value"):
        text(cluster)


def test_the_guard_does_not_tell_a_secret() -> None:
    cluster = replace(clusters.dr_two_directors(), vrrp=Vrrp(password=Secret("se cret")))
    with pytest.raises(LvsdeployError) as caught:
        text(cluster)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("vrrp", "words"),
    [
        (Vrrp(password=Secret("ninechars")), "more than 8"),
        (Vrrp(password=Secret("x"), advert_interval=0.5), "version 3 has no passwords"),
        (Vrrp(password=Secret("x"), version=3), "version 3 has no passwords"),
    ],
)
def test_what_vrrp_cannot_do(vrrp: Vrrp, words: str) -> None:
    with pytest.raises(LvsdeployError, match=words):
        text(replace(clusters.dr_two_directors(), vrrp=vrrp))


def test_a_family_without_a_dip_on_each_director_is_refused() -> None:
    both = clusters.six()
    without = replace(both, directors=(clusters.BOTH1, clusters.LVS2))
    with pytest.raises(LvsdeployError, match="lvs2 has no DIP of IPv6"):
        text(without)
    assert "unicast" not in text(replace(without, vrrp=Vrrp(unicast=False)))
    assert "shop-outside6" in text(replace(without, directors=(clusters.LVS1,)))


def test_the_master_of_a_group_has_the_highest_priority_and_the_others_keep_their_order() -> None:
    third = replace(clusters.LVS2, name="lvs3", dip=ip_address("192.0.2.4"), priority=50)
    cluster = replace(clusters.active_active(), directors=(clusters.LVS1, clusters.LVS2, third))
    group = replace(cluster.vrrp.groups[0], master="lvs3")
    cluster = replace(cluster, vrrp=replace(cluster.vrrp, groups=(group,)))
    found = {
        director.name: re.findall(
            r"state (\S+)|^    priority (\d+)$", text(cluster, director.name), re.MULTILINE
        )
        for director in cluster.directors
    }
    words = {name: [state or number for state, number in lines] for name, lines in found.items()}
    assert words == {
        "lvs1": ["MASTER", "150", "BACKUP", "100"],
        "lvs2": ["BACKUP", "100", "BACKUP", "50"],
        "lvs3": ["BACKUP", "50", "MASTER", "150"],
    }


def test_weights_stand_where_keepalived_looks_at_them() -> None:
    """Of an instance in a sync group it ignores them."""
    blocks = re.findall(r"^vrrp_instance .*?^\}$", text(clusters.both_families()), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    assert not [block for block in blocks if "weight" in block or "notify" in block]


def test_sync_daemon_of_one_group_is_its_masters_and_of_several_both() -> None:
    one = replace(clusters.smallest(), vrrp=Vrrp(sync_daemon=SyncDaemonOptions("eth0", 51)))
    assert "    lvs_sync_daemon eth0 shop-outside id 51\n" in text(one)
    assert "    lvs_sync_daemon eth0 id 51\n" in text(clusters.active_active())


@namespace.needs("keepalived")
@pytest.mark.parametrize("name", sorted(check_clusters.ALL_CHECKS))
def test_in_a_service_by_mark_only_what_asks_on_a_port_has_one(name: str, tmp_path: Path) -> None:
    """The real servers of a mark have no port, so that the check names the service's first one."""
    check = check_clusters.ALL_CHECKS[name]
    marked = clusters.service("http", {clusters.WEB1: 1}, 0, health_check=check)
    file = tmp_path / "keepalived.conf"
    file.write_text(text(clusters.cluster(replace(marked, fwmark=7, port_ranges=((443, 443), (80, 80))))))
    asked = re.findall(r"connect_port (\d+)", file.read_text())
    assert asked == ([str(port_of(check) or 443)] if isinstance(check, WithPort) else [])
    assert_accepted(file)


@namespace.needs("keepalived")
def test_programs_of_services_get_what_is_declared(tmp_path: Path) -> None:
    up = Program("/usr/bin/true", ("{real_server} of {rip}:{port}", "it's $HOME"), "daemon")
    http = clusters.service("http", {clusters.WEB1: 1})
    (destination,) = http.destinations
    pool = replace(http.pools[0], destinations=(replace(destination, notify_up=up),))
    http = replace(http, pools=(pool,), quorum_up=up, quorum_down=Program("/usr/bin/true"))
    file = tmp_path / "keepalived.conf"
    file.write_text(text(clusters.cluster(http)))
    lines = [line.strip() for line in file.read_text().splitlines() if "/usr/bin/true" in line]
    filled = r"web1\134040of\134040192.0.2.11:80 it\134047s\134040\134044HOME"
    as_it_is = r"\134173real_server\134175\134040of\134040\134173rip\134175:\134173port\134175"
    assert lines == [
        rf'quorum_up "/usr/bin/true {as_it_is} it\134047s\134040\134044HOME" daemon',
        'quorum_down "/usr/bin/true" root',
        f'notify_up "/usr/bin/true {filled}" daemon',
    ]
    assert_accepted(file)
