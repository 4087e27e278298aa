"""Executions, journaled before the write and completed after it, and the verifications that judge them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.execution import Execution, ExecutionOutcome, VerdictKind, Verification
from responder.domain.incident import IN_FLIGHT_STATES
from responder.store.connection import Connection
from responder.store.rows import RecordTable, to_timestamp

_TABLE = RecordTable("executions", Execution)
_VERIFICATIONS = RecordTable("verifications", Verification)
PAGE_MAX = 500
_IN_FLIGHT = ", ".join(f"'{state.value}'" for state in sorted(IN_FLIGHT_STATES))


def insert_intent(con: Connection, execution: Execution) -> None:
    """Raises IllegalTransition where the id is taken or the execution already has an outcome."""
    if execution.outcome is not ExecutionOutcome.PENDING:
        raise IllegalTransition(f"{execution.id} is {execution.outcome}: an intent comes before its outcome")
    if _TABLE.knows(con, execution.id):
        raise IllegalTransition(f"{execution.id} exists already")
    _TABLE.insert(con, execution)


def record_outcome(con: Connection, execution: Execution) -> None:
    """Complete an intent. The same outcome again is no error; another one is.

    Raises:
        NotFound: no such intent.
        IllegalTransition: its outcome is recorded already and differs.
    """
    stored = get(con, execution.id)
    settled = (ExecutionOutcome.APPLIED, ExecutionOutcome.NOT_APPLIED)
    if stored.outcome in settled and stored.outcome is not execution.outcome:
        raise IllegalTransition(f"{execution.id} is {stored.outcome} already, not {execution.outcome}")
    _TABLE.replace(con, execution)


def get(con: Connection, execution_id: str) -> Execution:
    """Raises NotFound."""
    found = _TABLE.select(con, "WHERE id = ?", [execution_id])
    if not found:
        raise NotFound(f"no execution {execution_id}")
    return found[0]


def of_incident(con: Connection, incident_id: str) -> tuple[Execution, ...]:
    """Oldest first."""
    return _TABLE.select(con, "WHERE incident_id = ? ORDER BY intent_at, id", [incident_id])


def of_plan(con: Connection, plan_id: str) -> tuple[Execution, ...]:
    """Oldest first."""
    return _TABLE.select(con, "WHERE plan_id = ? ORDER BY intent_at, id", [plan_id])


def of_incidents(con: Connection, ids: Sequence[str]) -> tuple[Execution, ...]:
    """Of several incidents, oldest first."""
    rest = "WHERE incident_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY intent_at, id"
    return _TABLE.select(con, rest, [list(ids)])


def page(con: Connection, *, limit: int = 50, cursor: str = "") -> tuple[tuple[Execution, ...], str]:
    """Newest first, those that followed `cursor` in the page before; and the next cursor, '' on the last page.

    `limit` is kept between 1 and `PAGE_MAX`. A cursor that names no execution gives nothing.
    """
    limit = max(1, min(limit, PAGE_MAX))
    after = "WHERE (intent_at, id) < (SELECT (c.intent_at, c.id) FROM executions c WHERE c.id = ?)" if cursor else ""
    found = _TABLE.select(
        con, f"{after} ORDER BY intent_at DESC, id DESC LIMIT {limit + 1}", [cursor] if cursor else []
    )
    return found[:limit], found[limit - 1].id if len(found) > limit else ""


def pending(con: Connection) -> tuple[Execution, ...]:
    """Intents without an outcome, oldest first, whatever their incident's state: after a start, each may or may not
    have reached the cluster."""
    return _TABLE.select(con, "WHERE outcome = 'pending' ORDER BY intent_at, id")


def in_flight(con: Connection) -> tuple[Execution, ...]:
    """Executions that may still be under way: without outcome, or applied last in an incident that is not done."""
    return _TABLE.select(
        con,
        f"""LEFT JOIN incidents ON incidents.id = executions.incident_id
        WHERE executions.outcome = 'pending'
           OR (executions.outcome = 'applied' AND incidents.state IN ({_IN_FLIGHT}))
        QUALIFY executions.outcome = 'pending' OR row_number() OVER (
            PARTITION BY executions.incident_id ORDER BY executions.intent_at DESC, executions.id DESC) = 1
        ORDER BY executions.intent_at, executions.id""",
    )


def recent(
    con: Connection, *, since: datetime, namespace: str | None = None, workload_key: str | None = None
) -> tuple[Execution, ...]:
    """Applied changes since a time that count against budgets, newest first. See `count_since`."""
    clauses, values = _spent(since, workload_key=workload_key, namespace=namespace)
    return _TABLE.select(con, f"{clauses} ORDER BY intent_at DESC, executions.id DESC", values)


def count_since(
    con: Connection, since: datetime, *, workload_key: str | None = None, namespace: str | None = None
) -> int:
    """Changes since a time that count against budgets: of apply kind, and not known to have failed to apply.

    A change belongs to a workload by its target, or by the root object of its incident: an evicted pod counts for its
    Deployment.
    """
    clauses, values = _spent(since, workload_key=workload_key, namespace=namespace)
    row = con.execute(f"SELECT count(*) FROM executions {clauses}", values).fetchone()
    return int(row[0]) if row else 0


def add_verification(con: Connection, verification: Verification) -> None:
    _VERIFICATIONS.insert(con, verification)


def verifications(con: Connection, execution_id: str) -> tuple[Verification, ...]:
    """Oldest first."""
    return _VERIFICATIONS.select(con, "WHERE execution_id = ? ORDER BY number", [execution_id])


def last_looks(con: Connection, incident_ids: Sequence[str]) -> Mapping[str, Verification]:
    """Execution id -> the last look at it, for every execution of these incidents that was looked at."""
    looks = _VERIFICATIONS.select(
        con,
        "JOIN executions e ON e.id = verifications.execution_id "
        "WHERE e.incident_id IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY row_number() OVER (PARTITION BY execution_id ORDER BY number DESC) = 1",
        [list(incident_ids)],
    )
    return {look.execution_id: look for look in looks}


def last_verdicts(con: Connection, incident_ids: Sequence[str]) -> Mapping[str, VerdictKind]:
    return {found: look.verdict.kind for found, look in last_looks(con, incident_ids).items()}


def recent_verdicts(con: Connection, number: int, *, since: datetime | None = None) -> tuple[VerdictKind, ...]:
    """Verdicts on the last `number` changes that were judged, newest first. Undoings are not judged here."""
    after = None if since is None else to_timestamp(since)
    rows = con.execute(
        "SELECT v.verdict FROM v_verdicts v JOIN executions e ON e.id = v.execution_id "
        "WHERE e.kind = 'apply' AND (v.judged_at >= ? OR ? IS NULL) "
        f"ORDER BY v.judged_at DESC, e.id DESC LIMIT {max(0, number)}",
        [after, after],
    ).fetchall()
    return tuple(VerdictKind(verdict) for (verdict,) in rows)


def _spent(since: datetime, *, workload_key: str | None, namespace: str | None) -> tuple[str, list[object]]:
    """FROM-clause rest and values of the executions that used up a budget."""
    clauses = ["executions.kind = 'apply'", "executions.outcome <> 'not_applied'", "executions.intent_at >= ?"]
    values: list[object] = [to_timestamp(since)]
    if workload_key is not None:
        clauses.append(
            "(incidents.key = ? OR concat_ws('/', change_target_kind, "
            "nullif(change_target_namespace, ''), change_target_name) = ?)"
        )
        values += [workload_key, workload_key]
    if namespace is not None:
        clauses.append("executions.change_target_namespace = ?")
        values.append(namespace)
    return f"LEFT JOIN incidents ON incidents.id = executions.incident_id WHERE {' AND '.join(clauses)}", values
