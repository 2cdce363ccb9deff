"""`make demo`: a whole cluster on this machine, from nothing to a mended drift, in a minute.

The commands are the real ones, the packets too; what is expected is checked, and the exit code is 0 only when
all of it held. Run as root: `python -m lvsdeploy.lab.demo`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lvsdeploy.errors import LvsdeployError
from lvsdeploy.inventory import load
from lvsdeploy.lab import requirements
from lvsdeploy.lab.cluster import CLIENT, topology_of
from lvsdeploy.lab.errors import LabError
from lvsdeploy.lab.lab import Lab
from lvsdeploy.lab.pages import requests_script, serve_script

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from lvsdeploy.inventory.model import Cluster, Service

INVENTORY = Path(__file__).resolve().parents[2] / "inventories" / "demo.yaml"

# What the machines run, on top of what every lab needs: program, Debian package.
PROGRAMS = {
    "arping": "iputils-arping",
    "curl": "curl",
    "ipvsadm": "ipvsadm",
    "keepalived": "keepalived",
    "python3": "python3",
}
REQUESTS = 40
LONGEST_GAP = 5.0  # seconds: three advert intervals, the skew, and a request that waits
PLAN_LINES = 14  # of the plan are shown; the diffs fill screens
INTERRUPTED = 130  # the exit code of a program that SIGINT ended


class Unexpected(Exception):
    """Something did not hold; the message says what."""


def main() -> int:
    """Runs the demo; 0 when everything held."""
    out = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    try:
        held = _run(out)
    except Unexpected as error:
        out.print(Text(f"\nThe demo failed: {error}", "bold red"))
        return 1
    except (LabError, LvsdeployError) as error:
        out.print(Text(f"\nThe demo could not go on: {error}", "bold red"))
        return 1
    except KeyboardInterrupt:
        out.print("\nStopped; the machines are gone.")
        return INTERRUPTED
    out.print(Text(f"\nAll {held} expectations held, in {time.monotonic() - began:.0f} s.", "bold green"))
    return 0


def _run(out: Console) -> int:
    if not INVENTORY.exists():
        raise LabError(f"{INVENTORY} is missing; the demo runs from a checkout, by `make demo`")
    lacking = sorted(package for program, package in PROGRAMS.items() if not requirements.find(program))
    if lacking:
        raise LabError(f"install what is missing: apt-get install {' '.join(lacking)}")
    cluster = load(INVENTORY).cluster
    topology = topology_of(cluster)
    out.print(
        f"A cluster on this machine: {len(cluster.directors)} directors, {len(cluster.real_servers)} real "
        "servers, a client and a router."
    )
    with Lab(topology) as lab:
        kernel = "a User-Mode Linux kernel each" if _on_uml(lab, cluster) else "this machine's kernel"
        out.print(Text(f"The directors balance with {kernel}. Everything is gone when the demo ends.", "dim"))
        demo = Demo(lab, cluster, out)
        for step in STEPS:
            step(demo)
        return demo.held


def _on_uml(lab: Lab, cluster: Cluster) -> bool:
    return any(lab.runs_on_uml(director.name) for director in cluster.directors)


@dataclass
class Demo:
    """The machines, where to write, and how much of what was expected has held so far."""

    lab: Lab
    cluster: Cluster
    out: Console
    held: int = 0
    headings: int = 0

    def __post_init__(self) -> None:
        # The commands find the lab's keys as they find an operator's: in ~/.ssh/config.
        self.folder = self.lab.directory / "operator"
        (self.folder / ".ssh").mkdir(parents=True, mode=0o700)
        shutil.copy(self.lab.ssh_config, self.folder / ".ssh" / "config")
        shutil.copy(INVENTORY, self.folder)

    # What people see.

    def heading(self, text: str) -> None:
        self.headings += 1
        self.out.print(Text(f"\n{self.headings}. {text}", "bold"))

    def say(self, text: str) -> None:
        self.out.print(f"   {text}", markup=False)

    def table(self, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=True, header_style="dim")
        for row in rows:
            table.add_row(*row)
        self.out.print(Padding(table, (0, 0, 0, 3), expand=False))

    # What is checked.

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Goes on when it holds; Unexpected says `otherwise`."""
        if not holds:
            raise Unexpected(otherwise)
        self.held += 1

    def await_(self, what: str, holds: Callable[[], bool], seconds: float = 20) -> None:
        """As `expect`, for what takes its time; `seconds` at most."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise Unexpected(f"after {seconds:.0f} s still not: {what}")
            time.sleep(0.2)
        self.held += 1

    # What is done.

    def lvsdeploy(self, verb: str, *, code: int = 0, most: int | None = None) -> str:
        """Runs and shows a command of the product; its exit code must be `code`. Its stdout.

        `most`: show this many of its lines, and no diffs (they are indented further).
        """
        self.out.print(Text.assemble("   $ ", (f"lvsdeploy {verb} {INVENTORY.name}", "bold cyan")))
        colour = "always" if self.out.is_terminal else "never"
        began = time.monotonic()
        done: subprocess.CompletedProcess[str] = self.lab.run(
            [sys.executable, "-m", "lvsdeploy", verb, "--color", colour, INVENTORY.name],
            env={**os.environ, "HOME": str(self.folder)},
            cwd=self.folder,
        )
        lines = done.stdout.rstrip().splitlines()
        shown = lines
        if most is not None:
            shown = [line for line in lines if not Text.from_ansi(line).plain.startswith("      ")]
            shown = [*shown[:most], "...", lines[-1]] if len(shown) > most + 1 else shown
        for line in shown:
            self.out.print(Text.assemble("   ", Text.from_ansi(line)))
        self.out.print(Text(f"   exit {done.returncode}, {time.monotonic() - began:.1f} s", "dim"))
        said = done.stderr.strip() or "nothing on stderr"
        self.expect(
            done.returncode == code,
            f"`lvsdeploy {verb}` exited with {done.returncode} instead of {code}: {said}",
        )
        return Text.from_ansi(done.stdout).plain

    def on(self, machine: str, script: str, *, check: bool = True) -> str:
        """Runs a script as root on a machine; its stdout."""
        return self.lab.exec(machine, script, check=check).stdout

    def by_hand(self, machine: str, script: str) -> None:
        """The same, shown."""
        self.out.print(Text.assemble(f"   {machine} # ", (script, "bold magenta")))
        self.on(machine, script)

    @property
    def service(self) -> Service:
        return self.cluster.services[0]

    @property
    def vip(self) -> str:
        return str(self.service.vips[0].ip)

    def destinations(self, director: str) -> int:
        """How many destinations a director's kernel has."""
        table = self.on(director, "ipvsadm -Sn", check=False)
        return sum(line.startswith("-a") for line in table.splitlines())

    def owners(self) -> list[str]:
        """The machines whose MAC address answers when the client asks for the VIP, by name."""
        arping = f"arping -b -c 2 -w 2 -I eth0 {self.vip}"
        said = self.on(CLIENT, arping, check=False)
        macs = {line.split("[")[1].split("]")[0].lower() for line in said.splitlines() if "[" in line}
        names = {
            self.on(host.name, "cat /sys/class/net/eth0/address").strip(): host.name
            for host in self.cluster.hosts()
        }
        return sorted(names.get(mac, mac) for mac in macs)


