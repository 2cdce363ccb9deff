"""apply, as an operator types it, on real hosts reached through a real sshd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.acting import OTHER_VIP, VIP, vips, without_history
from tests.hosts import needs_namespaces, service, wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces


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
