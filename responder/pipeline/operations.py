"""What an authenticated human may ask for: approve, reject, roll back, look again, change the mode.

Every call commits the decision with its author before anything follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from responder.domain.errors import ApprovalMismatch, Forbidden, IllegalTransition, PlanInvalid, TemporaryError
from responder.domain.incident import IN_FLIGHT_STATES, Incident, Outcome
from responder.domain.incident import Event as Move
from responder.domain.manifest import Json
from responder.domain.mode import ModeSettings
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.undoing import keeps
from responder.fixer import executor
from responder.fixer.approval import approve as approval_for
from responder.pipeline.context import Context, moved, replace_times
from responder.pipeline.undoing import ROLLBACK_APPROVAL
from responder.store import audit, executions, incidents, modes, plans
from responder.store.store import Connection

_DRIFT_SECONDS = 2.0
"""Whoever looks at a plan does not wait longer for the cluster."""


async def approve(ctx: Context, plan_id: str, *, digest: str, approver: str) -> Plan:
    """Record one human's approval of exactly this digest. The executor checks it again before the write.

    Raises:
        NotFound: no such plan.
        ApprovalMismatch: the digest is not the plan's, or the plan no longer waits.
    """
    at = ctx.now()

    def job(con: Connection) -> Plan:
        plan = plans.get(con, plan_id)
        approval = approval_for(plan, digest=digest, approver=approver, kind="human", now=at, mint=ctx.mint)
        if any(earlier.approver == approver for earlier in plans.approvals(con, plan_id)):
            raise ApprovalMismatch(f"{approver} has approved {plan_id} already; another person has to be the next one")
        plans.add_approval(con, approval)
        _record(con, ctx, "approved", approver, plan.incident_id, {"plan": plan_id, "digest": digest})
        return plan

    plan = await ctx.store.write(job)
    ctx.queue.add(plan.incident_id)
    return plan


async def reject(ctx: Context, plan_id: str, *, reason: str, approver: str) -> Plan:
    """Refuse a plan that waits. A rejection beats every approval that has not led to a write yet.

    Raises:
        NotFound: no such plan.
        ApprovalMismatch: the plan no longer waits.
    """

    def job(con: Connection) -> Plan:
        plan = plans.get(con, plan_id)
        if plan.state is not PlanState.PROPOSED:
            raise ApprovalMismatch(f"{plan_id} is {plan.state}: only a plan that waits can be rejected")
        incident = incidents.get(con, plan.incident_id)
        ended = moved(
            incident, Move.ESCALATE, outcome=Outcome.REJECTED, summary=f"{approver} rejected the plan: {reason}"
        )
        plans.set_state(con, plan_id, PlanState.REJECTED)
        incidents.update(con, replace_times(ended, ctx.now()))
        _record(con, ctx, "rejected", approver, plan.incident_id, {"plan": plan_id, "reason": reason})
        return replace(plan, state=PlanState.REJECTED)

    plan = await ctx.store.write(job)
    ctx.metrics.plans.labels(action=plan.action.kind, state=PlanState.REJECTED.value).inc()
    return plan


async def drift(ctx: Context, plan: Plan) -> str:
    """Why a plan that waits would not be made any more, as its object stands now; '' where nothing speaks against it,
    and where that cannot be known at the moment. Nothing follows from it: the executor looks again before the write."""
    if plan.state is not PlanState.PROPOSED:
        return ""
    try:
        async with asyncio.timeout(_DRIFT_SECONDS):
            return await executor.drift(ctx.cluster, plan)
    except (TemporaryError, Forbidden, PlanInvalid, TimeoutError):
        return ""


async def roll_back(ctx: Context, execution_id: str, *, requested_by: str) -> Incident:
    """Ask for the undoing of an applied change; the next step of its incident makes it.

    Raises:
        NotFound: no such execution.
        IllegalTransition: it was not applied, cannot be undone, or a later change has to be undone first.
    """
    at = ctx.now()

    def job(con: Connection) -> Incident:
        execution = executions.get(con, execution_id)
        incident = incidents.get(con, execution.incident_id)
        kept = keeps(
            execution,
            done=executions.of_incident(con, incident.id),
            verdicts=executions.last_verdicts(con, [incident.id]),
            state=incident.state,
        )
        if kept:
            raise IllegalTransition(kept)
        plan = plans.get(con, execution.plan_id)
        back = moved(incident, Move.ROLL_BACK, summary=f"{requested_by} takes {plan.action.kind} back")
        plans.add_approval(
            con,
            Approval(
                id=ctx.mint("app"),
                plan_id=plan.id,
                digest=plan.digest,
                approver=requested_by,
                kind=ROLLBACK_APPROVAL,
                decided_at=at,
                expires_at=at,
            ),
        )
        incidents.update(con, replace_times(back, at))
        _record(con, ctx, "rollback_requested", requested_by, incident.id, {"execution": execution_id})
        return back

    incident = await ctx.store.write(job)
    ctx.queue.add(incident.id)
    return incident


async def investigate_again(ctx: Context, incident_id: str, *, requested_by: str) -> Incident:
    """Look at an incident afresh; a plan that waits is withdrawn first.

    Raises:
        NotFound: no such incident.
        IllegalTransition: a change is half done, or the incident is resolved.
    """

    def job(con: Connection) -> Incident:
        current = incidents.get(con, incident_id)
        if current.state in IN_FLIGHT_STATES:
            raise IllegalTransition(f"{incident_id} is {current.state}: its change has to come to its end first")
        incident = moved(current, Move.INVESTIGATE, outcome=Outcome.NONE)
        waiting = plans.latest_open(con, incident_id)
        if waiting is not None:
            plans.set_state(con, waiting.id, PlanState.CANCELLED)
        incidents.update(con, replace_times(incident, ctx.now()))
        _record(con, ctx, "investigation_requested", requested_by, incident_id, {})
        return incident

    incident = await ctx.store.write(job)
    ctx.queue.add(incident_id)
    return incident


async def set_mode(
    ctx: Context, change: Callable[[ModeSettings], ModeSettings], *, by: str, seen: str = ""
) -> ModeSettings:
    """Put new brakes in force; durable before the call returns. `seen` is the fingerprint of those that were decided
    upon; '' for whichever there are.

    `change` is applied to the settings as they stand when nobody else is changing them. A kill switch does not wait
    for that: it holds in memory at once.

    Raises:
        IllegalTransition: others hold than those that were decided upon. Nothing is changed.
    """
    if change(ctx.brakes.settings).kill_switch:
        ctx.brakes.settings = replace(ctx.brakes.settings, kill_switch=True)
    async with ctx.brakes.changing:
        if seen and seen != ctx.brakes.settings.fingerprint:
            raise IllegalTransition("the brakes were changed meanwhile: look at them again")
        wanted = replace(change(ctx.brakes.settings), set_by=by)
        detail = {
            "ceiling": wanted.ceiling.value,
            "namespaces": {name: mode.value for name, mode in wanted.namespaces.items()},
            "kill_switch": wanted.kill_switch,
            "breakers": dict(wanted.breakers),
            "reason": wanted.reason,
        }

        def job(con: Connection) -> None:
            modes.put(con, wanted)
            _record(con, ctx, "mode_changed", by, "", detail)

        await ctx.store.write(job)
        pulled_meanwhile = ctx.brakes.settings.kill_switch and not wanted.kill_switch and not _releases(change)
        ctx.brakes.settings = replace(wanted, kill_switch=wanted.kill_switch or pulled_meanwhile)
    ctx.metrics.kill_switch.set(int(ctx.brakes.settings.kill_switch))
    ctx.metrics.breaker_open.set(int(bool(wanted.breakers)))
    return wanted


def _releases(change: Callable[[ModeSettings], ModeSettings]) -> bool:
    """True for a change that turns the kill switch off, as against one that says nothing of it."""
    return not change(ModeSettings(kill_switch=True)).kill_switch


def _record(
    con: Connection, ctx: Context, event: str, actor: str, incident_id: str, detail: Mapping[str, Json]
) -> None:
    audit.append(con, at=ctx.now(), actor=actor, event=event, incident_id=incident_id, subject="", detail=detail)
