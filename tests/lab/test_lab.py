"""The lab itself: machines that are worth calling so, on every kernel it uses."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from lvsdeploy.lab import (
    CommandFailed,
    Init,
    Lab,
    LabError,
    LabTimeout,
    Machine,
    Network,
    Nic,
    Topology,
)
from tests.lab.conftest import CLUSTER, LAN, on_lan, opened

pytestmark = pytest.mark.lab

MACHINES = [machine.name for machine in CLUSTER.machines]
DIRECTORS = [machine.name for machine in CLUSTER.machines if machine.ipvs]
# One of each init, on each kind of kernel.
KINDS = ["web1", "web2", "lvs1", "lvs2"]

SCHEDULERS = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh"]

VRRP = """\
vrrp_instance one {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int 1
  virtual_ipaddress {{
    192.0.2.50/24
  }}
}}
"""


def ssh(lab: Lab, target: str, script: str) -> subprocess.CompletedProcess[str]:
    return lab.run(["ssh", "-F", lab.ssh_config, target, script])


def until(lab: Lab, machine: str, script: str, timeout: float = 20) -> None:
    """Waits until a script succeeds in a machine."""
    deadline = time.monotonic() + timeout
    while lab.exec(machine, script, check=False).code:
        assert time.monotonic() < deadline, f"{machine}: `{script}` fails for {timeout} s"
        time.sleep(0.2)


@pytest.mark.parametrize("name", MACHINES)
def test_machine_reaches_every_other(cluster: Lab, name: str) -> None:
    others = [m.addresses()[0] for m in CLUSTER.machines if m.name != name]
    pings = " && ".join(f"ping -q -c1 -W5 {address}" for address in others)
    cluster.exec(name, pings)


def test_ipv6_and_names(cluster: Lab) -> None:
    cluster.exec("lvs1", "ping -6 -q -c1 -W5 2001:db8:1::11 && ping -4 -q -c1 -W5 web2")


@pytest.mark.parametrize(
    ("server", "client"),
    [("web1", "lvs1"), ("lvs1", "web1"), ("web1", "client"), ("lvs2", "client"), ("lvs1", "lvs2")],
)
def test_large_transfer(cluster: Lab, server: str, client: str) -> None:
    cluster.exec(server, "mkdir -p /srv/t && head -c 200000 /dev/urandom >/srv/t/file")
    web = cluster.spawn(server, "exec /usr/bin/python3 -u -m http.server -d /srv/t 8000")
    try:
        web.expect("Serving")
        address = CLUSTER.machine(server).addresses()[0]
        got = cluster.exec(client, f"curl -sS -m 20 http://{address}:8000/file | sha256sum")
        assert got.stdout == cluster.exec(server, "sha256sum </srv/t/file").stdout
    finally:
        web.stop()


@pytest.mark.parametrize("name", DIRECTORS)
def test_director_balances(cluster: Lab, name: str) -> None:
    cluster.exec(name, "modprobe ip_vs && sysctl -n net.ipv4.vs.conntrack")
    cluster.exec(
        name,
        "ipvsadm -A -t 192.0.2.60:80 -s wrr && ipvsadm -a -t 192.0.2.60:80 -r 192.0.2.11:80 -g -w 3",
    )
    table = cluster.exec(name, "ipvsadm -Sn; ipvsadm -C").stdout.splitlines()
    assert table == [
        "-A -t 192.0.2.60:80 -s wrr",
        "-a -t 192.0.2.60:80 -r 192.0.2.11:80 -g -w 3",
    ]


@pytest.mark.parametrize("name", DIRECTORS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_scheduler_is_there(cluster: Lab, name: str, scheduler: str) -> None:
    cluster.exec(name, f"ipvsadm -A -f 9 -s {scheduler} && ipvsadm -D -f 9")


def test_packet_filter_of_a_director(cluster: Lab) -> None:
    cluster.exec(
        "lvs1",
        "iptables -t mangle -A PREROUTING -d 192.0.2.60 -p tcp -m multiport --dports 80,443 "
        "-j MARK --set-mark 7 && iptables -t nat -A POSTROUTING -m ipvs --vdir ORIGINAL "
        "-j MASQUERADE && iptables -t mangle -F && iptables -t nat -F",
    )


def test_vrrp_between_directors(cluster: Lab) -> None:
    for name, priority in (("lvs1", 150), ("lvs2", 100)):
        config = VRRP.format(priority=priority).encode()
        cluster.exec(name, "cat >/etc/keepalived/keepalived.conf", input=config)
    cluster.exec("lvs1", "service keepalived start")
    cluster.exec("lvs2", "systemctl start keepalived")
    held = "ip -br address show eth0 | grep -q 192.0.2.50/24"
    try:
        until(cluster, "lvs1", held)
        until(cluster, "lvs2", f"! {held}")
        cluster.exec("lvs2", "systemctl reload keepalived && systemctl is-active keepalived")
        cluster.exec("lvs1", "service keepalived stop")
        until(cluster, "lvs2", held)
    finally:
        cluster.exec("lvs1", "service keepalived stop", check=False)
        cluster.exec("lvs2", "systemctl stop keepalived")


def test_cut_cable(cluster: Lab) -> None:
    down = "grep -q 0 /sys/class/net/eth0/carrier"
    for name in ("lvs1", "web1"):
        cluster.cut(name)
        until(cluster, name, down)
        assert cluster.run(["ping", "-q", "-c1", "-W1", "192.0.2.2"]).returncode == (name == "lvs1")
        cluster.heal(name)
        until(cluster, name, f"! {down}")
        until(cluster, name, "ping -q -c1 -W1 192.0.2.1")


@pytest.mark.parametrize("name", KINDS)
def test_ssh(cluster: Lab, name: str) -> None:
    address = str(CLUSTER.machine(name).addresses()[0])
    assert ssh(cluster, name, "hostname; id -un").stdout.split() == [name, "root"]
    done = ssh(cluster, f"deploy@{address}", "id -un; sudo -n id -un")
    assert done.stdout.split() == ["deploy", "root"], done.stderr
    refused = ssh(cluster, f"nosudo@{address}", "sudo -n id -un")
    assert refused.returncode == 1
    assert "password is required" in refused.stderr
    asked = ssh(cluster, f"nosudo@{address}", "echo lab | sudo -S -p '' id -un")
    assert asked.stdout == "root\n", asked.stderr


def test_ssh_over_ipv6(cluster: Lab) -> None:
    assert ssh(cluster, "root@2001:db8:1::2", "hostname").stdout == "lvs1\n"


@pytest.mark.parametrize("name", KINDS)
def test_machine_is_clean(cluster: Lab, name: str) -> None:
    seen = cluster.exec(
        name,
        "ls /etc/sysctl.d /root/.ssh; cat /etc/hostname /etc/resolv.conf; uname -n; "
        "find /etc/rc2.d /etc/systemd/system -name '*keepalived*' -printf '%P\\n'; "
        "pgrep -c keepalived; cat /proc/sys/net/ipv4/conf/eth0/arp_ignore",
        check=False,
    ).stdout.splitlines()
    assert "authorized_keys" in seen
    assert "S01keepalived" not in seen
    assert seen[-2:] == ["0", "0"]
    assert seen.count(name) == 2


@pytest.mark.parametrize("name", ["web1", "lvs1"])
def test_reboot_of_a_plain_machine(cluster: Lab, name: str) -> None:
    cluster.exec(
        name,
        """set -e
        echo kept >/etc/kept; echo lost >/tmp/lost; echo lost >/run/lost
        echo 'net.ipv4.conf.all.arp_ignore = 1' >/etc/sysctl.d/60-test.conf
        ip address add 192.0.2.70/32 dev lo
        printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: labtest\n# Required-Start:\n' >/etc/init.d/labtest
        printf '# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop:\n' >>/etc/init.d/labtest
        printf '### END INIT INFO\necho "$1" >/run/labtest\n' >>/etc/init.d/labtest
        chmod +x /etc/init.d/labtest
        update-rc.d labtest defaults
        """,
    )
    key = cluster.exec(name, "cat /sys/class/net/eth0/address").stdout
    cluster.stop(name)
    with pytest.raises(LabError, match="not running"):
        cluster.exec(name, "true")
    cluster.start(name)
    seen = cluster.exec(
        name,
        "cat /etc/kept /run/labtest; sysctl -n net.ipv4.conf.all.arp_ignore; "
        "ls /tmp /run; ip -br address; cat /sys/class/net/eth0/address",
    ).stdout
    assert seen.split()[:3] == ["kept", "start", "1"]
    assert "lost" not in seen
    assert "192.0.2.70" not in seen
    assert seen.endswith(key)
    assert ssh(cluster, name, "true").returncode == 0
    cluster.exec(name, "rm /etc/sysctl.d/60-test.conf; update-rc.d -f labtest remove")


@pytest.mark.parametrize("name", ["web2", "lvs2"])
def test_reboot_of_a_systemd_machine(cluster: Lab, name: str) -> None:
    unit = (
        "[Service]\nType=oneshot\nExecStart=/bin/touch /run/labtest\n[Install]\nWantedBy=multi-user.target\n"
    )
    cluster.exec(name, "cat >/etc/systemd/system/labtest.service", input=unit.encode())
    cluster.exec(
        name,
        "systemctl enable labtest; ip address add 192.0.2.71/32 dev lo; "
        "echo 'net.ipv4.conf.all.arp_announce = 2' >/etc/sysctl.d/60-test.conf",
    )
    cluster.stop(name)
    cluster.start(name)
    seen = cluster.exec(
        name,
        "systemctl is-active ssh; systemctl is-system-running; ls /run/labtest; "
        "sysctl -n net.ipv4.conf.all.arp_announce; ip -br address",
        check=False,
    ).stdout
    assert seen.split()[:4] == ["active", "running", "/run/labtest", "2"], seen
    assert "192.0.2.71" not in seen
    cluster.exec(name, "systemctl disable labtest; rm /etc/systemd/system/labtest.service /etc/sysctl.d/60*")


@pytest.mark.parametrize("name", KINDS)
def test_command(cluster: Lab, name: str) -> None:
    done = cluster.exec(name, "wc -c; echo bad >&2; exit 3", input=b"x" * 300_000, check=False)
    assert (done.code, done.stdout, done.stderr) == (3, "300000\n", "bad\n")
    with pytest.raises(CommandFailed, match="exited with 143"):
        cluster.exec(name, "kill $$")
    with pytest.raises(LabTimeout, match="killed after"):
        cluster.exec(name, "sleep 60 & wait", timeout=0.5)
    assert cluster.exec(name, "sleep 60 & echo here", timeout=20).stdout == "here\n"


@pytest.mark.parametrize("name", KINDS)
def test_background(cluster: Lab, name: str) -> None:
    running = cluster.spawn(name, "trap 'echo ends; exit 4' TERM; while :; do echo on; sleep 0.2; done")
    running.expect("on\non\n")
    assert running.running
    done = running.stop()
    assert done.code == 4
    assert done.stdout.endswith("ends\n")


def test_controller(cluster: Lab) -> None:
    done = cluster.run(["sh", "-c", "cat; echo $X >&2; exit 5"], env={"X": "y"}, input="in")
    assert (done.returncode, done.stdout, done.stderr) == (5, "in", "y\n")
    with cluster.popen(["ping", "-c1", "192.0.2.11"], stdout=subprocess.PIPE) as ping:
        assert "1 received" in ping.communicate()[0]
    with cluster.dial("192.0.2.11", 22) as connection:
        assert connection.recv(7) == b"SSH-2.0"
    with cluster.joined():
        assert "192.0.2.254" in subprocess.check_output(["ip", "-4", "-br", "address"], text=True)
    assert "192.0.2.254" not in subprocess.check_output(["ip", "-4", "-br", "address"], text=True)


def test_real_server_with_a_tunnel() -> None:
    machines = (
        Machine("director", (on_lan(1),), tunnels=True),
        Machine("web", (on_lan(2),), tunnels=True),
    )
    lab = opened(Topology((LAN,), machines))
    try:
        for own, peer, inner in (("director", "192.0.2.2", 1), ("web", "192.0.2.1", 2)):
            lab.exec(
                own,
                f"ip link add name t0 type ipip remote {peer} local 192.0.2.{inner} "
                f"&& ip addr add 10.9.9.{inner}/24 dev t0 && ip link set t0 up",
            )
        lab.exec("director", "ping -q -c1 -W5 10.9.9.2")
        lab.exec("web", "modprobe ipip && ip link set tunl0 up")
    finally:
        lab.close()


def test_directory_of_the_user(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    topology = Topology((LAN,), (Machine("a", (on_lan(1),)),))
    with Lab(topology, directory=directory) as lab:
        assert ssh(lab, "a", "hostname").stdout == "a\n"
    assert (directory / "known_hosts").exists()
    with pytest.raises(LabError, match="is not empty"), Lab(topology, directory=directory):
        pass


@pytest.mark.parametrize(
    ("name", "enable", "running"),
    [
        ("web1", "update-rc.d keepalived enable", "pidof keepalived"),
        ("lvs1", "update-rc.d keepalived enable", "pidof keepalived"),
        ("web2", "systemctl enable keepalived", "systemctl is-active keepalived"),
    ],
)
def test_keepalived_comes_back(cluster: Lab, name: str, enable: str, running: str) -> None:
    config = VRRP.format(priority=90).encode()
    cluster.exec(name, "cat >/etc/keepalived/keepalived.conf", input=config)
    cluster.reboot(name)
    assert cluster.exec(name, running, check=False).code
    cluster.exec(name, enable)
    cluster.reboot(name)
    cluster.exec(name, running)
    cluster.exec(name, f"{enable.replace('enable', 'disable')}; rm /etc/keepalived/keepalived.conf")
    cluster.reboot(name)
    assert cluster.exec(name, running, check=False).code


def test_machine_that_powers_off_can_be_started(cluster: Lab) -> None:
    cluster.exec("web2", "systemctl poweroff", check=False)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            cluster.exec("web2", "true", timeout=5)
        except LabError:
            break
        time.sleep(0.1)
    cluster.start("web2")
    cluster.exec("web2", "systemctl is-active ssh && journalctl -q -n 3 -u ssh")


def test_without_directors_no_kernel_is_booted() -> None:
    began = time.monotonic()
    lab = opened(Topology((LAN,), (Machine("a", (on_lan(1),)), Machine("b", (on_lan(2),)))))
    try:
        assert not lab.runs_on_uml("a")
        lab.exec("a", "ping -q -c1 -W1 b")
    finally:
        lab.close()
    assert time.monotonic() - began < 5
    assert not Path(lab.directory).exists()


def test_two_labs_do_not_meet() -> None:
    one = Topology((LAN,), (Machine("a", (on_lan(1),), init=Init.SYSTEMD),))
    first, second = opened(one), opened(one)
    try:
        first.exec("a", "echo mine >/etc/mine")
        assert second.exec("a", "cat /etc/mine", check=False).code
        assert ssh(second, "a", "hostname").stdout == "a\n"
    finally:
        first.close()
        second.close()


def test_killed_controller_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "controller.py"
    script.write_text(
        "import time\n"
        "from tests.lab.conftest import *\n"
        "machines = (Machine('a', (on_lan(1),), init=Init.SYSTEMD),"
        " Machine('d', (on_lan(2),), ipvs=True))\n"
        "with Lab(Topology((LAN,), machines)) as lab:\n"
        "    print(lab.directory, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as controller:
        assert controller.stdout is not None
        directory = Path(controller.stdout.readline().strip())
        assert directory.is_dir()
        marks = (directory.name, f"lvslab-{controller.pid}-")
        assert leftovers(marks)
        controller.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while leftovers(marks) or directory.exists():
        assert time.monotonic() < deadline, leftovers(marks)
        time.sleep(0.1)


def leftovers(marks: tuple[str, ...]) -> list[str]:
    """What a lab could leave on this machine, and is marked: processes, cgroups, mounts."""
    found = Path("/proc/mounts").read_text("utf-8").splitlines()
    found += [str(path) for path in Path("/sys/fs/cgroup").glob("**/lvslab-*")]
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((each / "cmdline").read_text("utf-8").replace("\0", " "))
    return [line for line in found if any(mark in line for mark in marks)]


@pytest.mark.parametrize(
    ("machines", "message"),
    [
        ((Machine("a", (on_lan(1),)), Machine("a", (on_lan(2),))), "machine 'a' is there twice"),
        ((Machine("a", (on_lan(1),)), Machine("b", (on_lan(1),))), "'192.0.2.1' is there twice"),
        ((Machine("a", (on_lan(254),)),), "'192.0.2.254' is there twice"),
        ((Machine("a/b", ()),), "no host name"),
        ((Machine("a", (Nic("wan", "eth0", ()),)),), "network 'wan', which does not exist"),
        ((Machine("a", (Nic("lan", "e" * 16, ()),)),), "1 to 15 characters"),
        (
            (Machine("a", (Nic("lan", "eth0", (ip_interface("10.0.0.1/24"),)),)),),
            "in no subnet of network 'lan'",
        ),
    ],
)
def test_impossible_topology(machines: tuple[Machine, ...], message: str) -> None:
    with pytest.raises(LabError, match=message):
        Topology((LAN,), machines)


def test_unknown_machine_is_named() -> None:
    lab = Lab(Topology((Network("n", (ip_network("10.0.0.0/24"),)),), ()))
    with pytest.raises(LabError, match="no machine is called 'x'"):
        lab.exec("x", "true")
