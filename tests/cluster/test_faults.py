"""What goes wrong on the way to a host and on it: a clear line each, and no host left half changed.

The tests of this module build on each other, in order: one cluster, from its first apply on.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from lvsdeploy.execute.transaction import shell_text
from lvsdeploy.lab import Init
from tests.cluster.living import Living, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

VIP = "192.0.2.50"
CONF = "/etc/keepalived/keepalived.conf"
SCRIPT = "/etc/lvsdeploy/shop/real-server"
DIRECTORS, SERVERS = ("lvs1", "lvs2"), ("web1", "web2")
HOSTS = (*SERVERS, *DIRECTORS)
DECLARED: dict[str, Any] = {
    "version": 1,
    "cluster": "shop",
    "ssh": {"connect_timeout": 5},
    "directors": {
        "lvs1": {"address": "192.0.2.2", "interface": "eth0", "priority": 150},
        "lvs2": {"address": "192.0.2.3", "interface": "eth0", "priority": 100},
    },
    "real_servers": {"web1": {"address": "192.0.2.11"}, "web2": {"address": "192.0.2.12"}},
    "services": {"http": {"vip": VIP, "port": 80, "mode": "dr", "real_servers": ["web1", "web2"]}},
}
FOREIGN = "global_defs {\n    router_id somebody\n}\n"
SLOW = 3  # seconds that a slowed transaction takes at least


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    serve = {"web1": [80], "web2": [80]}
    with living(tmp_path_factory.mktemp("lab"), DECLARED, Init.SSHD, serve=serve) as cluster:
        for host in HOSTS:
            log_logins(cluster, host)
        yield cluster


# --- looking at machines, past lvsdeploy ----------------------------------------------------------------


def log_logins(cluster: Living, host: str) -> None:
    """Has the machine's sshd write down who connects, logs in and runs commands."""
    cluster.sh(host, "kill $(cat /run/sshd.pid); while [ -e /run/sshd.pid ]; do sleep 0.1; done")
    cluster.lab.spawn(host, "exec /usr/sbin/sshd -D -E /var/log/sshd.log -o LogLevel=VERBOSE")
    cluster.wait("sshd listens", lambda: cluster.sh(host, "cat /run/sshd.pid", check=False))


def seen_by_sshd(cluster: Living, host: str) -> tuple[int, int, int]:
    """Connections, logins, commands so far."""
    log = cluster.sh(host, "cat /var/log/sshd.log")
    words = ("Connection from ", "Accepted publickey ", "Starting session: command ")
    connections, logins, commands = (log.count(word) for word in words)
    return connections, logins, commands


def written(cluster: Living, host: str) -> str:
    """Every file on a machine that lvsdeploy might touch, and the keepalived that runs."""
    return cluster.sh(
        host,
        "find /etc/keepalived /etc/lvsdeploy /etc/sysctl.d /etc/rc?.d /etc/init.d /var/lib/lvsdeploy"
        " /etc/systemd/system ! -type d -exec stat -c '%n %i %s %y %a %U' {} + 2>/dev/null | sort;"
        f"sha256sum {CONF} 2>/dev/null; cat /run/keepalived.pid /run/keepalived/keepalived.pid 2>/dev/null;"
        "true",
    )


def state(cluster: Living, host: str) -> str:
    """As `written`, and the kernel's part: table, addresses, sysctls."""
    live = (
        "ipvsadm -Sn 2>/dev/null; ip -o address | cut -d' ' -f2-8; cat /proc/sys/net/ipv4/conf/*/arp_*; true"
    )
    return written(cluster, host) + cluster.sh(host, live)


def is_clean(cluster: Living, *hosts: str) -> bool:
    """No half-written file, no lock, no work folder, on any of the hosts."""
    look = "find /etc /var/lib/lvsdeploy -name '.*.lvsdeploy-*' 2>/dev/null; ls -A /run/lvsdeploy 2>/dev/null"
    return not any(cluster.sh(host, look, check=False) for host in hosts or HOSTS)


