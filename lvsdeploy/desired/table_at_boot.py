"""The IPVS table where the distribution's own ipvsadm package restores it from at boot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import drop_in_path
from lvsdeploy.inventory.model import Engine
from lvsdeploy.state.distributions import DISTRIBUTIONS, distribution_of
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.file import File
from lvsdeploy.state.ipvs import commands
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.desired.variant import Variant
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.facts import Facts
    from lvsdeploy.state.host import HostState

SAVED = tuple(dict.fromkeys(d.saved_table for d in DISTRIBUTIONS if d.saved_table is not None))
"""Every way in which a distribution does it."""
_SWITCHES = {saved.switch for saved in SAVED if saved.switch and not saved.shipped}
PATHS = tuple(sorted({saved.path for saved in SAVED} | _SWITCHES))
"""The files that are written for it."""
_AS_INSTALLED = {'AUTO="false"', 'DAEMON="none"', 'IFACE="eth0"', 'SYNCID="0"'}
"""What Debian's /etc/default/ipvsadm comes with."""
UNITS = tuple(sorted({saved.unit for saved in SAVED}))
"""The services that restore it. They run once, and to start one is to flush the table."""


def with_saved_table(state: HostState, cluster: Cluster, templates: Templates, variant: Variant) -> HostState:
    """A director's `state`, and what restores its table at boot where there is no keepalived to make it.

    The unit is started at boot, and never by us.
    """
    saved = variant.saved_table
    if cluster.engine is not Engine.IPVSADM or saved is None or state.virtual_services is None:
        return state
    lines = "".join(f"{' '.join(words)}\n" for words in commands(state.virtual_services.values()))
    header = templates.render("ipvsadm/rules.j2", cluster=cluster.name)
    files = [*state.files.values(), File(saved.path, header + lines.encode())]
    if saved.switch and not saved.shipped:
        name, _, value = saved.setting.partition("=")
        content = templates.render(
            "ipvsadm/switch.j2",
            cluster=cluster.name,
            unit=saved.unit,
            path=saved.path,
            variable=name,
            value=value.strip('"'),
        )
        files.append(File(saved.switch, content))
    if saved.saves_on_stop and variant.manager is ServiceManager.SYSTEMD:
        content = templates.render("ipvsadm/keep.conf.j2", cluster=cluster.name, path=saved.path)
        files.append(File(drop_in_path(cluster.name, saved.unit), content))
    return replace(
        state,
        files={file.path: file for file in sorted(files, key=lambda file: file.path)},
        units={**state.units, saved.unit: Unit(saved.unit, enabled=True, active=False)},
    )


def says_nothing(file: File) -> bool:
    """Whether this is a file as a distribution's package comes with it: no table, and nothing switched on."""
    if file.path not in PATHS:
        return False
    lines = (line.partition("#")[0].strip() for line in file.content.decode("utf-8", "replace").splitlines())
    return {line for line in lines if line} <= _AS_INSTALLED


def saved_path(facts: Facts) -> str:
    """Where this host's distribution saves the table; "" when nobody knows."""
    saved = distribution_of(facts).saved_table
    return saved.path if saved is not None else ""
