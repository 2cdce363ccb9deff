"""What is said to those who wrote a key or a value as another program has it, or as it nearly is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory import load
from tests.inventory.shown import findings_of
from tests.inventory.test_rules import BOTH, inventory, service

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "It belongs to the health check: `health_check: {type: tcp, interval: ...}`."
REAL_SERVER = "It belongs to a real server: `real_servers: [{name: ..., upper: ...}]`."
RANGE = 'A range stands in `vips` and counts its last number: "192.0.2.50-59", "2001:db8::50-5f".'


def errors(sections: str, folder: Path) -> list[tuple[str, str, str]]:
    path = folder / "inventory.yaml"
    path.write_text(inventory(sections), encoding="utf-8")
    return [(f.code, f.summary, f.fix) for f in findings_of(path) if f.is_error]


@pytest.mark.parametrize(
    ("keys", "code", "fix"),
    [
        ('port: "8000-8010"', "LVS014", 'Write `ports: ["8000-8010"]`.'),
        ("ports: 80", "LVS014", "One is written as `port: 80`."),
        ("port: [80, 81]", "LVS014", "Several are written as `ports: [...]`."),
        ("port: 80, tunnel: gre", "LVS014", "Write `tunnel: {type: gre}`."),
        ("port: 80, sorry_server: 192.0.2.9", "LVS014", "Write `sorry_server: {address: 192.0.2.9}`."),
        (
            "port: 80, health_check: [tcp, ping]",
            "LVS014",
            "A real server has one check; `{type: script, path: ...}` may ask several things.",
        ),
        (
            "port: 80, health_check: {type: http, http_version: 1.1}",
            "LVS014",
            'Put it in quotes: `http_version: "1.1"`.',
        ),
        ("port: 80, scheduler_flags: sh-port", "LVS014", 'Write a list: `scheduler_flags: ["sh-port"]`.'),
        ("port: 80, health_check: {type: udp, payload: '0x00ff'}", "LVS017", "Leave out the 0x."),
        ("port: 80, health_check: {type: udp, payload: '00ff'}", "LVS017", "Use the form that is named."),
        (
            "port: 80, health_check: {type: tcp, interval: 200ms}",
            "LVS014",
            "Write a number of seconds: `interval: 0.2`.",
        ),
        ("port: 80, persistence: 5 min", "LVS014", "Write a number of seconds: `persistence: 300`."),
        ("port: 80, health_check: {type: http, status: 2xx}", "LVS017", 'Write "200-299".'),
        (
            "port: 80, quorum_up: /usr/bin/announce up",
            "LVS017",
            "With arguments it is `quorum_up: {path: /usr/bin/announce, arguments: [...]}`.",
        ),
        (
            "port: 80, health_check: {type: script, path: /usr/bin/probe -x}",
            "LVS017",
            "The arguments of a script have a key of their own: `arguments: [...]`.",
        ),
        ("port: 80, uthreshold: 5", "LVS012", REAL_SERVER),
        ("port: 80, upper: 5", "LVS012", REAL_SERVER),
        ("port: 80, delay_loop: 5", "LVS012", CHECK),
        ("port: 80, interval: 5", "LVS012", CHECK),
        ("port: 80, protocol: udp, protocols: [tcp], fwmark: 9", "LVS018", "Keep exactly one of them."),
        (
            "port: 80, health_check: {type: script}",
            "LVS013",
            "Add `path:` (the program to run or the file to watch, on the directors).",
        ),
    ],
)
def test_how_it_is_written(keys: str, code: str, fix: str, tmp_path: Path) -> None:
    assert [(found[0], found[2]) for found in errors(service(keys), tmp_path)] == [(code, fix)]


@pytest.mark.parametrize(
    ("sections", "summary"),
    [
        (service("port: 80, lb_algo: rr"), "unknown key 'lb_algo': here it is 'scheduler'"),
        (
            service("port: 80", "[{name: web1, lthreshold: 5}]"),
            "unknown key 'lthreshold': here it is 'lower'",
        ),
        (
            service("port: 80, health_check: {type: tcp, delay_loop: 5}"),
            "unknown key 'delay_loop': here it is 'interval'",
        ),
        ("vrrp: {auth_pass: x}\n", "unknown key 'auth_pass': here it is 'password'"),
        ("vrrp: {uthreshold: 1}\n", "unknown key 'uthreshold'"),
    ],
)
def test_a_word_of_keepalived(sections: str, summary: str, tmp_path: Path) -> None:
    assert [(found[0], found[1]) for found in errors(sections, tmp_path)] == [("LVS012", summary)]


@pytest.mark.parametrize(
    ("vips", "found"),
    [
        ("192.0.2.250-192.0.2.252", ("'192.0.2.250-192.0.2.252' is not an IP address, nor a range", RANGE)),
        (
            "2001:db8::60-2001:db8::63",
            ("'2001:db8::60-2001:db8::63' is not an IP address, nor a range", RANGE),
        ),
        ("2001:db8::63-60", ("'2001:db8::63-60' is no range: it goes up, 256 addresses at most", "")),
        ("2001:db8::0-100", ("'2001:db8::0-100' is no range: it goes up, 256 addresses at most", "")),
        ("192.0.2.250-256", ("'192.0.2.250-256' is no range: it goes up, to 255 at most", "")),
    ],
)
def test_what_is_no_range(vips: str, found: tuple[str, str], tmp_path: Path) -> None:
    text = service("port: 80").replace("vip: 192.0.2.50", f'vips: ["{vips}"]')
    ((code, summary, fix),) = errors(text, tmp_path)
    assert (code, summary) == ("LVS020", found[0])
    assert fix == found[1] or not found[1]


def test_a_range_is_no_single_vip(tmp_path: Path) -> None:
    for vip in ("192.0.2.50-59", '"2001:db8::50-5f"'):
        ((code, _, fix),) = errors(service("port: 80").replace("vip: 192.0.2.50", f"vip: {vip}"), tmp_path)
        assert (code, fix) == ("LVS020", RANGE)


def test_ranges_of_ipv6_count_in_their_last_group(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    text = BOTH + service("port: 80").replace(
        "vip: 192.0.2.50", 'vips: ["2001:db8::5e-61/64", "192.0.2.9-10"]'
    )
    path.write_text(inventory(text.replace("[web1, web2]", "[web1, web2], mode: tun")), encoding="utf-8")
    (declared,) = load(path, environ={}).cluster.services
    assert [str(vip.address) for vip in declared.vips] == [
        "192.0.2.9/32",
        "192.0.2.10/32",
        *(f"2001:db8::{last}/64" for last in ("5e", "5f", "60", "61")),
    ]
