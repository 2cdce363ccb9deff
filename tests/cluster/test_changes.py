"""What lvsdeploy puts on machines goes without a trace: pruned piece by piece, and at last destroyed.

Each machine is pictured before the first apply, with things on it that somebody else has set up. The tests of
this module build on each other, in order; the last one finds every machine as it was.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lvsdeploy.lab import Init
from tests.cluster.living import Living, differences, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, SECOND_VIP, NAT_VIP, GATEWAY = "192.0.2.50", "192.0.2.51", "192.0.2.52", "10.2.0.1"
CONF = "/etc/keepalived/keepalived.conf"
DIRECTORS, SERVERS = ("lvs1", "lvs2"), ("web1", "web2", "web3", "db1")
HOSTS = (*SERVERS, *DIRECTORS)
PAGE = {"type": "http", "path": "/", "interval": 2, "timeout": 2}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "vrrp": {"virtual_router_id": 51, "password": {"file": "vrrp-password"}},
    "nat": {"gateway": f"{GATEWAY}/24", "interface": "eth1", "configure_gateway": True},
    "real_servers": {
        "web1": {"address": "192.0.2.11"},
        "web2": {"address": "192.0.2.12"},
        "web3": {"address": "192.0.2.13"},
        "db1": {"address": "10.2.0.21"},
    },
    "services": {
        "http": {
            "vip": VIP,
            "port": 80,
            "mode": "dr",
            "scheduler": "rr",
            "health_check": PAGE,
            "real_servers": ["web1", "web2", "web3"],
        },
        "api": {
            "vip": NAT_VIP,
            "port": 80,
            "mode": "nat",
            "scheduler": "rr",
            "health_check": PAGE,
            "real_servers": [{"name": "db1", "port": 8080}],
        },
    },
}

FOREIGN = """\
# the site's own
vrrp_instance site {
    state MASTER
    interface eth0
    virtual_router_id 7
    priority 200
    advert_int 1
    virtual_ipaddress {
        192.0.2.90/32
    }
}
virtual_server 192.0.2.90 80 {
    lvs_sched wrr
    lvs_method DR
    protocol TCP
    real_server 192.0.2.11 80 {
        weight 4
    }
}
"""
SITES_TABLE = {"-A -t 192.0.2.90:80 -s wrr", "-a -t 192.0.2.90:80 -r 192.0.2.11:80 -g -w 4"}
BEFORE = {
    "lvs1": f"cat >{CONF}; chmod 640 {CONF}; touch -d 2020-01-01 {CONF};"
    "if [ -d /run/systemd/system ]; then systemctl enable --now keepalived;"
    "else update-rc.d keepalived enable; service keepalived start; fi",
    "lvs2": f"sed 's/MASTER/BACKUP/' >{CONF}; echo 1 >/proc/sys/net/ipv4/conf/eth0/send_redirects",
    "web1": "echo net.ipv4.tcp_syncookies=1 >/etc/sysctl.d/50-site.conf; ip address add 10.99.0.1/32 dev lo;"
    "echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore",
    "web2": "echo 1 >/proc/sys/net/ipv4/conf/all/arp_announce; mkdir -p /etc/lvsdeploy;"
    "echo mine >/etc/lvsdeploy/notes",
    # Set up by hand as a real server already.
    "web3": "cd /proc/sys/net/ipv4/conf/all; echo 2 >arp_announce; echo 1 >arp_ignore;"
    f"ip address add {VIP}/32 dev lo",
}
"""What somebody has set up on the machines; the directors' is given their keepalived.conf."""


@dataclass
class Site:
    """The cluster and what its machines were before it."""

    cluster: Living
    before: dict[str, dict[str, Any]] = field(default_factory=dict)

    def differences(self, host: str) -> list[str]:
        """What of a host is not as it was."""
        found = differences(self.before[host], self.cluster.picture(host))
        return [f"{host}: {key}: {was} -> {now}" for key, (was, now) in found.items()]

    def is_as_before(self, *hosts: str) -> None:
        """A keepalived that has its own configuration again takes a moment to become MASTER."""
        left: list[str] = []

        def none_left() -> bool:
            left[:] = [line for host in hosts for line in self.differences(host)]
            return not left

        try:
            self.cluster.wait("as before", none_left)
        except AssertionError:
            pytest.fail("\n".join(left), pytrace=False)


