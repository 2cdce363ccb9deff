"""The wheel carries all that the commands need: tried out away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


class Installed:
    """The wheel, unpacked into a folder of its own; its dependencies are those of this environment."""

    def __init__(self, folder: Path) -> None:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (self.wheel,) = (folder / "dist").glob("*.whl")
        self.packages = folder / "packages"
        with zipfile.ZipFile(self.wheel) as archive:
            archive.extractall(self.packages)
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()

    def run(self, *arguments: str) -> str:
        """Runs Python with `arguments` from another folder, with the wheel's lvsdeploy first; its stdout."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.elsewhere,
            env={**os.environ, "PYTHONPATH": str(self.packages)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_it_is_this_lvsdeploy_that_is_tried(installed: Installed) -> None:
    where = installed.run("-c", "import lvsdeploy; print(lvsdeploy.__file__)")
    assert Path(where.strip()).is_relative_to(installed.packages)


def test_from_init_to_the_files_of_each_host(installed: Installed) -> None:
    installed.run("-m", "lvsdeploy", "init", "shop.yaml")
    assert "is valid" in installed.run("-m", "lvsdeploy", "validate", "shop.yaml")
    installed.run("-m", "lvsdeploy", "render", "shop.yaml", "--out", "tree")
    tree = installed.elsewhere / "tree"
    assert "virtual_server 192.0.2.50 80" in (tree / "lvs1/etc/keepalived/keepalived.conf").read_text()
    assert (tree / "web1/etc/lvsdeploy/shop/real-server").stat().st_mode & 0o111
    assert "properties" in json.loads(installed.run("-m", "lvsdeploy", "schema"))


def test_every_file_that_travels_is_there(installed: Installed) -> None:
    """Programs for hosts, templates and schemas: by git's list, so that a new one cannot be forgotten."""
    listed = subprocess.run(
        ["git", "ls-files", "lvsdeploy/*.sh", "templates", "schemas"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    with zipfile.ZipFile(installed.wheel) as archive:
        packed = set(archive.namelist())
    wanted = {
        name if name.startswith("lvsdeploy/") else f"lvsdeploy/_data/{name}" for name in listed.stdout.split()
    }
    assert len(wanted) > 10
    assert wanted - packed == set()


def test_the_command_s_entry_point(installed: Installed) -> None:
    (entry,) = installed.packages.glob("*.dist-info/entry_points.txt")
    assert "lvsdeploy = lvsdeploy.cli:main" in entry.read_text()
    (metadata,) = installed.packages.glob("*.dist-info/METADATA")
    assert "License-Expression: Apache-2.0" in metadata.read_text()
