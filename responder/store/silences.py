"""Silences. A matcher's patterns are RE2, anchored at both ends, as everywhere in Clopus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

import re2

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.incident import Incident
from responder.domain.rule import Matcher, MatchOp
from responder.domain.silence import Silence
from responder.store.connection import Connection
from responder.store.rows import RecordTable, to_timestamp

_TABLE = RecordTable("silences", Silence)


def insert(con: Connection, silence: Silence) -> None:
    """Store a silence.

    Raises:
        IllegalTransition: the id is taken, or the silence would cover everything.
        ValueError: a pattern is no RE2 expression; stored, it would stop every incident that is held against it.
    """
    if not silence.incident_key and not silence.matchers:
        raise IllegalTransition("a silence needs an incident key or a matcher: this one would cover everything")
    for matcher in silence.matchers:
        if matcher.op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES):
            try:
                re2.compile(matcher.value)
            except re2.error as exc:
                raise ValueError(f"{matcher} is no valid pattern: {exc}") from exc
    if _TABLE.knows(con, silence.id):
        raise IllegalTransition(f"{silence.id} exists already")
    _TABLE.insert(con, silence)


def expire(con: Connection, silence_id: str, at: datetime) -> None:
    """End a silence now. Raises NotFound where none of that id is in force."""
    now = to_timestamp(at)
    row = con.execute(
        "UPDATE silences SET expires_at = ? WHERE id = ? AND expires_at > ?", [now, silence_id, now]
    ).fetchone()
    if row is None or row[0] == 0:
        raise NotFound(f"no silence {silence_id} is in force")


def in_force(con: Connection, at: datetime) -> tuple[Silence, ...]:
    """Oldest first."""
    now = to_timestamp(at)
    return _TABLE.select(con, "WHERE created_at <= ? AND expires_at > ? ORDER BY created_at, id", [now, now])


def every(con: Connection) -> tuple[Silence, ...]:
    """The ended ones as well, newest first."""
    return _TABLE.select(con, "ORDER BY created_at DESC, id DESC")


def matching(con: Connection, incident: Incident, at: datetime) -> Silence | None:
    """The oldest silence in force that covers the incident."""
    return next((silence for silence in in_force(con, at) if covers(silence, incident)), None)


def covers(silence: Silence, incident: Incident) -> bool:
    """Pure: by key, or by every matcher on the incident's labels. An absent label is ''."""
    if silence.incident_key:
        return silence.incident_key == incident.key
    return bool(silence.matchers) and all(_passes(matcher, incident.labels) for matcher in silence.matchers)


def _passes(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.label, "")
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.MATCHES:
            return re2.fullmatch(matcher.value, value) is not None
        case MatchOp.NOT_MATCHES:
            return re2.fullmatch(matcher.value, value) is None
        case _:
            assert_never(matcher.op)
