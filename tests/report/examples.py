"""One result of every kind, as commands make them, and some that hosts made up to do harm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Finding, Place, Severity
from lvsdeploy.inventory.model import Protocol, Secret, Vrrp
from lvsdeploy.plan.change import Action, Change, Failure, HostPlan, Kind, Phase, Plan, Reason, Role, Step
from lvsdeploy.record import Drained
from lvsdeploy.results import (
    Applied,
    Checked,
    DestinationStatus,
    DirectorStatus,
    History,
    PastApply,
    Planned,
    Recovered,
    ServiceStatus,
    Status,
    Validated,
    ValidatedFile,
)
from lvsdeploy.state.ipvs import Forwarding, ServiceKey, TableDestination, VirtualService
from tests.desired import clusters
from tests.plan.hosts import (
    CONF,
    FIRST,
    SYSCTL_D,
    changed,
    converged,
    declared_anew,
    given_up,
    plan,
    role_of,
    untouched,
    with_file,
)

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.results import Result

PASSWORDS = ("0ldpassw", "n3wpassw")
HOSTILE = "\x1b[31m[bold]x[/bold]\x07\r\n]]>`````|<b>&amp;\x00\u202e\ud800\x9b2J\u2028\U000e0041end"
SHOP = clusters.smallest()


def secret(password: str) -> Cluster:
    service = clusters.service("http", {clusters.WEB1: 1, clusters.WEB2: 1})
    return clusters.cluster(
        service, directors=(clusters.LVS1, clusters.LVS2), vrrp=Vrrp(password=Secret(password))
    )


def first() -> Plan:
    """Everything is missing; two real servers get the same."""
    return Plan("shop", tuple(plan(untouched(SHOP, host)) for host in ("web1", "web2", "lvs1")))


def drifted() -> Plan:
    """Edits by hand, a failed health check, a new password, a host that is off, one that is refused."""
    web1 = with_file(converged(SHOP, "web1"), SYSCTL_D, content=b"net.ipv4.conf.all.arp_ignore = 0\n")
    web1 = changed(
        web1, sysctls={**web1.actual.sysctls, "net.ipv4.conf.all.arp_ignore": 0}, addresses=frozenset()
    )
    lvs1 = declared_anew(converged(secret(PASSWORDS[0]), "lvs1"), secret(PASSWORDS[1]))
    lvs2 = converged(secret(PASSWORDS[1]), "lvs2")
    lvs2 = with_file(lvs2, CONF, content=lvs2.actual.files[CONF].content.replace(b"weight 1", b"weight 7"))
    refused = HostPlan(
        "web3",
        Role.REAL_SERVER,
        plan(converged(SHOP, "web1")).changes,
        (
            Finding(
                "LVS521",
                Severity.ERROR,
                f"{SYSCTL_D} was written by somebody else",
                why="The record does not have it.",
                fix="Look at it first.",
                host="web3",
            ),
        ),
    )
    failing = Finding(
        "LVS530",
        Severity.WARNING,
        "192.0.2.12:80 of tcp 192.0.2.50:80 is out of the table: its health check fails",
        why="keepalived took the real server out by itself.",
        fix="Look at the service on the real server.",
    )
    hosts = (
        plan(web1),
        refused,
        replace(plan(lvs1), findings=(replace(failing, host="lvs1"),)),
        replace(plan(lvs2), findings=(replace(failing, host="lvs2"),)),
    )
    off = Failure("web2", "no answer from 192.0.2.12 port 22 within 10 s", "Is it up?", exit_code=4)
    return Plan("shop", hosts, (off,))


def quiet() -> Plan:
    return Plan("shop", tuple(plan(converged(SHOP, host)) for host in ("web1", "web2", "lvs1")))


def nothing_left() -> Plan:
    """Everything of lvsdeploy's goes."""
    hosts = ("web1", "web2", "lvs1")
    return Plan("shop", tuple(plan(given_up(converged(SHOP, h)), role_of(SHOP, h)) for h in hosts))


