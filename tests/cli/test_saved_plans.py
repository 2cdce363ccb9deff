"""`plan --out` and `apply FILE`, on real hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsdeploy.cli import saved
from lvsdeploy.errors import LvsdeployError, UsageError
from lvsdeploy.plan.saved import SavedPlan, dump
from tests.cli.acting import BLOCKED, OTHER_VIP, VIP, ended, ids, on_a_terminal, start, vips
from tests.cli.running import SMALLEST
from tests.hosts import OUTSIDE, needs_namespaces, service, wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

MOVED = "the hosts have moved on since the plan was made ("


@needs_namespaces
class TestOnAHost:
    """Each begins with a plan that was saved."""

    @pytest.fixture
    def inventory(self, site: Site, web1: NamespaceHost) -> Path:
        return site.inventory("shop", web1)

    @pytest.fixture
    def plan(self, site: Site, inventory: Path, web: Callable[..., Done]) -> Path:
        out = site.folder / "plans" / "shop.plan"
        out.parent.mkdir()
        done = web("plan", inventory, "--out", str(out))
        assert "Plan: " in done.out
        return out

    def test_it_is_for_its_owner_alone_and_is_carried_out_once(
        self, site: Site, web1: NamespaceHost, inventory: Path, plan: Path, run: Callable[..., Done]
    ) -> None:
        assert plan.stat().st_mode & 0o7777 == 0o600
        assert [path.name for path in plan.parent.iterdir()] == ["shop.plan"], "nothing is left beside it"
        data = json.loads(plan.read_text())
        assert (data["inventory"], data["limit"], list(data["hosts"])) == ("../shop.yaml", "web*", ["web1"])
        assert run("apply", "--dry-run", plan).code == 0
        assert not web1.exists("/etc/lvsdeploy")

        done = on_a_terminal("n\n", "apply", plan)
        assert done.code == 0, "what was looked at once is not asked about again"
        assert "Change the hosts?" not in done.err
        assert vips(web1) == {f"{VIP}/32"}
        assert web1.manifest()["history"][0]["what"] == "apply"
        assert len(ids(site)) == 1

        again = run("apply", plan)
        assert again.code == 1
        assert MOVED in again.err
        assert "web1; nothing was changed" in again.err
        assert len(ids(site)) == 1
        assert run("check", "--limit", "web*", inventory).code == 0

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore", MOVED),
            ("ip address add 192.0.2.50/32 dev lo", MOVED),
            ("echo theirs >/etc/sysctl.d/90-lvsdeploy-shop.conf", MOVED),
            ("chmod 700 /etc/sysctl.d", MOVED),
        ],
    )
    def test_a_host_that_has_moved_on(
        self, change: str, says: str, web1: NamespaceHost, plan: Path, run: Callable[..., Done]
    ) -> None:
        web1.sh(change)
        before = web1.everything(times=True)
        done = run("apply", plan)
        assert (done.code, says in done.err, "Plan again" in done.err) == (1, True, True)
        assert web1.everything(times=True) == before

    @pytest.mark.parametrize("part", ["salt", "limit", "hosts"])
    def test_a_file_that_was_edited(
        self, part: str, web1: NamespaceHost, plan: Path, run: Callable[..., Done]
    ) -> None:
        data = json.loads(plan.read_text())
        data[part] = {"salt": "00" * 16, "limit": "web1,lvs1", "hosts": {}}[part]
        plan.write_text(json.dumps(data))
        assert run("apply", plan).code == 1
        assert not web1.exists("/etc/lvsdeploy")

    def test_an_inventory_that_has_changed_or_gone(
        self, site: Site, inventory: Path, plan: Path, run: Callable[..., Done]
    ) -> None:
        text = inventory.read_text()
        inventory.write_text(f"{text} ")
        done = run("apply", plan)
        assert (done.code, "../shop.yaml has changed since the plan was made" in done.err) == (1, True)
        inventory.unlink()
        gone = run("apply", plan)
        assert (gone.code, "No such file" in gone.err) == (1, True)
        inventory.write_text(text)
        moved = site.folder / "shop.plan"
        plan.rename(moved)
        assert "No such file" in run("apply", moved).err, "its inventory is found from its own place"

    @pytest.mark.parametrize("option", [("--limit", "web1"), ("--adopt",)], ids=str)
    def test_options_that_the_plan_has_already(
        self, option: tuple[str, ...], web1: NamespaceHost, plan: Path, run: Callable[..., Done]
    ) -> None:
        done = run("apply", *option, plan)
        assert done.code == 64
        assert "a saved plan says itself which hosts it is for, and what it adopts" in done.err
        assert not web1.exists("/etc/lvsdeploy")

    def test_an_apply_that_broke_off_there_has_to_be_put_back_first(
        self,
        site: Site,
        web1: NamespaceHost,
        inventory: Path,
        web: Callable[..., Done],
        run: Callable[..., Done],
    ) -> None:
        web1.instead_of("ip", BLOCKED)
        first = start("apply", "--limit", "web*", inventory)
        wait("it is in the middle", lambda: web1.exists("/run/reached"))
        web1.kill("/run/lvsdeploy/apply.")
        web1.kill("/usr/local/sbin/ip")
        ended(first)
        web1.as_found("ip")
        out = site.folder / "half.plan"
        web("plan", inventory, "--out", str(out))
        done = run("apply", out)
        assert (done.code, "web1: an apply broke off there" in done.err) == (1, True)
        assert "put back" in web("apply", inventory).out

    def test_it_is_not_written_when_a_host_failed(
        self, site: Site, inventory: Path, plan: Path, web1: NamespaceHost, run: Callable[..., Done]
    ) -> None:
        before = plan.read_bytes()
        for out in (site.folder / "new.plan", plan):
            done = run("plan", inventory, "--out", out)  # the director is out of reach
            assert done.code == 4
            assert f"{out}: not saved" in done.err
        assert not (site.folder / "new.plan").exists()
        assert plan.read_bytes() == before
        web1.write("/etc/sysctl.d/90-lvsdeploy-shop.conf", "theirs\n")
        refused = run("plan", "--limit", "web*", inventory, "--out", plan)
        assert (refused.code, "not saved" in refused.err) == (1, True)
        adopting = run("plan", "--limit", "web*", "--adopt", inventory, "--out", plan)
        assert adopting.code == 0
        assert plan.read_bytes() != before
        assert run("apply", plan).code == 0
        assert web1.exists("/etc/sysctl.d/90-lvsdeploy-shop.conf.before-lvsdeploy")

    def test_it_is_written_with_changes_pending_and_without(
        self, site: Site, inventory: Path, web: Callable[..., Done], run: Callable[..., Done]
    ) -> None:
        out = site.folder / "a.plan"
        web("plan", inventory, "--out", str(out), "--detailed-exitcode", code=2)
        assert run("apply", out).code == 0
        web("plan", inventory, "--out", str(out), "--output", "json")
        done = run("apply", out)
        assert (done.code, "Nothing to do" in done.out) == (0, True)

    def test_where_it_cannot_be_written(self, site: Site, inventory: Path, web: Callable[..., Done]) -> None:
        for out, why in (("/nonexistent/x.plan", "No such file"), ("/proc/x.plan", "No such file")):
            done = web("plan", inventory, "--out", out, code=1)
            assert f"lvsdeploy: {out}: {why}" in done.err
        web("plan", inventory, "--out", str(site.folder), code=64)

    def test_it_follows_no_link(self, site: Site, inventory: Path, web: Callable[..., Done]) -> None:
        theirs, link = site.folder / "theirs", site.folder / "link"
        theirs.write_text("theirs")
        link.symlink_to(theirs)
        web("plan", inventory, "--out", str(link))
        assert theirs.read_text() == "theirs"
        assert not link.is_symlink()

    def test_another_inventory_s_hosts_are_no_concern_of_it(
        self, site: Site, web1: NamespaceHost, plan: Path, web: Callable[..., Done], run: Callable[..., Done]
    ) -> None:
        """Somebody applies another inventory in between: the plan that was looked at is not that any more."""
        web("apply", site.inventory("other", web1, services={"http": service(OTHER_VIP, web1)}))
        assert MOVED in run("apply", plan).err
        assert vips(web1) == {f"{OTHER_VIP}/32"}


# --- whatever the file may be -------------------------------------------------------------------------------

TEXT = dump(
    SavedPlan(
        str(SMALLEST),
        "ab" * 32,
        "shop",
        "web*",
        False,
        30,
        "2026-11-23T12:00:00Z",
        "ann@desk",
        "00" * 16,
        {},
        {},
    )
)


@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.binary(max_size=3)), min_size=1, max_size=3))
def test_a_garbled_file_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes]]
) -> None:
    text = TEXT
    for at, new in edits:
        text = text[:at] + new + text[at + len(new) :]
    path = tmp_path_factory.getbasetemp() / "garbled.plan"
    path.write_bytes(text)
    said, found = "", None
    try:
        found = saved.find(path)
    except LvsdeployError as error:
        said = str(error)
    assert found is None, "it names an inventory of another digest; or it is an inventory itself, and none"
    assert said == "" or said.startswith(f"{path}: ")
    assert not {"\n", "\x1b"} & set(said)


@pytest.mark.parametrize(
    "inventory", ["a\0b", "\ud800", "x" * 5000, "/nonexistent\x1b[31m", "", "/dev", "/proc/self/mem"]
)
def test_an_inventory_that_cannot_be(inventory: str, tmp_path: Path, run: Callable[..., Done]) -> None:
    path = tmp_path / "odd.plan"
    path.write_text(json.dumps({**json.loads(TEXT), "inventory": inventory}))
    done = run("apply", path)
    assert done.code == 1
    assert done.err.startswith(f"lvsdeploy: {path}: ")
    assert "\x1b" not in done.err
    assert len(done.err.splitlines()) <= 2


def test_a_garbled_file_is_no_way_around_the_options(tmp_path: Path) -> None:
    path = tmp_path / "odd.plan"
    path.write_text(json.dumps({**json.loads(TEXT), "drain": 10**9}))
    with pytest.raises(UsageError, match="not a plan that this version"):
        saved.find(path)


def test_what_is_cut_off_is_none(tmp_path: Path, run: Callable[..., Done]) -> None:
    path = tmp_path / "cut.plan"
    path.write_bytes(TEXT[: len(TEXT) // 2])
    done = run("apply", path)
    assert (done.code, done.out) == (64, "")
    assert "this is not a plan that this version of lvsdeploy saved" in done.err
    assert OUTSIDE not in done.err
