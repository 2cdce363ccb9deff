"""The cluster's lease: one apply at a time for a whole cluster, held on a host as long as a connection. Pure.

The program takes the lock of the cluster, says so in one line, and then reads its standard input to the end:
whoever goes away, in whichever way, lets go.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lvsdeploy.execute.transaction import Program, shell_text
from lvsdeploy.printable import printable


@dataclass(frozen=True)
class Lease:
    """The program's first answer. `busy`: who holds the lease; empty: it is ours."""

    busy: str = ""

    @property
    def held(self) -> bool:
        return not self.busy


def lease_program(cluster: str, *, token: str, owner: str) -> Program:
    """The program that holds the lease of `cluster` until its standard input ends.

    `stdin` is empty: nothing needs to be sent, and closing it is what lets go. `token` frames the answer.
    """
    if not cluster or "/" in cluster or "\0" in cluster:
        raise ValueError(f"not a cluster's name: {cluster!r}")
    words = (
        "sh",
        "-c",
        shell_text("work.sh", "lock.sh", "lease.sh"),
        "lvsdeploy",
        token,
        cluster,
        printable(owner),
    )
    return Program(shlex.join(words), b"")


def read_lease(answer: bytes, token: str) -> Lease | None:
    """What the program answered so far: None as long as it is not a whole answer. It may be read bit by bit.

    The answer is `TOKEN held`, or `TOKEN busy` and a line that says who.
    """
    mark = f"{token} ".encode()
    start = answer.find(mark)
    if start < 0:
        return None
    verdict, *rest = answer[start + len(mark) :].split(b"\n")
    if verdict == b"held" and rest:
        return Lease()
    if verdict == b"busy" and len(rest) > 1:
        return Lease(busy=printable(rest[0]).strip() or "somebody")
    return None
