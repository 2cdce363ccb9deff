"""The script that does at boot what makes a director, as far as keepalived does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import director_script_path
from lvsdeploy.state.file import File

if TYPE_CHECKING:
    from lvsdeploy.desired.templates import Templates


def director_script(
    templates: Templates, cluster: str, *, rules: str = "", firewall: tuple[tuple[str, str], ...] = ()
) -> File:
    """The director's script.

    `firewall` are the programs that load netfilter rules, each with its file of rules; `rules` is what the
    rules' table is called, or their chains begin with.
    """
    content = templates.render(
        "director/director.sh.j2", cluster=cluster, rules=rules, firewall=list(firewall)
    )
    return File(director_script_path(cluster), content, 0o755)
