"""A cluster as the key of a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster


class ByIdentity:
    """A cluster as the key of a cache: frozen, and too much to be hashed by what it holds."""

    __slots__ = ("cluster",)

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.cluster is other.cluster

    def __hash__(self) -> int:
        return id(self.cluster)
