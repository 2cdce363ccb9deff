"""The table's parser and writer against each other, and against what real kernels say."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.inventory.model import Protocol, Scheduler
from lvsdeploy.observe.ipvs_table import digest, parse, render
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService

RECORDED = sorted((Path(__file__).parent / "recorded" / "tables").iterdir())

ports = st.integers(0, 65535)
addresses4 = st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n)))
addresses6 = st.integers(0, 2**128 - 1).map(lambda n: str(IPv6Address(n)))


@st.composite
def services(draw: st.DrawFn) -> VirtualService:
    addresses = draw(st.sampled_from([addresses4, addresses6]))
    marked = draw(st.booleans())
    if marked:
        key = ServiceKey(None, "", 0, draw(st.integers(1, 2**32 - 1)))
    else:
        key = ServiceKey(draw(st.sampled_from(Protocol)), draw(addresses), draw(ports))
    persistence = draw(st.none() | st.integers(1, 2**31 - 1))
    netmask = draw(st.sampled_from(["", "255.255.255.0", "64"])) if persistence else ""
    flags = st.sampled_from([(), ("flag-1", "flag-3"), ("sh-fallback", "sh-port"), ("mh-port",)])
    destinations = st.builds(
        TableDestination, addresses, ports, st.sampled_from(Forwarding), st.integers(0, 65535)
    )
    several = draw(st.lists(destinations, max_size=5, unique_by=lambda d: d.key))
    return VirtualService(
        key=key,
        scheduler=draw(st.sampled_from(Scheduler)).value,
        scheduler_flags=draw(flags),
        persistence=persistence,
        netmask=netmask,
        one_packet=draw(st.booleans()),
        destinations=tuple(sorted(several)),
    )


@given(st.lists(services(), max_size=6, unique_by=lambda service: service.key))
def test_what_is_written_is_read_back(table: list[VirtualService]) -> None:
    assert parse(render(table)) == {service.key: service for service in table}


@given(st.lists(services(), max_size=6, unique_by=lambda service: service.key))
def test_digest_does_not_depend_on_order(table: list[VirtualService]) -> None:
    assert digest(table) == digest(reversed(table))


@given(st.text(alphabet="-Aatufrgmisw :[].0123456789x\n", max_size=200))
def test_any_text_is_a_table_or_a_value_error(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 — it need not fail


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_a_real_table_is_written_as_it_was_read(recorded: Path) -> None:
    lines = recorded.read_text().splitlines()
    table = parse(recorded.read_text()).values()
    assert sorted(render(table).splitlines()) == sorted(line.split(" --tun")[0] for line in lines)
    if not any("--tun" in line for line in lines):
        wanted = "".join(f"{line}\n" for line in sorted(lines))
        assert digest(table) == hashlib.sha256(wanted.encode()).hexdigest()


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
        "-A -f ٣ -s rr",
        "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1",
        "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -w 1",
    ],
)
def test_what_is_no_table(line: str) -> None:
    with pytest.raises(ValueError, match=r"ipvsadm|no virtual service"):
        parse(line)
