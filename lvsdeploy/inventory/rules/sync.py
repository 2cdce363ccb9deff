"""LVS22x: the connection sync daemons, and what depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.needs import both_sync_daemons, needed_sysctls
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOC = "https://docs.kernel.org/networking/ipvs-sysctl.html"
_BACKUP_ONLY = "backup_only"


@rule(
    "LVS224",
    Severity.ERROR,
    "backup_only is 1, and both sync daemons run on each director.",
    why="With `backup_only` a director does not balance while its backup daemon runs. With `vrrp.groups` "
    "every director is MASTER of something, and with the engine ipvsadm nobody knows who is MASTER: there "
    "the backup daemon runs on all of them, all the time, and no director would balance.",
    fix="Leave backup_only out, and let no director be a real server. Or have one MASTER for all VIPs: "
    "`engine: keepalived` and no `vrrp.groups`.",
    example="""
        vrrp:
          sync_daemon: {interface: eth0}
          groups:
            blue: {virtual_router_id: 53, master: lvs2}
        ipvs: {sysctls: {backup_only: 1}}
    """,
    links=(_DOC, "https://github.com/torvalds/linux/blob/v6.1/include/net/ip_vs.h"),
    needs=("services", "vips", "vrrp"),
)
def somebody_balances(context: Context) -> Iterator[Hit]:
    if not both_sync_daemons(context.cluster):
        return
    what = "each director runs both sync daemons, so none would balance"
    if dict(context.cluster.ipvs.sysctls).get(_BACKUP_ONLY):
        yield Hit(("ipvs", "sysctls", _BACKUP_ONLY), f"backup_only is 1, and {what}")
        return
    for need in needed_sysctls(context.cluster):
        if need.name == _BACKUP_ONLY:
            summary = f"the director {need.path[-1]} is a real server, too, which takes backup_only; {what}"
            yield Hit(need.path, summary, key=True)


@rule(
    "LVS225",
    Severity.WARNING,
    "A sysctl of the sync daemons is set, and there is none.",
    why="`sync_*` say how connections are copied to other directors, and `backup_only` is in force while the "
    "backup daemon runs. Without a daemon they do nothing.",
    fix="Add `vrrp: {sync_daemon: {interface: eth0}}`, or leave the sysctl out.",
    example="ipvs: {sysctls: {sync_ports: 4}}      # and no vrrp.sync_daemon",
    links=(_DOC,),
    needs=("vrrp",),
)
def sysctls_have_their_daemon(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    for name, value in cluster.ipvs.sysctls if cluster.vrrp.sync_daemon is None else ():
        if name.startswith("sync_") or (name == _BACKUP_ONLY and value):
            summary = f"{name} is set, and there is no sync daemon"
            yield Hit(("ipvs", "sysctls", name), summary, key=True)


@rule(
    "LVS226",
    Severity.WARNING,
    "The sync daemon's id is 0.",
    why="A backup daemon with id 0 takes the connections of every cluster on its network that uses the same "
    "multicast group.",
    fix="Choose an id from 1 to 255, or leave it out: it is the virtual router id then.",
    example="vrrp: {sync_daemon: {interface: eth0, syncid: 0}}",
    links=("https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs/ip_vs_sync.c",),
)
def takes_its_own_connections(context: Context) -> Iterator[Hit]:
    daemon = context.cluster.vrrp.sync_daemon
    if daemon is not None and daemon.syncid == 0:
        yield Hit(("vrrp", "sync_daemon", "syncid"), "with id 0 every cluster's connections are taken")
