"""Every type of health check, against one real server that is well and one that is not.

Some of them also by IPv6, and in services by firewall mark.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.answering import answering_script, certificate
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP, VIP6 = "192.0.2.50", "2001:db8::50"
PACE: dict[str, Any] = {"interval": 1, "timeout": 3, "retries": 1, "retry_delay": 0.5}
ARGUMENTS = ["{rip}", "{port} {real_server}", "", "it's", 'a "b"', "\\x", "$HOME", "{}#!", "é"]
SCRIPT = """#!/bin/sh
# what it got, one argument a line; well is who has the address of web1
for argument; do printf '%s\\n' "<$argument>"; done >/run/arguments.$2
id -un >/run/who.$1
[ "$1" = 192.0.2.11 ] || [ "$1" = 2001:db8::11 ]
"""
WEIGHS = """#!/bin/sh
if [ "$1" = web1 ]; then exit 9; fi
exit 1
"""
REGEX = 'ALL "fine" \\{today\\} [$]HOME #1$'
CHECKS: dict[str, dict[str, Any]] = {
    "tcp": {"type": "tcp", "port": 7001},
    "http": {"type": "http", "port": 8080, "path": "/status", "status": ["200-299", 304]},
    "regex": {
        "type": "http",
        "port": 8080,
        "http_version": "1.1",
        "host": "shop.example",
        "urls": [
            {
                "path": "/page",
                "regex": 'ALL "fine" \\{today\\} [$]HOME #1$',
                "regex_options": ["caseless", "multiline"],
            },
            {"path": "/again", "regex": "error", "regex_no_match": True},
        ],
    },
    "digest": {"type": "http", "port": 8080, "digest": "3e4f51b0f136a088398c5bda16fb5471"},
    "https": {"type": "https", "port": 8443, "host": "shop.example"},
    "no-sni": {"type": "https", "port": 8444, "host": "shop.example", "sni": False},
    "smtp": {"type": "smtp", "port": 2525, "host": "mx.example"},
    "ping": {"type": "ping"},
    "script": {"type": "script", "path": "/usr/local/bin/check", "arguments": ARGUMENTS, "user": "daemon"},
    "weighs": {
        "type": "script",
        "path": "/usr/local/bin/weighs",
        "arguments": ["{real_server}"],
        "dynamic": True,
    },
    "file": {"type": "file", "path": "/run/{real_server}"},
    "warm": {"type": "tcp", "port": 7001, "warmup": 4},
    "bfd": {"type": "bfd", "multiplier": 10, "max_hops": 1},
    "dns": {"type": "dns", "port": 5300, "record": "AAAA", "name": "www.example"},
    "udp": {"type": "udp", "port": 9999, "payload": "01ff02", "reply": "03x4FF", "reply_max": 4},
}
UDP = {"dns", "udp"}
ELSEWHERE = ("http", "https", "dns", "udp", "ping", "script", "tcp")
"""What is also asked by IPv6 and in a service by firewall mark."""
SIX = {f"{name}-6": CHECKS[name] for name in ELSEWHERE}
MARKED = {f"{name}-mark": CHECKS[name] for name in ELSEWHERE}


def service(name: str, port: int, check: dict[str, Any]) -> dict[str, Any]:
    kind = name.partition("-")[0]
    declared: dict[str, Any] = {
        "vip": "six" if name in SIX else VIP,
        "port": port,
        "mode": "dr",
        "scheduler": "rr",
        "protocol": "udp" if kind in UDP else "tcp",
        "health_check": check if kind in {"file", "bfd"} else {**PACE, **check},
        "real_servers": ["web1", "web2"],
    }
    if name in MARKED:
        declared["fwmark"] = port
        if "port" in check:  # a mark has none, so that the first one of the service is asked
            declared |= {"vip": "192.0.2.51", "port": check["port"]}
            del declared["health_check"]["port"]
    return declared


SERVICES: dict[str, Any] = {
    name: service(name, 7001 + number, check)
    for number, (name, check) in enumerate((CHECKS | SIX | MARKED).items())
}
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "checks",
    "directors": {"lvs1": {"address": "192.0.2.2", "dip6": "2001:db8::2", "interface": "eth0"}},
    "vips": {"six": {"address": f"{VIP6}/64"}},
    "real_servers": {
        "web1": {"address": "192.0.2.11", "rip6": "2001:db8::11"},
        "web2": {"address": "192.0.2.12", "rip6": "2001:db8::12"},
    },
    "services": SERVICES,
}
BFD = """
bfd_instance director {
    source_ip 192.0.2.11
    neighbor_ip 192.0.2.2
    min_rx 300
    min_tx 300
    multiplier 10
    ttl %s
}
"""


def keys() -> dict[str, str]:
    """What each service is called in the table."""
    named = {}
    for name, declared in SERVICES.items():
        option = "-u" if declared["protocol"] == "udp" else "-t"
        vip = f"[{VIP6}]" if name in SIX else declared["vip"]
        mark = declared.get("fwmark")
        named[name] = f"-f {mark}" if mark else f"{option} {vip}:{declared['port']}"
    return named


def bfd(cluster: Living, *, ttl: int) -> None:
    """web1's side of the BFD session; packets start as if so many routers less than 255 had passed them."""
    text = shlex.quote(BFD % ttl)
    cluster.sh("web1", f"printf %s {text} >/run/bfd.conf; kill $(pidof keepalived) 2>/dev/null; :")
    cluster.wait("the one before has ended", lambda: not cluster.sh("web1", "pidof keepalived", check=False))
    cluster.lab.spawn("web1", "exec keepalived -n -f /run/bfd.conf")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("lab")
    with living(folder, DECLARED, Init.SSHD, serve={"web1": [7001]}) as cluster:
        pem = certificate(folder)
        cluster.lab.spawn("web1", answering_script(pem, well=True))
        cluster.lab.spawn("web2", answering_script(pem, well=False))
        for family in ("ipv4/icmp_", "ipv6/icmp/"):
            cluster.sh("web2", f"echo 1 >/proc/sys/net/{family}echo_ignore_all")
        bfd(cluster, ttl=254)
        for name, text in (("check", SCRIPT), ("weighs", WEIGHS)):
            cluster.sh(
                "lvs1",
                f"printf %s {shlex.quote(text)} >/usr/local/bin/{name}; chmod 755 /usr/local/bin/{name}; "
                "echo 1 >/run/web2; chmod 1777 /run",
            )
        cluster.run("apply")
        yield cluster


