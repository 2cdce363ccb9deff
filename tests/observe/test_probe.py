"""The probe, run for real by three shells, in a network and mount namespace of its own."""

from __future__ import annotations

import os
import shutil
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.observe import Request, parse
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.file import FileKind
from lvsdeploy.state.network import Route
from lvsdeploy.state.sysctl import effective
from tests.observe.sandbox import needs_namespaces

if TYPE_CHECKING:
    from tests.observe.sandbox import Sandbox

pytestmark = needs_namespaces


def test_a_real_server(sandbox: Sandbox) -> None:
    sandbox.setup = [
        "ip link add eth0 type veth peer name far",
        "ip link add down0 type dummy 2>/dev/null || ip link add down0 type veth peer name down1",
        "ip link set eth0 up; ip link set far up",
        "ip address add 192.0.2.11/24 dev eth0",
        "ip address add 192.0.2.50/32 dev lo",
        "ip -6 address add 2001:db8::50/128 dev lo nodad",
        "ip address add 10.0.0.1 peer 10.0.0.2/30 dev eth0",
        "ip route add default via 192.0.2.7 metric 50",
        "ip route add default via 192.0.2.1",
        "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore",
        "echo 2 >/proc/sys/net/ipv4/conf/eth0/arp_announce",
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
    ]
    seen = sandbox.observe(Request())
    addresses = {str(address) for address in seen.state.addresses}
    assert {
        "192.0.2.11/24 on eth0",
        "192.0.2.50/32 on lo",
        "2001:db8::50/128 on lo",
        "10.0.0.1/30 on eth0",
    } <= addresses
    assert seen.state.routes == (
        Route(ip_address("192.0.2.1"), "eth0", 0),
        Route(ip_address("192.0.2.7"), "eth0", 50),
    )
    assert [" ".join(route.words).rstrip() for route in seen.state.routes] == [
        "default via 192.0.2.1 dev eth0",
        "default via 192.0.2.7 dev eth0 metric 50",
    ]
    assert seen.facts.links["eth0"]
    assert not seen.facts.links["down0"]
    sysctls = seen.state.sysctls
    assert sysctls["net.ipv4.ip_forward"] == 1
    assert sysctls["net.ipv4.conf.eth0.arp_ignore"] == 0
    assert effective(sysctls, "net.ipv4.conf.eth0.arp_ignore") == 1
    assert sysctls["net.ipv4.conf.eth0.arp_announce"] == 2
    assert seen.facts.root
    assert seen.state.virtual_services is None
    assert "2001:db8::50/128 on lo" not in {str(address) for address in seen.tentative}


def test_files(sandbox: Sandbox) -> None:
    here = sandbox.folder
    request = Request(token="f00d")  # noqa: S106 — not a password
    hostile = b"\nf00d end\nf00d begin 1\nf00 end" + bytes(range(256)) * 3
    contents = {
        "known": b"as expected\n",
        "edited": b"edited by hand",
        "hostile": hostile.replace(b"f00d", b"f00c"),
        "big": os.urandom(3_000_000),
        "empty": b"",
    }
    for name, content in contents.items():
        (here / name).write_bytes(content)
    (here / "edited").chmod(0o640)
    os.chown(here / "edited", 12345, 0)
    (here / "link").symlink_to(here / "known")
    (here / "folder").mkdir(mode=0o750)
    os.mkfifo(here / "pipe", 0o600)
    paths = {name: str(here / name) for name in (*contents, "link", "folder", "pipe", "missing")}
    request = Request(
        files={path: [b"as expected\n", b"declared\n"] for path in paths.values()},
        token=request.token,
    )
    seen = sandbox.observe(request)
    files = {name: seen.state.files[path] for name, path in paths.items() if name != "missing"}
    assert paths["missing"] not in seen.state.files
    assert {name: files[name].content for name in contents} == contents
    assert files["edited"].mode == 0o640
    assert files["edited"].owner == "12345:root"
    assert files["link"].kind is FileKind.SYMLINK
    assert files["folder"].kind is FileKind.DIRECTORY
    assert files["folder"].mode == 0o750
    assert files["pipe"].kind is FileKind.OTHER
    assert files["link"].content == files["folder"].content == b""
    assert seen.unread == {}


def test_contents_that_are_known_do_not_travel(sandbox: Sandbox) -> None:
    content = b"x" * 100_000
    (sandbox.folder / "a").write_bytes(content)
    request = Request(files={str(sandbox.folder / "a"): [content]})
    assert len(sandbox.answer(request)) < 5000
    assert sandbox.observe(request).state.files[str(sandbox.folder / "a")].content == content


