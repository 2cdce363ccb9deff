"""What of a host decides which of several forms of a file it gets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from lvsdeploy.state.distributions import DEBIAN, distribution_of
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.netfilter import Firewall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lvsdeploy.state.distributions import SavedTable
    from lvsdeploy.state.facts import Facts


@dataclass(frozen=True)
class Variant:
    """What starts services there, and what loads netfilter rules: nft, where there is nothing yet.

    `saved_table`: how the distribution restores the IPVS table at boot; None when nobody knows.
    """

    manager: ServiceManager = ServiceManager.SYSTEMD
    firewall: Firewall = Firewall.NFT
    saved_table: SavedTable | None = DEBIAN.saved_table

    @classmethod
    def of(cls, facts: Facts) -> Variant:
        saved = distribution_of(facts).saved_table
        return cls(facts.service_manager, facts.firewall or Firewall.NFT, saved)

    @classmethod
    def every(cls, *, saved_tables: Iterable[SavedTable | None] = (None,)) -> Iterator[Variant]:
        """All of them, with these ways to save the table."""
        return (cls(*parts) for parts in product(ServiceManager, Firewall, saved_tables))
