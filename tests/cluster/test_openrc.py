"""A real server under OpenRC, with Debian's package of it: enabled, started, mended, there after a reboot."""

from __future__ import annotations

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
PACKAGES = ("openrc", "libeinfo1", "librc1")
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "directors": {"lvs1": {"address": "192.0.2.2", "interface": "eth0"}},
    "real_servers": {"web1": {"address": "192.0.2.11"}, "web2": {"address": "192.0.2.12"}},
    "services": {"http": {"vip": VIP, "port": 80, "mode": "dr", "real_servers": ["web1", "web2"]}},
}


@pytest.fixture(scope="module")
def openrc(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the packages put on a machine, as a tar archive."""
    folder: Path = tmp_path_factory.mktemp("openrc")
    done = subprocess.run(
        ["apt-get", "download", *PACKAGES], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"apt-get cannot download {', '.join(PACKAGES)}: {done.stderr.strip()}")
    for deb in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / "root")], check=True)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for top in sorted((folder / "root").iterdir()):
            # /sbin and /lib are links on a machine with a merged /usr.
            inside = {"sbin": "usr/sbin", "lib": "usr/lib", "bin": "usr/bin"}.get(top.name, top.name)
            tar.add(top, inside)
    return archive.getvalue()


@pytest.fixture(scope="module")
def cluster(openrc: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {"web1": [80], "web2": [80]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SSHD, serve=serve) as cluster:
        cluster.lab.exec("web1", "tar -x --keep-directory-symlink -C / && ldconfig", input=openrc)
        boot(cluster)
        cluster.run("apply")
        yield cluster


def boot(cluster: Living) -> None:
    """What init does on a machine with OpenRC, as far as the services go."""
    cluster.sh("web1", "mkdir -p /etc/runlevels/default; openrc default >/dev/null 2>&1")


def test_it_is_enabled_and_started(cluster: Living) -> None:
    assert cluster.drift() == []
    assert "lvsdeploy-shop" in cluster.sh("web1", "rc-update show default")
    assert "started" in cluster.sh("web1", "rc-service lvsdeploy-shop status && rc-status default")
    assert f"{VIP}/32" in cluster.sh("web1", "ip -o address show dev lo")
    assert set(cluster.requests("client", f"http://{VIP}/", 6)) == {"web1", "web2"}


@pytest.mark.parametrize(
    "injury",
    ["rc-update delete lvsdeploy-shop default", "rc-service lvsdeploy-shop stop"],
    ids=["not at boot", "stopped"],
)
def test_drift_is_found_and_mended(cluster: Living, injury: str) -> None:
    cluster.sh("web1", injury)
    assert "web1: service lvsdeploy-shop [changed on the host]" in cluster.drift()
    cluster.run("apply")
    assert cluster.drift() == []


def test_it_is_there_after_a_reboot(cluster: Living) -> None:
    cluster.lab.reboot("web1")
    assert VIP not in cluster.sh("web1", "ip address")
    boot(cluster)
    assert cluster.drift() == []
    assert f"{VIP}/32" in cluster.sh("web1", "ip -o address show dev lo")
    assert cluster.answering_macs("client", VIP) == {cluster.mac("lvs1")}