@pytest.fixture(
    scope="module", params=[(Init.SSHD, "root"), (Init.SYSTEMD, "deploy")], ids=["sshd-root", "systemd-sudo"]
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    init, user = request.param
    folder = tmp_path_factory.mktemp("lab")
    (folder / "vrrp-password").write_text("s3cretpw")
    serve = {"web1": [80, 25], "web2": [80], "web3": [80], "db1": [8080]}
    with living(folder, DECLARED, init, user=user, serve=serve) as cluster:
        for host, script in BEFORE.items():
            cluster.lab.exec(host, script, input=FOREIGN.encode() if host in DIRECTORS else b"")
        cluster.wait("the site's keepalived", lambda: "192.0.2.90" in cluster.sh("lvs1", "ip address"))
        assert cluster.table("lvs1") == SITES_TABLE
        yield Site(cluster, {host: cluster.picture(host) for host in HOSTS})


@pytest.fixture
def cluster(site: Site) -> Living:
    return site.cluster


def second(cluster: Living) -> Path:
    """Another cluster, by other people, with a VIP of the first."""
    path = cluster.inventory.with_name("mail.yaml")
    mail: dict[str, Any] = {
        "version": 1,
        "cluster": "mail",
        "ssh": cluster.declared["ssh"],
        "directors": {"lvs9": {"address": "192.0.2.9", "interface": "eth0"}},
        "real_servers": {"web1": {"address": "192.0.2.11"}},
        "services": {"smtp": {"vip": VIP, "port": 25, "mode": "dr", "real_servers": ["web1"]}},
    }
    path.write_text(yaml.safe_dump(mail))
    return path


def test_what_is_there_is_adopted(site: Site) -> None:
    cluster = site.cluster
    pid = cluster.pid("lvs1")
    said = cluster.run("apply", code=1)
    for director in DIRECTORS:
        assert f"{director}: not changed: " in said
    assert cluster.table("lvs1") == SITES_TABLE
    said = cluster.run("apply", "--adopt")
    assert "read back and as declared" in said
    assert cluster.drift() == []
    assert cluster.pid("lvs1") == pid
    assert "192.0.2.90" not in cluster.sh("lvs1", "ip address; ipvsadm -Sn")
    assert set(cluster.requests("client", f"http://{VIP}/", 6)) == {"web1", "web2", "web3"}
    assert set(cluster.requests("client", f"http://{NAT_VIP}/", 2)) == {"db1"}
    assert "10.99.0.1/32" in cluster.sh("web1", "ip -o address show dev lo")


def test_what_is_no_longer_declared_goes(site: Site) -> None:
    """Another VIP comes; a real server, then the NAT service and with it a host go."""
    cluster = site.cluster
    http = cluster.declared["services"]["http"]
    more = cluster.variant(
        "more",
        {"services": {"http": {"real_servers": ["web1", "web2"]}, "more": {**http, "vip": SECOND_VIP}}},
    )
    said = cluster.run("apply", "--drain-timeout", "2", inventory=more)
    assert "read back and as declared" in said
    assert f"{SECOND_VIP}/32" in cluster.sh("web3", "ip -o address show dev lo")
    assert "-r 192.0.2.13:80" not in "".join(line for line in cluster.table("lvs1") if VIP in line)
    assert set(cluster.requests("client", f"http://{VIP}/", 4)) == {"web1", "web2"}
    assert set(cluster.requests("client", f"http://{SECOND_VIP}/", 6)) == {"web1", "web2", "web3"}
    less = cluster.variant(
        "less",
        {
            "nat": None,
            "real_servers": {"db1": None},
            "services": {"api": None, "http": {"real_servers": ["web1", "web2"]}},
        },
    )
    cluster.run("apply", "--drain-timeout", "0", inventory=less)
    for host in ("web1", "web2", "web3", *DIRECTORS):
        assert SECOND_VIP not in cluster.sh(host, "ip address; ipvsadm -Sn 2>/dev/null; true")
    for director in DIRECTORS:
        assert NAT_VIP not in cluster.sh(director, "ip address; ipvsadm -Sn")
        assert f"{GATEWAY}/" not in cluster.sh(director, "ip address")
        assert cluster.sh(director, "cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
        assert "ip_forward" not in cluster.sh(director, "cat /etc/sysctl.d/90-lvsdeploy-shop.conf")
    # web3 is still declared, in no service: it remembers what it was, and nothing else is left there.
    left = site.differences("web3")
    assert left
    assert not [line for line in left if "/var/lib/lvsdeploy" not in line]
    assert cluster.drift(inventory=less) == []


def test_a_host_that_is_not_in_the_inventory_any_more_is_named_until_it_is_cleaned(site: Site) -> None:
    cluster = site.cluster
    less = cluster.inventory.with_name("less.yaml")
    warning = re.compile(r"warning\[LVS528\]: db1 \(10\.2\.0\.21\) was a host of this cluster")
    assert warning.search(cluster.run("check", inventory=less))
    assert "--limit 10.2.0.21" in cluster.run("check", inventory=less)
    said = cluster.run("destroy", "--limit", "10.2.0.21", inventory=less)
    assert "Cleaned 10.2.0.21" in said
    site.is_as_before("db1")
    assert "LVS528" not in cluster.run("check", inventory=less)
    # And back, for the tests to come.
    cluster.run("apply")
    assert cluster.drift() == []


def test_a_director_that_becomes_a_real_server(site: Site) -> None:
    cluster = site.cluster
    changes = {
        "directors": {"lvs2": None},
        "real_servers": {"lvs2": {"address": "192.0.2.3"}},
        "services": {"http": {"real_servers": ["web1", "web2", "lvs2"]}},
    }
    inventory = cluster.variant("role", changes)
    cluster.serve({"lvs2": [80]})
    assert "read back and as declared" in cluster.run("apply", inventory=inventory)
    assert cluster.drift(inventory=inventory) == []
    assert cluster.pid("lvs2") == ""
    assert cluster.sh("lvs2", f"cat {CONF}") == FOREIGN.replace("MASTER", "BACKUP")
    assert cluster.table("lvs2") == set()
    addresses = cluster.sh("lvs2", "ip -o address")
    assert f"{VIP}/32" in addresses
    assert NAT_VIP not in addresses
    assert set(cluster.requests("client", f"http://{VIP}/", 6)) == {"web1", "web2", "lvs2"}
    cluster.run("apply", "--adopt", "--drain-timeout", "0")
    assert cluster.drift() == []
    assert f"{VIP}/32 scope global lo" not in cluster.sh("lvs2", "ip -o address")


def test_two_clusters_on_one_real_server_keep_what_the_other_needs(site: Site) -> None:
    cluster, mail = site.cluster, second(site.cluster)
    mine = "ls -d /etc/lvsdeploy/shop /var/lib/lvsdeploy/shop; ls /etc/sysctl.d/*shop* | wc -l"
    before = cluster.sh("web1", mine)
    cluster.run("apply", "--limit", "web1", inventory=mail)
    assert cluster.drift("--limit", "web1", inventory=mail) == []
    assert cluster.drift() == []
    assert cluster.sh("web1", "ls /etc/lvsdeploy /var/lib/lvsdeploy").split() == [
        "/etc/lvsdeploy:", "mail", "shop", "/var/lib/lvsdeploy:", "mail", "shop",
    ]  # fmt: skip
    assert "Cleaned web1" in cluster.run("destroy", "--limit", "web1", inventory=mail)
    assert cluster.sh("web1", mine) == before
    assert cluster.drift() == []
    # Once more, for the other way round.
    cluster.run("apply", "--limit", "web1", inventory=mail)


def test_destroy_leaves_every_machine_as_it_was(site: Site) -> None:
    cluster, mail = site.cluster, second(site.cluster)
    pid = cluster.pid("lvs1")
    said = cluster.run("destroy")
    assert "and without anything of lvsdeploy's" in said
    assert cluster.pid("lvs1") == pid
    # The other cluster on web1 has all that it needs.
    assert cluster.drift("--limit", "web1", inventory=mail) == []
    assert f"{VIP}/32" in cluster.sh("web1", "ip -o address show dev lo")
    assert cluster.sh("web1", "cat /proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "1"
    cluster.run("destroy", "--limit", "web1", inventory=mail)
    site.is_as_before(*HOSTS)
    assert "Nothing to do" in cluster.run("destroy")
