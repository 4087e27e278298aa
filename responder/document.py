"""YAML text as a tree in which every value knows its line and column. Rule files and the settings are read through it.

It decides what is well-formed and harmless: one document, plain values, no aliases, no tags, no duplicate keys, bounded
size and depth. What the keys mean is left to the reader of the tree. The text is taken as parser events and never
composed by recursion, so that nesting costs no stack and a file of a few bytes cannot unfold into millions of nodes.

Format: YAML 1.1 as libyaml reads it, https://yaml.org/spec/1.1/. Its surprises (`no` is a boolean, `12:30` a number)
are kept apart in `Scalar.kind`, so that a reader who expects text can refuse them instead of guessing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import yaml
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from responder.domain.errors import ConfigError

MAX_BYTES = 1024 * 1024
"""Of one file: as much as a ConfigMap can hold."""
MAX_DEPTH = 20
MAX_NODES = 250_000

_TAG_PREFIX = "tag:yaml.org,2002:"
_KIND_WORDS = {
    "bool": "a true/false value",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
    "merge": "a merge key",
    "value": "a default key",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    value: str
    """As written, quotes and escapes resolved."""
    kind: str
    """str, bool, int, float, null, timestamp, merge or value: what YAML makes of it. Quoted text is always str."""
    line: int
    """From 1, as is `column`."""
    column: int

    @property
    def described(self) -> str:
        return _KIND_WORDS.get(self.kind, "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    nodes: tuple[Node, ...]
    line: int
    column: int

    @property
    def described(self) -> str:
        return "a list"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    key: Scalar
    node: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A mapping. Keys are unique text."""

    entries: tuple[Entry, ...]
    line: int
    column: int

    @property
    def described(self) -> str:
        return "a mapping"


Node = Scalar | Items | Table


class _Mark(Protocol):
    """The two kinds of mark that PyYAML has, with libyaml and without, share no class."""

    line: int
    column: int


class Problems:
    """Collects what is wrong with one file, so that all of it is reported at once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[ConfigError] = []

    def add(self, problem: str, *, key: str = "", line: int = 0, column: int = 0) -> None:
        self.found.append(ConfigError(path=self.path, problem=problem, key=key, line=line, column=column))


class _Abort(Exception):
    """The rest of the file cannot be read; the problem has been noted."""


def parse(raw: bytes, problems: Problems) -> Node | None:
    """The tree of one file, or None where there is none to be had; `problems` then says why.

    A tree may be returned together with problems: what could be read is worth checking too.
    """
    text = _decoded(raw, problems)
    if text is None:
        return None
    composer = _Composer(problems)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.take(event)
    except _Abort:
        return None
    except yaml.MarkedYAMLError as exc:
        _note_syntax(exc, text, problems)
        return None
    except yaml.reader.ReaderError as exc:
        before = text[: exc.position]
        column = exc.position - before.rfind("\n")
        problems.add(f"the character U+{ord(text[exc.position]):04X} may not stand in YAML",
                     line=before.count("\n") + 1, column=column)  # fmt: skip
        return None
    if composer.root is None:
        problems.add("the file is empty")
    return composer.root


def read(path: Path) -> bytes:
    """The file's bytes, and of a file that is too large only as many as `parse` needs to refuse it.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` is probably a slip of, or ''."""
    words = {str(one).lower(): str(one) for one in known}
    slip = word.lower()
    close = difflib.get_close_matches(slip, words, n=1, cutoff=0.6)
    longer = [one for one in words if len(slip) > 2 and one.startswith(slip)]
    return next((words[one] for one in close + longer), "")


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """The sentence for a word that is none of the known: it names the nearest, or else all of them."""
    words = tuple(str(one) for one in known)
    guess = nearest(word, words)
    hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(words)}"
    return f"unknown {what} {word!r}; {hint}"


