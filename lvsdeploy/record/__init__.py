"""What lvsdeploy remembers on a host: what it put there, what was there before, who did it and when.

`Record` is the host's memory of one cluster, the file `manifest.json` its text. `Goal` is what a host is to
become, and also what an earlier apply left: the last ten are kept, so that `rollback` has where to go.
"""

from lvsdeploy.record.goal import Drained, Goal, dump_goal, load_goal
from lvsdeploy.record.manifest import manifest_of, read_record
from lvsdeploy.record.paths import cluster_of, folders_of, history_path, is_record, manifest_path
from lvsdeploy.record.record import (
    KEPT,
    Entry,
    Record,
    RecordedFile,
    RecordedRoute,
    RecordedSysctl,
    RecordedTimeout,
    RecordedUnit,
    Stamp,
)

__all__ = [
    "KEPT",
    "Drained",
    "Entry",
    "Goal",
    "Record",
    "RecordedFile",
    "RecordedRoute",
    "RecordedSysctl",
    "RecordedTimeout",
    "RecordedUnit",
    "Stamp",
    "cluster_of",
    "dump_goal",
    "folders_of",
    "history_path",
    "is_record",
    "load_goal",
    "manifest_of",
    "manifest_path",
    "read_record",
]
