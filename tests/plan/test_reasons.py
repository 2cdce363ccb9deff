"""Why a thing differs, for each kind of thing: the five reasons that a plan gives."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.inventory.model import ForwardingMethod, Protocol, Scheduler, Tunnel, TunnelType
from lvsdeploy.plan.change import Action, Kind, Reason
from lvsdeploy.record import RecordedRoute
from lvsdeploy.state.file import File
from lvsdeploy.state.ipvs import ServiceKey, VirtualService
from lvsdeploy.state.network import Route
from lvsdeploy.state.sync import SyncDaemon, SyncRole
from lvsdeploy.state.unit import Unit
from tests.desired import clusters
from tests.plan.hosts import (
    CONF,
    RECORD,
    SCRIPT,
    changed,
    converged,
    declared_anew,
    given_up,
    on,
    plan,
    remembering,
    routes,
    seen,
    untouched,
    with_file,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.context import Context

SHOP, API = clusters.smallest(), clusters.nat_two_directors()
MARKS = clusters.marks()
ACTIVE = clusters.active_active()
OTHER_DAEMONS = frozenset(SyncDaemon("eth9", 9, role) for role in SyncRole)
FEWER_MARKS = replace(MARKS, services=MARKS.services[1:])
VIP = on("lo", "192.0.2.50/32")
KEY, UNKNOWN = (ServiceKey(Protocol.TCP, "192.0.2.50", 80), ServiceKey(Protocol.UDP, "192.0.2.9", 53))
NEW, DECLARED, DRIFT, LEFT_OVER, FOREIGN = Reason
ANOTHER_VIP = clusters.cluster(
    clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 1}, vip=clusters.vip("192.0.2.77/32"))
)
TUN = clusters.cluster(
    clusters.service(
        "http", {clusters.WEB1: 1}, mode=ForwardingMethod.TUN, tunnel=Tunnel(TunnelType.GUE, checksum="csum")
    )
)
WEB2_ALONE = clusters.cluster(clusters.service("http", {clusters.WEB2: 2}, scheduler=Scheduler.RR))
MORE = clusters.cluster(*SHOP.services, clusters.service("dns", {clusters.WEB1: 1}, 53))
ALSO_NAT = clusters.cluster(
    *SHOP.services,
    clusters.service("api", {clusters.WEB1: 1}, 8000, mode=ForwardingMethod.NAT),
    nat=replace(clusters.INSIDE, configure_gateway=True),
)


def web(cluster: Cluster = SHOP) -> Context:
    return converged(cluster, "web1")


def lvs(cluster: Cluster = SHOP) -> Context:
    return converged(cluster, "lvs1")


def db() -> Context:
    return converged(API, "db1")


def far(cluster: Cluster = TUN) -> Context:
    return converged(cluster, "web1")


def with_table(context: Context, **parts: object) -> Context:
    """A director whose table holds its service with some parts replaced."""
    service = (context.desired.virtual_services or {})[KEY]
    return changed(context, virtual_services={KEY: replace(service, **parts)})  # type: ignore[arg-type]


def sysctl(context: Context, value: int) -> Context:
    return changed(context, sysctls={**context.actual.sysctls, "net.ipv4.conf.all.arp_ignore": value})


def forgotten(context: Context, *paths: str) -> Context:
    """The record knows nothing of these files."""
    return remembering(context, files=without(context.record.files, *paths))


def at(*lines: str) -> Callable[[], Context]:
    return lambda: changed(db(), routes=routes(*lines))


def gateway(address: str) -> Cluster:
    return replace(API, nat=replace(clusters.INSIDE, gateway=ip_interface(address), configure_gateway=True))


WEIGHT_9 = (replace(lvs().desired.virtual_services[KEY].destinations[0], weight=9),)  # type: ignore[index]

REASONS: list[tuple[Kind, Action, Reason, Callable[[], Context]]] = [
    # packages
    (Kind.PACKAGE, Action.CREATE, NEW, lambda: untouched(SHOP, "lvs1")),
    (Kind.PACKAGE, Action.CREATE, DRIFT, lambda: changed(lvs(), programs=frozenset({"ip"}))),
    # files
    (Kind.FILE, Action.CREATE, NEW, lambda: untouched(SHOP, "web1")),
    (
        Kind.FILE,
        Action.CREATE,
        NEW,
        lambda: forgotten(changed(web(), files=without(web().actual.files, SCRIPT)), SCRIPT),
    ),
    (Kind.FILE, Action.UPDATE, DECLARED, lambda: declared_anew(web(), ANOTHER_VIP)),
    (Kind.FILE, Action.UPDATE, DRIFT, lambda: with_file(web(), SCRIPT, content=b"mine\n")),
    (Kind.FILE, Action.UPDATE, DRIFT, lambda: with_file(web(), SCRIPT, mode=0o600)),
    (Kind.FILE, Action.CREATE, DRIFT, lambda: changed(web(), files=without(web().actual.files, SCRIPT))),
    (Kind.FILE, Action.DELETE, LEFT_OVER, lambda: given_up(web())),
    (
        Kind.FILE,
        Action.UPDATE,
        FOREIGN,
        lambda: replace(forgotten(with_file(web(), SCRIPT, content=b"theirs\n"), SCRIPT), adopt=True),
    ),
    # tunnels
    (Kind.TUNNEL, Action.CREATE, NEW, lambda: untouched(TUN, "web1")),
    (Kind.TUNNEL, Action.CREATE, DECLARED, lambda: declared_anew(web(), TUN)),
    (Kind.TUNNEL, Action.CREATE, DRIFT, lambda: changed(far(), tunnels={})),
    (
        Kind.TUNNEL,
        Action.UPDATE,
        DRIFT,
        lambda: changed(far(), tunnels={"tunl0": replace(far().actual.tunnels["tunl0"], up=False)}),
    ),
    (Kind.TUNNEL, Action.UPDATE, LEFT_OVER, lambda: given_up(far())),
    (Kind.GUE_PORT, Action.CREATE, NEW, lambda: untouched(TUN, "web1")),
    (Kind.GUE_PORT, Action.CREATE, DECLARED, lambda: declared_anew(web(), TUN)),
    (Kind.GUE_PORT, Action.CREATE, DRIFT, lambda: changed(far(), gue_ports=frozenset())),
    (Kind.GUE_PORT, Action.DELETE, LEFT_OVER, lambda: given_up(far())),
    # netfilter rules
    (Kind.NETFILTER, Action.CREATE, NEW, lambda: untouched(MARKS, "lvs1")),
    (Kind.NETFILTER, Action.CREATE, DECLARED, lambda: declared_anew(lvs(), MARKS)),
    (Kind.NETFILTER, Action.UPDATE, DECLARED, lambda: declared_anew(lvs(MARKS), FEWER_MARKS)),
    (Kind.NETFILTER, Action.CREATE, DRIFT, lambda: changed(lvs(MARKS), netfilter=None)),
    (Kind.NETFILTER, Action.DELETE, LEFT_OVER, lambda: given_up(lvs(MARKS))),
    # sysctls
    (Kind.SYSCTL, Action.UPDATE, NEW, lambda: untouched(SHOP, "web1")),
    (Kind.SYSCTL, Action.UPDATE, NEW, lambda: untouched(SHOP, "lvs1")),
    (Kind.SYSCTL, Action.UPDATE, DECLARED, lambda: remembering(sysctl(web(), 0), sysctls={})),
    (Kind.SYSCTL, Action.UPDATE, DECLARED, lambda: declared_anew(lvs(), ALSO_NAT)),
    (Kind.SYSCTL, Action.UPDATE, DRIFT, lambda: sysctl(web(), 0)),
    (Kind.SYSCTL, Action.UPDATE, LEFT_OVER, lambda: given_up(web())),
    # timeouts and sync daemons
    (Kind.TIMEOUT, Action.UPDATE, NEW, lambda: untouched(ACTIVE, "lvs1")),
    (Kind.TIMEOUT, Action.UPDATE, DECLARED, lambda: declared_anew(lvs(), ACTIVE)),
    (Kind.TIMEOUT, Action.UPDATE, DRIFT, lambda: changed(lvs(ACTIVE), timeouts={"udp": 300})),
    (Kind.TIMEOUT, Action.UPDATE, LEFT_OVER, lambda: given_up(lvs(ACTIVE))),
    (Kind.SYNC_DAEMON, Action.CREATE, NEW, lambda: untouched(ACTIVE, "lvs1")),
    (Kind.SYNC_DAEMON, Action.CREATE, DECLARED, lambda: declared_anew(lvs(), ACTIVE)),
    (Kind.SYNC_DAEMON, Action.CREATE, DRIFT, lambda: changed(lvs(ACTIVE), sync_daemons=frozenset())),
    (Kind.SYNC_DAEMON, Action.UPDATE, DRIFT, lambda: changed(lvs(ACTIVE), sync_daemons=OTHER_DAEMONS)),
    (Kind.SYNC_DAEMON, Action.DELETE, DRIFT, lambda: changed(lvs(), sync_daemons=OTHER_DAEMONS)),
    (Kind.SYNC_DAEMON, Action.DELETE, LEFT_OVER, lambda: declared_anew(lvs(ACTIVE), SHOP)),
    (
        Kind.SYNC_DAEMON,
        Action.DELETE,
        FOREIGN,
        lambda: replace(changed(untouched(SHOP, "lvs1"), sync_daemons=OTHER_DAEMONS), adopt=True),
    ),
    # addresses
    (Kind.ADDRESS, Action.CREATE, NEW, lambda: untouched(SHOP, "web1")),
    (Kind.ADDRESS, Action.CREATE, DECLARED, lambda: declared_anew(web(), ANOTHER_VIP)),
    (
        Kind.ADDRESS,
        Action.CREATE,
        DRIFT,
        lambda: changed(web(), addresses=web().actual.addresses - {VIP}),
    ),
    (
        Kind.ADDRESS,
        Action.DELETE,
        DRIFT,
        lambda: changed(web(), addresses=web().actual.addresses | {on("eth0", "192.0.2.50/24")}),
    ),
    (Kind.ADDRESS, Action.DELETE, LEFT_OVER, lambda: declared_anew(web(), ANOTHER_VIP)),
    (
        Kind.ADDRESS,
        Action.DELETE,
        FOREIGN,
        lambda: changed(
            untouched(SHOP, "web1"),
            addresses=untouched(SHOP, "web1").actual.addresses | {on("eth0", "192.0.2.50/24")},
        ),
    ),
    # routes
    (Kind.ROUTE, Action.UPDATE, NEW, lambda: untouched(API, "db1")),
    (Kind.ROUTE, Action.UPDATE, DECLARED, lambda: declared_anew(db(), gateway("10.2.0.9/24"))),
    (Kind.ROUTE, Action.UPDATE, DRIFT, at("default via 192.0.2.1 dev eth0")),
    (Kind.ROUTE, Action.CREATE, DRIFT, at()),
    (Kind.ROUTE, Action.UPDATE, LEFT_OVER, lambda: given_up(db())),
    (
        Kind.ROUTE,
        Action.DELETE,
        LEFT_OVER,
        lambda: remembering(given_up(db()), routes=(RecordedRoute(ip_address("10.2.0.1")),)),
    ),
    # services
    (Kind.UNIT, Action.UPDATE, NEW, lambda: untouched(SHOP, "lvs1")),
    (Kind.UNIT, Action.UPDATE, DECLARED, lambda: remembering(changed(lvs(), units={}), units={})),
    (Kind.UNIT, Action.UPDATE, DRIFT, lambda: changed(lvs(), units={})),
    (Kind.UNIT, Action.DELETE, LEFT_OVER, lambda: given_up(lvs())),
    # virtual services
    (Kind.VIRTUAL_SERVICE, Action.CREATE, NEW, lambda: untouched(SHOP, "lvs1")),
    (Kind.VIRTUAL_SERVICE, Action.CREATE, DECLARED, lambda: declared_anew(lvs(), MORE)),
    (Kind.VIRTUAL_SERVICE, Action.UPDATE, DECLARED, lambda: declared_anew(lvs(), WEB2_ALONE)),
    (Kind.VIRTUAL_SERVICE, Action.CREATE, DRIFT, lambda: changed(lvs(), virtual_services={})),
    (Kind.VIRTUAL_SERVICE, Action.UPDATE, DRIFT, lambda: with_table(lvs(), scheduler="sh")),
    (
        Kind.VIRTUAL_SERVICE,
        Action.DELETE,
        DRIFT,
        lambda: changed(
            lvs(),
            virtual_services={
                **(lvs().actual.virtual_services or {}),
                UNKNOWN: VirtualService(UNKNOWN, "rr"),
            },
        ),
    ),
    (Kind.VIRTUAL_SERVICE, Action.DELETE, LEFT_OVER, lambda: declared_anew(lvs(), ANOTHER_VIP)),
    (
        Kind.VIRTUAL_SERVICE,
        Action.DELETE,
        FOREIGN,
        lambda: replace(
            changed(untouched(SHOP, "lvs1"), virtual_services={UNKNOWN: VirtualService(UNKNOWN, "rr")}),
            adopt=True,
        ),
    ),
    # destinations
    (
        Kind.DESTINATION,
        Action.CREATE,
        DECLARED,
        lambda: declared_anew(lvs(WEB2_ALONE), SHOP),
    ),
    (Kind.DESTINATION, Action.UPDATE, DECLARED, lambda: declared_anew(lvs(), WEB2_ALONE)),
    (Kind.DESTINATION, Action.UPDATE, DRIFT, lambda: with_table(lvs(), destinations=WEIGHT_9)),
    (Kind.DESTINATION, Action.DELETE, LEFT_OVER, lambda: declared_anew(lvs(), WEB2_ALONE)),
    (
        Kind.DESTINATION,
        Action.UPDATE,
        FOREIGN,
        lambda: replace(
            seen(SHOP, "lvs1", with_table(untouched_with_its_table(), destinations=WEIGHT_9).actual),
            adopt=True,
        ),
    ),
    # the record
    (
        Kind.RECORD,
        Action.CREATE,
        NEW,
        lambda: seen(SHOP, "web1", replace(web().actual, files=without(web().actual.files, RECORD))),
    ),
    (Kind.RECORD, Action.UPDATE, DECLARED, lambda: remembering(lvs(), hosts={"web1": "192.0.2.11"})),
    (Kind.RECORD, Action.UPDATE, DRIFT, lambda: remembering(web(), units={})),
    (
        Kind.RECORD,
        Action.UPDATE,
        FOREIGN,
        lambda: seen(SHOP, "web1", with_file(web(), RECORD, content=b"{}").actual, adopt=True),
    ),
    (
        Kind.RECORD,
        Action.DELETE,
        LEFT_OVER,
        lambda: given_up(
            replace(
                untouched(SHOP, "web1"),
                record=web().record,
                actual=replace(
                    untouched(SHOP, "web1").actual,
                    files={**untouched(SHOP, "web1").actual.files, RECORD: web().actual.files[RECORD]},
                ),
            )
        ),
    ),
]


def untouched_with_its_table() -> Context:
    """A director before its first apply on which somebody has set up the very service."""
    context = untouched(SHOP, "lvs1")
    return changed(context, virtual_services=context.desired.virtual_services)


@pytest.mark.parametrize(
    ("kind", "action", "reason", "make"),
    REASONS,
    ids=[f"{kind}-{action}-{reason}-{number}" for number, (kind, action, reason, _) in enumerate(REASONS)],
)
def test_reason(kind: Kind, action: Action, reason: Reason, make: Callable[[], Context]) -> None:
    found = {(c.kind, c.action, c.reason) for c in plan(make()).changes}
    assert (kind, action, reason) in found
    # The same thing has one reason.
    assert {r for k, a, r in found if (k, a) == (kind, action)} == {reason}


def test_every_kind_has_every_reason_that_it_can_have() -> None:
    reasons = {kind: {r for k, _, r, _ in REASONS if k is kind} for kind in Kind}
    never = {
        Kind.PACKAGE: {DECLARED, LEFT_OVER, FOREIGN},  # is there or not, and stays when it is
        Kind.NETFILTER: {FOREIGN},  # the table, or the chains, are ours by their names
        Kind.SYSCTL: {FOREIGN},  # a value has no writer
        Kind.TUNNEL: {FOREIGN},  # has no writer either
        Kind.GUE_PORT: {FOREIGN},
        Kind.ROUTE: {FOREIGN},
        Kind.TIMEOUT: {FOREIGN},
        Kind.UNIT: {FOREIGN},
        Kind.DESTINATION: {NEW},  # comes with its service
        Kind.RECORD: set(),
    }
    for kind, found in reasons.items():
        assert found == set(Reason) - never.get(kind, set()), kind


def test_what_was_never_ours_has_no_reason() -> None:
    """Things beside ours, of every kind, before and after."""
    for context in (lvs(), web(), db(), given_up(untouched(SHOP, "lvs1"))):
        beside = changed(
            context,
            files={**context.actual.files, "/etc/motd": File("/etc/motd", b"hello\n")},
            sysctls={**context.actual.sysctls, "net.ipv4.tcp_syncookies": 1},
            addresses=context.actual.addresses | {on("lo", "198.51.100.1/32")},
            routes=(*context.actual.routes, Route(ip_address("192.0.2.9"), "eth1", 900)),
            units={**context.actual.units, "nginx": Unit("nginx", enabled=True, active=True)},
            programs=context.actual.programs | {"nginx"},
        )
        assert plan(beside).changes == ()
    assert CONF in lvs().record.files
