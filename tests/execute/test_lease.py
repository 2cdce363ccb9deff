"""The cluster's lease, held by a process that lives as long as its connection."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.execute.lease import Lease, lease_program, read_lease
from tests.execute.running import SHELLS, TOKEN, Namespace, shell_tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Namespace]:
    host = Namespace(shell_tools(tmp_path, request.param))
    yield host
    left = host.sh("ls -A /run/lvsdeploy")
    host.close()
    assert left == ""


class Holder:
    """Somebody who asks for the lease over a connection."""

    def __init__(self, host: Namespace, owner: str = "anna@desk", cluster: str = "web") -> None:
        program = lease_program(cluster, token=TOKEN, owner=owner)
        self.process = host.popen(program.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        said = b""
        while (lease := read_lease(said, TOKEN)) is None:
            more = self.process.stdout.readline()
            assert more, said
            said += more
        self.lease: Lease = lease

    def hang_up(self) -> int:
        self.process.communicate()
        return self.process.returncode

    def number(self, host: Namespace) -> int:
        return int(host.sh("cut -d' ' -f1 /run/lvsdeploy/cluster-web.lock"))


def test_one_at_a_time_until_it_hangs_up(host: Namespace) -> None:
    owner = "anna@desk\n$(touch /run/pwned) 'x' `reboot`\x1b[2J"
    first = Holder(host, owner)
    assert first.lease.held
    second = Holder(host)
    assert second.lease == Lease(busy="anna@desk $(touch /run/pwned) 'x' `reboot` [2J")
    assert second.hang_up() == 0
    other = Holder(host, cluster="another $(touch pwned)")
    assert other.lease.held, "another cluster's lease is another lease"
    assert (other.hang_up(), first.hang_up()) == (0, 0)
    assert "pwned" not in host.sh("ls / /run /run/lvsdeploy")
    third = Holder(host)
    assert third.lease.held
    third.hang_up()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_go(host: Namespace, number: signal.Signals) -> None:
    holder = Holder(host)
    os.kill(holder.number(host), number)
    assert holder.process.wait(5) == 0
    holder.hang_up()


def test_who_is_killed_is_recognised(host: Namespace) -> None:
    killed = Holder(host)
    os.kill(killed.number(host), signal.SIGKILL)
    killed.hang_up()
    assert "cluster-web.lock" in host.sh("ls /run/lvsdeploy")
    after = Holder(host)
    assert after.lease.held
    after.hang_up()


def test_a_transaction_does_not_mind_the_lease(host: Namespace) -> None:
    holder = Holder(host)
    assert host.apply().failed is None
    another = Holder(host)
    assert not another.lease.held, "and does not clear it away"
    another.hang_up()
    holder.hang_up()


@pytest.mark.parametrize("said", [b"", b"noise\n", b"0123456789abcdef", b"0123456789abcdef busy\nbob"])
def test_what_is_not_whole_is_no_answer(said: bytes) -> None:
    assert read_lease(said, TOKEN) is None


@pytest.mark.parametrize("name", ["", "../x", "a\0b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a cluster's name"):
        lease_program(name, token=TOKEN, owner="x")