def _decoded(raw: bytes, problems: Problems) -> str | None:
    if len(raw) > MAX_BYTES:
        problems.add(f"the file has more than {MAX_BYTES} bytes; split it")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        before = raw[: exc.start]
        line = before.count(b"\n") + 1
        problems.add("the file is not UTF-8", line=line, column=exc.start - before.rfind(b"\n"))
        return None


def _note_syntax(exc: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    problem = exc.problem or "not YAML"
    line, column = _position(exc.problem_mark or exc.context_mark)
    lines = text.split("\n")
    where = lines[line - 1] if 0 < line <= len(lines) else ""  # the mark may stand behind the last line
    if where[column - 1 : column] == "\t":
        problem = f"{problem}: a tab; indent with spaces"
    problems.add(problem, line=line, column=column)


def _position(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


@dataclass(kw_only=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    is_table: bool
    line: int
    column: int
    nodes: list[Node] = field(default_factory=list)


class _Composer:
    def __init__(self, problems: Problems) -> None:
        self.root: Node | None = None
        self._problems = problems
        self._open: list[_Open] = []
        self._documents = 0
        self._count = 0
        self._resolver = Resolver()

    def take(self, event: yaml.Event) -> None:
        line, column = _position(event.start_mark)
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(line, column)
            case yaml.AliasEvent():
                self._problem(f"aliases are not read; write the value out instead of *{event.anchor}", line, column)
                self._place(Scalar(value="", kind="null", line=line, column=column))
            case yaml.ScalarEvent():
                self._refuse_decoration(event, line, column)
                self._place(Scalar(value=event.value, kind=self._kind(event), line=line, column=column))
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._refuse_decoration(event, line, column)
                self._descend(_Open(is_table=isinstance(event, yaml.MappingStartEvent), line=line, column=column))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._place(self._closed(self._open.pop()))
            case _:
                pass

    def _start_document(self, line: int, column: int) -> None:
        self._documents += 1
        if self._documents > 1:
            self._problem("a second document begins; write one document per file", line, column)
            raise _Abort

    def _refuse_decoration(self, event: yaml.NodeEvent, line: int, column: int) -> None:
        if event.anchor is not None:
            self._problem(f"anchors are not read: &{event.anchor}", line, column)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            self._problem(f"tags are not read: {tag}", line, column)

    def _kind(self, event: yaml.ScalarEvent) -> str:
        if event.implicit[0]:
            tag = self._resolver.resolve(ScalarNode, event.value, (True, False))  # type: ignore[no-untyped-call]
            return str(tag).removeprefix(_TAG_PREFIX)
        return "str"

    def _descend(self, opened: _Open) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._problem(f"nested deeper than {MAX_DEPTH} levels", opened.line, opened.column)
            raise _Abort
        self._open.append(opened)

    def _place(self, node: Node) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._problem(f"more than {MAX_NODES} values in one file", node.line, node.column)
            raise _Abort
        if self._open:
            self._open[-1].nodes.append(node)
        elif not (isinstance(node, Scalar) and node.kind == "null"):
            self.root = node

    def _closed(self, opened: _Open) -> Node:
        if not opened.is_table:
            return Items(nodes=tuple(opened.nodes), line=opened.line, column=opened.column)
        entries: dict[str, Entry] = {}
        for key, node in zip(opened.nodes[::2], opened.nodes[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problem(f"a key must be text, not {key.described}", key.line, key.column)
            elif key.kind != "str":
                self._problem(_not_text(key), key.line, key.column)
            elif key.value in entries:
                first = entries[key.value].key.line
                self._problem(f"the key {key.value!r} is written twice, first in line {first}", key.line, key.column)
            else:
                entries[key.value] = Entry(key=key, node=node)
        return Table(entries=tuple(entries.values()), line=opened.line, column=opened.column)

    def _problem(self, text: str, line: int, column: int) -> None:
        self._problems.add(text, line=line, column=column)


def _not_text(key: Scalar) -> str:
    if key.kind == "merge":
        return "merge keys are not read; write the entries out"
    return f"YAML reads the key {key.value or '(empty)'} as {key.described}; put it in quotes"
