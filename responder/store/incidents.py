"""Incidents: one row each, overwritten as they move. How they got there is in the audit chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from responder.domain.audit import AuditRecord
from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.incident import ACTIVE_STATES, CLOSED_STATES, Incident, State
from responder.store import audit
from responder.store.connection import Connection
from responder.store.rows import RecordTable

_TABLE = RecordTable("incidents", Incident)
_CLOSED = ", ".join(f"'{state.value}'" for state in sorted(CLOSED_STATES))
_ACTIVE = ", ".join(f"'{state.value}'" for state in sorted(ACTIVE_STATES))

PAGE_MAX = 500


def insert(con: Connection, incident: Incident) -> None:
    """Raises IllegalTransition where the id is taken, or another incident of its key is not resolved yet."""
    if _TABLE.knows(con, incident.id):
        raise IllegalTransition(f"{incident.id} exists already")
    other = find_open(con, incident.key)
    if other is not None and incident.state not in CLOSED_STATES:
        raise IllegalTransition(f"{other.id} is still {other.state} for {incident.key}")
    _TABLE.insert(con, incident)


def update(con: Connection, incident: Incident) -> None:
    """Raises NotFound."""
    if not _TABLE.replace(con, incident):
        raise NotFound(f"no incident {incident.id}")


def get(con: Connection, incident_id: str) -> Incident:
    """Raises NotFound."""
    found = _TABLE.select(con, "WHERE id = ?", [incident_id])
    if not found:
        raise NotFound(f"no incident {incident_id}")
    return found[0]


def find_open(con: Connection, key: str) -> Incident | None:
    """The incident of `key` that is not resolved."""
    found = _TABLE.select(con, f"WHERE key = ? AND state NOT IN ({_CLOSED}) LIMIT 1", [key])
    return found[0] if found else None


def last_resolved(con: Connection, key: str) -> Incident | None:
    found = _TABLE.select(
        con, f"WHERE key = ? AND state IN ({_CLOSED}) ORDER BY resolved_at DESC NULLS LAST, id DESC LIMIT 1", [key]
    )
    return found[0] if found else None


def page(
    con: Connection,
    *,
    states: Sequence[State] = (),
    namespace: str = "",
    rule: str = "",
    text: str = "",
    limit: int = 50,
    cursor: str = "",
) -> tuple[tuple[Incident, ...], str]:
    """Newest first, and the cursor of the next page ('' after the last).

    A cursor names the last incident seen, not a distance: incidents that open meanwhile shift no page. `text` is looked
    for in id, key, summary and labels, whatever the case. `limit` is kept between 1 and `PAGE_MAX`.
    """
    clauses, values = ["TRUE"], list[object]()
    if states:
        clauses.append("state IN (SELECT unnest(?::VARCHAR[]))")
        values.append([state.value for state in states])
    for column, value in (("namespace", namespace), ("rule", rule)):
        if value:
            clauses.append(f"{column} = ?")
            values.append(value)
    if text:
        clauses.append("contains(lower(concat_ws(' ', id, key, summary, labels)), lower(?))")
        values.append(text)
    if cursor:
        clauses.append("id < ?")
        values.append(cursor)
    limit = max(1, min(limit, PAGE_MAX))
    found = _TABLE.select(con, f"WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT {limit + 1}", values)
    return found[:limit], found[limit - 1].id if len(found) > limit else ""


def active(con: Connection) -> tuple[str, ...]:
    """Ids of the incidents whose next step is ours or an approver's, oldest first."""
    rows = con.execute(f"SELECT id FROM incidents WHERE state IN ({_ACTIVE}) ORDER BY id").fetchall()
    return tuple(identity for (identity,) in rows)


def with_work(con: Connection) -> tuple[str, ...]:
    """Ids of the incidents that a step may still be due for, oldest first: the active, those that wait for a silence to
    end, and the escalated with an execution whose outcome is not known yet."""
    rows = con.execute(
        f"SELECT id FROM incidents WHERE state IN ({_ACTIVE}, 'suppressed') OR (state = 'escalated' AND id IN "
        "(SELECT incident_id FROM executions WHERE outcome = 'pending')) ORDER BY id"
    ).fetchall()
    return tuple(identity for (identity,) in rows)


def timeline(con: Connection, incident_id: str) -> tuple[AuditRecord, ...]:
    """What happened to the incident, oldest first."""
    return audit.of_incident(con, incident_id)


def count_by_state(con: Connection) -> Mapping[State, int]:
    """States that no incident is in are absent."""
    rows = con.execute("SELECT state, count(*) FROM incidents GROUP BY state").fetchall()
    return {State(state): number for state, number in rows}
