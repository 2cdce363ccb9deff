"""What lvsdeploy takes back is as it was before its first apply; what stays is as if it had come alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lvsdeploy.desired import render_all
from lvsdeploy.desired.paths import modules_path, script_path, sysctl_path, unit_path
from lvsdeploy.inventory.model import Engine, Protocol
from lvsdeploy.record import Stamp, manifest_path, read_record
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import ServiceKey, VirtualService
from lvsdeploy.state.network import Address
from lvsdeploy.state.sysctl import IPVS, conf, ipvs
from lvsdeploy.state.tunnel import GuePort, LinkKind, TunnelLink
from lvsdeploy.state.unit import Unit
from tests.plan.hosts import CONF, FACTS, folders, fresh, given_up, parents, plan, routes, seen, told
from tests.plan.inventories import cluster_of, inventories
from tests.plan.machine import Machine, made_by

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster
    from lvsdeploy.plan.context import Context
    from lvsdeploy.record import Record
    from lvsdeploy.state.host import HostState

# What fails is not made smaller: each example is many plans, and that would take minutes.
SETTINGS = settings(
    derandomize=True,
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
THEIR_KEY = ServiceKey(Protocol.UDP, "192.0.2.99", 53)
THEIR_TABLE = {THEIR_KEY: VirtualService(THEIR_KEY, "rr")}
MODULE = ((), tuple(ipvs(name) for name in IPVS))  # ip_vs is not loaded, or is
THEIRS = b"theirs\n"
ROUTES = [
    (),
    ("default via 192.0.2.1 dev eth0 proto static",),
    ("default via 192.0.2.1 dev eth0 proto dhcp metric 100",),
    ("default via 10.2.0.1 dev eth0",),
    ("default via 192.0.2.1 dev eth0", "default via 192.0.2.2 dev eth1 metric 200"),
]


@st.composite
def found(draw: st.DrawFn, cluster: Cluster, host: str) -> HostState:
    """A machine before lvsdeploy: somebody may have set up anything on it that lvsdeploy sets up, too."""
    state = replace(fresh(cluster, host), virtual_services={}, routes=routes(*draw(st.sampled_from(ROUTES))))
    name = cluster.name
    ours = [CONF, sysctl_path(name), modules_path(name), script_path(name)]
    ours.append(unit_path(name, ServiceManager.SYSTEMD))
    paths = draw(st.lists(st.sampled_from(ours), unique=True))
    made = parents(*paths) | draw(st.sets(st.sampled_from(sorted(parents(*ours)))))
    files = {**state.files, **folders(*parents(*made), *made)}
    for path in paths:
        mode = draw(st.sampled_from([0o600, 0o640, 0o644, 0o755]))
        files[path] = File(path, THEIRS, mode, draw(st.sampled_from(["root:root", "ann:www"])))
    units = {}
    if draw(st.booleans()):
        runs = CONF in paths and draw(st.booleans())
        units["keepalived"] = Unit("keepalived", enabled=draw(st.booleans()), active=runs)
        state = replace(
            state,
            programs=state.programs | {"keepalived"},
            virtual_services=THEIR_TABLE if runs else {},
        )
    vips = draw(st.sets(st.integers(100, 103)))
    if draw(st.booleans()):
        tunl0 = TunnelLink("tunl0", LinkKind.IPIP, up=draw(st.booleans()))
        keys = dict.fromkeys((conf("tunl0", name) for name in ("arp_ignore", "arp_announce", "rp_filter")), 0)
        state = replace(state, tunnels={"tunl0": tunl0}, sysctls={**state.sysctls, **keys})
    return replace(
        state,
        gue_ports=frozenset(draw(st.sets(st.sampled_from([GuePort(6080), GuePort(6081), GuePort(99)])))),
        files=files,
        sysctls={key: draw(st.integers(0, 2)) for key in (*state.sysctls, *draw(st.sampled_from(MODULE)))},
        addresses=state.addresses | {Address("lo", ip_interface(f"192.0.2.{vip}/32")) for vip in vips},
        units=units,
    )


def at(number: int) -> Stamp:
    return Stamp(f"202611{number:02}T000000Z-0000", f"2026-11-{number:02}T00:00:00Z", "ann@desk")


def carried_out(context: Context) -> HostState:
    """The host after a plan; nothing may refuse it."""
    assert [f for f in plan(context).findings if f.is_error and f.code != "LVS506"] == []
    tables = {THEIRS: THEIR_TABLE, **made_by(context.desired)}
    return Machine(context.actual, tables).run(plan(context).steps())


def applied(cluster: Cluster, host: str, state: HostState, number: int = 1) -> HostState:
    """The host when it is as declared."""
    for _round in (1, 2):
        state = carried_out(seen(cluster, host, state, FACTS, adopt=True, stamp=at(number)))
    assert told(seen(cluster, host, state, FACTS, stamp=at(number + 1))) == []
    return state


def destroyed(cluster: Cluster, host: str, state: HostState) -> HostState:
    """The host when nothing of this cluster is left on it."""
    state = carried_out(given_up(seen(cluster, host, state)))
    assert told(given_up(seen(cluster, host, state))) == []
    return state


def shape(state: HostState) -> dict[str, Any]:
    """All that a host is, but for packages, which stay installed, and modules, which stay loaded.

    With ipip stays tunl0, which is down then.
    """
    unset = {ipvs(name): default for name, default in IPVS.items()}
    sysctls = {key: value for key, value in state.sysctls.items() if not key.startswith(conf("tunl0", ""))}
    return {
        "files": {p: (f.content, f.mode, f.owner, f.kind) for p, f in state.files.items()},
        "sysctls": {**unset, **sysctls},
        "tunnels": {name: link for name, link in state.tunnels.items() if name != "tunl0" or link.up},
        "gue_ports": state.gue_ports,
        "addresses": state.addresses,
        "routes": state.routes,
        "units": {n: unit for n, unit in state.units.items() if unit.enabled or unit.active},
        "table": dict(state.virtual_services or {}),
    }


def hosts_of(*several: Cluster) -> list[str]:
    """The hosts that all of these clusters have."""
    return sorted(set.intersection(*(set(render_all(cluster)) for cluster in several)))


@SETTINGS
@given(st.data(), st.lists(inventories(), min_size=1, max_size=3))
def test_what_is_destroyed_is_as_it_was_before_the_first_apply(
    data: st.DataObject, documents: list[dict[str, Any]]
) -> None:
    """fresh, apply A, apply B, ..., destroy: files, folders, sysctls, addresses, routes, services, table."""
    several = [cluster_of({**document, "cluster": documents[0]["cluster"]}) for document in documents]
    for host in hosts_of(*several):
        before = state = data.draw(found(several[0], host))
        for number, cluster in enumerate(several, 1):
            state = applied(cluster, host, state, number)
        assert shape(destroyed(several[-1], host, state)) == shape(before)


@SETTINGS
@given(st.data(), inventories(), inventories())
def test_the_way_does_not_matter(data: st.DataObject, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Apply A, apply B leaves what B alone leaves, but for the history."""
    before, after = cluster_of({**first, "cluster": second["cluster"]}), cluster_of(second)
    for host in hosts_of(before, after):
        state = data.draw(found(before, host))
        both = applied(after, host, applied(before, host, state, 1), 2)
        alone = applied(after, host, state, 2)
        if record_of(both, after).empty:  # a host that is not needed any more can be gone back to
            both = destroyed(after, host, both)
        left, expected = kept(both, after), kept(alone, after)
        if (before.engine, after.engine) == (Engine.KEEPALIVED, Engine.IPVSADM):
            # One that had our services is stopped, whatever it was before us; one that never did goes on.
            for units in (left["units"], expected["units"]):
                units.pop("keepalived", None)
        assert left == expected
        # Hosts of the first inventory may still have something of ours; installed packages stay.
        records = [replace(record_of(x, after), former={}, packages=()) for x in (both, alone)]
        assert records[0] == records[1]


