"""The service that a host starts at boot: it runs the scripts of the host's roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import director_script_path, script_path, unit_name, unit_path
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.file import File

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates

_TEMPLATES = {
    ServiceManager.SYSTEMD: ("unit/systemd.service.j2", 0o644),
    ServiceManager.OPENRC: ("unit/openrc.j2", 0o755),
    ServiceManager.SYSV: ("unit/sysv.j2", 0o755),
}


@dataclass(frozen=True)
class Boot:
    """What there is to do at boot.

    `online`: it needs the network configured, and does not just come after those who configure it.
    `firewall`: it loads netfilter rules.
    """

    director: bool = False
    real_server: bool = False
    online: bool = False
    firewall: bool = False
    table: tuple[str, ...] = ()
    """The services that restore the IPVS table: a VIP that comes before its services refuses clients."""

    def unit(self, templates: Templates, cluster: str, manager: ServiceManager) -> File:
        """The unit or init script of this host; it runs the director's script first."""
        roles = {"director": self.director, "real server": self.real_server}
        scripts = {director_script_path(cluster): self.director, script_path(cluster): self.real_server}
        template, mode = _TEMPLATES[manager]
        content = templates.render(
            template,
            cluster=cluster,
            unit=unit_name(cluster),
            what=[" and ".join(role for role, has in roles.items() if has)],
            scripts=[path for path, runs in scripts.items() if runs],
            director=self.director,
            real_server=self.real_server,
            online=self.online,
            firewall=self.firewall,
            table=list(self.table),
        )
        return File(unit_path(cluster, manager), content, mode)
