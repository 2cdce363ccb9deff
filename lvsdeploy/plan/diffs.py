"""What changes in a file, as a unified diff for people: secrets masked, no difference passed over."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from difflib import Match, SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lvsdeploy.state.file import File

_LARGEST = 250_000  # old lines times new lines between two anchors; difflib takes quadratic time
_NO_NEWLINE = "\\ No newline at end of file\n"


def diff(path: str, before: File | None, after: File | None) -> str:
    """A unified diff of what is on the host and what is declared (None: no file); "" for equal contents."""
    contents = [file.content if file is not None else b"" for file in (before, after)]
    if contents[0] == contents[1]:
        return ""
    old, new = (file.shown() if file is not None else "" for file in (before, after))
    secret = before is not None and after is not None and before.secrets() != after.secrets()
    if old == new:
        return f"  (only {'a masked secret differs' if secret else 'bytes that are no text differ'})\n"
    text = "".join(_unified(path, _lines(old), _lines(new)))
    return text + ("  (and a masked secret differs)\n" if secret else "")


def _lines(text: str) -> list[str]:
    """Lines with their ends. Only a newline ends one: what else `splitlines` takes for an end is content."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _unified(path: str, old: list[str], new: list[str]) -> Iterator[str]:
    yield f"--- {path} (on the host)\n"
    yield f"+++ {path} (declared)\n"
    for group in _Matcher(old, new).get_grouped_opcodes():
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
        for tag, start, stop, new_start, new_stop in group:
            if tag == "equal":
                yield from _marked(" ", old[start:stop])
            else:
                yield from _marked("-", old[start:stop])
                yield from _marked("+", new[new_start:new_stop])


def _marked(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n{_NO_NEWLINE}"


def _range(start: int, stop: int) -> str:
    """Lines count from 1; no lines at all are said to be after the line before them."""
    length = stop - start
    return str(start + 1) if length == 1 else f"{start + 1 if length else start},{length}"


class _Matcher(SequenceMatcher[str]):
    """Patience diff: lines that each side has once are anchors, and difflib sees only what is between them.

    difflib alone takes seconds for a keepalived.conf of some thousand real servers and shows nearly all of it
    as changed, since in a long text it leaves out frequent lines. https://bramcohen.livejournal.com/73318.html
    """

    def __init__(self, old: list[str], new: list[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._old, self._new = old, new

    def get_matching_blocks(self) -> list[Match]:
        blocks: list[Match] = []
        start = new_start = 0
        for anchor, new_anchor in [*_anchors(self._old, self._new), (len(self._old), len(self._new))]:
            blocks += self._between(start, anchor, new_start, new_anchor)
            if anchor < len(self._old):
                blocks.append(Match(anchor, new_anchor, 1))
            start, new_start = anchor + 1, new_anchor + 1
        return [*_joined(blocks), Match(len(self._old), len(self._new), 0)]

    def _between(self, start: int, stop: int, new_start: int, new_stop: int) -> Iterator[Match]:
        old, new = self._old[start:stop], self._new[new_start:new_stop]
        head = _common(old, new)
        tail = _common(old[head:][::-1], new[head:][::-1])
        yield Match(start, new_start, head)
        old, new = old[head : len(old) - tail], new[head : len(new) - tail]
        if len(old) * len(new) <= _LARGEST:
            for match in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
                yield Match(start + head + match.a, new_start + head + match.b, match.size)
        yield Match(stop - tail, new_stop - tail, tail)


def _anchors(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """Places of lines that both sides have exactly once, as many as are in the same order on both."""
    once = Counter(old), Counter(new)
    places = {line: number for number, line in enumerate(new)}
    pairs = [
        (number, places[line])
        for number, line in enumerate(old)
        if once[0][line] == 1 and once[1].get(line) == 1
    ]
    # The longest increasing subsequence of the places in `new`.
    ends: list[int] = []
    last: list[int] = []  # index in `pairs` of each end
    before: list[int] = []
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [index]
    chain = []
    index = last[-1] if last else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines at the start are the same."""
    length = 0
    for line, other in zip(old, new, strict=False):
        if line != other:
            break
        length += 1
    return length


def _joined(blocks: list[Match]) -> Iterator[Match]:
    """Adjacent matches as one."""
    current = Match(0, 0, 0)
    for block in blocks:
        if not block.size:
            continue
        if (current.a + current.size, current.b + current.size) == (block.a, block.b):
            current = Match(current.a, current.b, current.size + block.size)
        else:
            if current.size:
                yield current
            current = block
    if current.size:
        yield current
