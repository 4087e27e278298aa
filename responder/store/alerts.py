"""Alerts as they arrive: one row each, duplicates folded, the unreadable kept with their reason.

Every accepted row is pending, processed or quarantined, and only ever moves from the first to one of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from responder.domain.alert import Alert, AlertSource, AlertStatus, Delivery
from responder.domain.errors import NotFound
from responder.store.connection import Connection
from responder.store.rows import from_timestamp, to_timestamp

_COLUMNS = {
    "seq": "BIGINT",
    "fingerprint": "VARCHAR",
    "source": "VARCHAR",
    "status": "VARCHAR",
    "alertname": "VARCHAR",
    "namespace": "VARCHAR",
    "severity": "VARCHAR",
    "starts_at": "TIMESTAMP",
    "ends_at": "TIMESTAMP",
    "labels": "VARCHAR",
    "annotations": "VARCHAR",
    "generator_url": "VARCHAR",
    "receiver": "VARCHAR",
    "group_key": "VARCHAR",
    "truncated": "INTEGER",
    "received_at": "TIMESTAMP",
    "state": "VARCHAR",
    "reason": "VARCHAR",
    "raw": "VARCHAR",
}
_ALERT = "fingerprint, source, status, starts_at, ends_at, labels, annotations, generator_url"

_IN_TIME = "reason <> 'late'"
"""A late copy of a firing that has ended is kept, and is nobody's last word."""

GRACE_SECONDS = 300.0
"""An alert that still fires this long after its incident was closed was not mended: it opens another one."""

_RECEIVED_AT = list(_COLUMNS).index("received_at") - 1  # rows have no `seq`

_RAW_MAX = 16_384
"""Characters of a quarantined alert that are kept."""

Row: TypeAlias = tuple[object, ...]
"""One value per column, without `seq`."""


class Identity(NamedTuple):
    """What makes two alerts the same episode. Quarantined ones are told apart by their text."""

    source: str
    fingerprint: str
    starts_at: datetime | None
    raw: str = ""


class Incoming(NamedTuple):
    """One alert on its way into the table."""

    identity: Identity
    status: str
    row: Row


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    accepted: int
    """New rows, the quarantined included."""
    duplicates: int
    quarantined: int
    ids: tuple[int, ...] = ()
    """`seq` of the new rows."""


@dataclass(frozen=True, kw_only=True)
class PendingAlert:
    seq: int
    alert: Alert
    truncated_alerts: int
    receiver: str
    received_at: datetime


class AlertCounts(NamedTuple):
    accepted: int
    processed: int
    pending: int
    quarantined: int


def incoming(delivery: Delivery, received_at: datetime) -> tuple[Incoming, ...]:
    """A delivery as rows. Pure, and the costly part of an ingest: callers do it before they queue for the writer."""
    at = to_timestamp(received_at)
    shared = (_clean(delivery.receiver), _clean(delivery.group_key), delivery.truncated_alerts, at)
    rows = []
    for alert in delivery.alerts:
        try:
            rows.append(_incoming(alert, shared))
        except (TypeError, ValueError) as exc:
            rows.append(_unreadable(f"cannot be stored: {exc}", repr(alert), shared))
    rows.extend(_unreadable(bad.reason, bad.raw, shared) for bad in delivery.quarantined)
    return tuple(rows)


def size_of(rows: Sequence[Incoming]) -> int:
    """Characters that the rows hold in memory, roughly."""
    return sum(300 + sum(len(value) for value in entry.row if isinstance(value, str)) for entry in rows)


def fold(con: Connection, rows: Sequence[Incoming], grace_seconds: float = GRACE_SECONDS) -> list[bool]:
    """For each row, in order: is it new? A duplicate repeats the status that its episode has last shown.

    So a `firing` that comes again after the `resolved` of the same start is news: a late copy from a slow peer, or an
    alert that fires again; which of them is decided by the time between, elsewhere.
    """
    last = _last_status(con, rows, grace_seconds)
    news = []
    for identity, status, _ in rows:
        news.append(last.get(identity) != status)
        last[identity] = status
    return news


def insert(con: Connection, rows: Sequence[Incoming], first_seq: int) -> None:
    """Add rows in one statement, numbered from `first_seq`. A column with one value throughout travels as that value:
    the cost of a statement is in the lists it brings."""
    if not rows:
        return
    selected, values = list[str](), list[object]()
    columns = (range(first_seq, first_seq + len(rows)), *zip(*(entry.row for entry in rows), strict=True))
    for kind, column in zip(_COLUMNS.values(), columns, strict=True):
        alike = column.count(column[0]) == len(column)
        selected.append(f"?::{kind}" if alike else f"unnest(?::{kind}[])")
        values.append(column[0] if alike else list(column))
    con.execute(f"INSERT INTO alerts ({', '.join(_COLUMNS)}) SELECT {', '.join(selected)}", values)


