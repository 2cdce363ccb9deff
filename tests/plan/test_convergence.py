"""A plan's effect is the declared state, and a declared state needs no plan: on random clusters."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsdeploy.desired import render_all
from lvsdeploy.inventory.model import Engine, Protocol
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.host import HostState
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from lvsdeploy.state.netfilter import Mark, Ruleset
from lvsdeploy.state.sysctl import conf
from tests.desired import clusters
from tests.plan.hosts import FACTS, converged, fresh, on, plan, role_of, seen, told, untouched
from tests.plan.inventories import cluster_of, inventories
from tests.plan.machine import Machine, made_by

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.context import Context

SETTINGS = settings(
    derandomize=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def contexts(cluster: Cluster, make: Any) -> list[Context]:
    return [make(cluster, host) for host in render_all(cluster)]


def at(context: Context, state: HostState, cluster: Cluster) -> Context:
    """The host in another state, with what is declared and recorded for it then."""
    return replace(seen(cluster, context.host, state, context.facts), checkers=context.checkers)


def applied(context: Context, cluster: Cluster) -> Context:
    """The host after its plan, twice if need be: a reload of keepalived leaves drift of the kernel."""
    for _round in (1, 2):
        machine = Machine(context.actual, made_by(context.desired))
        context = at(context, machine.run(plan(context).steps()), cluster)
    return context


@SETTINGS
@given(inventories())
def test_what_is_as_declared_needs_no_plan(document: dict[str, Any]) -> None:
    for context in contexts(cluster_of(document), converged):
        if context.desired == HostState(routes=context.desired.routes):
            assert not context.record.known
        assert told(context) == []
        assert [f for f in plan(context).findings if f.code != "LVS506"] == []


@SETTINGS
@given(inventories(), st.sampled_from(ServiceManager))
def test_a_first_apply_converges(document: dict[str, Any], manager: ServiceManager) -> None:
    cluster = cluster_of(document)
    facts = replace(FACTS, service_manager=manager)
    for host in render_all(cluster):
        context = seen(cluster, host, fresh(cluster, host), facts)
        assert plan(context, role_of(cluster, host)).steps() == plan(context, role_of(cluster, host)).steps()
        assert told(applied(context, cluster)) == []


@pytest.mark.parametrize("name", clusters.CASES)
def test_what_a_first_apply_makes_is_what_these_tests_take_for_it(name: str) -> None:
    cluster = clusters.CASES[name]()
    for context in contexts(cluster, untouched):
        made, expected = applied(context, cluster).actual, converged(cluster, context.host).actual
        kept = {path: file for path, file in made.files.items() if "/history/" not in path}
        assert {p: f.mode for p, f in kept.items()} == {p: f.mode for p, f in expected.files.items()}
        routes = expected.routes if context.goal.route_is_managed else context.actual.routes
        assert replace(made, files={}, sysctls={}) == replace(expected, files={}, sysctls={}, routes=routes)
        assert at(context, made, cluster).record == at(context, expected, cluster).record


@SETTINGS
@given(inventories(), inventories())
def test_a_change_of_the_inventory_converges(first: dict[str, Any], second: dict[str, Any]) -> None:
    second = {**second, "cluster": first["cluster"]}
    before, after = cluster_of(first), cluster_of(second)
    common = render_all(before).keys() & render_all(after).keys()
    for host in sorted(common):
        context = applied(at(converged(before, host), converged(before, host).actual, after), after)
        assert told(context) == []
        again = applied(at(context, context.actual, before), before)
        assert told(again) == []


@SETTINGS
@given(inventories(), inventories())
def test_connections_get_time_to_end_before_they_would_break(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    before, after = cluster_of({**first, "cluster": second["cluster"]}), cluster_of(second)
    for director in {d.name for d in before.directors} & {d.name for d in after.directors}:
        context = converged(before, director)
        patient = replace(at(context, context.actual, after), drain=30)
        words = [step.words for step in plan(patient).steps()]
        quiesced = {(service, there) for name, service, there, *_ in filter(is_quiesce, words)}
        assert quiesced == going(context, patient)
        if quiesced:
            by_hand = after.engine is Engine.IPVSADM
            goes = [n for n, step in enumerate(words) if takes_out(step, by_hand=by_hand)]
            place = min(goes)
            wait = words.index(("await_quiet", "30"))
            assert max(n for n, step in enumerate(words) if is_quiesce(step)) < wait < place
        assert [w for w in words if not is_quiesce(w) and w[0] != "await_quiet"] == [
            step.words for step in plan(replace(patient, drain=0)).steps()
        ]
        assert told(applied(patient, after)) == []


def takes_out(words: tuple[str, ...], *, by_hand: bool) -> bool:
    """Whether destinations go with this step."""
    if not by_hand:
        return words == ("place", "/etc/keepalived/keepalived.conf")
    return words[0] == "table" and words[2 + int(words[1])] in ("-d", "-D")


def is_quiesce(words: tuple[str, ...]) -> bool:
    return words[0] == "quiesce"


def going(before: Context, after: Context) -> set[tuple[str, str]]:
    """The destinations that go, and leave others behind that take what is new; or whose service goes."""
    table = after.desired.virtual_services or {}
    found = set()
    for key, service in (before.actual.virtual_services or {}).items():
        left = {d.key for d in table[key].destinations} if key in table else set()
        if key in table and not left & {d.key for d in service.destinations}:
            continue
        found |= {(" ".join(key.flags()), str(d)) for d in service.destinations if d.key not in left}
    return found


@st.composite
def damages(draw: st.DrawFn, state: HostState) -> HostState:
    """A host that somebody has been at."""
    files = dict(state.files)
    for path in draw(st.lists(st.sampled_from(sorted(files)), unique=True)) if files else []:
        if path.endswith("/manifest.json") or files[path].kind is FileKind.DIRECTORY:
            continue
        what = draw(st.sampled_from(["gone", "edited", "mode"]))
        if what == "gone":
            del files[path]
        else:
            files[path] = File(path, b"x" if what == "edited" else files[path].content, 0o600)
    sysctls = {
        key: draw(st.integers(0, 2)) if key.rpartition(".")[2] != "rp_filter" else value
        for key, value in state.sysctls.items()
    }
    units = {
        name: replace(unit, active=draw(st.booleans()), enabled=draw(st.booleans()))
        for name, unit in state.units.items()
    }
    addresses = {address for address in state.addresses if draw(st.booleans())}
    addresses |= {
        on("eth0", f"{address.address.ip}/24") for address in state.addresses if draw(st.booleans())
    }
    table = state.virtual_services
    if table:
        table = {key: service for key, service in table.items() if draw(st.booleans())}
        for key, service in table.items():
            stray = TableDestination("192.0.2.250", key.port, Forwarding.DR, draw(st.integers(0, 3)))
            kept = tuple(d for d in service.destinations if draw(st.booleans()))
            table[key] = replace(
                service,
                scheduler=draw(st.sampled_from(["lc", service.scheduler])),
                destinations=tuple(sorted((*kept, *([stray] if draw(st.booleans()) else [])))),
            )
        if draw(st.booleans()):
            first = next(iter(state.virtual_services or {}))
            key = replace(first, fwmark=99) if first.fwmark else replace(first, port=7)
            table[key] = VirtualService(key, "rr", destinations=(stray_of(key),))
    tunnels = {
        name: replace(
            link,
            up=draw(st.booleans()),
            options=draw(st.sampled_from([link.options, frozenset({"ikey"})][: 1 if link.built_in else 2])),
        )
        for name, link in state.tunnels.items()
        if draw(st.booleans())
    }
    return replace(
        state,
        files=files,
        sysctls={
            key: value
            for key, value in sysctls.items()
            if not any(key.startswith(conf(name, "")) for name in state.tunnels.keys() - tunnels.keys())
        },
        tunnels=tunnels,
        gue_ports=frozenset(port for port in state.gue_ports if draw(st.booleans())),
        units=units,
        addresses=frozenset(addresses),
        routes=(),
        virtual_services=table,
        netfilter=draw(damaged_rules(state.netfilter)) if state.netfilter is not None else None,
    )


@st.composite
def damaged_rules(draw: st.DrawFn, rules: Ruleset) -> Ruleset | None:
    """Rules of ours of which some are gone, and among which stand others."""
    if draw(st.booleans()):
        return None
    left = [rule for rule in rules.rules if draw(st.booleans())]
    others = [Mark(ip_address("192.0.2.9"), Protocol.UDP, (), 5)] if draw(st.booleans()) else []
    return Ruleset.of(rules.program, [*left, *others], draw(st.sampled_from([(), ("tcp dport 22 drop",)])))


def stray_of(key: ServiceKey) -> TableDestination:
    return TableDestination("192.0.2.251", key.port, Forwarding.NAT, 1)


@SETTINGS
@given(st.data(), st.sampled_from(sorted(clusters.CASES)))
def test_drift_converges(data: st.DataObject, name: str) -> None:
    cluster = clusters.CASES[name]()
    for context in contexts(cluster, converged):
        damaged = data.draw(damages(context.actual))
        mended = applied(at(context, damaged, cluster), cluster)
        # Where keepalived does not tell of its checks, a destination that is out stays out.
        told_by_checks = [f for f in plan(mended).findings if f.code == "LVS531"]
        assert told(mended) == []
        assert not told_by_checks or mended.checkers is None


@pytest.mark.parametrize("name", clusters.CASES)
def test_steps_are_deterministic(name: str) -> None:
    first = [plan(context).steps() for context in contexts(clusters.CASES[name](), converged)]
    second = [plan(context).steps() for context in contexts(clusters.CASES[name](), converged)]
    assert first == second
