"""history and rollback, as an operator types them, on real hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from tests.cli.acting import HISTORY, OTHER_VIP, VIP, ids, on_a_terminal, vips, without_history
from tests.hosts import OUTSIDE, needs_namespaces, service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

pytestmark = needs_namespaces


def test_history_in_every_format(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    assert "othing was applied yet" in web("history", inventory).out
    web("apply", inventory)
    other = site.inventory("shop", web1, services={"http": service(OTHER_VIP, web1)})
    web("apply", other)
    first, second = ids(site)
    user = web1.manifest()["history"][0]["by"]

    text = web("history", other).out
    assert text.index(second) < text.index(first), "the newest first"
    assert user in text
    told = json.loads(web("history", other, "--output", "json").out)
    assert [apply["id"] for apply in told["applies"]] == [second, first]
    assert (told["command"], told["exit_code"], told["applies"][0]["what"]) == ("history", 0, "apply")
    assert (
        f"create address {OTHER_VIP}/32 on lo [changed in the inventory]"
        in told["applies"][0]["changes"]["web1"]
    )
    assert len(told["applies"][0]["inventory"]) == 64
    markdown = web("history", other, "--output", "markdown").out
    assert markdown.index(second) < markdown.index(first)
    suites = ET.fromstring(web("history", other, "--output", "junit").out.encode())  # noqa: S314 — our own text
    assert [case.get("classname", "") + case.get("name", "") for case in suites.iter("testcase")]
    assert list(suites.iter("failure")) == []


def test_rollback_and_back_again(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    before = without_history(web1)
    web("apply", inventory)
    first = without_history(web1)
    other = site.inventory("other", web1, services={"http": service(OTHER_VIP, web1)})
    web("apply", other)
    second = without_history(web1)

    asked = on_a_terminal("n\n", "rollback", "--limit", "web*", other)
    assert asked.code == 1
    assert "Aborted; nothing was changed." in asked.err
    assert "Change the hosts? [y/N]" in asked.err
    assert f"+vips='{VIP}/32'" in asked.out, "what is asked about is shown"
    assert f"-vips='{OTHER_VIP}/32'" in asked.out
    assert without_history(web1) == second

    assert on_a_terminal("y\n", "rollback", "--limit", "web*", other).code == 0
    assert without_history(web1) == first
    web("check", inventory)
    assert "[changed in the inventory]" in web("check", other, code=2).out

    back = web("rollback", other)
    assert "Rolled back" in back.out or "web1" in back.out
    assert without_history(web1) == second, "a rollback of a rollback goes forward"
    assert [entry["what"] for entry in web1.manifest()["history"]] == [
        "apply",
        "apply",
        "rollback",
        "rollback",
    ]

    oldest, *_ = ids(site)
    web("rollback", other, "--to", oldest)
    assert without_history(web1) == first
    assert web1.manifest()["history"][-1]["what"] == f"rollback to {oldest}"
    assert "Nothing to do" in web("rollback", other, "--to", oldest).out
    assert without_history(web1) == first
    assert before["addresses"] != first["addresses"]


def test_rollback_of_the_first_apply_takes_all_of_it_away(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """Only what the host remembers stays, so that this can be rolled back, too."""
    inventory, before = site.inventory("shop", web1), web1.everything(times=True)
    nothing = web("rollback", inventory, code=1)
    assert "there is nothing to go back to: nothing was applied yet" in nothing.err
    web("apply", inventory)
    applied = without_history(web1)
    web("rollback", inventory)
    after = web1.everything(times=True)
    files: Any = after["files"]
    after["files"] = {p: words for p, words in files.items() if not p.startswith("/var/lib/lvsdeploy")}
    assert after == before
    web("rollback", inventory)
    assert without_history(web1) == applied
    web("destroy", inventory)
    assert web1.everything(times=True) == before


def test_rollback_to_what_nobody_remembers(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventory = site.inventory("shop", web1)
    web("apply", inventory)
    (only,) = ids(site)
    for unknown in ("20200101T000000Z-0000", "", "bogus", "\x1b[31m"):
        done = web("rollback", inventory, "--to", unknown, code=64)
        assert "no host remembers an apply" in done.err
        assert f"There are: {only}" in done.err
        assert "\x1b" not in done.err


def test_an_apply_that_changed_one_host_is_rolled_back_there_alone(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    web2 = site.host("web2", 12)
    one = site.inventory("shop", web1, web2, services={"http": service(VIP, web1)})
    both = site.inventory("both", web1, web2)
    web("apply", one)
    assert "Applied to web2" in web("apply", both).out
    first = web1.everything(times=True)
    assert "web1" not in web("rollback", both).out.splitlines()[-1]
    assert web1.everything(times=True) == first
    assert vips(web2) == set()


def test_ten_applies_are_kept(site: Site, web1: NamespaceHost, web: Callable[..., Done]) -> None:
    inventories = [
        site.inventory(f"shop{vip}", web1, services={"http": service(f"{OUTSIDE}{vip}", web1)})
        for vip in (50, 51)
    ]
    seen = []
    for number in range(11):
        web("apply", inventories[number % 2])
        seen.append(ids(site)[-1])
    assert ids(site) == seen[1:]
    kept = {path.rpartition("/")[2] for path in web1.files(HISTORY)}
    assert kept == {f"{name}.json" for name in seen[1:]}, "the oldest is gone on disk"
    done = web("rollback", inventories[0], "--to", seen[0], code=64)
    assert f"no host remembers an apply `{seen[0]}`" in done.err
    web("rollback", inventories[0], "--to", seen[1])
    assert vips(web1) == {f"{OTHER_VIP}/32"}
    # What the oldest one kept replaced is not known any more.
    (web1.root / HISTORY.lstrip("/") / f"{ids(site)[-2]}.json").unlink()
    lost = web("rollback", inventories[0], code=1)
    assert "is not there, or cannot be read" in lost.out
    assert vips(web1) == {f"{OTHER_VIP}/32"}


def test_what_the_hosts_remember_is_for_root_alone(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    web("apply", site.inventory("shop", web1))
    (kept,) = web1.files(HISTORY).values()
    assert kept[:3] == ("-rw-------", 0, 0)
