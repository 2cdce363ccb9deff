"""Where the memory of a cluster stands on a host."""

from __future__ import annotations

import re

FOLDER = "/var/lib/lvsdeploy"
_MANIFEST = re.compile(rf"{FOLDER}/([a-z][a-z0-9-]{{0,30}})/manifest\.json\Z")


_OURS = re.compile(
    r"/etc/keepalived/keepalived\.conf|/etc/sysctl\.d/90-lvsdeploy-[a-z0-9-]+\.conf"
    r"|/etc/lvsdeploy/[a-z0-9-]+/[a-z0-9-]+|/etc/systemd/system/lvsdeploy-[a-z0-9-]+\.service"
    r"|/etc/init\.d/lvsdeploy-[a-z0-9-]+"
)


def manifest_path(cluster: str) -> str:
    """The record of what lvsdeploy put on a host for the cluster of this name."""
    return f"{FOLDER}/{cluster}/manifest.json"


def history_path(cluster: str, apply_id: str) -> str:
    """What an apply of this id left on the host."""
    return f"{FOLDER}/{cluster}/history/{apply_id}.json"


def is_record(path: str) -> bool:
    """Whether this is the path of a manifest, of whichever cluster."""
    return _MANIFEST.match(path) is not None


def cluster_of(path: str) -> str:
    """The cluster whose manifest this is; "" for any other path."""
    match = _MANIFEST.match(path)
    return match[1] if match else ""


def may_be_ours(path: str) -> bool:
    """Whether lvsdeploy may have put a file at this path: a record that names another one is not believed."""
    return _OURS.fullmatch(path) is not None
