"""What of a host decides which of several forms of a file it gets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.netfilter import Firewall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.state.facts import Facts


@dataclass(frozen=True)
class Variant:
    """What starts services there, and what loads netfilter rules: nft, where there is nothing yet."""

    manager: ServiceManager = ServiceManager.SYSTEMD
    firewall: Firewall = Firewall.NFT

    @classmethod
    def of(cls, facts: Facts) -> Variant:
        return cls(facts.service_manager, facts.firewall or Firewall.NFT)

    @classmethod
    def every(cls) -> Iterator[Variant]:
        return (cls(*parts) for parts in product(ServiceManager, Firewall))
