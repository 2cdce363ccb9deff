"""The shortest and the longest times that an inventory may have are those that keepalived takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired.templates import seconds
from lvsdeploy.inventory import load
from tests.desired import namespace
from tests.desired.test_keepalived import assert_accepted, text
from tests.inventory.shown import findings_of

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = """
version: 1
cluster: shop
directors:
  lvs1: {{address: 192.0.2.2, interface: eth0}}
  lvs2: {{address: 192.0.2.3, interface: eth0}}
vrrp:
  garp: {{delay: {whole}, lower_prio_delay: {whole}}}
  track_scripts: {{chk: {{path: /usr/bin/true, interval: {script}, timeout: {script}}}}}
real_servers:
  web1: {{address: 192.0.2.11}}
  web2: {{address: 192.0.2.12}}
services:
  http: {{vip: 192.0.2.50, port: 80, real_servers: [web1, web2],
          health_check: {{type: tcp, interval: {interval}, timeout: {timeout}, retry_delay: {interval}}}}}
  prog: {{vip: 192.0.2.50, port: 81, real_servers: [web1, web2],
          health_check: {{type: script, path: /usr/bin/true, timeout: {script}}}}}
"""
LEAST = {"whole": "0", "script": "1", "interval": "0.000001", "timeout": "0.000001"}
MOST = {"whole": "4294", "script": "4294", "interval": "86400", "timeout": "4294"}


def inventory(folder: Path, **times: str) -> Path:
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY.format(**times))
    return path


@namespace.needs("keepalived")
@pytest.mark.parametrize("times", [LEAST, MOST], ids=["least", "most"])
def test_keepalived_takes_the_bounds(times: dict[str, str], tmp_path: Path) -> None:
    cluster = load(inventory(tmp_path, **times), environ={}).cluster
    file = tmp_path / "keepalived.conf"
    file.write_text(text(cluster))
    assert_accepted(file)


@pytest.mark.parametrize(
    ("beyond", "keys"),
    [
        ({"interval": "0.0000001"}, {"interval", "retry_delay"}),
        ({"timeout": "0.0000009"}, {"timeout"}),
        ({"timeout": "4294.1"}, {"timeout"}),
        ({"script": "4295"}, {"interval", "timeout"}),
        ({"whole": "4295"}, {"delay", "lower_prio_delay"}),
        ({"whole": "-1"}, {"delay", "lower_prio_delay"}),
    ],
)
def test_what_is_beyond_is_refused(beyond: dict[str, str], keys: set[str], tmp_path: Path) -> None:
    found = findings_of(inventory(tmp_path, **LEAST | beyond))
    told = {finding.summary.split("'")[1] for finding in found if finding.code == "LVS016"}
    assert told == keys


def test_a_short_time_is_never_none() -> None:
    assert [seconds(value) for value in (0, 1e-9, 1e-6, 0.25, 3.0, 4294.5)] == [
        "0",
        "0.000001",
        "0.000001",
        "0.25",
        "3",
        "4294.5",
    ]