def drained() -> Plan:
    """A real server gets no new connections any more."""
    away = [Drained("web1", "", "2026-11-23T15:06:34Z", "ann@desk")]
    return Plan("shop", (plan(declared_anew(converged(SHOP, "lvs1"), SHOP, drained=away)),))


def history() -> History:
    """The newest first; hosts to which the same was done are named together."""
    lines = tuple(f"create file /etc/{number} [not there yet]" for number in range(7))
    return History(
        "shop",
        (
            PastApply(
                "20261124T080000Z-ffff",
                "2026-11-24T08:00:00Z",
                "bob@desk",
                "drain web1",
                "",
                {"lvs1": ("update file /etc/keepalived/keepalived.conf [changed in the inventory]",)},
            ),
            PastApply(
                "20261123T150634Z-1a2b",
                "2026-11-23T15:06:34Z",
                "ann@desk",
                "apply",
                "ab" * 32,
                {"web1": lines, "lvs1": lines},
            ),
        ),
    )


def bypass() -> Plan:
    """Not as declared, and nothing that apply would change."""
    return Plan("api", (plan(changed(converged(clusters.nat_checked_only(), "db1"), routes=())),))


REFUSED_CONF = Failure(
    "lvs1",
    "could not accept /etc/keepalived/keepalived.conf; everything was put back",
    detail="(Line 7) Unknown keyword 'foo'\nkeepalived -t refuses the new configuration (exit 1)",
)
WAITS = Failure("lvs2", "not changed: the one before it failed", "Mend it and apply again.")

KEY = ServiceKey(Protocol.TCP, "192.0.2.50", 80)
KEY6 = ServiceKey(Protocol.TCP, "2001:db8::50", 443)


def status() -> Status:
    service = VirtualService(
        KEY, "wrr", persistence=300, destinations=(TableDestination("192.0.2.11", 80, Forwarding.DR, 1),)
    )
    down = "down: its health check fails"
    return Status(
        "shop",
        (
            DirectorStatus(
                "lvs1",
                "MASTER",
                ("192.0.2.50", "2001:db8::50"),
                (
                    ServiceStatus(
                        "http",
                        service,
                        (
                            DestinationStatus("web1", "192.0.2.11:80", "DR", 1, 12345, 7, "up"),
                            DestinationStatus("web2", "192.0.2.12:80", "", 0, 0, 0, down),
                            DestinationStatus("", "192.0.2.77:80", "NAT", 10, 0, 0, "not declared"),
                        ),
                    ),
                    ServiceStatus("https", VirtualService(KEY6, "rr"), ()),
                    ServiceStatus("", VirtualService(ServiceKey(None, "", 0, 7), "rr"), ()),
                ),
            ),
            DirectorStatus("lvs2", "BACKUP", (), ()),
            DirectorStatus("lvs3", "keepalived is not running", (), ()),
        ),
        (Failure("lvs4", "no route to 192.0.2.5 port 22", exit_code=4),),
        (Finding("LVS541", Severity.ERROR, "192.0.2.50 is on 2 directors: lvs1, lvs2", why="w", fix="f"),),
    )


def at(line: int, column: int, text: str) -> Place:
    return Place("shop.yaml", line, column, text)


def validated() -> Validated:
    error = Finding("LVS101", Severity.ERROR, "port 8080 differs", why="DR maps no ports.", fix="Use nat.")
    tab = replace(error, place=at(9, 8, "\ta:\t\t- {port: 8080}"))
    wide = replace(error, place=at(12, 9, "名前: {port: 8080}"))
    escaped = replace(error, place=at(13, 4, "\x1b: 1"))
    end = replace(error, place=at(14, 10, "services:"))
    note = Finding(
        "LVS402", Severity.NOTE, "only one director", why="w", fix="Add one.", place=at(1, 1, "x: 1")
    )
    return Validated(
        (
            ValidatedFile(
                "shop.yaml", "", (tab, wide, escaped, end, replace(note, severity=Severity.WARNING))
            ),
            ValidatedFile("blog.yaml", "blog", (note,)),
            ValidatedFile("api.yaml", "api", ()),
        )
    )


