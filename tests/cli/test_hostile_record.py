"""A record that is not as lvsdeploy left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.acting import MANIFEST, VIP, vips
from tests.hosts import needs_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces


HOSTILE = {
    "empty": ": >$m",
    "noise": "head -c 10000 /dev/urandom >$m",
    "not ours": "echo '{\"format\": 2}' >$m",
    "deep": "head -c 200000 /dev/zero | tr '\\000' '[' >$m",
    "another version's": 'sed -i \'s/"format": 2/"format": 99/\' $m',
    "another cluster's": 'sed -i \'s/"cluster": "shop"/"cluster": "blog"/\' $m',
    "path": 'sed -i \'s|"/etc/sysctl.d/90-lvsdeploy-shop.conf"|"/etc/passwd"|\' $m',
    "path upwards": "sed -i 's|/etc/sysctl.d/90-lvsdeploy-shop.conf|/etc/lvsdeploy/shop/../../passwd|' $m",
    "sysctl": "sed -i 's|net.ipv4.conf.all.arp_ignore|kernel.core_pattern|' $m",
    "escapes": 'sed -i \'s/"what": "apply"/"what": "\\\\u001b[2J"/\' $m',
    "large": "head -c 9000000 /dev/zero >$m",
    "pipe": "rm $m; mkfifo $m",
    "folder": "rm $m; mkdir $m",
    "link": "rm $m; ln -s /etc/passwd $m",
    "dangling": "rm $m; ln -s /nonexistent $m",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_record(kind: str, site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    web("apply", inventory)
    web1.sh(f"m={MANIFEST}; {HOSTILE[kind]}")
    before = web1.files("/etc")
    quick = ("history", "rollback", "destroy") if kind != "large" else ()  # a shell reads it byte by byte
    for verb in ("plan", *quick, "apply"):
        done = web(verb, inventory, code=None)
        assert "Traceback" not in done.err + done.out
        assert "internal error" not in done.err + done.out, done
        assert "\x1b" not in done.out + done.err
        assert "passwd" not in done.out.replace("/etc/passwd", "")
    if kind != "escapes":  # that one is a record, with an odd word in it
        assert web1.files("/etc").items() >= before.items(), "nothing is removed on the word of such a record"
        assert vips(web1) == {f"{VIP}/32"}
