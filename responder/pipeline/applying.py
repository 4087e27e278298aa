"""From an approved plan to its end: apply, verify, keep or roll back. Each write is journaled by `fixer.executor`.

What a verdict means for the incident is decided here; the verdict itself is `fixer.verifier`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from responder.analyzer.collect import collect
from responder.analyzer.heuristics import diagnose
from responder.domain.errors import (
    ApprovalMismatch,
    FieldConflict,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
    TemporaryError,
)
from responder.domain.execution import (
    Baseline,
    Execution,
    ExecutionKind,
    ExecutionOutcome,
    Verdict,
    VerdictKind,
    Verification,
)
from responder.domain.incident import ACTIVE_STATES, Incident, Outcome
from responder.domain.incident import Event as Move
from responder.domain.manifest import Json
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Rule
from responder.domain.snapshot import Snapshot
from responder.fixer import executor, verifier
from responder.fixer.approval import require_approval
from responder.pipeline.context import Context, Step, commit, moved
from responder.pipeline.policy import open_breakers
from responder.store import alerts, executions, incidents, plans
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

ROLLBACK_APPROVAL = "rollback"
"""`Approval.kind` of a human's request to undo an applied plan."""

_KILL_SWITCH_SECONDS = 5.0
"""An undo waits for the kill switch to be released; it is not given up."""

_LATE_WRITE_PAUSE_SECONDS = 1.0
"""Between two looks whether a write without an answer took effect after all."""

_ROLLBACK_TRIES = 3
"""A rollback that provably did not take effect (a status report came between read and write) is tried again."""

_LOOK_SECONDS = 5.0
"""Longest pause between two looks of a verification."""


