"""Transactions run for real, by each shell, in a network and mount namespace of their own."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.execute.transaction import Outcome, Program, build, read_outcome
from lvsdeploy.plan.change import Phase, Step
from lvsdeploy.state.facts import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

TOKEN = "0123456789abcdef"  # noqa: S105 — it frames an answer
READ = Program("printf 'read: '; cat", b"the request")
SHELLS = ("dash", "bash", "busybox")


class Run:
    """Runs steps with one of the shells as `sh`, and an empty /run; `said` is what went to stderr."""

    def __init__(self, tools: Path) -> None:
        self._path = f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin"
        self.said = ""

    def __call__(self, *steps: Step, before: str = ":", after: str = ":", cut: int | None = None) -> Outcome:
        """`before` prepares, `after` looks; `cut` sends only so many bytes."""
        program = build(
            steps, manager=ServiceManager.SYSV, token=TOKEN, owner="anna@desk, since noon", probe=READ
        )
        script = (
            "mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && mkdir -p /run/lvsdeploy && ip link set lo up && "
            f"{before}\n{program.command}\ncode=$?\n({after}) >&2\nexit $code"
        )
        answer = subprocess.run(
            ["unshare", "--mount", "--net", "--", "sh", "-c", script],
            input=program.stdin if cut is None else program.stdin[:cut],
            capture_output=True,
            env={**os.environ, "PATH": self._path},
            check=False,
            timeout=60,
        )
        self.said = answer.stderr.decode()
        if cut is not None:
            assert answer.returncode != 0
            return Outcome()
        return read_outcome("web1", answer.stdout, steps, TOKEN)


@pytest.fixture(params=SHELLS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A Run for each shell."""
    tools = tmp_path / "bin"
    tools.mkdir()
    if request.param == "busybox":
        # busybox's own applets too, the way Alpine has them.
        subprocess.run(["busybox", "--install", "-s", str(tools)], check=True)
        (tools / "ip").unlink(missing_ok=True)  # Debian's busybox has no `ip address`
    else:
        (tools / "sh").symlink_to(f"/bin/{request.param}")
    return Run(tools)


def write(path: Path, content: bytes, mode: str = "0644") -> tuple[Step, Step]:
    return (
        Step(Phase.STAGE, ("stage", str(path), mode, "root:root"), content),
        Step(Phase.PLACE, ("place", str(path))),
    )


