"""LVS9xx: what the inventory may say and lvsdeploy does not do yet. Refused, never ignored.

These look at the plain data: the model has no place for what is not built. When one of them gets built,
its rule goes, and its code is not used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.model import ForwardingMethod
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHY = "This version of lvsdeploy does not build it; ignoring it would leave a cluster other than declared."


@rule(
    "LVS901",
    Severity.ERROR,
    "Mode tun is not built yet.",
    why=_WHY,
    fix="Use dr, with real servers in the directors' network, or nat.",
    example="services:\n  http: {vip: 192.0.2.50, port: 80, mode: tun, real_servers: [web1]}",
)
def tunnelling(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if service.mode is ForwardingMethod.TUN:
            path = context.place_of(service, "mode")
            yield Hit(path, f"'{service.name}' has mode tun, which is not built yet")
