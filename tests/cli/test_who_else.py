"""Other applies on the same hosts: at work, dead, or killed in the middle."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.acting import BLOCKED, OTHER_VIP, ended, start
from tests.hosts import needs_namespaces, service, wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces


def test_another_apply_is_refused_with_who_and_since_when(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    inventory = site.inventory("shop", web1)
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    before = web1.files("/etc", "/var/lib")
    for verb in ("apply", "rollback", "destroy"):
        refused = web(verb, inventory, code=1)
        assert "web1: the cluster is being changed by " in refused.err
        assert "@" in refused.err
        assert ", apply since 20" in refused.err
        assert refused.out == ""
    read = web("check", inventory, code=2)
    assert "being changed by" in read.out
    # A cluster of another name has a lease of its own, and meets the host's lock.
    other = site.inventory("blog", web1, cluster="blog", services={"http": service(OTHER_VIP, web1)})
    done = web("apply", other, code=1)
    assert "being changed by" in done.out or "another apply is at work" in done.out
    assert web1.files("/etc", "/var/lib") == before

    waiting = start("apply", "--limit", "web*", "--lock-timeout", "30", "-v", inventory)
    assert waiting.stderr is not None
    said = waiting.stderr.readline()
    assert "web1: waiting for " in said
    (web1.root / "run/reached").unlink()
    web1.as_found("ip")
    assert ended(first).code == 0
    done = ended(waiting)
    assert (done.code, "Nothing to do" in done.out) == (0, True)
    assert web1.run_files() == []


@pytest.mark.parametrize("lock", ["lock", "cluster-shop.lock"])
@pytest.mark.parametrize("holder", ["4194000", "self", "nonsense", ""], ids=str)
def test_a_lock_whose_holder_is_dead_is_nobody_s(
    lock: str, holder: str, site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """Its number may be another's by now: this one's own, which has nothing to do with lvsdeploy."""
    number = str(web1.sshd.process.pid) if holder == "self" and web1.sshd.process else holder
    web1.write(f"/run/lvsdeploy/{lock}", f"{number} /run/lvsdeploy/apply.{number} ann@desk, apply\n", 0o600)
    if number.isdigit():
        web1.write(f"/run/lvsdeploy/apply.{number}/blob", "a secret", 0o600)
    assert "Applied to web1" in web("apply", site.inventory("shop", web1)).out
    assert web1.run_files() == []


def test_a_shell_that_is_killed_in_the_middle_is_put_back_by_the_next_apply(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    inventory, before = site.inventory("shop", web1), web1.everything(times=True)
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    assert web1.kill("/run/lvsdeploy/apply.")
    web1.kill("/usr/local/sbin/ip")
    killed = ended(first)
    assert killed.code == 1
    assert "web1: " in killed.out
    assert "Traceback" not in killed.err
    (web1.root / "run/reached").unlink()
    web1.as_found("ip")
    assert web1.exists("/etc/lvsdeploy/shop/real-server"), "half of it is there"

    check = web("check", inventory, code=2)
    assert "an apply broke off here" in check.out
    done = web("destroy", inventory)
    assert "put back" in done.out
    assert web1.everything(times=True) == before
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    web1.kill("/run/lvsdeploy/apply.")
    web1.kill("/usr/local/sbin/ip")
    ended(first)
    web1.as_found("ip")
    (web1.root / "run/reached").unlink()
    again = web("apply", inventory)
    assert "put back" in again.out
    assert ", apply since 20" in again.out
    assert "Applied to web1" in again.out
    web("check", inventory)


def test_a_controller_that_is_killed_lets_go_of_the_lease_and_the_host_goes_on(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    inventory = site.inventory("shop", web1)
    web1.instead_of("ip", BLOCKED)
    first = start("apply", "--limit", "web*", inventory)
    wait("it is in the middle", lambda: web1.exists("/run/reached"))
    first.send_signal(signal.SIGKILL)
    ended(first)
    wait("the lease goes", lambda: not web1.exists("/run/lvsdeploy/cluster-shop.lock"))
    assert "being changed by" in web("apply", inventory, code=1).out
    (web1.root / "run/reached").unlink()
    web1.as_found("ip")
    wait("it comes to its end", lambda: web1.run_files() == [])
    web("check", inventory)
