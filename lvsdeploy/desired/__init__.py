"""From a cluster as declared to what each host should be. Pure and deterministic.

`desired_state` gives one host's, `render_all` every host's as far as it can be told without asking them.
The same cluster gives the same bytes, on any day and by any version that does not change a template.
"""

from lvsdeploy.desired.drained import known_drains, with_drained
from lvsdeploy.desired.hosts import (
    desired_goal,
    desired_state,
    has_rules,
    kernel_modules,
    probe_paths,
    render_all,
    unit_names,
)
from lvsdeploy.desired.leaving import with_leaving
from lvsdeploy.desired.paths import KEEPALIVED_CONF, KEEPALIVED_UNIT
from lvsdeploy.desired.roles import inside_router_id, nat_in_use, route_is_managed
from lvsdeploy.desired.table import expected_table, pool_keys, sorry_port
from lvsdeploy.desired.tunnels import overhead
from lvsdeploy.desired.vrrp import vip_groups

__all__ = [
    "KEEPALIVED_CONF",
    "KEEPALIVED_UNIT",
    "desired_goal",
    "desired_state",
    "expected_table",
    "has_rules",
    "inside_router_id",
    "kernel_modules",
    "known_drains",
    "nat_in_use",
    "overhead",
    "pool_keys",
    "probe_paths",
    "render_all",
    "route_is_managed",
    "sorry_port",
    "unit_names",
    "vip_groups",
    "with_drained",
    "with_leaving",
]
