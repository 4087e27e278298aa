"""From proposals to a plan: ask the guard, plan what it admits, and let policy approve it or a person decide.

A proposal is untrusted: the guard judges it, the planner has it dry-run. What is proposed is the analyzers' matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from responder.analyzer.chain import Suggestion
from responder.domain.action import Action
from responder.domain.errors import (
    FieldConflict,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
)
from responder.domain.execution import ExecutionOutcome
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome
from responder.domain.investigation import Proposal
from responder.domain.plan import Check, Plan, PlanState, PolicyVerdict
from responder.domain.rule import Mode, Rule
from responder.domain.snapshot import Snapshot
from responder.fixer.approval import approve
from responder.fixer.guard import judge
from responder.fixer.planner import make_plan
from responder.pipeline.context import Context, Step, commit, escalate, moved
from responder.pipeline.policy import effective_mode, policy_facts
from responder.pipeline.sharing import about
from responder.store import alerts, executions, incidents, plans
from responder.store.store import Connection

STALE_PLANS_LIMIT = 3
"""An object that moves under every plan is being worked on by someone else."""

_BUSY_SECONDS = 15.0
"""Pause before a change whose turn has not come is considered again."""

_TAKEN_BACK = frozenset({Outcome.REVERTED_BY_OTHERS, Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED})


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    proposal: Proposal
    checks: tuple[Check, ...]


async def propose(
    ctx: Context,
    incident: Incident,
    *,
    rule: Rule,
    mode: Mode,
    snapshot: Snapshot,
    suggestions: tuple[Suggestion, ...],
) -> float | None:
    """Choose among the suggestions, within `mode` at the most. One commit, as `investigate_step`."""
    limit = await _limits(ctx, incident)
    if limit:
        return await escalate(ctx, incident, Outcome.REFUSED, limit, event="plan_refused")
    if not incident.attempts and not await ctx.store.read(lambda con: alerts.firing_count(con, incident.id)):
        # Between two changes of one incident the alerts of pods that were replaced may well be quiet: that is no end.
        over = moved(incident, Move.RESOLVE, outcome=Outcome.ALERT_RESOLVED)
        await commit(ctx, Step(incident=over, event="resolved_by_alert"))
        return None
    async with ctx.deciding:
        return await _choose(ctx, incident, rule, mode, snapshot, suggestions)


async def _choose(
    ctx: Context,
    incident: Incident,
    rule: Rule,
    highest: Mode,
    snapshot: Snapshot,
    suggestions: tuple[Suggestion, ...],
) -> float | None:
    mode = effective_mode(ctx, rule, incident).lowered_to(highest)
    if mode is Mode.REPORT:
        return await escalate(ctx, incident, Outcome.REPORTED, incident.summary, event="reported")
    tried = await _tried(ctx, incident)
    burnt = await _burnt(ctx, incident)
    facts = await policy_facts(ctx, incident, snapshot.root, rule)
    source = {one.proposal.action: one.investigation_id for one in suggestions}
    judged = [
        (proposal, _once_burnt(judge(proposal, rule=rule, mode=mode, snapshot=snapshot, facts=facts), proposal, burnt))
        for proposal in (one.proposal for one in suggestions)
        if _shape(proposal.action) not in tried
    ]
    may_go = any(verdict.autonomous for _, verdict in judged)
    if mode is Mode.AUTONOMOUS and not may_go and any(_only_waits_for_its_turn(verdict) for _, verdict in judged):
        return _BUSY_SECONDS
    refusals = [_Refusal(proposal=p, checks=v.objections) for p, v in judged if not v.admitted]
    for proposal, verdict in _in_order(judged):
        try:
            plan = await make_plan(
                ctx.cluster,
                proposal,
                snapshot=snapshot,
                verdict=verdict,
                incident_id=incident.id,
                investigation_id=source[proposal.action],
                rule=rule,
                now=ctx.now(),
                mint=ctx.mint,
            )
        except (PolicyViolation, PlanInvalid, PlanStale, ObjectGone, FieldConflict, Forbidden) as exc:
            refusals.append(_Refusal(proposal=proposal, checks=(_as_check(exc),)))
            continue
        return await _submit(ctx, incident, plan, verdict, mode)
    return await _refused(ctx, incident, refusals, tried_before=len(judged) < len(suggestions))


def _only_waits_for_its_turn(verdict: PolicyVerdict) -> bool:
    """Everything but the number of changes in flight allows it: the next free place is minutes away, a human hours."""
    names = {check.name for check in verdict.objections}
    return verdict.admitted and bool(names) and names <= {"concurrent_workload", "concurrent_rule"}


def _in_order(judged: list[tuple[Proposal, PolicyVerdict]]) -> list[tuple[Proposal, PolicyVerdict]]:
    """Best first; but where policy itself may approve one answer to the leading fault, that one leads."""
    admitted = [(proposal, verdict) for proposal, verdict in judged if verdict.admitted]
    if not admitted:
        return []
    leading = admitted[0][0].finding
    return sorted(admitted, key=lambda pair: not (pair[1].autonomous and pair[0].finding == leading))


async def _submit(ctx: Context, incident: Incident, plan: Plan, verdict: PolicyVerdict, mode: Mode) -> float:
    ctx.metrics.plans.labels(action=plan.action.kind, state=PlanState.PROPOSED.value).inc()
    detail = {
        "plan": plan.id,
        "digest": plan.digest,
        "action": plan.action.kind,
        "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in plan.checks],
    }
    if not (verdict.autonomous and mode is Mode.AUTONOMOUS):
        waiting = moved(incident, Move.AWAIT_APPROVAL)
        await commit(
            ctx,
            Step(incident=waiting, event="plan_proposed", detail=detail, also=(lambda con: plans.insert(con, plan),)),
        )
        return 0.0
    approval = approve(plan, digest=plan.digest, approver="policy", kind="policy", now=ctx.now(), mint=ctx.mint)

    def journal(con: Connection) -> None:
        plans.insert(con, replace(plan, state=PlanState.APPROVED))
        plans.add_approval(con, approval)

    await commit(
        ctx, Step(incident=moved(incident, Move.EXECUTE), event="approved_by_policy", detail=detail, also=(journal,))
    )
    return 0.0


async def _limits(ctx: Context, incident: Incident) -> str:
    every = await ctx.store.read(lambda con: plans.of_incident(con, incident.id))
    attempts = incident.attempts
    if incident.cause:
        every = tuple(plan for plan in every if about(plan, incident.root))
        attempts = sum(plan.state is PlanState.APPLIED for plan in every)
    stale = sum(plan.state is PlanState.STALE for plan in every)
    if attempts >= ctx.options.max_plans_per_incident:
        return f"{attempts} changes did not end this incident: {incident.summary}"
    if stale >= STALE_PLANS_LIMIT:
        return f"{incident.root} changed under {stale} plans: someone else is working on it"
    return ""


async def _tried(ctx: Context, incident: Incident) -> frozenset[str]:
    """Shapes of the actions that took effect for this incident, or may have: none is made a second time."""
    done = await ctx.store.read(lambda con: executions.of_incident(con, incident.id))
    every = await ctx.store.read(lambda con: plans.of_incident(con, incident.id))
    made = {execution.plan_id for execution in done if execution.outcome is not ExecutionOutcome.NOT_APPLIED}
    return frozenset(_shape(plan.action) for plan in every if plan.id in made)


async def _burnt(ctx: Context, incident: Incident) -> frozenset[str]:
    """Shapes of the actions that an earlier incident on the object made and that were taken back, by whomever."""

    def read(con: Connection) -> frozenset[str]:
        earlier = incidents.of_object(con, incident.root) if incident.root is not None else ()
        ended_badly = [i for i in earlier if i.id != incident.id and i.outcome in _TAKEN_BACK]
        return frozenset(
            _shape(plan.action)
            for one in ended_badly
            for plan in plans.of_incident(con, one.id)
            if plan.state is PlanState.APPLIED
        )

    return await ctx.store.read(read)


def _once_burnt(verdict: PolicyVerdict, proposal: Proposal, burnt: frozenset[str]) -> PolicyVerdict:
    """A change that was taken back once is not made a second time without a human."""
    fresh = _shape(proposal.action) not in burnt
    check = Check(
        name="not_taken_back_before",
        passed=fresh,
        detail="not made before" if fresh else "this very change was made before and taken back",
    )
    return replace(verdict, autonomous=verdict.autonomous and fresh, checks=(*verdict.checks, check))


def _shape(action: Action) -> str:
    """The action without the uid of its target, as text to compare."""
    return repr(replace(action, target=action.target.without_uid()))


def _as_check(exc: PermanentError) -> Check:
    return Check(name=type(exc).__name__, passed=False, detail=str(exc))


async def _refused(ctx: Context, incident: Incident, refusals: list[_Refusal], *, tried_before: bool) -> float | None:
    reasons = "; ".join(
        f"{refusal.proposal.action.kind}: {', '.join(check.detail or check.name for check in refusal.checks)}"
        for refusal in refusals
    )
    if not reasons and tried_before:
        reasons = "the same change was already made once for this incident"
    detail = {
        "refusals": [
            {
                "action": refusal.proposal.action.kind,
                "checks": [{"name": c.name, "detail": c.detail} for c in refusal.checks],
            }
            for refusal in refusals
        ]
    }
    told = moved(incident, Move.ESCALATE, outcome=Outcome.REFUSED, summary=f"{incident.summary} (no plan: {reasons})")
    await commit(ctx, Step(incident=told, event="plan_refused", detail=detail))
    return None
