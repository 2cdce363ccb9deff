"""The resources: how they are named, ordered, and written as words of commands."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import (
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
    canonical,
)
from lvsdeploy.state.network import Address, Route


@pytest.mark.parametrize(
    ("key", "name", "flags"),
    [
        (ServiceKey(Protocol.TCP, "192.0.2.50", 80), "tcp 192.0.2.50:80", ("-t", "192.0.2.50:80")),
        (ServiceKey(Protocol.UDP, "2001:db8::50", 53), "udp [2001:db8::50]:53", ("-u", "[2001:db8::50]:53")),
        (
            ServiceKey(Protocol.SCTP, "192.0.2.50", 9),
            "sctp 192.0.2.50:9",
            ("--sctp-service", "192.0.2.50:9"),
        ),
        (ServiceKey(None, "", 0, 7), "fwmark 7", ("-f", "7")),
        (ServiceKey(None, "", 0, 7, 6), "fwmark 7 IPv6", ("-f", "7", "-6")),
    ],
)
def test_keys(key: ServiceKey, name: str, flags: tuple[str, ...]) -> None:
    assert str(key) == name
    assert key.flags() == flags


def test_keys_have_an_order() -> None:
    mark = ServiceKey(None, "", 0, 7)
    tcp = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    later = ServiceKey(Protocol.TCP, "192.0.2.50", 443)
    udp = ServiceKey(Protocol.UDP, "192.0.2.1", 1)
    mark6 = ServiceKey(None, "", 0, 7, 6)
    assert sorted([mark6, mark, udp, later, tcp]) == [tcp, later, udp, mark, mark6]


def test_the_family_of_an_address_service_is_its_vip_s() -> None:
    assert ServiceKey(Protocol.TCP, "192.0.2.50", 80, family=6) == ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    assert ServiceKey(Protocol.TCP, "2001:db8::50", 80).family == 6
    with pytest.raises(ValueError, match="family"):
        ServiceKey(None, "", 0, 7, 5)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({}, "-s rr"),
        ({"persistence": 300}, "-s rr -p 300"),
        ({"persistence": 300, "netmask": "255.255.255.0"}, "-s rr -p 300 -M 255.255.255.0"),
        ({"netmask": "255.255.255.0"}, "-s rr"),
        ({"one_packet": True}, "-s rr -o"),
        ({"persistence": 60, "one_packet": True, "engine": "sip"}, "-s rr -p 60 --pe sip -o"),
        ({"scheduler_flags": ("sh-fallback", "sh-port")}, "-s rr -b sh-fallback,sh-port"),
    ],
)
def test_options(service: dict[str, object], words: str) -> None:
    key = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
    assert " ".join(VirtualService(key, "rr", **service).options()) == words  # type: ignore[arg-type]


def test_destinations() -> None:
    destination = TableDestination("2001:db8::11", 80, Forwarding.TUN, 3)
    assert str(destination) == "[2001:db8::11]:80"
    assert destination.options() == ("-r", "[2001:db8::11]:80", "-i", "-w", "3")
    assert destination.key == ("2001:db8::11", 80)
    limited = replace(destination, upper=100, lower=75, tunnel=Tunnel(TunnelKind.GRE))
    words = "-r [2001:db8::11]:80 -i -w 3 --tun-type gre --tun-nocsum -x 100 -y 75"
    assert " ".join(limited.options()) == words
    assert " ".join(limited.method(0)) == "-i -w 0 --tun-type gre --tun-nocsum"
    with pytest.raises(ValueError, match="tunnel"):
        replace(destination, forwarding=Forwarding.DR, tunnel=Tunnel())


@pytest.mark.parametrize(
    ("tunnel", "shown", "words"),
    [
        (Tunnel(), "ipip", ""),
        (Tunnel(TunnelKind.GRE), "gre", "--tun-type gre --tun-nocsum"),
        (Tunnel(TunnelKind.GRE, 0, Checksum.CSUM), "gre csum", "--tun-type gre --tun-csum"),
        (
            Tunnel(TunnelKind.GUE, 6080, Checksum.REMCSUM),
            "gue port 6080 remcsum",
            "--tun-type gue --tun-port 6080 --tun-remcsum",
        ),
    ],
)
def test_tunnels(tunnel: Tunnel, shown: str, words: str) -> None:
    assert str(tunnel) == shown
    assert " ".join(tunnel.options()) == words


@pytest.mark.parametrize(
    ("kind", "port", "checksum"),
    [
        (TunnelKind.IPIP, 6080, Checksum.NONE),
        (TunnelKind.IPIP, 0, Checksum.CSUM),
        (TunnelKind.GRE, 6080, Checksum.NONE),
        (TunnelKind.GRE, 0, Checksum.REMCSUM),
        (TunnelKind.GUE, 0, Checksum.NONE),
    ],
)
def test_what_is_no_tunnel(kind: TunnelKind, port: int, checksum: Checksum) -> None:
    with pytest.raises(ValueError, match=f"a tunnel of type {kind}"):
        Tunnel(kind, port, checksum)


def test_canonical_addresses() -> None:
    assert canonical("2001:DB8:0:0::50") == canonical(ip_address("2001:db8::50")) == "2001:db8::50"
    with pytest.raises(ValueError, match=r"192\.0\.2\.050"):
        canonical("192.0.2.050")


def test_addresses_and_routes_in_words() -> None:
    assert str(Address("lo", ip_interface("192.0.2.50/32"))) == "192.0.2.50/32 on lo"
    assert str(Route(ip_address("10.2.0.1"))) == "default via 10.2.0.1"
    assert str(Route(ip_address("10.2.0.1"), "eth1", 100)) == "default via 10.2.0.1 dev eth1"
    assert str(Route(None, "ppp0")) == "default dev ppp0"


def test_files() -> None:
    file = File("/f", b"a\xff\n")
    assert file.digest == hashlib.sha256(b"a\xff\n").hexdigest()
    assert file.shown() == "a\ufffd\n"
    assert (file.mode, file.owner, file.kind, file.secret) == (0o644, "root:root", FileKind.REGULAR, False)
    assert file.secrets() == ()