def hostile() -> Plan:
    """A host that answers with what might act on a terminal, a page or a parser."""
    change = Change(
        Kind.FILE,
        f"/etc/{HOSTILE}",
        Action.UPDATE,
        Reason.DRIFT,
        HOSTILE,
        f"--- a\n+++ b\n@@ -1 +1 @@\n-{HOSTILE}\n+```\n",
        (Step(Phase.PLACE, ("place", HOSTILE), b"content"),),
    )
    finding = Finding("LVS504", Severity.ERROR, HOSTILE, why=HOSTILE, fix=HOSTILE, host="web1")
    failure = Failure("web2", HOSTILE, HOSTILE, HOSTILE, 4)
    return Plan("shop", (HostPlan("web1", Role.REAL_SERVER, (change,), (finding,)),), (failure,), (finding,))


def hostile_status() -> Status:
    destination = DestinationStatus("", HOSTILE, HOSTILE, 1, 0, 0, HOSTILE)
    service = ServiceStatus("http", VirtualService(KEY, HOSTILE), (destination,))
    return Status("shop", (DirectorStatus("lvs1", "MASTER", (), (service,)),), (), ())


RESULTS: dict[str, Result] = {
    "validate": validated(),
    "plan-first": Planned(first()),
    "plan-drift": Planned(drifted(), detailed=True),
    "plan-nothing": Planned(quiet()),
    "plan-bypass": Planned(bypass()),
    "plan-unread": Planned(Plan("shop", (), (REFUSED_CONF, WAITS))),
    "check-drift": Checked(drifted()),
    "check-nothing": Checked(quiet()),
    "check-bypass": Checked(bypass()),
    "apply": Applied(first().hosts, (), (), quiet()),
    "apply-nothing": Applied((), (), (), quiet()),
    "apply-failed": Applied(first().hosts[:2], (WAITS,), (REFUSED_CONF,), Plan("shop", quiet().hosts[:2])),
    "apply-refused": Applied((), (replace(WAITS, host="web3"),), (), Plan("shop", drifted().hosts[1:2])),
    "apply-recovered": Applied(
        first().hosts,
        (),
        (),
        quiet(),
        recovered=(Recovered("web1", "bob@desk, since 2026-11-23 15:00:00 UTC"),),
    ),
    "rollback": Applied(first().hosts[:1], (), (), quiet(), what="rollback to 20261123T150634Z-1a2b"),
    "destroy": Applied(nothing_left().hosts, (), (), Plan("shop", ()), what="destroy"),
    "destroy-failed": Applied(
        nothing_left().hosts[:1], (WAITS,), (REFUSED_CONF,), Plan("shop", ()), what="destroy"
    ),
    "drain": Applied(drained().hosts, (), (), Plan("shop", quiet().hosts[2:]), what="drain web1"),
    "plan-destroy": Planned(nothing_left()),
    "history": history(),
    "history-none": History("shop", ()),
    "history-unread": History("shop", (), (WAITS,)),
    "status": status(),
}
HOSTILE_RESULTS: dict[str, Result] = {
    "plan": Planned(hostile()),
    "check": Checked(hostile()),
    "apply": Applied(
        hostile().hosts, (replace(WAITS, message=HOSTILE),), hostile().failures, Plan("shop", hostile().hosts)
    ),
    "status": hostile_status(),
    "history": History(
        "shop",
        (PastApply(FIRST.id, HOSTILE, HOSTILE, HOSTILE, "", {"web1": (HOSTILE,), "lvs1": (HOSTILE,) * 9}),),
        (Failure("web2", HOSTILE, HOSTILE, HOSTILE),),
    ),
    "recovered-apply": Applied((), (), (), quiet(), recovered=(Recovered("web1", HOSTILE),)),
    "validate": Validated(
        (
            ValidatedFile(
                "x.yaml",
                "",
                (Finding("LVS001", Severity.ERROR, HOSTILE, HOSTILE, HOSTILE, at(1, 5, HOSTILE)),),
            ),
        )
    ),
}
