"""A director that is also a real server (its localnode): both roles on one machine.

To itself as MASTER it is a local destination. To other directors it is a real server like any, so it holds
the VIPs on lo, too; and as it has the IPVS table, it would send their packets on, to and fro, if
`net.ipv4.vs.backup_only` did not keep it from that.
https://docs.kernel.org/networking/ipvs-sysctl.html (backup_only)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.boot import Boot
from lvsdeploy.desired.paths import director_script_path, modules_path, script_path, sysctl_path
from lvsdeploy.desired.table_at_boot import UNITS as TABLE_UNITS

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.facts import ServiceManager
    from lvsdeploy.state.file import File
    from lvsdeploy.state.host import HostState


def both(
    director: HostState,
    server: HostState,
    cluster: Cluster,
    templates: Templates,
    manager: ServiceManager,
) -> HostState:
    """The states of a machine's two roles in one."""
    if not server.files:
        return director
    files = {**server.files, **director.files}
    for path in (sysctl_path(cluster.name), modules_path(cluster.name)):
        if path in director.files and path in server.files:
            files[path] = _joined(director.files[path], server.files[path])
    boot = Boot(
        director=director_script_path(cluster.name) in files,
        real_server=script_path(cluster.name) in files,
        online=bool(director.addresses),
        firewall=director.netfilter is not None,
        table=tuple(sorted(director.units.keys() & set(TABLE_UNITS))) if director.addresses else (),
    )
    unit = boot.unit(templates, cluster.name, manager)
    files[unit.path] = unit
    return replace(
        director,
        programs=director.programs | server.programs,
        files=dict(sorted(files.items())),
        sysctls={**server.sysctls, **director.sysctls},
        addresses=director.addresses | server.addresses,
        units={**server.units, **director.units},
        tunnels=server.tunnels,
        gue_ports=server.gue_ports,
    )


def _joined(first: File, second: File) -> File:
    """One file of two: the head, which says whose it is, stands there once."""
    _, _, rest = second.content.partition(b"\n")
    return replace(first, content=first.content + rest)
