"""Two directors' VRRP for real: keepalived's VRRP part alone, which needs no IPVS in the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired import KEEPALIVED_CONF, desired_state
from lvsdeploy.inventory.model import ForwardingMethod, Vrrp
from lvsdeploy.state.facts import Facts
from tests.desired import clusters, namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster

VIP, GATEWAY, LATER = "192.0.2.50/32", "10.2.0.1/24", "192.0.2.40/32"
FAST = Vrrp(advert_interval=0.1)


class Pair:
    """Directors lvs1 and lvs2 in namespaces of their own, joined by eth0 and by eth1."""

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self.folder = folder
        self.names = {name: f"{name}-{os.getpid()}" for name in ("lvs1", "lvs2")}
        self._processes = processes
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def ip(self, director: str, *words: str) -> str:
        command = ["ip", "-n", self.names[director], *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def write(self, director: str, cluster: Cluster) -> None:
        file = desired_state(cluster, director, Facts()).files[KEEPALIVED_CONF]
        (self.folder / director).write_bytes(file.content)

    def start(self, director: str) -> None:
        options = ["--vrrp", "--dont-fork", "--log-console", f"--use-file={self.folder / director}"]
        options += [f"--pid={self.folder / director}.pid", f"--vrrp_pid={self.folder / director}.vrrp"]
        log = self._processes.enter_context((self.folder / f"{director}.log").open("ab"))
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[director], "keepalived", *options], stdout=log, stderr=log
        )
        self._processes.callback(process.wait)
        self._processes.callback(process.terminate)
        self._running[director] = process

    def reload(self, director: str) -> None:
        self._running[director].send_signal(signal.SIGHUP)

    def stop(self, director: str) -> None:
        self._running[director].terminate()
        self._running[director].wait()

    def held(self, director: str) -> set[str]:
        """The addresses that move, as far as this director has them."""
        words = self.ip(director, "-4", "-brief", "address", "show").split()
        return {VIP, GATEWAY, LATER}.intersection(words)


@contextmanager
def two_directors(folder: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        pair = Pair(folder, stack)
        for name in pair.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        for interface in ("eth0", "eth1"):
            peer = ("peer", "name", interface, "netns", pair.names["lvs2"])
            pair.ip("lvs1", "link", "add", interface, "type", "veth", *peer)
            for director in pair.names:
                pair.ip(director, "link", "set", interface, "up")
        pair.ip("lvs1", "address", "add", "192.0.2.2/24", "dev", "eth0")
        pair.ip("lvs2", "address", "add", "192.0.2.3/24", "dev", "eth0")
        yield pair


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@namespace.needs("keepalived")
@pytest.mark.parametrize("unicast", [True, False], ids=["unicast", "multicast"])
def test_outside_and_inside_move_together(tmp_path: Path, *, unicast: bool) -> None:
    cluster = clusters.cluster(
        clusters.service("api", {clusters.DB1: 1}, mode=ForwardingMethod.NAT),
        directors=(clusters.LVS1, clusters.LVS2),
        real_servers=(clusters.DB1,),
        nat=clusters.INSIDE,
        vrrp=replace(FAST, unicast=unicast),
    )
    both = {VIP, GATEWAY}
    with two_directors(tmp_path) as pair:
        for director in ("lvs1", "lvs2"):
            pair.write(director, cluster)
            pair.start(director)
        wait_for(lambda: pair.held("lvs1") == both and pair.held("lvs2") == set())

        pair.stop("lvs1")
        wait_for(lambda: pair.held("lvs2") == both)
        pair.start("lvs1")
        wait_for(lambda: pair.held("lvs1") == both and pair.held("lvs2") == set())

        # The inside fails: the outside goes too, or replies would come back through the wrong director.
        # Both ends of this wire lose their carrier, so only lvs1's giving up is to be seen.
        pair.ip("lvs1", "link", "set", "eth1", "down")
        wait_for(lambda: pair.held("lvs1") == set())


@namespace.needs("keepalived")
def test_a_vip_is_added_without_two_masters(tmp_path: Path) -> None:
    """The BACKUP is changed first and, for a while, knows a VIP that the MASTER does not."""
    old = clusters.service("old", {clusters.WEB1: 1})
    new = clusters.service("new", {clusters.WEB1: 1}, vip=clusters.vip(LATER))
    directors = (clusters.LVS1, clusters.LVS2)
    before = clusters.cluster(old, directors=directors, vrrp=FAST)
    after = clusters.cluster(old, new, directors=directors, vrrp=FAST)
    with two_directors(tmp_path) as pair:
        for director in ("lvs1", "lvs2"):
            pair.write(director, before)
            pair.start(director)
        wait_for(lambda: pair.held("lvs1") == {VIP} and pair.held("lvs2") == set())

        pair.write("lvs2", after)
        pair.reload("lvs2")
        for _ in range(30):  # 1.5 s: five times what it takes to miss a MASTER
            assert pair.held("lvs2") == set()
            time.sleep(0.05)

        pair.write("lvs1", after)
        pair.reload("lvs1")
        wait_for(lambda: pair.held("lvs1") == {VIP, LATER})
        assert pair.held("lvs2") == set()
