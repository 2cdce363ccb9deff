"""Two who apply different inventories of one cluster at the same moment."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.acting import vips
from tests.cli.several import several
from tests.hosts import OUTSIDE, needs_namespaces, service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.several import At_once
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces

ROUNDS, PATIENT_ROUNDS = 20, 3
TOLD = re.compile(
    r"web1: the cluster is being changed by \S+@\S+, apply since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
)


@pytest.fixture
def at_once(site: Site) -> Iterator[At_once]:  # noqa: ARG001 — a home first
    with several() as run:
        yield run


def pair(site: Site, number: int, *hosts: NamespaceHost) -> dict[str, Path]:
    """Two inventories that differ in the VIP, from which every file and address of a host follows."""
    found = {}
    for vip in (f"{OUTSIDE}{100 + 2 * number}", f"{OUTSIDE}{101 + 2 * number}"):
        found[vip] = site.inventory(vip, *hosts, services={"http": service(vip, *hosts)})
    return found


def whose(host: NamespaceHost, inventories: dict[str, Path]) -> str:
    """The VIP whose inventory this host is as; AssertionError when it is as neither, or as both."""
    (address,) = vips(host)
    vip = address.removesuffix("/32")
    script = host.read("/etc/lvsdeploy/shop/real-server").decode()
    assert [other for other in inventories if f"vips='{other}/32'" in script] == [vip]
    record = host.manifest()
    assert list(record["addresses"]) == [f"{address} lo"]
    assert record["history"][-1]["inventory"] == hashlib.sha256(inventories[vip].read_bytes()).hexdigest()
    return vip


def test_one_wins_and_the_other_is_told_who(site: Site, at_once: At_once) -> None:
    hosts = [site.host("web1", 11), site.host("web2", 12)]
    told = 0
    for number in range(ROUNDS):
        inventories = pair(site, number, *hosts)
        ended = dict(
            zip(
                inventories,
                at_once(*(["apply", "--limit", "web*", path] for path in inventories.values())),
                strict=True,
            )
        )
        (state,) = {whose(host, inventories) for host in hosts}
        assert ended[state].code == 0, ended
        (other,) = inventories.keys() - {state}
        if ended[other].code == 0:  # it had ended before the one whose state this is began
            entries = [entry["inventory"] for entry in hosts[0].manifest()["history"][-2:]]
            assert entries[0] == hashlib.sha256(inventories[other].read_bytes()).hexdigest()
            continue
        assert ended[other].code == 1, ended
        assert TOLD.search(ended[other].err), ended
        assert ended[other].out == ""
        told += 1
    assert told >= ROUNDS * 3 // 4, f"only {told} of {ROUNDS} were at the same time"


def test_who_waits_comes_after_the_other(site: Site, at_once: At_once) -> None:
    hosts = [site.host("web1", 11), site.host("web2", 12)]
    for number in range(PATIENT_ROUNDS):
        inventories = pair(site, number, *hosts)
        lines = (["apply", "--limit", "web*", "--lock-timeout", "30", path] for path in inventories.values())
        assert [done.code for done in at_once(*lines)] == [0, 0]
        (last,) = {whose(host, inventories) for host in hosts}
        digests = {hashlib.sha256(path.read_bytes()).hexdigest(): vip for vip, path in inventories.items()}
        for host in hosts:
            order = [digests[entry["inventory"]] for entry in host.manifest()["history"][-2:]]
            assert (order[-1], set(order)) == (last, set(inventories)), "one whole apply after the other"
