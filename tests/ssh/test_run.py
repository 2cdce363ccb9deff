"""Commands over an open connection, and sudo. Against a real sshd and a real sudo."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko
import pytest

from lvsdeploy.errors import BecomeRefused, HostError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lvsdeploy.ssh import Connection

    from .conftest import Sshd, World


@pytest.fixture
def connection(world: World) -> Iterator[Connection]:
    with world.connector().connect(world.target()) as connection:
        yield connection


def test_an_answer(connection: Connection) -> None:
    answer = connection.run("cat; echo no >&2; exit 3", stdin=b"in")
    assert (answer.code, answer.stdout, answer.stderr) == (3, b"in", b"no\n")


def test_input_ends(connection: Connection) -> None:
    assert connection.run("cat; echo end").stdout == b"end\n"


def test_commands_follow_each_other(connection: Connection) -> None:
    assert [connection.run(f"echo {n}").stdout for n in range(5)] == [f"{n}\n".encode() for n in range(5)]


def test_quoting_and_bytes_arrive_as_they_are(connection: Connection) -> None:
    command = "printf '%s|' 'a  b' \"c'd\" 'é' '\udcff'\necho second"
    assert connection.run(command).stdout == "a  b|c'd|é|".encode() + b"\xff|second\n"


def test_eight_megabytes_each_way_and_on_both_streams(connection: Connection) -> None:
    data = os.urandom(8 << 20)
    answer = connection.run("tee /dev/stderr", stdin=data, timeout=60)
    assert answer.code == 0
    assert hashlib.sha256(answer.stdout).digest() == hashlib.sha256(data).digest()
    assert answer.stderr == answer.stdout


def test_stderr_first_and_then_stdout(connection: Connection) -> None:
    command = "head -c 5000000 /dev/zero >&2; head -c 5000000 /dev/zero"
    answer = connection.run(command, timeout=60)
    assert (len(answer.stdout), len(answer.stderr)) == (5_000_000, 5_000_000)


def test_a_command_that_does_not_read_its_input(connection: Connection) -> None:
    answer = connection.run("exit 4", stdin=bytes(8 << 20), timeout=20)
    assert answer.code == 4
    assert connection.run("echo on").stdout == b"on\n"


def test_input_that_crosses_the_end_of_a_command(connection: Connection, world: World) -> None:
    for _ in range(20):
        connection.run("exec true", stdin=bytes(1 << 20), timeout=20)
    assert connection.run("echo on").stdout == b"on\n"
    assert "nonexistent channel" not in world.sshd.log()


def test_a_close_waits_for_data_under_way(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data after a CLOSE makes sshd end the whole connection."""
    transport = connection._opened.transport
    channel = transport.open_session()
    channel.exec_command("exec cat")
    closer = threading.Thread(target=channel.close)
    send = transport._send_user_message

    def slowly(message: paramiko.Message) -> None:
        if message.asbytes()[0] == paramiko.common.MSG_CHANNEL_DATA:
            closer.start()
            closer.join()
            time.sleep(0.3)  # sshd's own CLOSE comes, and the channel is gone there
        send(message)

    with monkeypatch.context() as patch:
        patch.setattr(transport, "_send_user_message", slowly)
        channel.send(b"data")
    with pytest.raises(OSError, match="closed"):
        channel.send(b"more")
    assert connection.run("echo on").stdout == b"on\n"


def test_a_command_that_closes_its_input(connection: Connection) -> None:
    answer = connection.run("exec <&-; sleep 0.3; echo out", stdin=bytes(8 << 20), timeout=20)
    assert answer.stdout == b"out\n"


def test_timeout(connection: Connection) -> None:
    begun = time.monotonic()
    with pytest.raises(HostError, match=r"did not end within 2 s; it said: almost") as caught:
        connection.run("echo almost >&2; sleep 20", timeout=2)
    assert time.monotonic() - begun < 10
    assert caught.value.hint == "it may be running still"
    assert connection.run("echo on").stdout == b"on\n"


def test_timeout_with_input_that_nobody_reads(connection: Connection) -> None:
    with pytest.raises(HostError, match="did not end within"):
        connection.run("sleep 20", stdin=bytes(8 << 20), timeout=0.5)


def test_timeout_with_output_without_end(connection: Connection) -> None:
    with pytest.raises(HostError, match="did not end within"):
        connection.run("while :; do echo x; done", timeout=0.5)