async def apply_step(ctx: Context, incident: Incident) -> float | None:
    """Make the approved change, once. What an earlier process left open is settled by reading the cluster first."""
    plan = await ctx.store.read(lambda con: _approved_plan(con, incident.id))
    if plan is None:
        summary = f"no approved plan is left: {incident.summary}"
        return await _escalate(ctx, incident, Outcome.FAILED, summary, event="execution_failed")
    earlier = await ctx.store.read(lambda con: executions.of_plan(con, plan.id))
    left_open = next((e for e in earlier if e.kind is ExecutionKind.APPLY), None)
    if left_open is not None:
        return await _settle(ctx, incident, plan, await _recovered(ctx, left_open))
    if not incident.attempts and not await ctx.store.read(lambda con: alerts.firing_count(con, incident.id)):
        over = moved(incident, Move.RESOLVE, outcome=Outcome.ALERT_RESOLVED)
        await commit(ctx, Step(incident=over, event="resolved_by_alert", detail={"cancelled_plan": plan.id}))
        return None
    approvals = await ctx.store.read(lambda con: plans.approvals(con, plan.id))
    try:
        used = require_approval(plan, approvals, now=ctx.now())
        may_write = _write_gate(ctx, incident, approvals=used)
        snapshot = await collect(ctx.cluster, _root(incident), now=ctx.now(), namespaces=ctx.options.namespaces)
        execution = await executor.execute(
            ctx.cluster,
            ctx.store,
            plan,
            requested_by=", ".join(approval.approver for approval in used),
            baseline=verifier.baseline_of(snapshot),
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
        mode = ctx.brakes.effective(rule.mode, incident.namespace)
        if mode.rank < needed.rank:
            raise PolicyViolation(f"the mode of {incident.namespace} is {mode} now; this change needs {needed}")

    return gate


async def _recovered(ctx: Context, execution: Execution) -> Execution:
    """The execution with its outcome: as recorded, or as the cluster tells; pending where it may yet take effect."""
    if execution.outcome is not ExecutionOutcome.PENDING:
        return execution
    late = ctx.options.late_write_seconds
    settled = await executor.settle(ctx.cluster, ctx.store, execution, now=ctx.now, late_write_seconds=late)
    log.warning("execution was left open", execution=execution.id, outcome=settled.outcome.value)
    return settled


async def _settle(ctx: Context, incident: Incident, plan: Plan, execution: Execution) -> float | None:
    if execution.outcome is ExecutionOutcome.PENDING:
        return _LATE_WRITE_PAUSE_SECONDS
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
            return await _escalate(ctx, incident, Outcome.OUTCOME_UNKNOWN, summary, event="outcome_unknown")


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


async def verify_step(ctx: Context, incident: Incident) -> float | None:
    """Look once at what the change did. The verdict may need more looks: then the pause until the next is returned."""
    plan, execution = await ctx.store.read(lambda con: in_force(con, incident.id, reversible_only=False))
    if plan is None or execution is None:
        return await _escalate(
            ctx, incident, Outcome.FAILED, "the change to verify is not in the record", event="failed"
        )
    rule = ctx.rule_named(incident.rule)
    history = await ctx.store.read(lambda con: executions.verifications(con, execution.id))
    elapsed = _elapsed(ctx, execution, history)
    snapshot = await _look(ctx, incident)
    verdict, next_faults = await _judge(ctx, incident, plan, execution, rule, snapshot, history, elapsed)
    look = _verification(ctx, execution, len(history) + 1, elapsed, verdict, snapshot)
    await ctx.store.write(lambda con: executions.add_verification(con, look))
    if verdict.kind is VerdictKind.PENDING:
        return _pause(rule, elapsed)
    log.info("verified", verdict=verdict.kind.value, reason=verdict.reason, execution=execution.id)
    ctx.metrics.verifications.labels(action=plan.action.kind, verdict=verdict.kind.value).inc()
    ctx.elapsed_bases.pop(execution.id, None)
    return await _conclude(ctx, incident, plan, execution, rule, verdict, next_faults)


async def _look(ctx: Context, incident: Incident) -> Snapshot | None:
    """None where the cluster cannot be read: no look was had, and time runs on."""
    try:
        return await collect(ctx.cluster, _root(incident), now=ctx.now(), namespaces=ctx.options.namespaces)
    except (TemporaryError, Forbidden) as exc:
        log.warning("could not look at the object", problem=str(exc))
        return None


async def _judge(
    ctx: Context,
    incident: Incident,
    plan: Plan,
    execution: Execution,
    rule: Rule,
    snapshot: Snapshot | None,
    history: tuple[Verification, ...],
    elapsed: float,
) -> tuple[Verdict, str]:
    if snapshot is None:
        late = elapsed >= rule.verify.within_seconds
        kind = VerdictKind.UNKNOWN if late else VerdictKind.PENDING
        return Verdict(kind=kind, reason="the cluster could not be read"), ""
    diagnosis = diagnose(snapshot, alert_labels=incident.labels)
    every = await ctx.store.read(lambda con: plans.of_incident(con, incident.id))
    answered = frozenset(p.finding for p in every if p.state is PlanState.APPLIED)
    firing = await ctx.store.read(lambda con: alerts.firing_count(con, incident.id))
    verdict = verifier.judge(
        plan=plan,
        execution=execution,
        snapshot=snapshot,
        findings=diagnosis.findings,
        has_next=any(proposal.finding != plan.finding for proposal in diagnosis.proposals),
        answered=answered,
        alerts_firing=firing,
        policy=rule.verify,
        history=history,
        elapsed_seconds=elapsed,
    )
    return verdict, diagnosis.summary


async def _conclude(
    ctx: Context, incident: Incident, plan: Plan, execution: Execution, rule: Rule, verdict: Verdict, now_seen: str
) -> float | None:
    detail = {"execution": execution.id, "verdict": verdict.kind.value, "reason": verdict.reason}
    match verdict.kind:
        case VerdictKind.PASSED:
            summary = f"{incident.summary}. Mended by {plan.action.kind} ({plan.reason}): {verdict.reason}"
            fixed = moved(incident, Move.RESOLVE, outcome=Outcome.FIXED, summary=summary)
            await commit(ctx, Step(incident=fixed, event="verified", detail=detail))
            return None
        case VerdictKind.PROGRESSED:
            onward = moved(incident, Move.INVESTIGATE, summary=now_seen)
            await commit(ctx, Step(incident=onward, event="progressed", detail=detail))
            return 0.0
        case VerdictKind.REVERTED:
            summary = f"{verdict.other_manager or 'someone'} took {plan.action.kind} back; it is not made again"
            return await _escalate(
                ctx, incident, Outcome.REVERTED_BY_OTHERS, summary, event="reverted_by_others", detail=detail
            )
        case VerdictKind.FAILED | VerdictKind.UNKNOWN | VerdictKind.PENDING:
            await open_breakers(ctx, incident.namespace)
            why = (
                verdict.reason if not now_seen or now_seen in verdict.reason else f"{verdict.reason}; seen: {now_seen}"
            )
            if rule.verify.rollback and execution.change.inverse:
                summary = f"{plan.action.kind} did not help ({why}): rolling back"
                back = moved(incident, Move.ROLL_BACK, summary=summary)
                await commit(ctx, Step(incident=back, event="verification_failed", detail=detail))
                return 0.0
            summary = f"{plan.action.kind} did not help ({why}) and stays in place"
            return await _escalate(
                ctx, incident, Outcome.VERIFICATION_FAILED, summary, event="verification_failed", detail=detail
            )


async def rollback_step(ctx: Context, incident: Incident) -> float | None:
    """Undo the change in force by its recorded inverse, once, and look whether the workload is as it was."""
    plan, execution = await ctx.store.read(lambda con: in_force(con, incident.id, reversible_only=True))
    if plan is None or execution is None:
        return await _escalate(ctx, incident, Outcome.FAILED, "there is no change to take back", event="failed")
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
            undo = await _recovered(ctx, undo)
    except (PlanStale, PlanInvalid, FieldConflict, Forbidden, ObjectGone, PolicyViolation) as exc:
        summary = f"{plan.action.kind} was not taken back: {exc}"
        return await _escalate(ctx, incident, Outcome.ROLLBACK_FAILED, summary, event="rollback_refused")
    if undo.outcome is ExecutionOutcome.PENDING:
        return _LATE_WRITE_PAUSE_SECONDS
    ctx.metrics.executions.labels(action=plan.action.kind, kind=undo.kind.value, outcome=undo.outcome.value).inc()
    if undo.outcome is ExecutionOutcome.NOT_APPLIED and len(undos) < _ROLLBACK_TRIES:
        return 0.0
    if undo.outcome is not ExecutionOutcome.APPLIED:
        summary = f"taking {plan.action.kind} back ended {undo.outcome}: {undo.detail}"
        outcome = Outcome.OUTCOME_UNKNOWN if undo.outcome is ExecutionOutcome.UNKNOWN else Outcome.ROLLBACK_FAILED
        return await _escalate(ctx, incident, outcome, summary, event="rollback_failed")
    return await _verify_rollback(ctx, incident, plan, execution, undo)


async def _verify_rollback(
    ctx: Context, incident: Incident, plan: Plan, execution: Execution, undo: Execution
) -> float | None:
    """The rollback is judged by two facts: the object is what it was, and not fewer pods are ready than before."""
    rule = ctx.rule_named(incident.rule)
    history = await ctx.store.read(lambda con: executions.verifications(con, undo.id))
    elapsed = _elapsed(ctx, undo, history)
    snapshot = await _look(ctx, incident)
    restored = undo.base_hash_after == execution.change.base_hash
    ready = verifier.baseline_of(snapshot).ready if snapshot is not None else -1
    late = elapsed >= rule.verify.within_seconds
    if ready < execution.baseline.ready and not late:
        return _pause(rule, elapsed)
    good = restored and ready >= execution.baseline.ready
    reason = (
        f"the object is as it was, {ready} of {execution.baseline.desired} pods are ready"
        if good
        else f"object restored: {restored}; ready {ready}, before the change {execution.baseline.ready}"
    )
    verdict = Verdict(kind=VerdictKind.PASSED if good else VerdictKind.UNKNOWN, reason=reason, healthy=good)
    ctx.elapsed_bases.pop(undo.id, None)
    look = Verification(
        execution_id=undo.id,
        number=len(history) + 1,
        at=ctx.now(),
        elapsed_seconds=elapsed,
        verdict=verdict,
        ready=max(ready, 0),
        desired=execution.baseline.desired,
        restarts=0,
    )
    summary = f"{plan.action.kind} was taken back ({reason}). {incident.summary}"
    outcome = Outcome.ROLLED_BACK if good else Outcome.ROLLBACK_FAILED
    ended = moved(incident, Move.ESCALATE, outcome=outcome, summary=summary)
    await commit(
        ctx,
        Step(
            incident=ended,
            event="rolled_back",
            actor=undo.requested_by,
            detail={"execution": undo.id, "undoes": execution.id, "verdict": verdict.kind.value},
            also=(lambda con: executions.add_verification(con, look),),
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


def in_force(con: Connection, incident_id: str, *, reversible_only: bool) -> tuple[Plan | None, Execution | None]:
    """The newest applied change of the incident that no completed rollback has undone, with its plan.

    Changes are undone newest first; one that cannot be undone (an evicted pod) does not stand in the way of the others.
    """
    done = executions.of_incident(con, incident_id)
    ended = {e.plan_id for e in done if e.kind is ExecutionKind.ROLLBACK and _rollback_is_over(con, e)}
    for execution in reversed(done):
        applied = execution.kind is ExecutionKind.APPLY and execution.outcome is ExecutionOutcome.APPLIED
        wanted = bool(execution.change.inverse) or not reversible_only
        if applied and wanted and execution.plan_id not in ended:
            return plans.get(con, execution.plan_id), execution
    return None, None


def _rollback_is_over(con: Connection, undo: Execution) -> bool:
    return undo.outcome is ExecutionOutcome.APPLIED and bool(executions.verifications(con, undo.id))


def _elapsed(ctx: Context, execution: Execution, history: tuple[Verification, ...]) -> float:
    verified_before = history[-1].elapsed_seconds if history else 0.0
    base, offset = ctx.elapsed_bases.setdefault(execution.id, (ctx.monotonic(), verified_before))
    return offset + ctx.monotonic() - base


def _pause(rule: Rule, elapsed: float) -> float:
    remaining = max(rule.verify.within_seconds - elapsed, 0.1)
    until_settled = rule.verify.settle_seconds - elapsed
    if until_settled > 0:
        return min(until_settled + 0.05, _LOOK_SECONDS, remaining)
    return min(max(rule.verify.settle_seconds / 3, 0.1), _LOOK_SECONDS, remaining)


def _verification(
    ctx: Context, execution: Execution, number: int, elapsed: float, verdict: Verdict, snapshot: Snapshot | None
) -> Verification:
    """A look that saw nothing is recorded too: it breaks the run of healthy ones."""
    state = verifier.baseline_of(snapshot) if snapshot is not None else Baseline()
    return Verification(
        execution_id=execution.id,
        number=number,
        at=ctx.now(),
        elapsed_seconds=elapsed,
        verdict=verdict,
        ready=state.ready,
        desired=state.desired,
        restarts=state.restarts,
    )


def _root(incident: Incident) -> ObjectRef:
    if incident.root is None:
        raise ObjectGone(f"{incident.id} names no object")
    return incident.root


async def _escalate(
    ctx: Context,
    incident: Incident,
    outcome: Outcome,
    summary: str,
    *,
    event: str,
    detail: Mapping[str, Json] | None = None,
) -> float | None:
    ended = moved(incident, Move.ESCALATE, outcome=outcome, summary=summary)
    await commit(ctx, Step(incident=ended, event=event, detail=detail or {}))
    return None


async def settle_orphans(ctx: Context) -> None:
    """Settle every execution whose outcome is open although its incident has ended: the record must not stay open."""
    for execution in await ctx.store.read(executions.pending):
        incident = await ctx.store.read(lambda con, e=execution: incidents.get(con, e.incident_id))  # type: ignore[misc]
        if incident.state not in ACTIVE_STATES:
            await _recovered(ctx, execution)
