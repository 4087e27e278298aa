"""The record of what others changed: versions of objects, each with its differences to the one before.

The newest version of an object that still exists always stays, so that the next one has something to be compared with.
Bodies come in redacted; what cannot be restored from says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from responder.domain.difference import differences
from responder.domain.errors import NotFound
from responder.domain.manifest import Manifest
from responder.domain.refs import ObjectRef
from responder.domain.versions import HIDDEN, Difference, ObjectVersion, VersionEvent
from responder.store.connection import Connection
from responder.store.rows import RecordTable, Value, to_timestamp

_TABLE = RecordTable("object_versions", ObjectVersion, extra=("digest", "hidden", "body", "body_bytes"))
_TYPES = {
    "seq": "BIGINT",
    "generation": "BIGINT",
    "more_differences": "INTEGER",
    "body_bytes": "INTEGER",
    "seen_at": "TIMESTAMP",
    "changed_at": "TIMESTAMP",
    "while_away": "BOOLEAN",
    "restorable": "BOOLEAN",
}
_AT = "coalesce(changed_at, seen_at)"
_STEP = timedelta(seconds=2)
"""managedFields tell whole seconds: two writes this close may carry one time."""

PAGE_MAX = 500
MAX_DIFFERENCES = 50


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A version as the watch saw it, before it is known how it differs."""

    version: ObjectVersion
    """Without seq and differences."""
    digest: str = ""
    body: bytes = b""
    """JSON, redacted; empty of a deletion."""
    hidden: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = 262_144
    """A larger body is kept only until the next version has been compared with it."""
    status_manager: str = ""
    """Who last wrote the status, for a change that is in the status alone."""
    status_at: datetime | None = None

    @property
    def size(self) -> int:
        return len(self.body) + 500


class Known(NamedTuple):
    """What is last known of an object that exists."""

    kind: str
    namespace: str
    name: str
    uid: str
    digest: str


class _Before(NamedTuple):
    """The row that a new version is compared with."""

    seq: int
    uid: str
    event: str
    manager: str
    changed_at: datetime | None
    seen_at: datetime
    hidden: Mapping[str, str]
    body: bytes


def append(con: Connection, incoming: Sequence[NewVersion]) -> None:
    """Add versions, oldest first, each compared with the one before it.

    A deletion after a deletion, and a change of what the record does not know, are kept as they come.
    """
    if not incoming:
        return
    before = _newest(con, {new.version.ref.without_uid() for new in incoming})
    seq = _last_seq(con)
    rows = dict[int, dict[str, Value]]()
    for new in incoming:
        place = new.version.ref.without_uid()
        previous = before.get(place)
        finished = _finished(new, previous, seq := seq + 1)
        rows[seq] = _row(finished, new)
        if previous is not None and len(previous.body) > new.max_bytes:
            _drop_body(con, rows, previous.seq)
        before[place] = _as_before(finished, new)
    _insert(con, tuple(rows.values()))


def latest(con: Connection) -> Iterator[Known]:
    """Every object that exists, as far as the record knows."""
    rows = con.execute(
        "SELECT ref_kind, ref_namespace, ref_name, arg_max(ref_uid, seq), arg_max(digest, seq) FROM object_versions "
        "GROUP BY ref_kind, ref_namespace, ref_name HAVING arg_max(event, seq) <> 'deleted'"
    )
    while chunk := rows.fetchmany(1000):
        yield from map(Known._make, chunk)


def last_seen_at(con: Connection) -> datetime | None:
    """When the record was last written to; None for an empty one."""
    found = _TABLE.select(con, "ORDER BY seq DESC LIMIT 1")
    return found[0].seen_at if found else None


def page(
    con: Connection,
    *,
    kind: str = "",
    namespace: str = "",
    name: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    refs: Sequence[ObjectRef] = (),
    kinds: Sequence[tuple[str, str]] = (),
    incident_id: str = "",
    limit: int = 50,
    cursor: str = "",
) -> tuple[tuple[ObjectVersion, ...], str]:
    """Changes, newest first, and the cursor of the next page ('' after the last). First sights are no changes.

    `refs` are objects by name and `kinds` pairs of kind and namespace; with these or `incident_id`, only what is one of
    them, or was weighed for the incident. `since` and `until` are about when it happened, as well as that is known.
    """
    clauses, values = ["event <> 'seen'"], list[object]()
    for column, value in (("ref_kind", kind), ("ref_namespace", namespace), ("ref_name", name)):
        if value:
            clauses.append(f"{column} = ?")
            values.append(value)
    for sign, moment in ((">=", since), ("<=", until)):
        if moment is not None:
            clauses.append(f"{_AT} {sign} ?")
            values.append(to_timestamp(moment))
    about, given = _about(refs, kinds, incident_id)
    if about:
        clauses.append(f"({' OR '.join(about)})")
        values += given
    if cursor:
        clauses.append("seq < ?")
        values.append(int(cursor))
    limit = max(1, min(limit, PAGE_MAX))
    found = _TABLE.select(con, f"WHERE {' AND '.join(clauses)} ORDER BY seq DESC LIMIT {limit + 1}", values)
    return found[:limit], str(found[limit - 1].seq) if len(found) > limit else ""


