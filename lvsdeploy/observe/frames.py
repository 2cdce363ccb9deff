"""The probe's answer, cut into its sections.

Each section begins with a line of the request's token, a name and perhaps a word more. What is in a section
cannot begin another one, since it cannot know the token; what a chatty shell prints before is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.printable import printable

VERSION = "1"


@dataclass(frozen=True)
class Section:
    """A section: the word after its name, and its bytes as they came."""

    word: str
    body: bytes

    def lines(self) -> list[str]:
        """The lines that are not empty; bytes that are not UTF-8 are replaced."""
        text = self.body.decode("utf-8", "replace")
        return [line for line in text.split("\n") if line.strip()]


def sections(host: str, answer: bytes, token: str) -> dict[str, Section]:
    """Sections by name. AnswerInvalid when the answer is none, is cut short or of another version."""
    before, *parts = (b"\n" + answer).split(f"\n{token} ".encode())
    if not parts:
        said = printable(before, longest=200)
        raise AnswerInvalid(
            host,
            f"no answer to the probe; the host said: {said}" if said else "no answer to the probe",
            hint="Commands have to reach a POSIX shell: is the login shell one, and does `sh` start?",
        )
    found: dict[str, Section] = {}
    last = ""
    for part in parts:
        head, _, body = part.partition(b"\n")
        last, _, word = head.decode("ascii", "replace").partition(" ")
        found[last] = Section(word, body)
    if last != "end":
        raise AnswerInvalid(
            host,
            f"the answer breaks off after its section `{printable(last)}`",
            hint="The connection was cut, or the probe was killed. Run the command again.",
        )
    if "begin" not in found or found["begin"].word != VERSION:
        raise AnswerInvalid(host, "the answer to the probe has no beginning")
    return found
