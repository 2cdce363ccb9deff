"""The netfilter rules of a director, and of any host the files that bring rules back at boot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.desired.paths import rules_path
from lvsdeploy.desired.roles import nat_in_use
from lvsdeploy.inventory.model import IPV4, IPV6, ForwardingMethod
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.file import File
from lvsdeploy.state.netfilter import (
    ClampMss,
    Firewall,
    Mark,
    Masquerade,
    Ruleset,
    chain_name,
    joined,
    table_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lvsdeploy.desired.roles import Roles
    from lvsdeploy.inventory.model import Cluster, IPAddress, RealServer
    from lvsdeploy.state.netfilter import Rule

LOADERS = ("ip6tables", "iptables", "nft")
"""The programs that rules may be loaded with."""
_ENDINGS = {IPV4: "v4", IPV6: "v6"}
_ALL = (0, 0)


@dataclass(frozen=True)
class LoadedRules:
    """Rules that are loaded at boot. `name` is what the table is called, or the chains begin with.

    `loads` are the programs that load them, each with its file.
    """

    ruleset: Ruleset
    name: str
    files: tuple[File, ...]
    loads: tuple[tuple[str, str], ...]

    @property
    def programs(self) -> frozenset[str]:
        return frozenset(program for program, _ in self.loads)


def loaded_rules(cluster: str, program: Firewall, rules: Iterable[Rule]) -> LoadedRules | None:
    """What brings these rules back at boot; None when there are none."""
    ruleset = Ruleset.of(program, rules)
    if not ruleset.rules:
        return None
    if program is Firewall.NFT:
        name = table_name(cluster)
        texts = {"nft": (rules_path(cluster, "nft"), nft.render(name, ruleset))}
    else:
        name = chain_name(cluster)
        texts = {
            iptables.PROGRAMS[version]: (rules_path(cluster, ending), iptables.render(name, ruleset, version))
            for version, ending in _ENDINGS.items()
            if ruleset.has_family(version)
        }
    head = f"# Managed by lvsdeploy, cluster {cluster}; edits are found and undone.\n"
    return LoadedRules(
        ruleset,
        name,
        tuple(File(path, f"{head}{text}".encode()) for path, text in texts.values()),
        tuple((loader, path) for loader, (path, _) in texts.items()),
    )


def director_rules(cluster: Cluster) -> tuple[Rule, ...]:
    """Marks for what is balanced by a mark, and the masquerading of clients beside the real servers."""
    return (*_marks(cluster), *_masquerades(cluster))


def server_rules(roles: Roles, server: RealServer) -> tuple[Rule, ...]:
    """What a real server asks clients for, where packets come wrapped: segments that fit in, too."""
    clamps: dict[IPAddress, int] = {}
    for part in roles.parts_of(server):
        mss = part.tunnel.clamp_mss
        if part.mode is ForwardingMethod.TUN and mss is not None:
            clamps.update({vip.ip: min(mss, clamps.get(vip.ip, mss)) for vip in part.pool.vips})
    return tuple(ClampMss(vip, mss) for vip, mss in clamps.items())


def _marks(cluster: Cluster) -> list[Mark]:
    return [
        Mark(
            vip.ip,
            protocol,
            () if _ALL in service.port_ranges else joined(service.port_ranges),
            service.fwmark,
        )
        for service in cluster.services
        if service.fwmark
        for vip in service.vips
        for protocol in service.protocols or (service.protocol,)
    ]


def _masquerades(cluster: Cluster) -> list[Masquerade]:
    nat = nat_in_use(cluster)
    if nat is None or not nat.masquerade:
        return []
    vips = {
        vip.ip: nat.gateway_of(vip.ip.version)
        for part in cluster.parts
        if part.mode is ForwardingMethod.NAT
        for vip in part.pool.vips
    }
    return [Masquerade(vip, inside.network) for vip, inside in vips.items() if inside is not None]