def body(con: Connection, seq: int) -> Manifest:
    """The object as it was, redacted. Raises NotFound where the version is gone, or its body was not kept."""
    row = con.execute("SELECT body FROM object_versions WHERE seq = ?", [seq]).fetchone()
    if row is None or not row[0]:
        raise NotFound(f"version {seq} holds no body")
    found: Manifest = orjson.loads(row[0])
    return found


def bodies(con: Connection, version: ObjectVersion) -> tuple[Manifest, ...]:
    """What is kept of the version and of the one before it; fewer than two where one was not kept."""
    rows = con.execute(
        "SELECT body FROM object_versions WHERE ref_kind = ? AND ref_namespace = ? AND ref_name = ? AND seq <= ? "
        "ORDER BY seq DESC LIMIT 2",
        [version.ref.kind, version.ref.namespace, version.ref.name, version.seq],
    ).fetchall()
    return tuple(orjson.loads(found) for (found,) in rows if found)


def last_good(con: Connection, ref: ObjectRef) -> ObjectVersion | None:
    """The newest version of the name that the object could be restored from; its body is `body(con, seq)`."""
    found = _TABLE.select(
        con,
        "WHERE ref_kind = ? AND ref_namespace = ? AND ref_name = ? AND restorable AND event <> 'deleted' "
        "ORDER BY seq DESC LIMIT 1",
        [ref.kind, ref.namespace, ref.name],
    )
    return found[0] if found else None


def link(con: Connection, incident_id: str, weighed: Sequence[ObjectVersion]) -> None:
    """Remember which versions an investigation of the incident weighed."""
    if weighed:
        con.execute(
            "INSERT INTO incident_changes SELECT ?, s.seq FROM (SELECT unnest(?::BIGINT[]) AS seq) s WHERE NOT EXISTS "
            "(SELECT 1 FROM incident_changes c WHERE c.incident_id = ? AND c.version_seq = s.seq)",
            [incident_id, [version.seq for version in weighed], incident_id],
        )


def prune(con: Connection, *, before: datetime, max_versions: int, max_total_bytes: int) -> int:
    """Drop what is too old or too much; how many rows. The newest version of an object that exists stays, and of one
    that was deleted after `before` the last that has a body: it may have to be restored."""
    row = con.execute(
        """
        DELETE FROM object_versions WHERE seq IN (
            WITH ranked AS (
                SELECT
                    seq, seen_at,
                    row_number() OVER of_object AS newness,
                    first_value(event) OVER of_object AS last_event,
                    first_value(seen_at) OVER of_object AS last_seen,
                    row_number() OVER (
                        PARTITION BY ref_kind, ref_namespace, ref_name, event = 'deleted' ORDER BY seq DESC
                    ) AS newness_alike,
                    event,
                    sum(body_bytes + strlen(differences)) OVER (ORDER BY seq DESC) AS total
                FROM object_versions
                WINDOW of_object AS (PARTITION BY ref_kind, ref_namespace, ref_name ORDER BY seq DESC)
            )
            SELECT seq FROM ranked
            WHERE (seen_at < ? OR newness > ? OR total > ?)
              AND NOT (last_event <> 'deleted' AND newness = 1)
              AND NOT (last_event = 'deleted' AND last_seen >= ? AND event <> 'deleted' AND newness_alike = 1)
              AND seq < (SELECT max(seq) FROM object_versions)
        )
        """,
        [to_timestamp(before), max_versions, max_total_bytes, to_timestamp(before)],
    ).fetchone()
    con.execute("DELETE FROM incident_changes WHERE version_seq NOT IN (SELECT seq FROM object_versions)")
    return int(row[0]) if row else 0


def _about(
    refs: Sequence[ObjectRef], kinds: Sequence[tuple[str, str]], incident_id: str
) -> tuple[list[str], list[object]]:
    clauses, values = list[str](), list[object]()
    if refs:
        clauses.append(
            "(ref_kind, ref_namespace, ref_name) IN "
            "(SELECT (unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[])))"
        )
        values += [[ref.kind for ref in refs], [ref.namespace for ref in refs], [ref.name for ref in refs]]
    if kinds:
        clauses.append("(ref_kind, ref_namespace) IN (SELECT (unnest(?::VARCHAR[]), unnest(?::VARCHAR[])))")
        values += [[kind for kind, _ in kinds], [namespace for _, namespace in kinds]]
    if incident_id:
        clauses.append("seq IN (SELECT version_seq FROM incident_changes WHERE incident_id = ?)")
        values.append(incident_id)
    return clauses, values


