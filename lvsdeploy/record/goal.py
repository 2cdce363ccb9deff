"""What a host is to become: declared in an inventory, or left by an earlier apply and kept on the host.

The kept form is JSON with the files' contents, secrets too: it is written readable by root alone.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory.model import IPV4, IPV6, Protocol
from lvsdeploy.record import checked
from lvsdeploy.record.paths import files_of, units_of
from lvsdeploy.state import nft
from lvsdeploy.state.file import File
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import (
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
)
from lvsdeploy.state.netfilter import Firewall, Ruleset
from lvsdeploy.state.network import Route
from lvsdeploy.state.sync import SyncDaemon, SyncRole
from lvsdeploy.state.tunnel import OURS, TUNL0, LinkKind, TunnelLink, link_for
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = 1
_PROGRAM = re.compile(r"[a-z][a-z0-9-]*")
_OWNER = re.compile(r"[a-z0-9_][a-z0-9_-]*:[a-z0-9_][a-z0-9_-]*")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_TIMEOUTS = frozenset({"tcp", "tcp_fin", "udp"})
_MODES = 0o777
SYSCTL = re.compile(r"net\.ipv4\.[^/\s]+|net\.ipv6\.conf\.[^/\s]+\.(?:forwarding|accept_ra)")


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
        "tunnels": [
            [link.name, link.kind, str(link.local) if link.local else None, sorted(link.options or ())]
            for link in state.tunnels.values()
        ],
        "interfaces": sorted(state.interfaces),
        "gue_ports": sorted(str(port) for port in state.gue_ports),
        "routes": [[str(r.via) if r.via else None, r.interface, r.metric, r.version] for r in state.routes],
        "units": [[u.name, u.enabled, u.active] for u in state.units.values()],
        "table": None if table is None else [_service(service) for service in table.values()],
        "timeouts": dict(state.timeouts),
        "sync_daemons": None
        if state.sync_daemons is None
        else sorted(map(_daemon, state.sync_daemons), key=str),
        "netfilter": None if state.netfilter is None else _rules(state.netfilter),
        "hosts": dict(goal.hosts),
        "drained": [[d.real_server, d.service, d.since, d.by] for d in goal.drained],
        "route_is_managed": goal.route_is_managed,
    }
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def load_goal(content: bytes) -> Goal:
    """The goal that `dump_goal` wrote; ValueError, with a reason, for anything else.

    It may name nothing that lvsdeploy would not put on a host.
    """
    try:
        data: Any = json.loads(content)
        if data["format"] != _FORMAT:
            raise ValueError("it is in the format of another version of lvsdeploy")
        return Goal(
            _load_state(data),
            {checked.text(name): checked.text(address) for name, address in data["hosts"].items()},
            tuple(_load_drained(words) for words in data["drained"]),
            checked.truth(data["route_is_managed"]),
        )
    except (TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("it is not what lvsdeploy writes") from error


def _load_state(data: Any) -> HostState:
    files = [_load_file(file) for file in data["files"]]
    units = [
        Unit(
            checked.matching(units_of(None), name),
            enabled=checked.truth(enabled),
            active=checked.truth(active),
        )
        for name, enabled, active in data["units"]
    ]
    table = None if data["table"] is None else [_load_service(service) for service in data["table"]]
    return HostState(
        programs=frozenset(checked.matching(_PROGRAM, name) for name in data["programs"]),
        files={file.path: file for file in files},
        sysctls={
            checked.matching(SYSCTL, key): checked.sysctl(value) for key, value in data["sysctls"].items()
        },
        addresses=frozenset(checked.vip(address) for address in data["addresses"]),
        routes=tuple(_load_route(*words) for words in data["routes"]),
        units={unit.name: unit for unit in units},
        virtual_services=None if table is None else {service.key: service for service in table},
        timeouts=load_timeouts(data.get("timeouts", {})),  # an earlier version had neither
        sync_daemons=_load_daemons(data.get("sync_daemons")),
        netfilter=_load_rules(data.get("netfilter")),  # an earlier version had none
        tunnels={link.name: link for link in (_load_link(*words) for words in data.get("tunnels", ()))},
        gue_ports=frozenset(checked.gue_port(port) for port in data.get("gue_ports", ())),
        interfaces=frozenset(checked.matching(_INTERFACE, name) for name in data.get("interfaces", ())),
    )


def load_timeouts(data: Any) -> dict[str, int]:
    """IPVS's timeouts by name."""
    return {checked.one_of(_TIMEOUTS, name): checked.integer(seconds) for name, seconds in data.items()}


def _daemon(daemon: SyncDaemon) -> list[Any]:
    return [
        daemon.interface,
        daemon.syncid,
        daemon.role,
        None if daemon.follows is None else str(daemon.follows),
        daemon.max_length,
        None if daemon.group is None else str(daemon.group),
        daemon.port,
        daemon.ttl,
    ]


