"""The brakes as last set. Every setting stays on record; the newest revision holds."""

from __future__ import annotations

from responder.domain.mode import ModeSettings
from responder.store.connection import Connection
from responder.store.rows import RecordTable

_TABLE = RecordTable("modes", ModeSettings, extra=("revision",))


def get(con: Connection) -> ModeSettings:
    """The defaults where nobody has set anything."""
    found = _TABLE.select(con, "ORDER BY revision DESC LIMIT 1")
    return found[0] if found else ModeSettings()


def put(con: Connection, settings: ModeSettings) -> None:
    row = con.execute("SELECT coalesce(max(revision), 0) + 1 FROM modes").fetchone()
    _TABLE.insert(con, settings, revision=row[0] if row else 1)
