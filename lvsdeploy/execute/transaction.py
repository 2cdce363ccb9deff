"""A host's transaction: one shell program with its data, and the reading of what it answers. Pure.

The command line holds a small fixed program (`bootstrap.sh`) and two numbers. Everything else travels on
stdin: the script, the contents of files, the probe's request. So no secret stands in an argument, and no
length limit of the command line applies.

The script is a library and one line a step. The library (`work.sh`, `lock.sh`, `journal.sh`, `guard.sh`,
`transaction.sh`, with its variables) stays on the host beside the journal until the end: whoever has to undo
or to confirm does it with these very words.
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
from lvsdeploy.resources import data_path

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


_LIBRARY = ("work.sh", "lock.sh", "journal.sh", "guard.sh", "transaction.sh")


def build(  # noqa: PLR0913 — all by name, and each says one thing about the transaction
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
    library = (
        _variables(
            token=token,
            manager=manager.value,
            owner=printable(owner),
            record=record,
            expect=expect,
            seconds_to_confirm=str(confirm),
        )
        + _library()
    )
    script = (library + _script(steps, probe.command, blobs, len(library.encode()))).encode()
    stdin = script + b"".join(blobs)
    text = shell_text("work.sh", "bootstrap.sh")
    words = ("sh", "-c", text, "lvsdeploy", str(len(script)), str(len(stdin)))
    return Program(shlex.join(words), stdin)


def confirm_program(token: str) -> Program:
    """The program that makes the armed change of the transaction with this token last."""
    return _about_armed("confirm", token)


def revert_program(token: str) -> Program:
    """The program that puts the armed change of the transaction with this token back at once."""
    return _about_armed("revert", token)


def _about_armed(verb: str, token: str) -> Program:
    words = ("sh", "-c", shell_text("work.sh", "confirm.sh"), "lvsdeploy", verb, token)
    return Program(shlex.join(words), b"")


def read_verdict(host: str, answer: bytes, token: str, *, said: bytes = b"") -> Verdict:
    """What `confirm_program` or `revert_program` answered; AnswerInvalid when it broke off."""
    words, rest = _framed(host, answer, token, said, "the confirmation")
    match words:
        case [end, ("yes" | "no") as undone] if end in set(End):
            return Verdict(End(end), undone=undone == "yes", detail=_text_of(rest))
        case _:
            raise AnswerInvalid(host, "the confirmation gave an answer that cannot be read")


def read_outcome(
    host: str, answer: bytes, steps: Sequence[Step], token: str, *, said: bytes = b""
) -> Outcome:
    """What the transaction on `host` answered; AnswerInvalid when it broke off. `said` came on stderr."""
    words, rest = _framed(host, answer, token, said, "the change")
    mark = f"{token} ".encode()
    body, _, reading = rest.partition(mark + b"read\n")
    match words:
        case ["done"] | ["done", "armed"]:
            return Outcome(reading=reading, armed="armed" in words)
        case ["busy"]:
            return Outcome(busy=_line_of(rest))
        case ["moved"]:
            return Outcome(moved=True, reading=reading)
        case ["recovered", ("yes" | "no") as undone]:
            owner, _, trouble = body.partition(b"\n")
            return Outcome(
                recovered=_line_of(owner),
                undone=undone == "yes",
                detail=_text_of(trouble),
                reading=reading,
            )
        case ["failed", number] if steps and number.isdigit() and int(number) <= len(steps):
            words_of_step, _, after = body.partition(b"\n" + mark + b"undone ")
            all_back, _, trouble = after.partition(b"\n")
            whole = all_back.strip() == b"yes"
            return Outcome(
                failed=steps[max(int(number), 1) - 1],  # 0: not even the first could be begun
                detail=_text_of(words_of_step if whole else words_of_step + b"\n" + trouble),
                undone=whole,
                reading=reading,
            )
        case _:
            raise AnswerInvalid(host, "the change gave an answer that cannot be read")


def _framed(host: str, answer: bytes, token: str, said: bytes, what: str) -> tuple[list[str], bytes]:
    """The words of the first line that begins with the token, and what follows it."""
    mark = f"{token} ".encode()
    start = answer.find(mark)
    if start < 0:
        reason = "; ".join(_text_of(said).splitlines()[-3:])
        raise AnswerInvalid(
            host,
            f"{what} gave no answer{': ' if reason else ''}{reason}",
            hint="Run `lvsdeploy check` to see what state the host is in.",
        )
    line, _, rest = answer[start + len(mark) :].partition(b"\n")
    return line.decode("ascii", "replace").split(), rest


def _variables(**values: str) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _library() -> str:
    """All functions; called by name, it is a program that undoes, guards or confirms."""
    verbs = 'case $1 in recover | guard | confirm | revert) "$@"; exit ;; esac\n'
    return f"{shell_text(*_LIBRARY)}\n{_rules_functions()}{verbs}"


@cache
def _rules_functions() -> str:
    """How netfilter rules are exchanged, in the words of the scripts that load them at boot."""
    return (data_path("templates") / "firewall" / "functions.sh").read_text("utf-8")


def _script(steps: Sequence[Step], probe_command: str, blobs: Sequence[bytes], library: int) -> str:
    """What follows the library. Its offsets count from the script's end, where the contents begin."""
    lines = [f"library={library}", "steps() {"]
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
        f"expected() {{ cut_out {offset} {len(expected)}; }}",
        "read_back() {",
        f"    cut_out {offset + len(expected)} {len(request)} | {{ {probe_command}",
        "    }",
        "}",
        'transaction "$@"',
        "",
    ]
    return "\n".join(lines)


def _expected_lines(table: Iterable[VirtualService]) -> Iterable[str]:
    """Parts of the lines that `ipvsadm -Sn` will print, by which the wait for keepalived ends."""
    for service in table:
        flags = " ".join(service.key.flags())
        yield f"-A {flags} -s {service.scheduler}"
        for destination in service.destinations:
            yield f"-a {flags} -r {destination} {' '.join(destination.method())}"


def _text_of(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").splitlines()
    return "\n".join(printable(line) for line in lines if line.strip())[:8000]


def _line_of(said: bytes) -> str:
    return printable(said).strip() or "somebody"


def shell_text(*names: str) -> str:
    """The shell programs of these names, one after the other."""
    return "\n".join(_text(name) for name in names)


@cache
def _text(name: str) -> str:
    return files("lvsdeploy.execute").joinpath(name).read_text("utf-8")
