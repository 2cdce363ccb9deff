"""known_hosts(5), held against what ssh-keygen makes of it."""

from __future__ import annotations

import subprocess
import time
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.ssh.faults import Fault
from lvsdeploy.ssh.known_hosts import HostKeys, KnownHostsFile, fingerprint, host_key_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def key(keys: Callable[[str], Path]) -> str:
    return " ".join(keys("ed25519-host").with_suffix(".pub").read_text().split()[:2])


def look(tmp_path: Path, text: str, name: str, bare: str | None = None) -> HostKeys:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return HostKeys.find([(file, KnownHostsFile.read(file))], name, bare)


def verify(found: HostKeys, key: str) -> None:
    kind, blob = key.split()
    found.verify(kind, b64decode(blob))


@pytest.mark.parametrize(
    ("names", "name", "known"),
    [
        ("host.example", "host.example", True),
        ("Host.Example", "host.example", True),
        ("a,host.example,192.0.2.1", "192.0.2.1", True),
        ("*.example", "host.example", True),
        ("*.example,!host.example", "host.example", False),
        ("!host.example,*.example", "host.example", False),
        ("*.example,!other.example", "host.example", True),
        ("host?.example", "host1.example", True),
        ("host?.example", "host.example", False),
        ("[host.example]:2222", "[host.example]:2222", True),
        ("[host.example]:2222", "[host.example]:2223", False),
        ("[*.example]:2222", "[host.example]:2222", True),
        ("[*.example]:*", "[host.example]:2222", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("[2001:db8::1]:2222", "[2001:db8::1]:2222", True),
        ("host.example.org", "host.example", False),
    ],
)
def test_names(tmp_path: Path, key: str, names: str, name: str, known: bool) -> None:  # noqa: FBT001 - a table's column
    found = look(tmp_path, f"{names} {key} a comment\n", name)
    if known:
        verify(found, key)
    else:
        with pytest.raises(Fault, match="is not known"):
            verify(found, key)


@pytest.mark.parametrize("name", ["host.example", "[host.example]:2222", "192.0.2.1"])
def test_hashed_by_ssh_keygen(tmp_path: Path, key: str, name: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{name} {key}\nother {key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    text = file.read_text()
    assert name not in text
    verify(look(tmp_path, text, name), key)
    with pytest.raises(Fault, match="is not known"):
        verify(look(tmp_path, text, "another.example"), key)


def test_fingerprint_as_ssh_keygen_prints_it(keys: Callable[[str], Path]) -> None:
    public = keys("ed25519-host").with_suffix(".pub")
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(public)], check=True, capture_output=True, text=True
    ).stdout
    assert fingerprint(b64decode(public.read_text().split()[1])) == said.split()[1]


def test_a_key_known_without_the_port_is_taken(tmp_path: Path, key: str) -> None:
    verify(look(tmp_path, f"host {key}\n", "[host]:2222", "host"), key)


def test_another_key_known_without_the_port_is_no_contradiction(
    tmp_path: Path, key: str, keys: Callable[[str], Path]
) -> None:
    other = " ".join(keys("ed25519-other").with_suffix(".pub").read_text().split()[:2])
    with pytest.raises(Fault, match="is not known"):
        verify(look(tmp_path, f"host {other}\n", "[host]:2222", "host"), key)


@pytest.mark.parametrize("marker", ["@revoked", "@REVOKED"])
def test_revoked(tmp_path: Path, key: str, marker: str) -> None:
    with pytest.raises(Fault, match=r"revoked key: ED25519 SHA256:.*known_hosts:2"):
        verify(look(tmp_path, f"host {key}\n{marker} * {key}\n", "host"), key)


def test_a_certificate_authority_is_not_a_host_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(Fault, match="certificate authority"):
        verify(look(tmp_path, f"@cert-authority *.example {key}\n", "host.example"), key)


def test_the_known_kind_is_asked_for_first(tmp_path: Path, keys: Callable[[str], Path]) -> None:
    supported = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"]
    rsa = " ".join(keys("rsa-host").with_suffix(".pub").read_text().split()[:2])
    found = look(tmp_path, f"host {rsa}\n", "host")
    assert found.preferred(supported) == [*supported[2:], *supported[:2]]
    assert look(tmp_path, "", "host").preferred(supported) == supported


@pytest.mark.parametrize(
    "line",
    ["", "#", "host", "host ssh-ed25519", "|1|x|y ssh-ed25519 AAAA", "@revoked", "host x !!!", "|1|"],
)
def test_broken_lines_are_skipped(tmp_path: Path, key: str, line: str) -> None:
    verify(look(tmp_path, f"{line}\nhost {key}\n", "host"), key)


def test_an_unreadable_file_is_an_error_and_a_missing_one_empty(tmp_path: Path) -> None:
    assert not KnownHostsFile.read(tmp_path / "none").exact
    with pytest.raises(Fault, match="cannot be read"):
        KnownHostsFile.read(tmp_path)


def test_a_host_on_the_usual_port_has_a_plain_name() -> None:
    assert host_key_name("Host.Example", 22) == "host.example"
    assert host_key_name("2001:DB8::1", 2222) == "[2001:db8::1]:2222"


def test_a_long_file_is_read_in_linear_time(tmp_path: Path, key: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"host{n}.example {key}\n" for n in range(20_000)))
    begun = time.process_time()
    KnownHostsFile.read(file)
    assert time.process_time() - begun < 1.0
