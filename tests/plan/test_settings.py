"""IPVS's timeouts and sync daemons: what is mended how, and what is somebody else's."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.model import Ipvs, IpvsTimeouts, SyncDaemonOptions, Vrrp
from lvsdeploy.state.sync import SyncDaemon, SyncRole
from tests.desired import clusters
from tests.plan.hosts import changed, codes, converged, declared_anew, given_up, on, plan, told, untouched

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context

SHOP = replace(
    clusters.smallest(),
    vrrp=Vrrp(sync_daemon=SyncDaemonOptions("eth0", 51)),
    ipvs=Ipvs(IpvsTimeouts(tcp=1800)),
)
BACKUP = SyncDaemon("eth0", 51, SyncRole.BACKUP)
MASTER = replace(BACKUP, role=SyncRole.MASTER)
START = ("--mcast-interface", "eth0", "--syncid", "51")


def lvs() -> Context:
    return converged(SHOP, "lvs1")


def words(context: Context) -> list[tuple[str, ...]]:
    """What is done to timeouts and daemons."""
    steps = [step.words for step in plan(context).steps()]
    return [step for step in steps if step[0] == "ipvs_timeouts" or "sync" in step[0]]


def test_a_daemon_follows_vrrp() -> None:
    """Of the two, the one that fits who holds the VIP."""
    assert told(lvs()) == []
    master = changed(lvs(), addresses=lvs().actual.addresses | {on("eth0", "192.0.2.50/32")})
    assert words(master) == [("sync_stop", "backup", *START), ("sync_start", "master", *START)]
    assert words(changed(master, sync_daemons=frozenset({MASTER}))) == []


def test_another_daemon_is_replaced() -> None:
    other = changed(lvs(), sync_daemons=frozenset({replace(BACKUP, syncid=9)}))
    assert words(other) == [
        ("sync_stop", "backup", "--mcast-interface", "eth0", "--syncid", "9"),
        ("sync_start", "backup", *START),
    ]


def test_keepalived_is_waited_for_where_it_starts_the_daemon() -> None:
    assert ("await_sync", "backup", "eth0", "51") in words(untouched(SHOP, "lvs1"))


def test_somebody_else_s_daemon_refuses_a_first_apply() -> None:
    theirs = frozenset({SyncDaemon("eth7", 7, SyncRole.MASTER)})
    context = changed(untouched(SHOP, "lvs1"), sync_daemons=theirs)
    assert "LVS540" in codes(context)
    assert words(context) == [("ipvs_timeouts", "1800", "0", "0", "900", "0", "0")]
    adopted = replace(context, adopt=True)
    assert "LVS540" not in codes(adopted)
    assert ("sync_stop", "master", "--mcast-interface", "eth7", "--syncid", "7") in words(adopted)
    # One that is as declared may stay.
    assert "LVS540" not in codes(changed(untouched(SHOP, "lvs1"), sync_daemons=frozenset({BACKUP})))


def test_one_timeout_is_set_and_the_others_are_left() -> None:
    found = changed(lvs(), timeouts={"tcp": 900, "tcp_fin": 120, "udp": 300})
    assert words(found) == [("ipvs_timeouts", "1800", "0", "0", "900", "0", "0")]
    assert words(changed(lvs(), timeouts={"tcp": 1800, "tcp_fin": 9, "udp": 9})) == []


def test_a_timeout_of_ours_is_given_back_and_another_s_is_not() -> None:
    assert words(given_up(lvs())) == [("ipvs_timeouts", "900", "0", "0", "1800", "0", "0")]
    theirs = changed(lvs(), timeouts={"tcp": 60, "tcp_fin": 120, "udp": 300})
    assert words(given_up(theirs)) == []


def test_a_daemon_that_is_no_longer_declared_is_stopped() -> None:
    """Keepalived lets it run on."""
    plain = replace(SHOP, vrrp=Vrrp())
    assert words(declared_anew(lvs(), plain)) == [("sync_stop", "backup", *START)]


@pytest.mark.parametrize(
    ("role", "declared", "group", "in_force"),
    [
        (SyncRole.BACKUP, 500, None, 1024),
        (SyncRole.BACKUP, 1024, None, 1024),
        (SyncRole.BACKUP, 1400, None, 1400),
        (SyncRole.MASTER, 500, None, 500),
        (SyncRole.MASTER, 65507, "224.0.0.99", 65507),
        (SyncRole.BACKUP, 65507, "ff05::1", 65487),
        (SyncRole.MASTER, 65507, "ff05::1", 65487),
    ],
)
def test_the_length_of_sync_messages_is_as_the_kernel_takes_it(
    role: SyncRole, declared: int, group: str | None, in_force: int
) -> None:
    """A daemon that runs with what the kernel made of `max_length` is as declared, and with no other."""
    wanted = SyncDaemon(
        "eth0", 51, role, max_length=declared, group=None if group is None else ip_address(group)
    )
    assert wanted.is_met_by(replace(wanted, max_length=in_force))
    assert not wanted.is_met_by(replace(wanted, max_length=in_force + 1))
    assert not wanted.is_met_by(replace(wanted, max_length=in_force - 1))
