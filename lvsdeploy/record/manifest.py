"""The manifest: a record as text on its host."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from lvsdeploy.printable import printable
from lvsdeploy.record import checked
from lvsdeploy.record.goal import SYSCTL, Drained
from lvsdeploy.record.paths import cluster_of, files_of, folders_of, history_path, manifest_path, units_of
from lvsdeploy.record.record import (
    KEPT,
    Entry,
    Record,
    RecordedFile,
    RecordedRoute,
    RecordedSysctl,
    RecordedTimeout,
    RecordedUnit,
    Stamp,
)
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import key_of
from lvsdeploy.state.tunnel import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.state.ipvs import ServiceKey
    from lvsdeploy.state.sysctl import Value

FORMAT = 2
_PUBLIC, _PRIVATE = 0o644, 0o600
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ROUTE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_-]*")
_TIMEOUT = re.compile(r"tcp|tcp_fin|udp")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*")


def manifest_of(record: Record, *, secret: bool) -> File:
    """The file that holds `record`; `secret`: it has digests of files that hold secrets.

    The digest of a file with a short secret tells the secret to whoever tries all of them.
    """
    data: dict[str, object] = {
        "format": FORMAT,
        "cluster": record.cluster,
        "files": {p: {"sha256": f.sha256, "before": f.before} for p, f in record.files.items()},
        "folders": list(record.folders),
        "sysctls": {k: {"value": s.value, "before": s.before} for k, s in record.sysctls.items()},
        "addresses": {f"{a.address} {a.interface}": found for a, found in record.addresses.items()},
        "tunnels": dict(record.tunnels),
        "gue_ports": {str(port): found for port, found in record.gue_ports.items()},
        "routes": [{"via": str(route.via), "before": list(route.before)} for route in record.routes],
        "units": {n: {"enabled": u.enabled, "active": u.active} for n, u in record.units.items()},
        "packages": list(record.packages),
        "services": [" ".join(key.flags()) for key in record.services],
        "hosts": dict(record.hosts),
        "former": dict(record.former),
        "drained": [
            {"real_server": d.real_server, "service": d.service, "since": d.since, "by": d.by}
            for d in record.drained
        ],
        "history": [
            {
                "id": entry.stamp.id,
                "at": entry.stamp.at,
                "by": entry.stamp.by,
                "what": entry.stamp.what,
                "inventory": entry.stamp.inventory,
                "changes": list(entry.changes),
            }
            for entry in record.history[-KEPT:]
        ],
    }
    if record.timeouts:
        data["timeouts"] = {n: {"value": t.value, "before": t.before} for n, t in record.timeouts.items()}
    # The probe reads this layout line by line.
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    return File(manifest_path(record.cluster), text.encode(), mode=_PRIVATE if secret else _PUBLIC)


@lru_cache(maxsize=1024)  # one reading of a host asks for it in several places
def read_record(manifest: File | None) -> Record:
    """The record in a manifest.

    One that cannot be read counts as none and says why (`problem`): then nothing is ours, and nothing is
    removed or overwritten because of it.
    """
    if manifest is None or manifest.kind is not FileKind.REGULAR:
        return Record()
    try:
        data: Any = json.loads(manifest.content)
        if data["format"] != FORMAT:
            return _unusable(manifest, "it is in the format of another version of lvsdeploy")
        return _record(manifest, data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _unusable(manifest, "it is not what lvsdeploy writes")


def _unusable(manifest: File, problem: str) -> Record:
    return Record(digest=manifest.digest, problem=problem)


def _record(manifest: File, data: Any) -> Record:
    cluster = cluster_of(manifest.path)
    if data["cluster"] != cluster:
        raise ValueError("it is another cluster's")
    files = {
        checked.matching(files_of(cluster), path): RecordedFile(
            checked.matching(_SHA256, file["sha256"]), _maybe_digest(file["before"])
        )
        for path, file in data["files"].items()
    }
    paths = (*files, manifest.path, history_path(cluster, ""))
    parents = folders_of(paths)
    return Record(
        path=manifest.path,
        digest=manifest.digest,
        cluster=cluster,
        files=files,
        folders=tuple(checked.one_of(parents, path) for path in data["folders"]),
        sysctls={
            checked.matching(SYSCTL, key): RecordedSysctl(
                checked.sysctl(sysctl["value"]), _maybe_sysctl(sysctl["before"])
            )
            for key, sysctl in data["sysctls"].items()
        },
        timeouts={
            checked.matching(_TIMEOUT, name): RecordedTimeout(
                checked.integer(timeout["value"]), checked.integer(timeout["before"])
            )
            for name, timeout in data.get("timeouts", {}).items()
        },
        addresses={
            checked.vip(address): checked.truth(found) for address, found in data["addresses"].items()
        },
        tunnels={
            checked.matching(OURS, name): checked.truth(up)
            for name, up in _unless_old(data, "tunnels").items()
        },
        gue_ports={
            checked.gue_port(port): checked.truth(found)
            for port, found in _unless_old(data, "gue_ports").items()
        },
        routes=_routes(data),
        units={
            checked.matching(units_of(cluster), name): RecordedUnit(
                checked.truth(unit["enabled"]), checked.truth(unit["active"])
            )
            for name, unit in data["units"].items()
        },
        packages=tuple(checked.matching(_PACKAGE, name) for name in data["packages"]),
        services=tuple(sorted(_service(words) for words in data.get("services", []))),
        hosts=_words(data["hosts"].items()),
        former=_words(data["former"].items()),
        drained=tuple(
            Drained(*(printable(checked.text(d[key])) for key in ("real_server", "service", "since", "by")))
            for d in data["drained"]
        ),
        history=tuple(_entry(entry) for entry in data["history"][-KEPT:]),
    )


def _entry(data: Any) -> Entry:
    stamp = Stamp(
        checked.matching(_ID, data["id"]),
        *(printable(checked.text(data[key])) for key in ("at", "by", "what", "inventory")),
    )
    return Entry(stamp, tuple(printable(checked.text(line)) for line in data["changes"]))


def _unless_old(data: Any, part: str) -> Any:
    """A part that there was not yet when there was one `route`."""
    return {} if "routes" not in data else data[part]


def _routes(data: Any) -> tuple[RecordedRoute, ...]:
    """One a family. Before there were two, `route` was the only one, or null."""
    given = data["routes"] if "routes" in data else [route for route in (data["route"],) if route is not None]
    routes = sorted((_route(route) for route in given), key=lambda route: route.version)
    if len({route.version for route in routes}) < len(routes):
        raise ValueError("lvsdeploy sets one default route a family")
    return tuple(routes)


def _route(data: Any) -> RecordedRoute:
    before = tuple(checked.matching(_ROUTE_WORD, word) for word in data["before"])
    if before and before[0] != "default":
        raise ValueError("lvsdeploy changes no other route")
    return RecordedRoute(ip_address(checked.text(data["via"])), before)


def _service(words: Any) -> ServiceKey:
    key, rest = key_of(checked.text(words).split(" "))
    if rest or " ".join(key.flags()) != words:
        raise ValueError("not what lvsdeploy writes there")
    return key


def _maybe_digest(value: Any) -> str | None:
    return None if value is None else checked.matching(_SHA256, value)


def _maybe_sysctl(value: Any) -> Value | None:
    return None if value is None else checked.sysctl(value)


def _words(items: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    return {printable(checked.text(name)): printable(checked.text(value)) for name, value in items}
