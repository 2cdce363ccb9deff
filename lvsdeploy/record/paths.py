"""Where the memory of a cluster stands on a host."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = "/var/lib/lvsdeploy"
_CLUSTER = r"[a-z][a-z0-9-]{0,30}"
_MANIFEST = re.compile(rf"{FOLDER}/({_CLUSTER})/manifest\.json")
_OURS = (
    r"/etc/keepalived/keepalived\.conf|/etc/sysctl\.d/90-lvsdeploy-{0}\.conf"
    r"|/etc/lvsdeploy/{0}/(?:real-server|director|firewall\.(?:nft|v4|v6))"
    r"|/etc/modules-load\.d/lvsdeploy-{0}\.conf"
    r"|/etc/systemd/system/lvsdeploy-{0}\.service|/etc/init\.d/lvsdeploy-{0}"
    # where distributions save the IPVS table, and what makes them restore it
    r"|/etc/ipvsadm\.(?:rules|conf)|/etc/(?:default|sysconfig)/ipvsadm|/var/lib/ipvsadm/rules-save"
    r"|/etc/systemd/system/ipvsadm\.service\.d/lvsdeploy-{0}\.conf"
)
_UNITS = r"keepalived|ipvsadm|lvsdeploy-{0}"


def manifest_path(cluster: str) -> str:
    """The record of what lvsdeploy put on a host for the cluster of this name."""
    return f"{FOLDER}/{cluster}/manifest.json"


def history_path(cluster: str, apply_id: str) -> str:
    """What an apply of this id left on the host."""
    return f"{FOLDER}/{cluster}/history/{apply_id}.json"


def folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder that these paths stand in, near and far, but the root."""
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents} - {"/"}


def is_record(path: str) -> bool:
    """Whether this is the path of a manifest, of whichever cluster."""
    return _MANIFEST.fullmatch(path) is not None


def cluster_of(path: str) -> str:
    """The cluster whose manifest this is; "" for any other path."""
    match = _MANIFEST.fullmatch(path)
    return match[1] if match else ""


def files_of(cluster: str | None) -> re.Pattern[str]:
    """The paths at which lvsdeploy puts files for this cluster, or (None) for any.

    A record that names another path is not believed.
    """
    return re.compile(_OURS.format(_CLUSTER if cluster is None else re.escape(cluster)))


def units_of(cluster: str | None) -> re.Pattern[str]:
    """The services that lvsdeploy starts for this cluster, or (None) for any."""
    return re.compile(_UNITS.format(_CLUSTER if cluster is None else re.escape(cluster)))
