"""Which incidents one asks for, and in which order: what the console's filter line, the API's parameters and the
store's SQL all mean. Pure; how it is typed is the console's, how it is spelt in SQL the store's.

Name patterns are shell globs without classes: `*` any number of characters, `?` one. Everything is compared whatever
the case, and every condition has to hold.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum

from responder.domain.incident import Outcome, State


class SortBy(StrEnum):
    """Columns of the list. Incidents that are equal in one stand newest first, in either direction."""

    AGE = "age"
    """Ascending is youngest first."""
    STATE = "state"
    """By urgency: what waits for a human, then what failed, then what is under way, then what is over."""
    SEVERITY = "severity"
    """Critical, error, warning, info, then every other word, then none."""
    RULE = "rule"
    MODE = "mode"
    """The one that can do most first."""
    TARGET = "target"
    """Namespace, kind, name of the root object; the key where there is no object."""
    SUMMARY = "summary"


@dataclass(frozen=True, kw_only=True)
class Order:
    by: SortBy = SortBy.AGE
    descending: bool = False

    def __str__(self) -> str:
        """As the API's `sort` spells it: `severity`, or `-severity`."""
        return f"-{self.by}" if self.descending else self.by.value

    @classmethod
    def parse(cls, text: str) -> Order:
        """Raises ValueError, with a sentence."""
        name = text.removeprefix("-")
        if name not in set(SortBy):
            raise ValueError(f"{name[:32]!r} is no column; there are {', '.join(SortBy)}")
        return cls(by=SortBy(name), descending=text.startswith("-"))


NEWEST_FIRST = Order()


@dataclass(frozen=True, kw_only=True)
class Search:
    """Each tuple is a set of alternatives; empty admits everything. The `not_` of one takes its matches out."""

    text: tuple[str, ...] = ()
    """Every one of these is contained in id, key, summary or labels: the one tuple that is no set of alternatives."""
    not_text: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    namespaces: tuple[str, ...] = ()
    """Patterns, as are rules, severities, modes and kinds."""
    not_namespaces: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    not_rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    not_severities: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """Of the root object."""
    younger_than: timedelta | None = None
    """Opened less than this ago."""
    older_than: timedelta | None = None

    @property
    def is_empty(self) -> bool:
        return all(not getattr(self, item.name) for item in fields(self))


EVERYTHING = Search()
