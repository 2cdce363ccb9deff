"""Transactions run for real, by each shell, in a network and mount namespace of their own."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.execute.transaction import Outcome, Program, build, read_outcome
from lvsdeploy.plan.change import Phase, Step
from lvsdeploy.state.facts import ServiceManager
from tests.execute.running import READ, SHELLS, TOKEN, Namespace, shell_tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


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
            "mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && mkdir -p /run/lvsdeploy && "
            f"ip link set lo up && {before}\n{program.command}\ncode=$?\n({after}) >&2\nexit $code"
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
    return Run(shell_tools(tmp_path, request.param))


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


# --- what lasts: the journal, and what was there before ---------------------------------------------------


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Namespace]:
    """A host that stays between two transactions, for each shell."""
    host = Namespace(shell_tools(tmp_path, request.param))
    yield host
    left = host.sh("ls -A /run/lvsdeploy; ls -A /var/lib | grep lvsdeploy || :")
    host.close()
    assert left == "", "nothing is left behind"


ARP = "/proc/sys/net/ipv4/conf/all/arp_ignore"
DIE = Step(Phase.SETTLE, ("eval", "kill -9 $$"))  # no plan has such a step


def test_a_dead_transaction_is_undone_by_the_next_and_told(host: Namespace, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("as it was")
    steps = (
        *write(conf, b"changed"),
        Step(Phase.SYSCTL, ("sysctl_set", ARP, "1")),
        Step(Phase.ADDRESS, ("address_add", "lo", "192.0.2.50/32")),
    )
    with pytest.raises(AnswerInvalid):
        host.apply(*steps, DIE, owner="bob\x1b[1m\n0123456789abcdef done\n$(reboot)")
    assert conf.read_text() == "changed"
    outcome = host.apply(*steps)
    assert outcome == Outcome(
        recovered="bob [1m 0123456789abcdef done $(reboot)", reading=b"read: the request"
    ), "and no step was run"
    assert (conf.read_text(), host.sh(f"cat {ARP}")) == ("as it was", "0\n")
    assert "192.0.2.50" not in host.sh("ip address show dev lo")
    assert host.apply(*steps).failed is None
    assert conf.read_text() == "changed"
    assert names(tmp_path) & {".conf.lvsdeploy-old", ".conf.lvsdeploy-new"} == set()


def test_after_a_reboot_only_what_lasts_is_undone(host: Namespace, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("as it was")
    with pytest.raises(AnswerInvalid):
        host.apply(*write(conf, b"changed"), Step(Phase.SYSCTL, ("sysctl_set", ARP, "1")), DIE)
    host.sh(f"echo another >/var/lib/lvsdeploy/.journal/boot; echo 2 >{ARP}; rm -r /run/lvsdeploy/*")
    assert host.apply().recovered
    assert (conf.read_text(), host.sh(f"cat {ARP}")) == ("as it was", "2\n")


def test_an_undo_that_fails_is_told_and_is_not_in_the_way_for_ever(host: Namespace, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("as it was")
    with pytest.raises(AnswerInvalid):
        host.apply(Step(Phase.PREPARE, ("on_undo", "no_such_word", "a b")), *write(conf, b"new"), DIE)
    outcome = host.apply()
    assert (outcome.recovered != "", outcome.undone) == (True, False)
    assert "could not undo: no_such_word a b" in outcome.detail
    assert conf.read_text() == "as it was"
    assert host.apply() == Outcome(reading=b"read: the request")


def test_a_journal_is_undone_by_the_words_of_its_writer(host: Namespace) -> None:
    with pytest.raises(AnswerInvalid):
        host.apply(Step(Phase.PREPARE, ("on_undo", "older_word", "x")), DIE)
    older = 'older_word() { echo "$1" >/run/older; }'
    host.sh(f"cd /var/lib/lvsdeploy/.journal; {{ echo '{older}'; cat lib; }} >l; mv l lib")
    outcome = host.apply()
    assert outcome.undone, outcome.detail
    assert host.sh("cat /run/older") == "x\n"


def test_words_that_were_not_written_whole_are_passed_over(host: Namespace, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("x")
    with pytest.raises(AnswerInvalid):
        host.apply(*(Step(Phase.PREPARE, ("on_undo", "rm", "-f", f"{kept}-{n}")) for n in "12"), DIE)
    for number, cut in enumerate((f"4\\nrm\\n-f\\n{kept}\\n", f"3\\nrm\\n-f\\n{kept}"), 1):
        host.sh(f"printf '{cut}' >/var/lib/lvsdeploy/.journal/undo.{number}")
    assert host.apply().undone
    assert kept.exists()


def test_a_line_break_in_a_value_is_refused(host: Namespace, tmp_path: Path) -> None:
    outcome = host.apply(*write(tmp_path / "a\nb", b"x"))
    assert outcome.failed is not None
    assert outcome.undone
    assert "line break" in outcome.detail
    assert not list(tmp_path.glob("a*"))


def test_a_host_that_somebody_changed_in_between_is_left_alone(host: Namespace, tmp_path: Path) -> None:
    record = tmp_path / "manifest.json"
    steps = write(tmp_path / "file", b"x")
    here: dict[str, Any] = {"record": str(record)}
    assert host.apply(*steps, **here, expect="0" * 64) == Outcome(moved=True, reading=b"read: the request")
    record.write_text("{}")
    assert host.apply(*steps, **here, expect="-").moved
    assert not (tmp_path / "file").exists()
    assert not host.apply(*steps, **here, expect=hashlib.sha256(b"{}").hexdigest()).moved
    assert not host.apply(*steps, **here, expect="").moved
    assert (tmp_path / "file").exists()


def test_a_commit_that_was_killed_is_ended_without_a_word(host: Namespace, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    gone = tmp_path / "folder/gone"
    gone.write_text("x")
    killed = Step(Phase.SETTLE, ("on_commit", "eval", "kill -9 $(cut -d' ' -f1 /run/lvsdeploy/lock)"))
    tidies = Step(Phase.RECORD, ("on_commit", "rmdir_if_empty", str(gone.parent)))
    with pytest.raises(AnswerInvalid):
        host.apply(killed, Step(Phase.PLACE, ("remove", str(gone))), tidies)
    assert host.sh("ls -A /var/lib/lvsdeploy") == ".done\n"
    host.sh("rm /var/lib/lvsdeploy/.done/commit.1001")
    assert host.apply() == Outcome(reading=b"read: the request")
    assert not gone.parent.exists()


def test_the_copy_of_an_adopted_file_is_given_back(host: Namespace, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    digests = []
    for text in ("first", "second"):
        conf.write_text(text)
        conf.chmod(0o604)
        os.utime(conf, (1_000_000_000, 1_000_000_000))
        digests.append(hashlib.sha256(text.encode()).hexdigest())
        stage, place = write(conf, b"ours")
        assert host.apply(stage, Step(Phase.WITHDRAW, ("keep_copy", str(conf))), place).failed is None
    back = Step(Phase.PLACE, ("give_back", str(conf), digests[1]))
    assert host.apply(back, FAIL).undone
    assert (conf.read_text(), len(list(tmp_path.glob("conf.before*")))) == ("ours", 2)
    assert host.apply(back).failed is None
    seen = conf.stat()
    assert (conf.read_text(), seen.st_mode & 0o777, seen.st_mtime) == ("second", 0o604, 1_000_000_000)
    assert [path.name for path in tmp_path.glob("*conf*")] in (
        ["conf", "conf.before-lvsdeploy"],
        ["conf.before-lvsdeploy", "conf"],
    )
    conf.unlink()
    assert host.apply(Step(Phase.PLACE, ("give_back", str(conf), digests[0]))).failed is None
    assert conf.read_text() == "first"
    outcome = host.apply(back)
    assert outcome.failed == back
    assert outcome.undone
    assert "there is no copy of" in outcome.detail
    assert conf.read_text() == "first"


VETH = (
    "ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up; "
    "ip address add 10.2.0.21/24 dev eth0; "
)


@pytest.mark.parametrize(
    ("now", "words", "then"),
    [
        ("default via 10.2.0.1", "default via 10.2.0.254 dev eth0 proto static", "default via 10.2.0.254"),
        ("default via 10.2.0.1", "default via 10.2.0.254 dev eth0 metric 100", "default via 10.2.0.254"),
        ("default via 10.2.0.1", "", ""),
        ("default via 10.2.0.9", "default via 10.2.0.254", "default via 10.2.0.9"),
    ],
)
def test_the_route_is_given_back(host: Namespace, now: str, words: str, then: str) -> None:
    host.sh(VETH + f"ip route add {now}; ip route add default via 10.2.0.77 metric 500")
    before = host.sh("ip route show default")
    step = Step(Phase.ROUTE, ("route_back", "10.2.0.1", *words.split()))
    assert host.apply(step, FAIL).undone
    assert host.sh("ip route show default") == before
    assert host.apply(step).failed is None
    first, *others = host.sh("ip route show default").splitlines()
    assert first.startswith(then or "default via 10.2.0.77")
    assert len(others) == bool(then)


def test_a_route_with_several_ways_is_put_back(host: Namespace) -> None:
    host.sh(VETH + "ip route add default nexthop via 10.2.0.2 nexthop via 10.2.0.3")
    before = host.sh("ip route show default")
    assert host.apply(Step(Phase.ROUTE, ("route_default", "10.2.0.1")), FAIL).undone
    assert host.sh("ip route show default") == before


# --- IPv6 ---------------------------------------------------------------------------------------------------

VETH6 = (
    "ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up; "
    "ip address add 2001:db8:2::21/64 dev eth0 nodad; "
)
GATEWAY6 = "2001:db8:2::1"
ADVERTISED = "ip -6 route add default via fe80::1 dev eth0 proto ra metric {} expires 1800 pref medium; "


def default_routes(host: Namespace) -> list[str]:
    """The beginnings of IPv6 default routes, the preferred one first."""
    lines = host.sh("ip -6 route show default").splitlines()
    return [line.partition(" proto ra")[0].partition(" pref")[0] for line in lines]


def test_a_vip_of_ipv6_is_there_at_once(host: Namespace) -> None:
    step = Step(Phase.ADDRESS, ("address_add", "lo", "2001:db8::50/128"))
    assert host.apply(step, FAIL).undone
    assert "2001:db8::50" not in host.sh("ip -6 address show dev lo")
    assert host.apply(step).failed is None
    said = host.sh("ip -o -6 address show dev lo to 2001:db8::50")
    assert " tentative" not in said
    assert host.apply(step).failed is None
    assert host.apply(Step(Phase.WITHDRAW, ("address_del", "lo", "2001:db8::50/128"))).failed is None
    assert "2001:db8::50" not in host.sh("ip -6 address show dev lo")


def test_a_tentative_address_is_waited_for(host: Namespace) -> None:
    host.sh(VETH6)
    assert host.apply(Step(Phase.ADDRESS, ("address_add", "eth0", "2001:db8:2::50/128"))).failed is None
    said = host.sh("ip -o -6 address show dev eth0 to 2001:db8:2::50")
    assert "2001:db8:2::50/128" in said
    assert "tentative" not in said
    assert "src 2001:db8:2::21 " in host.sh("ip -6 route get 2001:db8:2::51"), "and is no source"


def test_an_address_that_another_machine_has(host: Namespace) -> None:
    host.sh(VETH6 + "ip address add 2001:db8:2::50/64 dev far nodad")
    step = Step(Phase.ADDRESS, ("address_add", "eth0", "2001:db8:2::50/128"))
    outcome = host.apply(step)
    assert (outcome.failed, outcome.undone) == (step, True)
    assert "another machine has 2001:db8:2::50/128: duplicate address detection failed" in outcome.detail
    assert "2001:db8:2::50" not in host.sh("ip -6 address show dev eth0")


@pytest.mark.parametrize(
    ("before", "stays"),
    [
        ("", []),
        ("ip -6 route add default via 2001:db8:2::9; ", ["default via 2001:db8:2::9 dev eth0 metric 1024"]),
        (ADVERTISED.format(1024), ["default via fe80::1 dev eth0"]),
        (ADVERTISED.format(100), ["default via fe80::1 dev eth0"]),
        ("ip -6 route add default via 2001:db8:2::9 metric 1; ", []),
    ],
    ids=["none", "a plain one", "advertised", "advertised, preferred", "as preferred as ours"],
)
def test_the_ipv6_default_route_comes_before_all_others(
    host: Namespace, before: str, stays: list[str]
) -> None:
    host.sh(VETH6 + before)
    were = default_routes(host)
    route = Step(Phase.ROUTE, ("route_default", GATEWAY6))
    assert host.apply(route, FAIL).undone
    assert default_routes(host) == were
    assert host.apply(route).failed is None
    assert default_routes(host) == [f"default via {GATEWAY6} dev eth0 metric 1", *stays]
    assert f"via {GATEWAY6} " in host.sh("ip -6 route get 2001:db8:9::1")
    words = "default via 2001:db8:2::9 dev eth0 metric 1 pref medium" if "metric 1;" in before else ""
    back = Step(Phase.ROUTE, ("route_back", GATEWAY6, *words.split()))
    assert host.apply(back, FAIL).undone
    assert default_routes(host)[0] == f"default via {GATEWAY6} dev eth0 metric 1"
    assert host.apply(back).failed is None
    assert default_routes(host) == were


def test_an_ipv6_route_that_stands_behind_ours_is_left_as_it_is(host: Namespace) -> None:
    host.sh(VETH6 + "ip -6 route add default via 2001:db8:2::9 proto static")
    assert host.apply(Step(Phase.ROUTE, ("route_default", GATEWAY6))).failed is None
    words = ("default", "via", "2001:db8:2::9", "dev", "eth0", "proto", "static", "metric", "1024")
    back = Step(Phase.ROUTE, ("route_back", GATEWAY6, *words, "pref", "medium"))
    assert host.apply(back).failed is None
    assert default_routes(host) == ["default via 2001:db8:2::9 dev eth0 proto static metric 1024"]


def test_a_route_of_one_family_leaves_the_other_alone(host: Namespace) -> None:
    host.sh(VETH + "ip route add default via 10.2.0.254; ip address add 2001:db8:2::21/64 dev eth0 nodad")
    assert host.apply(Step(Phase.ROUTE, ("route_default", GATEWAY6))).failed is None
    assert host.sh("ip -4 route show default").startswith("default via 10.2.0.254 ")
    assert host.apply(Step(Phase.ROUTE, ("route_back", "10.2.0.1"))).failed is None
    assert default_routes(host) == [f"default via {GATEWAY6} dev eth0 metric 1"]


INIT = r"""#!/bin/sh
case $1 in
    start) [ ! -e /run/refuses ] || exit 1; : >/run/runs ;;
    stop) rm -f /run/runs ;;
    status) [ -e /run/runs ] || exit 3 ;;
