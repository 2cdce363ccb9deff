"""Getting in, and saying in one line why not. Against a real sshd."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import fabric
import pytest

from lvsdeploy.errors import HostError, LoginRefused, Unreachable
from lvsdeploy.ssh import Target

from .conftest import Sshd, World, free_port, keygen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ME = getpass.getuser()


def refused(world: World, target: Target | None = None, **settings: Any) -> HostError:
    """The error of a login that must fail: one line, printable, about the right host."""
    with pytest.raises(HostError) as caught:
        world.connector().connect(target or world.target(**settings))
    error = caught.value
    assert error.host == "web1"
    assert str(error).isprintable()
    assert error.hint.isprintable()
    return error


def works(world: World, target: Target | None = None, **settings: Any) -> None:
    with world.connector().connect(target or world.target(**settings)) as connection:
        assert connection.run("echo in").stdout == b"in\n"


# -- host keys
# ----------------------------------------------------------------------------------------


def test_a_known_host(world: World) -> None:
    works(world)


def test_an_unknown_key_and_the_command_that_accepts_it(world: World) -> None:
    world.known_hosts.unlink()
    error = refused(world)
    assert isinstance(error, Unreachable)
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(world.sshd.host_key)], check=True, capture_output=True, text=True
    ).stdout
    assert said.split()[1] in str(error)
    assert world.sshd.known_name in str(error)
    command = error.hint.split("when equal: ", 1)[1]
    subprocess.run(["sh", "-c", command], check=True)
    works(world)


def test_the_command_makes_the_folder(world: World) -> None:
    file = world.folder / "with space" / "known"
    error = refused(world, known_hosts=file)
    subprocess.run(["sh", "-c", error.hint.split("when equal: ", 1)[1]], check=True)
    works(world, known_hosts=file)


def test_a_changed_key_and_the_command_that_forgets_it(world: World, keys: Callable[[str], Path]) -> None:
    other = keys("ed25519-other")
    world.known_hosts.write_text("# mine\n" + world.sshd.known_line(other))
    error = refused(world)
    assert isinstance(error, Unreachable)
    for key in (world.sshd.host_key, other):
        said = subprocess.run(
            ["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True
        ).stdout
        assert said.split()[1] in str(error)
    assert f"{world.known_hosts}:2" in str(error)
    command = error.hint[error.hint.index("ssh-keygen -R") :]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert "is not known" in str(refused(world))


def test_a_hashed_known_hosts(world: World) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(world.known_hosts)], check=True, capture_output=True)
    assert world.sshd.address not in world.known_hosts.read_text()
    works(world)


def test_strict_host_key_checking_no_is_not_obeyed(world: World) -> None:
    world.known_hosts.unlink()
    world.config.write_text("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n")
    error = refused(world, known_hosts=None)
    assert "is not known" in str(error)
    assert "known_hosts: FILE" in error.hint


def test_known_hosts_of_ssh_config_and_alias(world: World) -> None:
    line = world.sshd.known_line().split(" ", 1)[1]
    (world.folder / "elsewhere").write_text(f"alias {line}")
    world.config.write_text("UserKnownHostsFile ~/elsewhere\nHostKeyAlias alias\n")
    works(world, known_hosts=None)


def test_a_revoked_key(world: World) -> None:
    line = world.sshd.known_line()
    world.known_hosts.write_text(line + "@revoked * " + line.split(" ", 1)[1])
    assert "revoked" in str(refused(world))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_of_several_host_keys_the_known_one_is_asked_for(
    world: World, start: Callable[..., Sshd], keys: Callable[[str], Path], kind: str
) -> None:
    more = "".join(f"HostKey {keys(f'{k}-several')}\n" for k in ("rsa", "ecdsa", "ed25519"))
    sshd = start(options=more)
    world.known_hosts.write_text(sshd.known_line(keys(f"{kind}-several")))
    works(world, world.target(sshd))


def test_a_host_that_dropped_the_known_kind_of_key(world: World, keys: Callable[[str], Path]) -> None:
    world.known_hosts.write_text(world.sshd.known_line(keys("rsa-old")))
    error = refused(world)
    assert "the host shows ED25519" in str(error)
    assert "has RSA" in str(error)


# -- the way there
# ------------------------------------------------------------------------------------


def test_a_name_that_does_not_resolve(world: World) -> None:
    error = refused(world, Target("web1", "no-such-host.invalid", world.target().settings))
    assert "does not resolve" in str(error)
    assert isinstance(error, Unreachable)


def test_connection_refused(world: World) -> None:
    error = refused(world, port=(port := free_port()))
    assert str(error) == f"connection refused by {world.sshd.address} port {port}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def serve(listener: socket.socket, talk: Callable[[socket.socket], None]) -> list[float]:
    """Answer each connection by `talk`; the list grows by the time of each."""
    times: list[float] = []

    def loop() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            times.append(time.monotonic())
            with sock, contextlib.suppress(OSError):
                talk(sock)

    threading.Thread(target=loop, daemon=True).start()
    return times


def stop(listener: socket.socket) -> None:
    listener.shutdown(socket.SHUT_RDWR)


def local(world: World, listener: socket.socket, **settings: Any) -> Target:
    port = listener.getsockname()[1]
    return Target("web1", "127.0.0.1", world.target(port=port, **settings).settings)


def test_no_answer_in_time(world: World) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for sock in (first, second):  # fill its queue: further SYNs are dropped
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        begun = time.monotonic()
        error = refused(world, local(world, full, connect_timeout=0.5))
        assert "no answer from 127.0.0.1" in str(error)
        assert time.monotonic() - begun < 3


def test_a_server_that_says_nothing(world: World, listener: socket.socket) -> None:
    error = refused(world, local(world, listener, connect_timeout=0.5))
    assert "says nothing for 0.5 s" in str(error)


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not an SSH server: HTTP/1.1 400 Bad Request"),
        (b"220 \x1b[31mmail\x1b[0m ESMTP\r\n", "is not an SSH server: 220 [31mmail [0m ESMTP"),
        (b"\xff\xfe\x00\r\n", "is not an SSH server"),
        (b"220 mail\r\n-", "is not an SSH server: 220 mail"),
        (b"SSH-1.5-old\r\n", "(SSH-1.5-old): Incompatible version"),
    ],
)
def test_not_an_ssh_server(world: World, listener: socket.socket, greeting: bytes, expected: str) -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(greeting)
        if not greeting.endswith(b"-"):  # this one waits
            sock.shutdown(socket.SHUT_WR)
        while sock.recv(1000):
            pass

    serve(listener, talk)
    assert expected in str(refused(world, local(world, listener)))
    stop(listener)


def test_a_server_that_hangs_up_at_once_is_tried_again(
    world: World, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lvsdeploy.ssh.connector.FIRST_PAUSE", 0.02)
    times = serve(listener, lambda _: None)
    error = refused(world, local(world, listener))
    assert "closes each connection at once" in str(error)
    assert "MaxStartups" in error.hint
    assert len(times) == 6
    assert times[5] - times[4] > times[1] - times[0]
    stop(listener)


def test_a_busy_server_lets_us_in_later(world: World, listener: socket.socket) -> None:
    turn = iter(range(100))

    def talk(sock: socket.socket) -> None:
        if next(turn) < 2:
            sock.sendall(b"Exceeded MaxStartups\r\n")
            return
        with socket.create_connection((world.sshd.address, world.sshd.port)) as there:
            done = threading.Thread(target=copy, args=(sock, there))
            done.start()
            copy(there, sock)
            done.join()

    times = serve(listener, talk)
    known = world.sshd.known_line().split(" ", 1)[1]
    world.known_hosts.write_text(f"[127.0.0.1]:{listener.getsockname()[1]} {known}")
    works(world, local(world, listener))
    assert len(times) == 3
    stop(listener)


def copy(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_max_startups_for_real(world: World, start: Callable[..., Sshd]) -> None:
    """More logins at once than sshd takes: all come in."""
    sshd = start(options="MaxStartups 2\n")
    world.known_hosts.write_text(sshd.known_line())
    connector, target = world.connector(), world.target(sshd)

    def log_in(_: int) -> bytes:
        with connector.connect(target) as connection:
            return connection.run("echo in").stdout

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(log_in, range(12))) == [b"in\n"] * 12


def test_nothing_in_common(world: World, start: Callable[..., Sshd]) -> None:
    sshd = start(options="KexAlgorithms sntrup761x25519-sha512@openssh.com\n")
    world.known_hosts.write_text(sshd.known_line())
    error = refused(world, world.target(sshd))
    assert "nothing in common" in str(error)
    assert "OpenSSH" in str(error)
    assert "KexAlgorithms" in error.hint


def test_nothing_reaches_stderr(
    world: World, listener: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    serve(listener, lambda sock: sock.sendall(b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x14garbage!!!"))
    refused(world, local(world, listener))
    refused(world, identity_file=keygen(world.folder / "stranger"))
    stop(listener)
    time.sleep(0.2)
    assert capfd.readouterr() == ("", "")


# -- who we are
# ---------------------------------------------------------------------------------------


def test_all_keys_refused(world: World) -> None:
    key = keygen(world.folder / "stranger")
    error = refused(world, identity_file=key)
    assert isinstance(error, LoginRefused)
    assert str(error) == f"login as {ME}@{world.sshd.address} refused; tried: {key}"
    assert "authorized_keys" in error.hint


def test_default_identities(world: World) -> None:
    for name in ("id_ed25519", "id_ed25519.pub"):
        shutil.copy(world.sshd.user_key.with_name(f"ed25519-user{name[10:]}"), world.folder / ".ssh" / name)
    keygen(world.folder / ".ssh" / "id_ecdsa", kind="ecdsa")
    works(world, identity_file=None)


def test_nothing_to_log_in_with(world: World) -> None:
    error = refused(world, identity_file=None)
    assert isinstance(error, LoginRefused)
    assert "there is no key to try" in str(error)
    assert "agent" in error.hint


def test_identity_files_of_ssh_config(world: World) -> None:
    stranger = keygen(world.folder / "stranger")
    world.config.write_text(f"IdentityFile {stranger}\nIdentityFile {world.sshd.user_key}\n")
    works(world, identity_file=None)


def test_a_missing_identity_file(world: World) -> None:
    error = refused(world, identity_file=world.folder / "none")
    assert isinstance(error, LoginRefused)
    assert str(error) == f"the identity file {world.folder / 'none'} does not exist"


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n"])
def test_an_identity_file_that_is_none(world: World, text: str) -> None:
    (world.folder / "key").write_text(text)
    error = refused(world, identity_file=world.folder / "key")
    assert str(error).startswith(f"the identity file {world.folder / 'key'} is ")


def test_only_an_agent(world: World, agent: Callable[..., None]) -> None:
    agent(world.sshd.user_key)
    works(world, identity_file=None)


def test_the_agent_is_not_asked_when_an_identity_file_is_given(
    world: World, agent: Callable[..., None]
) -> None:
    agent(world.sshd.user_key)
    key = keygen(world.folder / "stranger")
    assert str(refused(world, identity_file=key)).endswith(f"tried: {key}")


def test_identity_agent_none(world: World, agent: Callable[..., None]) -> None:
    agent(world.sshd.user_key)
    world.config.write_text("IdentityAgent none\n")
    assert isinstance(refused(world, identity_file=None), LoginRefused)


def test_identities_only(world: World, agent: Callable[..., None]) -> None:
    agent(world.sshd.user_key)
    stranger = keygen(world.folder / "stranger")
    world.config.write_text(f"IdentityFile {stranger}\nIdentitiesOnly yes\n")
    assert str(refused(world, identity_file=None)).endswith(f"tried: {stranger}")
    world.config.write_text(f"IdentityFile {stranger}\n")
    works(world, identity_file=None)


def test_a_public_key_names_the_agents_private_half(world: World, agent: Callable[..., None]) -> None:
    agent(world.sshd.user_key)
    public = world.folder / "only.pub"
    public.write_text(world.sshd.public(world.sshd.user_key))
    works(world, identity_file=public)


@pytest.fixture
def locked(world: World, start: Callable[..., Sshd]) -> Callable[[str], tuple[Path, Target]]:
    """A key with a passphrase, and an sshd that takes it."""

    def make(form: str) -> tuple[Path, Target]:
        key = world.folder / "locked"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "sesame", "-f", str(key)]
            + (["-m", "PEM"] if form == "pem" else []),
            check=True,
        )
        sshd = start()
        (sshd.folder / "authorized_keys").write_text(sshd.public(key))
        world.known_hosts.write_text(sshd.known_line())
        return key, world.target(sshd, identity_file=key)

    return make


@pytest.mark.parametrize("form", ["openssh", "pem"])
def test_a_passphrase_and_no_agent(
    world: World, locked: Callable[[str], tuple[Path, Target]], form: str
) -> None:
    key, target = locked(form)
    error = refused(world, target)
    assert isinstance(error, LoginRefused)
    assert str(error) == (f"the identity file {key} needs a passphrase, and no agent holds it")
    assert error.hint == f'eval "$(ssh-agent)" && ssh-add {key}'


@pytest.mark.parametrize("form", ["openssh", "pem"])
def test_a_passphrase_that_the_agent_knows(
    world: World,
    agent: Callable[..., None],
    locked: Callable[[str], tuple[Path, Target]],
    form: str,
) -> None:
    key, target = locked(form)
    agent(key, "sesame")
    works(world, target)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
@pytest.mark.parametrize("form", ["openssh", "pem"])
def test_kinds_and_forms_of_keys(world: World, start: Callable[..., Sshd], kind: str, form: str) -> None:
    key = world.folder / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key)] + (["-m", "PEM"] if form == "pem" else []),
        check=True,
    )
    sshd = start()
    (sshd.folder / "authorized_keys").write_text(sshd.public(key))
    world.known_hosts.write_text(sshd.known_line())
    works(world, world.target(sshd, identity_file=key))


def test_a_certificate(world: World, start: Callable[..., Sshd], keys: Callable[[str], Path]) -> None:
    authority, key = keys("ed25519-authority"), keygen(world.folder / "certified")
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-I", "t", "-n", ME, f"{key}.pub"], check=True)
    sshd = start(options=f"TrustedUserCAKeys {authority}.pub\n")
    (sshd.folder / "authorized_keys").write_text("")
    world.known_hosts.write_text(sshd.known_line())
    works(world, world.target(sshd, identity_file=key))


def test_too_many_keys(world: World, start: Callable[..., Sshd], agent: Callable[..., None]) -> None:
    sshd = start(options="MaxAuthTries 2\n")
    world.known_hosts.write_text(sshd.known_line())
    for number in range(4):
        agent(keygen(world.folder / f"key{number}"))
    error = refused(world, world.target(sshd, identity_file=None))
    assert isinstance(error, LoginRefused)
    assert "Too many authentication failures" in str(error)
    assert "agent's key0" in str(error)
    assert "identity_file" in error.hint


def test_a_server_that_takes_no_keys(world: World, start: Callable[..., Sshd]) -> None:
    sshd = start(options="PubkeyAuthentication no\nPasswordAuthentication yes\n")
    world.known_hosts.write_text(sshd.known_line())
    error = refused(world, world.target(sshd))
    assert isinstance(error, LoginRefused)
    assert "takes no keys, only password" in str(error)


def test_a_server_that_wants_a_second_factor(world: World, start: Callable[..., Sshd]) -> None:
    sshd = start(options="AuthenticationMethods publickey,password\nPasswordAuthentication yes\n")
    world.known_hosts.write_text(sshd.known_line())
    error = refused(world, world.target(sshd))
    assert isinstance(error, LoginRefused)
    assert "needs more than a key: password" in str(error)


def test_no_such_user(world: World) -> None:
    error = refused(world, user="lvst-nobody")
    assert isinstance(error, LoginRefused)
    assert "lvst-nobody@" in str(error)


def test_a_broken_ssh_config(world: World) -> None:
    world.config.write_text("Nonsense\n")
    assert "cannot be understood" in str(refused(world))


# -- by other ways
# ------------------------------------------------------------------------------------


@pytest.fixture
def chain(start: Callable[..., Sshd], world: World) -> tuple[Sshd, Sshd]:
    """Two jump hosts, each with a host key of its own."""
    first = start(host_key="ed25519-jump1")
    second = start(host_key="ed25519-jump2")
    world.known_hosts.write_text(world.sshd.known_line() + first.known_line() + second.known_line())
    return first, second


def jumps(*hops: Sshd) -> str:
    return ",".join(f"{ME}@{hop.address}:{hop.port}" for hop in hops)


def test_two_jump_hosts(world: World, chain: tuple[Sshd, Sshd]) -> None:
    works(world, proxy_jump=jumps(*chain))
    for hop in chain:
        assert "Accepted publickey" in hop.log()


def test_jump_hosts_of_ssh_config(world: World, chain: tuple[Sshd, Sshd]) -> None:
    first, second = chain
    world.config.write_text(
        f"Host j1\n HostName {first.address}\n Port {first.port}\n"
        f"Host j2\n HostName {second.address}\n Port {second.port}\n"
        f"Host {world.sshd.address}\n ProxyJump j1,j2\n"
        f"Host *\n User {ME}\n IdentityFile {first.user_key}\n"
    )
    works(world, user=None, identity_file=None, known_hosts=None)
    assert "Accepted publickey" in second.log()


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize("how", ["unknown", "changed"])
def test_host_keys_are_verified_on_every_hop(
    world: World,
    chain: tuple[Sshd, Sshd],
    keys: Callable[[str], Path],
    wrong: int,
    how: str,
) -> None:
    lines = [world.sshd.known_line(), *(hop.known_line() for hop in chain)]
    lines[wrong + 1] = chain[wrong].known_line(keys("ed25519-other")) if how == "changed" else ""
    world.known_hosts.write_text("".join(lines))
    error = refused(world, proxy_jump=jumps(*chain))
    assert isinstance(error, Unreachable)
    assert str(error).startswith(f"jump host {chain[wrong].address}: the host key is not ")
    assert f"{how}" in str(error) or "known" in str(error)
    assert "Accepted" not in chain[wrong].log()


def test_the_target_is_verified_behind_a_jump_host(
    world: World, chain: tuple[Sshd, Sshd], keys: Callable[[str], Path]
) -> None:
    world.known_hosts.write_text(chain[0].known_line() + world.sshd.known_line(keys("ed25519-other")))
    error = refused(world, proxy_jump=jumps(chain[0]))
    assert str(error).startswith("the host key is not the known one")


def test_a_jump_host_that_is_down(world: World) -> None:
    error = refused(world, proxy_jump=f"127.0.0.1:{free_port()}")
    assert isinstance(error, Unreachable)
    assert str(error).startswith("jump host 127.0.0.1: connection refused")


def test_a_jump_host_that_refuses_us(world: World, chain: tuple[Sshd, Sshd]) -> None:
    first, second = chain
    (second.folder / "authorized_keys").write_text("")
    error = refused(world, proxy_jump=jumps(first, second))
    assert isinstance(error, LoginRefused)
    assert str(error).startswith(f"jump host {second.address}: login as ")


def test_a_target_that_the_jump_host_cannot_reach(world: World, chain: tuple[Sshd, Sshd]) -> None:
    error = refused(world, port=free_port(), proxy_jump=jumps(chain[0]))
    assert "the jump host cannot connect to" in str(error)


def test_a_jump_host_that_may_not_connect_on(world: World, start: Callable[..., Sshd]) -> None:
    sshd = start(options="AllowTcpForwarding no\n")
    world.known_hosts.write_text(world.sshd.known_line() + sshd.known_line())
    error = refused(world, proxy_jump=jumps(sshd))
    assert "may not connect on" in str(error)
    assert "AllowTcpForwarding" in error.hint


def test_a_jump_host_is_logged_in_to_once(world: World, start: Callable[..., Sshd]) -> None:
    sshd = start()
    world.known_hosts.write_text(world.sshd.known_line() + sshd.known_line())
    connector, target = world.connector(), world.target(proxy_jump=jumps(sshd))
    with ThreadPoolExecutor(10) as pool:
        connections = list(pool.map(connector.connect, [target] * 10))
    assert {connection.run("echo in").stdout for connection in connections} == {b"in\n"}
    assert sshd.log().count("Accepted publickey") == 1
    for connection in connections:
        connection.close()
    with connector.connect(target) as connection:  # and again, once all had gone
        assert connection.run("echo in").stdout == b"in\n"
    assert sshd.log().count("Accepted publickey") == 2


def test_a_shared_jump_host_outlives_its_tunnels(world: World, start: Callable[..., Sshd]) -> None:
    """Tunnels that close while they carry data do not end the connection that they share."""
    sshd = start()
    world.known_hosts.write_text(world.sshd.known_line() + sshd.known_line())
    connector, target = world.connector(), world.target(proxy_jump=jumps(sshd))

    def work(number: int) -> bool:
        data = bytes(number * 9999)
        with connector.connect(target) as connection:
            return connection.run("exec cat", stdin=data).stdout == data

    with connector.connect(target), ThreadPoolExecutor(20) as pool:
        assert all(pool.map(work, range(30)))
    assert sshd.log().count("Accepted publickey") == 1
    assert "nonexistent channel" not in sshd.log()


def test_hosts_behind_a_dead_jump_host_fail_together(world: World, listener: socket.socket) -> None:
    connector = world.connector()
    jump = f"127.0.0.1:{listener.getsockname()[1]}"
    target = world.target(proxy_jump=jump, connect_timeout=0.5)
    begun = time.monotonic()
    for _ in range(5):
        with pytest.raises(Unreachable, match=r"jump host 127\.0\.0\.1: .* says nothing"):
            connector.connect(target)
    assert time.monotonic() - begun < 1.5


def test_proxy_command(world: World) -> None:
    tunnel = world.folder / "tunnel"
    tunnel.write_text(
        "import socket, sys, threading, os\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while d := os.read(0, 65536): s.sendall(d)\n"
        "    s.shutdown(1)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while d := s.recv(65536): os.write(1, d)\n"
    )
    world.config.write_text(f"ProxyCommand python3 {tunnel} %h %p\n")
    works(world)


def test_a_proxy_command_that_fails(world: World) -> None:
    world.config.write_text("ProxyCommand sh -c 'echo no \x1b[1mway >&2; exit 1'\n")
    assert str(refused(world)) == "the ProxyCommand failed: no [1mway"
    world.config.write_text("ProxyCommand /no/such/program\n")
    assert "the ProxyCommand failed: " in str(refused(world))


def test_many_threads(world: World) -> None:
    connector, target = world.connector(), world.target()

    def log_in(number: int) -> bytes:
        with connector.connect(target) as connection:
            return connection.run(f"echo {number}").stdout

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(log_in, range(20)))
    assert answers == [f"{number}\n".encode() for number in range(20)]


def test_the_shared_configuration_is_only_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fabric's is not made for threads: a write in one is a KeyError in another."""
    connector = world.connector()
    connector.connect(world.target()).close()
    for name in ("merge", "_modify", "_remove"):
        monkeypatch.setattr(fabric.Config, name, None)
    connector.connect(world.target()).close()


def test_no_descriptor_is_left_open(world: World) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough

    works(world)
    before = count()
    for _ in range(3):
        works(world)
        refused(world, identity_file=keygen(world.folder / f"k{time.monotonic_ns()}"))
    world.config.write_text("ProxyCommand false\n")
    refused(world)
    time.sleep(0.3)
    assert count() <= before


def test_ipv6(world: World, start: Callable[..., Sshd]) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", 1)) != errno.ECONNREFUSED:
            pytest.skip("no IPv6 here")
    port = free_port()
    sshd = start(options=f"ListenAddress [::1]:{port}\n")
    line = sshd.known_line().split(" ", 1)[1]
    world.known_hosts.write_text(f"[::1]:{port} {line}")
    works(world, Target("web1", "::1", world.target(sshd, port=port).settings))