# The steps, in the order they are shown.


def planning(demo: Demo) -> None:
    demo.heading("plan: what would change on hosts that have nothing yet")
    said = demo.lvsdeploy("plan", most=PLAN_LINES)
    demo.expect(
        f"address {demo.vip}/32 on lo" in said, "the plan does not put the VIP on the real servers' lo"
    )


def applying(demo: Demo) -> None:
    demo.heading("apply: real servers first, then the BACKUP director, then the MASTER")
    for server in demo.cluster.real_servers:
        demo.lab.spawn(server.name, serve_script(80))
    said = demo.lvsdeploy("apply", most=0)
    demo.expect("read back and as declared" in said, "after apply the hosts are not as declared")


def applying_again(demo: Demo) -> None:
    demo.heading("apply again: nothing to do")
    said = demo.lvsdeploy("apply")
    demo.expect("Nothing to do" in said, "a second apply changed something")


def looking(demo: Demo) -> None:
    demo.heading("status: who is MASTER, and what the directors balance")
    first, second = (director.name for director in demo.cluster.directors)
    all_there = len(demo.service.pools[0].destinations)
    for director in (first, second):
        demo.await_(
            f"{director} has every real server in its table",
            lambda director=director: demo.destinations(director) == all_there,  # type: ignore[misc]
        )
    said = demo.lvsdeploy("status")
    demo.expect(f"{first}: MASTER" in said, f"{first} is not MASTER")
    demo.expect(f"{second}: BACKUP" in said, f"{second} is not BACKUP")


def asking_arp(demo: Demo) -> None:
    demo.heading("ARP: every real server holds the VIP, and only the MASTER answers for it")
    for server in demo.cluster.real_servers:
        on_lo = f"{demo.vip}/32" in demo.on(server.name, "ip -o address show dev lo")
        demo.expect(on_lo, f"{server.name} does not hold {demo.vip} on lo")
    owners = demo.owners()
    demo.say(f"the client asks who has {demo.vip}: {', '.join(owners) or 'nobody'} answers")
    demo.expect(
        owners == [_master(demo)], f"{owners} answer ARP for the VIP, and it should be the MASTER alone"
    )


