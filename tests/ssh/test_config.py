"""ssh_config, held against `ssh -G` where OpenSSH tells."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.model import SshSettings
from lvsdeploy.ssh.config import Hop, SshConfig
from lvsdeploy.ssh.faults import Fault
from lvsdeploy.ssh.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Hop, ...]]:
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(text: str, address: str = "web1", **settings: Any) -> tuple[Hop, ...]:
        file = tmp_path / "config"
        file.write_text(text)
        config = SshConfig((file,), {"HOME": str(tmp_path), "LOGNAME": "me"})
        return config.route(Target("web1", address, SshSettings(**settings)))

    return run


def places(hops: tuple[Hop, ...]) -> list[str]:
    return [f"{hop.user}@{hop.host}:{hop.port}" for hop in hops]


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("", {}, ["me@web1:22"]),
        ("Host web1\n HostName 192.0.2.1\n User u\n Port 2222\n", {}, ["u@192.0.2.1:2222"]),
        ("Host web1\n User u\n Port 2222\n", {"user": "v", "port": 23}, ["v@web1:23"]),
        ("Host web1\n User u\n", {"port": 23}, ["u@web1:23"]),
        ("Host web*\n HostName %h.example\n", {}, ["me@web1.example:22"]),
        ("Host web1\n ProxyJump a@j:7\n", {}, ["a@j:7", "me@web1:22"]),
        ("Host web1\n ProxyJump j1,b@j2\n", {}, ["me@j1:22", "b@j2:22", "me@web1:22"]),
        ("Host web1\n ProxyJump j\nHost j\n User ju\n Port 9\n", {}, ["ju@j:9", "me@web1:22"]),
        ("Host web1\n ProxyJump none\n", {}, ["me@web1:22"]),
        ("Host web1\n ProxyJump j\n", {"proxy_jump": "none"}, ["me@web1:22"]),
        ("Host web1\n ProxyJump j\n", {"proxy_jump": "k"}, ["me@k:22", "me@web1:22"]),
        ("Host *\n ProxyJump j\n", {}, ["me@j:22", "me@web1:22"]),
        (
            "Host web1\n ProxyJump j\nHost j\n ProxyJump i\n",
            {},
            ["me@i:22", "me@j:22", "me@web1:22"],
        ),
        ("", {"proxy_jump": "web1"}, ["me@web1:22"]),
        ("", {"proxy_jump": "web1", "port": 2222}, ["me@web1:22", "me@web1:2222"]),
        ("", {"proxy_jump": "[2001:db8::1]:23"}, ["me@2001:db8::1:23", "me@web1:22"]),
        ("", {"proxy_jump": "ssh://x@j:23"}, ["x@j:23", "me@web1:22"]),
        ("Match user v\n Port 99\n", {"user": "v"}, ["v@web1:99"]),
        ("Match host web1 user v\n Port 99\n", {}, ["me@web1:22"]),
    ],
)
def test_the_way(
    route: Callable[..., tuple[Hop, ...]],
    text: str,
    settings: dict[str, Any],
    expected: list[str],
) -> None:
    assert places(route(text, **settings)) == expected


def test_of_proxyjump_and_proxycommand_the_first_counts(
    route: Callable[..., tuple[Hop, ...]],
) -> None:
    jump, command = " ProxyJump j\n", " ProxyCommand nc %h %p\n"
    assert len(route("Host web1\n" + jump + command)) == 2
    (hop,) = route("Host web1\n Port 24\n" + command + jump)
    assert hop.proxy_command == "nc web1 24"
    (hop,) = route("Host web1\n ProxyCommand none\nHost *\n" + command)
    assert hop.proxy_command is None


def test_tokens_see_what_the_inventory_settled(route: Callable[..., tuple[Hop, ...]]) -> None:
    (hop,) = route("Host web1\n HostName h.example\n ProxyCommand p %r@%h:%p %n 100%%\n", user="v", port=5)
    assert hop.proxy_command == "p v@h.example:5 web1 100%"


def test_known_hosts(route: Callable[..., tuple[Hop, ...]], tmp_path: Path) -> None:
    (hop,) = route("UserKnownHostsFile ~/k1 /k2\nGlobalKnownHostsFile none\n")
    assert hop.known_hosts == (tmp_path / "k1", Path("/k2"))
    (hop,) = route("UserKnownHostsFile ~/k1\n", known_hosts=Path("own"))
    assert hop.known_hosts == (Path("own"),)
    (hop,) = route("")
    assert hop.known_hosts[0] == tmp_path / ".ssh" / "known_hosts"
    (hop,) = route("HostKeyAlias Alias\n", port=2222)
    assert (hop.key_name, hop.bare_name) == ("alias", None)
    (hop,) = route("", port=2222)
    assert (hop.key_name, hop.bare_name) == ("[web1]:2222", "web1")


def test_identities(route: Callable[..., tuple[Hop, ...]], tmp_path: Path) -> None:
    (hop,) = route("IdentityFile ~/a\nIdentityFile %d/b-%r\nIdentitiesOnly yes\n", user="v")
    assert hop.identities == (tmp_path / "a", tmp_path / "b-v")
    assert hop.identities_only
    assert hop.only is None
    (hop,) = route("IdentityFile ~/a\n", identity_file=Path("~/own"))
    assert hop.only == tmp_path / "own"
    jump, hop = route("", identity_file=Path("/own"), proxy_jump="j")
    assert (jump.only, jump.identities) == (None, (Path("/own"),))


def test_the_agents_socket(tmp_path: Path) -> None:
    file = tmp_path / "config"
    environ = {"HOME": str(tmp_path), "SSH_AUTH_SOCK": "/a", "OTHER": "/o"}

    def agent(text: str) -> str:
        file.write_text(text)
        return SshConfig((file,), environ).route(Target("w", "w"))[0].agent

    assert agent("") == "/a"
    assert agent("IdentityAgent none\n") == ""
    assert agent("IdentityAgent SSH_AUTH_SOCK\n") == "/a"
    assert agent("IdentityAgent $OTHER\n") == "/o"
    assert agent("IdentityAgent ~/sock\n") == str(tmp_path / "sock")


def test_connect_timeout(route: Callable[..., tuple[Hop, ...]]) -> None:
    assert route("ConnectTimeout 3\n")[0].timeout == 3
    assert route("ConnectTimeout 3\n", connect_timeout=4.5)[0].timeout == 4.5
    assert route("")[0].timeout == 10


def test_include(route: Callable[..., tuple[Hop, ...]], tmp_path: Path) -> None:
    parts = tmp_path / ".ssh" / "conf.d"
    parts.mkdir(parents=True)
    (parts / "1.conf").write_text("Host web1\n  Port 1234\n")
    (parts / "2.conf").write_text("Host other\n  User nobody\n")
    text = "Include conf.d/*.conf\nUser u\n"
    assert places(route(text)) == ["u@web1:1234"]
    text = "Host web1\n Include ~/.ssh/conf.d/1.conf\n User u\n"
    assert places(route(text)) == ["u@web1:1234"]
    assert places(route(text, "elsewhere")) == ["me@elsewhere:22"]
    (parts / "1.conf").write_text("Include conf.d/1.conf\n")  # itself
    assert places(route("Include conf.d/1.conf\n")) == ["me@web1:22"]


@pytest.mark.parametrize("text", ["Host web1\n Nonsense\n", "Match host\n", 'Host "web1\n'])
def test_a_broken_file_is_one_line(route: Callable[..., tuple[Hop, ...]], text: str) -> None:
    with pytest.raises(Fault, match="cannot be understood"):
        route(text)


def test_a_broken_jump_host_and_port(route: Callable[..., tuple[Hop, ...]]) -> None:
    with pytest.raises(Fault, match="is not \\[user@\\]host"):
        route("", proxy_jump="x:y:z")
    with pytest.raises(Fault, match="not a number"):
        route("Port http\n")


@pytest.mark.parametrize(
    "text",
    [
        "Host web1\n HostName %h.example\n User u\n Port 2222\n",
        "Host web? !web2\n Port 1\nHost *\n Port 2\n User x\n",
        "Port=7\nUser = eq\n",
        "Match originalhost web1\n User m\nMatch all\n Port 8\n",
    ],
)
def test_the_same_as_openssh(route: Callable[..., tuple[Hop, ...]], tmp_path: Path, text: str) -> None:
    (hop,) = route(text)
    said = subprocess.run(
        ["ssh", "-G", "-F", str(tmp_path / "config"), "web1"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    options = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    expected = [options["hostname"], options["port"]]
    if "user" in text.lower():
        assert hop.user == options["user"]
    assert [hop.host, str(hop.port)] == expected
