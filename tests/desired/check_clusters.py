"""Clusters with every type of health check, every option of a virtual server, and many VIPs in one pool."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory.health_checks import (
    BfdCheck,
    CheckTiming,
    DnsCheck,
    FileCheck,
    HealthCheck,
    HttpCheck,
    NoCheck,
    PingCheck,
    ScriptCheck,
    SmtpCheck,
    TcpCheck,
    UdpCheck,
    Url,
    WithPort,
    timing_of,
)
from lvsdeploy.inventory.model import (
    Cluster,
    ForwardingMethod,
    Program,
    Protocol,
    RealServer,
    Scheduler,
    Service,
    SorryServer,
)
from tests.desired.clusters import BOTH1, DB1, INSIDE, LVS1, LVS2, WEB1, WEB2, WEB6, cluster, service, vip

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_CHECKS: dict[str, HealthCheck] = {
    "tcp": TcpCheck(),
    "http": HttpCheck(
        (
            Url("/a?b=c&d=~e", ((200, 200), (300, 399))),
            Url("/page", digest="d41d8cd98f00b204e9800998ecf8427e", host="www.example"),
            Url(
                "/words", regex=r'^"ok" {2}\s$HOME #1! \'é\' ~SEQ(x) @ \\', regex_options=("caseless", "utf")
            ),
            Url("/bad", regex="error", regex_no_match=True),
        ),
        version="1.1",
    ),
    "https": HttpCheck(
        (
            Url(host="shop.example", regex="x", regex_no_match=True, regex_options=("extended",)),
            Url(digest="0" * 32),
        ),
        tls=True,
        version="1.0C",
    ),
    "https-no-name": HttpCheck((Url(host="shop.example"),), tls=True, sni=False),
    "dns": DnsCheck("AAAA", "www.example.", port=5353),
    "smtp": SmtpCheck("mx.example", timing=CheckTiming(20, 5, 2, 3, 10)),
    "udp": UdpCheck("00ff01", require_reply=True, reply="00xxFf", reply_min=4),
    "udp-any": UdpCheck(),
    "udp-last": UdpCheck(reply="FF", require_reply=True),
    "udp-short": UdpCheck(require_reply=True, reply_max=100),
    "udp-reply": UdpCheck(require_reply=True),
    "ping": PingCheck(),
    "script": ScriptCheck(
        "/usr/bin/test",
        ("{rip}", "!=", "{port} {real_server}", "", '"', "\\", "'", "$HOME", "{}#!ü"),
        user="root",
    ),
    "script-weight": ScriptCheck("/usr/bin/true", dynamic=True),
    "file": FileCheck("/run/lvs/{real_server}-{port}", weight=-2),
    "file-out": FileCheck("/run/lvs/out"),
    "bfd": BfdCheck(min_rx=100, min_tx=100, multiplier=5, max_hops=3),
    "none": NoCheck(),
}


def every_check() -> Cluster:
    """Every type of health check, one service each; and real servers with checks of their own."""
    services = [
        _with(
            service(name, {WEB1: 1, WEB2: 1}, 8000 + number, protocol=_protocol(name), health_check=check),
            health_check=_otherwise(check),
        )
        for number, (name, check) in enumerate(ALL_CHECKS.items())
    ]
    slow = HttpCheck(timing=CheckTiming(interval=30, warmup=5))
    own = service("own", {WEB1: 1, WEB2: 1}, 9000)
    own = _with(own, health_check=slow)
    unchecked = _with(
        service("own-only", {WEB1: 1, WEB2: 1}, 9001, health_check=NoCheck()), health_check=slow
    )
    return cluster(*services, own, unchecked, directors=(LVS1, LVS2))


def _otherwise(check: HealthCheck) -> HealthCheck | None:
    """The same check on another port, at another pace."""
    if timing_of(check) is None:
        return None
    options: dict[str, Any] = {"timing": CheckTiming(30, 5, 2, 3, 15)}
    if isinstance(check, WithPort):
        options["port"] = 7
    return replace(check, **options)


def _protocol(check: str) -> Protocol:
    return Protocol.UDP if check.partition("-")[0] in {"udp", "dns"} else Protocol.TCP


def _with(given: Service, **options: Any) -> Service:
    """A service whose last real server has options of its own."""
    return replace(
        given,
        pools=tuple(
            replace(p, destinations=(*p.destinations[:-1], replace(p.destinations[-1], **options)))
            for p in given.pools
        ),
    )


def every_option() -> Cluster:
    """Every option of a virtual server and of a real server."""
    v6 = vip("2001:db8::50/128")
    script = "/usr/bin/true"
    return cluster(
        _with(
            service(
                "all",
                {WEB1: 2, WEB2: 3},
                persistence=120,
                persistence_netmask=IPv4Address("255.255.255.0"),
                alpha=False,
                omega=True,
                quorum=3,
                hysteresis=1,
                quorum_up=Program(script),
                quorum_down=Program(script, ("lost", "a b", "$HOME"), "daemon"),
                inhibit_on_failure=True,
                virtualhost="shop.example",
                sorry_server=SorryServer(ip_address("192.0.2.99"), inhibit=True),
                health_check=HttpCheck(tls=True),
            ),
            upper=1000,
            lower=600,
            inhibit_on_failure=False,
            notify_up=Program(script, ("{real_server}", "{rip}:{port}", ""), "daemon"),
            notify_down=Program(script),
        ),
        service(
            "sip",
            {WEB1: 1},
            5060,
            protocol=Protocol.UDP,
            persistence=60,
            persistence_engine="sip",
            health_check=NoCheck(),
        ),
        service("sctp", {WEB1: 1}, 9899, protocol=Protocol.SCTP, health_check=PingCheck()),
        service(
            "elsewhere",
            {DB1: 1},
            81,
            rport=8080,
            mode=ForwardingMethod.NAT,
            sorry_server=SorryServer(ip_address("192.0.2.99"), mode=ForwardingMethod.DR),
        ),
        service(
            "flags",
            {WEB1: 1},
            83,
            scheduler=Scheduler.SH,
            scheduler_flags=("flag-1", "flag-2", "flag-3"),
            health_check=NoCheck(),
        ),
        service("maglev", {WEB1: 1}, 84, scheduler=Scheduler.MH, scheduler_flags=("mh-fallback", "mh-port")),
        service("prefix", {WEB6: 1}, 82, vip=v6, persistence=60, persistence_prefix=64),
        directors=(BOTH1,),
        real_servers=(WEB1, WEB2, WEB6, DB1),
        nat=INSIDE,
    )


def many_vips() -> Cluster:
    """Pools with several VIPs of both families, on several ports."""
    web = RealServer(
        "web1", "192.0.2.11", ip_address("192.0.2.11"), interface="eth0", rip6=IPv6Address("2001:db8::11")
    )
    vips = [vip(f"192.0.2.{n}/32") for n in (50, 51, 52, 254, 255, 53)]
    vips += [vip("192.0.3.0/32"), vip("2001:db8::50/128"), vip("2001:db8::51/128")]
    return cluster(
        service("many", {web: 1}, 80, 443, vips=tuple(vips)),
        service("all-ports", {web: 1}, 0, vips=tuple(vips[:2]), persistence=60, health_check=NoCheck()),
        directors=(BOTH1,),
        real_servers=(web,),
    )


CASES: dict[str, Callable[[], Cluster]] = {
    "every-check": every_check,
    "every-option": every_option,
    "many-vips": many_vips,
}
