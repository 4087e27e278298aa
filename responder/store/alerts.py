"""Alerts on record: what waits to be folded, which incident each belongs to, and which fire.

Every accepted row is pending, processed or quarantined, and only ever moves from the first to one of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.errors import NotFound
from responder.store.connection import Connection
from responder.store.rows import from_timestamp, to_timestamp

_ALERT = "fingerprint, source, status, starts_at, ends_at, labels, annotations, generator_url"

IN_TIME = "reason <> 'late'"
"""A late copy of a firing that has ended is kept, and is nobody's last word."""


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


WARNS = """%"proactive":"true"%"""
"""How the labels of what warns of things to come are stored."""

_COUNTS = f"(i.labels LIKE '{WARNS}' OR a.labels NOT LIKE '{WARNS}')"
"""Whether the incident is open for the alert's sake: trouble is over though a warning about its object goes on."""

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
        f"AND state = 'processed' AND {IN_TIME} "
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
        f"WHERE a.fingerprint IN (SELECT unnest(?::VARCHAR[])) AND i.state <> 'resolved' AND a.{IN_TIME} "
        "GROUP BY a.source, a.fingerprint",
        [[fingerprint for _, fingerprint in words]],
    ).fetchall()
    return {(source, fingerprint): (home, status == "firing") for source, fingerprint, home, status in rows}


class Firing(NamedTuple):
    """Distinct alerts of an incident that were firing when last heard of."""

    troubles: int = 0
    warnings: int = 0


def firing_counts(con: Connection, incident_ids: Sequence[str]) -> Mapping[str, Firing]:
    """Of several incidents; those without a firing alert are absent."""
    rows = con.execute(
        f"SELECT incident_id, count(*) FILTER (NOT warns), count(*) FILTER (warns) FROM (SELECT j.incident_id, "
        f"any_value(a.labels) LIKE '{WARNS}' AS warns, arg_max(a.status, a.seq) AS status "
        "FROM incident_alerts j JOIN alerts a ON a.seq = j.alert_seq "
        f"WHERE j.incident_id IN (SELECT unnest(?::VARCHAR[])) AND a.{IN_TIME} "
        "GROUP BY j.incident_id, a.source, a.fingerprint) WHERE status = 'firing' GROUP BY incident_id",
        [list(incident_ids)],
    ).fetchall()
    return {incident_id: Firing(*counts) for incident_id, *counts in rows}


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


def last_annotations(con: Connection, incident_id: str) -> Mapping[str, str]:
    """Of the incident's alert that came last; empty where it has none."""
    return next((alert.annotations for alert, _ in of_incident(con, incident_id, 1)), {})


def firing_count(con: Connection, incident_id: str, member: str = "") -> int:
    """How many distinct alerts for whose sake the incident is open were firing when last heard of; with `member` (a
    key) only those that are about that object."""
    row = con.execute(
        "SELECT count(*) FROM (SELECT arg_max(a.status, a.seq) AS status FROM alerts a "
        "JOIN incident_alerts j ON j.alert_seq = a.seq JOIN incidents i ON i.id = j.incident_id "
        f"WHERE j.incident_id = ? AND a.{IN_TIME} AND {_COUNTS} "
        "AND (? = '' OR j.member = ?) GROUP BY a.source, a.fingerprint) "
        "WHERE status = 'firing'",
        [incident_id, member, member],
    ).fetchone()
    return int(row[0]) if row else 0


def firing_members(con: Connection, incident_id: str) -> tuple[str, ...]:
    """Keys of the objects that alerts for whose sake the incident is open fire for, in order of the first alert."""
    rows = con.execute(
        "SELECT member FROM (SELECT arg_max(j.member, a.seq) AS member, arg_max(a.status, a.seq) AS status, "
        "min(a.seq) AS first FROM alerts a "
        "JOIN incident_alerts j ON j.alert_seq = a.seq JOIN incidents i ON i.id = j.incident_id "
        f"WHERE j.incident_id = ? AND a.{IN_TIME} AND {_COUNTS} "
        "GROUP BY a.source, a.fingerprint) "
        "WHERE status = 'firing' AND member <> '' GROUP BY member ORDER BY min(first)",
        [incident_id],
    ).fetchall()
    return tuple(member for (member,) in rows)


def last_about(con: Connection, incident_id: str, member: str) -> Alert | None:
    """The newest alert of the incident that fires for the object; the newest of all where none does."""
    row = con.execute(
        f"SELECT {_ALERT} FROM alerts JOIN incident_alerts j ON j.alert_seq = seq WHERE j.incident_id = ? "
        f"AND j.member = ? AND {IN_TIME} ORDER BY status = 'firing' DESC, seq DESC LIMIT 1",
        [incident_id, member],
    ).fetchone()
    return None if row is None else _alert(row)


def last_of_kubernetes(con: Connection, since: datetime) -> tuple[Alert, ...]:
    """The last word on each alert of the watch that fires, or that ended after `since`; oldest first."""
    rows = con.execute(
        f"SELECT {_ALERT} FROM (SELECT *, row_number() OVER (PARTITION BY fingerprint ORDER BY seq DESC) AS newness "
        f"FROM alerts WHERE source = 'kubernetes' AND state <> 'quarantined' AND {IN_TIME}) "
        "WHERE newness = 1 AND (status = 'firing' OR ends_at >= ?) ORDER BY seq",
        [to_timestamp(since)],
    ).fetchall()
    return tuple(_alert(row) for row in rows)


def quiet_escalated(con: Connection) -> tuple[str, ...]:
    """Incidents that were handed to a human, have alerts for whose sake they are open, and of those none fires any
    more."""
    rows = con.execute(
        "SELECT j.incident_id FROM (SELECT j.incident_id, arg_max(a.status, a.seq) AS status "
        "FROM incident_alerts j JOIN alerts a ON a.seq = j.alert_seq JOIN incidents i ON i.id = j.incident_id "
        f"WHERE i.state = 'escalated' AND a.{IN_TIME} AND {_COUNTS} GROUP BY j.incident_id, a.source, a.fingerprint) j "
        "GROUP BY j.incident_id HAVING count(*) FILTER (status = 'firing') = 0 ORDER BY j.incident_id"
    ).fetchall()
    return tuple(incident_id for (incident_id,) in rows)


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
