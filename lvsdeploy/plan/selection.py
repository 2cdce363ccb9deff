"""`--limit`: which hosts of a cluster are meant."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lvsdeploy.errors import UsageError
from lvsdeploy.inventory.model import RealServer

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster


def select(cluster: Cluster, limit: str | None) -> frozenset[str]:
    """Names of the managed hosts that `limit` means (None: all of them).

    `limit` is a comma-separated list of names, globs, `@group` and `tag:NAME`. UsageError when a part of
    it matches no host: a typo must not mean "nothing to do".
    """
    managed = frozenset(
        host.name for host in cluster.hosts() if not isinstance(host, RealServer) or host.managed
    )
    if limit is None:
        return managed
    parts = [part for word in limit.split(",") if (part := word.strip())]
    if not parts:
        raise UsageError("--limit names no host", hint="Leave it out to mean all hosts.")
    chosen: set[str] = set()
    for part in parts:
        found = _matches(cluster, part)
        if not found:
            raise UsageError(f"--limit: nothing matches `{part}`", hint=_hint(cluster, part))
        chosen |= found
    if not chosen & managed:
        raise UsageError(
            f"--limit: `{limit}` leaves no host that lvsdeploy logs in to",
            hint="Hosts with `managed: false` are never logged in to.",
        )
    return managed & chosen


def _matches(cluster: Cluster, part: str) -> set[str]:
    if part.startswith("@"):
        return set(dict(cluster.groups).get(part[1:], ()))
    if part.startswith("tag:"):
        return {server.name for server in cluster.real_servers if part[4:] in server.tags}
    return {host.name for host in cluster.hosts() if fnmatchcase(host.name, part)}


def _hint(cluster: Cluster, part: str) -> str:
    names = [host.name for host in cluster.hosts()]
    names += [f"@{name}" for name, _ in cluster.groups]
    names += sorted({f"tag:{tag}" for server in cluster.real_servers for tag in server.tags})
    near = get_close_matches(part, names, n=1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return "There are: " + ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")  # noqa: PLR2004