def _last_seq(con: Connection) -> int:
    row = con.execute("SELECT coalesce(max(seq), 0) FROM object_versions").fetchone()
    return int(row[0]) if row else 0


def _newest(con: Connection, places: set[ObjectRef]) -> dict[ObjectRef, _Before]:
    """The newest row of each place that has one."""
    listed = sorted(places)
    rows = con.execute(
        "SELECT ref_kind, ref_namespace, ref_name, seq, ref_uid, event, manager, changed_at, seen_at, hidden, body "
        "FROM object_versions WHERE seq IN (SELECT max(seq) FROM object_versions WHERE "
        "(ref_kind, ref_namespace, ref_name) IN "
        "(SELECT (unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]))) "
        "GROUP BY ref_kind, ref_namespace, ref_name)",
        [[ref.kind for ref in listed], [ref.namespace for ref in listed], [ref.name for ref in listed]],
    ).fetchall()
    return {
        ObjectRef(kind=kind, namespace=namespace, name=name): _Before._make(
            (*plain, orjson.loads(hidden), body.encode())
        )
        for kind, namespace, name, *plain, hidden, body in rows
    }


def _finished(new: NewVersion, before: _Before | None, seq: int) -> ObjectVersion:
    version = replace(new.version, seq=seq)
    if before is not None and not version.ref.uid:
        version = replace(version, ref=replace(version.ref, uid=before.uid))
    if len(new.body) > new.max_bytes:
        version = replace(version, restorable=False, lost=f"larger than {new.max_bytes} bytes")
    if version.event is not VersionEvent.CHANGED or before is None:
        return version
    version = _compared(version, new, before)
    if version.differences and all(item.path.startswith("status.") for item in version.differences):
        return replace(version, manager=new.status_manager, changed_at=new.status_at)
    return _without_stale_author(version, before)


def _compared(version: ObjectVersion, new: NewVersion, before: _Before) -> ObjectVersion:
    hidden = tuple(
        Difference(path=path, before=HIDDEN, after=HIDDEN)
        for path, digest in new.hidden.items()
        if before.hidden.get(path, digest) != digest
    )
    if not before.body or not new.body:
        return replace(version, differences=hidden, lost=version.lost or "the version before was not kept")
    found, more = differences(orjson.loads(before.body), orjson.loads(new.body), limit=MAX_DIFFERENCES)
    seen = {item.path for item in found}
    every = (*found, *(item for item in hidden if item.path not in seen))
    return replace(
        version,
        differences=every[:MAX_DIFFERENCES],
        more_differences=more + max(0, len(every) - MAX_DIFFERENCES),
    )


def _without_stale_author(version: ObjectVersion, before: _Before) -> ObjectVersion:
    """Whoever removes a field that someone else set leaves no entry: then the newest entry is of an earlier write."""
    if version.changed_at is None or before.changed_at is None:
        return version
    at = to_timestamp(version.changed_at)
    again = (version.manager, at) == (before.manager, before.changed_at)
    if at < before.changed_at or (again and to_timestamp(version.seen_at) - before.seen_at > _STEP):
        return replace(version, manager="", changed_at=None)
    return version


def _as_before(version: ObjectVersion, new: NewVersion) -> _Before:
    at = to_timestamp(version.changed_at) if version.changed_at is not None else None
    seen_at = to_timestamp(version.seen_at)
    return _Before(
        version.seq, version.ref.uid, version.event.value, version.manager, at, seen_at, new.hidden, new.body
    )


def _drop_body(con: Connection, rows: Mapping[int, dict[str, Value]], seq: int) -> None:
    """Too large to be kept once it has been compared with."""
    if seq in rows:
        rows[seq].update(body="", body_bytes=0)
    else:
        con.execute("UPDATE object_versions SET body = '', body_bytes = 0 WHERE seq = ?", [seq])


def _row(version: ObjectVersion, new: NewVersion) -> dict[str, Value]:
    extra: dict[str, Value] = {
        "digest": new.digest,
        "hidden": orjson.dumps(dict(new.hidden)).decode(),
        "body": new.body.decode(),
        "body_bytes": len(new.body),
    }
    return {**extra, **_TABLE.values(version)}


def _insert(con: Connection, rows: Sequence[Mapping[str, Value]]) -> None:
    """In one statement: the cost is in the statements, not in the rows."""
    columns = ", ".join(rows[0])
    selected = ", ".join(f"unnest(?::{_TYPES.get(column, 'VARCHAR')}[])" for column in rows[0])
    con.execute(
        f"INSERT INTO object_versions ({columns}) SELECT {selected}",
        [[row[column] for row in rows] for column in rows[0]],
    )