def last_seq(con: Connection) -> int:
    row = con.execute("SELECT coalesce(max(seq), 0) FROM alerts").fetchone()
    return int(row[0]) if row else 0


def pending(con: Connection, limit: int = 1000) -> tuple[PendingAlert, ...]:
    """Oldest first."""
    rows = con.execute(
        f"SELECT seq, truncated, receiver, received_at, {_ALERT} FROM alerts "
        f"WHERE state = 'pending' ORDER BY seq LIMIT {max(1, limit)}"
    ).fetchall()
    return tuple(
        PendingAlert(
            seq=row[0],
            truncated_alerts=row[1],
            receiver=row[2],
            received_at=from_timestamp(row[3]),
            alert=_alert(row[4:]),
        )
        for row in rows
    )


Word: TypeAlias = tuple[str, str]
"""Source and fingerprint: whose last word counts."""


class Joining(NamedTuple):
    """What became of one pending row."""

    seq: int
    reason: str
    incident_id: str = ""
    """Empty where it belongs to none."""
    member: str = ""
    """Key of the object that it is about; empty where it names none."""


def last_words(con: Connection, words: Sequence[Word], before: int) -> Mapping[Word, Alert]:
    """The last processed word on each fingerprint among the rows before `before`."""
    rows = con.execute(
        f"SELECT {_ALERT} FROM alerts WHERE fingerprint IN (SELECT unnest(?::VARCHAR[])) AND seq < ? "
        f"AND state = 'processed' AND {_IN_TIME} "
        "QUALIFY row_number() OVER (PARTITION BY source, fingerprint ORDER BY seq DESC) = 1",
        [[fingerprint for _, fingerprint in words], before],
    ).fetchall()
    found = (_alert(row) for row in rows)
    return {(alert.source.value, alert.fingerprint): alert for alert in found}


def homes(con: Connection, words: Sequence[Word]) -> Mapping[Word, tuple[str, bool]]:
    """Fingerprint -> the unresolved incident that heard of it last, and whether it fires there."""
    rows = con.execute(
        "SELECT a.source, a.fingerprint, arg_max(j.incident_id, a.seq), arg_max(a.status, a.seq) FROM alerts a "
        "JOIN incident_alerts j ON j.alert_seq = a.seq JOIN incidents i ON i.id = j.incident_id "
        f"WHERE a.fingerprint IN (SELECT unnest(?::VARCHAR[])) AND i.state <> 'resolved' AND a.{_IN_TIME} "
        "GROUP BY a.source, a.fingerprint",
        [[fingerprint for _, fingerprint in words]],
    ).fetchall()
    return {(source, fingerprint): (home, status == "firing") for source, fingerprint, home, status in rows}


def firing_counts(con: Connection, incident_ids: Sequence[str]) -> Mapping[str, int]:
    """`firing_count` of several incidents; those without a firing alert are absent."""
    rows = con.execute(
        "SELECT incident_id, count(*) FROM (SELECT j.incident_id, arg_max(a.status, a.seq) AS status "
        "FROM incident_alerts j JOIN alerts a ON a.seq = j.alert_seq "
        f"WHERE j.incident_id IN (SELECT unnest(?::VARCHAR[])) AND a.{_IN_TIME} "
        "GROUP BY j.incident_id, a.source, a.fingerprint) WHERE status = 'firing' GROUP BY incident_id",
        [list(incident_ids)],
    ).fetchall()
    return dict(rows)


def join(con: Connection, rows: Sequence[Joining]) -> None:
    """Pending rows become processed, and those with an incident join it; other rows stay as they are."""
    joined = [row for row in rows if row.incident_id]
    if joined:
        con.execute(
            "INSERT INTO incident_alerts (incident_id, alert_seq, member) SELECT n.home, n.seq, n.member FROM (SELECT "
            "unnest(?::VARCHAR[]) AS home, unnest(?::BIGINT[]) AS seq, unnest(?::VARCHAR[]) AS member) n "
            "JOIN alerts a ON a.seq = n.seq AND a.state = 'pending'",
            [[row.incident_id for row in joined], [row.seq for row in joined], [row.member for row in joined]],
        )
    for reason in dict.fromkeys(row.reason for row in rows):
        chosen = [row.seq for row in rows if row.reason == reason]
        con.execute(
            "UPDATE alerts SET state = 'processed', reason = ? "
            "WHERE state = 'pending' AND seq >= ? AND seq <= ? AND seq IN (SELECT unnest(?::BIGINT[]))",
            [reason, min(chosen), max(chosen), chosen],
        )


