"""The command with all its verbs."""

from lvsdeploy.cli import changing, commands  # noqa: F401 — they add their verbs
from lvsdeploy.cli.group import lvsdeploy

__all__ = ["lvsdeploy"]