FAIL = Step(Phase.SETTLE, ("sysctl_set", "/proc/sys/no/such/key", "1"))
HOSTILE = b"no newline at the end, 'quotes', $(touch /tmp/pwned), \x00\xff" + b"x" * 200_000


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_files_are_written_with_content_mode_and_nothing_beside(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    one, two = root / "new/folder/one", root / "two"
    two.write_text("before")
    outcome = run(*write(one, HOSTILE, "0600"), *write(two, b""))
    assert outcome == Outcome(reading=b"read: the request")
    assert (one.read_bytes(), one.stat().st_mode & 0o777) == (HOSTILE, 0o600)
    assert one.parent.stat().st_mode & 0o777 == 0o755
    assert (two.read_bytes(), two.stat().st_mode & 0o777) == (b"", 0o644)
    assert names(root) == {"new", "new/folder", "new/folder/one", "two"}


def test_a_failed_step_undoes_everything(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    old, gone = root / "old", root / "gone"
    for file in (old, gone):
        file.write_text("as it was")
        file.chmod(0o640)
    outcome = run(
        *write(root / "deep/er/new", b"new"),
        *write(old, b"changed"),
        Step(Phase.PLACE, ("remove", str(gone))),
        Step(Phase.WITHDRAW, ("keep_copy", str(old))),
        Step(Phase.SYSCTL, ("sysctl_set", "/proc/sys/net/ipv4/conf/all/arp_ignore", "1")),
        Step(Phase.ADDRESS, ("address_add", "lo", "192.0.2.50/32")),
        FAIL,
        after="cat /proc/sys/net/ipv4/conf/all/arp_ignore; ip -o address show dev lo; ls -A /run/lvsdeploy",
    )
    assert outcome.failed == FAIL
    assert outcome.undone
    assert "no/such/key" in outcome.detail
    assert names(root) == {"old", "gone"}
    for file in (old, gone):
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("as it was", 0o640)
    said = run.said
    assert said.splitlines()[0] == "0"
    assert "192.0.2.50" not in said
    assert said.rstrip().splitlines()[-1].startswith("1: lo"), "the work folder and the lock are gone"


def test_a_package_that_stays_installed_is_named(run: Run, tmp_path: Path) -> None:
    # A stand-in for apt-get: the question is what is said after an installation; the lab does real ones.
    apt = tmp_path / "bin/apt-get"
    apt.write_text("#!/bin/sh\nexit 0\n")
    apt.chmod(0o755)
    install = Step(Phase.INSTALL, ("install_package", "apt-get", "keepalived"))
    outcome = run(install, FAIL)
    assert outcome.failed == FAIL
    assert outcome.undone
    assert "package keepalived stays installed" in outcome.detail
    assert run(install).detail == ""


def test_addresses_and_sysctls_are_set_and_taken_away(run: Run) -> None:
    outcome = run(
        Step(Phase.SYSCTL, ("sysctl_set", "/proc/sys/net/ipv4/conf/all/arp_announce", "2")),
        Step(Phase.ADDRESS, ("address_add", "lo", "192.0.2.50/32")),
        Step(Phase.ADDRESS, ("address_add", "lo", "192.0.2.50/32")),
        Step(Phase.WITHDRAW, ("address_del", "lo", "192.0.2.51/32")),
        before="ip address add 192.0.2.51/32 dev lo",
        after="cat /proc/sys/net/ipv4/conf/all/arp_announce; ip -o -4 address show dev lo",
    )
    assert outcome.failed is None, outcome.detail
    lines = run.said.splitlines()
    assert lines[0] == "2"
    assert [line.split()[3] for line in lines[1:]] == ["127.0.0.1/8", "192.0.2.50/32"]


def test_the_default_route_is_replaced_and_put_back(run: Run) -> None:
    network = (
        "ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up"
        " && ip address add 10.2.0.21/24 dev eth0"
        " && ip route add default via 10.2.0.254 dev eth0 proto static metric 0"
    )
    route = Step(Phase.ROUTE, ("route_default", "10.2.0.1"))
    show = "ip route show default"
    assert run(route, before=network, after=show).failed is None
    assert run.said.split()[:3] == ["default", "via", "10.2.0.1"]
    assert run(route, FAIL, before=network, after=show).undone
    assert run.said.split()[:3] == ["default", "via", "10.2.0.254"]
    assert len(run.said.splitlines()) == 1


def test_a_cut_transfer_changes_nothing(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    steps = write(root / "file", b"content" * 1000)
    for cut in (0, 10, 5000, -1):
        run(*steps, cut=cut)
        assert "nothing was changed" in run.said
    assert names(root) == set()


def test_a_second_apply_is_told_who_holds_the_lock(run: Run, tmp_path: Path) -> None:
    held = 'echo "$$ /run/lvsdeploy/apply.x bob@laptop, since ten" >/run/lvsdeploy/lock'
    outcome = run(*write(tmp_path / "file", b"x"), before=held)
    assert outcome.busy == "bob@laptop, since ten"
    assert not (tmp_path / "file").exists()


def test_the_lock_of_a_dead_holder_is_taken_over(run: Run, tmp_path: Path) -> None:
    # PID 1 lives, and is nobody's transaction: a number that has been given away again.
    for pid in ("4194300", "1"):
        stale = f"mkdir /run/lvsdeploy/apply.x && echo {pid} /run/lvsdeploy/apply.x bob >/run/lvsdeploy/lock"
        outcome = run(*write(tmp_path / pid, b"x"), before=stale, after="ls -A /run/lvsdeploy")
        assert outcome.failed is None
        assert (tmp_path / pid).read_bytes() == b"x"
        assert run.said == "", "what the dead holder left is gone"


def test_no_undo_is_undone_for_ever(run: Run) -> None:
    """The interface of an address that goes is away when it should come back."""
    outcome = run(
        Step(Phase.WITHDRAW, ("address_del", "dummy0", "192.0.2.51/32")),
        Step(Phase.WITHDRAW, ("ip", "link", "del", "dummy0")),
        FAIL,
        before="ip link add dummy0 type veth && ip address add 192.0.2.51/32 dev dummy0",
    )
    assert outcome.failed == FAIL
    assert not outcome.undone
    assert "could not undo: address_add dummy0 192.0.2.51/32" in outcome.detail


def test_every_adopted_file_has_its_copy(run: Run, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    for text in ("first", "first", "second"):
        conf.write_text(text)
        adopt = Step(Phase.WITHDRAW, ("keep_copy", str(conf)))
        stage, place = write(conf, b"ours")
        assert run(stage, adopt, place).failed is None
    assert (tmp_path / "conf.before-lvsdeploy").read_text() == "first"
    assert (tmp_path / "conf.before-lvsdeploy.2").read_text() == "second"


def test_keepalived_refuses_and_the_old_file_stays(run: Run, tmp_path: Path) -> None:
    conf = tmp_path / "keepalived.conf"
    conf.write_text("# as it was\n")
    for bad in (b"vrrp_instance x {\n  interface nosuch\n}\n", b"global_defs {\n  bogus_word 1\n}\n"):
        stage, place = write(conf, bad)
        outcome = run(stage, Step(Phase.TEST, ("test_keepalived", str(conf))), place)
        assert outcome.failed is not None
        assert outcome.failed.words[0] == "test_keepalived"
        assert "keepalived -t" in outcome.detail
        assert "lvsdeploy-new" not in outcome.detail
        assert conf.read_text() == "# as it was\n"


def test_no_secret_stands_in_the_command_line() -> None:
    stage = Step(Phase.STAGE, ("stage", "/etc/x", "0600", "root:root"), b"auth_pass s3cret")
    program = build([stage], manager=ServiceManager.SYSTEMD, token=TOKEN, owner="me", probe=READ)
    assert "s3cret" not in program.command
    assert len(program.command) < 4096
    assert shlex.split(program.command)[0] == "sh"
