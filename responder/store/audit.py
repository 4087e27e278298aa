"""The audit table: append, page, verify. What the chain proves is decided in `responder.domain.audit`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import orjson

from responder import wire
from responder.domain.audit import GENESIS, AuditHead, AuditRecord, AuditReport, record_digest, verify_chain
from responder.domain.manifest import Json
from responder.store.connection import Connection
from responder.store.rows import RecordTable, to_timestamp

__all__ = ["AuditHead", "AuditRecord", "AuditReport", "append", "head", "of_incident", "page", "records", "verify"]

_TABLE = RecordTable("audit", AuditRecord)
_CHUNK = 1000
"""Records per read while walking the chain."""


def append(
    con: Connection,
    *,
    at: datetime,
    actor: str,
    event: str,
    incident_id: str = "",
    subject: str = "",
    detail: Json = None,
    after: AuditHead | None = None,
) -> AuditRecord:
    """Add one record at the end of the chain. `after` is the end where the caller knows it for sure."""
    end = head(con) if after is None else after
    plain: Json = orjson.loads(wire.dumps(detail))
    digest = record_digest(
        seq=end.seq + 1,
        at=at,
        actor=actor,
        event=event,
        incident_id=incident_id,
        subject=subject,
        detail=plain,
        previous=end.digest,
    )
    record = AuditRecord(
        seq=end.seq + 1,
        at=at,
        actor=actor,
        event=event,
        incident_id=incident_id,
        subject=subject,
        detail=plain,
        previous=end.digest,
        digest=digest,
    )
    _TABLE.insert(con, record)
    return record


def head(con: Connection) -> AuditHead:
    row = con.execute("SELECT seq, digest FROM audit WHERE seq = (SELECT max(seq) FROM audit)").fetchone()
    return AuditHead() if row is None else AuditHead(seq=row[0], digest=row[1])


def page(
    con: Connection,
    *,
    incident_id: str = "",
    actor: str = "",
    event: str = "",
    since: datetime | None = None,
    limit: int = 100,
    before: int = 0,
) -> tuple[AuditRecord, ...]:
    """Newest first; `before` is the sequence number at which the page before ended, 0 for the first page."""
    clauses, values = _only(incident_id=incident_id, actor=actor, event=event)
    if since is not None:
        clauses.append("recorded_at >= ?")
        values.append(to_timestamp(since))
    if before:
        clauses.append("seq < ?")
        values.append(before)
    limit = max(1, min(limit, 1000))
    return _TABLE.select(con, f"WHERE {' AND '.join(clauses or ['TRUE'])} ORDER BY seq DESC LIMIT {limit}", values)


def of_incident(con: Connection, incident_id: str) -> tuple[AuditRecord, ...]:
    """Oldest first."""
    return _TABLE.select(con, "WHERE incident_id = ? ORDER BY seq", [incident_id])


def after(
    con: Connection, seq: int, *, incident_id: str = "", actor: str = "", event: str = "", limit: int = 500
) -> tuple[AuditRecord, ...]:
    """The records that follow `seq`, oldest first; of one incident, actor or event where that is given."""
    clauses, values = _only(incident_id=incident_id, actor=actor, event=event)
    limit = max(1, min(limit, 1000))
    where = " AND ".join(("seq > ?", *clauses))
    return _TABLE.select(con, f"WHERE {where} ORDER BY seq LIMIT {limit}", [seq, *values])


def digest_at(con: Connection, seq: int) -> str:
    """Of the record with this number, `GENESIS` for 0; '' where there is none."""
    if seq == 0:
        return GENESIS
    row = con.execute("SELECT digest FROM audit WHERE seq = ?", [seq]).fetchone()
    return str(row[0]) if row else ""


def records(con: Connection) -> Iterator[AuditRecord]:
    """The whole chain in the order of its numbers, in bounded memory."""
    last, offset = -(2**62), 0
    while True:
        # Rows that share a number are all read, so that a record slipped in twice is seen.
        chunk = _TABLE.select(con, f"WHERE seq >= ? ORDER BY seq, digest LIMIT {_CHUNK} OFFSET {offset}", [last])
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        same = sum(record.seq == chunk[-1].seq for record in chunk)
        offset = offset + same if chunk[-1].seq == last else same
        last = chunk[-1].seq


def verify(con: Connection, remembered: AuditHead | None = None) -> AuditReport:
    """Walk the chain and compare its end with the head kept outside the database."""
    try:
        return verify_chain(records(con), remembered)
    except ValueError as exc:
        return AuditReport(ok=False, checked=0, problem=f"a record cannot be read: {exc}")


def _only(**wanted: str) -> tuple[list[str], list[object]]:
    """Conditions and values of the columns that are asked for."""
    given = {column: value for column, value in wanted.items() if value}
    return [f"{column} = ?" for column in given], list(given.values())
