"""Connection sync daemons: kernel threads that copy connections from director to director.

https://man7.org/linux/man-pages/man8/ipvsadm.8.html (--start-daemon)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from lvsdeploy.inventory.model import IPV6

if TYPE_CHECKING:
    from collections.abc import Container

    from lvsdeploy.inventory.model import IPAddress

_DATAGRAM = 65535
_HEADERS_OF_IPV4, _HEADERS_OF_IPV6 = 28, 48  # of IP and UDP
_LEAST_OF_BACKUP = 1024


class SyncRole(StrEnum):
    """What a daemon does: the master's sends, the backup's receives. A host can run one of each."""

    MASTER = "master"
    BACKUP = "backup"


@dataclass(frozen=True)
class SyncDaemon:
    """A daemon. None: whatever the kernel takes by itself.

    One that is declared may have no `role`: it is the master's while the host holds the address `follows`,
    which VRRP moves, and the backup's otherwise.
    """

    interface: str
    syncid: int
    role: SyncRole | None = None
    follows: IPAddress | None = None
    max_length: int | None = None  # bytes
    group: IPAddress | None = None
    port: int | None = None
    ttl: int | None = None

    def on_host_with(self, addresses: Container[IPAddress]) -> SyncDaemon:
        """The same daemon on a host with these addresses: with a role."""
        if self.role is not None:
            return self
        role = SyncRole.MASTER if self.follows is not None and self.follows in addresses else SyncRole.BACKUP
        return replace(self, role=role, follows=None)

    @property
    def length_in_force(self) -> int | None:
        """What the kernel makes of `max_length`: a BACKUP takes at least 1024 bytes, as others may send them.

        The most is what a datagram has room for beside its headers.
        https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs/ip_vs_sync.c (start_sync_thread)
        """
        if self.max_length is None:
            return None
        sixth = self.group is not None and self.group.version == IPV6
        most = _DATAGRAM - (_HEADERS_OF_IPV6 if sixth else _HEADERS_OF_IPV4)
        return min(max(self.max_length, _LEAST_OF_BACKUP if self.role is SyncRole.BACKUP else 1), most)

    def is_met_by(self, there: SyncDaemon) -> bool:
        """Whether a daemon that runs is as this one is declared; both with their roles."""
        pairs = (
            (self.length_in_force, there.max_length),
            (self.group, there.group),
            (self.port, there.port),
            (self.ttl, there.ttl),
        )
        same = (self.role, self.interface, self.syncid) == (there.role, there.interface, there.syncid)
        return same and all(wanted is None or wanted == now for wanted, now in pairs)

    def options(self) -> tuple[str, ...]:
        """The words of `ipvsadm --start-daemon` after the role."""
        named = {
            "--mcast-interface": self.interface,
            "--syncid": self.syncid,
            "--sync-maxlen": self.max_length,
            "--mcast-group": self.group,
            "--mcast-port": self.port,
            "--mcast-ttl": self.ttl,
        }
        return tuple(
            word for name, value in named.items() if value is not None for word in (name, str(value))
        )

    def __str__(self) -> str:
        return " ".join(self.options()).replace("--", "")