esac
"""


def test_units_are_stopped_and_disabled_and_come_back(host: Namespace, tmp_path: Path) -> None:
    # Stand-ins for an init script and for Debian's update-rc.d; the lab has real ones.
    links = tmp_path / "bin/update-rc.d"
    links.write_text(
        "#!/bin/sh\n[ $2 = disable ] && rm -f /etc/init.d/rc3.d/S01$1 || >/etc/init.d/rc3.d/S01$1\n"
    )
    links.chmod(0o755)
    host.run(
        Program("cat >/etc/init.d/web; chmod +x /etc/init.d/web; mkdir /etc/init.d/rc3.d", INIT.encode())
    )
    state = "ls /run/runs /etc/init.d/rc3.d/S01web 2>/dev/null || :"
    both = "/etc/init.d/rc3.d/S01web\n/run/runs\n"
    start = [Step(Phase.UNIT, (word, "web")) for word in ("unit_enable", "unit_start")]
    stop = [Step(Phase.WITHDRAW, (word, "web")) for word in ("unit_stop", "unit_disable")]
    assert host.apply(*start, FAIL).undone
    assert host.sh(state) == ""
    assert host.apply(*stop, FAIL).undone
    assert host.sh(state) == "", "what did not run is not started by an undo"
    assert host.apply(*start).failed is None
    assert host.sh(state) == both
    assert host.apply(*stop, FAIL).undone
    assert host.sh(state) == both
    assert host.apply(*stop).failed is None
    assert host.sh(state) == ""


SLOW_INIT = r"""#!/bin/sh
[ "$1" != start ] || {
    sleep 1
    cp /bin/sleep /run/keepalived
    /run/keepalived 30 &
    echo $! >/run/keepalived.pid
} &
"""


def test_the_daemon_runs_before_the_host_is_read_back(host: Namespace) -> None:
    # Stands for keepalived on a busy host, which was killed before: the number in its file is nobody's.
    host.run(Program("cat >/etc/init.d/keepalived; chmod +x /etc/init.d/keepalived", SLOW_INIT.encode()))
    host.sh("echo 4194304 >/run/keepalived.pid")
    assert host.apply(Step(Phase.UNIT, ("unit_start", "keepalived"))).failed is None
    assert host.sh('read -r pid </run/keepalived.pid; cat "/proc/$pid/comm"; kill "$pid"') == "keepalived\n"


IPVSADM = r"""#!/bin/sh
# Stands for ipvsadm: there is no IPVS in the kernel that runs this test. One destination, and its weight.
case $1 in
    -e) [ -e /run/weight ] || exit 2; for w; do :; done; echo "$w" >/run/weight ;;
    -Sn) echo "-A -t 192.0.2.50:80 -s rr"
        [ ! -e /run/weight ] || echo "-a -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w $(cat /run/weight)" ;;
    -Ln) echo "Prot LocalAddress:Port Scheduler Flags"
        echo "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn"
        echo "TCP  192.0.2.50:80 rr"
        echo "  -> 192.0.2.12:80                Route   1      7          0"
        echo "  -> 192.0.2.11:80                Route   0      $(cat /run/active)          9"
        echo 0 >/run/active ;;
    *) exit 1 ;;
