"""The state of one host: the same type for what is desired and for what is.

`desired/` makes one from the model, `observe/` from a live host; `plan/` is their difference. A desired
state is partial: it names the files, sysctls, addresses, routes and units it cares about, and all other
things on the host are nobody's business. The IPVS table is the exception: a director's table is declared
whole, or (None) not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lvsdeploy.state.network import LOOPBACK, MAIN
from lvsdeploy.state.tunnel import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.model import IPAddress
    from lvsdeploy.state.file import File
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService
    from lvsdeploy.state.netfilter import Ruleset
    from lvsdeploy.state.network import Address, Route, Rule, Way
    from lvsdeploy.state.sync import SyncDaemon
    from lvsdeploy.state.sysctl import Value
    from lvsdeploy.state.tunnel import GuePort, TunnelLink
    from lvsdeploy.state.unit import Unit


@dataclass(frozen=True)
class HostState:
    """What a machine is made of, as far as LVS goes."""

    programs: frozenset[str] = frozenset()
    files: Mapping[str, File] = field(default_factory=dict)  # by path
    sysctls: Mapping[str, Value] = field(default_factory=dict)  # raw values by dotted key
    addresses: frozenset[Address] = frozenset()
    routes: tuple[Route, ...] = ()  # default routes of the main table, of each family the preferred one first
    units: Mapping[str, Unit] = field(default_factory=dict)  # by name
    virtual_services: Mapping[ServiceKey, VirtualService] | None = None
    timeouts: Mapping[str, int] = field(default_factory=dict)  # IPVS's, in seconds: tcp, tcp_fin, udp
    sync_daemons: frozenset[SyncDaemon] | None = None  # None: nobody looked, or they are nobody's business
    netfilter: Ruleset | None = None  # the cluster's own rules, whole; None: none of its
    tunnels: Mapping[str, TunnelLink] = field(default_factory=dict)  # by name of the interface
    gue_ports: frozenset[GuePort] = frozenset()
    interfaces: frozenset[str] = frozenset()  # that are declared by name; what there is, is in Facts.links
    mtus: Mapping[str, int] = field(default_factory=dict)  # interface -> bytes; read, and never declared
    # Policy routing, and ways that the kernel was asked for; read, and never declared, too.
    rules: Mapping[int, tuple[Rule, ...]] = field(default_factory=dict)  # by family, in their order
    tables: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)  # default routes of further tables
    ways: Mapping[IPAddress, Way] = field(default_factory=dict)

    def runs(self, unit: str) -> bool:
        """Whether a service is known to run here."""
        return unit in self.units and self.units[unit].active

    def defaults_from(self, source: IPAddress) -> tuple[Route, ...]:
        """The default routes that what this machine sends from `source` takes; none where there is none.

        Those of the lowest metric: several for a multipath route. Rules that ask for more than the source
        are about other packets.
        """
        tables = [(MAIN, False)]
        if source.version in self.rules:
            tables = [(r.table, r.passes_default) for r in self.rules[source.version] if r.matches(source)]
        for table, passed in tables:
            routes = self.routes if table == MAIN else self.tables.get(table, ())
            found = [route for route in routes if route.version == source.version]
            if found and not passed:
                return tuple(route for route in found if route.metric == found[0].metric)
        return ()

    @property
    def answers_for(self) -> frozenset[IPAddress]:
        """What others find the machine by: nothing that it has as a real server, on lo or in a tunnel."""
        return frozenset(
            address.address.ip
            for address in self.addresses
            if address.interface != LOOPBACK and OURS.fullmatch(address.interface) is None
        )
