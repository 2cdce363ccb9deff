"""`lvsdeploy lab`: an example inventory, rehearsed as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lvsdeploy.cli.laboratory import served
from lvsdeploy.inventory import load

ROOT = Path(__file__).parents[2]


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lvsdeploy", "lab", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
    )


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root")
def test_a_command_runs_among_the_machines_and_its_exit_code_is_passed_on() -> None:
    inventory = "inventories/dr-minimal.yaml"
    request = "ssh client curl -s --max-time 2 --retry 10 --retry-all-errors http://192.0.2.50/"
    done = lab(
        inventory, "sh", "-c", f"lvsdeploy apply {inventory} && {request} && ssh web1 hostname; exit 7"
    )
    assert done.returncode == 7, done.stderr
    assert "read back and as declared" in done.stdout
    assert done.stdout.splitlines()[-2].split()[0] in {"web1", "web2"}
    assert done.stdout.splitlines()[-1] == "web1"


def test_an_invalid_inventory_starts_nothing(tmp_path: Path) -> None:
    inventory = tmp_path / "bad.yaml"
    inventory.write_text("version: 1\n")
    done = lab(str(inventory), "true")
    assert done.returncode == 3
    assert "starting" not in done.stderr


def test_a_cluster_that_cannot_be_laid_out_is_one_clear_line(tmp_path: Path) -> None:
    text = (ROOT / "inventories/dr-minimal.yaml").read_text().replace("web1", "router")
    inventory = tmp_path / "clash.yaml"
    inventory.write_text(text)
    done = lab(str(inventory), "true")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "lvsdeploy: the lab needs the name router for a machine of its own"


def test_who_serves_what(tmp_path: Path) -> None:
    """Each destination and sorry server of TCP, also of a mark and of a range."""
    inventory = tmp_path / "cluster.yaml"
    inventory.write_text(
        """
version: 1
cluster: shop
directors: {lvs1: {address: 192.0.2.2, interface: eth0}}
real_servers: {web1: {address: 192.0.2.11}, web2: {address: 192.0.2.12}, sorry: {address: 192.0.2.13}}
services:
  http: {vip: 192.0.2.50, port: 80, real_servers: [web1], sorry_server: {address: 192.0.2.13}}
  both: {vip: 192.0.2.51, ports: [443, "8000-8010"], fwmark: 1, real_servers: [web2]}
  dns: {vip: 192.0.2.52, port: 53, protocol: udp, real_servers: [web1], health_check: none}
"""
    )
    expected = {("web1", 80), ("sorry", 80), ("web2", 443), ("web2", 8000), ("web2", 8010)}
    assert set(served(load(inventory).cluster)) == expected
