"""drain and undrain as commands, with two directors that are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.cli import running
from lvsdeploy.execute.host import Host
from lvsdeploy.inventory import load
from lvsdeploy.observe import Observation
from lvsdeploy.observe.connections import Connections
from tests.execute.story import inventory
from tests.plan.hosts import FACTS, converged, on
from tests.plan.machine import Machine, made_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.record import Drained
    from lvsdeploy.state.host import HostState
    from tests.cli.running import Done

LVS1, LVS2 = "lvs1", "lvs2"


class Held:
    def release(self) -> None:
        pass


class Directors:
    """Both converged at first; what is changed is carried out in memory."""

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster = cluster
        self.changed: list[str] = []
        self.connections: list[int] = []  # of web1, at one look after another; then none
        self.states = {name: converged(cluster, name).actual for name in (LVS1, LVS2)}
        own = self.states[LVS1]
        self.states[LVS1] = replace(own, addresses=own.addresses | {on("eth0", "192.0.2.50/32")})

        def change(host: Host) -> None:
            self._change(host)

        monkeypatch.setattr(Host, "lease", lambda *_: (Held(), ""))
        monkeypatch.setattr(Host, "read", lambda host, _connector: self._read(host))
        monkeypatch.setattr(Host, "_change", change)
        monkeypatch.setattr(running, "POLL", 0.01)

    def drained(self, name: str = LVS1) -> list[tuple[str, str]]:
        record: Any = json.loads(self.states[name].files["/var/lib/lvsdeploy/shop/manifest.json"].content)
        return [(d["real_server"], d["service"]) for d in record["drained"]]

    def weights(self, name: str = LVS1) -> dict[str, int]:
        (service,) = (self.states[name].virtual_services or {}).values()
        return {d.address: d.weight for d in service.destinations}

    def _read(self, host: Host) -> None:
        state = self.states[host.name]
        key = next(iter(state.virtual_services or {}))
        left = self.connections[0] if self.connections and host.name == LVS1 else 0
        counted = {key: {("192.0.2.11", 80): Connections(left, 100)}}
        host.observation = Observation(FACTS, state, connections=counted)
        host.plan_anew()

    def _change(self, host: Host) -> None:
        assert host.plan is not None
        state = self.states[host.name]
        self.states[host.name] = Machine(state, self._tables(host)).run(host.plan.steps())
        host.changed = True
        self.changed.append(host.name)
        self._read(host)
        assert host.plan.changes == ()

    def _tables(self, host: Host) -> dict[bytes, Any]:
        """What keepalived makes of the configuration that this plan places."""
        wanted: list[HostState] = []
        aim: Any = host.aim

        def remember(drained: tuple[Drained, ...]) -> tuple[Drained, ...]:
            edited: tuple[Drained, ...] = aim._drains(drained)
            wanted.append(converged(self.cluster, host.name, drained=edited).goal.state)
            return edited

        remember(host.record.drained)
        return made_by(*wanted)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(inventory(2))
    return path


@pytest.fixture
def directors(path: Path, monkeypatch: pytest.MonkeyPatch) -> Directors:
    return Directors(load(path).cluster, monkeypatch)


def test_drain_and_undrain(directors: Directors, path: Path, run: Callable[..., Done]) -> None:
    before = dict(directors.states)
    done = run("drain", path, "web1")
    assert (done.code, directors.changed) == (0, [LVS2, LVS1]), "the BACKUP first"
    for name in (LVS1, LVS2):
        assert directors.weights(name) == {"192.0.2.11": 0, "192.0.2.12": 1}
        assert directors.drained(name) == [("web1", "")]
    status = run("status", path)
    assert "drained since 20" in status.out
    assert run("check", "--limit", "lvs*", path).code == 0, "it is no drift"

    assert "Nothing to do" in run("drain", path, "web1").out
    assert directors.changed == [LVS2, LVS1]
    assert run("undrain", path, "web1").code == 0
    for name in (LVS1, LVS2):
        assert directors.weights(name) == {"192.0.2.11": 1, "192.0.2.12": 1}
        assert directors.drained(name) == []
        conf = "/etc/keepalived/keepalived.conf"
        assert directors.states[name].files[conf] == before[name].files[conf]
    assert "Nothing to do" in run("undrain", path, "web1").out


def test_the_last_real_server_stays_unless_it_is_forced(
    directors: Directors, path: Path, run: Callable[..., Done]
) -> None:
    assert run("drain", path, "web1", "--service", "http").code == 0
    refused = run("drain", path, "web2")
    assert (refused.code, refused.out) == (1, "")
    assert "http: no other real server is left, and its clients would be refused" in refused.err
    assert "--force" in refused.err
    assert directors.drained() == [("web1", "http")]
    assert run("drain", path, "web2", "--force").code == 0
    assert directors.weights() == {"192.0.2.11": 0, "192.0.2.12": 0}
    assert run("undrain", path, "web1").code == 0
    assert directors.drained() == [("web2", "")]


def test_other_changes_do_not_go_along(directors: Directors, path: Path, run: Callable[..., Done]) -> None:
    path.write_text(path.read_text().replace("port: 80", "port: 80, scheduler: rr"))
    for verb in ("drain", "undrain"):
        refused = run(verb, path, "web1")
        assert refused.code == 1
        assert "lvs1, lvs2: not as declared, and this would change that, too" in refused.err
        assert "lvsdeploy plan" in refused.err
    assert directors.changed == []


def test_to_wait_until_the_connections_have_ended(
    directors: Directors, path: Path, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    directors.connections = [3]
    looks = iter([3, 1, 0])

    def sleep(_seconds: float) -> None:
        directors.connections = [next(looks)]

    monkeypatch.setattr("time.sleep", sleep)
    done = run("drain", path, "web1", "--wait")
    assert done.code == 0
    assert done.err.splitlines()[-1] == "web1: no connections are left"
    assert list(looks) == []


def test_connections_that_do_not_end(directors: Directors, path: Path, run: Callable[..., Done]) -> None:
    directors.connections = [3]
    done = run("drain", path, "web1", "--wait", "--drain-timeout", "1")
    assert done.code == 1
    assert "web1: after 1 s there are connections left: 3 on lvs1" in done.err
    assert "It is drained and stays so." in done.err
    assert directors.drained() == [("web1", "")]


def test_one_director_alone_makes_the_other_differ(
    directors: Directors, path: Path, run: Callable[..., Done]
) -> None:
    assert run("drain", path, "web1", "--limit", LVS1).code == 0
    assert (directors.drained(LVS1), directors.drained(LVS2)) == ([("web1", "")], [])
    check = run("check", "--limit", "lvs*", path)
    assert check.code == 0, "each is as it was told: a warning"
    assert "web1 is drained on lvs1 and not on lvs2" in check.out
    since = directors.states[LVS1].files
    assert run("drain", path, "web1").code == 0
    assert directors.drained(LVS2) == [("web1", "")]
    assert directors.states[LVS1].files == since, "who was first is kept"