def quarantine(con: Connection, seq: int, reason: str) -> None:
    """A pending row that cannot be processed is set aside. Raises NotFound where no such row is pending."""
    row = con.execute(
        "UPDATE alerts SET state = 'quarantined', reason = ? WHERE seq = ? AND state = 'pending'", [reason, seq]
    ).fetchone()
    if row is None or row[0] == 0:
        raise NotFound(f"alert {seq} is not pending")


def counts(con: Connection) -> AlertCounts:
    row = con.execute(
        "SELECT count(*), count(*) FILTER (state = 'processed'), count(*) FILTER (state = 'pending'), "
        "count(*) FILTER (state = 'quarantined') FROM alerts"
    ).fetchone()
    return AlertCounts(*row) if row else AlertCounts(0, 0, 0, 0)


def of_incident(con: Connection, incident_id: str, limit: int = 2**31) -> tuple[tuple[Alert, datetime], ...]:
    """The incident's alerts with the time each was received, oldest first; the newest where there are more."""
    rows = con.execute(
        f"SELECT received_at, {_ALERT} FROM alerts JOIN incident_alerts j ON j.alert_seq = seq "
        f"WHERE j.incident_id = ? ORDER BY seq DESC LIMIT {max(0, limit)}",
        [incident_id],
    ).fetchall()
    return tuple((_alert(row[1:]), from_timestamp(row[0])) for row in reversed(rows))


def firing_count(con: Connection, incident_id: str, member: str = "") -> int:
    """How many distinct alerts of the incident were firing when last heard of; with `member` (a key) only those that
    are about that object."""
    row = con.execute(
        "SELECT count(*) FROM (SELECT arg_max(status, seq) AS status FROM alerts "
        f"JOIN incident_alerts j ON j.alert_seq = seq WHERE j.incident_id = ? AND {_IN_TIME} "
        "AND (? = '' OR j.member = ?) GROUP BY source, fingerprint) "
        "WHERE status = 'firing'",
        [incident_id, member, member],
    ).fetchone()
    return int(row[0]) if row else 0


def firing_members(con: Connection, incident_id: str) -> tuple[str, ...]:
    """Keys of the objects that alerts of the incident are about and fire for, in order of the first alert."""
    rows = con.execute(
        "SELECT member FROM (SELECT arg_max(j.member, seq) AS member, arg_max(status, seq) AS status, "
        "min(seq) AS first "
        f"FROM alerts JOIN incident_alerts j ON j.alert_seq = seq WHERE j.incident_id = ? AND {_IN_TIME} "
        "GROUP BY source, fingerprint) WHERE status = 'firing' AND member <> '' GROUP BY member ORDER BY min(first)",
        [incident_id],
    ).fetchall()
    return tuple(member for (member,) in rows)


def last_about(con: Connection, incident_id: str, member: str) -> Alert | None:
    """The newest alert of the incident that fires for the object; the newest of all where none does."""
    row = con.execute(
        f"SELECT {_ALERT} FROM alerts JOIN incident_alerts j ON j.alert_seq = seq WHERE j.incident_id = ? "
        f"AND j.member = ? AND {_IN_TIME} ORDER BY status = 'firing' DESC, seq DESC LIMIT 1",
        [incident_id, member],
    ).fetchone()
    return None if row is None else _alert(row)


def last_of_kubernetes(con: Connection, since: datetime) -> tuple[Alert, ...]:
    """The last word on each alert of the watch that fires, or that ended after `since`; oldest first."""
    rows = con.execute(
        f"SELECT {_ALERT} FROM (SELECT *, row_number() OVER (PARTITION BY fingerprint ORDER BY seq DESC) AS newness "
        f"FROM alerts WHERE source = 'kubernetes' AND state <> 'quarantined' AND {_IN_TIME}) "
        "WHERE newness = 1 AND (status = 'firing' OR ends_at >= ?) ORDER BY seq",
        [to_timestamp(since)],
    ).fetchall()
    return tuple(_alert(row) for row in rows)


def quiet_escalated(con: Connection) -> tuple[str, ...]:
    """Incidents that were handed to a human, have alerts, and of those none fires any more."""
    rows = con.execute(
        "SELECT j.incident_id FROM (SELECT j.incident_id, arg_max(a.status, a.seq) AS status "
        "FROM incident_alerts j JOIN alerts a ON a.seq = j.alert_seq JOIN incidents i ON i.id = j.incident_id "
        f"WHERE i.state = 'escalated' AND a.{_IN_TIME} GROUP BY j.incident_id, a.source, a.fingerprint) j "
        "GROUP BY j.incident_id HAVING count(*) FILTER (status = 'firing') = 0 ORDER BY j.incident_id"
    ).fetchall()
    return tuple(incident_id for (incident_id,) in rows)


