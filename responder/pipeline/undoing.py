"""Taking an applied change back by its recorded inverse, once, and judging whether all is as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from responder.domain.errors import (
    FieldConflict,
    Forbidden,
    ObjectGone,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
)
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome
from responder.domain.plan import Plan
from responder.fixer import executor, verifier
from responder.pipeline.applying import LATE_WRITE_PAUSE_SECONDS, recovered
from responder.pipeline.context import Context, Step, commit, escalate, moved
from responder.pipeline.looks import elapsed_since_write, in_force, look, pause_between_looks, record_of
from responder.store import executions, plans

ROLLBACK_APPROVAL = "rollback"
"""`Approval.kind` of a human's request to undo an applied plan."""

_KILL_SWITCH_SECONDS = 5.0
"""An undo waits for the kill switch to be released; it is not given up."""

_ROLLBACK_TRIES = 3
"""A rollback that provably did not take effect (a status report came between read and write) is tried again."""


async def rollback_step(ctx: Context, incident: Incident) -> float | None:
    """Undo the change in force by its recorded inverse, once, and look whether the workload is as it was."""
    plan, execution = await ctx.store.read(lambda con: in_force(con, incident.id, reversible_only=True))
    if plan is None or execution is None:
        return await escalate(ctx, incident, Outcome.FAILED, "there is no change to take back", event="failed")
    done = await ctx.store.read(lambda con: executions.of_plan(con, plan.id))
    undos = [e for e in done if e.kind is ExecutionKind.ROLLBACK]
    undo = next((e for e in reversed(undos) if e.outcome is not ExecutionOutcome.NOT_APPLIED), None)
    if undo is None and ctx.brakes.settings.kill_switch:
        return _KILL_SWITCH_SECONDS
    try:
        if undo is None:
            undo = await executor.roll_back(
                ctx.cluster,
                ctx.store,
                plan,
                execution,
                requested_by=await _rollback_author(ctx, plan),
                now=ctx.now,
                mint=ctx.mint,
                may_write=_kill_switch_gate(ctx),
                late_write_seconds=ctx.options.late_write_seconds,
            )
        else:
            undo = await recovered(ctx, undo)
    except (PlanStale, PlanInvalid, FieldConflict, Forbidden, ObjectGone, PolicyViolation) as exc:
        summary = f"{plan.action.kind} was not taken back: {exc}"
        return await escalate(ctx, incident, Outcome.ROLLBACK_FAILED, summary, event="rollback_refused")
    if undo.outcome is ExecutionOutcome.PENDING:
        return LATE_WRITE_PAUSE_SECONDS
    ctx.metrics.executions.labels(action=plan.action.kind, kind=undo.kind.value, outcome=undo.outcome.value).inc()
    if undo.outcome is ExecutionOutcome.NOT_APPLIED and len(undos) < _ROLLBACK_TRIES:
        return 0.0
    if undo.outcome is not ExecutionOutcome.APPLIED:
        summary = f"taking {plan.action.kind} back ended {undo.outcome}: {undo.detail}"
        outcome = Outcome.OUTCOME_UNKNOWN if undo.outcome is ExecutionOutcome.UNKNOWN else Outcome.ROLLBACK_FAILED
        return await escalate(ctx, incident, outcome, summary, event="rollback_failed")
    return await _verify_rollback(ctx, incident, plan, execution, undo)


async def _verify_rollback(
    ctx: Context, incident: Incident, plan: Plan, execution: Execution, undo: Execution
) -> float | None:
    rule = ctx.rule_named(incident.rule)
    history = await ctx.store.read(lambda con: executions.verifications(con, undo.id))
    elapsed = elapsed_since_write(ctx, undo, history)
    # Of a shared incident, the change may be an earlier member's.
    changed = replace(incident, root=execution.change.target) if incident.cause else incident
    snapshot = await look(ctx, changed)
    verdict = verifier.judge_rollback(
        plan=plan,
        execution=execution,
        undo=undo,
        snapshot=snapshot,
        history=history,
        elapsed_seconds=elapsed,
        policy=rule.verify,
    )
    seen = record_of(ctx, undo, len(history) + 1, elapsed, verdict, snapshot)
    if verdict.kind is VerdictKind.PENDING:
        await ctx.store.write(lambda con: executions.add_verification(con, seen))
        return pause_between_looks(rule, elapsed)
    ctx.elapsed_bases.pop(undo.id, None)
    good = verdict.kind is VerdictKind.PASSED
    summary = f"{plan.action.kind} was taken back ({verdict.reason}). {incident.summary}"
    outcome = Outcome.ROLLED_BACK if good else Outcome.ROLLBACK_FAILED
    await commit(
        ctx,
        Step(
            incident=moved(incident, Move.ESCALATE, outcome=outcome, summary=summary),
            event="rolled_back",
            actor=undo.requested_by,
            detail={"execution": undo.id, "undoes": execution.id, "verdict": verdict.kind.value},
            also=(lambda con: executions.add_verification(con, seen),),
        ),
    )
    return None


async def _rollback_author(ctx: Context, plan: Plan) -> str:
    approvals = await ctx.store.read(lambda con: plans.approvals(con, plan.id))
    return next((a.approver for a in reversed(approvals) if a.kind == ROLLBACK_APPROVAL), "verification")


def _kill_switch_gate(ctx: Context) -> Callable[[], None]:
    def gate() -> None:
        if ctx.brakes.settings.kill_switch:
            raise PolicyViolation("the kill switch is on: no new write starts, not even an undo")

    return gate
