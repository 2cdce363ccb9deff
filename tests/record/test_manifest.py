"""The record as text on its host: it comes back as it was written, and nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.record import (
    KEPT,
    Drained,
    Entry,
    Record,
    RecordedFile,
    RecordedRoute,
    RecordedSysctl,
    RecordedUnit,
    Stamp,
    manifest_of,
    manifest_path,
    read_record,
)
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import ServiceKey
from lvsdeploy.state.network import Address
from lvsdeploy.state.tunnel import GuePort
from tests.record import hostile, made_up

SETTINGS = settings(derandomize=True, max_examples=150, deadline=None)
PATH = manifest_path("shop")
FULL = Record(
    path=PATH,
    cluster="shop",
    files={
        "/etc/keepalived/keepalived.conf": RecordedFile("a" * 64, "b" * 64),
        "/etc/lvsdeploy/shop/real-server": RecordedFile("c" * 64),
    },
    folders=(
        "/etc/lvsdeploy",
        "/etc/lvsdeploy/shop",
        "/var/lib/lvsdeploy",
        "/var/lib/lvsdeploy/shop/history",
    ),
    sysctls={
        "net.ipv4.ip_forward": RecordedSysctl(1, 0),
        "net.ipv4.conf.eth0.100.arp_ignore": RecordedSysctl(1),
    },
    addresses={
        Address("lo", ip_interface("192.0.2.50/32")): False,
        Address("tunl0", ip_interface("192.0.2.51/32")): False,
        Address("lvs-gre6-0123ab", ip_interface("2001:db8::51/128")): False,
    },
    tunnels={"tunl0": True, "lvs-gre6-0123ab": False},
    gue_ports={GuePort(6080): False, GuePort(6080, 6): True},
    routes=(
        RecordedRoute(ip_address("10.2.0.1"), ("default", "via", "10.2.0.254", "dev", "eth0")),
        RecordedRoute(ip_address("2001:db8:2::1")),
    ),
    units={"keepalived": RecordedUnit(enabled=True), "lvsdeploy-shop": RecordedUnit()},
    packages=("ipvsadm", "keepalived"),
    services=(ServiceKey(Protocol.TCP, "192.0.2.50", 80), ServiceKey(None, "", 0, 7, 6)),
    hosts={"web1": "192.0.2.11"},
    former={"web9": "192.0.2.19"},
    drained=(Drained("web1", "http", "2026-11-23T15:06:34Z", "ann@desk"),),
    history=(Entry(Stamp("20261123T150634Z-1a2b", "2026-11-23T15:06:34Z", "ann@desk"), ("update x",)),),
)
GOOD = json.loads(manifest_of(FULL, secret=False).content)


def manifest(content: bytes | object) -> File:
    return File(PATH, content if isinstance(content, bytes) else json.dumps(content).encode())


def problem(content: bytes | object) -> str:
    """Why a manifest counts as none; it must then hold nothing else."""
    file = manifest(content)
    record = read_record(file)
    assert record == Record()
    assert record.digest == file.digest
    assert not record.known
    return record.problem


@SETTINGS
@given(made_up.records(), st.booleans())
def test_what_was_written_is_read_back(record: Record, secret: bool) -> None:  # noqa: FBT001
    file = manifest_of(record, secret=secret)
    read = read_record(file)
    assert read == record
    assert (read.history, read.path, read.digest) == (record.history, record.path, file.digest)
    assert (read.problem, read.known) == ("", True)
    assert manifest_of(read, secret=secret) == file
    assert (file.path, file.mode, file.owner) == (PATH, 0o600 if secret else 0o644, "root:root")


def test_the_layout_that_the_probe_reads_line_by_line() -> None:
    text = manifest_of(FULL, secret=False).content.decode("ascii")
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert '\n  "folders": [\n    "/etc/lvsdeploy",\n' in text
    assert '\n  "files": {\n    "/etc/keepalived/keepalived.conf": {\n' in text


def test_no_record() -> None:
    assert read_record(None) == Record()
    for kind in (FileKind.DIRECTORY, FileKind.SYMLINK, FileKind.OTHER):
        found = read_record(File(PATH, b"", kind=kind))
        assert (found, found.problem, found.known) == (Record(), "", False)


def test_only_the_last_applies_are_kept() -> None:
    entries = tuple(
        Entry(Stamp(f"202611{n:02}T000000Z-0000", f"2026-11-{n:02}", "ann")) for n in range(1, KEPT + 4)
    )
    read = read_record(manifest_of(replace(FULL, history=entries), secret=False))
    assert read.history == entries[-KEPT:]


def test_two_records_are_equal_when_they_mean_the_same() -> None:
    later = replace(FULL, history=(), digest="x", path="/elsewhere")
    assert later == FULL
    assert replace(FULL, packages=()) != FULL
    assert FULL.digests == {path: file.sha256 for path, file in FULL.files.items()}


@pytest.mark.parametrize("part", ["files", "sysctls", "addresses", "units", "routes", "services"])
def test_what_there_is_to_remember(part: str) -> None:
    nothing = Record(path=PATH, cluster="shop", packages=("ipvsadm",), hosts={"a": "192.0.2.1"})
    assert nothing.empty
    assert not replace(nothing, **{part: getattr(FULL, part)}).empty


# --- what is not believed -----------------------------------------------------------------------------------

UNREADABLE: dict[str, Any] = {
    "empty": b"",
    "no JSON": b"{",
    "cut off": manifest_of(FULL, secret=False).content[:-3],
    "no UTF-8": b"\xff\xfe{}",
    "a list": [],
    "null": None,
    "a number": 2,
    "nothing in it": {},
    "deep": b"[" * 100_000,
    "a huge number": b'{"format": 2, "sysctls": {"a": ' + b"9" * 5000 + b"}}",
    "another cluster's": {**GOOD, "cluster": "blog"},
    "files is a list": {**GOOD, "files": ["/etc/passwd"]},
    "sysctls is text": {**GOOD, "sysctls": "all"},
    "an interface of somebody else": {**GOOD, "tunnels": {"eth0": False}},
    "an interface that is no name": {**GOOD, "tunnels": {"lvs-gre-0123ab;reboot": False}},
    "no tunnels": {key: value for key, value in GOOD.items() if key != "tunnels"},
    "a port too many": {**GOOD, "gue_ports": {"65536/4": False}},
    "a port of no IP": {**GOOD, "gue_ports": {"6080/5": False}},
    "a port in other words": {**GOOD, "gue_ports": {"06080/4": False}},
    "an address on a network": {**GOOD, "addresses": {"192.0.2.50/24 lo": False}},
    "no addresses": {key: value for key, value in GOOD.items() if key != "addresses"},
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_garbled_record_counts_as_none(case: str) -> None:
    assert problem(UNREADABLE[case]) == "it is not what lvsdeploy writes"


@pytest.mark.parametrize("version", [0, 1, 3, "2", None, [2]])
def test_the_record_of_another_version(version: object) -> None:
    assert problem({**GOOD, "format": version}) == "it is in the format of another version of lvsdeploy"


FILES = (
    "/etc/passwd",
    "/etc/shadow",
    "/etc/keepalived/keepalived.conf.d",
    "/etc/keepalived/other.conf",
    "/etc/sysctl.d/90-lvsdeploy-blog.conf",
    "/etc/sysctl.d/90-lvsdeploy-shop.conf/x",
    "/etc/lvsdeploy/../passwd",
    "/etc/lvsdeploy/shop/../../passwd",
    "/etc/lvsdeploy/shop/other",
    "/etc/lvsdeploy/blog/real-server",
    "/etc/systemd/system/ssh.service",
    "/etc/systemd/system/lvsdeploy-blog.service",
    "/etc/init.d/lvsdeploy-blog",
    "/etc/init.d/lvsdeploy-shop\n",
    "/var/lib/lvsdeploy/shop/manifest.json",
    "/var/lib/lvsdeploy/blog/manifest.json",
    "etc/keepalived/keepalived.conf",
    "//etc/keepalived/keepalived.conf",
    "",
)


@pytest.mark.parametrize("path", FILES)
def test_files_that_lvsdeploy_never_writes(path: str) -> None:
    spoiled = {**GOOD, "folders": [], "files": {path: {"sha256": "a" * 64, "before": None}}}
    assert problem(spoiled)
    own = spoiled | {"files": {"/etc/lvsdeploy/shop/real-server": {"sha256": "a" * 64, "before": None}}}
    assert read_record(manifest(own)).known


@pytest.mark.parametrize(
    "path", ["/", "/home", "/etc/cron.d", "/var/lib/dpkg", "/etc/..", "/etc/", "etc", ""]
)
def test_folders_that_lvsdeploy_never_makes(path: str) -> None:
    assert problem({**GOOD, "folders": [path]})


def test_folders_are_those_that_hold_what_is_recorded() -> None:
    assert not problem_of_folder("/etc/keepalived", "/etc/keepalived/keepalived.conf")
    assert problem_of_folder("/etc/init.d", "/etc/keepalived/keepalived.conf")


def problem_of_folder(folder: str, path: str) -> str:
    file = manifest({**GOOD, "folders": [folder], "files": {path: {"sha256": "a" * 64, "before": None}}})
    return read_record(file).problem


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.50/24 lo",
        "127.0.0.1/8 eth0",
        "169.254.1.1/16 eth0",
        "fe80::1/64 eth0",
        "224.0.0.18/32 eth0",
        "192.0.2.50/32 eth0;id",
        "192.0.2.50/32 an-interface-with-a-long-name",
        "127.0.0.1/8 lo",
        "127.0.0.1/32 lo",
        "::1/128 lo",
        "2001:db8::50/64 lo",
        "300.0.0.1/32 lo",
        "192.0.2.1/32",
        "192.0.2.1/32 lo lo",
        "",
    ],
)
def test_addresses_that_lvsdeploy_never_adds(address: str) -> None:
    """That the host's own address stays, whatever is recorded, is the plan's business."""
    assert problem({**GOOD, "addresses": {address: False}})


@pytest.mark.parametrize(
    "words", ["", "-t", "-t 192.0.2.50", "-f 0", "-f -1", "-x 192.0.2.50:80", "-t 192.0.2.50:80 -6", 7, None]
)
def test_services_that_are_none(words: object) -> None:
    assert problem({**GOOD, "services": [words]})


@pytest.mark.parametrize("name", ["ssh", "lvsdeploy-blog", "lvsdeploy-", "keepalived.service", "", "-x"])
def test_services_that_lvsdeploy_never_starts(name: str) -> None:
    assert problem({**GOOD, "units": {name: {"enabled": False, "active": False}}})


@pytest.mark.parametrize(
    "key",
    [
        *("kernel.panic", "net.ipv4.a/../b", "net.ipv4. x"),
        *("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.a/../b.forwarding", "net.ipv6.conf..accept_ra"),
    ],
)
def test_sysctls_that_lvsdeploy_never_sets(key: str) -> None:
    assert problem({**GOOD, "sysctls": {key: {"value": 1, "before": 0}}})


@pytest.mark.parametrize(
    "before",
    [
        ["192.0.2.0/24", "dev", "eth0"],
        ["default", "via", "192.0.2.1;reboot"],
        ["default", "-x"],
        ["default", ""],
        "default via 192.0.2.1",
        [None],
    ],
)
def test_routes_that_lvsdeploy_never_puts_back(before: object) -> None:
    assert problem({**GOOD, "routes": [{"via": "10.2.0.1", "before": before}]})


@pytest.mark.parametrize("via", ["", "lo", "10.2.0.1/24", 5, True, None])
def test_gateways_that_are_none(via: object) -> None:
    assert problem({**GOOD, "routes": [{"via": via, "before": []}]})


def test_one_route_a_family() -> None:
    one = {"via": "10.2.0.1", "before": []}
    assert problem({**GOOD, "routes": [one, {**one, "via": "10.2.0.2"}]})


@pytest.mark.parametrize("route", [None, {"via": "10.2.0.1", "before": ["default", "dev", "ppp0"]}])
def test_a_record_from_before_there_were_routes_of_two_families(route: dict[str, Any] | None) -> None:
    older = {key: value for key, value in GOOD.items() if key != "routes"}
    read = read_record(manifest({**older, "route": route}))
    assert read.known
    expected = () if route is None else (RecordedRoute(ip_address("10.2.0.1"), tuple(route["before"])),)
    assert read.routes == expected
    assert problem(older)


@pytest.mark.parametrize("name", ["20261123T150634Z-1a2b/../x", "../x", "", "20261123T150634Z-1A2B", 1])
def test_ids_that_would_lead_elsewhere(name: object) -> None:
    """A file of the history is removed by the name that the record gives it."""
    assert problem(hostile.with_value(GOOD, ("history", 0, "id"), name))


def test_words_from_a_host_are_fit_for_a_terminal() -> None:
    text = "\x1b[31mx\u202e\n"
    spoiled = hostile.with_value(GOOD, ("history", 0, "by"), text)
    spoiled = hostile.with_value(spoiled, ("history", 0, "changes"), [text])
    spoiled = hostile.with_value(spoiled, ("drained", 0, "by"), text)
    spoiled["hosts"], spoiled["former"] = {text: text}, {text: text}
    record = read_record(manifest(spoiled))
    assert record.history[0].stamp.by == record.history[0].changes[0] == record.drained[0].by == "[31mx"
    assert record.hosts == record.former == {"[31mx": "[31mx"}


@pytest.mark.parametrize("wrong", hostile.WRONG, ids=repr)
def test_one_wrong_value_anywhere(wrong: object) -> None:
    """A record with a wrong value means something that lvsdeploy could have written, or it counts as none."""
    for where in hostile.places(GOOD):
        record = read_record(manifest(hostile.with_value(GOOD, where, wrong)))
        assert record.known != bool(record.problem), where
        if record.known:
            assert read_record(manifest_of(record, secret=False)) == record, where


NEW = [("services",)]
"""Parts that a record of an earlier version lacks."""


def test_one_part_missing_anywhere() -> None:
    good = {**GOOD, "folders": ["/var/lib/lvsdeploy"]}  # one that holds no file of those recorded
    for where in hostile.places(good):
        record = read_record(manifest(hostile.without(good, where)))
        assert record.known != bool(record.problem), where
        # What is missing from a list or a mapping was never recorded; what is missing elsewhere spoils it.
        first_word = where == ("routes", 0, "before", 0)
        listed = (isinstance(where[-1], int) and not first_word) or where[-2:-1] in [
            (part,)
            for part in ("files", "sysctls", "addresses", "tunnels", "gue_ports", "units", "hosts", "former")
        ]
        assert record.known == (listed or where in NEW), where


@pytest.mark.parametrize("key", ["", "x", "../x", "/etc/passwd", "\x1b", "\ud800"])
def test_one_wrong_key_anywhere(key: str) -> None:
    for where in hostile.places(GOOD):
        if isinstance(where[-1], str):
            record = read_record(manifest(hostile.with_key(GOOD, where, key)))
            free = where[:1] in [("hosts",), ("former",)] and len(where) > 1
            assert record.known == (free or where in NEW), where


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
@SETTINGS
def test_any_json_is_read_or_refused(data: object) -> None:
    for value in (data, *({**GOOD, part: data} for part in GOOD)):
        record = read_record(manifest(value))
        assert record.known != bool(record.problem)


@given(st.binary(max_size=200))
@SETTINGS
def test_any_bytes_are_refused(data: bytes) -> None:
    assert problem(data)
