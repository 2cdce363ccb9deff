"""The table's parser and writer against each other, and against what real kernels say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.observe.ipvs_table import digest, listing, parse, render, rules
from lvsdeploy.state.ipvs import (
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
)
from tests.observe.tables import tables

RECORDED = sorted((Path(__file__).parent / "recorded" / "tables").glob("*.txt"))


@given(tables())
def test_what_is_written_is_read_back(table: list[VirtualService]) -> None:
    assert parse(render(table), listing(table)) == {service.key: service for service in table}


@given(tables())
def test_what_is_written_for_a_restore_is_read_back(table: list[VirtualService]) -> None:
    assert parse(rules(table)) == {service.key: service for service in table}


@given(tables())
def test_digest_does_not_depend_on_order(table: list[VirtualService]) -> None:
    assert digest(table) == digest(reversed(table))


@given(st.text(alphabet="-Aatufrgmiswy6 :[].0123456789x\n", max_size=200))
def test_any_text_is_a_table_or_a_value_error(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 — it need not fail


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_a_real_table_is_written_as_it_was_read(recorded: Path) -> None:
    lines = recorded.read_text().splitlines()
    table = parse(recorded.read_text()).values()
    assert sorted(render(table).splitlines()) == sorted(lines)
    wanted = "".join(f"{line}\n" for line in sorted(lines))
    assert digest(table) == hashlib.sha256(wanted.encode()).hexdigest()


def test_tunnels_of_a_real_table() -> None:
    (service,) = parse((RECORDED[0].parent / "ipvsadm-1.31-linux-6.1-tunnels.txt").read_text()).values()
    assert {d.address: d.tunnel for d in service.destinations} == {
        "10.0.0.1": Tunnel(),
        "10.0.0.2": Tunnel(TunnelKind.GRE),
        "10.0.0.3": Tunnel(TunnelKind.GUE, 6080),
        "10.0.0.4": Tunnel(TunnelKind.GRE, 0, Checksum.CSUM),
        "10.0.0.5": Tunnel(TunnelKind.GUE, 6081, Checksum.REMCSUM),
        "2001:db8::77": Tunnel(),
    }


def test_an_older_ipvsadm_names_no_type_of_tunnel() -> None:
    (service,) = parse("-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:0 -i -w 1\n").values()
    assert service.destinations == (TableDestination("10.0.0.1", 0, Forwarding.TUN, 1, tunnel=Tunnel()),)


def test_one_mark_is_two_services_in_two_families() -> None:
    text = (
        "-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1:0 -g -w 1\n"
        "-A -f 7 -6 -s wlc\n-a -f 7 -6 -r [2001:db8::1]:0 -g -w 1\n"
    )
    table = parse(text)
    assert [str(key) for key in sorted(table)] == ["fwmark 7", "fwmark 7 IPv6"]
    assert [service.scheduler for service in table.values()] == ["rr", "wlc"]
    assert all(len(service.destinations) == 1 for service in table.values())
    assert render(table.values()) == text


def test_thresholds_belong_to_a_destination_of_one_service() -> None:
    text = (
        "-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1:80 -g -w 1\n"
        "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1\n"
    )
    shown = "FWM  7 rr\n  -> 10.0.0.1:80   100  75   3   12\nTCP  192.0.2.1:80 rr\n  -> 10.0.0.1:80 0 0 1 1\n"
    table = parse(text, shown)
    limits = {str(key): [(d.upper, d.lower) for d in s.destinations] for key, s in table.items()}
    assert limits == {"fwmark 7": [(100, 75)], "tcp 192.0.2.1:80": [(0, 0)]}
    other = parse(
        text, shown.replace("FWM  7 rr", "TCP  192.0.2.1:80 rr", 1).replace("1:80 0 0", "1:80 100 75")
    )
    assert digest(table.values()) != digest(parse(text).values())
    assert digest(table.values()) != digest(other.values())


def test_details_of_a_real_table() -> None:
    table = parse((RECORDED[0].parent / "ipvsadm-1.31-linux-6.1.txt").read_text())
    marked = table[ServiceKey(None, "", 0, 7)]
    assert [str(d) for d in marked.destinations] == ["10.0.0.1:80", "10.0.0.2:0"]
    sixth = table[ServiceKey(Protocol.TCP, "2001:db8::50", 80)]
    assert (sixth.persistence, sixth.netmask) == (300, "64")
    hashed = table[ServiceKey(Protocol.TCP, "192.0.2.50", 2006)]
    assert (hashed.scheduler, hashed.scheduler_flags) == ("sh", ("sh-fallback", "sh-port"))
    assert table[ServiceKey(Protocol.UDP, "192.0.2.50", 2004)].one_packet


def test_one_client_each_has_no_netmask() -> None:
    for mask in ("255.255.255.255", "128"):
        (service,) = parse(f"-A -f 1 -s rr -p 60 -M {mask}\n").values()
        assert service.netmask == ""


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "-A",
        "-A -t 192.0.2.1 -s rr",
        "-A -t 192.0.2.1:70000 -s rr",
        "-A -t 192.0.2.1:80",
        "-A -f 0 -s rr",
        "-A -f -0 -s rr",
        "-A -f -4294967296 -s rr",
        "-A -f --7 -s rr",
        "-A -f ٣ -s rr",
        "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1",
        "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -w 1",
        "-A -f 1 -s rr\n-a -f 1 -6 -r [2001:db8::1]:80 -g -w 1",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -g -w 1 --tun-type ipip",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -i -w 1 --tun-type vxlan",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -i -w 1 --tun-csum",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -i -w 1 --tun-type gue --tun-csum",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -i -w 1 --tun-type gre --tun-remcsum",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -i -w 1 --tun-type ipip --tun-csum",
        "-A -f 1 -s rr\n-a -f 1 -r 10.0.0.1:80 -g -w 1 -x -1",
    ],
)
def test_what_is_no_table(line: str) -> None:
    with pytest.raises(ValueError, match=r"ipvsadm|no virtual service"):
        parse(line)