def failures(cluster: Living, *arguments: str, inventory: Path | None = None) -> tuple[int, dict[str, Any]]:
    """`check` as JSON: its exit code, and its document."""
    done = cluster.attempt("check", "--output", "json", *arguments, inventory=inventory)
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    return done.returncode, document["plan"]


# --- a broken inventory ---------------------------------------------------------------------------------


def test_a_broken_inventory_contacts_nobody(cluster: Living) -> None:
    before = [seen_by_sshd(cluster, host) for host in HOSTS]
    packets = cluster.lab.spawn("web1", "exec timeout 60 tcpdump -nlp -i eth0 tcp port 22 2>&1")
    packets.expect("listening")
    broken = cluster.variant("broken", {"services": {"http": {"mode": "fast", "real_servers": ["web9"]}}})
    for verb in ("plan", "apply", "check", "status"):
        done = cluster.attempt(verb, inventory=broken)
        assert done.returncode == 3
        assert done.stdout == ""
        assert "broken.yaml:" in done.stderr
    assert [seen_by_sshd(cluster, host) for host in HOSTS] == before
    # The capture does see connections.
    assert cluster.attempt("check", "--limit", "web1").returncode == 2
    packets.expect("192.0.2.11.22")
    said = packets.stop().stdout
    first = next(line for line in said.splitlines() if "192.0.2.11.22:" in line)
    assert "Flags [S]" in first
    assert seen_by_sshd(cluster, "web1")[0] == before[0][0] + 1


# --- the gate: real servers before directors ------------------------------------------------------------


def test_a_real_server_that_is_off_keeps_directors_as_they_are(cluster: Living) -> None:
    cluster.lab.stop("web2")
    before = {host: state(cluster, host) for host in DIRECTORS}
    done = cluster.attempt("apply")
    assert done.returncode == 4
    about = [line for line in done.stdout.splitlines() if re.match("web2: .*192.0.2.12 port 22", line)]
    assert len(about) == 2, "once in the plan, once at the end"
    for director in DIRECTORS:
        assert f"{director}: not changed: not every real server is ready: web2" in done.stdout
        assert state(cluster, director) == before[director]
    assert "--limit web1,lvs1,lvs2" in done.stdout
    assert "Applied to web1:" in done.stdout
    assert f"{VIP}/32" in cluster.sh("web1", "ip -o address show dev lo")


def test_check_keeps_the_other_hosts_results(cluster: Living) -> None:
    code, plan = failures(cluster)
    assert code == 4
    assert [failure["host"] for failure in plan["failures"]] == ["web2"]
    changes = {host["host"]: len(host["changes"]) for host in plan["hosts"]}
    assert changes.keys() == {"web1", "lvs1", "lvs2"}
    assert changes["web1"] == 0
    assert changes["lvs1"] > 0


# --- a configuration that somebody else wrote -----------------------------------------------------------


def test_a_foreign_keepalived_conf_is_not_touched_unasked(cluster: Living) -> None:
    cluster.lab.exec("lvs2", f"mkdir -p /etc/keepalived; cat >{CONF}", input=FOREIGN.encode())
    before = state(cluster, "lvs2")
    plan = cluster.attempt("plan", "--limit", "lvs1,lvs2")
    assert plan.returncode == 1
    assert f"{CONF} was written by somebody else" in plan.stdout
    assert "--adopt" in plan.stdout
    # Without the real server that is off, by name, it goes on: to the director that is not refused.
    done = cluster.attempt("apply", "--limit", "lvs1,lvs2")
    assert done.returncode == 1
    assert "lvs2: not changed: its findings refuse the change" in done.stdout
    assert "apply --adopt" in done.stdout
    assert "Applied to lvs1:" in done.stdout
    assert state(cluster, "lvs2") == before


