"""What a keepalived says of itself: the version, and what it was built with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.observe import Request
from tests.observe.sandbox import needs_namespaces

if TYPE_CHECKING:
    from tests.observe.sandbox import Sandbox

RECORDED = sorted((Path(__file__).parent / "recorded" / "keepalived").iterdir())
ALWAYS = {"LVS", "VRRP", "VRRP_AUTH", "VRRP_VMAC", "SO_MARK"}
TUNNELS = {"IPVS_TUN_TYPE", "IPVS_TUN_CSUM", "IPVS_TUN_GRE"}
SOME = {"BFD", "REGEX", "NFTABLES", "JSON", "VRRP_IPVLAN", "VRF", *TUNNELS}
BUILT_WITH = {
    "2.0.20-centos-7": set(),
    "2.1.5-rhel-8": {"VRRP_IPVLAN", "VRF"},
    "2.2.4-ubuntu-22.04": SOME,
    "2.2.7-debian-12": SOME,
    "2.3.1-ubuntu-20.04": SOME - {"BFD", "REGEX", "JSON"},
    "2.3.4-centos-9": SOME - {"BFD", "REGEX", "JSON", "NFTABLES"},
}


def stand_in(sandbox: Sandbox, text: str) -> None:
    """A keepalived that says `text`, on stderr as keepalived does."""
    if not shutil.which("keepalived"):
        pytest.skip("no keepalived to stand in for")
    program = sandbox.folder / "keepalived"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}END\n")
    program.chmod(0o755)
    sandbox.setup = [f"mount --bind {program} $(command -v keepalived)"]


@needs_namespaces
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_versions(sandbox: Sandbox, recorded: Path) -> None:
    stand_in(sandbox, recorded.read_text())
    facts = sandbox.observe(Request(programs=("keepalived", "ip"))).facts
    assert facts.programs["keepalived"] == recorded.stem.split("-")[0]
    built_with = facts.built_with["keepalived"]
    assert built_with >= ALWAYS
    assert built_with & SOME == BUILT_WITH[recorded.stem]
    assert facts.built_with.keys() == {"keepalived"}


@needs_namespaces
def test_one_that_says_nothing_of_its_options(sandbox: Sandbox) -> None:
    """1.3.5, of RHEL 7, has a line of `Build options`, which are others."""
    stand_in(sandbox, "Keepalived v1.3.5 (03/19,2017), git commit v1.3.5-6-g6fa32f2\n\nBuild options:  LVS\n")
    facts = sandbox.observe(Request(programs=("keepalived",))).facts
    assert (dict(facts.programs), dict(facts.built_with)) == ({"keepalived": "1.3.5"}, {})


@needs_namespaces
def test_what_it_says_is_no_trusted_text(sandbox: Sandbox) -> None:
    head = "\x1b[31m Keepalived v9.9.9\n"
    stand_in(sandbox, f"{head}Config options:  $(reboot) \x1b]0;x\x07 LVS\nSystem options:\n")
    facts = sandbox.observe(Request(programs=("keepalived",))).facts
    assert facts.programs["keepalived"] == "9.9.9"
    assert "LVS" in facts.built_with["keepalived"]
    assert all(word.isprintable() for word in facts.built_with["keepalived"])