def requesting(demo: Demo) -> None:
    demo.heading(
        f"{REQUESTS} requests to http://{demo.vip}/ spread by weight ({demo.service.scheduler.value})"
    )
    _spread(demo)


def failing_over(demo: Demo) -> None:
    demo.heading("failover: the MASTER loses keepalived, its VIP and its table, as in a crash")
    master = _master(demo)
    loop = demo.lab.spawn(
        CLIENT,
        f"while :; do curl -s --max-time 0.5 http://{demo.vip}/ >/dev/null && date +%s.%N; sleep 0.05; done",
    )
    demo.await_("requests are answered", lambda: len(_times(loop.output)) > 1)
    # The first process first: it starts its others again as long as it lives.
    kill = "kill -9 $(cat /run/keepalived.pid); kill -9 $(pidof keepalived)"
    demo.by_hand(master, f"{kill}; ip address del {demo.vip}/32 dev eth0; ipvsadm -C")
    killed = time.time()
    demo.await_("the other director answers the client", lambda: max(_times(loop.output)) > killed + 1.5)
    time.sleep(1)
    loop.stop()
    times = _times(loop.output)
    gap = max(after - before for before, after in pairwise(times))
    now = _master(demo)
    demo.say(f"{now} has taken over; requests went unanswered for {gap:.1f} s")
    demo.expect(now != master, f"no other director took {demo.vip} over from {master}")
    demo.expect(
        gap < LONGEST_GAP, f"the failover took {gap:.1f} s, and should take less than {LONGEST_GAP:.0f} s"
    )
    demo.expect(demo.owners() == [now], "another machine than the new MASTER answers ARP for the VIP")


def recovering(demo: Demo) -> None:
    demo.heading("recovery: apply starts keepalived again, and the VIP goes home")
    demo.lvsdeploy("apply", most=PLAN_LINES)
    first = demo.cluster.directors[0].name
    demo.await_(f"{first} is MASTER again", lambda: _master(demo) == first)
    demo.say(f"{first} is MASTER again")


def drifting(demo: Demo) -> None:
    demo.heading("drift: two changes by hand, found by check")
    server, other = demo.cluster.real_servers[1], demo.cluster.real_servers[0]
    first = demo.cluster.directors[0].name
    demo.by_hand(server.name, "sysctl -qw net.ipv4.conf.all.arp_ignore=0")
    demo.by_hand(first, f"ipvsadm -d -t {demo.vip}:80 -r {other.rip}:80")
    owners = demo.owners()
    demo.say(f"the client asks who has {demo.vip} now: {' and '.join(owners)} answer")
    demo.expect(
        owners == sorted([first, server.name]), f"{owners} answer ARP, so the change by hand did nothing"
    )
    said = demo.lvsdeploy("check", code=2)
    demo.expect("net.ipv4.conf.all.arp_ignore" in said, "check does not name the sysctl")
    demo.expect(f"destination {other.rip}:80" in said, "check does not name the missing destination")


def mending(demo: Demo) -> None:
    demo.heading("apply mends both, and check is content")
    demo.lvsdeploy("apply", most=0)
    demo.lvsdeploy("check")
    owners = demo.owners()
    demo.say(f"the client asks who has {demo.vip}: {', '.join(owners)} answers")
    demo.expect(owners == [_master(demo)], f"{owners} still answer ARP for the VIP")
    _spread(demo)


STEPS: tuple[Callable[[Demo], None], ...] = (
    planning,
    applying,
    applying_again,
    looking,
    asking_arp,
    requesting,
    failing_over,
    recovering,
    drifting,
    mending,
)


def _spread(demo: Demo) -> None:
    """Sends requests and shows who answered; each real server must have had its share to the request."""
    script = requests_script(f"http://{demo.vip}/", REQUESTS)
    lines = demo.lab.exec(CLIENT, script, check=False).stdout.splitlines()
    answered = Counter(line.partition(" ")[0] for line in lines)
    declared = {d.real_server: d.weight for d in demo.service.pools[0].destinations}
    total = sum(declared.values())
    rows = [(name, str(weight), str(answered[name])) for name, weight in declared.items()]
    demo.table(("real server", "weight", "requests"), rows)
    fair = {name: REQUESTS * weight // total for name, weight in declared.items()}
    demo.expect(dict(answered) == fair, f"the requests went {dict(answered)}, and by weight it is {fair}")


def _master(demo: Demo) -> str:
    """The director that holds the VIP; "" when none does."""
    for director in demo.cluster.directors:
        if f"{demo.vip}/" in demo.on(director.name, f"ip -o address show dev {director.interface}"):
            return director.name
    return ""


def _times(output: str) -> list[float]:
    """When requests were answered, in seconds. The last line may not be whole yet."""
    return [float(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]


if __name__ == "__main__":
    sys.exit(main())
