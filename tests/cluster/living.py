"""A cluster that lives in a lab for the length of a test module: inventory, machines, what clients see."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from lvsdeploy.inventory import load
from lvsdeploy.lab import Lab
from lvsdeploy.lab.cluster import topology_of
from lvsdeploy.lab.pages import requests_script, serve_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lvsdeploy.lab import Init
    from lvsdeploy.lab.topology import Topology

# Of a large file the size and the time must do. Folders change their times with what is put into them.
_PICTURE = r"""
import hashlib, json, os, stat, subprocess
seen = {}
for top in ("/etc", "/var/lib", "/usr/local"):
    for folder, folders, files in os.walk(top):
        for path in (os.path.join(folder, name) for name in (*folders, *files)):
            found = os.lstat(path)
            about = [oct(found.st_mode), found.st_uid, found.st_gid]
            if stat.S_ISLNK(found.st_mode):
                about.append(os.readlink(path))
            elif stat.S_ISREG(found.st_mode):
                about += [found.st_size, found.st_mtime_ns]
                if found.st_size < 1 << 20:
                    about.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
            seen["file " + path] = about
for folder, _, files in os.walk("/proc/sys/net"):
    for path in (os.path.join(folder, name) for name in files):
        try:
            seen["sysctl " + path[len("/proc/sys/"):]] = open(path).read()
        except OSError:
            pass
commands = {
    "address": "ip -o address",
    "route": "ip -4 route show table all; ip -6 route show table all; ip rule",
    "table": "[ ! -e /proc/net/ip_vs ] || ipvsadm -Sn",
    "keepalived": "! pidof keepalived >/dev/null || echo runs",
    "enabled": "[ ! -d /run/systemd/system ] || systemctl list-unit-files --no-legend --no-pager",
    "active": "[ ! -d /run/systemd/system ] || systemctl list-units --all --plain --no-legend --no-pager"
    " --type=service | awk '{print $1, $3, $4}'",
}
for what, command in commands.items():
    lines = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True).stdout
    seen.update(dict.fromkeys((what + " " + " ".join(line.split()) for line in lines.splitlines()), True))
print(json.dumps(seen))
"""

# Neighbour discovery as ndisc6 does it (RFC 4861, 4.3 and 4.4); on a raw socket of ICMPv6 the kernel adds the
# checksums.
_SOLICIT = r"""
import ipaddress, socket, struct, sys, time
target = ipaddress.IPv6Address(sys.argv[1])
mac = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
group = str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("ff02::1:ff00:0")) | int(target) & 0xffffff))
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
raw.settimeout(0.2)
for _ in range(4):
    solicitation = struct.pack("!BBHI", 135, 0, 0, 0) + target.packed + b"\x01\x01" + mac
    raw.sendto(solicitation, (group, 0, 0, socket.if_nametoindex("eth0")))
    until = time.monotonic() + 1
    while time.monotonic() < until:
        try:
            answer = raw.recv(2048)
        except TimeoutError:
            continue
        if answer[0] == 136 and answer[8:24] == target.packed and answer[24:26] == b"\x02\x01":
            print(answer[26:32].hex(":"))
"""


# Modules that were loaded stay loaded, with their sysctls.
_MAY_COME = re.compile(
    r"sysctl net/ipv4/vs/|sysctl net/netfilter/nf_(conntrack|flowtable|hooks)|sysctl net/nf_conntrack_max"
)
# systemctl, which update-rc.d calls, makes a folder of links, and removes it when it is empty.
_MAY_COME_AND_GO = re.compile(r"file /etc/systemd/system/multi-user\.target\.wants$")


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two pictures of a machine differ in, but for what nobody can help: its key -> before, after."""
    found = {key: (before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())}
    return {
        key: (was, now)
        for key, (was, now) in found.items()
        if was != now
        and not (was is None and _MAY_COME.match(key))
        and not (None in (was, now) and _MAY_COME_AND_GO.match(key))
    }


