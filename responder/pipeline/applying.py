"""Making an approved change, once. The write itself, and its journal, is `fixer.executor`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from responder.analyzer.collect import collect
from responder.domain.errors import (
    ApprovalMismatch,
    FieldConflict,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
)
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome
from responder.domain.incident import ACTIVE_STATES, Incident, Outcome
from responder.domain.incident import Event as Move
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.rule import Mode
from responder.fixer import executor, verifier
from responder.fixer.approval import require_approval
from responder.pipeline.context import Context, Step, commit, escalate, moved
from responder.pipeline.looks import root_of
from responder.pipeline.policy import effective_mode
from responder.store import alerts, executions, incidents, plans
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

LATE_WRITE_PAUSE_SECONDS = 1.0
"""Between two looks whether a write without an answer took effect after all."""


async def apply_step(ctx: Context, incident: Incident) -> float | None:
    """Make the approved change, once. What an earlier process left open is settled by reading the cluster first."""
    plan = await ctx.store.read(lambda con: _approved_plan(con, incident.id))
    if plan is None:
        summary = f"no approved plan is left: {incident.summary}"
        return await escalate(ctx, incident, Outcome.FAILED, summary, event="execution_failed")
    earlier = await ctx.store.read(lambda con: executions.of_plan(con, plan.id))
    left_open = next((e for e in earlier if e.kind is ExecutionKind.APPLY), None)
    if left_open is not None:
        return await _settle(ctx, incident, plan, await recovered(ctx, left_open))
    if not incident.attempts and not await ctx.store.read(lambda con: alerts.firing_count(con, incident.id)):
        over = moved(incident, Move.RESOLVE, outcome=Outcome.ALERT_RESOLVED)
        await commit(ctx, Step(incident=over, event="resolved_by_alert", detail={"cancelled_plan": plan.id}))
        return None
    approvals = await ctx.store.read(lambda con: plans.approvals(con, plan.id))
    try:
        used = require_approval(plan, approvals, now=ctx.now())
        may_write = _write_gate(ctx, incident, approvals=used)
        snapshot = await collect(ctx.cluster, root_of(incident), now=ctx.now(), namespaces=ctx.options.namespaces)
        execution = await executor.execute(
            ctx.cluster,
            ctx.store,
            plan,
            requested_by=", ".join(approval.approver for approval in used),
            baseline=verifier.baseline_before(snapshot),
            now=ctx.now,
            mint=ctx.mint,
            may_write=may_write,
            late_write_seconds=ctx.options.late_write_seconds,
        )
    except PlanStale as exc:
        return await _stale(ctx, incident, plan, str(exc))
    except (ApprovalMismatch, PolicyViolation, PlanInvalid, FieldConflict, Forbidden, ObjectGone) as exc:
        return await _not_made(ctx, incident, plan, exc)
    return await _settle(ctx, incident, plan, execution)


def _approved_plan(con: Connection, incident_id: str) -> Plan | None:
    every = plans.of_incident(con, incident_id)
    return next((plan for plan in reversed(every) if plan.state is PlanState.APPROVED), None)


def _write_gate(ctx: Context, incident: Incident, *, approvals: tuple[Approval, ...]) -> Callable[[], None]:
    """A last question that the executor asks right before the write: brakes pulled since the approval count."""
    rule = ctx.rule_named(incident.rule)
    by_policy = any(approval.kind == "policy" for approval in approvals)
    needed = Mode.AUTONOMOUS if by_policy else Mode.DRY_RUN

    def gate() -> None:
        if ctx.brakes.settings.kill_switch:
            raise PolicyViolation("the kill switch is on: no new write starts")
        mode = effective_mode(ctx, rule, incident)
        if mode.rank < needed.rank:
            raise PolicyViolation(f"the mode of {incident.namespace} is {mode} now; this change needs {needed}")

    return gate


async def recovered(ctx: Context, execution: Execution) -> Execution:
    """The execution with its outcome: as recorded, or as the cluster tells; pending where it may yet take effect."""
    if execution.outcome is not ExecutionOutcome.PENDING:
        return execution
    late = ctx.options.late_write_seconds
    settled = await executor.settle(ctx.cluster, ctx.store, execution, now=ctx.now, late_write_seconds=late)
    log.warning("execution was left open", execution=execution.id, outcome=settled.outcome.value)
    return settled


async def _settle(ctx: Context, incident: Incident, plan: Plan, execution: Execution) -> float | None:
    if execution.outcome is ExecutionOutcome.PENDING:
        return LATE_WRITE_PAUSE_SECONDS
    ctx.metrics.executions.labels(
        action=plan.action.kind, kind=execution.kind.value, outcome=execution.outcome.value
    ).inc()
    match execution.outcome:
        case ExecutionOutcome.APPLIED:
            applied = replace(moved(incident, Move.VERIFY), attempts=incident.attempts + 1)
            await commit(
                ctx,
                Step(
                    incident=applied,
                    event="applied",
                    actor=execution.requested_by,
                    detail={"execution": execution.id, "plan": plan.id},
                    also=(lambda con: plans.set_state(con, plan.id, PlanState.APPLIED),),
                ),
            )
            return 0.0
        case ExecutionOutcome.NOT_APPLIED:
            return await _stale(ctx, incident, plan, execution.detail or "the write did not take effect")
        case ExecutionOutcome.UNKNOWN:
            summary = f"it is not known whether {plan.action.kind} took effect ({execution.detail}): look before acting"
            return await escalate(ctx, incident, Outcome.OUTCOME_UNKNOWN, summary, event="outcome_unknown")


async def _stale(ctx: Context, incident: Incident, plan: Plan, why: str) -> float:
    ctx.metrics.plans.labels(action=plan.action.kind, state=PlanState.STALE.value).inc()
    await commit(
        ctx,
        Step(
            incident=moved(incident, Move.INVESTIGATE),
            event="plan_stale",
            detail={"plan": plan.id, "why": why},
            also=(lambda con: plans.set_state(con, plan.id, PlanState.STALE),),
        ),
    )
    return 0.0


async def _not_made(ctx: Context, incident: Incident, plan: Plan, exc: PermanentError) -> float | None:
    summary = f"{plan.action.kind} was not made: {exc}"
    state = PlanState.EXPIRED if isinstance(exc, ApprovalMismatch) else PlanState.CANCELLED
    await commit(
        ctx,
        Step(
            incident=moved(incident, Move.ESCALATE, outcome=Outcome.REFUSED, summary=summary),
            event="execution_refused",
            detail={"plan": plan.id, "error": type(exc).__name__, "why": str(exc)},
            also=(lambda con: plans.set_state(con, plan.id, state),),
        ),
    )
    return None


async def settle_orphans(ctx: Context) -> None:
    """Settle every execution whose outcome is open although its incident has ended: the record must not stay open."""
    for execution in await ctx.store.read(executions.pending):
        incident = await ctx.store.read(lambda con, e=execution: incidents.get(con, e.incident_id))  # type: ignore[misc]
        if incident.state not in ACTIVE_STATES:
            await recovered(ctx, execution)