def _incoming(alert: Alert, shared: tuple[object, ...]) -> Incoming:
    labels, starts_at = alert.labels, to_timestamp(alert.starts_at)
    (alert.fingerprint + alert.generator_url).encode()  # a lone surrogate cannot be stored: better to know it now
    row = (
        alert.fingerprint,
        alert.source.value,
        alert.status.value,
        labels.get("alertname", ""),
        labels.get("namespace", ""),
        labels.get("severity", ""),
        starts_at,
        None if alert.ends_at is None else to_timestamp(alert.ends_at),
        _json(labels),
        _json(alert.annotations),
        alert.generator_url,
        *shared,
        "pending",
        "",
        "",
    )
    return Incoming(Identity(alert.source.value, alert.fingerprint, starts_at), alert.status.value, row)


def _unreadable(reason: str, raw: str, shared: tuple[object, ...]) -> Incoming:
    kept = _clean(raw[:_RAW_MAX])
    row = ("", "", "", "", "", "", None, None, "{}", "{}", "", *shared, "quarantined", _clean(reason), kept)
    return Incoming(Identity("", "", None, kept), "", row)


def _last_status(con: Connection, rows: Sequence[Incoming], grace_seconds: float) -> dict[Identity, str]:
    """The status last stored for each identity among `rows` that the table knows."""
    known: dict[Identity, str] = {}
    starts = [identity.starts_at for identity, _, _ in rows if identity.starts_at is not None]
    if starts:
        # The range of starts lets the engine skip the blocks that hold other days.
        found = con.execute(
            "SELECT source, fingerprint, starts_at, arg_max(status, seq), max(seq) FROM alerts "
            f"WHERE starts_at >= ? AND starts_at <= ? AND fingerprint IN (SELECT unnest(?::VARCHAR[])) AND {_IN_TIME} "
            "GROUP BY source, fingerprint, starts_at",
            [min(starts), max(starts), list({identity.fingerprint for identity, _, _ in rows})],
        ).fetchall()
        outlived = _outlived(con, [row[4] for row in found if row[3] == "firing"], rows, grace_seconds)
        known = {Identity(*row[:3]): row[3] for row in found if row[4] not in outlived}
    texts = list({identity.raw for identity, _, _ in rows if identity.raw})
    if texts:
        found = con.execute(
            "SELECT DISTINCT raw FROM alerts WHERE state = 'quarantined' AND raw IN (SELECT unnest(?::VARCHAR[]))",
            [texts],
        ).fetchall()
        known |= {Identity("", "", None, raw): "" for (raw,) in found}
    return known


def _outlived(con: Connection, seqs: Sequence[int], rows: Sequence[Incoming], grace_seconds: float) -> frozenset[int]:
    """Those of `seqs` whose incident was closed a while before `rows` came: who still fires then is news again."""
    if not seqs:
        return frozenset()
    received = max(entry.row[_RECEIVED_AT] for entry in rows)  # type: ignore[type-var]  # a datetime in every row
    found = con.execute(
        "SELECT j.alert_seq FROM incident_alerts j JOIN incidents i ON i.id = j.incident_id "
        "WHERE j.alert_seq IN (SELECT unnest(?::BIGINT[])) AND i.state = 'resolved' "
        "AND i.resolved_at < ?::TIMESTAMP - to_microseconds(?::BIGINT)",
        [list(seqs), received, round(grace_seconds * 1_000_000)],
    ).fetchall()
    return frozenset(seq for (seq,) in found)


def _alert(row: Sequence[object]) -> Alert:
    fingerprint, source, status, starts_at, ends_at, labels, annotations, generator_url = row
    return Alert(
        fingerprint=str(fingerprint),
        source=AlertSource(str(source)),
        status=AlertStatus(str(status)),
        starts_at=from_timestamp(starts_at),  # type: ignore[arg-type]  # only quarantined rows have none
        ends_at=from_timestamp(ends_at) if isinstance(ends_at, datetime) else None,
        labels=orjson.loads(str(labels)),
        annotations=orjson.loads(str(annotations)),
        generator_url=str(generator_url),
    )


def _json(texts: Mapping[str, str]) -> str:
    return orjson.dumps(texts if isinstance(texts, dict) else dict(texts)).decode()


def _clean(text: str) -> str:
    """Text that can be stored: lone surrogates become `?`."""
    return text.encode(errors="replace").decode()