def test_adopt_takes_it_over_and_keeps_the_very_bytes(cluster: Living) -> None:
    done = cluster.attempt("apply", "--adopt", "--limit", "lvs1,lvs2")
    assert done.returncode == 0, done.stdout
    assert "written by somebody else" in done.stdout
    assert cluster.sh("lvs2", f"cat {CONF}.before-lvsdeploy") == FOREIGN
    assert VIP in cluster.sh("lvs2", f"cat {CONF}")


def test_when_the_real_server_is_back_apply_completes(cluster: Living) -> None:
    cluster.lab.start("web2")
    cluster.serve({"web2": [80]})
    log_logins(cluster, "web2")
    assert "Applied to web2:" in cluster.run("apply")
    assert cluster.drift() == []
    cluster.wait("both serve", lambda: set(cluster.requests("client", f"http://{VIP}/", 4)) == set(SERVERS))
    assert is_clean(cluster)


# --- logins ---------------------------------------------------------------------------------------------


def grown(cluster: Living, *arguments: str) -> dict[str, tuple[int, ...]]:
    before = {host: seen_by_sshd(cluster, host) for host in HOSTS}
    cluster.run(*arguments)
    after = {host: seen_by_sshd(cluster, host) for host in HOSTS}
    return {host: tuple(b - a for a, b in zip(before[host], after[host], strict=True)) for host in HOSTS}


def test_a_converged_check_is_one_login_and_one_command_a_host(cluster: Living) -> None:
    """An apply takes one more command on the first director, which holds the cluster's lease."""
    assert grown(cluster, "check") == dict.fromkeys(HOSTS, (1, 1, 1))
    assert grown(cluster, "apply") == {**dict.fromkeys(HOSTS, (1, 1, 1)), "lvs1": (1, 1, 2)}


def test_an_apply_with_changes_is_one_login_and_two_commands(cluster: Living) -> None:
    for server in SERVERS:
        cluster.sh(server, f"ip address del {VIP}/32 dev lo")
    for director in DIRECTORS:
        cluster.sh(director, f"echo '# mine' >>{CONF}")
    assert grown(cluster, "apply") == {**dict.fromkeys(HOSTS, (1, 1, 2)), "lvs1": (1, 1, 3)}
    assert cluster.drift() == []


