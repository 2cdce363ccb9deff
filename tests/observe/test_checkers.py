"""keepalived's own view, from recorded dumps and from lines of versions that were not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.observe.checkers import parse
from lvsdeploy.state.ipvs import ServiceKey

DUMPS = Path(__file__).parent / "recorded" / "dumps"
HTTP = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
SORRY = ServiceKey(Protocol.TCP, "192.0.2.51", 80)
MARK = ServiceKey(None, "", 0, 7)


def test_a_whole_dump() -> None:
    view = parse((DUMPS / "keepalived-2.2.7.data").read_text())
    assert len(view.services) == 5
    assert view.is_down(HTTP, ("10.9.0.2", 8080))
    assert view.is_down(HTTP, ("10.9.0.3", 8080))  # inhibit_on_failure: in the table at weight 0
    assert not view.is_down(HTTP, ("10.9.0.1", 8080))
    assert not view.is_down(HTTP, ("10.9.0.77", 8080))
    assert view.services[HTTP].weights[("10.9.0.1", 8080)] == 3


def test_the_sorry_server_replaces_those_that_are_alive_too() -> None:
    view = parse((DUMPS / "keepalived-2.2.7.data").read_text())
    assert view.sorry_server_in_use(SORRY)
    assert view.sorry_server_in_use(SORRY, ("10.9.0.9", 80))
    assert not view.sorry_server_in_use(SORRY, ("10.9.0.1", 80))
    assert ("10.9.0.1", 80) in view.services[SORRY].up
    assert view.is_down(SORRY, ("10.9.0.1", 80))
    assert not view.sorry_server_in_use(HTTP)


def test_destinations_of_a_mark_have_any_port() -> None:
    view = parse((DUMPS / "keepalived-2.2.7.data").read_text())
    assert view.is_down(MARK, ("10.9.0.2", 0))
    assert view.is_down(MARK, ("10.9.0.2", 80))
    assert not view.is_down(MARK, ("10.9.0.1", 0))


def test_a_mark_has_a_view_for_each_family() -> None:
    block = " ------< Virtual server >------\n VS FWMARK = 7\n   Address family = inet{}\n   alive = 1\n"
    view = parse(block.format("") + block.format("6"))
    assert list(view.services) == [MARK, ServiceKey(None, "", 0, 7, 6)]


def test_an_older_and_a_newer_version() -> None:
    """2.0.20: no effective weight. 2.3 and later: `VS alive`, and the sorry server's own state."""
    older = """
 ------< Virtual server >------
 VS VIP = 192.0.2.50, VPORT = 80
   protocol = TCP
   alive = 1
   quorum_state_up = 1
   ------< Real server >------
   RIP = 10.9.0.2, RPORT = 8080, WEIGHT = 1
   alive = 0
"""
    newer = """
 ------< Virtual server >------
 VS VIP = 192.0.2.51, VPORT = 80
   protocol = TCP
   sorry server (duplicates rs) = [10.9.0.9]:tcp:80
     set = 1
     alive = 1
   VS alive = 1
   quorum_state_up = 0
   ------< Real server >------
   RIP = 10.9.0.2, RPORT = 80, WEIGHT = 1 EFF WEIGHT = 1
   alive = 0
"""
    assert parse(older).is_down(HTTP, ("10.9.0.2", 8080))
    assert parse(newer).sorry_server_in_use(SORRY, ("10.9.0.9", 80))


def test_what_lvsdeploy_never_writes_is_read_over() -> None:
    assert not parse(" ------< Virtual server >------\n VS GROUP = [web]:0\n").services
    assert not parse("").services


GROUPS = """
------< LVS Topology >------
 ------< Virtual server group >------
 Virtual Server Group = web:80{head}
   VIP Range = 192.0.2.50-{end}, VPORT = 80
   VIP = 192.0.2.99, VPORT = 80
 ------< Virtual server group >------
 Virtual Server Group = web:80:6{head}
   VIP = 2001:db8::50, VPORT = 80
 ------< Virtual server >------
 VS GROUP = [web:80]:0
   protocol = TCP
   ------< Real server >------
   RIP = 192.0.2.11, RPORT = 80, WEIGHT = 1
   alive = 0
 ------< Virtual server >------
 VS GROUP = [web:80:6]:0
   protocol = TCP
   ------< Real server >------
   RIP = 2001:db8::11, RPORT = 80, WEIGHT = 1
   alive = 1
 ------< Virtual server >------
 VS GROUP = [gone]:0
   protocol = TCP
"""


@pytest.mark.parametrize(("head", "end"), [(", IPv4 = yes, IPv6 = no", "192.0.2.52"), ("", "52")])
def test_a_group_stands_for_each_of_its_vips(head: str, end: str) -> None:
    """2.2.7 writes the whole address of a range's end, 2.0 the last byte."""
    view = parse(GROUPS.format(head=head, end=end))
    vips = ["192.0.2.50", "192.0.2.51", "192.0.2.52", "192.0.2.99", "2001:db8::50"]
    assert list(view.services) == [ServiceKey(Protocol.TCP, vip, 80) for vip in vips]
    for vip in vips[:4]:
        assert view.is_down(ServiceKey(Protocol.TCP, vip, 80), ("192.0.2.11", 80))
    assert not view.is_down(ServiceKey(Protocol.TCP, vips[4], 80), ("2001:db8::11", 80))


def test_a_range_that_cannot_be() -> None:
    backwards = GROUPS.format(head="", end="192.0.2.1")
    assert ServiceKey(Protocol.TCP, "192.0.2.50", 80) not in parse(backwards).services
    huge = GROUPS.format(head="", end="255.255.255.255")
    assert len(parse(huge).services) == 257
