"""What changed the hosts, put together."""

from __future__ import annotations

from lvsdeploy.errors import ExitCode
from lvsdeploy.history import history_of
from lvsdeploy.plan import codes
from lvsdeploy.plan.change import Failure, HostPlan, Plan, Role
from lvsdeploy.record import Entry, Record, Stamp

FIRST = Stamp("20261101T080000Z-0001", "2026-11-01T08:00:00Z", "ann@desk", inventory="ab" * 32)
SECOND = Stamp("20261102T080000Z-0002", "2026-11-02T08:00:00Z", "bob@desk", "drain web1")
PLAN = Plan("shop", ())


def record(*entries: Entry) -> Record:
    return Record(path="/var/lib/lvsdeploy/shop/manifest.json", cluster="shop", history=entries)


def test_the_newest_first_with_what_it_did_on_each_host() -> None:
    records = {
        "web1": record(Entry(FIRST, ("create file /etc/x",)), Entry(SECOND, ("update file /etc/x",))),
        "web2": record(Entry(FIRST, ("create file /etc/x", "create address"))),
        "web3": Record(),
    }
    history = history_of(PLAN, records)
    assert [(a.id, a.at, a.by, a.what, a.inventory) for a in history.applies] == [
        (SECOND.id, SECOND.at, "bob@desk", "drain web1", ""),
        (FIRST.id, FIRST.at, "ann@desk", "apply", "ab" * 32),
    ]
    assert history.applies[0].changes == {"web1": ("update file /etc/x",)}
    assert history.applies[1].changes == {
        "web1": ("create file /etc/x",),
        "web2": ("create file /etc/x", "create address"),
    }
    assert (history.cluster, history.failures, history.exit_code) == ("shop", (), ExitCode.OK)


def test_nothing_yet() -> None:
    assert history_of(PLAN, {}).applies == ()
    assert history_of(PLAN, {"web1": Record()}).applies == ()


def test_hosts_that_could_not_be_read_are_told() -> None:
    off = Failure("web2", "no answer", exit_code=4)
    history = history_of(Plan("shop", (), (off,)), {"web1": record(Entry(FIRST))})
    assert len(history.applies) == 1
    assert (history.failures, history.exit_code) == ((off,), ExitCode.UNREACHABLE)


def test_a_record_that_cannot_be_used_is_told_and_other_findings_are_not() -> None:
    path = "/var/lib/lvsdeploy/shop/manifest.json"
    broken = codes.NO_RECORD.finding(f"{path} cannot be used: it is not what lvsdeploy writes", host="web1")
    file = codes.NOT_A_FILE.finding("/etc/x is a pipe, not a regular file", host="web1")
    plan = Plan("shop", (HostPlan("web1", Role.REAL_SERVER, (), (broken, file)),))
    history = history_of(plan, {"web1": Record(problem="it is not what lvsdeploy writes")})
    assert [(f.host, f.message) for f in history.failures] == [("web1", broken.summary)]
    assert history.exit_code is ExitCode.FAILED
