"""Where the memory of a cluster stands."""

from __future__ import annotations

import pytest

from lvsdeploy.desired import probe_paths, render_all
from lvsdeploy.record import cluster_of, history_path, is_record, manifest_path
from lvsdeploy.record.paths import files_of, units_of
from tests.desired import clusters


def test_paths_of_records() -> None:
    assert is_record(manifest_path("shop"))
    assert cluster_of(manifest_path("api-2")) == "api-2"
    assert history_path("shop", "x") == "/var/lib/lvsdeploy/shop/history/x.json"


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/lvsdeploy/shop/other.json",
        "/var/lib/lvsdeploy/shop/manifest.json.before-lvsdeploy",
        "/var/lib/lvsdeploy/shop/manifest.json\n",
        "/var/lib/lvsdeploy/../manifest.json",
        "/var/lib/lvsdeploy/shop/x/manifest.json",
        "/var/lib/lvsdeploy/Shop/manifest.json",
        "/etc/manifest.json",
        "",
    ],
)
def test_paths_of_none(path: str) -> None:
    assert not is_record(path)
    assert cluster_of(path) == ""


@pytest.mark.parametrize("name", clusters.CASES)
def test_whatever_is_written_is_believed(name: str) -> None:
    cluster = clusters.CASES[name]()
    for host, state in render_all(cluster).items():
        assert all(files_of(cluster.name).fullmatch(path) for path in state.files)
        assert all(files_of(None).fullmatch(path) for path in state.files)
        shared = ("/etc/keepalived/", "/etc/ipvsadm.rules", "/etc/default/ipvsadm")  # the distribution's own
        own = [path for path in state.files if not path.startswith(shared)]
        assert not any(files_of("blog").fullmatch(path) for path in own)
        assert all(units_of(cluster.name).fullmatch(unit) for unit in state.units)
        written = [path for path, known in probe_paths(cluster, host).items() if known]
        assert all(files_of(cluster.name).fullmatch(path) for path in written)


def test_a_cluster_s_name_is_no_pattern() -> None:
    assert not files_of("sh.p").fullmatch("/etc/lvsdeploy/shop/real-server")
