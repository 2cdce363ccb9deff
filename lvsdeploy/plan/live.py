"""What only live hosts can tell: findings about machines and about the cluster as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.desired import known_drains, nat_in_use
from lvsdeploy.inventory.model import Director, Engine, ForwardingMethod
from lvsdeploy.observe.observation import TABLE
from lvsdeploy.plan import abilities, codes, scripts, sixth, surroundings, tunnel_paths, unmanaged
from lvsdeploy.plan.change import Role
from lvsdeploy.state.distributions import distribution_of, is_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.model import Cluster, IPAddress
    from lvsdeploy.observe import Surroundings
    from lvsdeploy.plan.context import Context
    from lvsdeploy.record import Record
    from lvsdeploy.state.host import HostState


def findings(context: Context, role: Role) -> Iterator[Finding]:
    """About one machine."""
    host, facts = context.host, context.facts
    if facts.os_id and not is_known(facts):
        name = f"{facts.os_id} {facts.os_version}".rstrip()
        yield codes.UNKNOWN_DISTRIBUTION.finding(
            f"lvsdeploy does not know {name}, and takes it for {distribution_of(facts).name}", host=host
        )
    declared = context.desired.virtual_services is not None
    if role is Role.DIRECTOR and declared and "ip_vs" not in facts.modules | facts.available_modules:
        kernel = facts.kernel or "of this host"
        yield codes.NO_IPVS.finding(f"kernel {kernel} has no ip_vs module", host=host)
    yield from abilities.findings(context)
    yield from scripts.findings(context)
    yield from sixth.findings(context, role)
    yield from tunnel_paths.missing_modules(context)
    for what, why in context.unread.items():
        if what != TABLE:
            yield codes.UNREAD.finding(f"{what} could not be read: {why}", host=host)
        elif "ipvsadm" in context.actual.programs:  # or its installation is planned, and the table read then
            yield codes.UNREAD.finding(f"the IPVS table could not be read: {why}", host=host)


def about_the_cluster(
    cluster: Cluster,
    states: Mapping[str, HostState],
    records: Mapping[str, Record],
    around: Mapping[str, Surroundings],
    *,
    whole: bool,
) -> tuple[Finding, ...]:
    """What shows only when hosts are seen together with the declaration.

    `states`, `records` and what was found `around` are of the hosts that were read. `whole`: every director
    was, and keepalived runs on each.
    """
    return (
        *_own_addresses(cluster, states),
        *_one_network(cluster, states),
        *_inside_addresses(cluster, states),
        *sixth.switched_off(cluster, states),
        *tunnel_paths.findings(cluster, states),
        *_vip_holders(cluster, states, whole=whole),
        *_former_hosts(cluster, records),
        *_drains(cluster, records),
        *surroundings.findings(cluster, around),
        *unmanaged.findings(cluster, states, records, around),
    )


def _own_addresses(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """Each machine holds the address that the inventory says it has."""
    for host in cluster.hosts():
        state = states.get(host.name)
        word = "DIP" if isinstance(host, Director) else "RIP"
        for declared in host.dips if isinstance(host, Director) else host.rips:
            if state is not None and not any(a.address.ip == declared for a in state.addresses):
                yield codes.NOT_ITS_ADDRESS.finding(
                    f"none of its interfaces has the {word} {declared}", host=host.name
                )


def _one_network(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """DR: the RIP of each real server lies in a subnet of each director."""
    for director in cluster.directors:
        state = states.get(director.name)
        if state is None:
            continue
        networks = [address.address.network for address in state.addresses]
        subnets = {network for network in networks if network.prefixlen < network.max_prefixlen}
        for name, rip in _dr_destinations(cluster):
            if not any(rip in subnet for subnet in subnets):
                yield codes.NOT_ONE_NETWORK.finding(
                    f"real server {name} ({rip}) is in no subnet of this director", host=director.name
                )


def _inside_addresses(cluster: Cluster, states: Mapping[str, HostState]) -> Iterator[Finding]:
    """NAT: each director reaches the real servers also while it does not hold the gateway."""
    nat = nat_in_use(cluster)
    if nat is None or len(cluster.directors) == 1:
        return
    for director in cluster.directors:
        state = states.get(director.name)
        for gateway in nat.gateways:
            if state is not None and not any(
                address.address.ip in gateway.network and address.address.ip != gateway.ip
                for address in state.addresses
            ):
                yield codes.NO_INSIDE_ADDRESS.finding(
                    f"no interface has an address of its own in {gateway.network}", host=director.name
                )


def _vip_holders(cluster: Cluster, states: Mapping[str, HostState], *, whole: bool) -> Iterator[Finding]:
    """Each VIP is on exactly one director. Without VRRP each director holds it all the time, by itself."""
    if cluster.engine is Engine.IPVSADM:
        return
    for address, holders in holders_of(cluster, states).items():
        if len(holders) > 1:
            names = ", ".join(holders)
            yield codes.TWO_HOLDERS.finding(f"{address} is on {len(holders)} directors: {names}")
        elif not holders and whole:
            yield codes.NO_HOLDER.finding(f"{address} is on no director")


def _former_hosts(cluster: Cluster, records: Mapping[str, Record]) -> Iterator[Finding]:
    """Hosts that the directors remember and the inventory does not name."""
    addresses = {host.address for host in cluster.hosts()}
    former: dict[str, str] = {}
    for record in records.values():
        former.update({**record.former, **record.hosts})
    for name, address in sorted(former.items()):
        if address not in addresses:
            yield codes.FORMER_HOST.finding(
                f"{name} ({address}) was a host of this cluster, and is not in the inventory any more",
                fix=f"Clean it: lvsdeploy destroy INVENTORY --limit {address}",
            )


def _drains(cluster: Cluster, records: Mapping[str, Record]) -> Iterator[Finding]:
    """What one director remembers as drained, and another does not."""
    drained = {
        director.name: {
            (d.real_server, d.service) for d in known_drains(cluster, records[director.name].drained)
        }
        for director in cluster.directors
        if director.name in records and records[director.name].known
    }
    for real_server, service in sorted(set().union(*drained.values())):
        where = [name for name, drains in drained.items() if (real_server, service) in drains]
        if len(where) < len(drained):
            of = f" of {service}" if service else ""
            without = ", ".join(sorted(drained.keys() - set(where)))
            yield codes.DRAIN_DIFFERS.finding(
                f"{real_server}{of} is drained on {', '.join(where)} and not on {without}"
            )


def holders_of(cluster: Cluster, states: Mapping[str, HostState]) -> dict[IPAddress, tuple[str, ...]]:
    """VIP (and NAT gateway) -> the directors that hold it now."""
    moving = [vip.ip for vip in cluster.vips]
    if (nat := nat_in_use(cluster)) is not None:
        moving += [gateway.ip for gateway in nat.gateways]
    return {
        address: tuple(
            director.name
            for director in cluster.directors
            if director.name in states and address in states[director.name].answers_for
        )
        for address in moving
    }


def _dr_destinations(cluster: Cluster) -> Iterator[tuple[str, IPAddress]]:
    """(name, RIP) of each real server in DR, in the order of the inventory; both RIPs where both serve."""
    for server in cluster.real_servers:
        served = {p.address for p in cluster.parts_of(server) if p.mode is ForwardingMethod.DR}
        yield from ((server.name, rip) for rip in server.rips if rip in served)
