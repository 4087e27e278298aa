"""Alerts as they arrive: one row each, duplicates told apart from news, the unreadable kept with their reason.

What becomes of a row once it is in the table is left to `alerts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from responder.domain.alert import Alert, Delivery
from responder.store.alerts import IN_TIME
from responder.store.connection import Connection
from responder.store.rows import to_timestamp

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
            f"WHERE starts_at >= ? AND starts_at <= ? AND fingerprint IN (SELECT unnest(?::VARCHAR[])) AND {IN_TIME} "
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
    """Those of `seqs` whose incident was closed a while before `rows` came: who still fires then is news again. So it
    is where the incident was closed in what is now the future: the clock was put back since."""
    if not seqs:
        return frozenset()
    received = max(entry.row[_RECEIVED_AT] for entry in rows)  # type: ignore[type-var]  # a datetime in every row
    found = con.execute(
        "SELECT j.alert_seq FROM incident_alerts j JOIN incidents i ON i.id = j.incident_id "
        "WHERE j.alert_seq IN (SELECT unnest(?::BIGINT[])) AND i.state = 'resolved' "
        "AND abs(epoch_us(i.resolved_at) - epoch_us(?::TIMESTAMP)) > ?",
        [list(seqs), received, round(grace_seconds * 1_000_000)],
    ).fetchall()
    return frozenset(seq for (seq,) in found)


def _json(texts: Mapping[str, str]) -> str:
    return orjson.dumps(texts if isinstance(texts, dict) else dict(texts)).decode()


def _clean(text: str) -> str:
    """Text that can be stored: lone surrogates become `?`."""
    return text.encode(errors="replace").decode()
