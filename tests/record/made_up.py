"""Records and goals as they come: everything that lvsdeploy may put on a host, in any combination."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface

from hypothesis import strategies as st

from lvsdeploy.record import (
    Drained,
    Entry,
    Goal,
    Record,
    RecordedFile,
    RecordedRoute,
    RecordedSysctl,
    RecordedUnit,
    Stamp,
    manifest_path,
)
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.netfilter import Firewall
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.tunnel import GuePort, LinkKind, link_for
from lvsdeploy.state.unit import Unit
from tests.observe.tables import keys, tables
from tests.state.made_up import rulesets

PATHS = (
    "/etc/keepalived/keepalived.conf",
    "/etc/sysctl.d/90-lvsdeploy-shop.conf",
    "/etc/lvsdeploy/shop/real-server",
    "/etc/systemd/system/lvsdeploy-shop.service",
    "/etc/init.d/lvsdeploy-shop",
)
FOLDERS = ("/etc/keepalived", "/etc/lvsdeploy", "/etc/lvsdeploy/shop", "/etc/sysctl.d", "/etc/init.d")
HISTORY = ("/var/lib/lvsdeploy", "/var/lib/lvsdeploy/shop", "/var/lib/lvsdeploy/shop/history")
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.eth0.100.arp_announce",
    "net.ipv4.conf.br-lan.send_redirects",
)
UNITS = ("keepalived", "lvsdeploy-shop")

names = st.text("abcz09-", max_size=8).map(lambda text: f"n{text}")
words = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, categories=["L", "N", "P"]), max_size=12)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
times = st.integers(0, 2**31).map(lambda n: f"{datetime.fromtimestamp(n, UTC):%Y-%m-%dT%H:%M:%SZ}")
ids = st.integers(0, 65535).map(lambda n: f"20261123T150634Z-{n:04x}")
ipv4 = st.integers(0x0B000000, 0x7E000000).map(lambda n: str(ip_address(n)))
ipv6 = st.integers(2, 2**64).map(lambda n: str(ip_address((0x20010DB8 << 96) + n)))
ips = st.one_of(ipv4, ipv6)
links = st.builds(
    lambda kind, four, six, checksum: link_for(
        kind,
        ip_address(six if kind in (LinkKind.IP6TNL, LinkKind.IP6GRE) else four),
        checksum=checksum and kind in (LinkKind.GRE, LinkKind.IP6GRE),
    ),
    st.sampled_from(LinkKind),
    ipv4,
    ipv6,
    st.booleans(),
)
gue_ports = st.builds(GuePort, st.integers(1, 65535), st.sampled_from([4, 6]))
vips = st.builds(
    lambda ip, interface: Address(interface, ip_interface(ip)),
    ips,
    st.just("lo") | links.map(lambda link: link.name),
)
drains = st.builds(Drained, names, st.just("") | names, times, words)
units = st.dictionaries(st.sampled_from(UNITS), st.tuples(st.booleans(), st.booleans()))

entries = st.builds(
    Entry,
    st.builds(Stamp, ids, times, words, st.sampled_from(["apply", "drain", "rollback"]), digests),
    st.lists(words, max_size=3).map(tuple),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Of cluster shop."""
    digest = st.none() | digests
    before = st.sampled_from([(), ("default", "via", "192.0.2.1", "dev", "eth0", "metric", "100")])
    routes = st.lists(
        st.builds(RecordedRoute, ips.map(ip_address), before), unique_by=lambda r: r.version, max_size=2
    )
    files = draw(st.dictionaries(st.sampled_from(PATHS), st.builds(RecordedFile, digests, digest)))
    folders = {folder for folder in FOLDERS if any(path.startswith(f"{folder}/") for path in files)}
    return Record(
        path=manifest_path("shop"),
        cluster="shop",
        files=files,
        folders=tuple(sorted(draw(st.sets(st.sampled_from(sorted({*folders, *HISTORY})))))),
        sysctls=draw(
            st.dictionaries(
                st.sampled_from(SYSCTLS),
                st.builds(RecordedSysctl, st.integers(-1, 9), st.none() | st.integers(0, 9)),
            )
        ),
        addresses=draw(st.dictionaries(vips, st.booleans(), max_size=4)),
        tunnels=draw(st.dictionaries(links.map(lambda link: link.name), st.booleans(), max_size=3)),
        gue_ports=draw(st.dictionaries(gue_ports, st.booleans(), max_size=2)),
        routes=tuple(sorted(draw(routes), key=lambda route: route.version)),
        units={name: RecordedUnit(*parts) for name, parts in draw(units).items()},
        packages=tuple(sorted(draw(st.sets(st.sampled_from(["ipvsadm", "keepalived", "iproute2"]))))),
        services=tuple(sorted(draw(st.sets(keys(), max_size=3)))),
        hosts=draw(st.dictionaries(names, ips, max_size=3)),
        former=draw(st.dictionaries(names, ips, max_size=2)),
        drained=tuple(draw(st.lists(drains, max_size=2))),
        history=tuple(draw(st.lists(entries, max_size=10))),
    )


files = st.builds(
    File,
    st.sampled_from(PATHS),
    st.binary(max_size=64),
    st.sampled_from([0o600, 0o644, 0o755]),
    st.sampled_from(["root:root", "root:_keepalived-1"]),
    secret=st.booleans(),
)
default_routes = st.builds(
    lambda via, interface, metric, version: Route(via, interface, metric, via.version if via else version),
    st.none() | ips.map(ip_address),
    st.none() | st.sampled_from(["eth0", "eth0.100"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([4, 6]),
)


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    table = draw(st.none() | tables())
    return Goal(
        HostState(
            programs=frozenset(draw(st.sets(st.sampled_from(["ip", "ipvsadm", "keepalived"])))),
            files={file.path: file for file in draw(st.lists(files, max_size=4))},
            sysctls=draw(st.dictionaries(st.sampled_from(SYSCTLS), st.integers(0, 9))),
            addresses=frozenset(draw(st.sets(vips, max_size=3))),
            routes=tuple(draw(st.lists(default_routes, max_size=2))),
            units={n: Unit(n, enabled=e, active=a) for n, (e, a) in draw(units).items()},
            virtual_services=None if table is None else {service.key: service for service in table},
            tunnels={link.name: link for link in draw(st.lists(links, max_size=3))},
            gue_ports=frozenset(draw(st.sets(gue_ports, max_size=2))),
            netfilter=draw(st.none() | st.sampled_from(Firewall).flatmap(rulesets)),
        ),
        draw(st.dictionaries(names, ips, max_size=3)),
        tuple(draw(st.lists(drains, max_size=2))),
        draw(st.booleans()),
    )
