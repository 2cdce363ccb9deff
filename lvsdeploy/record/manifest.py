"""The manifest: a record as text on its host."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from lvsdeploy.printable import printable
from lvsdeploy.record.goal import Drained, load_address
from lvsdeploy.record.paths import cluster_of, manifest_path, may_be_ours
from lvsdeploy.record.record import (
    KEPT,
    Entry,
    Record,
    RecordedFile,
    RecordedRoute,
    RecordedSysctl,
    RecordedUnit,
    Stamp,
)
from lvsdeploy.state.file import File, FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 2
_PUBLIC, _PRIVATE = 0o644, 0o600
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_ROUTE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_-]*\Z")
_SYSCTL = re.compile(r"net\.ipv4\.[^/\s]+\Z")
_UNIT = re.compile(r"keepalived\Z|lvsdeploy-[a-z0-9-]+\Z")
_FOLDER = re.compile(r"(/[a-z0-9][a-z0-9.-]*)+\Z")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*\Z")


def manifest_of(record: Record, *, secret: bool) -> File:
    """The file that holds `record`; `secret`: it has digests of files that hold secrets.

    The digest of a file with a short secret tells the secret to whoever tries all of them.
    """
    route = record.route
    data = {
        "format": FORMAT,
        "cluster": record.cluster,
        "files": {p: {"sha256": f.sha256, "before": f.before} for p, f in record.files.items()},
        "folders": list(record.folders),
        "sysctls": {k: {"value": s.value, "before": s.before} for k, s in record.sysctls.items()},
        "addresses": {f"{a.address} {a.interface}": found for a, found in record.addresses.items()},
        "route": None if route is None else {"via": str(route.via), "before": list(route.before)},
        "units": {n: {"enabled": u.enabled, "active": u.active} for n, u in record.units.items()},
        "packages": list(record.packages),
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
    # The probe reads this layout line by line.
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    return File(manifest_path(record.cluster), text.encode(), mode=_PRIVATE if secret else _PUBLIC)


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
            return Record(
                digest=manifest.digest, problem="it is in the format of another version of lvsdeploy"
            )
        return _record(manifest, data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Record(digest=manifest.digest, problem="it is not what lvsdeploy writes")


def _record(manifest: File, data: Any) -> Record:
    if data["cluster"] != cluster_of(manifest.path):
        raise ValueError("it is another cluster's")
    return Record(
        path=manifest.path,
        digest=manifest.digest,
        cluster=data["cluster"],
        files={
            _file(path): RecordedFile(_match(_SHA256, f["sha256"]), _maybe_digest(f["before"]))
            for path, f in data["files"].items()
        },
        folders=tuple(_match(_FOLDER, path) for path in data["folders"]),
        sysctls={
            _match(_SYSCTL, key): RecordedSysctl(
                int(s["value"]), None if s["before"] is None else int(s["before"])
            )
            for key, s in data["sysctls"].items()
        },
        addresses={load_address(text): bool(found) for text, found in data["addresses"].items()},
        route=None if data["route"] is None else _route(data["route"]),
        units={
            _match(_UNIT, name): RecordedUnit(bool(unit["enabled"]), bool(unit["active"]))
            for name, unit in data["units"].items()
        },
        packages=tuple(_match(_PACKAGE, name) for name in data["packages"]),
        hosts=_words(data["hosts"].items()),
        former=_words(data["former"].items()),
        drained=tuple(
            Drained(*(printable(str(d[key])) for key in ("real_server", "service", "since", "by")))
            for d in data["drained"]
        ),
        history=tuple(_entry(entry) for entry in data["history"][-KEPT:]),
    )


def _entry(data: Any) -> Entry:
    stamp = Stamp(
        _match(_ID, data["id"]),
        *(printable(str(data[key])) for key in ("at", "by", "what", "inventory")),
    )
    return Entry(stamp, tuple(printable(str(line)) for line in data["changes"]))


def _route(data: Any) -> RecordedRoute:
    return RecordedRoute(ip_address(data["via"]), tuple(_match(_ROUTE_WORD, word) for word in data["before"]))


def _file(text: Any) -> str:
    if not isinstance(text, str) or not may_be_ours(text):
        raise ValueError("lvsdeploy writes no such file")
    return text


def _maybe_digest(text: Any) -> str | None:
    return None if text is None else _match(_SHA256, text)


def _match(pattern: re.Pattern[str], text: Any) -> str:
    if not isinstance(text, str) or not pattern.match(text):
        raise ValueError("not what lvsdeploy writes there")
    return text


def _words(items: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    return {printable(str(name)): printable(str(value)) for name, value in items}
