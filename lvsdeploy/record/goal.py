"""What a host is to become: declared in an inventory, or left by an earlier apply and kept on the host.

The kept form is JSON with the files' contents, secrets too: it is written readable by root alone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = 1


@dataclass(frozen=True, order=True)
class Drained:
    """A real server that gets no new connections: of one service, or ("") of all; `since` in ISO 8601."""

    real_server: str
    service: str = ""
    since: str = ""
    by: str = ""

    def covers(self, real_server: str, service: str) -> bool:
        return self.real_server == real_server and self.service in ("", service)


@dataclass(frozen=True)
class Goal:
    """What a host is to become.

    `hosts` (on a director) are those of the whole cluster, name -> address; `drained` those that get no new
    connections, which `state` has taken account of. `route_is_managed` False: the route is only checked.
    """

    state: HostState = field(default_factory=HostState)
    hosts: Mapping[str, str] = field(default_factory=dict)
    drained: tuple[Drained, ...] = ()
    route_is_managed: bool = True


def dump_goal(goal: Goal) -> bytes:
    """The form in which a goal is kept on its host."""
    state = goal.state
    table = state.virtual_services
    data = {
        "format": _FORMAT,
        "programs": sorted(state.programs),
        "files": [
            {
                "path": file.path,
                "content": base64.b64encode(file.content).decode(),
                "mode": file.mode,
                "owner": file.owner,
                "secret": file.secret,
            }
            for file in state.files.values()
        ],
        "sysctls": dict(state.sysctls),
        "addresses": sorted(f"{a.address} {a.interface}" for a in state.addresses),
        "routes": [[str(r.via) if r.via else None, r.interface, r.metric] for r in state.routes],
        "units": [[u.name, u.enabled, u.active] for u in state.units.values()],
        "table": None if table is None else [_service(service) for service in table.values()],
        "hosts": dict(goal.hosts),
        "drained": [[d.real_server, d.service, d.since, d.by] for d in goal.drained],
        "route_is_managed": goal.route_is_managed,
    }
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def load_goal(content: bytes) -> Goal:
    """The goal that `dump_goal` wrote; ValueError, with a reason, for anything else."""
    try:
        data: Any = json.loads(content)
        if data["format"] != _FORMAT:
            raise ValueError("it is in the format of another version of lvsdeploy")
        files = [
            File(
                str(f["path"]),
                base64.b64decode(f["content"], validate=True),
                int(f["mode"]),
                str(f["owner"]),
                secret=bool(f["secret"]),
            )
            for f in data["files"]
        ]
        table = None if data["table"] is None else [_load_service(service) for service in data["table"]]
        state = HostState(
            programs=frozenset(str(name) for name in data["programs"]),
            files={file.path: file for file in files},
            sysctls={str(key): int(value) for key, value in data["sysctls"].items()},
            addresses=frozenset(load_address(text) for text in data["addresses"]),
            routes=tuple(
                Route(ip_address(via) if via is not None else None, interface, int(metric))
                for via, interface, metric in data["routes"]
            ),
            units={str(n): Unit(str(n), enabled=bool(e), active=bool(a)) for n, e, a in data["units"]},
            virtual_services=None if table is None else {service.key: service for service in table},
        )
        return Goal(
            state,
            {str(name): str(address) for name, address in data["hosts"].items()},
            tuple(Drained(*(str(word) for word in words)) for words in data["drained"]),
            bool(data["route_is_managed"]),
        )
    except (TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("it is not what lvsdeploy writes") from error


def load_address(text: str) -> Address:
    """`192.0.2.50/32 lo`; ValueError for anything else."""
    address, interface = text.split()
    return Address(interface, ip_interface(address))


def _service(service: VirtualService) -> dict[str, object]:
    key = service.key
    return {
        "key": [key.protocol, key.address, key.port, key.fwmark],
        "scheduler": service.scheduler,
        "flags": list(service.scheduler_flags),
        "persistence": service.persistence,
        "netmask": service.netmask,
        "one_packet": service.one_packet,
        "destinations": [[d.address, d.port, d.forwarding.value, d.weight] for d in service.destinations],
    }


def _load_service(data: Any) -> VirtualService:
    protocol, address, port, fwmark = data["key"]
    persistence = data["persistence"]
    return VirtualService(
        key=ServiceKey(
            Protocol(protocol) if protocol is not None else None, str(address), int(port), int(fwmark)
        ),
        scheduler=str(data["scheduler"]),
        scheduler_flags=tuple(str(flag) for flag in data["flags"]),
        persistence=None if persistence is None else int(persistence),
        netmask=str(data["netmask"]),
        one_packet=bool(data["one_packet"]),
        destinations=tuple(
            TableDestination(str(a), int(p), Forwarding(f), int(w)) for a, p, f, w in data["destinations"]
        ),
    )
