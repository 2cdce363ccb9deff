"""Whatever was applied before, the host becomes what the last inventory says, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.cli.acting import FOLDER, MANIFEST
from tests.hosts import INSIDE, OUTSIDE, needs_namespaces
from tests.plan.inventories import inventories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces

MANAGED = {"web2": f"{OUTSIDE}12", "db1": f"{INSIDE}21"}
"""Hosts that each such inventory has, with their RIPs: one for DR, one for NAT."""


def written(site: Site, name: str, document: dict[str, Any], hosts: list[NamespaceHost]) -> Path:
    """An inventory of these hosts; the others are never asked."""
    servers = {**document["real_servers"]}
    for host in hosts:
        servers[host.name] = {**servers[host.name], "address": host.sshd.address, "rip": MANAGED[host.name]}
    return site.inventory(name, **{**document, "cluster": "shop", "real_servers": servers})


def state(host: NamespaceHost) -> dict[str, object]:
    """All that an apply could have changed, but for who applied and when."""
    files = host.files("/etc", "/var/lib")
    record = {k: v for k, v in host.manifest().items() if k != "history"} if host.exists(MANIFEST) else {}
    if not any(record.get(kind) for kind in ("files", "sysctls", "addresses", "units", "route")):
        record = {}  # it only remembers what once was
    kept = {path: words for path, words in files.items() if not path.startswith(FOLDER)}
    return {**host.live(), "files": kept, "record": record, "run": host.run_files()}


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],  # to shrink an example takes many applies, each of seconds
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=inventories(), second=inventories(), adopt=st.booleans())
def test_one_apply_after_another_is_as_the_other_alone(
    site: Site,
    run: Callable[..., Done],
    first: dict[str, Any],
    second: dict[str, Any],
    adopt: bool,  # noqa: FBT001
) -> None:
    try:
        used, fresh = (
            [site.host(name, int(rip.split(".")[3])) for name, rip in MANAGED.items()] for _ in "ab"
        )
        options = ["--limit", ",".join(MANAGED), *["--adopt"] * adopt]
        apply = [
            run("apply", *options, written(site, "shop", document, hosts))
            for document, hosts in ((first, used), (second, used), (second, fresh))
        ]
        note("\n".join(done.out.partition("diff")[0] + done.err for done in apply))
        assert [done.code for done in apply[1:]] in ([0, 0], [1, 1])
        for one, other in zip(used, fresh, strict=True):
            one_, other_ = state(one), state(other)
            for kind, words in one_.items():
                assert words == other_[kind], kind
    finally:
        site.stop()
