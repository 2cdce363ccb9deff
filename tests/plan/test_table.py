"""The IPVS table: what is drift, what is a health check's doing, and who mends what."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.inventory.model import Protocol, Scheduler, SorryServer
from lvsdeploy.observe.checkers import CheckedService, CheckerView
from lvsdeploy.plan.change import Action, Phase, Reason
from lvsdeploy.record import Drained
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from tests.desired import clusters
from tests.plan.hosts import (
    CONF,
    acting,
    changed,
    codes,
    converged,
    declared_anew,
    plan,
    seen,
    steps,
    told,
    untouched,
    with_file,
    without,
)
from tests.plan.machine import Machine, made_by

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import RealServer
    from lvsdeploy.plan.context import Context

KEY = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
OTHER = ServiceKey(Protocol.UDP, "192.0.2.99", 53)
WEB1 = TableDestination("192.0.2.11", 80, Forwarding.DR, 1)
WEB2 = TableDestination("192.0.2.12", 80, Forwarding.DR, 1)
STRAY = TableDestination("192.0.2.77", 80, Forwarding.NAT, 2)
SORRY = TableDestination("192.0.2.99", 80, Forwarding.DR, 1)
SERVICE = VirtualService(KEY, "wlc", destinations=(WEB1, WEB2))
BOTH_UP = CheckedService(up=frozenset({WEB1.key, WEB2.key}))


def lvs(
    *services: VirtualService, checked: CheckedService | None = BOTH_UP, also: tuple[ServiceKey, ...] = ()
) -> Context:
    """A director of the smallest cluster whose table is `services`."""
    context = changed(
        converged(clusters.smallest(), "lvs1"),
        virtual_services={service.key: service for service in services},
    )
    view = None
    if checked is not None:
        view = CheckerView({KEY: checked, **dict.fromkeys(also, CheckedService())})
    return replace(context, checkers=view)


def with_destinations(*destinations: TableDestination) -> VirtualService:
    return replace(SERVICE, destinations=destinations)


def down(*destinations: TableDestination) -> CheckedService:
    keys = frozenset(destination.key for destination in destinations)
    return CheckedService(up=BOTH_UP.up - keys, down=keys)


def test_as_declared() -> None:
    assert (told(lvs(SERVICE)), codes(lvs(SERVICE))) == ([], [])


NOT_DECLARED = ": in the kernel, and not declared"

DRIFTS = {
    "service gone": (
        (),
        f"create virtual service {KEY} [changed on the host]: not in the kernel",
        [
            "table 3 -D -t 192.0.2.50:80 -A -t 192.0.2.50:80 -s wlc",
            "table 0 -a -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1",
            "table 0 -a -t 192.0.2.50:80 -r 192.0.2.12:80 -g -w 1",
        ],
    ),
    "service added": (
        (SERVICE, VirtualService(OTHER, "rr", one_packet=True, destinations=(STRAY,))),
        f"delete virtual service {OTHER} [changed on the host]{NOT_DECLARED}",
        [
            "on_undo table_back -a -u 192.0.2.99:53 -r 192.0.2.77:80 -m -w 2",
            "table 6 -A -u 192.0.2.99:53 -s rr -o -D -u 192.0.2.99:53",
        ],
    ),
    "service altered": (
        (
            replace(
                SERVICE, scheduler="sh", scheduler_flags=("sh-port",), persistence=50, netmask="255.0.0.0"
            ),
        ),
        (
            f"update virtual service {KEY} [changed on the host]: "
            "is `-s sh -p 50 -M 255.0.0.0 -b sh-port`, declared `-s wlc`"
        ),
        [
            "table 11 -E -t 192.0.2.50:80 -s sh -p 50 -M 255.0.0.0 -b sh-port -E -t 192.0.2.50:80 -s wlc",
        ],
    ),
    "destination gone": (
        (with_destinations(WEB1),),
        f"create destination 192.0.2.12:80 of {KEY} [changed on the host]: not in the kernel",
        [
            "table 5 -d -t 192.0.2.50:80 -r 192.0.2.12:80 -a -t 192.0.2.50:80 -r 192.0.2.12:80 -g -w 1",
        ],
    ),
    "destination added": (
        (with_destinations(WEB1, WEB2, STRAY),),
        f"delete destination 192.0.2.77:80 of {KEY} [changed on the host]{NOT_DECLARED}",
        [
            "table 8 -a -t 192.0.2.50:80 -r 192.0.2.77:80 -m -w 2 -d -t 192.0.2.50:80 -r 192.0.2.77:80",
        ],
    ),
    "weight altered": (
        (with_destinations(replace(WEB1, weight=9), WEB2),),
        (
            f"update destination 192.0.2.11:80 of {KEY} [changed on the host]: "
            "is `DR weight 9`, declared `DR weight 1`"
        ),
        [
            (
                "table 8 -e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 9 "
                "-e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1"
            ),
        ],
    ),
    "method altered": (
        (with_destinations(replace(WEB1, forwarding=Forwarding.TUN), WEB2),),
        (
            f"update destination 192.0.2.11:80 of {KEY} [changed on the host]: "
            "is `TUN ipip weight 1`, declared `DR weight 1`"
        ),
        [
            (
                "table 8 -e -t 192.0.2.50:80 -r 192.0.2.11:80 -i -w 1 "
                "-e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1"
            ),
        ],
    ),
    "weight 0, and the check succeeds": (
        (with_destinations(replace(WEB1, weight=0), WEB2),),
        (
            f"update destination 192.0.2.11:80 of {KEY} [changed on the host]: "
            "is `DR weight 0`, declared `DR weight 1`"
        ),
        [
            (
                "table 8 -e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 0 "
                "-e -t 192.0.2.50:80 -r 192.0.2.11:80 -g -w 1"
            ),
        ],
    ),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_drift_is_mended_in_the_kernel_by_the_smallest_commands(case: str) -> None:
    """Each step tells what it runs, and first what would undo it."""
    services, line, commands = DRIFTS[case]
    context = lvs(*services)
    assert told(context) == [line]
    assert steps(context) == commands
    assert {step.phase for step in acting(context)} == {Phase.TABLE}


@pytest.mark.parametrize("case", DRIFTS)
def test_keepalived_acts_where_its_file_changes_too(case: str) -> None:
    context = with_file(lvs(*DRIFTS[case][0]), CONF, content=b"mine\n")
    tables = [c for c in plan(context).changes if c.kind in ("virtual service", "destination")]
    assert len(tables) == 1
    assert [step.words for step in tables[0].steps] == [("await_table",)]
    assert steps(context)[-2:] == ["unit_reload keepalived", "await_table"]


@pytest.mark.parametrize("case", DRIFTS)
def test_a_keepalived_that_starts_adds_what_is_missing_and_no_more(case: str) -> None:
    """What it finds in the table it neither alters nor removes (ipvswrapper.c, ipvs_talk)."""
    context = lvs(*DRIFTS[case][0])
    context = changed(
        context, units={"keepalived": replace(context.actual.units["keepalived"], active=False)}
    )
    ours = [] if case.endswith("gone") else DRIFTS[case][2]
    assert steps(context) == ["unit_start keepalived", *ours, "await_table"]


def test_reasons_after_a_change_of_the_inventory() -> None:
    anew = clusters.cluster(
        clusters.service("http", {clusters.WEB1: 2}, scheduler=Scheduler.RR),
        clusters.service("dns", {clusters.WEB1: 1}, 53),
    )
    context = declared_anew(lvs(SERVICE), anew)
    found = {
        (c.kind.value, c.action): c.reason
        for c in plan(context).changes
        if c.kind in ("virtual service", "destination")
    }
    assert found == {
        ("virtual service", Action.CREATE): Reason.DECLARED,
        ("virtual service", Action.UPDATE): Reason.DECLARED,
        ("destination", Action.UPDATE): Reason.DECLARED,
        ("destination", Action.DELETE): Reason.LEFT_OVER,
    }


# --- health checks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "state"),
    [
        (with_destinations(WEB1), "out of the table"),
        (with_destinations(WEB1, replace(WEB2, weight=0)), "at weight 0"),
    ],
)
def test_a_failed_health_check_is_a_finding_and_no_change(there: VirtualService, state: str) -> None:
    context = lvs(there, checked=down(WEB2))
    assert told(context) == []
    (finding,) = plan(context).findings
    assert finding.code == "LVS530"
    assert finding.summary == f"192.0.2.12:80 of {KEY} is {state}: its health check fails"
    assert plan(context).as_declared


def test_a_service_that_is_gone_comes_back_without_what_fails() -> None:
    context = lvs(checked=down(WEB2))
    assert [words.split(" -r ")[1] for words in steps(context)[1:]] == ["192.0.2.11:80 -g -w 1"]
    assert codes(context) == ["LVS530"]


def test_another_destination_s_drift_is_mended_beside_a_failed_check() -> None:
    context = lvs(with_destinations(replace(WEB1, weight=5)), checked=down(WEB2))
    assert told(context) == [DRIFTS["weight altered"][1].replace("weight 9", "weight 5")]


def test_a_weight_that_was_altered_is_no_failed_check() -> None:
    context = lvs(with_destinations(WEB1, replace(WEB2, weight=7)), checked=down(WEB2))
    assert len(told(context)) == 1
    assert codes(context) == []


def test_declared_weight_0_is_no_finding() -> None:
    cluster = clusters.cluster(clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 0}))
    context = replace(converged(cluster, "lvs1"), checkers=CheckerView({KEY: down(WEB2)}))
    assert (told(context), codes(context)) == ([], [])


def sorry(there: VirtualService, checked: CheckedService) -> Context:
    """A director whose service has a sorry server."""
    cluster = clusters.cluster(
        clusters.service(
            "http",
            {clusters.WEB1: 1, clusters.WEB2: 1},
            sorry_server=SorryServer(ip_address("192.0.2.99")),
        )
    )
    context = changed(converged(cluster, "lvs1"), virtual_services={KEY: there})
    return replace(context, checkers=CheckerView({KEY: checked}))


def test_the_sorry_server_in_use_is_no_drift() -> None:
    lost = CheckedService(
        quorum_up=False, sorry_server=SORRY.key, up=frozenset({WEB1.key}), down=frozenset({WEB2.key})
    )
    context = sorry(with_destinations(SORRY), lost)
    assert told(context) == []
    assert codes(context) == ["LVS530", "LVS530"]


def test_the_sorry_server_beside_a_quorum_is_drift() -> None:
    kept = replace(BOTH_UP, sorry_server=SORRY.key)
    context = sorry(with_destinations(WEB1, WEB2, SORRY), kept)
    assert told(context) == [f"delete destination 192.0.2.99:80 of {KEY} [changed on the host]{NOT_DECLARED}"]


@pytest.mark.parametrize("there", [with_destinations(WEB1), with_destinations(WEB1, replace(WEB2, weight=0))])
def test_a_keepalived_that_does_not_tell(there: VirtualService) -> None:
    """Before 2.0.14: then nobody is sent to what may have failed, and it is not called converged either."""
    context = lvs(there, checked=None)
    assert told(context) == []
    assert codes(context) == ["LVS531"]
    assert not plan(context).as_declared
    assert not plan(context).refused
    added = lvs(with_destinations(*there.destinations, STRAY), checked=None)
    assert len(told(added)) == 1


def test_a_keepalived_that_does_not_run_has_no_failed_checks() -> None:
    context = lvs(with_destinations(WEB1), checked=None)
    context = changed(
        context, units={"keepalived": replace(context.actual.units["keepalived"], active=False)}
    )
    assert f"create destination 192.0.2.12:80 of {KEY} [changed on the host]: not in the kernel" in told(
        context
    )
    assert codes(context) == []


# --- a keepalived that runs with another configuration than the file's --------------------------------------


def test_a_service_that_keepalived_does_not_know_takes_a_reload() -> None:
    context = replace(lvs(), checkers=CheckerView({OTHER: CheckedService()}))
    assert steps(context) == ["unit_reload keepalived", "await_table"]


def test_a_left_over_service_that_keepalived_still_knows_takes_a_reload() -> None:
    context = lvs(SERVICE, VirtualService(OTHER, "rr"), also=(OTHER,))
    assert steps(context) == ["unit_reload keepalived", "await_table"]


# --- what somebody else put there ---------------------------------------------------------------------------

FOREIGN = {
    "a service of another's": (SERVICE, VirtualService(OTHER, "rr")),
    "other options": (replace(SERVICE, scheduler="rr"),),
    "another destination": (with_destinations(WEB1, WEB2, STRAY),),
    "another weight": (with_destinations(replace(WEB1, weight=5)),),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_table_is_refused_before_the_first_apply(case: str) -> None:
    fresh = untouched(clusters.smallest(), "lvs1")
    services = {service.key: service for service in FOREIGN[case]}
    context = changed(fresh, virtual_services=services, programs=fresh.actual.programs | {"ipvsadm"})
    assert codes(context) == ["LVS524"]
    assert plan(context).refused
    name = str(OTHER if OTHER in services else KEY)
    assert plan(context).findings[0].summary.endswith(f": {name}")
    assert not [words for words in told(context) if name in words]
    adopted = replace(context, adopt=True)
    assert codes(adopted) == []
    assert [words for words in told(adopted) if name in words and "[written by somebody else]" in words]


@pytest.mark.parametrize("there", [SERVICE, with_destinations(WEB1), with_destinations()])
def test_what_loses_nothing_is_not_foreign(there: VirtualService) -> None:
    fresh = untouched(clusters.smallest(), "lvs1")
    assert codes(changed(fresh, virtual_services={KEY: there})) == []


# --- connections get time to end ----------------------------------------------------------------------------


def without_web2(*services: VirtualService, **options: Any) -> Context:
    """A director from whose service the inventory takes web2 away."""
    anew = clusters.cluster(clusters.service("http", {clusters.WEB1: 1}))
    return replace(declared_anew(lvs(*(services or (SERVICE,)), **options), anew), drain=30)


def waiting(context: Context) -> list[str]:
    return [words for words in steps(context) if words.startswith(("quiesce", "await_quiet"))]


def quiesced(flags: str, destination: str, method: str, weight: int) -> str:
    """The words that take new connections away, with those that give them back."""
    edit = f"-e {flags} -r {destination} {method} -w"
    return f"quiesce {flags} {destination} {len(edit.split()) + 1} {edit} {weight} {edit} 0"


def test_a_destination_that_goes_is_quiesced_first() -> None:
    context = without_web2()
    assert waiting(context) == [
        quiesced("-t 192.0.2.50:80", "192.0.2.12:80", "-g", 1),
        "await_quiet 30",
    ]
    order = [words.split()[0] for words in steps(context)]
    assert order == [
        "stage",
        "test_keepalived",
        "on_undo",
        "quiesce",
        "await_quiet",
        "place",
        "unit_reload",
        "await_table",
    ]
    phases = [step.phase for step in acting(context)]
    assert phases == sorted(phases)


def test_nobody_waits_unless_asked_to() -> None:
    assert waiting(replace(without_web2(), drain=0)) == []


def test_all_that_go_are_waited_for_together() -> None:
    other = VirtualService(OTHER, "rr", destinations=(STRAY, replace(STRAY, address="192.0.2.78")))
    assert waiting(without_web2(SERVICE, other)) == [
        quiesced("-t 192.0.2.50:80", "192.0.2.12:80", "-g", 1),
        quiesced("-u 192.0.2.99:53", "192.0.2.77:80", "-m", 2),
        quiesced("-u 192.0.2.99:53", "192.0.2.78:80", "-m", 2),
        "await_quiet 30",
    ]


def test_what_goes_has_its_weight_back_when_the_change_is_undone() -> None:
    context = without_web2(with_destinations(WEB1, replace(WEB2, weight=7)))
    assert waiting(context)[0] == quiesced("-t 192.0.2.50:80", "192.0.2.12:80", "-g", 7)


def test_what_stays_is_not_waited_for() -> None:
    anew = clusters.cluster(
        clusters.service("http", {clusters.WEB1: 5, clusters.WEB2: 1}, scheduler=Scheduler.RR)
    )
    assert waiting(replace(declared_anew(lvs(SERVICE), anew), drain=30)) == []
    drained = declared_anew(lvs(SERVICE), clusters.smallest(), drained=[Drained("web2")])
    assert waiting(replace(drained, drain=30)) == []


WEB9 = TableDestination("192.0.2.19", 80, Forwarding.DR, 1)


def to_weights(weights: dict[RealServer, int], *there: TableDestination) -> Context:
    """A director whose table has `there`, after the inventory has changed to these weights."""
    anew = clusters.cluster(clusters.service("http", weights))
    return replace(declared_anew(lvs(with_destinations(*there)), anew), drain=30)


NOBODY_STAYS = {
    "another instead": to_weights({clusters.WEB2: 1}, WEB1),
    "others instead of two": to_weights({clusters.WEB1: 1}, WEB2, WEB9),
    "what stays will have no weight": to_weights({clusters.WEB1: 0, clusters.WEB2: 1}, WEB1, WEB9),
    "what stays has no weight yet": to_weights({clusters.WEB1: 1}, replace(WEB1, weight=0), WEB9),
}


@pytest.mark.parametrize("case", NOBODY_STAYS)
def test_who_serves_alone_keeps_its_clients_until_others_are_there(case: str) -> None:
    """To take new connections away from it would leave them with nobody."""
    context = NOBODY_STAYS[case]
    assert plan(context).replaced == (str(KEY),)
    assert waiting(context) == []


SOMEBODY_STAYS = {
    "one of two goes": to_weights({clusters.WEB1: 1}, WEB1, WEB2),
    "with another weight": to_weights({clusters.WEB1: 5, clusters.WEB2: 1}, WEB1, WEB9),
    "beside one without weight": to_weights(
        {clusters.WEB1: 1, clusters.WEB2: 0}, WEB1, replace(WEB2, weight=0), WEB9
    ),
}


@pytest.mark.parametrize("case", SOMEBODY_STAYS)
def test_where_one_goes_on_to_serve_nothing_is_replaced(case: str) -> None:
    context = SOMEBODY_STAYS[case]
    assert plan(context).replaced == ()
    assert [words.split()[0] for words in waiting(context)] == ["quiesce", "await_quiet"]


def test_what_serves_nobody_needs_no_replacement() -> None:
    """No clients to lose now, or none to be served afterwards."""
    assert plan(to_weights({clusters.WEB2: 1})).replaced == (), "an empty service"
    assert plan(to_weights({clusters.WEB2: 1}, replace(WEB1, weight=0))).replaced == (), "at rest"
    assert plan(to_weights({clusters.WEB2: 0}, WEB1)).replaced == (), "none is to serve"
    assert plan(lvs(SERVICE, VirtualService(OTHER, "rr", destinations=(STRAY,)))).replaced == (), "it goes"
    assert plan(lvs()).replaced == (), "it comes"


def test_a_sorry_server_in_use_is_not_replaced() -> None:
    lost = CheckedService(quorum_up=False, sorry_server=SORRY.key, down=frozenset({WEB1.key, WEB2.key}))
    assert plan(sorry(with_destinations(SORRY), lost)).replaced == ()
    assert plan(sorry(with_destinations(SORRY), replace(lost, sorry_server=None))).replaced == (str(KEY),)


def test_what_somebody_put_there_by_hand_goes_at_once() -> None:
    context = replace(lvs(with_destinations(WEB1, WEB2, STRAY)), drain=30)
    assert len(told(context)) == 1
    assert waiting(context) == []


def test_a_keepalived_that_does_not_run_has_no_connections_to_break() -> None:
    context = without_web2()
    stopped = replace(context.actual.units["keepalived"], active=False)
    assert waiting(changed(context, units={"keepalived": stopped})) == []


def test_a_machine_with_patience() -> None:
    """The whole change, carried out: nothing goes from the table that still gets connections."""
    context = without_web2()
    machine = Machine(context.actual, made_by(context.actual, context.desired), patient=True)
    assert machine.run(plan(context).steps()).virtual_services == context.desired.virtual_services
    hasty = replace(context, drain=0)
    with pytest.raises(AssertionError, match=r"192\.0\.2\.12"):
        Machine(hasty.actual, made_by(hasty.actual, hasty.desired), patient=True).run(plan(hasty).steps())


# --- drained real servers -----------------------------------------------------------------------------------


def test_a_drain_reaches_configuration_and_table() -> None:
    away = [Drained("web1", "", "2026-11-23T15:06:34Z", "ann@desk")]
    context = declared_anew(lvs(SERVICE), clusters.smallest(), drained=away)
    assert told(context) == [
        f"update file {CONF} [changed in the inventory]: content",
        (
            f"update destination 192.0.2.11:80 of {KEY} [changed in the inventory]: "
            "is `DR weight 1`, declared `DR weight 0`"
        ),
    ]
    assert "-        weight 1" in plan(context).changes[0].diff
    done = converged(clusters.smallest(), "lvs1", drained=away)
    assert (told(done), codes(done), done.record.drained) == ([], [], tuple(away))


def test_a_drained_real_server_that_fails_its_check_is_no_finding() -> None:
    context = converged(clusters.smallest(), "lvs1", drained=[Drained("web1")])
    context = replace(context, checkers=CheckerView({KEY: down(WEB1)}))
    assert (told(context), codes(context)) == ([], [])


def test_a_drain_that_somebody_undid_by_hand_is_drift() -> None:
    context = converged(clusters.smallest(), "lvs1", drained=[Drained("web1")])
    context = replace(changed(context, virtual_services={KEY: SERVICE}), checkers=CheckerView({KEY: BOTH_UP}))
    assert told(context) == [
        (
            f"update destination 192.0.2.11:80 of {KEY} [changed on the host]: "
            "is `DR weight 1`, declared `DR weight 0`"
        )
    ]


def test_an_end_of_a_drain() -> None:
    context = declared_anew(
        converged(clusters.smallest(), "lvs1", drained=[Drained("web1")]), clusters.smallest()
    )
    machine = Machine(context.actual, made_by(context.desired))
    after = seen(clusters.smallest(), "lvs1", machine.run(plan(context).steps()))
    assert told(after) == []
    assert after.record.drained == ()
    kept = {path: file for path, file in after.actual.files.items() if path == CONF}
    assert kept == {CONF: converged(clusters.smallest(), "lvs1").actual.files[CONF]}


# --- tables that are nobody's business ----------------------------------------------------------------------


def test_a_real_server_s_table_is_not_looked_at() -> None:
    context = changed(converged(clusters.smallest(), "web1"), virtual_services={OTHER: SERVICE})
    assert (told(context), codes(context)) == ([], [])


def test_a_table_that_could_not_be_read() -> None:
    context = replace(
        changed(lvs(), virtual_services=None), unread={"ipvs": "`ipvsadm -Sn` failed"}, checkers=None
    )
    assert told(context) == []
    (finding,) = plan(context).findings
    assert (finding.code, finding.summary) == (
        "LVS504",
        "the IPVS table could not be read: `ipvsadm -Sn` failed",
    )


def test_a_table_without_ipvsadm_waits_for_its_installation() -> None:
    context = changed(lvs(), virtual_services=None, programs=frozenset({"ip", "keepalived"}))
    context = replace(context, unread={"ipvs": "the kernel has IPVS, and ipvsadm is not installed"})
    assert codes(context) == []
    assert told(context) == [
        "create package ipvsadm [changed on the host]: no `ipvsadm` on the host; apt-get installs it"
    ]


def test_ipv6() -> None:
    context = converged(clusters.six(), "lvs1")
    key = ServiceKey(Protocol.TCP, "2001:db8::50", 80)
    context = changed(context, virtual_services=without(context.actual.virtual_services or {}, key))
    assert steps(context) == [
        "table 3 -D -t [2001:db8::50]:80 -A -t [2001:db8::50]:80 -s wlc",
        "table 0 -a -t [2001:db8::50]:80 -r [2001:db8::11]:80 -g -w 1",
    ]
