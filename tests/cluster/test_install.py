"""A fresh host without keepalived and ipvsadm: planned, installed by its package manager, serving."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP = "192.0.2.50"
PACKAGES = ("ipvsadm", "keepalived")
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {"lvs1": {"address": "192.0.2.2", "interface": "eth0"}},
    "real_servers": {"web1": {"address": "192.0.2.11"}, "web2": {"address": "192.0.2.12"}},
    "services": {"http": {"vip": VIP, "port": 80, "mode": "dr", "real_servers": ["web1", "web2"]}},
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An apt repository of the two packages, as a tar archive."""
    folder = tmp_path_factory.mktemp("repository")
    done = subprocess.run(
        ["apt-get", "download", *PACKAGES], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"apt-get cannot download {' and '.join(PACKAGES)}: {done.stderr.strip()}")
    index = "".join(_entry(deb) for deb in sorted(folder.glob("*.deb")))
    (folder / "Packages").write_text(index)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(folder, "srv/repository")
    return archive.getvalue()


def _entry(deb: Path) -> str:
    fields = subprocess.run(["dpkg-deb", "-f", str(deb)], check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    return f"{fields}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n"


@pytest.fixture(scope="module")
def cluster(repository: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """A director as a distribution installs it, that knows of no repository yet."""
    serve = {"web1": [80], "web2": [80]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SSHD, serve=serve) as cluster:
        cluster.sh(
            "lvs1",
            f"dpkg --force-depends --purge {' '.join(PACKAGES)} 2>&1;"
            "rm -rf /etc/apt/sources.list* /etc/keepalived; find /var/lib/apt/lists -type f -delete;"
            # apt's own user may not be able to write below the overlay of the base machine.
            "echo 'APT::Sandbox::User \"root\";' >/etc/apt/apt.conf.d/99lab",
        )
        cluster.lab.exec("lvs1", "tar -x -C /", input=repository)
        yield cluster


def test_it_is_a_planned_install_and_no_error(cluster: Living) -> None:
    said = cluster.run("plan")
    for package in PACKAGES:
        assert f"+ package {package}: no `{package}` on the host; apt-get installs it" in said
    assert "error" not in said
    assert "lvs1: package keepalived [not there yet]" in cluster.drift()


def test_what_cannot_be_installed_is_one_clear_failure(cluster: Living) -> None:
    done = cluster.attempt("apply")
    assert done.returncode == 1
    assert "Unable to locate package" in done.stdout
    assert "everything was put back" in done.stdout
    assert "Applied to web1, web2:" in done.stdout
    left = "find /etc/keepalived /var/lib/lvsdeploy /run/lvsdeploy -mindepth 1 2>/dev/null; true"
    assert cluster.sh("lvs1", left) == ""


def test_apply_installs_starts_and_serves(cluster: Living) -> None:
    cluster.sh("lvs1", "echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list")
    assert "read back and as declared" in cluster.run("apply")
    for package in PACKAGES:
        assert "install ok installed" in cluster.sh("lvs1", f"dpkg -s {package}")
    assert cluster.drift() == []
    assert set(cluster.requests("client", f"http://{VIP}/", 4)) == {"web1", "web2"}
    assert "Nothing to do" in cluster.run("apply")
