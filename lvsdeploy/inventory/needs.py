"""What parts of an inventory ask of `ipvs.sysctls`: said once, for the rules and for the directors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import Engine, ForwardingMethod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Cluster


@dataclass(frozen=True)
class Need:
    """A sysctl net.ipv4.vs.`name` that has to be `value` because of what the inventory says at `path`."""

    name: str
    value: int
    why: str
    path: tuple[str, ...]


def needed_sysctls(cluster: Cluster) -> tuple[Need, ...]:
    """Every such need, in a fixed order."""
    return tuple(_needs(cluster))


def both_sync_daemons(cluster: Cluster) -> bool:
    """Whether the master's sync daemon and the backup's run on each director, all the time.

    keepalived ties the one daemon to one VRRP instance. With several groups every director is MASTER of
    something; with the engine ipvsadm nobody knows who is MASTER.
    """
    groups = {vip.group for vip in cluster.vips}
    return cluster.vrrp.sync_daemon is not None and (cluster.engine is Engine.IPVSADM or len(groups) != 1)


def _needs(cluster: Cluster) -> Iterator[Need]:
    nat = cluster.nat
    if nat and nat.masquerade and cluster.uses(ForwardingMethod.NAT):
        why = "masquerading is done by conntrack, which knows IPVS's connections only then"
        yield Need("conntrack", 1, why, (*nat.path, "masquerade"))
    several = len(cluster.directors) > 1
    for director in cluster.directors:
        server = cluster.serving(director.name)
        if several and server is not None and cluster.parts_of(server):
            why = "as a BACKUP it would send on what the MASTER sends it as to a real server"
            yield Need("backup_only", 1, f"{director.name} is a real server, too: {why}", server.path)
            return
