"""Whether an applied change helped, and what follows: keep it, go on to the next fault, take it back, ask a human.

The verdict is `fixer.verifier`'s; what it means for the incident is decided here.
"""

from __future__ import annotations

from responder.analyzer.heuristics import diagnose
from responder.domain.execution import Execution, Verdict, VerdictKind, Verification
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome
from responder.domain.investigation import HEURISTIC
from responder.domain.plan import Plan, PlanState
from responder.domain.rule import Rule
from responder.domain.snapshot import Snapshot
from responder.fixer import verifier
from responder.pipeline.context import Context, Step, commit, escalate, moved
from responder.pipeline.looks import elapsed_since_write, in_force, look, pause_between_looks, record_of
from responder.pipeline.policy import open_breakers
from responder.pipeline.sharing import about, members_of, on_waiting_member
from responder.store import alerts, executions, investigations, plans
from responder.telemetry import get_logger

log = get_logger("pipeline")


async def verify_step(ctx: Context, incident: Incident) -> float | None:
    """Look once at what the change did. The verdict may need more looks: then the pause until the next is returned."""
    plan, execution = await ctx.store.read(lambda con: in_force(con, incident.id, reversible_only=False))
    if plan is None or execution is None:
        return await escalate(
            ctx, incident, Outcome.FAILED, "the change to verify is not in the record", event="failed"
        )
    rule = ctx.rule_named(incident.rule)
    history = await ctx.store.read(lambda con: executions.verifications(con, execution.id))
    elapsed = elapsed_since_write(ctx, execution, history)
    snapshot = await look(ctx, incident)
    verdict, next_faults = await _judge(ctx, incident, plan, execution, rule, snapshot, history, elapsed)
    seen = record_of(ctx, execution, len(history) + 1, elapsed, verdict, snapshot)
    await ctx.store.write(lambda con: executions.add_verification(con, seen))
    if verdict.kind is VerdictKind.PENDING:
        return pause_between_looks(rule, elapsed)
    log.info("verified", verdict=verdict.kind.value, reason=verdict.reason, execution=execution.id)
    ctx.metrics.verifications.labels(action=plan.action.kind, verdict=verdict.kind.value).inc()
    ctx.elapsed_bases.pop(execution.id, None)
    return await _conclude(ctx, incident, plan, execution, rule, verdict, next_faults)


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
    if incident.cause:
        every = tuple(p for p in every if about(p, incident.root))
    answered = frozenset(p.finding for p in every if p.state is PlanState.APPLIED)
    concerned = incident.root.key if incident.cause and incident.root is not None else ""
    firing = await ctx.store.read(lambda con: alerts.firing_count(con, incident.id, concerned))
    has_next = any(proposal.finding != plan.finding for proposal in diagnosis.proposals)
    verdict = verifier.judge(
        plan=plan,
        execution=execution,
        snapshot=snapshot,
        findings=diagnosis.findings,
        has_next=has_next and await _by_detectors(ctx, plan),
        answered=answered,
        alerts_firing=firing,
        policy=rule.verify,
        history=history,
        elapsed_seconds=elapsed,
    )
    return verdict, diagnosis.summary


async def _by_detectors(ctx: Context, plan: Plan) -> bool:
    """Another fault in place of the first is progress only after a change that the detectors suggest: one that a model
    alone suggested may have brought that fault about, so nothing but health speaks for it."""
    run = await ctx.store.read(lambda con: investigations.get(con, plan.investigation_id))
    return run.analyzer == HEURISTIC


async def _conclude(
    ctx: Context, incident: Incident, plan: Plan, execution: Execution, rule: Rule, verdict: Verdict, now_seen: str
) -> float | None:
    detail = {"execution": execution.id, "verdict": verdict.kind.value, "reason": verdict.reason}
    match verdict.kind:
        case VerdictKind.PASSED:
            summary = f"{incident.summary}. Mended by {plan.action.kind} ({plan.reason}): {verdict.reason}"
            onward = await _next_member(ctx, incident) if incident.cause else None
            if onward is not None:
                await commit(ctx, Step(incident=onward, event="member_mended", detail=detail))
                return 0.0
            fixed = moved(incident, Move.RESOLVE, outcome=Outcome.FIXED, summary=summary)
            await commit(ctx, Step(incident=fixed, event="verified", detail=detail))
            return None
        case VerdictKind.PROGRESSED:
            onward = moved(incident, Move.INVESTIGATE, summary=now_seen)
            await commit(ctx, Step(incident=onward, event="progressed", detail=detail))
            return 0.0
        case VerdictKind.REVERTED:
            summary = f"{verdict.other_manager or 'someone'} took {plan.action.kind} back; it is not made again"
            return await escalate(
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
            return await escalate(
                ctx, incident, Outcome.VERIFICATION_FAILED, summary, event="verification_failed", detail=detail
            )


async def _next_member(ctx: Context, incident: Incident) -> Incident | None:
    """The incident on the next of its members that an alert still fires for; None where the change was the last one
    needed. An incident of one cause is over when nobody suffers from it any more."""
    members = await members_of(ctx, incident)
    if not members.waiting:
        return None
    summary = f"{members.mended} of {incident.members} workloads mended; next: {members.waiting[0]} ({incident.cause})"
    return await on_waiting_member(ctx, moved(incident, Move.INVESTIGATE, summary=summary))
