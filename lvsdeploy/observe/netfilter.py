"""The cluster's netfilter rules, as nft and iptables show them, and which of the two works on the host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lvsdeploy.printable import host_word
from lvsdeploy.state import iptables, nft
from lvsdeploy.state.netfilter import Firewall, chain_name, table_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.state.netfilter import Ruleset

_WORKS = {"nft": Firewall.NFT, "iptables": Firewall.IPTABLES, "none": None, "refused": None, "": None}
_MOST = 20
"""So many strange lines are kept: enough to see whose they are."""


def parse(cluster: str, works: str, texts: Mapping[str, str]) -> tuple[Firewall | None, Ruleset | None]:
    """(what loads rules on this host, the cluster's rules there), None for none.

    `works` is the probe's word for it, `texts` has what each program printed. Rules that were once loaded
    with iptables stay with it, though nft may have come to the host since. ValueError for another word.
    """
    if works not in _WORKS:
        raise ValueError(f"rules are loaded by {works!r}")
    found = nft.parse(table_name(cluster), texts.get("nft", ""))
    if found is None:
        found = iptables.parse(chain_name(cluster), texts.get("iptables", ""), texts.get("ip6tables", ""))
    if found is None:
        return _WORKS[works], None
    strange = [host_word(line) for line in found.strange[:_MOST]]
    if len(found.strange) > _MOST:
        strange.append(f"and {len(found.strange) - _MOST} more")
    return found.program, replace(found, strange=tuple(strange))
