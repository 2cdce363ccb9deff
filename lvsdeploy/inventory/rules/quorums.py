"""LVS38x: quorums, and what is done when one is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import NoCheck
from lvsdeploy.inventory.model import Engine
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = "https://github.com/acassen/keepalived/blob/v2.2.7/keepalived/check/ipwrapper.c"


@rule(
    "LVS380",
    Severity.WARNING,
    "A quorum is given, and nothing happens when it is lost.",
    why="Below the quorum keepalived puts the sorry server in the place of the real servers, and runs the "
    "quorum scripts. With neither, the real servers that are left go on serving, as without a quorum.",
    fix="Add a sorry_server or quorum_down, or remove the quorum.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, quorum: 2, real_servers: [web1, web2]}
    """,
    links=(_SOURCE,),
)
def quorum_does_something(context: Context) -> Iterator[Hit]:
    if context.cluster.engine is Engine.IPVSADM:
        return  # LVS351 tells that it has none
    for service in context.cluster.services:
        done = service.sorry_server or service.quorum_up or service.quorum_down
        path = context.place_of(service, "quorum")
        if service.quorum > 1 and not done and path[0] != "defaults":
            yield Hit(path, f"nothing is done when '{service.name}' loses its quorum of {service.quorum}")


@rule(
    "LVS381",
    Severity.WARNING,
    "One real server alone makes up the quorum.",
    why="keepalived compares the quorum with the sum of the weights of live real servers, not with their "
    "number. Each of them is heavy enough, so it is the same as no quorum.",
    fix="Count in weights: for two real servers of weight 10 the quorum is 20.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, quorum: 2, weight: 10, sorry_server: {address: 192.0.2.99},
                 real_servers: [web1, web2]}
    """,
    links=(_SOURCE,),
)
def quorum_counts_weights(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        weights = [d.weight for d in service.pools[0].destinations if d.weight]
        # Once it is up it is given up below quorum - hysteresis.
        if service.quorum > 1 and len(weights) > 1 and min(weights) >= service.quorum + service.hysteresis:
            path = context.place_of(service, "quorum")
            summary = (
                f"a weight of {min(weights)} alone makes up the quorum {service.quorum} of '{service.name}'"
            )
            yield Hit(path, summary)


@rule(
    "LVS382",
    Severity.WARNING,
    "A script runs when a quorum is gained or lost, and none when it is the other way.",
    why="What the one script set up (an address, a route that is announced) stays when the quorum changes "
    "back.",
    fix="Add the other script; or ignore this where the one only tells somebody.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, quorum_up: /usr/local/bin/announce,
                 real_servers: [web1, web2]}
    """,
    links=(_SOURCE,),
)
def there_and_back(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if bool(service.quorum_up) != bool(service.quorum_down):
            has, lacks = ("quorum_up", "quorum_down") if service.quorum_up else ("quorum_down", "quorum_up")
            yield Hit(context.place_of(service, has), f"'{service.name}' has {has} and no {lacks}", key=True)


@rule(
    "LVS383",
    Severity.WARNING,
    "A script waits for a health check that a real server does not have.",
    why="notify_up and notify_down run when a health check changes its mind. Without one nothing ever fails.",
    fix="Give the real server a health check, or remove the script.",
    example="""
        services:
          http: {vip: 192.0.2.50, port: 80, health_check: none,
                 real_servers: [{name: web1, notify_down: /usr/local/bin/page}, web2]}
    """,
    links=(_SOURCE,),
)
def notified_of_nothing(context: Context) -> Iterator[Hit]:
    if context.cluster.engine is Engine.IPVSADM:
        return  # LVS352 tells that nobody runs them
    for service in context.cluster.services:
        for destination in service.pools[0].destinations:
            if not isinstance(service.check_of(destination), NoCheck):
                continue
            for key, script in (
                ("notify_up", destination.notify_up),
                ("notify_down", destination.notify_down),
            ):
                if script:
                    summary = f"{destination.real_server} has {key} and no health check"
                    yield Hit((*destination.path, key), summary, key=True)