def test_an_answer_without_end(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lvsdeploy.ssh.connection.LARGEST_ANSWER", 4 << 20)
    with pytest.raises(HostError, match="larger than 4 MiB"):
        connection.run("cat /dev/zero", timeout=30)
    assert connection.run("echo on").stdout == b"on\n"


def test_a_process_left_behind_is_not_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lvsdeploy.ssh.connection.LEFT_BEHIND", 0.3)
    begun = time.monotonic()
    answer = connection.run("sleep 15 & echo started; exit 2", timeout=30)
    assert (answer.code, answer.stdout) == (2, b"started\n")
    assert time.monotonic() - begun < 5


def test_killed_by_a_signal(connection: Connection) -> None:
    with pytest.raises(HostError, match="was killed by a signal"):
        connection.run("kill -9 $$")


def test_the_session_is_killed_in_the_middle(connection: Connection) -> None:
    child = int(connection.run("echo $PPID").stdout)
    threading.Timer(0.4, os.kill, (child, signal.SIGKILL)).start()
    begun = time.monotonic()
    with pytest.raises(HostError, match="connection was lost while a command ran") as caught:
        connection.run("sleep 20", timeout=15)
    assert not isinstance(caught.value, Unreachable)  # it may have run
    assert time.monotonic() - begun < 5
    with pytest.raises(Unreachable, match="connection was lost"):
        connection.run("true")


def test_after_close(connection: Connection) -> None:
    connection.close()
    connection.close()
    with pytest.raises(Unreachable):
        connection.run("true")


def test_a_host_that_refuses_sessions(world: World, start: Callable[..., Sshd]) -> None:
    sshd = start(options="MaxSessions 0\n")
    world.known_hosts.write_text(sshd.known_line())
    with (
        world.connector().connect(world.target(sshd)) as connection,
        pytest.raises(HostError, match="opens no session"),
    ):
        connection.run("true")


# -- become
# -------------------------------------------------------------------------------------------


@pytest.fixture
def as_user(world: World, sudo_sshd: Sshd) -> Callable[..., Connection]:
    world.known_hosts.write_text(sudo_sshd.known_line())

    def connect(user: str, **settings: Any) -> Connection:
        return world.connector().connect(world.target(sudo_sshd, user=user, **{"become": True, **settings}))

    return connect


def test_become(as_user: Callable[..., Connection]) -> None:
    with as_user("lvst-free") as connection:
        answer = connection.run("id -u; cat; echo err >&2; exit 5", stdin=b"in 'quotes'")
    assert (answer.code, answer.stdout) == (5, b"0\nin 'quotes'")
    assert answer.stderr == b"err\n"


def test_no_become(as_user: Callable[..., Connection]) -> None:
    with as_user("lvst-free", become=False) as connection:
        assert connection.run("id -un").stdout == b"lvst-free\n"


def test_root_needs_no_sudo(as_user: Callable[..., Connection]) -> None:
    with as_user("root") as connection:
        assert connection.run("id -u; echo ${SUDO_USER-none}").stdout == b"0\nnone\n"


@pytest.mark.parametrize("user", ["lvst-free", "lvst-pty"])
def test_become_with_megabytes(as_user: Callable[..., Connection], user: str) -> None:
    data = os.urandom(3 << 20)
    with as_user(user) as connection:
        answer = connection.run("tee /dev/stderr", stdin=data, timeout=60)
    assert answer.stdout == data
    assert answer.stderr == data


def test_a_failed_command_is_not_sudos_fault(as_user: Callable[..., Connection]) -> None:
    with as_user("lvst-free") as connection:
        answer = connection.run("echo 'sudo: a password is required' >&2; exit 1")
    assert (answer.code, answer.stderr) == (1, b"sudo: a password is required\n")


def test_sudo_asks_for_a_password(as_user: Callable[..., Connection]) -> None:
    with as_user("lvst-asked") as connection, pytest.raises(BecomeRefused) as caught:
        connection.run("id")
    assert "asks lvst-asked for a password" in str(caught.value)
    assert "NOPASSWD" in caught.value.hint


def test_not_in_sudoers(as_user: Callable[..., Connection]) -> None:
    with as_user("lvst-none") as connection, pytest.raises(BecomeRefused) as caught:
        connection.run("id")
    assert "lvst-none" in str(caught.value)
    assert "sudoers" in caught.value.hint


def test_sudo_wants_a_terminal(as_user: Callable[..., Connection]) -> None:
    with as_user("lvst-tty") as connection, pytest.raises(BecomeRefused) as caught:
        connection.run("id")
    assert "wants a terminal" in str(caught.value)
    assert "!requiretty" in caught.value.hint


def test_sudo_is_not_installed(world: World, start: Callable[..., Sshd], sudo_sshd: Sshd) -> None:
    hide = ("unshare", "-m", "sh", "-e", "-c", 'mount --bind /dev/null "$(command -v sudo)"; exec "$@"')
    sshd = start(prefix=(*sudo_sshd.prefix, *hide, "sh"))
    world.known_hosts.write_text(sshd.known_line())
    target = world.target(sshd, user="lvst-free", become=True)
    with (
        world.connector().connect(target) as connection,
        pytest.raises(BecomeRefused, match="sudo is not installed"),
    ):
        connection.run("id")


# --- a command that is held ---------------------------------------------------------------------------------


def said(word: bytes) -> Callable[[bytes], bool]:
    return lambda text: word in text


def test_a_command_is_held_until_it_is_released(connection: Connection, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    held = connection.hold(
        f"echo ready; while read -r _; do :; done; sleep 0.3; touch {ended}", said(b"ready\n")
    )
    assert held.said == b"ready\n"
    assert held.running
    assert connection.run("echo beside it").stdout == b"beside it\n", "the connection is free meanwhile"
    assert not ended.exists()
    held.release()
    assert [ended.exists(), held.running] == [True, False], "who comes next finds it gone"
    held.release()


def test_a_held_command_that_does_not_end_is_not_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lvsdeploy.ssh.connection.RELEASED", 0.2)
    held = connection.hold("trap '' HUP TERM PIPE; echo ready; exec sleep 3", said(b"ready"))
    began = time.monotonic()
    held.release()
    assert time.monotonic() - began < 2


def test_a_held_command_ends_with_its_connection(world: World, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    with world.connector().connect(world.target()) as connection:
        held = connection.hold(f"echo ready; while read -r _; do :; done; touch {ended}", said(b"ready"))
    deadline = time.monotonic() + 10
    while not ended.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not held.running
    held.release()


def test_what_is_said_comes_bit_by_bit(connection: Connection) -> None:
    held = connection.hold("for i in 1 2 3; do printf $i; sleep 0.05; done; echo; cat", said(b"123\n"))
    assert held.said == b"123\n"
    held.release()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("echo no >&2; exit 3", "a command ended early: no"),
        ("printf '\\033[31mred' >&2", "a command ended early: [31mred"),
        ("true", "a command ended early: "),
        ("kill -9 $$", "a command ended early: "),
    ],
)
def test_a_command_that_ends_before_it_has_said_it(command: str, says: str, connection: Connection) -> None:
    with pytest.raises(HostError) as refused:
        connection.hold(command, said(b"ready"))
    assert str(refused.value).strip() == says.strip()


def test_a_command_that_says_it_and_ends_is_enough(connection: Connection) -> None:
    held = connection.hold("echo busy", said(b"busy"))
    assert held.said == b"busy\n"
    held.release()
    assert not held.running


def test_a_command_that_does_not_say_it_in_time(connection: Connection) -> None:
    with pytest.raises(HostError, match=r"did not end within 0\.3 s; it said: thinking"):
        connection.hold("echo thinking >&2; cat", said(b"ready"), timeout=0.3)
    assert connection.run("echo next").stdout == b"next\n"


def test_to_hold_on_a_connection_that_was_lost(world: World) -> None:
    connection = world.connector().connect(world.target())
    connection.close()
    with pytest.raises(Unreachable):
        connection.hold("cat", said(b""))


@pytest.mark.parametrize("user", ["lvst-free", "lvst-pty"])
def test_a_held_command_is_root_s_when_the_target_becomes(user: str, world: World, sudo_sshd: Sshd) -> None:
    world.known_hosts.write_text(sudo_sshd.known_line())
    with world.connector().connect(world.target(sudo_sshd, user=user, become=True)) as connection:
        held = connection.hold("id -u; cat", said(b"0\n"))
        assert held.said == b"0\n"
        held.release()


@pytest.mark.parametrize("user", ["lvst-asked", "lvst-none"])
def test_a_held_command_that_sudo_refuses(user: str, world: World, sudo_sshd: Sshd) -> None:
    world.known_hosts.write_text(sudo_sshd.known_line())
    with (
        world.connector().connect(world.target(sudo_sshd, user=user, become=True)) as connection,
        pytest.raises(BecomeRefused),
    ):
        connection.hold("echo ready; cat", said(b"ready"))
