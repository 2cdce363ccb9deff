"""Clusters built in Python, for the tests of what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, ip_address, ip_interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory.health_checks import CheckTiming, HttpCheck, NoCheck, TcpCheck, Url
from lvsdeploy.inventory.model import (
    Cluster,
    Destination,
    Director,
    Engine,
    ForwardingMethod,
    Garp,
    Ipvs,
    IpvsTimeouts,
    Nat,
    Pool,
    Protocol,
    RealServer,
    Scheduler,
    Secret,
    Service,
    SorryServer,
    SyncDaemonOptions,
    TrackedInterface,
    TrackScript,
    Tunnel,
    TunnelType,
    Vip,
    Vrrp,
    VrrpGroup,
    VrrpNotify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LVS1 = Director("lvs1", "192.0.2.2", ip_address("192.0.2.2"), "eth0", 150)
LVS2 = Director("lvs2", "192.0.2.3", ip_address("192.0.2.3"), "eth0", 100)
WEB1 = RealServer("web1", "192.0.2.11", ip_address("192.0.2.11"), interface="eth0")
WEB2 = RealServer("web2", "192.0.2.12", ip_address("192.0.2.12"))
BOTH1 = replace(LVS1, dip6=IPv6Address("2001:db8::2"))
BOTH2 = replace(LVS2, dip6=IPv6Address("2001:db8::3"))
WEB6 = RealServer("web6", "2001:db8::11", ip_address("2001:db8::11"), interface="eth0")
DB1 = RealServer("db1", "10.2.0.21", ip_address("10.2.0.21"))
DB2 = RealServer("db2", "10.2.0.22", ip_address("10.2.0.22"), managed=False)
INSIDE = Nat(ip_interface("10.2.0.1/24"), "eth1")


def vip(address: str, interface: str | None = None) -> Vip:
    return Vip(ip_interface(address), interface)


PUBLIC = vip("192.0.2.50/32")


def service(
    name: str,
    servers: dict[RealServer, int],
    *ports: int,
    rport: int | None = None,
    **options: Any,
) -> Service:
    """A service on `ports` (default 80); `servers` with their weights, on `rport` if it is another.

    `vip`, or `vips` of one or both families.
    """
    ports = ports or (80,)
    vips = options.pop("vips", (options.pop("vip", PUBLIC),))
    families = [tuple(v for v in vips if v.ip.version == version) for version in (4, 6)]
    options = {
        "protocol": Protocol.TCP,
        "mode": ForwardingMethod.DR,
        "scheduler": Scheduler.WLC,
        **options,
    }
    return Service(
        name=name,
        pools=tuple(
            Pool(
                port,
                family,
                tuple(
                    Destination(s.name, s.rip_of(family[0].ip.version) or s.rip, rport or port, w)
                    for s, w in servers.items()
                ),
            )
            for port in ports
            for family in families
            if family
        ),
        **{
            "port_ranges": tuple((port, port) for port in ports),
            "protocols": (options["protocol"],),
            **options,
        },
    )


def cluster(*services: Service, **options: Any) -> Cluster:
    options = {"name": "shop", "directors": (LVS1,), "real_servers": (WEB1, WEB2), **options}
    return Cluster(
        services=services, vips=tuple(dict.fromkeys(v for s in services for v in s.vips)), **options
    )


def smallest() -> Cluster:
    """The ten lines of the README: one director, two real servers, DR."""
    return cluster(service("http", {WEB1: 1, WEB2: 1}))


def dr_two_directors() -> Cluster:
    """Two directors with a password; every kind of check; several VIPs, one with a prefix."""
    admin = vip("192.0.2.60/24", "eth2")
    timing = CheckTiming(interval=2.5, timeout=1, retries=3, retry_delay=0.5)
    return cluster(
        service(
            "http",
            {WEB1: 1, WEB2: 3},
            80,
            8080,
            scheduler=Scheduler.WRR,
            persistence=300,
            persistence_netmask=IPv4Address("255.255.255.0"),
            health_check=HttpCheck(
                (Url("/healthz?full=1", ((200, 200), (204, 204)), "shop.example"),), timing=timing
            ),
        ),
        service(
            "https",
            {WEB1: 1, WEB2: 1},
            443,
            scheduler=Scheduler.SH,
            scheduler_flags=("sh-port", "sh-fallback"),
            quorum=2,
            sorry_server=SorryServer(ip_address("192.0.2.99")),
            health_check=HttpCheck((Url(host="shop.example"),), tls=True, port=8443),
        ),
        service(
            "dns",
            {WEB1: 1, WEB2: 0},
            53,
            vip=vip("192.0.2.9/32"),
            protocol=Protocol.UDP,
            scheduler=Scheduler.RR,
            one_packet=True,
            health_check=NoCheck(),
        ),
        service("admin", {WEB1: 1}, 22, vip=admin, health_check=TcpCheck(port=2222)),
        service("dns-tcp", {WEB1: 1, WEB2: 1}, 53, vip=vip("192.0.2.9/32")),
        directors=(LVS1, LVS2),
        vrrp=Vrrp(password=Secret("s3cret")),
    )


def localnodes() -> Cluster:
    """Two directors that serve, too: each is a real server of the other one."""
    own1 = RealServer("lvs1", "192.0.2.2", ip_address("192.0.2.2"), interface="eth0")
    own2 = RealServer("lvs2", "192.0.2.3", ip_address("192.0.2.3"), interface="eth0")
    return cluster(
        service("http", {own1: 1, own2: 1, WEB1: 1}),
        directors=(LVS1, LVS2),
        real_servers=(own1, own2, WEB1),
        vrrp=Vrrp(sync_daemon=SyncDaemonOptions("eth0", 51)),
    )


def nat_two_directors() -> Cluster:
    """NAT with a port mapping, the gateway as a second VIP, routes set by us, one host not ours."""
    return cluster(
        service("api", {DB1: 2, DB2: 1}, 80, rport=8080, mode=ForwardingMethod.NAT),
        name="api",
        directors=(LVS1, LVS2),
        real_servers=(DB1, DB2),
        nat=replace(INSIDE, configure_gateway=True),
        vrrp=Vrrp(virtual_router_id=255, preempt=False, advert_interval=0.5),
    )


def nat_checked_only() -> Cluster:
    """NAT whose real servers' default route is somebody else's business; an interface with a dot."""
    lone = replace(LVS1, interface="eth0.100")
    return cluster(
        service("api", {DB1: 1}, mode=ForwardingMethod.NAT),
        directors=(lone,),
        real_servers=(DB1,),
        nat=INSIDE,
    )


def mixed() -> Cluster:
    """DR and NAT in one cluster, and a real server in both; multicast; preempting BACKUP."""
    return cluster(
        service("http", {WEB1: 1, WEB2: 1}),
        service("api", {WEB2: 1}, 8000, vip=vip("192.0.2.51/32"), mode=ForwardingMethod.NAT),
        directors=(LVS2, LVS1),
        nat=replace(INSIDE, configure_gateway=True),
        vrrp=Vrrp(unicast=False),
    )


def six() -> Cluster:
    """IPv6 beside IPv4."""
    return cluster(
        service("http", {WEB1: 1}),
        service("http6", {WEB6: 1}, vip=vip("2001:db8::50/128")),
        directors=(BOTH1, BOTH2),
        real_servers=(WEB1, WEB6),
    )


def marks() -> Cluster:
    """Services by firewall mark: of both families and of two protocols, and in NAT with a port of its own.

    Clients may stand beside the real servers.
    """
    lvs1 = replace(LVS1, dip6=IPv6Address("2001:db8::2"))
    lvs2 = replace(LVS2, dip6=IPv6Address("2001:db8::3"))
    web1 = replace(WEB1, rip6=IPv6Address("2001:db8::11"))
    web2 = replace(WEB2, rip6=IPv6Address("2001:db8::12"))
    by_mark = service("tls", {web1: 1, web2: 3}, 0, vips=(PUBLIC, vip("2001:db8::50/128")), persistence=600)
    api = service("api", {DB1: 1, DB2: 1}, 0, rport=8080, vip=vip("192.0.2.51/32"), mode=ForwardingMethod.NAT)
    game = service("game", {web1: 1}, 0, health_check=NoCheck())
    return cluster(
        replace(by_mark, fwmark=7, port_ranges=((80, 80), (443, 443))),
        replace(api, fwmark=8, port_ranges=((80, 80),)),
        replace(
            game, fwmark=9, port_ranges=((9000, 9010), (27015, 27015)), protocols=(Protocol.TCP, Protocol.UDP)
        ),
        directors=(lvs1, lvs2),
        real_servers=(web1, web2, DB1, DB2),
        nat=replace(INSIDE, masquerade=True, configure_gateway=True),
    )


def both_families() -> Cluster:
    """Both families outside and inside, three instances that move together, all reactions declared."""
    nat = service("api", {DB1: 1}, mode=ForwardingMethod.NAT)
    six = vip("2001:db8::50/64")
    db6 = RealServer("db6", "fd00:2::21", ip_address("fd00:2::21"))
    return cluster(
        nat,
        service("api6", {db6: 1}, vip=six, mode=ForwardingMethod.NAT),
        service("more6", {db6: 1}, 443, vip=vip("2001:db8::51/64"), mode=ForwardingMethod.NAT),
        directors=(BOTH1, BOTH2),
        real_servers=(DB1, db6),
        nat=replace(INSIDE, gateway6=IPv6Interface("fd00:2::1/64")),
        vrrp=Vrrp(
            preempt_delay=30,
            track_interfaces=tuple(
                TrackedInterface(*words) for words in (("eth0",), ("eth1",), ("eth3",), ("eth4", -20))
            ),
            track_scripts=(
                TrackScript("resolver", "/usr/bin/test", ("--deep", "-n", "3"), 5, 2, 2, 3, -60, "nobody"),
                TrackScript("plain", "/bin/true"),
            ),
            notify=VrrpNotify("/bin/true", "/bin/echo", "/bin/cat", "/bin/id", "/bin/ls", "daemon"),
            garp=Garp(1, 3, 0, 2, 0.05, 10, 1),
            sync_daemon=SyncDaemonOptions("eth1", 7, 1400, 8849, ip_address("224.0.0.99"), 2),
        ),
        ipvs=Ipvs(
            IpvsTimeouts(3600, 60, 30),
            (("conntrack", 1), ("expire_nodest_conn", 0), ("sync_threshold", "3 10")),
        ),
    )


def active_active() -> Cluster:
    """Two groups of VIPs, each with its MASTER; on virtual interfaces; a VIP elsewhere; VRRP version 3."""
    blue = replace(vip("192.0.2.60/24"), group="blue")
    away = replace(vip("198.51.100.60/24", "eth0.100"), group="blue")
    return cluster(
        service("http", {WEB1: 1}),
        service("blue", {WEB2: 1}, vips=(blue, away)),
        directors=(LVS1, LVS2),
        vrrp=Vrrp(
            vmac=True,
            version=3,
            groups=(VrrpGroup("blue", 53, "lvs2"), VrrpGroup("unused", 54)),
            track_interfaces=(TrackedInterface("eth0"), TrackedInterface("eth3", 10)),
            track_scripts=(TrackScript("plain", "/bin/true"),),
            notify=VrrpNotify("/bin/true", "/bin/cat", "/bin/id", "/bin/ls", "/bin/echo"),
            sync_daemon=SyncDaemonOptions("eth0", 51),
        ),
        ipvs=Ipvs(IpvsTimeouts(udp=30)),
    )


def dual_stack() -> Cluster:
    """Both families in DR and in NAT, on the same hosts; a default route of each is set by us."""
    director = replace(LVS1, dip6=IPv6Address("2001:db8::2"))
    web = replace(WEB1, rip6=IPv6Address("2001:db8::11"))
    db = replace(DB1, rip6=IPv6Address("2001:db8:2::21"))
    return cluster(
        service("http", {web: 1}, vips=(PUBLIC, vip("2001:db8::50/128"))),
        service(
            "api",
            {db: 1},
            vips=(vip("192.0.2.51/32"), vip("2001:db8::51/128")),
            rport=8080,
            mode=ForwardingMethod.NAT,
        ),
        directors=(director,),
        real_servers=(web, db),
        nat=replace(INSIDE, gateway6=IPv6Interface("2001:db8:2::1/64"), configure_gateway=True),
    )


def by_hand() -> Cluster:
    """Without keepalived: DR with thresholds, a mark of both families, NAT; VIPs of both families."""
    sixth = vip("2001:db8::50/64")
    web = replace(WEB1, rip6=IPv6Address("2001:db8::11"))
    limited = service("http", {web: 1, WEB2: 3}, scheduler=Scheduler.WRR, health_check=NoCheck())
    pools = tuple(
        replace(pool, destinations=tuple(replace(d, upper=100, lower=80) for d in pool.destinations))
        for pool in limited.pools
    )
    return cluster(
        replace(limited, pools=pools),
        service("tls", {web: 1}, 0, vips=(PUBLIC, sixth), fwmark=7, persistence=300, health_check=NoCheck()),
        service(
            "api",
            {DB1: 2},
            8000,
            rport=8080,
            vip=vip("192.0.2.51/24", "eth0.100"),
            mode=ForwardingMethod.NAT,
            health_check=NoCheck(),
        ),
        engine=Engine.IPVSADM,
        real_servers=(web, WEB2, DB1),
        nat=INSIDE,
    )


def tunnels() -> Cluster:
    """TUN of every type, in both families and one in the other; a VIP that comes as it is, too."""
    far = RealServer("far1", "10.2.0.11", ip_address("10.2.0.11"), rip6=IPv6Address("2001:db8:2::11"))
    six = RealServer("far6", "2001:db8:2::16", ip_address("2001:db8:2::16"))

    def tun(name: str, servers: dict[RealServer, int], address: str, **tunnel: Any) -> Service:
        return service(name, servers, vip=vip(address), mode=ForwardingMethod.TUN, tunnel=Tunnel(**tunnel))

    gre, gue = TunnelType.GRE, TunnelType.GUE
    return cluster(
        tun("ipip", {far: 1, WEB1: 1}, "192.0.2.50/32"),
        tun("ipip-6-in-6", {far: 1, six: 1}, "2001:db8:1::50/128"),
        tun("gre", {far: 1, six: 1}, "192.0.2.51/32", type=gre, checksum="csum", clamp_mss=1400),
        tun("gue", {far: 1}, "192.0.2.52/32", type=gue, port=6081, clamp_mss=1300),
        tun("gue-4-in-6", {six: 2}, "192.0.2.53/32", type=gue, checksum="remcsum"),
        tun("ipip-6-in-4", {WEB1: 1}, "2001:db8:1::51/128"),
        service("direct", {WEB1: 1}, 8080),
        directors=(replace(LVS1, dip6=IPv6Address("2001:db8:1::2")),),
        real_servers=(far, six, WEB1),
    )


def by(service: Service, **ways: dict[str, Any]) -> Service:
    """A service of which some real servers, by name, have something of their own."""
    pools = tuple(
        replace(
            pool,
            destinations=tuple(replace(d, **ways.get(d.real_server, {})) for d in pool.destinations),
        )
        for pool in service.pools
    )
    return replace(service, pools=pools)


def every_way() -> Cluster:
    """All three modes in one pool, a real server in two of them, and sorry servers in each other mode.

    Marks by TUN, with a prefix of persistence, and by NAT. A sorry server of one family for VIPs of both.
    """
    dr, nat, tun = ForwardingMethod.DR, ForwardingMethod.NAT, ForwardingMethod.TUN
    web1 = replace(WEB1, rip6=IPv6Address("2001:db8::11"))
    far1 = RealServer("far1", "10.9.0.31", ip_address("10.9.0.31"), rip6=IPv6Address("2001:db8:9::31"))
    far2 = RealServer("far2", "10.9.0.32", ip_address("10.9.0.32"))
    gre, gue = Tunnel(TunnelType.GRE, checksum="csum", clamp_mss=1360), Tunnel(TunnelType.GUE, 6081)
    last, inside = SorryServer(far2.rip, mode=tun, tunnel=gue), SorryServer(DB1.rip, 8080, nat, inhibit=True)
    six = "2001:db8::5"
    pool = service("pool", {web1: 1, far1: 2, far2: 1, DB1: 1}, 80, 81, sorry_server=SorryServer(WEB2.rip))
    api = service("api", {DB1: 1}, rport=8080, vip=vip("192.0.2.51"), mode=nat, sorry_server=last)
    far = service("far", {far1: 1}, vips=(vip("192.0.2.52"), vip(f"{six}2")), mode=tun, sorry_server=inside)
    web = service("web", {web1: 1}, 0, vips=(vip("192.0.2.53"), vip(f"{six}3")), mode=tun, persistence=600)
    back = service("back", {DB1: 1, far1: 1}, 0, vip=vip("192.0.2.54"), mode=nat)
    return cluster(
        by(pool, far1={"mode": tun}, far2={"mode": tun, "tunnel": gre}, db1={"mode": nat, "port": 8080}),
        replace(api, sorry_server=replace(last, inhibit=True)),
        by(replace(far, tunnel=gue), far1={"tunnel": Tunnel()}),
        replace(
            web,
            fwmark=7,
            port_ranges=((80, 80), (443, 443)),
            persistence_netmask=IPv4Address("255.255.255.0"),
            persistence_prefix=64,
            sorry_server=SorryServer(far2.rip, inhibit=True),
        ),
        by(
            replace(back, fwmark=8, port_ranges=((80, 80),), sorry_server=SorryServer(web1.rip, mode=dr)),
            far1={"mode": tun},
        ),
        directors=(BOTH1,),
        real_servers=(web1, WEB2, far1, far2, DB1),
        nat=replace(INSIDE, configure_gateway=True),
    )


CASES: dict[str, Callable[[], Cluster]] = {
    "smallest": smallest,
    "by-hand": by_hand,
    "dr-two-directors": dr_two_directors,
    "nat-two-directors": nat_two_directors,
    "nat-checked-only": nat_checked_only,
    "mixed": mixed,
    "ipv6": six,
    "marks": marks,
    "both-families": both_families,
    "active-active": active_active,
    "dual-stack": dual_stack,
    "tunnels": tunnels,
    "localnodes": localnodes,
    "every-way": every_way,
}
