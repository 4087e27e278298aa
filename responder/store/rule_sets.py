"""Rule sets that were in force: digest, time and files, so that a record's digest can be looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.store.connection import Connection
from responder.store.rows import RecordTable


@dataclass(frozen=True, kw_only=True)
class LoadedRuleSet:
    digest: str
    loaded_at: datetime
    files: tuple[str, ...] = ()


_TABLE = RecordTable("rule_sets", LoadedRuleSet)


def insert(con: Connection, *, digest: str, at: datetime, files: Sequence[str] = ()) -> None:
    """Every loading is a row of its own: the same set may come back."""
    _TABLE.insert(con, LoadedRuleSet(digest=digest, loaded_at=at, files=tuple(files)))


def loaded(con: Connection) -> tuple[LoadedRuleSet, ...]:
    """Newest first."""
    return _TABLE.select(con, "ORDER BY loaded_at DESC")
