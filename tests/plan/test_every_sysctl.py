"""Every sysctl of IPVS by its name: inventory, rendered file, desired state, probe and plan mean the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import desired_state
from lvsdeploy.inventory import load
from lvsdeploy.inventory.schema_check import schema
from lvsdeploy.observe import Request, parse
from lvsdeploy.state.facts import Facts
from lvsdeploy.state.sysctl import IPVS, path_of
from tests.inventory.test_rules import inventory
from tests.observe.test_sections import answer
from tests.plan.hosts import SYSCTL_D, changed, converged, steps, told

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.sysctl import Value

OTHERWISE: dict[str, Value] = {
    "am_droprate": 20,
    "amemthresh": 2048,
    "backup_only": 1,
    "cache_bypass": 1,
    "conn_reuse_mode": 2,
    "conntrack": 1,
    "drop_entry": 1,
    "drop_packet": 1,
    "est_cpulist": "0",
    "est_nice": -5,
    "expire_nodest_conn": 0,
    "expire_quiescent_template": 1,
    "ignore_tunneled": 1,
    "nat_icmp_send": 1,
    "pmtu_disc": 0,
    "run_estimation": 0,
    "schedule_icmp": 1,
    "secure_tcp": 1,
    "sloppy_sctp": 1,
    "sloppy_tcp": 1,
    "snat_reroute": 0,
    "sync_persist_mode": 1,
    "sync_ports": 2,
    "sync_qlen_max": 4096,
    "sync_refresh_period": 10,
    "sync_retries": 2,
    "sync_sock_size": 65536,
    "sync_threshold": "2 20",
    "sync_version": 0,
}
"""A value of each that is neither the kernel's nor lvsdeploy's default; the lab sets them all, too."""
USUAL: dict[str, Value] = {**IPVS, "expire_nodest_conn": 1, "est_cpulist": "0-3", "sync_qlen_max": 7}
"""The kernel's defaults, and lvsdeploy's; two of them depend on the machine."""


def declaring(folder: Path, name: str, value: Value) -> Cluster:
    path = folder / "inventory.yaml"
    written = f'"{value}"' if isinstance(value, str) else value
    path.write_text(inventory(f"ipvs: {{sysctls: {{{name}: {written}}}}}\n"), encoding="utf-8")
    return load(path).cluster


def test_all_names_are_known_everywhere() -> None:
    names = schema()["$defs"]["ipvs"]["properties"]["sysctls"]["properties"].keys()
    assert names == OTHERWISE.keys()
    assert names == USUAL.keys()
    assert [name for name in names if USUAL[name] == OTHERWISE[name]] == []


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_sysctl_by_name(name: str, tmp_path: Path) -> None:
    value, key = OTHERWISE[name], f"net.ipv4.vs.{name}"
    cluster = declaring(tmp_path, name, value)
    value = 0 if value == "0" else value
    state = desired_state(cluster, "lvs1", Facts())
    assert state.sysctls[key] == value
    assert f"\n{key} = {value}\n" in state.files[SYSCTL_D].content.decode()

    shown = str(value).replace(" ", "\t")  # as /proc/sys shows it
    section = f"sysctls\nip_forward 0\nvs {name} {shown}"
    request = Request(token="f00d")  # noqa: S106 — not a password
    seen = parse("lvs1", answer(section), request).state.sysctls
    assert seen[key] == value

    context = converged(cluster, "lvs1")
    assert told(context) == []
    others = {**context.actual.sysctls, key: USUAL[name]}
    found = changed(context, sysctls=others)
    assert told(found) == [f"update sysctl {key} [changed on the host]: is {others[key]}, declared {value}"]
    assert steps(found) == [f"sysctl_set {path_of(key)} {value}"]
    assert path_of(key) == f"/proc/sys/net/ipv4/vs/{name}"
    assert told(replace(found, actual=replace(found.actual, sysctls={**others, **seen}))) == []
