"""keepalived.conf: what its templates are given.

Written for keepalived 2.0 to 2.3; each keyword was looked up in keepalived's parsers
(`keepalived/vrrp/vrrp_parser.c`, `keepalived/check/check_parser.c`) at v2.0.0 and v2.2.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.scripts import scripts_of
from lvsdeploy.desired.virtual_servers import bfd_sessions, track_files, virtual_servers
from lvsdeploy.desired.vrrp import groups_of, password_of, sync_words, timeout_words
from lvsdeploy.errors import LvsdeployError

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates
    from lvsdeploy.inventory.model import Cluster, Director

_LONGEST_LINE = 1000
"""keepalived reads lines of up to 1023 bytes, and takes what is behind for a line of its own (parser.c)."""


def keepalived_conf(cluster: Cluster, director: Director, templates: Templates) -> bytes:
    """A director's keepalived.conf. LvsdeployError for what keepalived cannot do."""
    groups = groups_of(cluster, director)
    text = templates.render(
        "keepalived/keepalived.conf.j2",
        cluster=cluster,
        director=director,
        groups=groups,
        track_scripts=cluster.vrrp.track_scripts,
        scripts=bool(scripts_of(cluster)),
        sync_words=sync_words(cluster, groups),
        timeouts=timeout_words(cluster),
        password=password_of(cluster),
        bfd_sessions=bfd_sessions(cluster, director),
        track_files=track_files(cluster),
        virtual_servers=virtual_servers(cluster),
    )
    if any(len(line) > _LONGEST_LINE for line in text.splitlines()):
        raise LvsdeployError(
            f"a line of keepalived.conf would be longer than {_LONGEST_LINE} bytes",
            hint="Shorten the longest path, regex or list of arguments of the health checks.",
        )
    return text
