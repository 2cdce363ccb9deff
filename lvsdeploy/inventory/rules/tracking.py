"""LVS22x, LVS230: what VRRP watches, and what it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.inventory.model import Cluster

_SOURCE = "https://github.com/acassen/keepalived/blob/v2.2.7/keepalived/vrrp"


@rule(
    "LVS227",
    Severity.ERROR,
    "A weight is given for an interface that VRRP needs anyway.",
    why="A director without an interface that carries its VIPs, or NAT's gateway, gives them up: there is no "
    "priority left that a weight could change. keepalived refuses such a weight.",
    fix="Leave the interface out of `track_interfaces`.",
    example="vrrp: {track_interfaces: [{interface: eth0, weight: -20}]}      # eth0 carries the VIPs",
    links=(f"{_SOURCE}/vrrp.c",),
    needs=("directors", "services", "vips"),
)
def weights_of_own_interfaces(context: Context) -> Iterator[Hit]:
    own = _own_interfaces(context.cluster)
    for index, tracked in enumerate(context.cluster.vrrp.track_interfaces):
        if tracked.weight and tracked.interface in own:
            path = ("vrrp", "track_interfaces", str(index), "weight")
            yield Hit(path, f"{tracked.interface} carries what VRRP moves, with or without a weight")


@rule(
    "LVS228",
    Severity.WARNING,
    "A weight is too small to change who is MASTER.",
    why="A director takes the VIPs from the MASTER when its priority is the higher one. With these weights "
    "the MASTER stays above the next director, whatever fails. With `preempt: false` no director ever takes "
    "over from one that goes on, whatever the priorities are.",
    fix="Take a weight that is larger than the difference of the priorities, or none: then the director "
    "gives up its VIPs when it fails.",
    example="""
        directors:
          lvs1: {address: 192.0.2.2, interface: eth0, priority: 150}
          lvs2: {address: 192.0.2.3, interface: eth0, priority: 100}
        vrrp:
          track_scripts:
            resolver: {path: /usr/local/bin/resolves, weight: -10}
    """,
    links=(f"{_SOURCE}/vrrp.c",),
    needs=("directors", "services", "vips"),
)
def weights_have_an_effect(context: Context) -> Iterator[Hit]:
    cluster = context.cluster
    own = _own_interfaces(cluster)
    weights = {
        ("vrrp", "track_interfaces", str(index), "weight"): tracked.weight
        for index, tracked in enumerate(cluster.vrrp.track_interfaces)
        if tracked.interface not in own
    }
    weights.update(
        {("vrrp", "track_scripts", s.name, "weight"): s.weight for s in cluster.vrrp.track_scripts}
    )
    if len(cluster.directors) == 1:
        return
    first, second = sorted((director.priority for director in cluster.directors), reverse=True)[:2]
    together = sum(map(abs, weights.values()))
    for path, weight in weights.items():
        if weight and not cluster.vrrp.preempt:
            yield Hit(path, f"the weight {weight} does nothing with preempt: false")
        elif weight and together <= first - second:
            summary = f"the weight {weight} does not bridge priorities {first} and {second}"
            yield Hit(path, summary)


@rule(
    "LVS229",
    Severity.WARNING,
    "A track script may take longer than its interval.",
    why="keepalived starts the next run at each interval, also while the last one has not ended: runs of a "
    "script that hangs pile up until `timeout` ends them, and it counts as failed no earlier.",
    fix="Let `timeout` be at most `interval`; that is the default.",
    example="""
        vrrp:
          track_scripts:
            resolver: {path: /usr/local/bin/resolves, interval: 1, timeout: 60}
    """,
    links=(f"{_SOURCE}/vrrp_scheduler.c",),
)
def runs_end_in_time(context: Context) -> Iterator[Hit]:
    for script in context.cluster.vrrp.track_scripts:
        if script.timeout is not None and script.timeout > script.interval:
            path = ("vrrp", "track_scripts", script.name, "timeout")
            yield Hit(path, f"{script.name} runs every {script.interval} s and may take {script.timeout} s")


@rule(
    "LVS230",
    Severity.WARNING,
    "A user for notify scripts is given, and there is no script.",
    why="It is the user that they run as; nothing else looks at it.",
    fix="Add a script (`master`, `backup`, `fault`, `stop` or `any`), or remove `user`.",
    example="vrrp: {notify: {user: nobody}}",
)
def users_have_scripts(context: Context) -> Iterator[Hit]:
    notify = context.cluster.vrrp.notify
    if notify.user is not None and not notify.scripts():
        yield Hit(("vrrp", "notify", "user"), f"nothing is run as {notify.user}")


def _own_interfaces(cluster: Cluster) -> frozenset[str]:
    """Interfaces without which every group of VIPs is given up on some director."""
    groups = []
    for group in {vip.group for vip in cluster.vips}:
        own = {vip.interface for vip in cluster.vips if vip.group == group and vip.interface}
        if not group and cluster.nat and cluster.uses(ForwardingMethod.NAT):
            own.add(cluster.nat.interface)
        groups.append(own | {director.interface for director in cluster.directors})
    return frozenset.intersection(*map(frozenset, groups)) if groups else frozenset()