@dataclass
class Living:
    """A cluster in its lab. `inventory` is the file that the commands get."""

    lab: Lab
    inventory: Path
    declared: dict[str, Any]

    def run(self, *arguments: str, code: int | None = 0, inventory: Path | None = None) -> str:
        """`lvsdeploy VERB [options] INVENTORY`; its stdout. Fails unless it exits with `code`."""
        done = self.attempt(*arguments, inventory=inventory)
        if code is not None:
            assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if code not in (0, 2, None) else "")

    def attempt(self, *arguments: str, inventory: Path | None = None) -> subprocess.CompletedProcess[str]:
        """As `run`, whatever it exits with: both outputs and the exit code, and no traceback."""
        done = self.lab.run(self.argv(*arguments, inventory=inventory), timeout=300)
        assert "Traceback" not in done.stderr + done.stdout
        return done

    def argv(self, verb: str, *rest: str, inventory: Path | None = None) -> list[str]:
        """The command line of a verb, for `lab.popen`."""
        return [sys.executable, "-m", "lvsdeploy", verb, *rest, str(inventory or self.inventory)]

    @contextmanager
    def started(self, *arguments: str, inventory: Path | None = None) -> Iterator[subprocess.Popen[str]]:
        """As `attempt`, while it runs; it is killed at the end, if not before."""
        argv = self.argv(*arguments, inventory=inventory)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.lab.popen(argv, stdin=subprocess.DEVNULL, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def variant(self, name: str, changes: Mapping[str, Any]) -> Path:
        """Another inventory beside the first, which differs by `changes`; None takes a key away."""
        path = self.inventory.with_name(f"{name}.yaml")
        path.write_text(yaml.safe_dump(_merged(self.declared, changes), sort_keys=False))
        return path

    def drift(self, *arguments: str, inventory: Path | None = None) -> list[str]:
        """What `check` finds to differ, as `host: kind name [reason]`; [] when all is as declared."""
        text = self.run("check", "--output", "json", *arguments, code=None, inventory=inventory)
        plan = json.loads(text)["plan"]
        assert not plan["failures"], plan["failures"]
        found = [
            f"{host['host']}: {change['kind']} {change['name']} [{change['reason']}]"
            for host in plan["hosts"]
            for change in host["changes"]
        ]
        found += [
            f"{finding['host']}: {finding['code']}"
            for finding in [f for h in plan["hosts"] for f in h["findings"]] + plan["findings"]
            if finding["severity"] == "error" or finding["drift"]
        ]
        return found

    def sh(self, machine: str, script: str, *, check: bool = True) -> str:
        """A script as root on a machine; its stdout."""
        return self.lab.exec(machine, script, check=check).stdout

    def serve(self, servers: Mapping[str, Sequence[int]]) -> None:
        """Starts an HTTP server that tells its machine's name and the client it sees."""
        for machine, ports in servers.items():
            for port in ports:
                self.lab.spawn(machine, serve_script(port))

    def requests(self, client: str, url: str, count: int) -> Counter[str]:
        """How many answers came from which machine; failed ones count as ''."""
        script = requests_script(url, count)
        lines = self.lab.exec(client, script, timeout=30 + 2.5 * count, check=False).stdout.splitlines()
        return Counter(line.split(" ")[0] for line in lines)

    def pid(self, machine: str) -> str:
        """Of the keepalived that runs there; "" for none."""
        files = "/run/keepalived.pid /run/keepalived/keepalived.pid"
        return self.sh(machine, f"cat {files} 2>/dev/null | head -n 1", check=False).strip()

    def table(self, machine: str) -> set[str]:
        """The IPVS table of a director, a set of lines as `ipvsadm -Sn` writes them."""
        return set(self.sh(machine, "ipvsadm -Sn").splitlines())

    def picture(self, machine: str) -> dict[str, Any]:
        """All that a machine is made of: its files, sysctls, addresses, routes, table and services."""
        script = f"exec python3 - <<'EOF'\n{_PICTURE}\nEOF"
        seen: dict[str, Any] = json.loads(self.sh(machine, script))
        return seen

    def answering_macs(self, client: str, vip: str) -> set[str]:
        """The MAC addresses that answer ARP for a VIP, asked again and again."""
        said = self.lab.exec(client, f"arping -b -c 4 -w 6 -I eth0 {vip}", check=False, timeout=30).stdout
        return {line.split("[")[1].split("]")[0].lower() for line in said.splitlines() if "[" in line}

    def neighbour_macs(self, client: str, vip: str) -> set[str]:
        """The MAC addresses that answer for an IPv6 VIP, asked by neighbour discovery again and again."""
        return set(self.sh(client, f"exec python3 - {vip} <<'EOF'\n{_SOLICIT}\nEOF").split())

    def mac(self, machine: str, interface: str = "eth0") -> str:
        return self.sh(machine, f"cat /sys/class/net/{interface}/address").strip().lower()

    def master(self) -> str:
        """The director that holds the first VIP; '' when none does."""
        status = json.loads(self.run("status", "--output", "json", code=None))
        return next((d["name"] for d in status["directors"] if d["role"] == "MASTER"), "")

    def wait(self, what: str, holds: Any, seconds: float = 20) -> None:
        """Waits until `holds()` is true."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
            time.sleep(0.3)


@contextmanager
def living(
    folder: Path,
    declared: dict[str, Any],
    init: Init,
    *,
    user: str = "root",
    serve: Mapping[str, Sequence[int]],
    topology: Topology | None = None,
) -> Iterator[Living]:
    """Boots the lab of an inventory, which gets the lab's SSH settings; by default of `topology_of` it."""
    inventory = folder / "cluster.yaml"
    ssh = {
        "user": user,
        "become": user != "root",
        "identity_file": "./lab/id_ed25519",
        "known_hosts": "./lab/known_hosts",
    }
    declared = {**declared, "ssh": {**ssh, **declared.get("ssh", {})}}
    inventory.write_text(yaml.safe_dump(declared, sort_keys=False))
    if topology is None:
        topology = topology_of(load(inventory).cluster, init=init)
    with Lab(topology, directory=folder / "lab") as lab:
        cluster = Living(lab, inventory, declared)
        cluster.serve(serve)
        yield cluster


def _merged(declared: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(declared)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merged(merged.get(key, {}), value)
        else:
            merged[key] = value
    return merged
