"""Snapshots of investigations, packed: what was looked at, for whoever looks at the same again."""

from __future__ import annotations

from datetime import datetime, timedelta

from responder.store.connection import Connection
from responder.store.rows import to_timestamp


def put(con: Connection, investigation_id: str, body: bytes, *, at: datetime, keep_days: float) -> None:
    """Keep one, and drop what is older than `keep_days`. A second one of the same investigation changes nothing."""
    con.execute("DELETE FROM snapshots WHERE taken_at < ?", [to_timestamp(at - timedelta(days=keep_days))])
    known = con.execute("SELECT 1 FROM snapshots WHERE investigation_id = ?", [investigation_id]).fetchone()
    if known is None:
        con.execute("INSERT INTO snapshots VALUES (?, ?, ?)", [investigation_id, to_timestamp(at), body])


def newest_of_incident(con: Connection, incident_id: str) -> tuple[str, bytes] | None:
    """Investigation id and packed snapshot; None where none was kept, or not any more."""
    row = con.execute(
        "SELECT s.investigation_id, s.body FROM snapshots s JOIN investigations v ON v.id = s.investigation_id "
        "WHERE v.incident_id = ? ORDER BY v.number DESC LIMIT 1",
        [incident_id],
    ).fetchone()
    return None if row is None else (str(row[0]), bytes(row[1]))
