"""A host's transaction: one shell program with its data, and the reading of what it answers. Pure.

The command line holds a small fixed program (`bootstrap.sh`) and two numbers. Everything else travels on
stdin: the script (`transaction.sh`, then one line a step), the contents of files, the probe's request. So
no secret stands in an argument, and no length limit of the command line applies.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lvsdeploy.plan.change import Step
    from lvsdeploy.state.facts import ServiceManager
    from lvsdeploy.state.ipvs import VirtualService


@dataclass(frozen=True)
class Program:
    """What is sent to a host: a complete shell command line, and its standard input."""

    command: str
    stdin: bytes


@dataclass(frozen=True)
class Outcome:
    """What a transaction answered.

    `failed` is the step that failed (None: all were done), `detail` what the host's programs said,
    `undone` whether everything was put back. `busy` names who holds the lock. `reading` is the probe's
    answer, read after the last step.

    No step was run, and `reading` is what to plan anew from, when `moved` (the record is not the one that
    the plan was made from: somebody changed the host in between) or `recovered` (a transaction had died
    there, and was undone: who it was; `undone` and `detail` tell how that went).

    `armed`: all is done, and will be put back unless it is confirmed.
    """

    failed: Step | None = None
    detail: str = ""
    undone: bool = True
    busy: str = ""
    reading: bytes = b""
    moved: bool = False
    recovered: str = ""
    armed: bool = False


class End(StrEnum):
    """How an armed change ended."""

    CONFIRMED = "confirmed"
    EXPIRED = "expired"  # it was put back before: nobody confirmed it in time
    REVERTED = "reverted"  # it was put back now, as asked


@dataclass(frozen=True)
class Verdict:
    """The answer to a confirmation, or to its opposite. `undone` and `detail` tell how putting back went."""

    end: End
    undone: bool = True
    detail: str = ""


def build(
    steps: Sequence[Step],
    *,
    manager: ServiceManager,
    token: str,
    owner: str,
    probe: Program,
    table: Iterable[VirtualService] = (),
    record: str = "",
    expect: str = "",
    confirm: int = 0,
) -> Program:
    """The program that carries out `steps` and reads the host again.

    `token` is a random word that frames the answer; `owner` says who applies, for the lock. `record` is the
    path of the host's manifest and `expect` its SHA-256 as it was read, "-" for none; "": not looked at.
    With `confirm`, in seconds, the change is put back unless `confirm_program` arrives within that time.
    """
    expected = "".join(f"{line}\n" for line in _expected_lines(table)).encode()
    blobs = [step.content for step in steps if step.content is not None] + [expected, probe.stdin]
    head = (
        _text("transaction.sh")
        + f"\ntoken={shlex.quote(token)}\nmanager={manager.value}\nowner={shlex.quote(owner)}\n"
    )
    script = _script(head, steps, probe.command, blobs).encode()
    stdin = script + b"".join(blobs)
    words = ("sh", "-c", _text("bootstrap.sh"), "lvsdeploy", str(len(script)), str(len(stdin)))
    return Program(shlex.join(words), stdin)


def confirm_program(token: str) -> Program:
    """The program that makes the armed change of the transaction with this token last."""
    raise NotImplementedError


def revert_program(token: str) -> Program:
    """The program that puts the armed change of the transaction with this token back at once."""
    raise NotImplementedError


def read_verdict(host: str, answer: bytes, token: str, *, said: bytes = b"") -> Verdict:
    """What `confirm_program` or `revert_program` answered; AnswerInvalid when it broke off."""
    raise NotImplementedError


def read_outcome(
    host: str, answer: bytes, steps: Sequence[Step], token: str, *, said: bytes = b""
) -> Outcome:
    """What the transaction on `host` answered; AnswerInvalid when it broke off. `said` came on stderr."""
    mark = f"{token} ".encode()
    start = answer.find(mark)
    if start < 0:
        reason = "; ".join(_lines(said.decode("utf-8", "replace")).splitlines()[-3:])
        raise AnswerInvalid(
            host,
            f"the change gave no answer{': ' if reason else ''}{reason}",
            hint="Run `lvsdeploy check` to see what state the host is in.",
        )
    verdict, _, rest = answer[start + len(mark) :].partition(b"\n")
    words = verdict.decode("ascii", "replace").split()
    body, _, reading = rest.partition(mark + b"read\n")
    match words:
        case ["done"]:
            return Outcome(reading=reading)
        case ["busy"]:
            return Outcome(busy=printable(rest.decode("utf-8", "replace")).strip() or "somebody")
        case ["failed", number] if number.isdigit() and 0 < int(number) <= len(steps):
            words_of_step, _, after = body.partition(b"\n" + mark + b"undone ")
            undone, _, trouble = after.partition(b"\n")
            all_back = undone.strip() == b"yes"
            text = words_of_step if all_back else words_of_step + b"\n" + trouble
            return Outcome(
                failed=steps[int(number) - 1],
                detail=_lines(text.decode("utf-8", "replace")),
                undone=all_back,
                reading=reading,
            )
        case _:
            raise AnswerInvalid(host, "the change gave an answer that cannot be read")


def _script(head: str, steps: Sequence[Step], probe_command: str, blobs: Sequence[bytes]) -> str:
    """The script. Its offsets count from its own end, where the contents begin."""
    lines = ["steps() {"]
    offset = 0
    for step in steps:
        words = list(step.words)
        if step.content is not None:
            words += [str(offset), str(len(step.content)), hashlib.sha256(step.content).hexdigest()]
            offset += len(step.content)
        lines.append(f"    step {shlex.join(words)} || return 1")
    expected, request = blobs[-2:]
    lines += [
        "    :",
        "}",
        f'cut_out {offset} {len(expected)} >"$work/expected"',
        "read_back() {",
        f'    cut_out {offset + len(expected)} {len(request)} >"$work/request"',
        f'    {probe_command} <"$work/request"',
        "}",
        "transaction",
        "",
    ]
    return head + "\n".join(lines)


def _expected_lines(table: Iterable[VirtualService]) -> Iterable[str]:
    """Parts of the lines that `ipvsadm -Sn` will print, by which the wait for keepalived ends."""
    for service in table:
        flags = " ".join(service.key.flags())
        yield f"-A {flags} -s {service.scheduler}"
        for destination in service.destinations:
            yield f"-a {flags} {' '.join(destination.options())}"


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines() if line.strip())[:8000]


@cache
def _text(name: str) -> str:
    return files("lvsdeploy.execute").joinpath(name).read_text("utf-8")


def shell_text(*names: str) -> str:
    """The shell programs of these names, one after the other."""
    return "\n".join(_text(name) for name in names)