def rows(cluster: Living) -> dict[str, set[str]]:
    """The destinations of each service as `RIP -w WEIGHT`."""
    table = cluster.table("lvs1")
    found: dict[str, set[str]] = {}
    for name, key in keys().items():
        lines = [line.split() for line in table if line.startswith(f"-a {key} ")]
        found[name] = {f"{words[4].rpartition(':')[0]} {' '.join(words[6:])}" for words in lines}
    return found


def test_those_that_are_well_get_clients_and_the_others_do_not(cluster: Living) -> None:
    wanted = {name: {"192.0.2.11 -w 1"} for name in SERVICES} | {"weighs": {"192.0.2.11 -w 7"}}
    wanted |= {name: {"[2001:db8::11] -w 1"} for name in SIX}
    cluster.wait("checks have come to their ends", lambda: rows(cluster) == wanted, seconds=90)


def test_what_fails_is_told_and_is_no_drift(cluster: Living) -> None:
    assert cluster.drift() == []
    said = json.loads(cluster.run("check", "--output", "json"))["plan"]
    (director,) = [host for host in said["hosts"] if host["host"] == "lvs1"]
    failing = [f["summary"] for f in director["findings"] if f["code"] == "LVS530"]
    assert len(failing) == len(SERVICES)
    assert len([line for line in failing if line.startswith("[2001:db8::12]:")]) == len(SIX)
    assert all("its health check fails" in line for line in failing)
    assert "Nothing to do" in cluster.run("apply")


def test_a_script_gets_its_arguments_as_declared(cluster: Living) -> None:
    port = SERVICES["script"]["port"]
    six = SERVICES["script-6"]["port"]
    assert cluster.sh("lvs1", f"head -n 1 '/run/arguments.{six} web1'") == "<2001:db8::11>\n"
    got = cluster.sh("lvs1", f"cat '/run/arguments.{port} web1'").splitlines()
    assert got == ["<192.0.2.11>", f"<{port} web1>", *(f"<{text}>" for text in ARGUMENTS[2:])]
    assert cluster.sh("lvs1", "cat /run/who.192.0.2.11") == "daemon\n"


def test_what_http_was_asked(cluster: Living) -> None:
    asked = set(cluster.sh("web1", "sort -u /run/asked").splitlines())
    assert "HTTP/1.1 shop.example /page" in asked
    assert "HTTP/1.1 shop.example /again" in asked
    assert any(line.startswith("HTTP/1.0 ") and line.endswith(" /status") for line in asked)


def test_a_file_takes_a_real_server_out_and_in(cluster: Living) -> None:
    cluster.sh("lvs1", "echo 1 >/run/web1; echo 0 >/run/web2")
    cluster.wait("the other one serves", lambda: rows(cluster)["file"] == {"192.0.2.12 -w 1"})
    cluster.sh("lvs1", "echo 0 >/run/web1; echo 1 >/run/web2")
    cluster.wait("and back", lambda: rows(cluster)["file"] == {"192.0.2.11 -w 1"})


def test_bfd_packets_that_passed_more_routers_than_allowed_are_not_taken(cluster: Living) -> None:
    """`max_hops: 1`: with 254 left of 255 they have passed one at most, with 253 perhaps two."""
    bfd(cluster, ttl=253)
    cluster.wait("web1 is out", lambda: rows(cluster)["bfd"] == set(), seconds=30)
    bfd(cluster, ttl=254)
    cluster.wait("web1 is back", lambda: rows(cluster)["bfd"] == {"192.0.2.11 -w 1"}, seconds=30)


def test_a_bfd_session_that_ends_is_noticed(cluster: Living) -> None:
    cluster.sh("web1", "iptables -I OUTPUT -p udp --dport 3784 -j DROP")
    cluster.wait("web1 is out", lambda: rows(cluster)["bfd"] == set(), seconds=30)
    assert cluster.drift() == []


def test_scripts_that_keepalived_would_not_run(cluster: Living) -> None:
    cluster.sh("lvs1", "chmod o+w /usr/local/bin/weighs; mv /usr/local/bin/check /usr/local/bin/check.away")
    found = [line for line in cluster.drift() if line.startswith("lvs1: LVS53")]
    assert found == ["lvs1: LVS533", "lvs1: LVS534"]
    assert "/usr/local/bin/check is not there" in cluster.run("apply", code=1)
    cluster.sh("lvs1", "chmod o-w /usr/local/bin/weighs; mv /usr/local/bin/check.away /usr/local/bin/check")
    cluster.sh("lvs1", "chmod 700 /usr/local/bin/check")
    assert "lvs1: LVS535" in cluster.drift()
    cluster.sh("lvs1", "chmod 755 /usr/local/bin/check")
    assert cluster.drift() == []
