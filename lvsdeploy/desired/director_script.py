"""What a director starts at boot: a script that does what keepalived does not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.desired.boot import Boot
from lvsdeploy.desired.firewall import director_rules, loaded_rules
from lvsdeploy.desired.paths import director_script_path, unit_name
from lvsdeploy.state.file import File
from lvsdeploy.state.ipvs import TIMEOUTS
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.desired.firewall import LoadedRules
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.desired.variant import Variant
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.netfilter import Rule
    from lvsdeploy.state.network import Address


def with_script(
    state: HostState, cluster: Cluster, templates: Templates, variant: Variant, further: Iterable[Rule] = ()
) -> HostState:
    """A director's `state`, and what it takes at boot beside keepalived: nothing without rules and VIPs.

    `further` are rules that it needs because it is also a real server.
    The VIPs are those that the state has; where there is a keepalived, they are its business.
    """
    rules = loaded_rules(cluster.name, variant.firewall, (*director_rules(cluster), *further))
    vips = tuple(sorted(state.addresses, key=str))
    if rules is None and not vips:
        return state
    unit, saved = unit_name(cluster.name), variant.saved_table
    boot = Boot(
        director=True,
        online=bool(vips),
        firewall=rules is not None,
        table=(saved.unit,) if vips and saved is not None else (),
    )
    files = [
        *state.files.values(),
        *(rules.files if rules is not None else ()),
        director_script(templates, cluster.name, rules, vips, settings_words(state) if vips else ()),
        boot.unit(templates, cluster.name, variant.manager),
    ]
    return replace(
        state,
        programs=state.programs | (rules.programs if rules is not None else frozenset()),
        files={file.path: file for file in sorted(files, key=lambda file: file.path)},
        units={unit: Unit(unit, enabled=True, active=True), **state.units},
        netfilter=rules.ruleset if rules is not None else None,
    )


def settings_words(state: HostState) -> tuple[tuple[str, ...], ...]:
    """The words of ipvsadm that set IPVS's timeouts and start its sync daemons, where no keepalived does."""
    timeouts = tuple(str(state.timeouts.get(name, 0)) for name in TIMEOUTS)
    daemons = sorted(state.sync_daemons or (), key=lambda daemon: daemon.role or "")
    return (
        *((("--set", *timeouts),) if state.timeouts else ()),
        *(("--start-daemon", daemon.role, *daemon.options()) for daemon in daemons if daemon.role),
    )


def director_script(
    templates: Templates,
    cluster: str,
    rules: LoadedRules | None,
    vips: Iterable[Address] = (),
    settings: Iterable[tuple[str, ...]] = (),
) -> File:
    """The director's script: it loads the netfilter `rules`, sets the `vips`, and runs ipvsadm `settings`."""
    content = templates.render(
        "director/director.sh.j2",
        cluster=cluster,
        rules=rules.name if rules is not None else "",
        firewall=list(rules.loads) if rules is not None else [],
        vips=[f"{vip.address}@{vip.interface}" for vip in vips],
        timeouts=[words for words in settings if words[0] == "--set"],
        daemons=[words for words in settings if words[0] != "--set"],
    )
    return File(director_script_path(cluster), content, 0o755)
