"""Clusters that meet on one network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory import Loaded, check_together, load

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
version: 1
cluster: {name}
directors:
  lvs1: {{address: {net}.2, interface: eth0}}
  lvs2: {{address: {net}.3, interface: eth0}}
vrrp: {{virtual_router_id: {vrid}, unicast: {unicast}}}
real_servers:
  web1: {{address: {net}.11}}
  web2: {{address: {net}.12}}
services:
  http: {{vip: {net}.{vip}, port: 80, real_servers: [web1, web2]}}
"""
NAT = "nat: {gateway: 10.2.0.1/24, interface: eth1}\n"


def cluster(
    tmp_path: Path,
    name: str,
    *,
    net: str = "192.0.2",
    vrid: int = 51,
    vip: int = 50,
    unicast: str = "false",
    more: str = "",
) -> Loaded:
    path = tmp_path / f"{name}-{net}-{vrid}.yaml"
    text = TEXT.format(name=name, net=net, vrid=vrid, vip=vip, unicast=unicast) + more
    path.write_text(text, encoding="utf-8")
    return load(path, environ={})


def test_one_router_id_on_one_segment(tmp_path: Path) -> None:
    both = [cluster(tmp_path, "a"), cluster(tmp_path, "b", vip=60)]
    (finding,) = check_together(both)
    assert (finding.code, finding.severity) == ("LVS208", Severity.ERROR)
    assert finding.place
    assert (finding.place.file, finding.place.line) == (both[1].cluster.source, 7)


def test_nat_takes_the_next_router_id_too(tmp_path: Path) -> None:
    first = cluster(tmp_path, "a", more=NAT)
    assert check_together([first, cluster(tmp_path, "b", vrid=52, vip=60)])
    assert not check_together([first, cluster(tmp_path, "c", vrid=53, vip=61)])


def test_other_segments_do_not_meet(tmp_path: Path) -> None:
    assert not check_together([cluster(tmp_path, "a"), cluster(tmp_path, "b", net="198.51.100")])


def test_unicast_keeps_strangers_apart(tmp_path: Path) -> None:
    """Directors in one /24 that are not the same machines: advertisements do not meet."""
    first = cluster(tmp_path, "a", unicast="true")
    text = TEXT.format(name="b", net="192.0.2", vrid=51, vip=60, unicast="true")
    path = tmp_path / "b.yaml"
    path.write_text(text.replace("192.0.2.2,", "192.0.2.4,").replace("192.0.2.3,", "192.0.2.5,"), "utf-8")
    (finding,) = check_together([first, load(path, environ={})])
    assert (finding.code, finding.severity) == ("LVS208", Severity.WARNING)


def test_one_vip_in_two_clusters(tmp_path: Path) -> None:
    codes = [f.code for f in check_together([cluster(tmp_path, "a"), cluster(tmp_path, "b", vrid=52)])]
    assert codes == ["LVS209"]


def test_one_name_on_one_host(tmp_path: Path) -> None:
    both = [cluster(tmp_path, "a"), cluster(tmp_path, "a", vrid=52, vip=60)]
    assert [f.code for f in check_together(both)] == ["LVS210"]
