"""Plans with their changes, and the approvals given to them.

A plan's content never changes: only its state moves. An approval is stored once per plan, digest, approver and kind,
so that one person on two sessions counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.plan import Approval, Change, Plan, PlanState
from responder.store.connection import Connection
from responder.store.rows import RecordTable

_TABLE = RecordTable("plans", Plan, omit=("changes",), extra=("action_kind",))
_CHANGES = RecordTable("changes", Change, extra=("plan_id", "position"))
_APPROVALS = RecordTable("approvals", Approval, extra=("consumed",))

PAGE_MAX = 500


def insert(con: Connection, plan: Plan) -> None:
    """Raises IllegalTransition where the id is taken."""
    if _TABLE.knows(con, plan.id):
        raise IllegalTransition(f"{plan.id} exists already")
    _TABLE.insert(con, plan, action_kind=plan.action.kind)
    _CHANGES.insert_all(con, plan.changes, plan_id=plan.id)


def get(con: Connection, plan_id: str) -> Plan:
    """Raises NotFound."""
    found = _select(con, "WHERE id = ?", plan_id)
    if not found:
        raise NotFound(f"no plan {plan_id}")
    return found[0]


def set_state(con: Connection, plan_id: str, state: PlanState) -> None:
    """Raises NotFound."""
    row = con.execute("UPDATE plans SET state = ? WHERE id = ?", [state.value, plan_id]).fetchone()
    if row is None or row[0] == 0:
        raise NotFound(f"no plan {plan_id}")


def of_incident(con: Connection, incident_id: str) -> tuple[Plan, ...]:
    """Oldest first."""
    return _select(con, "WHERE incident_id = ? ORDER BY created_at, id", incident_id)


def latest_open(con: Connection, incident_id: str) -> Plan | None:
    """The incident's newest plan that waits for an approval."""
    found = _select(
        con, "WHERE incident_id = ? AND state = 'proposed' ORDER BY created_at DESC, id DESC LIMIT 1", incident_id
    )
    return found[0] if found else None


def awaiting_a_person(con: Connection) -> tuple[Plan, ...]:
    """Every plan that waits for an approval, of incidents that wait too, oldest first; without their changes, of which
    a storm leaves hundreds."""
    return _TABLE.select(
        con,
        "JOIN incidents i ON i.id = plans.incident_id "
        "WHERE plans.state = 'proposed' AND i.state = 'awaiting_approval' ORDER BY plans.created_at, plans.id",
    )


def find(con: Connection, ids: Sequence[str]) -> tuple[Plan, ...]:
    """Those of `ids` that exist, without their changes."""
    return _TABLE.select(con, "WHERE id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)])


def page(con: Connection, *, states: Sequence[PlanState] = (), limit: int = 50) -> tuple[Plan, ...]:
    """Newest first. `limit` is kept between 1 and `PAGE_MAX`."""
    clause = "WHERE state IN (SELECT unnest(?::VARCHAR[]))"
    wanted = [state.value for state in states or tuple(PlanState)]
    limit = max(1, min(limit, PAGE_MAX))
    return _select(con, f"{clause} ORDER BY created_at DESC, id DESC LIMIT {limit}", wanted)


def add_approval(con: Connection, approval: Approval) -> Approval:
    """Store an approval; the one stored already where the same person gave the same before."""
    earlier = _APPROVALS.select(
        con,
        "WHERE plan_id = ? AND digest = ? AND approver = ? AND kind = ? AND NOT consumed",
        [approval.plan_id, approval.digest, approval.approver, approval.kind],
    )
    if earlier:
        return earlier[0]
    _APPROVALS.insert(con, approval, consumed=False)
    return approval


def approvals(con: Connection, plan_id: str, *, consumed: bool = False) -> tuple[Approval, ...]:
    """Oldest first; those already used only when asked for."""
    rest = "WHERE plan_id = ? AND (NOT consumed OR ?) ORDER BY decided_at, id"
    return _APPROVALS.select(con, rest, [plan_id, consumed])


def approvals_of(con: Connection, plan_ids: Sequence[str]) -> tuple[Approval, ...]:
    """Those of several plans that are not used yet, oldest first."""
    rest = "WHERE plan_id IN (SELECT unnest(?::VARCHAR[])) AND NOT consumed ORDER BY decided_at, id"
    return _APPROVALS.select(con, rest, [list(plan_ids)])


def consume_approvals(con: Connection, plan_id: str) -> None:
    """No approval of the plan counts a second time."""
    con.execute("UPDATE approvals SET consumed = true WHERE plan_id = ? AND NOT consumed", [plan_id])


def _select(con: Connection, rest: str, *values: str | list[str]) -> tuple[Plan, ...]:
    found = _TABLE.select(con, rest, values)
    return tuple(
        replace(plan, changes=_CHANGES.select(con, "WHERE plan_id = ? ORDER BY position", [plan.id])) for plan in found
    )
