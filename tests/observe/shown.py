"""Observations as JSON, for the expected files beside recorded answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lvsdeploy.observe import Request
from lvsdeploy.observe.ipvs_table import parse, render

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.observe import Observation


def request_of(folder: Path) -> Request:
    """The request that a recorded answer belongs to."""
    asked = json.loads((folder / "request.json").read_text())
    table = asked.get("table")
    return Request(
        files={path: [text.encode() for text in known] for path, known in asked["files"].items()},
        units=tuple(asked["units"]),
        programs=tuple(asked["programs"]),
        modules=tuple(asked["modules"]),
        table=None if table is None else frozenset(parse("\n".join(table)).values()),
        counters=asked.get("counters", False),
        token=asked["token"],
    )


def shown(observation: Observation) -> dict[str, Any]:
    """The whole observation as plain JSON values."""
    facts, state, view = observation.facts, observation.state, observation.checkers
    table = state.virtual_services
    return {
        "facts": {
            "hostname": facts.hostname,
            "os": f"{facts.os_id} {facts.os_version}",
            "kernel": facts.kernel,
            "service_manager": facts.service_manager,
            "package_manager": facts.package_manager,
            "root": facts.root,
            "programs": dict(facts.programs),
            **(
                {"built_with": {p: sorted(o) for p, o in facts.built_with.items()}}
                if facts.built_with
                else {}
            ),
            "modules": sorted(facts.modules),
            "available_modules": sorted(facts.available_modules),
            "links": dict(facts.links),
        },
        "files": {
            path: {
                "kind": file.kind,
                "mode": f"{file.mode:04o}",
                "owner": file.owner,
                "sha256": file.digest,
                "size": len(file.content),
            }
            for path, file in state.files.items()
        },
        "sysctls": dict(state.sysctls),
        "addresses": sorted(map(str, state.addresses)),
        "tentative": sorted(map(str, observation.tentative)),
        "routes": [f"{route} metric {route.metric}" for route in state.routes],
        "units": {u.name: {"enabled": u.enabled, "active": u.active} for u in state.units.values()},
        "table": None if table is None else render(table.values()).splitlines(),
        "checkers": None
        if view is None
        else {
            str(key): {
                "quorum_up": service.quorum_up,
                "sorry_server": service.sorry_server and list(service.sorry_server),
                "up": sorted(map(list, service.up)),
                "down": sorted(map(list, service.down)),
            }
            for key, service in view.services.items()
        },
        "connections": {
            str(key): {f"{a} {p}": [c.active, c.inactive] for (a, p), c in found.items()}
            for key, found in observation.connections.items()
        },
        "unread": dict(observation.unread),
    }