def test_without_being_root(sandbox: Sandbox) -> None:
    (sandbox.folder / "secret").write_bytes(b"x")
    (sandbox.folder / "secret").chmod(0o600)
    sandbox.as_user = 65534
    path = str(sandbox.folder / "secret")
    seen = sandbox.observe(Request(files={path: [b"x"]}, table=frozenset()))
    assert not seen.facts.root
    assert seen.state.files[path].content == b""
    assert seen.state.files[path].mode == 0o600
    assert path in seen.unread


def test_programs_and_modules(sandbox: Sandbox) -> None:
    request = Request(programs=("sh", "no-such-program"), modules=("no_such_module",))
    seen = sandbox.observe(request)
    assert seen.state.programs == {"sh"}
    assert seen.facts.modules == frozenset()


def test_units_of_systemd(sandbox: Sandbox) -> None:
    answers = sandbox.folder / "systemctl"
    answers.write_text(
        "#!/bin/sh\ncat <<'END'\n"
        "Id=keepalived.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\n"
        "Id=old.service\nLoadState=loaded\nActiveState=failed\nUnitFileState=generated\n\n"
        "Id=none.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\nEND\n"
    )
    answers.chmod(0o755)
    sandbox.setup = [
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir -p /run/systemd/system",
        f"mount --bind {answers} $(command -v systemctl)",
    ]
    if not shutil.which("systemctl"):
        pytest.skip("no systemctl to stand in for")
    if sandbox.shell == "busybox":
        (sandbox.folder / "applets").mkdir()
        (sandbox.folder / "applets" / "systemctl").symlink_to(answers)
    seen = sandbox.observe(Request(units=("keepalived", "old", "none")))
    units = seen.state.units
    assert seen.facts.service_manager is ServiceManager.SYSTEMD
    assert (units["keepalived"].enabled, units["keepalived"].active) == (True, True)
    assert (units["old"].enabled, units["old"].active) == (False, False)
    assert (units["none"].enabled, units["none"].active) == (False, False)


def test_services_of_openrc(sandbox: Sandbox) -> None:
    etc = sandbox.folder / "etc"
    (etc / "runlevels" / "default").mkdir(parents=True)
    (etc / "runlevels" / "default" / "lvsdeploy-shop").touch()
    sandbox.setup = [
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir -p /run/openrc/started /run/openrc/daemons/keepalived",
        "touch /run/openrc/started/lvsdeploy-shop /run/openrc/started/keepalived",
        "printf 'exec=keepalived\\npidfile=/run/k.pid\\n' >/run/openrc/daemons/keepalived/001",
        "echo 99999999 >/run/k.pid",  # it was killed: OpenRC says crashed
        f"mount --bind {etc} /etc",
    ]
    seen = sandbox.observe(Request(units=("keepalived", "lvsdeploy-shop")))
    assert seen.facts.service_manager is ServiceManager.OPENRC
    units = seen.state.units
    assert (units["lvsdeploy-shop"].enabled, units["lvsdeploy-shop"].active) == (True, True)
    assert (units["keepalived"].enabled, units["keepalived"].active) == (False, False)


def test_init_scripts(sandbox: Sandbox) -> None:
    etc = sandbox.folder / "etc"
    (etc / "init.d").mkdir(parents=True)
    (etc / "rc2.d").mkdir()
    for name, text in {
        "once": '[ "$1" = status ]',
        "sh": "exit 0",  # a daemon's script, which says yes to everything
        "sleep": "exit 1",
    }.items():
        (etc / "init.d" / name).write_text(f"#!/bin/sh\n{text}\n")
        (etc / "init.d" / name).chmod(0o755)
    (etc / "rc2.d" / "S03once").symlink_to("../init.d/once")
    sandbox.setup = [
        "mount -t tmpfs -o mode=755 tmpfs /run",
        f"mount --bind {etc} /etc",
        "sleep 5 >/dev/null 2>&1 & echo $! >/run/sleep.pid",
    ]
    units = sandbox.observe(Request(units=("once", "sh", "sleep", "none"))).state.units
    told = {name: (unit.enabled, unit.active) for name, unit in units.items()}
    assert told == {
        "once": (True, True),
        "sh": (False, False),
        "sleep": (False, True),
        "none": (False, False),
    }


def test_a_chatty_login_is_read_over(sandbox: Sandbox) -> None:
    request = Request()
    answer = b"Welcome!\n\x1b[2Jno newline" + sandbox.answer(request)
    assert parse("web1", answer, request).facts.kernel
