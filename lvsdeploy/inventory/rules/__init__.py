"""The semantic rules: one small function each, registered under its code. Importing this loads them all."""

from __future__ import annotations

from lvsdeploy.inventory.rules import (
    checks,
    forwarding,
    hosts,
    ipvs,
    later,
    nat,
    schedulers,
    services,
    vips,
    vrrp,
)

__all__ = ["checks", "forwarding", "hosts", "ipvs", "later", "nat", "schedulers", "services", "vips", "vrrp"]
