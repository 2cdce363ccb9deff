"""apply, history, rollback and destroy, as an operator types them, on real hosts reached through a real sshd."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.cli.running import ROOT, Done
from tests.hosts import FIRST_ROUTE, INSIDE, OUTSIDE, needs_namespaces, service, wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces

VIP, OTHER_VIP = f"{OUTSIDE}50", f"{OUTSIDE}51"
HISTORY = "/var/lib/lvsdeploy/shop/history"


@pytest.fixture
def web1(site: Site) -> NamespaceHost:
    return site.host("web1", 11)


@pytest.fixture
def web(run: Callable[..., Done]) -> Callable[..., Done]:
    """Runs a verb for the real servers alone, and fails unless it exits as expected."""

    def with_limit(verb: str, inventory: Path, *options: str, code: int | None = 0) -> Done:
        done = run(verb, "--limit", "web*", *options, inventory)
        assert code in (done.code, None), done
        return done

    return with_limit


def start(verb: str, *arguments: str | Path, **how: Any) -> subprocess.Popen[str]:
    """A command as a process of its own."""
    argv = [sys.executable, "-m", "lvsdeploy", verb, *map(str, arguments)]
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    return subprocess.Popen(argv, cwd=ROOT, text=True, **how)


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def on_a_terminal(answer: str, verb: str, *arguments: str | Path) -> Done:
    """A command that is asked on a terminal."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        return ended(start(verb, *arguments, stdin=theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def vips(host: NamespaceHost) -> set[str]:
    return {line.split()[3] for line in host.sh("ip -o -4 address show dev lo").splitlines()} - {
        "127.0.0.1/8"
    }


def ids(site: Site, *hosts: NamespaceHost, cluster: str = "shop") -> list[str]:
    """What the hosts remember, the oldest first."""
    return sorted(
        {entry["id"] for host in hosts or site.hosts for entry in host.manifest(cluster)["history"]}
    )


def without_history(host: NamespaceHost) -> dict[str, object]:
    """Everything on a host but what it remembers of who applied when."""
    found = host.everything()
    files: Any = found["files"]
    record = host.manifest() if host.exists("/var/lib/lvsdeploy/shop/manifest.json") else {}
    found["files"] = {p: w for p, w in files.items() if not p.startswith("/var/lib/lvsdeploy/shop/")}
    return {**found, "record": {k: v for k, v in record.items() if k != "history"}}


# --- apply --------------------------------------------------------------------------------------------------


