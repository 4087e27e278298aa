"""Regular expressions over text from outside: RE2, whose time is linear in the text whatever the text is.

Syntax: https://github.com/google/re2/wiki/Syntax (no look-around, no back-references).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import re2

MAX_LINE = 2_000  # characters of one line that are looked at
_MAX_LINES = 200


@dataclass(frozen=True)
class Hit:
    """One match; a group that took no part is the empty string."""

    text: str
    groups: tuple[str, ...]

    def __getitem__(self, group: int) -> str:
        return self.groups[group - 1]


@dataclass(frozen=True)
class Pattern:
    """A compiled expression that also bears text which is not valid Unicode."""

    expression: str
    memory: int = 0
    """Bytes for the states of a large expression, which is slow without; 0: what RE2 takes by itself (8 MiB)."""
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        options = re2.Options()
        options.log_errors = False
        if self.memory:
            options.max_mem = self.memory
        object.__setattr__(self, "_compiled", re2.compile(self.expression, options))

    def first(self, text: str) -> Hit | None:
        return next(self.each(text), None)

    def found(self, text: str) -> bool:
        return self._compiled.search(well_formed(text)) is not None

    def each(self, text: str) -> Iterator[Hit]:
        for match in self._compiled.finditer(well_formed(text)):
            yield _hit(match)

    def replace(self, text: str, by: Callable[[Hit], str]) -> str:
        return str(self._compiled.sub(lambda match: by(_hit(match)), well_formed(text)))


def _hit(match: Any) -> Hit:
    return Hit(text=match.group(0), groups=tuple(group or "" for group in match.groups()))


def well_formed(text: str) -> str:
    """The text with lone surrogates replaced: they cannot be encoded, so neither matched nor stored."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def last_lines(text: str, count: int = _MAX_LINES) -> tuple[str, ...]:
    """The last lines that hold anything, in order, each cut to `MAX_LINE`."""
    lines = [line[:MAX_LINE].rstrip() for line in text.splitlines()[-2 * count :]]
    return tuple(line for line in lines if line)[-count:]
