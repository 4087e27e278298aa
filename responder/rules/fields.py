"""Typed reading of one mapping of a rule file: each read names a key, and what nobody asked for is an unknown key.

A problem never stops the reading: it is noted with its place, the default stands in, and the whole set is refused at
the end. So a person sees every mistake of every file at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from responder.document import Items, Node, Problems, Scalar, Table, unknown
from responder.domain.rule import Rate

T = TypeVar("T")
D = TypeVar("D")
E = TypeVar("E", bound=StrEnum)

MAX_DURATION_SECONDS = 30 * 86400.0

_DURATION = re.compile(r"(?:\d{1,9}(?:ms|s|m|h|d|w)){1,6}", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)(ms|s|m|h|d|w)", re.ASCII)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WHOLE = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)


class Unreadable(Exception):
    """A value is not what its key wants. `Fields` catches it where it knows the place."""


class Fields:
    """One mapping being read. `key` is its own place in the file, such as `rules[2].verify`."""

    def __init__(self, table: Table, *, key: str, problems: Problems) -> None:
        self.table = table
        self.key = key
        self._problems = problems
        self._nodes = {entry.key.value: entry.node for entry in table.entries}
        self._asked: list[str] = []

    def has(self, name: str) -> bool:
        return name in self._nodes

    def get(self, name: str, read: Callable[[Node], T], default: T) -> T:
        node = self._take(name)
        return default if node is None else self._attempt(node, read, self.path(name), default)

    def require(self, name: str, read: Callable[[Node], T], stand_in: T) -> T:
        if not self.has(name):
            self.problem(f"{name} is missing")
        return self.get(name, read, stand_in)

    def items(self, name: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """A list of at least one item; an absent key is the empty tuple."""
        node = self._take(name)
        if node is None:
            return ()
        values: list[T] = []
        for position, item in enumerate(self._list(node, name)):
            try:
                values.append(read(item))
            except Unreadable as exc:
                self._note(item, f"{self.path(name)}[{position}]", str(exc))
        if len(set(values)) < len(values):
            self.problem("an item is written twice", name)
        return tuple(values)

    def words(self, name: str, what: str, known: tuple[str, ...]) -> tuple[str, ...]:
        """A list of words, each of which must be known."""
        return self.items(name, one_of(what, known))

    def texts(self, name: str) -> Mapping[str, str]:
        """A mapping of text to text."""
        node = self._take(name)
        if node is None:
            return {}
        if not isinstance(node, Table):
            self._note(node, self.path(name), f"must be a mapping, not {node.described}")
            return {}
        inner = Fields(node, key=self.path(name), problems=self._problems)
        return {entry.key.value: inner.get(entry.key.value, text, "") for entry in node.entries}

    def section(self, name: str, build: Callable[[Fields], T], default: T) -> T:
        node = self._take(name)
        return default if node is None else self._build(node, self.path(name), build, default)

    def sections(self, name: str, build: Callable[[Fields], T]) -> tuple[T, ...]:
        """A list of mappings. One with a problem is left out, so that its stand-ins clash with nothing later."""
        node = self._take(name)
        if node is None:
            return ()
        values: list[T] = []
        for position, item in enumerate(self._list(node, name, may_be_empty=True)):
            before = len(self._problems.found)
            value = self._build(item, f"{self.path(name)}[{position}]", build, None)
            if value is not None and len(self._problems.found) == before:
                values.append(value)
        return tuple(values)

    def close(self) -> None:
        """Note every key that nobody asked for."""
        for entry in self.table.entries:
            if entry.key.value not in self._asked:
                self._problems.add(
                    unknown("key", entry.key.value, self._asked),
                    key=self.path(entry.key.value),
                    line=entry.key.line,
                    column=entry.key.column,
                )

    def problem(self, text: str, name: str = "") -> None:
        """Note a problem of the whole mapping, or of the value under `name` where there is one."""
        self._note(self._nodes.get(name, self.table), self.path(name) if name else self.key, text)

    def path(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name

    def _take(self, name: str) -> Node | None:
        self._asked.append(name)
        return self._nodes.get(name)

    def _attempt(self, node: Node, read: Callable[[Node], T], key: str, default: T) -> T:
        try:
            return read(node)
        except Unreadable as exc:
            self._note(node, key, str(exc))
            return default

    def _build(self, node: Node, key: str, build: Callable[[Fields], T], default: D) -> T | D:
        if not isinstance(node, Table):
            self._note(node, key, f"must be a mapping, not {node.described}")
            return default
        fields = Fields(node, key=key, problems=self._problems)
        value = build(fields)
        fields.close()
        return value

    def _list(self, node: Node, name: str, *, may_be_empty: bool = False) -> tuple[Node, ...]:
        if not isinstance(node, Items):
            self._note(node, self.path(name), f"must be a list, not {node.described}")
            return ()
        if not node.nodes and not may_be_empty:
            self._note(node, self.path(name), "the list is empty; leave the key out instead")
        return node.nodes

    def _note(self, node: Node, key: str, text: str) -> None:
        self._problems.add(text, key=key, line=node.line, column=node.column)


def text(node: Node) -> str:
    """Text that YAML takes for text too: `no`, `1.10` and `12:30` must stand in quotes to be meant."""
    if not isinstance(node, Scalar):
        raise Unreadable(f"must be text, not {node.described}")
    if node.kind == "null" and not node.value:
        raise Unreadable("has no value")
    if node.kind != "str":
        raise Unreadable(f"YAML reads {node.value} as {node.described}; put it in quotes if text is meant")
    return node.value


def name_like(node: Node) -> str:
    """Text of at least one character without spaces at its ends."""
    value = text(node)
    if not value or value != value.strip():
        raise Unreadable("must not be empty, nor begin or end with a space")
    return value


def truth(node: Node) -> bool:
    if isinstance(node, Scalar) and node.kind == "bool" and node.value in ("true", "false"):
        return node.value == "true"
    raise Unreadable("must be true or false")


def whole(*, at_least: int, at_most: int) -> Callable[[Node], int]:
    def read(node: Node) -> int:
        if not isinstance(node, Scalar) or node.kind != "int" or not _WHOLE.fullmatch(node.value):
            raise Unreadable("must be a whole number in digits")
        value = int(node.value)
        if not at_least <= value <= at_most:
            raise Unreadable(f"must be {at_least} to {at_most}, not {value}")
        return value

    return read


def duration(*, zero: bool = False) -> Callable[[Node], float]:
    """Seconds, from Prometheus notation such as `90s` or `1h30m`."""

    def read(node: Node) -> float:
        seconds = _seconds(node.value) if isinstance(node, Scalar) else None
        if seconds is None:
            raise Unreadable("must be a duration with its unit, such as 30s, 5m or 1h30m")
        if seconds == 0 and not zero:
            raise Unreadable("must be longer than 0")
        if seconds > MAX_DURATION_SECONDS:
            raise Unreadable("must not be longer than 30d")
        return seconds

    return read


def rate(node: Node) -> Rate:
    """`3/1h`: at most 3 in any hour."""
    problem = "must be COUNT/DURATION, such as 1/30m, each above 0"
    count, slash, window = node.value.partition("/") if isinstance(node, Scalar) else ("", "", "")
    seconds = _seconds(window)
    if not slash or not _WHOLE.fullmatch(count) or int(count) == 0 or not seconds:
        raise Unreadable(problem)
    if seconds > MAX_DURATION_SECONDS:
        raise Unreadable("the window must not be longer than 30d")
    return Rate(count=int(count), seconds=seconds)


def one_of(what: str, known: tuple[str, ...]) -> Callable[[Node], str]:
    def read(node: Node) -> str:
        word = text(node)
        if word not in known:
            raise Unreadable(unknown(what, word, known))
        return word

    return read


def member_of(what: str, words: type[E]) -> Callable[[Node], E]:
    read_word = one_of(what, tuple(words))
    return lambda node: words(read_word(node))


def _seconds(written: str) -> float | None:
    if not _DURATION.fullmatch(written):
        return None
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in _DURATION_PART.findall(written))
