"""YAML text -> Document: plain data, and the line and column of every key and value.

The text is read as a stream of events, never composed recursively and never constructed: no tag is
followed, no code runs, and depth and size are bounded while reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from lvsdeploy.diagnostics import Finding, Place
from lvsdeploy.inventory import text_codes as codes
from lvsdeploy.inventory.masking import Mask, is_reference, is_secret_key
from lvsdeploy.inventory.scalars import Trap, resolve
from lvsdeploy.inventory.yaml_errors import plain_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lvsdeploy.inventory.registry import Code

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 400_000

KeyPath = tuple[str, ...]
"""Keys from the root on; the index of a list's item is written in decimal digits."""
Position = tuple[int, int]  # line, column; both from 0

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
# What YAML 1.1 calls not printable, and its two odd line breaks and NEL, which editors do not count.
_CONTROL = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_TAB = re.compile(r"^ *\t", re.MULTILINE)
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True, repr=False)
class Node:
    """One value: its plain data, where it stands, and its children with the places of their keys."""

    data: Any
    start: Position
    keys: dict[str, tuple[Position, Node]] | None = None
    items: list[Node] | None = None
    trap: Trap | None = None
    size: int = 1  # values in it, aliases expanded
    secret: bool = False

    def child(self, key: str) -> Node | None:
        if self.keys is not None:
            entry = self.keys.get(key)
            return entry[1] if entry else None
        if self.items is not None and key.isascii() and key.isdigit() and int(key) < len(self.items):
            return self.items[int(key)]
        return None


@dataclass(frozen=True)
class Document:
    """An inventory's text, parsed. Its repr shows no content: there may be secrets in it."""

    file: str
    root: Node = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)
    mask: Mask = field(repr=False)

    @property
    def data(self) -> Any:
        """Plain data: dict, list, str, int, float, bool, None. Not to be changed."""
        return self.root.data

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Where `path` stands: a scalar by its value, a mapping or list by its key.

        `key` asks for the key of a scalar too. Of a path that is not there: what comes nearest.
        """
        node, position = self.root, self.root.start
        for step, name in enumerate(path):
            child = node.child(name)
            if child is None:
                break
            if node.keys is None:
                position = child.start
            else:
                collection = child.keys is not None or child.items is not None
                by_key = collection or child.data is None or (key and step == len(path) - 1)
                position = node.keys[name][0] if by_key else child.start
            node = child
        return self.at(position)

    def hidden(self, path: KeyPath) -> bool:
        """Whether what stands at `path` may be a secret, and must not be repeated."""
        node: Node | None = self.root
        for name in path:
            node = node.child(name) if node else None
            if is_secret_key(name) or (node and node.secret):
                return True
        return False

    def at(self, position: Position) -> Place:
        return _place(self.file, self.lines, self.mask, position)

    def traps(self) -> Iterator[tuple[KeyPath, Trap]]:
        """Every trap with its path; what an alias repeats is told once."""
        seen: set[int] = set()
        todo: list[tuple[KeyPath, Node]] = [((), self.root)]
        while todo:
            path, node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.trap:
                yield path, node.trap
            if node.keys is not None:
                todo.extend(((*path, name), child) for name, (_, child) in node.keys.items())
            if node.items is not None:
                todo.extend(((*path, str(i)), child) for i, child in enumerate(node.items))


def read(path: Path, file: str) -> tuple[Document | None, list[Finding]]:
    """The document of a file, named `file` in findings. None when there is nothing to go on with."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be used"
        place = Place(file, 1, 1)
        return None, [codes.UNREADABLE.finding(f"cannot read the file: {reason}", place=place)]
    return parse(raw, file)


def parse(raw: bytes, file: str) -> tuple[Document | None, list[Finding]]:
    """The document of a text. None when there is nothing to go on with; the findings say why."""
    if len(raw) > MAX_BYTES:
        summary = f"the file is larger than {MAX_BYTES >> 20} MiB"
        return None, [codes.TOO_MUCH.finding(summary, place=Place(file, 1, 1))]
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return None, [_not_utf8(raw, error, file)]
    lines = tuple(_LINE_BREAK.split(text))
    reader = _Reader(file, lines)
    for pattern, kind, what in (
        (_CONTROL, codes.NOT_TEXT, "a character that is no text: "),
        (_TAB, codes.TAB, "a tab indents this line"),
    ):
        if match := pattern.search(text):
            at = match.end() - 1
            if kind is codes.NOT_TEXT:
                what += f"U+{ord(text[at]):04X}"  # noqa: PLW2901
            reader.tell(kind, what, _position(text, at))
            return None, reader.findings
    root = reader.read(text)
    if root is None:
        return None, reader.findings
    return Document(file, root, lines, reader.mask), reader.findings