def test_apply_then_nothing_then_what_a_hand_has_changed(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    web2 = site.host("web2", 12)
    inventory = site.inventory("shop", web1, web2)
    assert "Applied to web1, web2" in web("apply", inventory).out
    applied = web1.everything(times=True)
    assert vips(web1) == vips(web2) == {f"{VIP}/32"}
    assert web1.run_files() == [], "no lock, no lease, no folder is left"

    assert "Nothing to do: 2 hosts as declared" in web("apply", inventory).out
    assert "As declared: cluster shop, 2 hosts" in web("check", inventory).out
    assert web1.everything(times=True) == applied, "not one file was written again"

    script = web1.read("/etc/lvsdeploy/shop/real-server").decode()
    web1.write("/etc/lvsdeploy/shop/real-server", script + "# mine\n", 0o755)
    web1.sh(f"ip address del {VIP}/32 dev lo; echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore")
    web1.sh("update-rc.d lvsdeploy-shop disable")
    drift = web("check", inventory, code=2).out
    assert drift.count("[changed on the host]") == 4
    changed = web("apply", inventory).out
    assert "Applied to web1: " in changed
    assert "-      # mine" in changed or "-# mine" in changed
    (root,) = {path for path in web1.files("/etc/rc2.d") if "lvsdeploy" in path}
    assert root.startswith("/etc/rc2.d/S")
    assert without_history(web1)["record"] == {k: v for k, v in web1.manifest().items() if k != "history"}
    assert {k: v for k, v in without_history(web1).items() if k not in ("files", "record")} == {
        k: v for k, v in applied.items() if k != "files"
    }
    web("check", inventory)


def test_what_the_inventory_says_otherwise(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    web("apply", site.inventory("shop", web1))
    other = site.inventory("shop", web1, services={"http": service(OTHER_VIP, web1)})
    assert "[no longer declared]" in web("plan", other).out
    assert web("plan", other, "--detailed-exitcode", code=2).err == ""
    assert vips(web1) == {f"{VIP}/32"}, "plan changes nothing"
    web("apply", other)
    assert vips(web1) == {f"{OTHER_VIP}/32"}
    web("check", other)


def test_in_waves(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    web2, web3 = site.host("web2", 12), site.host("web3", 13)
    inventory = site.inventory("shop", web1, web2, web3)
    web2.instead_of("ip", '[ "$*" != "address add 192.0.2.50/32 dev lo" ] || exit 9; exec "$real" "$@"')
    done = web("apply", inventory, "--serial", "1", "-v", code=1)
    assert "wave 2 of 3: web2" in done.err
    assert "wave 3" not in done.err
    assert "web2: could not add 192.0.2.50/32 on lo; everything was put back" in done.out
    assert "web3: not changed: the waves before it failed on web2" in done.out
    assert [vips(host) for host in (web1, web2, web3)] == [{f"{VIP}/32"}, set(), set()]
    assert not web2.exists("/etc/lvsdeploy")
    web2.as_found("ip")
    assert "Applied to web2, web3" in web("apply", inventory, "--serial", "50%").out


def test_a_log_file_and_json(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    log = site.folder / "log"
    done = web("apply", site.inventory("shop", web1), "--output", "json", "--log-file", str(log))
    answer = json.loads(done.out)
    assert (answer["command"], answer["exit_code"], answer["left"], answer["failures"]) == (
        "apply",
        0,
        [],
        [],
    )
    assert [host["host"] for host in answer["changed"]] == ["web1"]
    assert answer["after"]["hosts"][0]["changes"] == []
    assert log.read_text().count("web1: done") == 1


# --- confirm ------------------------------------------------------------------------------------------------

KEYS = "AuthorizedKeysFile none\nAuthorizedKeysCommandUser root\nAuthorizedKeysCommand /usr/local/sbin/keys\n"


def asked_at_login(site: Site, script: str) -> NamespaceHost:
    """A host that runs `script` when somebody logs in while a change waits to be confirmed; it may say no."""
    host = site.host("web1", 11, KEYS)
    public = site.user_key.with_name(f"{site.user_key.name}.pub").read_text().strip()
    enter = f"nsenter --net={host.sshd.folder}/net"
    host.write(
        "/usr/local/sbin/keys",
        f"""#!/bin/sh
enter="{enter}"
for armed in /var/lib/lvsdeploy/.journal/armed.*; do
    [ ! -e "$armed" ] || {{ {script}; }} || exit 1
done
echo '{public}'
""",
        0o755,
    )
    return host


def test_a_change_that_is_confirmed_lasts(site: Site, web: Callable[..., Done]) -> None:
    host = asked_at_login(site, "echo asked >/run/asked")
    inventory = site.inventory("shop", host)
    assert "Applied to web1" in web("apply", inventory, "--confirm", "30").out
    assert host.exists("/run/asked"), "by a login of its own"
    assert vips(host) == {f"{VIP}/32"}
    wait("the guard ends", lambda: not any("guard" in words for words in host.commands().values()))
    wait("its folder goes", lambda: host.run_files() in ([], ["/run/lvsdeploy/settled"]))
    assert not host.exists("/var/lib/lvsdeploy/.journal")
    web("check", inventory)


def test_a_change_after_which_nobody_can_log_in_is_put_back_by_the_host(
    site: Site, web: Callable[..., Done]
) -> None:
    host = asked_at_login(site, "false")
    inventory, before = site.inventory("shop", host), host.everything(times=True)
    done = web("apply", inventory, "--confirm", "5", code=1)
    assert "it puts itself back within 5 s" in done.out
    assert "not applied" not in done.out
    wait("the host puts itself back", lambda: not host.exists("/var/lib/lvsdeploy"))
    wait("the guard ends", lambda: host.run_files() in ([], ["/run/lvsdeploy/settled"]))
    assert {**host.everything(times=True), "run": []} == before
    host.write(
        "/usr/local/sbin/keys", host.read("/usr/local/sbin/keys").decode().replace("false", "true"), 0o755
    )
    assert "Applied to web1" in web("apply", inventory, "--confirm", "5").out


def test_a_change_that_does_not_hold_is_put_back_at_once(site: Site, web: Callable[..., Done]) -> None:
    host = asked_at_login(site, f"$enter ip address del {VIP}/32 dev lo")
    before = host.everything(times=True)
    done = web("apply", site.inventory("shop", host), "--confirm", "600", code=1)
    assert "web1: the host is not as declared after the change; it was put back" in done.out
    assert f"| address {VIP}/32 on lo: {VIP} is not on lo" in done.out, "and what was not"
    wait("the guard ends", lambda: host.run_files() in ([], ["/run/lvsdeploy/settled"]))
    assert {**host.everything(times=True), "run": []} == before


# --- history and rollback -----------------------------------------------------------------------------------


def test_history_in_every_format(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    assert "othing was applied yet" in web("history", inventory).out
    web("apply", inventory)
    other = site.inventory("shop", web1, services={"http": service(OTHER_VIP, web1)})
    web("apply", other)
    first, second = ids(site)
    user = web1.manifest()["history"][0]["by"]

    text = web("history", other).out
    assert text.index(second) < text.index(first), "the newest first"
    assert user in text
    told = json.loads(web("history", other, "--output", "json").out)
    assert [apply["id"] for apply in told["applies"]] == [second, first]
    assert (told["command"], told["exit_code"], told["applies"][0]["what"]) == ("history", 0, "apply")
    assert (
        f"create address {OTHER_VIP}/32 on lo [changed in the inventory]"
        in told["applies"][0]["changes"]["web1"]
    )
    assert len(told["applies"][0]["inventory"]) == 64
    markdown = web("history", other, "--output", "markdown").out
    assert markdown.index(second) < markdown.index(first)
    suites = ET.fromstring(web("history", other, "--output", "junit").out.encode())  # noqa: S314 — our own text
    assert [case.get("classname", "") + case.get("name", "") for case in suites.iter("testcase")]
    assert list(suites.iter("failure")) == []


def test_rollback_and_back_again(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    before = without_history(web1)
    web("apply", inventory)
    first = without_history(web1)
    other = site.inventory("other", web1, services={"http": service(OTHER_VIP, web1)})
    web("apply", other)
    second = without_history(web1)

    asked = on_a_terminal("n\n", "rollback", "--limit", "web*", other)
    assert asked.code == 1
    assert "Aborted; nothing was changed." in asked.err
    shown, _, after = asked.out.partition("Change the hosts? [y/N]")
    assert f"+vips='{VIP}/32'" in shown, "the diff comes first"
    assert f"-vips='{OTHER_VIP}/32'" in shown
    assert after.strip(": \n") == ""
    assert without_history(web1) == second

    assert on_a_terminal("y\n", "rollback", "--limit", "web*", other).code == 0
    assert without_history(web1) == first
    web("check", inventory)
    assert "[changed in the inventory]" in web("check", other, code=2).out

    back = web("rollback", other)
    assert "Rolled back" in back.out or "web1" in back.out
    assert without_history(web1) == second, "a rollback of a rollback goes forward"
    assert [entry["what"] for entry in web1.manifest()["history"]] == [
        "apply",
        "apply",
        "rollback",
        "rollback",
    ]

    oldest, *_ = ids(site)
    web("rollback", other, "--to", oldest)
    assert without_history(web1) == first
    assert web1.manifest()["history"][-1]["what"] == f"rollback to {oldest}"
    assert "Nothing to do" in web("rollback", other, "--to", oldest).out
    assert without_history(web1) == first
    assert before["addresses"] != first["addresses"]


def test_rollback_of_the_first_apply_takes_all_of_it_away(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """Only what the host remembers stays, so that this can be rolled back, too."""
    inventory, before = site.inventory("shop", web1), web1.everything(times=True)
    nothing = web("rollback", inventory, code=1)
    assert "there is nothing to go back to: nothing was applied yet" in nothing.err
    web("apply", inventory)
    applied = without_history(web1)
    web("rollback", inventory)
    after = web1.everything(times=True)
    files: Any = after["files"]
    after["files"] = {p: words for p, words in files.items() if not p.startswith("/var/lib/lvsdeploy")}
    assert after == before
    web("rollback", inventory)
    assert without_history(web1) == applied
    web("destroy", inventory)
    assert web1.everything(times=True) == before


def test_rollback_to_what_nobody_remembers(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    web("apply", inventory)
    (only,) = ids(site)
    for unknown in ("20200101T000000Z-0000", "", "bogus", "\x1b[31m"):
        done = web("rollback", inventory, "--to", unknown, code=64)
        assert "no host remembers an apply" in done.err
        assert f"There are: {only}" in done.err
        assert "\x1b" not in done.err


def test_an_apply_that_changed_one_host_is_rolled_back_there_alone(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    web2 = site.host("web2", 12)
    one = site.inventory("shop", web1, web2, services={"http": service(VIP, web1)})
    both = site.inventory("both", web1, web2)
    web("apply", one)
    assert "Applied to web2" in web("apply", both).out
    first = web1.everything(times=True)
    assert "web1" not in web("rollback", both).out.splitlines()[-1]
    assert web1.everything(times=True) == first
    assert vips(web2) == set()


def test_ten_applies_are_kept(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventories = [
        site.inventory(f"shop{vip}", web1, services={"http": service(f"{OUTSIDE}{vip}", web1)})
        for vip in (50, 51)
    ]
    seen = []
    for number in range(11):
        web("apply", inventories[number % 2])
        seen.append(ids(site)[-1])
    assert ids(site) == seen[1:]
    kept = {path.rpartition("/")[2] for path in web1.files(HISTORY)}
    assert kept == {f"{name}.json" for name in seen[1:]}, "the oldest is gone on disk"
    done = web("rollback", inventories[0], "--to", seen[0], code=64)
    assert f"no host remembers an apply `{seen[0]}`" in done.err
    web("rollback", inventories[0], "--to", seen[1])
    assert vips(web1) == {f"{OTHER_VIP}/32"}
    # What the oldest one kept replaced is not known any more.
    (web1.root / HISTORY.lstrip("/") / f"{ids(site)[-2]}.json").unlink()
    lost = web("rollback", inventories[0], code=1)
    assert "is not there, or cannot be read" in lost.out
    assert vips(web1) == {f"{OTHER_VIP}/32"}


def test_what_the_hosts_remember_is_for_root_alone(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    web("apply", site.inventory("shop", web1))
    (kept,) = web1.files(HISTORY).values()
    assert kept[:3] == ("-rw-------", 0, 0)


# --- destroy ------------------------------------------------------------------------------------------------


def test_destroy_leaves_what_was_there_before(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    theirs = "# written by hand\nnet.ipv4.conf.all.arp_ignore = 2\n"
    file = "/etc/sysctl.d/90-lvsdeploy-shop.conf"
    web1.write(file, theirs, 0o640)
    web1.sh("chown daemon:adm /etc/sysctl.d/90-lvsdeploy-shop.conf; mkdir -m 0711 /etc/lvsdeploy")
    web1.sh("echo 2 >/proc/sys/net/ipv4/conf/all/arp_ignore; ip address add 192.0.2.51/32 dev lo")
    services = {"http": service(VIP, web1), "api": service(OTHER_VIP, web1)}
    inventory = site.inventory("shop", web1, services=services)
    before = web1.everything(times=True)

    refused = web("apply", inventory, code=1)
    assert f"{file}" in refused.out
    assert "--adopt" in refused.out
    assert web1.everything(times=True) == before, "nothing was changed"

    web("apply", inventory, "--adopt")
    assert web1.read(f"{file}.before-lvsdeploy").decode() == theirs
    web("check", inventory)
    asked = on_a_terminal("n\n", "destroy", "--limit", "web*", inventory)
    assert (asked.code, "Change the hosts?" in asked.out) == (1, True)
    web("check", inventory)
    done = web("destroy", inventory)
    assert "without anything of lvsdeploy's" in done.out
    assert web1.everything(times=True) == before
    assert "Nothing to do" in web("destroy", inventory).out
    assert web1.everything(times=True) == before


def test_destroy_puts_the_default_route_back(site: Site, run: Callable[..., Done]) -> None:
    host = site.host("db1", 21)
    inventory = site.inventory(
        "shop",
        real_servers={"db1": host.declared(rip=f"{INSIDE}21")},
        nat={"gateway": f"{INSIDE}1/24", "interface": "eth1", "configure_gateway": True},
        services={"api": {"vip": VIP, "port": 80, "mode": "nat", "real_servers": ["db1"]}},
    )
    before = host.everything(times=True)
    assert run("apply", "--limit", "db1", inventory).code == 0
    assert host.sh("ip route show default").strip() == f"default via {INSIDE}1 dev eth0"
    assert run("check", "--limit", "db1", inventory).code == 0
    assert run("destroy", "--limit", "db1", inventory).code == 0
    assert host.everything(times=True) == before
    assert host.sh("ip route show default").strip() == FIRST_ROUTE


@pytest.mark.parametrize("order", [("shop", "blog"), ("blog", "shop")], ids=str)
def test_two_clusters_on_one_real_server(
    order: tuple[str, str], site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """They share a VIP, and each has one of its own."""
    before = web1.everything(times=True)
    own = {"shop": f"{OUTSIDE}51", "blog": f"{OUTSIDE}52"}
    inventories = {
        name: site.inventory(
            name,
            web1,
            cluster=name,
            services={"http": service(VIP, web1, port=port), "own": service(vip, web1, port=port)},
        )
        for (name, vip), port in zip(own.items(), (80, 81), strict=True)
    }
    for name in ("shop", "blog"):
        web("apply", inventories[name])
    assert vips(web1) == {f"{OUTSIDE}{n}/32" for n in (50, 51, 52)}
    for name in ("shop", "blog"):
        web("check", inventories[name])

    first, last = order
    web("destroy", inventories[first])
    assert vips(web1) == {f"{VIP}/32", f"{own[last]}/32"}, "the shared VIP stays while the other needs it"
    assert web1.sh("cat /proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "1"
    web("check", inventories[last])
    web("destroy", inventories[last])
    assert web1.everything(times=True) == before


def test_a_real_server_that_is_in_no_inventory_any_more_is_cleaned_by_its_address(
    site: Site, web1: NamespaceHost, web: Callable[..., Done], run: Callable[..., Done]
) -> None:
    web2 = site.host("web2", 12)
    before = web2.everything(times=True)
    web("apply", site.inventory("shop", web1, web2))
    smaller = site.inventory("smaller", web1)
    kept = web1.everything(times=True)
    done = run("destroy", "--limit", web2.sshd.address, smaller)
    assert done.code == 0, done
    assert web2.everything(times=True) == before
    assert web1.everything(times=True) == kept
    again = run("destroy", "--limit", web2.sshd.address, smaller)
    assert (again.code, "Nothing to do" in again.out) == (0, True)


# --- who else is at work ------------------------------------------------------------------------------------

BLOCKED = """\
case "$*" in
"address add"*)
    : >/run/reached
    while [ -e /run/reached ]; do sleep 0.05; done
    ;;
esac
exec "$real" "$@"
"""


def test_another_apply_is_refused_with_who_and_since_when(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    inventory = site.inventory("shop", web1)
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    before = web1.files("/etc", "/var/lib")
    for verb in ("apply", "rollback", "destroy"):
        refused = web(verb, inventory, code=1)
        assert "web1: the cluster is being changed by " in refused.err
        assert "@" in refused.err
        assert ", apply since 20" in refused.err
        assert refused.out == ""
    read = web("check", inventory, code=2)
    assert "being changed by" in read.out
    # A cluster of another name has a lease of its own, and meets the host's lock.
    other = site.inventory("blog", web1, cluster="blog", services={"http": service(OTHER_VIP, web1)})
    done = web("apply", other, code=1)
    assert "being changed by" in done.out or "another apply is at work" in done.out
    assert web1.files("/etc", "/var/lib") == before

    waiting = start("apply", "--limit", "web*", "--lock-timeout", "30", "-v", inventory)
    assert waiting.stderr is not None
    said = waiting.stderr.readline()
    assert "web1: waiting for " in said
    (web1.root / "run/reached").unlink()
    web1.as_found("ip")
    assert ended(first).code == 0
    done = ended(waiting)
    assert (done.code, "Nothing to do" in done.out) == (0, True)
    assert web1.run_files() == []


@pytest.mark.parametrize("lock", ["lock", "cluster-shop.lock"])
@pytest.mark.parametrize("holder", ["4194000", "self", "nonsense", ""], ids=str)
def test_a_lock_whose_holder_is_dead_is_nobody_s(
    lock: str, holder: str, site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """Its number may be another's by now: this one's own, which has nothing to do with lvsdeploy."""
    number = str(web1.sshd.process.pid) if holder == "self" and web1.sshd.process else holder
    web1.write(f"/run/lvsdeploy/{lock}", f"{number} /run/lvsdeploy/apply.{number} ann@desk, apply\n", 0o600)
    if number.isdigit():
        web1.write(f"/run/lvsdeploy/apply.{number}/blob", "a secret", 0o600)
    assert "Applied to web1" in web("apply", site.inventory("shop", web1)).out
    assert web1.run_files() == []


def test_a_shell_that_is_killed_in_the_middle_is_put_back_by_the_next_apply(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    inventory, before = site.inventory("shop", web1), web1.everything(times=True)
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    assert web1.kill("/run/lvsdeploy/apply.")
    web1.kill("/usr/local/sbin/ip")
    killed = ended(first)
    assert killed.code == 1
    assert "web1: " in killed.out
    assert "Traceback" not in killed.err
    (web1.root / "run/reached").unlink()
    web1.as_found("ip")
    assert web1.exists("/etc/lvsdeploy/shop/real-server"), "half of it is there"

    check = web("check", inventory, code=2)
    assert "an apply broke off here" in check.out
    done = web("destroy", inventory)
    assert "put back" in done.out
    assert web1.everything(times=True) == before
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    web1.kill("/run/lvsdeploy/apply.")
    web1.kill("/usr/local/sbin/ip")
    ended(first)
    web1.as_found("ip")
    (web1.root / "run/reached").unlink()
    again = web("apply", inventory)
    assert "put back" in again.out
    assert ", apply since 20" in again.out
    assert "Applied to web1" in again.out
    web("check", inventory)


def test_a_controller_that_is_killed_lets_go_of_the_lease_and_the_host_goes_on(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    inventory = site.inventory("shop", web1)
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    first.send_signal(signal.SIGKILL)
    ended(first)
    wait("the lease goes", lambda: not web1.exists("/run/lvsdeploy/cluster-shop.lock"))
    assert "being changed by" in web("apply", inventory, code=1).out
    (web1.root / "run/reached").unlink()
    web1.as_found("ip")
    wait("it comes to its end", lambda: web1.run_files() == [])
    web("check", inventory)


# --- a record that is not as lvsdeploy left it --------------------------------------------------------------

MANIFEST = "/var/lib/lvsdeploy/shop/manifest.json"
HOSTILE = {
    "empty": ": >$m",
    "noise": "head -c 10000 /dev/urandom >$m",
    "not ours": "echo '{\"format\": 2}' >$m",
    "deep": "head -c 200000 /dev/zero | tr '\\000' '[' >$m",
    "another version's": 'sed -i \'s/"format": 2/"format": 99/\' $m',
    "another cluster's": 'sed -i \'s/"cluster": "shop"/"cluster": "blog"/\' $m',
    "path": 'sed -i \'s|"/etc/sysctl.d/90-lvsdeploy-shop.conf"|"/etc/passwd"|\' $m',
    "path upwards": "sed -i 's|/etc/sysctl.d/90-lvsdeploy-shop.conf|/etc/lvsdeploy/shop/../../passwd|' $m",
    "sysctl": "sed -i 's|net.ipv4.conf.all.arp_ignore|kernel.core_pattern|' $m",
    "escapes": 'sed -i \'s/"what": "apply"/"what": "\\\\u001b[2J"/\' $m',
    "large": "head -c 9000000 /dev/zero >$m",
    "pipe": "rm $m; mkfifo $m",
    "folder": "rm $m; mkdir $m",
    "link": "rm $m; ln -s /etc/passwd $m",
    "dangling": "rm $m; ln -s /nonexistent $m",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_record(kind: str, site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    web("apply", inventory)
    web1.sh(f"m={MANIFEST}; {HOSTILE[kind]}")
    before = web1.files("/etc")
    for verb in ("plan", "history", "rollback", "destroy", "apply"):
        done = web(verb, inventory, code=None)
        assert "Traceback" not in done.err + done.out
        assert "internal error" not in done.err + done.out, done
        assert "\x1b" not in done.out + done.err
        assert "passwd" not in done.out.replace("/etc/passwd", "")
    if kind != "escapes":  # that one is a record, with an odd word in it
        assert web1.files("/etc").items() >= before.items(), "nothing is removed on the word of such a record"
        assert vips(web1) == {f"{VIP}/32"}
