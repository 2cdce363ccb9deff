"""Whole rendered trees, kept as files: a change of a template shows in review as what it does to hosts.

`LVSDEPLOY_GOLDEN=write pytest tests/desired/test_golden.py` writes them anew.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lvsdeploy.desired import desired_state, render_all
from lvsdeploy.state.facts import Facts, ServiceManager
from lvsdeploy.state.netfilter import Firewall
from tests.desired import check_clusters, clusters

CASES = {**clusters.CASES, **check_clusters.CASES}
GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("LVSDEPLOY_GOLDEN") == "write"

VARIANTS = {"mixed": (ServiceManager.OPENRC, ServiceManager.SYSV)}
"""Cases whose real servers are also kept as they are under other service managers."""
DIRECTORS = {"marks": (ServiceManager.OPENRC, ServiceManager.SYSV)}
"""Cases whose first director is kept under them, too, with iptables and not nft."""


def trees() -> dict[str, dict[str, bytes]]:
    """Folder of a case -> HOST/PATH -> content."""
    found = {}
    for name, build in CASES.items():
        cluster = build()
        states = render_all(cluster)
        found[name] = {
            f"{host}{path}": file.content
            for host, state in states.items()
            for path, file in state.files.items()
        }
        for manager in VARIANTS.get(name, ()):
            found[f"{name}-{manager}"] = {
                f"{server.name}{path}": file.content
                for server in cluster.real_servers
                for path, file in desired_state(
                    cluster, server.name, Facts(service_manager=manager)
                ).files.items()
            }
        for manager in DIRECTORS.get(name, ()):
            facts = Facts(service_manager=manager, firewall=Firewall.IPTABLES)
            state = desired_state(cluster, cluster.directors[0].name, facts)
            found[f"{name}-iptables-{manager}"] = {
                f"{cluster.directors[0].name}{path}": file.content
                for path, file in state.files.items()
                if "keepalived.conf" not in path
            }
    return found


TREES = trees()


@pytest.mark.parametrize("case", TREES)
def test_tree_is_as_kept(case: str) -> None:
    folder = GOLDEN / case
    if WRITE:
        shutil.rmtree(folder, ignore_errors=True)
        for path, content in TREES[case].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    kept = {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
    assert sorted(TREES[case]) == sorted(kept)
    for path, content in TREES[case].items():
        assert content.decode() == kept[path].decode(), path


def test_nothing_else_is_kept() -> None:
    assert sorted(TREES) == sorted(folder.name for folder in GOLDEN.iterdir())


@pytest.mark.parametrize("case", TREES)
def test_text_is_tidy(case: str) -> None:
    for path, content in TREES[case].items():
        text = content.decode("ascii")
        assert text.endswith("\n"), path
        assert "\n\n\n" not in text, path
        assert not text.endswith("\n\n"), path
        assert not [line for line in text.splitlines() if line != line.rstrip() or "\t" in line], path