def kept(state: HostState, cluster: Cluster) -> dict[str, Any]:
    """The host without what tells of its past, but with who may read it."""
    found = shape(state)
    path = manifest_path(cluster.name)
    history = path.replace("manifest.json", "history/")
    files = {p: f for p, f in found["files"].items() if not p.startswith(history)}
    if path in files:
        files[path] = files[path][1:]
    return {**found, "files": files}


def record_of(state: HostState, cluster: Cluster) -> Record:
    return read_record(state.files.get(manifest_path(cluster.name)))


@SETTINGS
@given(st.data(), inventories())
def test_applying_twice_changes_nothing(data: st.DataObject, document: dict[str, Any]) -> None:
    cluster = cluster_of(document)
    for host in hosts_of(cluster):
        state = applied(cluster, host, data.draw(found(cluster, host)))
        context = seen(cluster, host, state, adopt=True, stamp=at(2))
        assert plan(context).steps() == ()
        assert not record_of(state, cluster).problem


@SETTINGS
@given(st.data(), inventories(), inventories(), st.booleans())
def test_of_two_clusters_the_last_one_that_goes_gives_back(
    data: st.DataObject,
    first: dict[str, Any],
    second: dict[str, Any],
    first_goes_first: bool,  # noqa: FBT001
) -> None:
    """On one real server: what both need stays while one of them does, whichever goes first."""
    one, other = (cluster_of({**x, "cluster": name}) for x, name in ((first, "one"), (second, "other")))
    gateways = [c.nat.gateway for c in (one, other) if c.nat is not None]
    assert len(set(gateways)) <= 1
    for host in hosts_of(one, other):
        if any(director.name == host for cluster in (one, other) for director in cluster.directors):
            continue
        before = data.draw(found(one, host))
        with_one = applied(one, host, before, 1)
        with_both = applied(other, host, with_one, 2)
        goes, stays = (one, other) if first_goes_first else (other, one)
        with_stays = destroyed(goes, host, with_both)
        # What stays lacks nothing, and has nothing that it would not have alone.
        assert told(seen(stays, host, with_stays)) == []
        alone = applied(stays, host, before, 1)
        if goes is other:
            alone = with_one
        assert kept(with_stays, stays) == kept(alone, stays)
        assert shape(destroyed(stays, host, with_stays)) == shape(before)


def test_folders_are_no_files_of_ours() -> None:
    assert {file.kind for file in folders("/etc").values()} == {FileKind.DIRECTORY}