def test_a_host_that_talks_before_it_answers_is_understood(cluster: Living) -> None:
    noise = (
        r"printf 'begin 1\nend\ndone\n\033[2J\007%s read\n0123456789abcdef failed 1\n' $RANDOM; echo oops >&2"
    )
    cluster.sh(
        "web1",
        f"cp -p /root/.bashrc /root/.bashrc.quiet; echo {shlex.quote(noise)} >>/root/.bashrc;"
        r"printf 'WELCOME\033]0;pwned\007\n' >/etc/ssh/banner;"
        "echo 'Banner /etc/ssh/banner' >>/etc/ssh/sshd_config;"
        f"kill -HUP $(cat /run/sshd.pid); ip address del {VIP}/32 dev lo",
    )
    cluster.wait(
        "sshd is back",
        lambda: (
            "WELCOME" in cluster.lab.run(["ssh", "-F", str(cluster.lab.ssh_config), "web1", "true"]).stderr
        ),
    )
    done = cluster.attempt("apply", "--limit", "web1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Applied to web1:" in done.stdout
    assert not re.search(r"WELCOME|pwned|oops|\033", done.stdout + done.stderr)
    cluster.sh(
        "web1",
        "mv /root/.bashrc.quiet /root/.bashrc; sed -i /^Banner/d /etc/ssh/sshd_config;"
        "kill -HUP $(cat /run/sshd.pid)",
    )


# --- SSH and sudo, end to end ---------------------------------------------------------------------------


def one_line(plan: dict[str, Any], host: str) -> str:
    """What is said of a host that failed: once, in one line."""
    (message,) = [f["message"] for f in plan["failures"] if f["host"] == host]
    assert "\n" not in message
    return str(message)


def key_pair(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def test_wrong_host_key_refused_key_and_sudo_with_a_password(cluster: Living, tmp_path: Path) -> None:
    stranger = key_pair(tmp_path, "stranger")
    public = stranger.with_suffix(".pub").read_text()
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"192.0.2.11 {public}")
    inventory = cluster.variant(
        "refused",
        {
            "directors": {
                "lvs1": {"ssh": {"user": "nosudo", "become": True}},
                "lvs2": {"ssh": {"identity_file": str(stranger)}},
            },
            "real_servers": {"web1": {"ssh": {"known_hosts": str(wrong)}}},
        },
    )
    code, plan = failures(cluster, inventory=inventory)
    assert code == 4
    assert [host["host"] for host in plan["hosts"]] == ["web2"], "the other's result is kept"
    assert "the host key is not the known one" in one_line(plan, "web1")
    assert "login as root@192.0.2.3 refused; tried:" in one_line(plan, "lvs2")
    assert one_line(plan, "lvs1") == "sudo asks nosudo for a password, and nobody is there to type it"
    assert {f["host"]: f["exit_code"] for f in plan["failures"]} == {"web1": 4, "lvs1": 1, "lvs2": 4}
    before = {host: state(cluster, host) for host in HOSTS}
    done = cluster.attempt("apply", inventory=inventory)
    assert done.returncode == 4
    assert {host: state(cluster, host) for host in HOSTS} == before


def test_a_user_who_is_not_root_is_a_failure_and_no_drift(cluster: Living) -> None:
    user = {"ssh": {"user": "nosudo", "become": False}}
    inventory = cluster.variant("plain-user", {"real_servers": {"web1": user}, "directors": {"lvs2": user}})
    code, plan = failures(cluster, inventory=inventory)
    assert code == 1
    assert [host["host"] for host in plan["hosts"]] == ["web2", "lvs1"]
    for host in ("web1", "lvs2"):
        assert "logged in as nosudo, who is not root" in one_line(plan, host)
    assert "become: true" in plan["failures"][0]["hint"]
    done = cluster.attempt("apply", inventory=inventory)
    assert done.returncode == 1
    assert "web1: logged in as nosudo, who is not root" in done.stdout


def test_an_unknown_host_key_comes_with_the_command_that_accepts_it(cluster: Living, tmp_path: Path) -> None:
    known = tmp_path / "with space" / "known_hosts"
    inventory = cluster.variant("unknown", {"real_servers": {"web1": {"ssh": {"known_hosts": str(known)}}}})
    code, plan = failures(cluster, "--limit", "web1,web2", inventory=inventory)
    assert code == 4
    assert [host["host"] for host in plan["hosts"]] == ["web2"]
    assert "the host key is not known: 192.0.2.11 shows ED25519 SHA256:" in one_line(plan, "web1")
    command = plan["failures"][0]["hint"].partition("when equal: ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    code, plan = failures(cluster, "--limit", "web1,web2", inventory=inventory)
    assert code == 0
    assert plan["failures"] == []


def test_every_output_is_one_valid_document_when_hosts_fail(cluster: Living, tmp_path: Path) -> None:
    log = tmp_path / "log"
    inventory = cluster.variant("port", {"real_servers": {"web2": {"ssh": {"port": 2}}}})
    for verb in ("check", "apply"):
        limit = ("--limit", "web1,web2", "-v", "--log-file", str(log))
        done = cluster.attempt(verb, *limit, "--output", "json", inventory=inventory)
        assert done.returncode == 4
        document = json.loads(done.stdout)
        assert document["format_version"] == 1
        assert document["exit_code"] == 4
        done = cluster.attempt(verb, *limit, "--output", "junit", inventory=inventory)
        suites = ET.fromstring(done.stdout)  # noqa: S314 — our own
        assert [
            case.get("classname") for case in suites.iter("testcase") if case.find("failure") is not None
        ] == ["web2"]
        done = cluster.attempt(verb, *limit, "--output", "markdown", inventory=inventory)
        assert done.stdout.startswith(f"### lvsdeploy {verb}: exit code 4\n")
        assert done.stdout.count("### ") == 1
        assert re.search(
            r"^\| web2 \| \*\*connection refused by 192\.0\.2\.12 port 2", done.stdout, re.MULTILINE
        )


# --- keepalived refuses ---------------------------------------------------------------------------------


REFUSES = r"""#!/bin/sh
for file; do :; done
case " $* " in *' -t '*) echo "($file: Line 7) Unknown keyword 'whatever'"; exit 5 ;; esac
exec /run/keepalived.real "$@"
"""


@contextmanager
def refusing(cluster: Living, host: str) -> Iterator[None]:
    """A fake: all that the real keepalived is known to refuse is found before it is asked."""
    cluster.sh(
        host,
        f"cp /usr/sbin/keepalived /run/keepalived.real; cat >/run/refuses <<'EOF'\n{REFUSES}EOF\n"
        "chmod 755 /run/refuses; mount --bind /run/refuses /usr/sbin/keepalived",
    )
    try:
        yield
    finally:
        cluster.sh(host, "umount /usr/sbin/keepalived")


def test_what_keepalived_refuses_is_not_put_in_place_and_stops_the_other_director(cluster: Living) -> None:
    inventory = cluster.variant("slower", {"vrrp": {"advert_interval": 2}})
    before = {host: state(cluster, host) for host in DIRECTORS}
    with refusing(cluster, "lvs2"):
        done = cluster.attempt("apply", inventory=inventory)
    assert done.returncode == 1
    assert re.search(rf"^lvs2: .*{CONF}; everything was put back$", done.stdout, re.MULTILINE)
    assert re.search(rf"\| .*{CONF}: Line \d+\).*whatever", done.stdout)
    assert "lvsdeploy-new" not in done.stdout
    assert (
        "lvs1: not changed: directors are changed one after the other, and lvs2 is not ready" in done.stdout
    )
    assert "Nothing was changed" in done.stdout
    assert {host: state(cluster, host) for host in DIRECTORS} == before
    assert is_clean(cluster, *DIRECTORS)
    assert cluster.drift() == []


# --- a full disk ----------------------------------------------------------------------------------------


@contextmanager
def full(cluster: Living, host: str, folder: str) -> Iterator[None]:
    """A folder on a disk of its own, with its files, and not a byte free."""
    cluster.sh(
        host,
        f"mkdir -p {folder}; cp -a {folder} /tmp/saved; mount -t tmpfs -o size=64k tmpfs {folder};"
        f"cp -a /tmp/saved/. {folder}; cat /dev/zero >{folder}/filler 2>/dev/null; true",
    )
    try:
        yield
    finally:
        cluster.sh(host, f"umount {folder}; rm -rf /tmp/saved")


@pytest.mark.parametrize(
    ("host", "folder"),
    [("web1", "/etc/lvsdeploy"), ("web1", "/var/lib/lvsdeploy"), ("lvs2", "/etc/keepalived")],
)
def test_a_full_disk_undoes_the_change(cluster: Living, host: str, folder: str) -> None:
    changes: dict[str, Any] = {"vrrp": {"advert_interval": 2}}
    if host == "web1":
        changes = {
            "services": {"more": {"vip": "192.0.2.51", "port": 80, "mode": "dr", "real_servers": ["web1"]}}
        }
    inventory = cluster.variant("bigger", changes)
    with full(cluster, host, folder):
        before = state(cluster, host)
        done = cluster.attempt("apply", "--limit", host, inventory=inventory)
        assert done.returncode == 1
        assert re.search(
            rf"^{host}: could not write /\S+; everything was put back$", done.stdout, re.MULTILINE
        )
        # Of /var/lib/lvsdeploy it is the journal that has no room, before anything is begun.
        assert re.search(rf"{folder}/\S+", done.stdout)
        assert "is the disk full" in done.stdout
        assert state(cluster, host) == before
        assert is_clean(cluster, host)
    assert cluster.drift() == []


# --- Ctrl-C, and a connection that is cut ---------------------------------------------------------------


def make_slow(cluster: Living, *hosts: str) -> None:
    """The next transaction on each host sleeps while it stages; /run/slowed tells that it has come there."""
    slow = f'#!/bin/sh\nmkdir /run/slowed 2>/dev/null && sleep {SLOW}\nexec /bin/chown "$@"\n'
    for host in hosts:
        script = "rm -rf /run/slowed; cat >/usr/local/sbin/chown; chmod 755 /usr/local/sbin/chown"
        cluster.lab.exec(host, script, input=slow.encode())


def break_servers(cluster: Living) -> None:
    for server in SERVERS:
        cluster.sh(server, f"rm {SCRIPT}; ip address del {VIP}/32 dev lo")


def is_under_way(cluster: Living, host: str) -> bool:
    return bool(cluster.sh(host, "ls -d /run/slowed 2>/dev/null", check=False))


def settled(cluster: Living, host: str) -> bool:
    return is_clean(cluster, host)


@contextmanager
def cable_pulled(cluster: Living, host: str) -> Iterator[None]:
    cluster.lab.cut(host)
    try:
        yield
    finally:
        cluster.lab.heal(host)


def ended(process: subprocess.Popen[str], code: int = 1) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err
    assert process.returncode == code, out + err
    return out, err


def test_ctrl_c_while_reading_leaves_at_once(cluster: Living) -> None:
    with cable_pulled(cluster, "web1"), cluster.started("check", "--limit", "web1,web2") as process:
        time.sleep(2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = ended(process)
        assert time.monotonic() - began < 1
    assert (out, err.strip()) == ("", "Interrupted. Nothing is left half done on any host.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_first_signal_lets_what_is_under_way_finish_and_begins_nothing(
    cluster: Living, number: signal.Signals
) -> None:
    break_servers(cluster)
    make_slow(cluster, "web1")
    before = state(cluster, "web2")
    with cluster.started("apply", "--parallel", "1", "--limit", "web1,web2") as process:
        cluster.wait("web1 is being changed", lambda: is_under_way(cluster, "web1"))
        process.send_signal(number)
        out, err = ended(process)
    assert "waiting for what is under way on web1; once more leaves at once" in err
    assert "Applied to web1:" in out
    assert "web2: not changed: interrupted before its turn" in out
    assert state(cluster, "web2") == before
    assert is_clean(cluster, *SERVERS)
    assert cluster.run("check", "--limit", "web1")
    assert "Applied to web2:" in cluster.run("apply", "--limit", "web1,web2")


def test_a_second_ctrl_c_leaves_at_once_and_the_hosts_finish_by_themselves(cluster: Living) -> None:
    break_servers(cluster)
    make_slow(cluster, *SERVERS)
    with cluster.started("apply", "--limit", "web1,web2") as process:
        for server in SERVERS:
            cluster.wait(f"{server} is being changed", lambda s=server: is_under_way(cluster, s))
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = ended(process)
        assert time.monotonic() - began < 1
    assert "Interrupted again. What is under way on web1, web2 goes on there." in err
    # Another apply in between is told who is at work.
    busy = cluster.attempt("apply", "--limit", "web1,web2")
    assert busy.returncode == 1
    assert re.search(
        r"web1: another apply is at work on this host: \w+@\S+, apply since 20\d\d-", busy.stdout
    )
    for server in SERVERS:
        cluster.wait(f"{server} has finished", lambda s=server: settled(cluster, s))
    assert "Nothing to do" in cluster.run("apply", "--limit", "web1,web2")


def test_ctrl_c_between_the_directors(cluster: Living) -> None:
    inventory = cluster.variant("slower-adverts", {"vrrp": {"advert_interval": 2}})
    make_slow(cluster, "lvs2")
    before = state(cluster, "lvs1")
    with cluster.started("apply", inventory=inventory) as process:
        cluster.wait("lvs2 is being changed", lambda: is_under_way(cluster, "lvs2"))
        process.send_signal(signal.SIGINT)
        out, _ = ended(process)
    assert "Applied to lvs2:" in out
    assert "lvs1: not changed: interrupted before its turn" in out
    assert state(cluster, "lvs1") == before
    assert is_clean(cluster)
    assert "Applied to lvs1:" in cluster.run("apply", inventory=inventory)
    assert "Applied to lvs1, lvs2:" in cluster.run("apply")
    assert cluster.drift() == []


def test_a_connection_that_breaks_in_the_middle_leaves_a_finished_host(cluster: Living) -> None:
    """web1's cable is pulled; on web2, changed through sudo, the sshd of the connection is killed."""
    sudo = {"ssh": {"user": "deploy", "become": True}}
    inventory = cluster.variant("sudo", {"real_servers": {"web2": sudo}})
    break_servers(cluster)
    make_slow(cluster, *SERVERS)
    before = {host: written(cluster, host) for host in DIRECTORS}
    with cluster.started("apply", inventory=inventory) as process:
        for server in SERVERS:
            cluster.wait(f"{server} is being changed", lambda s=server: is_under_way(cluster, s))
        with cable_pulled(cluster, "web1"):
            cluster.sh("web2", "kill -9 $(pgrep -x sshd | grep -vx $(cat /run/sshd.pid))")
            out, _ = ended(process)
    for server in SERVERS:
        assert f"{server}: the connection was lost while a command ran" in out
        cluster.wait(f"{server} has finished", lambda s=server: settled(cluster, s))
    assert {host: written(cluster, host) for host in DIRECTORS} == before
    cluster.wait("web1 is back in the tables", lambda: cluster.drift() == [])
    assert "Nothing to do" in cluster.run("apply")


def test_a_connection_that_breaks_while_sending_changes_nothing(cluster: Living) -> None:
    """The host waits for the rest of a transaction that never comes."""
    before = state(cluster, "web1")
    bootstrap = shell_text("work.sh", "bootstrap.sh")
    remote = shlex.join(["sh", "-c", bootstrap, "lvsdeploy", "1000", "5000"])
    argv = ["ssh", "-F", str(cluster.lab.ssh_config), "web1", remote]
    with cluster.lab.popen(argv, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write("#" * 1500)
        process.stdin.flush()
        cluster.wait(
            "half of it is there", lambda: cluster.sh("web1", "ls /run/lvsdeploy/apply.*", check=False)
        )
        process.kill()
    cluster.wait("nothing is left", lambda: is_clean(cluster, "web1"))
    assert state(cluster, "web1") == before


# --- VIPs that go ---------------------------------------------------------------------------------------


def test_a_real_server_gives_up_its_vip_after_the_directors(cluster: Living) -> None:
    fewer = cluster.variant("fewer", {"services": {"http": {"real_servers": ["web1"]}}})
    done = cluster.attempt("apply", "-v", inventory=fewer)
    assert done.returncode == 0, done.stdout + done.stderr
    order = [line.split(":")[0] for line in done.stderr.splitlines() if line.endswith(": changing")]
    assert [host for host in order if host != "web1"] == ["lvs2", "lvs1", "web2"]
    assert VIP not in cluster.sh("web2", "ip -o address show dev lo")
    # And not at all while a director has not followed.
    assert "web2" in cluster.run("apply")
    with full(cluster, "lvs2", "/etc/keepalived"):
        done = cluster.attempt("apply", inventory=fewer)
        assert done.returncode == 1
        assert (
            "web2: not changed: it gives up a VIP, and directors may still send packets there" in done.stdout
        )
    assert VIP in cluster.sh("web2", "ip -o address show dev lo")
    assert cluster.drift() == []
