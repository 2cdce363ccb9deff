"""A secret is nowhere but where it is needed: not in an argument, a log, an answer, a plan or a history."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING, Self

from lvsdeploy.execute.transaction import Program, build
from lvsdeploy.plan.change import Plan
from lvsdeploy.report.as_json import as_json
from lvsdeploy.results import Planned
from lvsdeploy.state.facts import ServiceManager
from tests.cli.acting import HISTORY
from tests.desired import clusters
from tests.hosts import needs_namespaces
from tests.plan.hosts import plan, untouched

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.running import Done
    from tests.hosts import NamespaceHost, Site

PASSWORD = "Tr0ub4d0"  # noqa: S105 — in tests alone
FORMS = (PASSWORD, hashlib.sha256(PASSWORD.encode()).hexdigest(), PASSWORD.encode().hex())


class Sampler:
    """Looks at the command lines of a host's processes all the time."""

    def __init__(self, host: NamespaceHost) -> None:
        self.seen: set[str] = set()
        self._host = host
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.is_set():
            self.seen |= {" ".join(words) for words in self._host.commands().values()}
            time.sleep(0.005)


@needs_namespaces
def test_the_password_of_vrrp_does_not_leave_the_inventory(
    site: Site, web1: NamespaceHost, web: Callable[..., Done]
) -> None:
    """With the real servers alone: none of them has to do with it."""
    (site.folder / "password").write_text(PASSWORD)
    inventory = site.inventory("shop", web1, vrrp={"password": {"file": "password"}})
    log, out = site.folder / "log", site.folder / "shop.plan"
    web1.instead_of("ip", 'sleep 0.05; exec "$real" "$@"')
    said: list[str] = []
    with Sampler(web1) as sampler:
        for verb, *options in (
            ["plan", "--out", str(out), "-v"],
            ["apply", "-v", "--log-file", str(log)],
            ["check", "--output", "json"],
            ["history", "--output", "json"],
            ["rollback", "--output", "json", "--log-file", str(log)],
            ["destroy", "--output", "markdown"],
        ):
            done = web(verb, inventory, *options, code=None)
            said += [done.out, done.err]
            if verb == "apply":
                files = [
                    web1.read(path).decode()
                    for path, words in web1.files("/etc/lvsdeploy", "/var/lib").items()
                    if str(words[0]).startswith("-")
                ]
                assert any("vips=" in text for text in files)
                said += files
                assert {words[0] for words in web1.files(HISTORY).values()} == {"-rw-------"}
    said += [log.read_text(), out.read_text()]
    assert [form for form in FORMS for text in said if form in text] == []
    assert any("lvsdeploy" in line for line in sampler.seen), "there was something to see"
    assert any("update-rc.d" in line or "/usr/local/sbin/ip" in line for line in sampler.seen)
    assert [line for line in sampler.seen if any(form in line for form in FORMS)] == []
    assert [line for line in sampler.seen if "vips='" in line] == [], "no file's content is in an argument"


def test_a_director_s_transaction_has_the_secret_on_its_standard_input_alone() -> None:
    steps = plan(untouched(clusters.dr_two_directors(), "lvs1")).steps()
    program = build(
        steps, manager=ServiceManager.SYSTEMD, token="t" * 16, owner="ann@desk", probe=Program("sh", b"")
    )
    assert b"s3cret" in program.stdin
    assert "s3cret" not in program.command


def test_json_of_a_plan_has_no_content() -> None:
    host = plan(untouched(clusters.dr_two_directors(), "lvs1"))
    text = as_json(Planned(Plan("shop", (host,))))
    assert json.loads(text)["changes"] > 0
    assert "s3cret" not in text
    assert '"steps"' not in text, "there it would stand as numbers"
    assert hashlib.sha256(b"s3cret").hexdigest() not in text
