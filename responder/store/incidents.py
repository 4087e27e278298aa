"""Incidents: one row each, overwritten as they move. How they got there is in the audit chain.

An incident of one cause over many workloads has members, one row each; their number is counted here and never taken
from a caller, so that members may join while a step of the incident is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from responder.domain.audit import AuditRecord
from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.incident import ACTIVE_STATES, CLOSED_STATES, Incident, State
from responder.domain.refs import ObjectRef
from responder.store import audit
from responder.store.alerts import WARNS
from responder.store.connection import Connection
from responder.store.rows import RecordTable, to_timestamp

_TABLE = RecordTable("incidents", Incident)
_CLOSED = ", ".join(f"'{state.value}'" for state in sorted(CLOSED_STATES))
_ACTIVE = ", ".join(f"'{state.value}'" for state in sorted(ACTIVE_STATES))

_MEMBER_KEY = "concat_ws('/', m.kind, nullif(m.namespace, ''), m.name)"

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
    """All but the number of members. Raises NotFound."""
    if incident.cause:
        incident = replace(incident, members=_count_members(con, incident.id))
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


def find_open_by_cause(con: Connection, cause: str) -> Incident | None:
    """The shared incident of `cause` that is not resolved."""
    found = _TABLE.select(con, f"WHERE cause = ? AND state NOT IN ({_CLOSED}) LIMIT 1", [cause]) if cause else ()
    return found[0] if found else None


def find(con: Connection, ids: Sequence[str]) -> tuple[Incident, ...]:
    """Those of `ids` that exist, oldest first."""
    return _TABLE.select(con, "WHERE id IN (SELECT unnest(?::VARCHAR[])) ORDER BY id", [list(ids)]) if ids else ()


def add_members(con: Connection, incident_id: str, refs: Sequence[ObjectRef], at: datetime) -> int:
    """Workloads join the incident in this order; who is a member already stays what he is. Returns how many are new.

    The time of the last update does not move: that others suffer too changes nothing for a step that is under way.
    """
    if refs:
        columns = [[getattr(ref, name) for ref in refs] for name in ("kind", "namespace", "name", "uid")]
        row = con.execute(
            "INSERT INTO incident_members SELECT ?, n.kind, n.namespace, n.name, n.uid, ?::TIMESTAMP FROM ("
            "SELECT unnest(?::VARCHAR[]) AS kind, unnest(?::VARCHAR[]) AS namespace, unnest(?::VARCHAR[]) AS name, "
            "unnest(?::VARCHAR[]) AS uid, unnest(range(?)) AS place) n "
            "WHERE NOT EXISTS (SELECT 1 FROM incident_members m WHERE m.incident_id = ? AND m.kind = n.kind "
            "AND m.namespace = n.namespace AND m.name = n.name) "
            "QUALIFY row_number() OVER (PARTITION BY n.kind, n.namespace, n.name ORDER BY n.place) = 1 "
            "ORDER BY n.place",
            [incident_id, to_timestamp(at), *columns, len(refs), incident_id],
        ).fetchone()
        if row is not None and row[0]:
            con.execute(
                "UPDATE incidents SET members = ? WHERE id = ?", [_count_members(con, incident_id), incident_id]
            )
            return int(row[0])
    return 0


def members(con: Connection, incident_id: str, limit: int = 100) -> tuple[ObjectRef, ...]:
    """In the order in which they joined."""
    rows = con.execute(
        "SELECT kind, namespace, name, uid FROM incident_members WHERE incident_id = ? "
        f"ORDER BY joined_at, rowid LIMIT {max(0, limit)}",
        [incident_id],
    ).fetchall()
    return tuple(ObjectRef(kind=kind, namespace=namespace, name=name, uid=uid) for kind, namespace, name, uid in rows)


def set_summary(con: Connection, incident_id: str, summary: str) -> None:
    """Only the summary: as with members, no step under way is disturbed."""
    con.execute("UPDATE incidents SET summary = ? WHERE id = ?", [summary, incident_id])


def note_causes(con: Connection, incident_id: str, causes: Sequence[str]) -> None:
    """Keep what the incident could have in common with others."""
    if causes:
        con.execute("INSERT INTO incident_causes SELECT ?, unnest(?::VARCHAR[])", [incident_id, list(causes)])


def alone_by_cause(con: Connection, causes: Sequence[str], since: datetime) -> Mapping[str, frozenset[str]]:
    """Cause -> keys of the incidents about one object that show it, are not resolved, and were opened since."""
    rows = con.execute(
        "SELECT c.cause, list(DISTINCT i.key) FROM incident_causes c JOIN incidents i ON i.id = c.incident_id "
        f"WHERE c.cause IN (SELECT unnest(?::VARCHAR[])) AND i.state NOT IN ({_CLOSED}) AND i.cause = '' "
        "AND i.opened_at >= ? GROUP BY c.cause",
        [list(causes), to_timestamp(since)],
    ).fetchall()
    return {cause: frozenset(keys) for cause, keys in rows}


def shared_causes(con: Connection, causes: Sequence[str]) -> Mapping[str, tuple[datetime, frozenset[str]]]:
    """Those of `causes` with an open shared incident -> when its last member joined, naive UTC, and the namespaces of
    its members."""
    rows = con.execute(
        "SELECT i.cause, max(m.joined_at), list(DISTINCT m.namespace) "
        "FROM incidents i JOIN incident_members m ON m.incident_id = i.id "
        f"WHERE i.cause IN (SELECT unnest(?::VARCHAR[])) AND i.state NOT IN ({_CLOSED}) GROUP BY i.cause",
        [list(causes)],
    ).fetchall()
    return {cause: (at, frozenset(namespaces)) for cause, at, namespaces in rows}


def open_of_keys(con: Connection, keys: Sequence[str]) -> Mapping[str, str]:
    """Incident key -> id of the incident that is not resolved."""
    rows = con.execute(
        f"SELECT key, id FROM incidents WHERE key IN (SELECT unnest(?::VARCHAR[])) AND state NOT IN ({_CLOSED})",
        [list(keys)],
    ).fetchall()
    return dict(rows)


def open_of_members(con: Connection, keys: Sequence[str]) -> Mapping[str, str]:
    """Object key -> id of the shared incident, not resolved, that the object is a member of."""
    rows = con.execute(
        f"SELECT {_MEMBER_KEY} AS member, max(m.incident_id) FROM incident_members m "
        f"JOIN incidents i ON i.id = m.incident_id WHERE i.state NOT IN ({_CLOSED}) "
        "AND member IN (SELECT unnest(?::VARCHAR[])) GROUP BY member",
        [list(keys)],
    ).fetchall()
    return dict(rows)


def resolved_at(con: Connection, keys: Sequence[str]) -> Mapping[str, datetime]:
    """Key -> when the last incident of that key, or with that member, was resolved, naive UTC."""
    rows = con.execute(
        "WITH wanted AS (SELECT unnest(?::VARCHAR[]) AS key) SELECT key, max(resolved_at) FROM ("
        f"SELECT key, resolved_at FROM incidents WHERE key IN (FROM wanted) AND state IN ({_CLOSED}) UNION ALL "
        f"SELECT {_MEMBER_KEY} AS key, i.resolved_at FROM incident_members m JOIN incidents i ON i.id = m.incident_id "
        f"WHERE i.state IN ({_CLOSED}) AND {_MEMBER_KEY} IN (FROM wanted)) GROUP BY key",
        [list(keys)],
    ).fetchall()
    return {key: at for key, at in rows if at is not None}


def of_object(con: Connection, ref: ObjectRef, limit: int = 100) -> tuple[Incident, ...]:
    """Incidents about the object, alone or as a member, newest first."""
    return _TABLE.select(
        con,
        f"WHERE key = ? OR id IN (SELECT m.incident_id FROM incident_members m WHERE {_MEMBER_KEY} = ?) "
        f"ORDER BY id DESC LIMIT {max(1, limit)}",
        [ref.key, ref.key],
    )


def alerting_objects(con: Connection, namespace: str) -> int:
    """Distinct objects of the namespace that something is wrong with: roots and members of incidents that are not over
    and were not silenced. Warnings of what may come do not count."""
    troubled = f"i.state IN ({_ACTIVE}, 'escalated') AND i.labels NOT LIKE ?"
    row = con.execute(
        "SELECT count(*) FROM ("
        f"SELECT i.key FROM incidents i WHERE i.root_kind IS NOT NULL AND i.cause = '' AND i.namespace = ? "
        f"AND {troubled} UNION "
        f"SELECT {_MEMBER_KEY} FROM incident_members m JOIN incidents i ON i.id = m.incident_id "
        f"WHERE m.namespace = ? AND {troubled})",
        [namespace, WARNS, namespace, WARNS],
    ).fetchone()
    return int(row[0]) if row else 0


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


def _count_members(con: Connection, incident_id: str) -> int:
    row = con.execute("SELECT count(*) FROM incident_members WHERE incident_id = ?", [incident_id]).fetchone()
    return int(row[0]) if row else 0
