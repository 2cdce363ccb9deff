"""Every call of every program that a transaction makes goes wrong once, in each of five ways.

The host must then be as before or as declared; or the next apply recovers it, and says so. Each cell runs in
namespaces of its own, on a small disk of its own; what it does is in injection.sh.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.execute.transaction import Program, build
from lvsdeploy.plan.change import Phase, Step
from lvsdeploy.state.facts import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

HERE = Path(__file__).parent
TOKEN = "0123456789abcdef"  # noqa: S105 — it frames an answer
FAULTS = ("killed-before", "killed-after", "fails", "full", "gone")


def write(path: str, content: bytes, *around: Step) -> tuple[Step, ...]:
    return (
        Step(Phase.STAGE, ("stage", path, "0644", "root:root"), content),
        *around,
        Step(Phase.PLACE, ("place", path)),
    )


STEPS = (
    *write("/mnt/new/folder/file", b"new\n" * 2000),
    Step(Phase.WITHDRAW, ("address_del", "lo", "192.0.2.51/32")),
    *write("/mnt/replaced", b"as declared\n"),
    *write("/mnt/adopted", b"ours now\n", Step(Phase.WITHDRAW, ("keep_copy", "/mnt/adopted"))),
    Step(Phase.PLACE, ("remove", "/mnt/gone/file")),
    *write("/var/lib/lvsdeploy/web/manifest.json", b"{}\n"),
    Step(Phase.SYSCTL, ("sysctl_set", "/proc/sys/net/ipv4/conf/all/arp_ignore", "1")),
    Step(Phase.ADDRESS, ("address_add", "lo", "192.0.2.50/32")),
    Step(Phase.ROUTE, ("route_default", "10.2.0.1")),
    Step(Phase.PLACE, ("on_commit", "rmdir_if_empty", "/mnt/gone")),
)
REFUSED = Step(Phase.SETTLE, ("sysctl_set", "/proc/sys/no/such/key", "1"))


@dataclass(frozen=True)
class Cell:
    """What became of one transaction with one fault."""

    calls: int
    called: str  # the program that the fault met
    after: str  # before, declared, committed, between
    answer: str
    next: tuple[str, ...]  # what the following transactions answered
    recovered: str  # what the state was after a recovery
    end: str
    left: str
    said: str

    @property
    def kind(self) -> str:
        return "recovered" if self.next[0].startswith("recovered") else self.after

    def problems(self) -> list[str]:
        """What is not safe about it; empty when all is well."""
        return [
            text
            for text, wrong in {
                "the next apply does not get there": self.end != "declared",
                "leftovers": bool(self.left),
                "half changed, and the next apply does not recover it": self.after == "between"
                and self.kind != "recovered",
                "a recovery left something": self.recovered != "before",
                "more than one recovery": len(self.next) > 1 + (self.kind == "recovered"),
                "something could not be put back": " no" in f"{self.answer} {' '.join(self.next)}",
                "it said done": self.answer.startswith("done")
                and self.after not in ("declared", "committed"),
                "it said failed": self.answer.startswith("failed") and self.after != "before",
                "it said nothing": not self.answer
                and self.after != "before"
                and self.said.startswith(("fails", "full")),
            }.items()
            if wrong
        ]


class Table:
    """Runs cells for one shell and one list of steps."""

    def __init__(self, folder: Path, shell: str, steps: Sequence[Step] = STEPS) -> None:
        self._folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/sh").symlink_to(f"/bin/{shell}")
        (folder / "wrapped").mkdir()
        wrapper = folder / "wrapper"
        wrapper.write_text((HERE / "wrapper.sh").read_text())
        wrapper.chmod(0o755)
        listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
        for name in {*listed.stdout.split(), "ip", "ipvsadm", "keepalived"} - {"dash", "busybox"}:
            (folder / "wrapped" / name).symlink_to(wrapper)
        self._write("steps", STEPS)
        self._write("nothing", ())
        assert self._run("learn", 0).stdout == "", "a whole transaction leaves nothing"
        self._write("again", STEPS)
        self._write("steps", steps)

    def cell(self, fault: str, at: int) -> Cell:
        done = self._run(fault, at)
        pairs = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
        said = dict(pairs)
        return Cell(
            calls=int(said["calls"]),
            called=said["called"],
            after=said["after"],
            answer=said["answer"].strip(),
            next=tuple(text.strip() for word, text in pairs if word == "next"),
            recovered=said.get("recovered", "before"),
            end=said["end"],
            left=said["left"].strip(),
            said=f"{fault} {done.stderr}",
        )

    def _write(self, name: str, steps: Sequence[Step]) -> None:
        program = build(
            steps,
            manager=ServiceManager.SYSV,
            token=TOKEN,
            owner="anna@desk, since noon",
            probe=Program("cat", b"the request"),
        )
        (self._folder / f"{name}.command").write_text(program.command)
        (self._folder / f"{name}.stdin").write_bytes(program.stdin)

    def _run(self, fault: str, at: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "--net",
                "--",
                "dash",
                HERE / "injection.sh",
                self._folder,
                fault,
                str(at),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{fault} {at}: {done}"
        return done


def check(
    table: Table, fault: str, calls: Iterable[int], record: Callable[[str, object], None]
) -> Counter[str]:
    """Runs the cells of one row, tells what they show, and asserts that each is safe."""
    cells = {number: table.cell(fault, number) for number in calls}
    kinds = Counter(cell.kind for cell in cells.values())
    row = f"{fault:14} {len(cells):4} calls: " + ", ".join(f"{kinds[k]} {k}" for k in sorted(kinds))
    record(fault, row)
    print(row)  # noqa: T201 — for who reads the table with -s
    assert not "\n".join(
        f"{number} ({cell.called}): {', '.join(cell.problems())}; {cell}"
        for number, cell in cells.items()
        if cell.problems()
    )
    return kinds


@pytest.fixture(scope="module")
def dash(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, int]:
    """The table for dash, and how many calls a whole transaction makes."""
    table = Table(tmp_path_factory.mktemp("dash"), "dash")
    whole = table.cell("none", 0)
    assert (whole.after, whole.answer, whole.left) == ("declared", "done", "")
    return table, whole.calls


@pytest.mark.parametrize("fault", FAULTS)
def test_any_call_may_go_wrong(
    dash: tuple[Table, int], fault: str, record_property: Callable[[str, object], None]
) -> None:
    table, calls = dash
    kinds = check(table, fault, range(1, calls + 1), record_property)
    if fault.startswith("killed"):
        assert set(kinds) == {"before", "declared", "committed", "recovered"}, "the table meets every case"
    if fault == "gone":  # whoever is hung up on before the first word of it runs, has changed nothing
        assert kinds["declared"] + kinds["before"] == calls
        assert kinds["before"] <= 2, "a transaction goes on without its reader"


@pytest.mark.parametrize("shell", ["bash", "busybox"])
def test_any_call_may_go_wrong_in_other_shells(
    shell: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    table = Table(tmp_path, shell)
    calls = table.cell("none", 0).calls
    for first, fault in enumerate(FAULTS, 3):
        check(table, fault, range(first, calls + 1, 12), record_property)


def test_an_undo_may_be_killed(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    table = Table(tmp_path, "dash", (*STEPS, REFUSED))
    whole = table.cell("none", 0)
    assert (whole.after, whole.answer) == ("before", f"failed {len(STEPS) + 1} undone yes")
    undoing = range(whole.calls - 30, whole.calls + 1)
    kinds = check(table, "killed-after", undoing, record_property)
    assert set(kinds) <= {"before", "recovered"}
