"""Scripts on directors that keepalived would not run: it says so in its log only, and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.plan import codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.plan.context import Context


def findings(context: Context) -> Iterator[Finding]:
    """What stands in a script's way, one thing each. Only root sees all of it."""
    if not context.facts.root:
        return
    host = context.host
    for (path, user), script in sorted(context.facts.scripts.items()):
        if script.user is None:
            yield codes.SCRIPT_USER.finding(f"there is no user {user}, who is to run {path}", host=host)
        if not script.is_there:
            yield codes.NO_SCRIPT.finding(f"{path} is not there, or no file", host=host)
        elif script.closed:
            what = "execute it" if script.closed == script.way[-1][0] else f"go through {script.closed}"
            yield codes.SCRIPT_CLOSED.finding(f"{path}: the user {user} may not {what}", host=host)
        elif script.unsafe:
            what = "it" if script.unsafe == path else script.unsafe
            summary = f"{path} runs with root's rights, and others than root may write {what}"
            yield codes.SCRIPT_UNSAFE.finding(summary, host=host)