def _load_daemons(data: Any) -> frozenset[SyncDaemon] | None:
    if data is None:
        return None
    found = set()
    for interface, syncid, role, follows, max_length, group, port, ttl in data:
        found.add(
            SyncDaemon(
                checked.matching(_INTERFACE, interface),
                checked.integer(syncid),
                None if role is None else SyncRole(role),
                None if follows is None else ip_address(checked.text(follows)),
                None if max_length is None else checked.integer(max_length),
                None if group is None else ip_address(checked.text(group)),
                None if port is None else checked.integer(port),
                None if ttl is None else checked.integer(ttl),
            )
        )
    return frozenset(found)


def _load_link(name: Any, kind: Any, local: Any, options: Any) -> TunnelLink:
    checked.matching(OURS, name)
    link = TunnelLink(TUNL0, LinkKind.IPIP)
    if name != TUNL0:
        link = link_for(LinkKind(kind), ip_address(checked.text(local)), checksum="icsum" in options)
    if [link.name, link.kind, sorted(link.options or ())] != [name, kind, options]:
        raise ValueError("lvsdeploy makes no such interface")
    return link


def _load_file(data: Any) -> File:
    mode = checked.integer(data["mode"])
    if not 0 <= mode <= _MODES:
        raise ValueError("not a mode that lvsdeploy gives to a file")
    return File(
        checked.matching(files_of(None), data["path"]),
        base64.b64decode(checked.text(data["content"]), validate=True),
        mode,
        checked.matching(_OWNER, data["owner"]),
        secret=checked.truth(data["secret"]),
    )


def _load_route(via: Any, interface: Any, metric: Any, version: Any = None) -> Route:
    """`version` came later: where it is not said, the gateway tells."""
    gateway = ip_address(checked.text(via)) if via is not None else None
    family = gateway.version if gateway is not None else IPV4
    if version is not None and version != family and (gateway is not None or version != IPV6):
        raise ValueError("not an address family")
    return Route(
        gateway,
        checked.text(interface) if interface is not None else None,
        checked.integer(metric),
        version or family,
    )


_TABLE = "rules"


def _rules(rules: Ruleset) -> dict[str, str]:
    """In the words of nft, whatever program loads them."""
    return {"program": rules.program, "rules": nft.render(_TABLE, rules)}


def _load_rules(data: Any) -> Ruleset | None:
    if data is None:
        return None
    found = nft.parse(_TABLE, checked.text(data["rules"]))
    if found is None or found.strange:
        raise ValueError("lvsdeploy writes no such netfilter rules")
    return Ruleset.of(Firewall(data["program"]), found.rules)


def _load_drained(words: Any) -> Drained:
    real_server, service, since, by = (checked.text(word) for word in words)
    return Drained(real_server, service, since, by)


def _service(service: VirtualService) -> dict[str, object]:
    key = service.key
    return {
        "key": [key.protocol, key.address, key.port, key.fwmark, key.family],
        "scheduler": service.scheduler,
        "flags": list(service.scheduler_flags),
        "persistence": service.persistence,
        "netmask": service.netmask,
        "one_packet": service.one_packet,
        "engine": service.engine,
        "destinations": [_destination(destination) for destination in service.destinations],
    }


def _destination(destination: TableDestination) -> list[object]:
    tunnel = destination.tunnel
    return [
        destination.address,
        destination.port,
        destination.forwarding.value,
        destination.weight,
        destination.upper,
        destination.lower,
        None if tunnel is None else [tunnel.kind, tunnel.port, tunnel.checksum],
    ]


def _load_service(data: Any) -> VirtualService:
    protocol, address, port, fwmark, *family = data["key"]  # an earlier version knew one family a mark
    persistence = data["persistence"]
    return VirtualService(
        key=ServiceKey(
            Protocol(protocol) if protocol is not None else None,
            checked.text(address),
            checked.integer(port),
            checked.integer(fwmark),
            *(checked.integer(number) for number in family),
        ),
        scheduler=checked.text(data["scheduler"]),
        scheduler_flags=tuple(checked.text(flag) for flag in data["flags"]),
        persistence=None if persistence is None else checked.integer(persistence),
        netmask=checked.text(data["netmask"]),
        one_packet=checked.truth(data["one_packet"]),
        engine=checked.text(data.get("engine", "")),
        destinations=tuple(_load_destination(*parts) for parts in data["destinations"]),
    )


def _load_destination(
    address: Any, port: Any, method: Any, weight: Any, upper: Any = 0, lower: Any = 0, tunnel: Any = None
) -> TableDestination:
    return TableDestination(
        checked.text(address),
        checked.integer(port),
        Forwarding(method),
        checked.integer(weight),
        checked.integer(upper),
        checked.integer(lower),
        None if tunnel is None else _load_tunnel(*tunnel),
    )


def _load_tunnel(kind: Any, port: Any, checksum: Any) -> Tunnel:
    return Tunnel(TunnelKind(kind), checked.integer(port), Checksum(checksum))
