"""The record on a host of what lvsdeploy put there: the manifest, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.state.file import FileKind
from lvsdeploy.state.network import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.state.file import File


@dataclass(frozen=True)
class Record:
    """What the last apply left on a host. An empty one: nothing yet."""

    path: str = ""  # of the manifest it was read from; "" when there is none
    digest: str = ""  # of the manifest itself, which cannot hold its own
    problem: str = ""  # why a manifest that is there counts as none
    files: Mapping[str, str] = field(default_factory=dict)  # path -> SHA-256
    sysctls: Mapping[str, int] = field(default_factory=dict)
    addresses: frozenset[Address] = frozenset()
    units: frozenset[str] = frozenset()

    @property
    def placed(self) -> Mapping[str, str]:
        """Every file of ours with its SHA-256: those that the manifest lists, and last the manifest."""
        return {**self.files, self.path: self.digest} if self.known else self.files

    @property
    def known(self) -> bool:
        """Whether lvsdeploy has put anything on this host."""
        return bool(self.path)


def is_record(path: str) -> bool:
    """Whether this is the path of a manifest, of whichever cluster."""
    return path.startswith("/var/lib/lvsdeploy/") and path.endswith("/manifest.json")


def read_record(manifest: File | None) -> Record:
    """The record in a manifest.

    One that cannot be read counts as none and says why (`problem`): then nothing is ours, and nothing is
    removed or overwritten because of it.
    """
    from lvsdeploy.desired.manifest import FORMAT  # noqa: PLC0415 — brings Jinja, which a report does without

    if manifest is None or manifest.kind is not FileKind.REGULAR:
        return Record()
    try:
        data: Any = json.loads(manifest.content)
        if data["format"] != FORMAT:
            return Record(problem="it is in the format of another version of lvsdeploy")
        return Record(
            path=manifest.path,
            digest=manifest.digest,
            files={str(path): str(digest) for path, digest in data["files"].items()},
            sysctls={str(key): int(value) for key, value in data["sysctls"].items()},
            addresses=frozenset(_address(text) for text in data["addresses"]),
            units=frozenset(str(name) for name in data["units"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Record(problem="it is not what lvsdeploy writes")


def _address(text: str) -> Address:
    address, interface = text.split()
    return Address(interface, ip_interface(address))
