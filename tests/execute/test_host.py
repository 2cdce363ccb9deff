"""One host's reading and changing, with answers that are made up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import pytest

from lvsdeploy.errors import HostError, LvsdeployError, Unreachable
from lvsdeploy.execute import host as host_module
from lvsdeploy.execute.aims import Options
from lvsdeploy.execute.host import Host
from lvsdeploy.observe import Observation
from lvsdeploy.record import Entry, Stamp, manifest_of
from lvsdeploy.ssh import Answer
from tests.desired import clusters
from tests.plan.hosts import FACTS, RECORD, converged, untouched

if TYPE_CHECKING:
    from lvsdeploy.plan.change import HostPlan
    from lvsdeploy.ssh import Connection, Connector
    from lvsdeploy.state.host import HostState

SHOP = clusters.smallest()
BEFORE, AFTER = untouched(SHOP, "web1").actual, converged(SHOP, "web1").actual
TOKEN = "0123456789abcdef"  # noqa: S105 — it frames an answer
STAMP = Stamp("20261124T000000Z-ffff", "2026-11-24T00:00:00Z", "ann@desk")


@dataclass
class Wire:
    """A connection whose answers to changes, confirmations and the like are given; a reading is `state`."""

    state: HostState = field(default_factory=lambda: BEFORE)
    root: bool = True
    unfinished: str = ""
    answers: list[tuple[str, HostState | None] | Exception] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    logins: int = 0
    user: str = "ann"

    def connect(self, _target: object) -> Connection:
        self.logins += 1
        return cast("Connection", self)

    def close(self) -> None:
        pass

    def run(self, command: str, *, stdin: bytes = b"", timeout: float = 0) -> Answer:  # noqa: ARG002
        words = next((w for w in ("confirm", "revert") if command.endswith(f" {w} {TOKEN}")), "")
        if b"transaction" in stdin:
            words = "change of nothing" if b"steps() {\n    :" in stdin else "change"
        if not words:
            return Answer(0, b"", b"")
        self.sent.append(words)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        said, state = answer
        self.state = state or self.state
        return Answer(0, said.replace("T ", f"{TOKEN} ").encode(), b"")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr("secrets.token_hex", lambda _count: TOKEN)
    monkeypatch.setattr(
        host_module,
        "parse",
        lambda *_: Observation(replace(FACTS, root=wire.root), wire.state, unfinished=wire.unfinished),
    )
    return wire


def web1(wire: Wire, confirm: int = 0) -> Host:
    """The host, read."""
    host = Host(SHOP, SHOP.real_servers[0], options=Options(stamp=STAMP, confirm=confirm))
    host.read(connector(wire))
    return host


def connector(wire: Wire) -> Connector:
    return cast("Connector", wire)


DONE = ("T done\n\nT read\n", AFTER)
ARMED = ("T done armed\n\nT read\n", AFTER)


# --- change -------------------------------------------------------------------------------------------------


def test_a_change(wire: Wire) -> None:
    host = web1(wire)
    assert host.plan is not None
    assert host.plan.changes
    wire.answers = [DONE]
    host.change()
    assert (host.failure, host.changed, host.plan.changes, wire.sent) == (None, True, (), ["change"])
    assert (wire.logins, host.under_way) == (1, False)
    host.change()
    assert wire.sent == ["change"], "nothing is to be done any more"


def test_what_a_reload_left_is_mended_in_a_second_round(wire: Wire) -> None:
    host = web1(wire)
    half = replace(AFTER, addresses=BEFORE.addresses)
    wire.answers = [("T done\n\nT read\n", half), DONE]
    host.change()
    assert (host.failure, wire.sent) == (None, ["change", "change"])


def test_what_does_not_become_as_declared_is_a_failure_that_says_what(wire: Wire) -> None:
    host = web1(wire)
    half = replace(AFTER, addresses=BEFORE.addresses)
    wire.answers = [("T done\n\nT read\n", half)] * 9
    host.change()
    assert host.failure is not None
    assert host.failure.message == "the change was made, and the host is still not as declared"
    assert "address 192.0.2.50/32 on lo" in host.failure.detail
    assert len(wire.sent) == host_module.ROUNDS


def test_a_step_that_fails(wire: Wire) -> None:
    host = web1(wire)
    wire.answers = [("T failed 1\nno room\n\nT undone yes\n\nT read\n", None)]
    host.change()
    assert host.failure is not None
    assert host.failure.message.endswith("; everything was put back")
    assert (host.failure.detail, host.changed) == ("no room", False)


def test_a_step_that_fails_and_cannot_be_undone(wire: Wire) -> None:
    host = web1(wire)
    wire.answers = [("T failed 1\nno room\n\nT undone no\nstuck\n\nT read\n", None)]
    host.change()
    assert host.failure is not None
    assert host.failure.message.endswith("; NOT everything could be put back")
    assert "stuck" in host.failure.detail


def test_somebody_else_is_at_work(wire: Wire) -> None:
    host = web1(wire)
    wire.answers = [("T busy\nbob@desk, apply since 2026-11-23T12:00:00Z\n", None)]
    host.change()
    assert host.failure is not None
    assert host.failure.message == (
        "another apply is at work on this host: bob@desk, apply since 2026-11-23T12:00:00Z"
    )
    assert not host.changed


def test_somebody_else_was_quicker(wire: Wire) -> None:
    host = web1(wire)
    record = replace(converged(SHOP, "web1").record, history=(Entry(replace(STAMP, by="bob@desk")),))
    theirs = replace(BEFORE, files={**BEFORE.files, RECORD: manifest_of(record, secret=False)})
    wire.answers = [("T moved\n\nT read\n", theirs)]
    host.change()
    assert host.failure is not None
    assert host.failure.message == (
        "the host was changed by bob@desk (apply, 2026-11-24T00:00:00Z) since it was read; "
        "nothing was changed now"
    )
    assert wire.sent == ["change"], "what was planned is not done to a host that is another now"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("T recovered yes\nbob@desk, apply\n\nT read\n", "bob@desk, apply"),
        (
            "T recovered no\nbob@desk, apply\ncould not undo: x\n\nT read\n",
            "bob@desk, apply (in part: could not undo: x)",
        ),
    ],
)
def test_what_broke_off_is_put_back_first_and_planned_anew(said: str, told: str, wire: Wire) -> None:
    wire.unfinished = "bob@desk, apply"
    wire.state = AFTER
    host = web1(wire)
    assert host.plan is not None
    assert host.plan.changes == (), "as it is half way, it even looks as declared"
    wire.answers = [(said, BEFORE), DONE]
    original = wire.run

    def run(command: str, *, stdin: bytes = b"", timeout: float = 0) -> Answer:
        answer = original(command, stdin=stdin, timeout=timeout)
        if wire.sent:
            wire.unfinished = ""
        return answer

    wire.run = run  # type: ignore[method-assign]
    host.change()
    assert wire.sent == ["change of nothing", "change"]
    assert (host.recovered, host.failure, host.changed) == (told, None, True)


def test_a_recovery_after_which_nothing_is_to_be_done_is_no_change(wire: Wire) -> None:
    wire.unfinished, wire.state = "bob@desk, apply", AFTER
    host = web1(wire)
    wire.answers = [("T done\n\nT read\n", AFTER)]  # it had been put back by somebody else already
    wire.unfinished = ""
    host.change()
    assert (host.changed, host.recovered, host.failure) == (False, "", None)


# --- confirm ------------------------------------------------------------------------------------------------


def armed(wire: Wire) -> Host:
    host = web1(wire, confirm=30)
    wire.answers = [ARMED]
    host.change()
    assert (host.failure, host.changed) == (None, True)
    return host


def test_a_change_is_confirmed_over_a_new_login(wire: Wire) -> None:
    host = armed(wire)
    wire.answers = [("T confirmed yes\n\n", None)]
    host.confirm(connector(wire))
    assert (wire.logins, wire.sent, host.failure, host.changed) == (2, ["change", "confirm"], None, True)
    host.confirm(connector(wire))
    host.put_back("too late")
    assert wire.sent == ["change", "confirm"], "it is confirmed once"


def test_a_confirmation_that_comes_too_late(wire: Wire) -> None:
    host = armed(wire)
    wire.answers = [("T expired yes\n\n", None)]
    host.confirm(connector(wire))
    assert host.failure is not None
    assert "put back before it could be confirmed" in host.failure.message
    assert not host.changed


def test_a_login_that_fails_leaves_it_to_the_host(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    host = armed(wire)

    def refuse(_target: object) -> Connection:
        raise Unreachable("web1", "no answer")

    monkeypatch.setattr(wire, "connect", refuse)
    host.confirm(connector(wire))
    assert host.failure is not None
    assert host.failure.message == "no answer; it puts itself back within 30 s"
    assert not host.changed


def test_a_host_that_is_not_as_declared_any_more_is_put_back(wire: Wire) -> None:
    host = armed(wire)
    wire.state = replace(AFTER, addresses=BEFORE.addresses)
    wire.answers = [("T reverted yes\n\n", BEFORE)]
    host.confirm(connector(wire))
    assert host.failure is not None
    assert host.failure.message == "the host is not as declared after the change; it was put back"
    assert (wire.sent, host.changed) == (["change", "revert"], False)


def test_a_change_that_cannot_be_put_back_whole_says_so(wire: Wire) -> None:
    host = armed(wire)
    wire.answers = [("T reverted no\ncould not undo: x\n", None)]
    host.put_back("after the change not each VIP is on one director")
    assert host.failure is not None
    assert "not each VIP is on one director" in host.failure.message
    assert "it was put back" not in host.failure.message
    assert not host.changed


def test_what_a_reload_left_confirms_the_first_round(wire: Wire) -> None:
    host = web1(wire, confirm=30)
    half = replace(AFTER, addresses=BEFORE.addresses)
    wire.answers = [("T done armed\n\nT read\n", half), ("T confirmed yes\n\n", None), ARMED]
    host.change()
    assert (host.failure, wire.sent) == (None, ["change", "confirm", "change"])


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_who_is_not_root_is_told_so(wire: Wire) -> None:
    wire.root = False
    host = web1(wire)
    assert host.failure is not None
    assert "logged in as ann, who is not root" in host.failure.message
    assert host.plan is None


def test_a_connection_that_is_lost_in_the_middle(wire: Wire) -> None:
    host = web1(wire)
    wire.answers = [HostError("web1", "the connection was lost while a command ran")]
    host.change()
    assert host.failure is not None
    assert "the connection was lost" in host.failure.message
    assert (host.changed, host.under_way) == (False, False)


def test_an_answer_that_broke_off(wire: Wire) -> None:
    host = web1(wire)
    wire.answers = [("", None)]
    host.change()
    assert host.failure is not None
    assert "gave no answer" in host.failure.message


def test_a_bug_is_this_host_s_failure_and_what_concerns_all_is_not(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = web1(wire)
    monkeypatch.setattr(host.aim, "plan", lambda _scene: "".index("x"))
    host.read(connector(wire))
    assert host.failure is not None
    assert host.failure.message == "internal error: ValueError: substring not found"
    assert "test_host.py" in host.failure.detail

    def refuse(_scene: object) -> HostPlan:
        raise LvsdeployError("a template cannot be used")

    monkeypatch.setattr(host.aim, "plan", refuse)
    with pytest.raises(LvsdeployError, match="a template"):
        host.read(connector(wire))
