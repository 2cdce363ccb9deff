"""The engine ipvsadm: the table is ours alone to make, by the smallest list of commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsdeploy.desired.table_at_boot import SAVED
from lvsdeploy.inventory.model import Engine, Protocol, Scheduler
from lvsdeploy.observe.ipvs_table import parse
from lvsdeploy.plan import bookkeeping
from lvsdeploy.plan.change import Phase, Reason
from lvsdeploy.record import RecordedUnit
from lvsdeploy.state.file import File
from lvsdeploy.state.ipvs import ServiceKey
from lvsdeploy.state.unit import Unit
from tests.desired import clusters
from tests.observe.tables import destinations, services, tables
from tests.plan import ipvsadm
from tests.plan.hosts import (
    FACTS,
    acting,
    changed,
    codes,
    converged,
    declared,
    declared_anew,
    given_up,
    on,
    plan,
    remembering,
    seen,
    steps,
    told,
    untouched,
    with_file,
)
from tests.plan.machine import Machine, made_by

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.ipvs import VirtualService

SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
RULES, SWITCH = "/etc/ipvsadm.rules", "/etc/default/ipvsadm"
PACKAGE = {
    RULES: b"# emtpy rules file for ipvsadm\n",
    SWITCH: b'# ipvsadm\n\nAUTO="false"\nDAEMON="none"\nIFACE="eth0"\t\n# SYNCID="0"\n',
}
KEY = ServiceKey(Protocol.TCP, "192.0.2.50", 80)


def smallest(**options: Any) -> Cluster:
    return replace(clusters.smallest(), engine=Engine.IPVSADM, **options)


def director(there: list[VirtualService], wanted: list[VirtualService]) -> Context:
    """A director whose table is `there` and should be `wanted`."""
    context = converged(smallest(), "lvs1")
    context = changed(context, virtual_services={service.key: service for service in there})
    return declared(context, virtual_services={service.key: service for service in wanted})


def commands(context: Context) -> list[tuple[str, ...]]:
    """What is run of ipvsadm, in order."""
    return [step.words[2 + int(step.words[1]) :] for step in acting(context) if step.words[0] == "table"]


# --- the smallest list of commands --------------------------------------------------------------------------


@st.composite
def edited(
    draw: st.DrawFn, table: list[VirtualService], *, schedulers: tuple[Scheduler, ...] = tuple(Scheduler)
) -> list[VirtualService]:
    """Another table that has some in common with this one."""
    kept = []
    for service in table:
        if draw(st.integers(0, 3)) == 0:
            continue
        left = {d.key: d for d in service.destinations if draw(st.integers(0, 2))}
        for one in list(left.values()):
            if draw(st.booleans()):
                left[one.key] = replace(
                    one, weight=draw(st.integers(0, 3)), upper=9, lower=draw(st.integers(0, 9))
                )
        for one in draw(st.lists(destinations(service.key), max_size=2)):
            left.setdefault(one.key, one)
        other = draw(services(schedulers=schedulers))
        sticky = other.key.family == service.key.family and (other.persistence or service.key.port != 0)
        groups = [("scheduler", "scheduler_flags"), ("persistence", "netmask", "engine")]
        options = {
            name: getattr(other, name)
            for names in groups[: 2 if sticky else 1]
            if draw(st.booleans())
            for name in names
        }
        kept.append(replace(service, destinations=tuple(sorted(left.values())), **options))
    known = {service.key for service in kept}
    new = draw(st.lists(services(schedulers=schedulers), max_size=2, unique_by=lambda service: service.key))
    return [*kept, *(service for service in new if service.key not in known)]


def difference(there: list[VirtualService], wanted: list[VirtualService]) -> int:
    """In how many things two tables differ: a service that goes takes its destinations along."""
    now, then = ({service.key: service for service in table} for table in (there, wanted))
    size = len(now.keys() - then.keys())
    for key, service in then.items():
        if key not in now:
            size += 1 + len(service.destinations)
            continue
        size += service.options() != now[key].options()
        before, after = ({d.key: d for d in s.destinations} for s in (now[key], service))
        size += sum(before.get(d) != after.get(d) for d in before.keys() | after.keys())
    return size


@SETTINGS
@given(st.data(), tables())
def test_the_smallest_list_of_commands_makes_one_table_of_another(
    data: st.DataObject, table: list[VirtualService]
) -> None:
    wanted = data.draw(edited(table))
    context = director(table, wanted)
    now = context.actual.virtual_services or {}
    run = commands(context)
    assert len(run) == difference(table, wanted)
    equal = {(" ".join(s.key.flags()), str(d)) for s in table for d in s.destinations} & {
        (" ".join(s.key.flags()), str(d))
        for s in wanted
        for d in s.destinations
        if s.key in now and d in now[s.key].destinations
    }
    for words in run:
        now = ipvsadm.run(now, words)
        if "-r" in words:
            place = words.index("-r")
            assert (" ".join(words[1:place]), words[place + 1]) not in equal, words
    assert now == context.desired.virtual_services


@SETTINGS
@given(st.data(), tables())
def test_what_fails_in_the_middle_is_undone(data: st.DataObject, table: list[VirtualService]) -> None:
    """The undo of each command, in reverse order, brings the first table back."""
    wanted = data.draw(edited(table))
    context = director(table, wanted)
    now = context.actual.virtual_services or {}
    undo: list[tuple[str, ...]] = []
    made: set[ServiceKey] = set()
    for step in acting(context):
        if step.words[:2] == ("on_undo", "table_back"):
            undo.append(step.words[2:])
        elif step.words[0] == "table":
            count = int(step.words[1])
            if count:
                undo.append(step.words[2 : 2 + count])
            now = ipvsadm.run(now, step.words[2 + count :])
            made |= {key for key in now if key not in (context.actual.virtual_services or {})}
    for words in reversed(undo):
        now = ipvsadm.run(now, words)
    assert now == context.actual.virtual_services


def test_services_come_before_their_vips_and_go_after_them() -> None:
    context = untouched(smallest(), "lvs1")
    words = steps(context)
    assert words.index("table 3 -D -t 192.0.2.50:80 -A -t 192.0.2.50:80 -s wlc") < words.index(
        "unit_start lvsdeploy-shop"
    )
    assert words.index("table 0 -a -t 192.0.2.50:80 -r 192.0.2.12:80 -g -w 1") < words.index(
        "address_add eth0 192.0.2.50/32"
    )
    leaving = acting(given_up(converged(smallest(), "lvs1")))
    phases = {step.words[0]: step.phase for step in leaving}
    assert phases["unit_stop"] < phases["table"] == Phase.TABLE


def test_new_destinations_come_before_old_ones_go() -> None:
    anew = replace(clusters.cluster(clusters.service("http", {clusters.DB1: 1})), engine=Engine.IPVSADM)
    context = declared_anew(converged(smallest(), "lvs1"), anew)
    assert [words[0] for words in commands(context)] == ["-a", "-d", "-d"]
    assert plan(context).replaced == ()


# --- what is there without keepalived -----------------------------------------------------------------------


def test_a_missing_destination_is_drift_and_no_failed_check() -> None:
    context = converged(smallest(), "lvs1")
    (service,) = (context.actual.virtual_services or {}).values()
    context = changed(
        context, virtual_services={KEY: replace(service, destinations=service.destinations[:1])}
    )
    assert told(context) == [
        f"create destination 192.0.2.12:80 of {KEY} [changed on the host]: not in the kernel"
    ]
    assert codes(context) == []


def test_thresholds_and_tunnels_are_told() -> None:
    (there,) = parse("-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1:0 -i -w 1 -x 9\n").values()
    (wanted,) = parse(
        "-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1:0 -i -w 1 --tun-type gre --tun-csum -x 9 -y 5\n"
    ).values()
    context = director([there], [wanted])
    (change,) = plan(context).changes
    assert change.detail == (
        "is `TUN ipip weight 1 thresholds 9 and 0`, declared `TUN gre csum weight 1 thresholds 9 and 5`"
    )
    words = "-e -f 7 -r 10.0.0.1:0 -i -w 1 --tun-type gre --tun-csum -x 9 -y 5"
    assert commands(context) == [tuple(words.split())]


def test_what_goes_is_quiesced_with_all_its_options() -> None:
    (there,) = parse(
        "-A -f 7 -6 -s rr\n-a -f 7 -6 -r [2001:db8::1]:0 -i -w 3 --tun-type gre --tun-csum -x 9 -y 5\n"
        "-a -f 7 -6 -r [2001:db8::2]:0 -g -w 1\n"
    ).values()
    wanted = replace(there, destinations=there.destinations[1:])
    context = replace(director([there], [wanted]), drain=30)
    anew = replace(context, record=replace(context.record, files={}))  # no record of this very table
    quiesce = next(words for words in steps(anew) if words.startswith("quiesce"))
    edit = "-e -f 7 -6 -r [2001:db8::1]:0 -i -w {} --tun-type gre --tun-csum -x 9 -y 5"
    count = len(edit.split())
    assert quiesce == f"quiesce -f 7 -6 [2001:db8::1]:0 {count} {edit.format(3)} {edit.format(0)}"
    assert "await_quiet 30" in steps(anew)
    assert not [words for words in steps(context) if words.startswith("quiesce")], "put there by hand"


# --- the files of the distribution --------------------------------------------------------------------------


def with_package(context: Context, **texts: bytes) -> Context:
    found = {**PACKAGE, **{{"rules": RULES, "switch": SWITCH}[name]: text for name, text in texts.items()}}
    files = {path: File(path, content) for path, content in found.items()}
    return changed(context, files={**context.actual.files, **files})


def test_the_package_s_own_files_are_kept_and_come_back() -> None:
    context = with_package(untouched(smallest(), "lvs1"))
    assert codes(context) == []
    assert {f"keep_copy {RULES}", f"keep_copy {SWITCH}"} <= set(steps(context))
    machine = Machine(context.actual, made_by(context.desired))
    after = seen(smallest(), "lvs1", machine.run(plan(context).steps()))
    assert after.record.files[RULES].before == File(RULES, PACKAGE[RULES]).digest
    back = Machine(after.actual, {}).run(plan(given_up(after)).steps())
    assert {path: back.files[path].content for path in PACKAGE} == PACKAGE
    assert back.virtual_services == {}


@pytest.mark.parametrize(
    "texts",
    [
        {"rules": b"# mine\n-A -t 192.0.2.9:80 -s rr\n"},
        {"switch": b'AUTO="true"\n'},
        {"switch": b'AUTO="false"\nDAEMON="master"\n'},
    ],
)
def test_what_somebody_else_has_saved_is_not_overwritten_unasked(texts: dict[str, bytes]) -> None:
    context = with_package(untouched(smallest(), "lvs1"), **texts)
    assert len(codes(context)) == 1
    assert plan(context).refused
    assert not plan(replace(context, adopt=True)).refused


def test_the_saved_table_is_a_file_of_ours_like_others() -> None:
    context = with_file(converged(smallest(), "lvs1"), RULES, content=b"")
    assert told(context) == [f"update file {RULES} [changed on the host]: content"]
    assert commands(context) == []


def test_what_restores_the_table_is_never_started_or_stopped() -> None:
    """To start it is to flush the table."""
    fresh = untouched(smallest(), "lvs1")
    assert "unit_enable ipvsadm" in steps(fresh)
    leaving = given_up(converged(smallest(), "lvs1"))
    units = {**leaving.actual.units, "ipvsadm": Unit("ipvsadm", enabled=True, active=True)}
    both = [*steps(fresh), *steps(changed(leaving, units=units))]
    assert not {"unit_start ipvsadm", "unit_stop ipvsadm"} & set(both)
    assert "unit_disable ipvsadm" in both


def test_a_distribution_that_nobody_knows_is_told() -> None:
    facts = replace(FACTS, os_id="gentoo", package_manager=None)
    context = untouched(smallest(), "lvs1", facts)
    assert "LVS598" in codes(context)
    assert plan(context).refused
    assert SAVED


# --- to keepalived and back ---------------------------------------------------------------------------------


def test_from_keepalived_the_table_stays() -> None:
    context = declared_anew(converged(clusters.smallest(), "lvs1"), smallest())
    words = steps(context)
    assert "keepalived_leaves_table" in words
    assert "unit_disable keepalived" in words
    assert "unit_stop keepalived" not in words
    assert commands(context) == []
    reasons = {c.name: c.reason for c in plan(context).changes}
    assert reasons["/etc/keepalived/keepalived.conf"] is Reason.LEFT_OVER


def test_a_keepalived_that_ran_before_us_is_not_reloaded_when_it_has_left() -> None:
    """Its own configuration comes back all the same."""
    context = converged(clusters.smallest(), "lvs1")
    record, conf = context.record, "/etc/keepalived/keepalived.conf"
    context = remembering(
        context,
        units={**record.units, "keepalived": RecordedUnit(enabled=True, active=True)},
        files={**record.files, conf: replace(record.files[conf], before="0" * 64)},
    )
    words = steps(declared_anew(context, smallest()))
    assert [word for word in words if word.startswith("give_back")] == [f"give_back {conf} {'0' * 64}"]
    assert "keepalived_leaves_table" in words
    assert [word for word in words if "unit_reload keepalived" in word] == []


def test_vips_that_keepalived_had_put_there_go_in_the_end() -> None:
    context = converged(clusters.smallest(), "lvs1")
    vip = on("eth0", "192.0.2.50/32")
    context = declared_anew(changed(context, addresses=context.actual.addresses | {vip}), smallest())
    assert bookkeeping.next_record(context).addresses == {vip: False}
    found = untouched(smallest(), "lvs1")
    found = changed(found, addresses=found.actual.addresses | {vip})
    assert bookkeeping.next_record(found).addresses == {vip: True}, "it was there before us"


def test_to_keepalived_the_table_stays() -> None:
    context = declared_anew(converged(smallest(), "lvs1"), clusters.smallest())
    words = steps(context)
    assert "unit_start keepalived" in words
    assert "unit_stop lvsdeploy-shop" in words
    assert commands(context) == []


def test_only_what_is_ours_goes_from_the_kernel_in_the_end() -> None:
    context = given_up(converged(smallest(), "lvs1"))
    (stray,) = parse("-A -t 192.0.2.99:80 -s rr\n").values()
    table = {**(context.actual.virtual_services or {}), stray.key: stray}
    assert commands(changed(context, virtual_services=table)) == [("-D", "-t", "192.0.2.50:80")]
    assert commands(changed(context, virtual_services=None)) == []


def test_an_address_that_the_host_is_known_by_is_never_taken_away() -> None:
    """Whatever a record says."""
    context = given_up(converged(smallest(), "lvs1"))
    ours = next(a for a in context.actual.addresses if str(a) == "192.0.2.2/24 on eth0")
    record = replace(context.record, addresses={**context.record.addresses, ours: False})
    lied = replace(context, record=record)
    assert "address_del eth0 192.0.2.2/24" in steps(lied)
    assert "address_del eth0 192.0.2.2/24" not in steps(replace(lied, own=frozenset({ours.address.ip})))