esac
"""


def quiesce_of(flag: str) -> Step:
    edit = ("-e", flag, "192.0.2.50:80", "-r", "192.0.2.11:80", "-g", "-w")
    words = (f"{flag} 192.0.2.50:80", "192.0.2.11:80", str(len(edit) + 1), *edit, "3", *edit, "0")
    return Step(Phase.QUIESCE, ("quiesce", *words))


def test_destinations_get_quiet_before_they_go(host: Namespace, tmp_path: Path) -> None:
    (tmp_path / "bin/ipvsadm").write_text(IPVSADM)
    (tmp_path / "bin/ipvsadm").chmod(0o755)
    host.sh("echo 3 >/run/weight; echo 2 >/run/active")
    quiesce = quiesce_of("-t")
    waits = Step(Phase.WITHDRAW, ("await_quiet", "20"))
    assert host.apply(quiesce, FAIL).undone
    assert host.sh("cat /run/weight") == "3\n"
    began = time.monotonic()
    assert host.apply(quiesce, waits).failed is None
    assert host.sh("cat /run/weight; cat /run/active") == "0\n0\n"
    assert 1 <= time.monotonic() - began < 15
    began = time.monotonic()
    udp = quiesce_of("-u")
    assert host.apply(udp, Step(Phase.WITHDRAW, ("await_quiet", "2"))).failed is None, "9 inactive ones"
    assert time.monotonic() - began >= 2
    host.sh("rm /run/weight")
    assert host.apply(quiesce, FAIL).undone, "keepalived has taken it out: nothing to quiesce"


def test_a_table_command_that_fails_is_not_undone(host: Namespace, tmp_path: Path) -> None:
    (tmp_path / "bin/ipvsadm").write_text(IPVSADM)
    (tmp_path / "bin/ipvsadm").chmod(0o755)
    delete = ("-d", "-t", "192.0.2.50:80", "-r", "192.0.2.11:80")
    back = ("-a", *delete[1:], "-g", "-w", "3")
    outcome = host.apply(Step(Phase.TABLE, ("table", str(len(back)), *back, *delete)))
    assert outcome.failed is not None
    assert outcome.undone
    host.sh("echo 3 >/run/weight")
    with pytest.raises(AnswerInvalid):  # killed between the word and the act: it is still there
        host.apply(Step(Phase.PREPARE, ("on_undo", "table_back", *back)), DIE)
    assert host.apply().undone
