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


def marked(tmp_path: Path, name: str, mark: int, **options: str | int) -> Loaded:
    """A cluster with a service by mark on top; its options are those of `cluster`."""
    number = int(options.get("vip", 50)) + 1
    text = f"  web: {{vip: 192.0.2.{number}, port: 8080, fwmark: {mark}, real_servers: [web1]}}\n"
    return cluster(tmp_path, name, more=text, **options)  # type: ignore[arg-type]


def test_one_mark_on_one_director(tmp_path: Path) -> None:
    first, second = marked(tmp_path, "a", 7), marked(tmp_path, "b", 7, vrid=61, vip=60)
    (finding,) = check_together([first, second])
    assert (finding.code, finding.severity) == ("LVS245", Severity.ERROR)
    assert finding.summary == (
        f"the mark 7 is that of 'web' in the cluster 'a' ({first.cluster.source}), on the same director"
    )
    assert finding.place
    assert (finding.place.line, finding.place.column) == (13, 46)
    assert not check_together([first, marked(tmp_path, "c", 8, vrid=62, vip=70)])


def test_one_mark_on_other_directors(tmp_path: Path) -> None:
    first = marked(tmp_path, "a", 7)
    path = tmp_path / "b.yaml"
    text = TEXT.format(name="b", net="198.51.100", vrid=51, vip=60, unicast="false")
    more = "  web: {vip: 198.51.100.61, port: 8080, fwmark: 7, real_servers: [web1]}\n"
    path.write_text(text + more, "utf-8")
    assert not check_together([first, load(path, environ={})])


def test_the_vip_is_the_others_host(tmp_path: Path) -> None:
    """Whichever of the two comes first."""
    first = cluster(tmp_path, "a")
    path = tmp_path / "b.yaml"
    text = TEXT.format(name="b", net="192.0.2", vrid=61, vip=12, unicast="false")
    path.write_text(text.replace("192.0.2.12}", "192.0.2.13}"), "utf-8")
    second = load(path, environ={})
    for both in ([first, second], [second, first]):
        (finding,) = check_together(both)
        assert finding.code == "LVS246"
        assert finding.summary == (
            f"the VIP 192.0.2.12 is web2's own address in the cluster 'a' ({first.cluster.source})"
        )
        assert finding.place
        assert (finding.place.file, finding.place.line, finding.place.column) == (str(path), 12, 15)


def test_one_gateway_of_two_clusters(tmp_path: Path) -> None:
    first = cluster(tmp_path, "a", more=NAT)
    (finding,) = check_together([first, cluster(tmp_path, "b", vrid=61, vip=60, more=NAT)])
    assert finding.code == "LVS247"
    assert finding.summary == (
        f"the gateway 10.2.0.1 belongs to the cluster 'a' ({first.cluster.source}) too"
    )
    other = cluster(tmp_path, "c", vrid=71, vip=70, more=NAT.replace("2.0.1", "3.0.1"))
    assert not check_together([first, other])
