"""The probe: one POSIX sh program that reads everything on a host, and the parser of its answer.

    request -> probe_command() -> (somebody runs it over SSH) -> parse() -> Observation

Nothing here opens a socket or runs a program.
"""

from lvsdeploy.observe.answer import parse
from lvsdeploy.observe.checkers import CheckedService, CheckerView
from lvsdeploy.observe.connections import Connections
from lvsdeploy.observe.observation import Observation
from lvsdeploy.observe.request import Request, probe_command
from lvsdeploy.observe.surroundings import Surroundings

__all__ = [
    "CheckedService",
    "CheckerView",
    "Connections",
    "Observation",
    "Request",
    "Surroundings",
    "parse",
    "probe_command",
]
