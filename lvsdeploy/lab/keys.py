"""The lab's SSH keys and the client's files: known_hosts and ssh_config."""

import subprocess
from pathlib import Path

from lvsdeploy.lab.image import Keys
from lvsdeploy.lab.topology import Topology


def generate(directory: Path, topology: Topology) -> dict[str, Keys]:
    """Makes the client's key and each machine's, and writes what an SSH client needs.

    In `directory`: id_ed25519, id_ed25519.pub, known_hosts (every machine, under each of its
    addresses), ssh_config (every machine, by its name and by its addresses).
    """
    client = _pair(directory / "id_ed25519", "lab")
    authorized = client.with_suffix(".pub").read_text("utf-8")
    made = {}
    for machine in topology.machines:
        private = _pair(directory / f"host_{machine.name}", machine.name)
        public = private.with_suffix(".pub")
        made[machine.name] = Keys(private.read_text("utf-8"), public.read_text("utf-8"), authorized)
        private.unlink()
        public.unlink()
    known = [
        f"{','.join(map(str, machine.addresses()))} {made[machine.name].host_public.strip()}\n"
        for machine in topology.machines
        if machine.addresses()
    ]
    (directory / "known_hosts").write_text("".join(known), encoding="utf-8")
    (directory / "ssh_config").write_text(_ssh_config(directory, topology), encoding="utf-8")
    return made


def _ssh_config(directory: Path, topology: Topology) -> str:
    named = [
        f"Host {machine.name}\n  HostName {machine.addresses()[0]}\n"
        for machine in topology.machines
        if machine.addresses()
    ]
    everyone = (
        "Host *\n"
        "  User root\n"
        f"  IdentityFile {directory / 'id_ed25519'}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {directory / 'known_hosts'}\n"
        "  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n"
        "  BatchMode yes\n"
        "  ConnectTimeout 20\n"
    )
    return "".join(named) + everyone


def _pair(path: Path, comment: str) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path