class _Stop(Exception):
    """Nothing after this can be read."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list being read."""

    node: Node
    name: str | None = None  # the key whose value comes next
    at: Position = (0, 0)
    drop: bool = False  # the key stands twice: its value is read and left out
    secret: bool = False  # it stands below a secret's key
    anchor: str | None = None


class _Reader:
    """Turns events into nodes, one frame per open collection."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file = file
        self.lines = lines
        self.told: list[tuple[Code, str, Position, str, str]] = []
        self.mask = Mask()
        self.frames: list[_Frame] = []
        self.anchors: dict[str, Node | None] = {}
        self.spans: dict[int, tuple[Position, Position]] = {}  # of scalars, by id, for aliased secrets
        self.root: Node | None = None

    def tell(self, kind: Code, summary: str, at: Position, *, why: str = "", fix: str = "") -> None:
        self.told.append((kind, summary, at, why, fix))

    @property
    def findings(self) -> list[Finding]:
        """What was told, with lines shown as all of the text read since tells to mask them."""
        return [
            kind.finding(summary, place=_place(self.file, self.lines, self.mask, at), why=why, fix=fix)
            for kind, summary, at, why, fix in self.told
        ]

    def stop(self, kind: Code, summary: str, at: Position, **texts: str) -> _Stop:
        self.tell(kind, summary, at, **texts)
        return _Stop()

    def read(self, text: str) -> Node | None:
        """The root of the text's only document, or None when a finding says why there is none."""
        try:
            for event in yaml.parse(text, Loader=_Loader):
                self.take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = (mark.line, mark.column) if mark else (0, 0)
            sentence = plain_sentence(error, self.lines)
            self.tell(codes.SYNTAX, sentence.summary, at, fix=sentence.fix)
            return None
        except yaml.YAMLError:
            self.tell(codes.NOT_TEXT, "a character that YAML does not take", (0, 0))
            return None
        except _Stop:
            return None
        if self.root is None or self.root.data is None:
            self.tell(codes.EMPTY, "the file is empty", (0, 0))
            return None
        if self.root.keys is None:
            kind = "a list" if self.root.items is not None else "a single value"
            self.tell(codes.EMPTY, f"the file holds {kind}, not a mapping", self.root.start)
            return None
        return self.root

    def take(self, event: Any) -> None:
        at = (event.start_mark.line, event.start_mark.column)
        if isinstance(event, yaml.DocumentStartEvent):
            if self.root is not None:
                raise self.stop(codes.SEVERAL_DOCUMENTS, "a second document starts here", at)
        elif isinstance(event, yaml.ScalarEvent):
            self.scalar(event, at)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event, at)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open(event, at)
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self.frames.pop()
            if frame.anchor:
                self.anchors[frame.anchor] = frame.node
            self.place(frame.node)

    def scalar(self, event: Any, at: Position) -> None:
        frame = self.frames[-1] if self.frames else None
        tagged = self.tag(event, at)
        if event.implicit[0] and not tagged:
            data, trap = resolve(event.value)
        else:
            data, trap = event.value, None
        if frame and frame.node.keys is not None and frame.name is None:
            self.key(frame, event, data if trap is None else None, at)
            return
        node = Node(data, at, trap=trap)
        end = (event.end_mark.line, event.end_mark.column)
        self.spans[id(node)] = (at, end)
        if event.anchor:
            self.anchors[event.anchor] = node
        if not tagged:
            self.hide(node)
        self.place(node)

    def key(self, frame: _Frame, event: Any, data: Any, at: Position) -> None:
        """A mapping's key: told if it is no string or stands twice; the first of two counts."""
        keys, text = frame.node.keys, event.value
        if keys is None:
            return
        if frame.secret and text not in {"env", "file"}:
            self.mask.add(at, (event.end_mark.line, event.end_mark.column))
            text = "?"
        if not isinstance(data, str):
            word = f"'{text}'" if text else "an empty text"
            self.tell(codes.KEY_NOT_STRING, f"YAML does not read {word} as a string here", at)
        frame.name, frame.at, frame.drop = text, at, text in keys
        if frame.drop:
            line, column = keys[text][0]
            summary = f"'{text}' stands twice; the first one is at line {line + 1}, column {column + 1}"
            self.tell(codes.DUPLICATE_KEY, summary, at)

    def alias(self, event: Any, at: Position) -> None:
        if event.anchor not in self.anchors:
            raise self.stop(
                codes.SYNTAX,
                "this alias refers to no anchor above it",
                at,
                fix="Define the anchor first, or put the value in quotes: a text cannot start with `*`.",
            )
        node = self.anchors[event.anchor]
        if node is None:
            raise self.stop(codes.TOO_MUCH, "this alias contains itself", at)
        frame = self.frames[-1] if self.frames else None
        if frame and frame.node.keys is not None and frame.name is None:
            raise self.stop(codes.KEY_NOT_STRING, "a key cannot be an alias", at)
        self.hide(node)
        self.place(node)

    def open(self, event: Any, at: Position) -> None:
        frame = self.frames[-1] if self.frames else None
        if frame and frame.node.keys is not None and frame.name is None:
            raise self.stop(
                codes.KEY_NOT_STRING,
                "a list or a mapping stands where a key belongs",
                at,
                fix="Put the text in quotes if it starts with a bracket or brace; `{{ }}` is not filled in.",
            )
        if len(self.frames) >= MAX_DEPTH:
            raise self.stop(codes.TOO_MUCH, f"more than {MAX_DEPTH} levels of nesting", at)
        self.tag(event, at)
        mapping = isinstance(event, yaml.MappingStartEvent)
        node = Node({}, at, keys={}) if mapping else Node([], at, items=[])
        if event.anchor:
            self.anchors[event.anchor] = None
        secret = bool(frame and (frame.secret or is_secret_key(frame.name or "")))
        self.frames.append(_Frame(node, secret=secret, anchor=event.anchor))

    def place(self, node: Node) -> None:
        """Put a complete value where it belongs: the root, a list's end, behind its key."""
        if not self.frames:
            self.root = node
            return
        frame = self.frames[-1]
        parent = frame.node
        if parent.keys is not None and frame.name is not None:
            if not frame.drop:
                parent.keys[frame.name] = (frame.at, node)
                parent.data[frame.name] = node.data
            frame.name = None
        elif parent.items is not None:
            parent.items.append(node)
            parent.data.append(node.data)
        parent.size += node.size
        if parent.size > MAX_VALUES:
            raise self.stop(
                codes.TOO_MUCH,
                f"more than {MAX_VALUES:,} values once aliases are expanded",
                parent.start,
            )

    def tag(self, event: Any, at: Position) -> bool:
        if event.tag is None:
            return False
        self.tell(codes.TAG, "a tag stands here", at)
        return True

    def hide(self, node: Node) -> None:
        """Mask a value that belongs to a secret's key, unless it only says where the secret is."""
        if not self.frames:
            return
        frame = self.frames[-1]
        name = frame.name or ""
        if not (frame.secret or is_secret_key(name)):
            return
        if frame.secret and is_reference((name,), node.data):
            self.mask.know(node.start[0])
            return
        todo = [node]
        while todo:
            part = todo.pop()
            part.secret = True
            span = self.spans.get(id(part))
            if span and part.keys is None and part.items is None:
                self.mask.add(*span)
                self.mask.know(span[0][0])
            todo.extend(child for _, child in (part.keys or {}).values())
            todo.extend(part.items or ())


def _place(file: str, lines: tuple[str, ...], mask: Mask, at: Position) -> Place:
    line, column = at
    if line >= len(lines):
        line, column = len(lines) - 1, len(lines[-1])
    return Place(file, line + 1, column + 1, mask.apply(line, lines[line]))


def _position(text: str, index: int) -> Position:
    before = _LINE_BREAK.split(text[:index])
    return len(before) - 1, len(before[-1])


def _not_utf8(raw: bytes, error: UnicodeDecodeError, file: str) -> Finding:
    line, column = _position(raw[: error.start].decode("utf-8", "replace"), error.start)
    summary = f"the byte 0x{raw[error.start]:02X} is not UTF-8"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        summary = "the file is UTF-16"
    return codes.NOT_TEXT.finding(summary, place=Place(file, line + 1, column + 1))
