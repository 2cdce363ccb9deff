"""`make bench`: what a converged `check` costs, against the floor of any tool that uses SSH.

One machine of a lab stands for all real servers: it has all their addresses, so each of them is a login of
its own and all of them are as declared after one apply. The floor is bare paramiko: the same logins, one
command, the same bytes asked and answered, nothing understood. The two run in turn; ratios are what counts,
machines are noisy.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import yaml

from lvsdeploy.lab import Lab, Machine, Network, Nic, Topology

ROUNDS = 5
NETWORK = "10.1.0.0/20"


def main(count: int) -> None:
    """Prints wall and controller processor time of both, and of `--help`, for `count` real servers."""
    addresses = [str(IPv4Address("10.1.0.10") + n) for n in range(count)]
    nic = Nic("net", "eth0", tuple(ip_interface(f"{a}/20") for a in addresses))
    topology = Topology((Network("net", (ip_network(NETWORK),)),), (Machine("web", (nic,)),))
    with tempfile.TemporaryDirectory(prefix="lvsdeploy-bench-") as name:
        folder = Path(name)
        with Lab(topology, directory=folder / "lab") as lab:
            inventory = folder / "bench.yaml"
            inventory.write_text(yaml.safe_dump(_declared(addresses)))
            command = [sys.executable, "-m", "lvsdeploy"]
            many = "web*"
            lab.run([*command, "apply", "--limit", "web0", str(inventory)])
            checked = lab.run([*command, "check", "--limit", many, str(inventory)])
            if checked.returncode != 0:
                sys.exit(f"the bench's hosts are not as declared:\n{checked.stdout}{checked.stderr}")
            ask = folder / "ask.json"
            ask.write_text(json.dumps(_question(inventory, folder / "lab" / "id_ed25519", addresses)))
            ours, floor = [], []
            for _ in range(ROUNDS):
                ours.append(_timed(lab, [*command, "check", "--limit", many, str(inventory)]))
                floor.append(_timed(lab, [sys.executable, "-m", "tests.bench", "--floor", str(ask)]))
    _row(f"check, {count} hosts", ours)
    _row(f"floor, {count} hosts", floor)
    wall, cpu = (statistics.median(a[i] / b[i] for a, b in zip(ours, floor, strict=True)) for i in (0, 1))
    print(f"check / floor: {wall:.2f} wall, {cpu:.2f} controller's processor")
    helped = [_timed(None, [*command, "--help"]) for _ in range(ROUNDS)]
    python = [_timed(None, [sys.executable, "-c", "pass"]) for _ in range(ROUNDS)]
    _row("lvsdeploy --help", helped)
    _row("python -c pass", python)


def _declared(addresses: list[str]) -> dict[str, Any]:
    names = [f"web{n}" for n in range(len(addresses))]
    ssh = {"user": "root", "identity_file": "lab/id_ed25519", "known_hosts": "lab/known_hosts"}
    return {
        "version": 1,
        "cluster": "bench",
        "ssh": ssh,
        "directors": {"lvs1": {"address": "10.1.0.2", "interface": "eth0"}},
        "real_servers": {name: {"address": address} for name, address in zip(names, addresses, strict=True)},
        "services": {"http": {"vip": "10.1.15.250", "port": 80, "mode": "dr", "real_servers": names}},
    }


def _question(inventory: Path, key: Path, addresses: list[str]) -> dict[str, Any]:
    """What `check` asks a host, for the floor to ask as well."""
    from lvsdeploy.execute.host import Host
    from lvsdeploy.inventory import load
    from lvsdeploy.observe import probe_command

    cluster = load(inventory).cluster
    line, stdin = probe_command(Host(cluster, cluster.real_servers[0])._request())
    return {"key": str(key), "addresses": addresses, "command": line, "stdin": stdin.decode()}


def floor(ask: dict[str, Any]) -> None:
    """Bare paramiko: as many logins at once, one command each."""
    import paramiko

    key = paramiko.Ed25519Key.from_private_key_file(ask["key"])

    def one(address: str) -> None:
        transport = paramiko.Transport((address, 22))
        transport.connect(username="root", pkey=key)
        channel = transport.open_session()
        channel.exec_command(ask["command"])
        channel.sendall(ask["stdin"].encode())
        channel.shutdown_write()
        while channel.recv(65536):
            pass
        if channel.recv_exit_status() != 0:
            raise SystemExit(f"{address} did not answer")
        transport.close()

    with ThreadPoolExecutor(min(100, len(ask["addresses"]))) as pool:
        list(pool.map(one, ask["addresses"]))


def _timed(lab: Lab | None, argv: list[str]) -> tuple[float, float]:
    """Wall seconds, and processor seconds of the process and its children here."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    if lab is None:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    else:
        done = lab.run(argv, env=dict(os.environ), cwd=Path(__file__).parents[1])
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{argv} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _row(title: str, runs: list[tuple[float, float]]) -> None:
    wall, cpu = ([run[i] for run in runs] for i in (0, 1))
    print(
        f"{title:<20} wall {statistics.median(wall):6.3f} s ({min(wall):.3f} to {max(wall):.3f}), "
        f"processor {statistics.median(cpu):6.3f} s"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        floor(json.loads(Path(sys.argv[2]).read_text()))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
