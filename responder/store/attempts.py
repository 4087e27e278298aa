"""What an incident has been through: every change that was planned for it, and what came of it."""

from __future__ import annotations

from responder.domain.execution import Execution, ExecutionKind, VerdictKind, Verification
from responder.domain.investigation import Attempt
from responder.domain.plan import Plan
from responder.store import executions, plans
from responder.store.connection import Connection


def of_incident(con: Connection, incident_id: str) -> tuple[Attempt, ...]:
    """Oldest first; plans that nothing was written for too."""
    applied = {
        execution.plan_id: execution
        for execution in executions.of_incident(con, incident_id)
        if execution.kind is ExecutionKind.APPLY
    }
    return tuple(_attempt(con, plan, applied.get(plan.id)) for plan in plans.of_incident(con, incident_id))


def _attempt(con: Connection, plan: Plan, execution: Execution | None) -> Attempt:
    judged = _judged(con, execution) if execution is not None else None
    return Attempt(
        plan_id=plan.id,
        investigation_id=plan.investigation_id,
        action=plan.action,
        diff=plan.diff,
        at=plan.created_at,
        state=plan.state.value,
        outcome=execution.outcome.value if execution is not None else "",
        verdict=judged.verdict.kind.value if judged is not None else "",
        reason=judged.verdict.reason if judged is not None else "",
    )


def _judged(con: Connection, execution: Execution) -> Verification | None:
    """The last look that decided something."""
    looks = executions.verifications(con, execution.id)
    return next((look for look in reversed(looks) if look.verdict.kind is not VerdictKind.PENDING), None)
