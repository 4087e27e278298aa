"""One step of one incident: read its state, do what that state asks for, commit, say when to look again.

Level-based: nothing is remembered between steps but what the store holds, so a restart or a repeated call is harmless.
What is true of the cluster is read afresh in each step.
"""

from __future__ import annotations

import structlog

from responder.domain.errors import ApprovalMismatch, NotFound
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome, State
from responder.domain.plan import Plan, PlanState
from responder.fixer.approval import require_approval
from responder.pipeline.applying import apply_step
from responder.pipeline.context import Context, Step, commit, moved
from responder.pipeline.deciding import investigate_step
from responder.pipeline.notifying import notify
from responder.pipeline.undoing import rollback_step
from responder.pipeline.verifying import verify_step
from responder.store import incidents, plans, silences
from responder.telemetry import get_logger

log = get_logger("pipeline")

_SILENCE_CHECK_SECONDS = 60.0
"""A silence may be ended before its time."""


async def reconcile(ctx: Context, incident_id: str) -> float | None:
    """Take one step. Returns the seconds until the next one, 0 for at once, None when nothing is left to do.

    Raises:
        TemporaryError: nothing was changed that the next try would not find; back off and come again.
    """
    with structlog.contextvars.bound_contextvars(incident=incident_id):
        try:
            incident = await ctx.store.read(lambda con: incidents.get(con, incident_id))
        except NotFound:
            log.warning("incident is not in the store")
            return None
        before = incident.state
        pause = await _step(ctx, incident)
        after = await ctx.store.read(lambda con: incidents.get(con, incident_id))
        if after.state is not before:
            log.info("incident moved", before=before.value, after=after.state.value, outcome=after.outcome.value)
            await notify(ctx, before, after)
        return pause


async def _step(ctx: Context, incident: Incident) -> float | None:
    match incident.state:
        case State.OPEN:
            return await _open_step(ctx, incident)
        case State.INVESTIGATING:
            return await investigate_step(ctx, incident)
        case State.AWAITING_APPROVAL:
            return await _approval_step(ctx, incident)
        case State.EXECUTING:
            return await apply_step(ctx, incident)
        case State.VERIFYING:
            return await verify_step(ctx, incident)
        case State.ROLLING_BACK:
            return await rollback_step(ctx, incident)
        case State.SUPPRESSED:
            return await _suppressed_step(ctx, incident)
        case State.RESOLVED | State.ESCALATED:
            return None


async def _open_step(ctx: Context, incident: Incident) -> float | None:
    at = ctx.now()
    silence = await ctx.store.read(lambda con: silences.matching(con, incident, at))
    if silence is not None:
        quiet = moved(incident, Move.SUPPRESS, outcome=Outcome.SILENCED, summary=f"silenced by {silence.author}")
        await commit(ctx, Step(incident=quiet, event="suppressed", detail={"silence": silence.id}))
        return min(max((silence.expires_at - at).total_seconds(), 0.1), _SILENCE_CHECK_SECONDS)
    await commit(ctx, Step(incident=moved(incident, Move.INVESTIGATE), event="investigation_requested"))
    return 0.0


async def _suppressed_step(ctx: Context, incident: Incident) -> float | None:
    """A silence ends; what still fires then is looked at."""
    at = ctx.now()
    silence = await ctx.store.read(lambda con: silences.matching(con, incident, at))
    if silence is not None:
        return min(max((silence.expires_at - at).total_seconds(), 0.1), _SILENCE_CHECK_SECONDS)
    woken = moved(incident, Move.INVESTIGATE, outcome=Outcome.NONE)
    await commit(ctx, Step(incident=woken, event="investigation_requested"))
    return 0.0


async def _approval_step(ctx: Context, incident: Incident) -> float | None:
    plan = await ctx.store.read(lambda con: plans.latest_open(con, incident.id))
    if plan is None:
        return await _no_open_plan(ctx, incident)
    approvals = await ctx.store.read(lambda con: plans.approvals(con, plan.id))
    at = ctx.now()
    try:
        require_approval(plan, approvals, now=at)
    except ApprovalMismatch:
        remaining = (plan.expires_at - at).total_seconds()
        if remaining > 0:
            return min(remaining + 0.05, 60.0)
        return await _expire(ctx, incident, plan)
    await commit(
        ctx,
        Step(
            incident=moved(incident, Move.EXECUTE),
            event="execution_requested",
            detail={"plan": plan.id, "digest": plan.digest},
            also=(lambda con: plans.set_state(con, plan.id, PlanState.APPROVED),),
        ),
    )
    return 0.0


async def _expire(ctx: Context, incident: Incident, plan: Plan) -> float | None:
    ctx.metrics.plans.labels(action=plan.action.kind, state=PlanState.EXPIRED.value).inc()
    summary = f"nobody approved in time: {incident.summary}"
    await commit(
        ctx,
        Step(
            incident=moved(incident, Move.ESCALATE, outcome=Outcome.EXPIRED, summary=summary),
            event="plan_expired",
            detail={"plan": plan.id},
            also=(lambda con: plans.set_state(con, plan.id, PlanState.EXPIRED),),
        ),
    )
    return None


async def _no_open_plan(ctx: Context, incident: Incident) -> float | None:
    """The plan was rejected or cancelled while the incident waited for it."""
    every = await ctx.store.read(lambda con: plans.of_incident(con, incident.id))
    rejected = bool(every) and every[-1].state is PlanState.REJECTED
    outcome = Outcome.REJECTED if rejected else Outcome.STALE
    await commit(ctx, Step(incident=moved(incident, Move.ESCALATE, outcome=outcome), event="plan_withdrawn"))
    return None
