"""SSH: the only package that knows a connection.

`Connector` and `Connection` are loaded when they are first asked for: fabric and paramiko take a
fifth of a second to import, and `--help` and `validate` need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lvsdeploy.ssh.target import Answer, Target

if TYPE_CHECKING:
    from lvsdeploy.ssh.connection import Connection
    from lvsdeploy.ssh.connector import Connector

__all__ = ["Answer", "Connection", "Connector", "Target"]


def __getattr__(name: str) -> Any:
    if name == "Connector":
        from lvsdeploy.ssh.connector import Connector  # noqa: PLC0415 - loaded on demand, see above

        return Connector
    if name == "Connection":
        from lvsdeploy.ssh.connection import Connection  # noqa: PLC0415 - the same

        return Connection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
