"""What ipvsadm lists of timeouts and sync daemons, and what sysctls of IPVS look like."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsdeploy.observe import ipvs_settings
from lvsdeploy.state.sync import SyncDaemon, SyncRole

BOTH = """\
master sync daemon (mcast=eth0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)
backup sync daemon (mcast=eth1.100, syncid=7, maxlen=1380, group=ff02::99, port=9000, ttl=3)
"""
GROUP = ip_address("224.0.0.81")
MASTER = SyncDaemon("eth0", 51, SyncRole.MASTER, None, 1472, GROUP, 8848, 1)


def test_daemons() -> None:
    six = ip_address("ff02::99")
    backup = SyncDaemon("eth1.100", 7, SyncRole.BACKUP, None, 1380, six, 9000, 3)
    assert ipvs_settings.daemons(BOTH.splitlines()) == {MASTER, backup}


def test_an_old_kernel_tells_less() -> None:
    (daemon,) = ipvs_settings.daemons(["master sync daemon (mcast=eth0, syncid=51)"])
    assert daemon == SyncDaemon("eth0", 51, SyncRole.MASTER)


@pytest.mark.parametrize(
    "line",
    [
        "master sync daemon (syncid=51)",
        "master sync daemon (mcast=eth0, syncid=51, group=nobody)",
    ],
)
def test_nonsense_is_told(line: str) -> None:
    with pytest.raises(ValueError, match=r"without an interface|nobody"):
        ipvs_settings.daemons([line])


def test_timeouts() -> None:
    lines = [*BOTH.splitlines(), "Timeout (tcp tcpfin udp): 900 120 300"]
    assert ipvs_settings.timeouts(lines) == {"tcp": 900, "tcp_fin": 120, "udp": 300}
    assert ipvs_settings.timeouts(BOTH.splitlines()) == {}


def test_what_is_not_declared_may_be_anything() -> None:
    wanted = SyncDaemon("eth0", 51, SyncRole.MASTER)
    assert wanted.is_met_by(MASTER)
    assert SyncDaemon("eth0", 51, SyncRole.MASTER, port=8848).is_met_by(MASTER)
    assert not SyncDaemon("eth0", 51, SyncRole.MASTER, port=8849).is_met_by(MASTER)
    assert not SyncDaemon("eth0", 52, SyncRole.MASTER).is_met_by(MASTER)
    assert not SyncDaemon("eth0", 51, SyncRole.BACKUP).is_met_by(MASTER)


def test_one_that_follows_vrrp() -> None:
    vip = ip_address("192.0.2.50")
    daemon = SyncDaemon("eth0", 51, follows=vip)
    assert daemon.on_host_with({vip}).role is SyncRole.MASTER
    assert daemon.on_host_with({GROUP}).role is SyncRole.BACKUP
    assert SyncDaemon("eth0", 51, SyncRole.BACKUP).on_host_with({vip}).role is SyncRole.BACKUP
