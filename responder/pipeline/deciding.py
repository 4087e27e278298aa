"""From an incident to a decision: match the rule, look, diagnose, ask the guard, plan, let policy or a human decide."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from responder.analyzer.collect import collect, resolve_root
from responder.domain.action import Action
from responder.domain.alert import AlertSource, is_proactive
from responder.domain.errors import (
    AnalyzerUnavailable,
    ClusterUnavailable,
    FieldConflict,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
    ReplyInvalid,
)
from responder.domain.execution import ExecutionOutcome
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome
from responder.domain.investigation import Conclusion, Investigation, Proposal
from responder.domain.plan import Check, Plan, PlanState, PolicyVerdict
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Rule
from responder.domain.snapshot import Snapshot
from responder.fixer.approval import approve
from responder.fixer.guard import judge
from responder.fixer.planner import make_plan
from responder.pipeline.changes import with_changes
from responder.pipeline.context import DEFAULT_RULE, Context, Step, commit, escalate, moved
from responder.pipeline.policy import effective_mode, open_breakers, own_ceiling, policy_facts
from responder.pipeline.sharing import SOURCE_LABEL, about, on_waiting_member, others_suffer, told_with_members
from responder.rules.matcher import MatchResult
from responder.store import alerts, decisions, executions, incidents, investigations, plans, versions
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

STALE_PLANS_LIMIT = 3
"""An object that moves under every plan is being worked on by someone else."""

_LAST_RESORT = "heuristic"
"""It needs nothing but the snapshot, so it always answers."""

_BUSY_SECONDS = 15.0
"""Pause before a change whose turn has not come is considered again."""

_UNSETTLED_SECONDS = 10.0
"""Pause before the next look at an object that is well at this moment."""

_SEEN = "; the watch saw: "

_TAKEN_BACK = frozenset({Outcome.REVERTED_BY_OTHERS, Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED})

_QUIET_OUTCOMES = {
    Conclusion.UNFIXABLE: Outcome.UNFIXABLE,
    Conclusion.UNSETTLED: Outcome.UNEXPLAINED,
    Conclusion.UNEXPLAINED: Outcome.UNEXPLAINED,
    Conclusion.NOT_APPLICABLE: Outcome.REPORTED,
}


async def investigate_step(ctx: Context, incident: Incident) -> float | None:
    """Investigate and decide. One commit per decision; 0.0 means that the next state has work at once."""
    incident = await on_waiting_member(ctx, incident)
    match = await _match(ctx, incident)
    rule = match.rule or DEFAULT_RULE
    mode = effective_mode(ctx, rule, incident)
    incident = replace(incident, rule=rule.name, mode=mode.value)
    decision = _Decision(
        incident_id=incident.id,
        at=ctx.now(),
        rule=rule,
        mode=mode,
        rule_set=ctx.rules.rule_set.digest,
        why=(*match.why, *_lowered(incident, rule)),
    )
    if incident.root is None:
        by_itself = incident.labels.get(SOURCE_LABEL) == AlertSource.KUBERNETES
        summary = incident.summary if by_itself else f"{incident.key}: the alert names no object to look at"
        return await escalate(ctx, incident, Outcome.REPORTED, summary, event="reported", also=(decision,))
    if is_proactive(incident.labels):
        # Nothing is wrong with the object yet, so an investigation would only find it well.
        return await escalate(ctx, incident, Outcome.REPORTED, incident.summary, event="reported", also=(decision,))
    snapshot = await _look(ctx, incident.root, rule.deadline_seconds)
    if isinstance(snapshot, str):
        return await escalate(ctx, incident, Outcome.REPORTED, snapshot, event="reported", also=(decision,))
    incident = replace(incident, root=snapshot.root)
    snapshot = await with_changes(ctx, incident, snapshot)
    investigation = await _investigate(ctx, incident, rule, snapshot)
    case = _Case(
        rule=rule,
        mode=mode,
        snapshot=snapshot,
        investigation=investigation,
        decision=decision,
        summary=await told_with_members(ctx, incident, _told(incident, investigation)),
    )
    return await _decide(ctx, incident, case)


def _told(incident: Incident, investigation: Investigation) -> str:
    """What the watch saw says more than that nothing explains it."""
    seen = incident.labels.get(SOURCE_LABEL) == AlertSource.KUBERNETES and not investigation.findings
    if not seen or investigation.conclusion is not Conclusion.UNEXPLAINED or incident.cause:
        return investigation.summary
    return f"{investigation.summary}{_SEEN}{incident.summary.rpartition(_SEEN)[2]}"


def _lowered(incident: Incident, rule: Rule) -> tuple[str, ...]:
    ceiling, why = own_ceiling(incident)
    return (f"lowered to {ceiling}: {why}",) if ceiling.rank < rule.mode.rank else ()


async def _match(ctx: Context, incident: Incident) -> MatchResult:
    labels = dict(incident.labels)
    if incident.root is not None:
        labels |= {"owner_kind": incident.root.kind, "owner_name": incident.root.name}
    source = labels.pop(SOURCE_LABEL, "alertmanager")
    await open_breakers(ctx, incident.namespace)
    return ctx.rules.current.match(labels, source)


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """Which rule spoke, recorded with what came of it: a look that failed leaves no row."""

    incident_id: str
    at: datetime
    rule: Rule
    mode: Mode
    rule_set: str
    why: tuple[str, ...]

    def __call__(self, con: Connection) -> None:
        decisions.insert(
            con,
            incident_id=self.incident_id,
            at=self.at,
            rule=self.rule.name,
            rule_mode=self.rule.mode.value,
            mode=self.mode.value,
            rule_set=self.rule_set,
            why=self.why,
        )


async def _look(ctx: Context, root: ObjectRef, deadline_seconds: float) -> Snapshot | str:
    """The snapshot, or why there is none."""
    try:
        async with asyncio.timeout(deadline_seconds):
            resolved = await resolve_root(ctx.cluster, root)
            return await collect(ctx.cluster, resolved, now=ctx.now(), namespaces=ctx.options.namespaces)
    except Forbidden as exc:
        return f"{root} may not be read: {exc}"
    except TimeoutError as exc:
        raise ClusterUnavailable(f"{root} was not read within {deadline_seconds:g} s") from exc


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What one look brought together."""

    rule: Rule
    mode: Mode
    snapshot: Snapshot
    investigation: Investigation
    decision: _Decision
    summary: str
    """What people are told of it."""

    def record(self, con: Connection) -> None:
        self.decision(con)
        investigations.insert(con, self.investigation)
        versions.link(con, self.investigation.incident_id, self.snapshot.changes)


async def _investigate(ctx: Context, incident: Incident, rule: Rule, snapshot: Snapshot) -> Investigation:
    """Ask the rule's analyzers in turn until one answers, all within one deadline; the heuristic one is the last."""
    earlier = await ctx.store.read(lambda con: investigations.of_incident(con, incident.id))
    number, ends = len(earlier) + 1, ctx.monotonic() + rule.deadline_seconds
    for name in takewhile(lambda name: name != _LAST_RESORT, rule.analyzers):
        if name not in ctx.analyzers:
            continue
        remaining = ends - ctx.monotonic()
        try:
            async with asyncio.timeout(remaining):
                return await _ask(ctx, name, incident, snapshot, number=number, deadline=remaining)
        except (AnalyzerUnavailable, ReplyInvalid, TimeoutError) as exc:
            log.warning("analyzer did not answer", analyzer=name, problem=str(exc) or "deadline passed")
    return await _ask(ctx, _LAST_RESORT, incident, snapshot, number=number, deadline=rule.deadline_seconds)


async def _ask(
    ctx: Context, name: str, incident: Incident, snapshot: Snapshot, *, number: int, deadline: float
) -> Investigation:
    started = ctx.monotonic()
    try:
        answer = await ctx.analyzers[name].investigate(incident, snapshot, number=number, deadline=deadline)
    finally:
        ctx.metrics.investigation_seconds.labels(analyzer=name).observe(ctx.monotonic() - started)
    ctx.metrics.investigations.labels(analyzer=name, conclusion=answer.conclusion.value).inc()
    return answer


async def _decide(ctx: Context, incident: Incident, case: _Case) -> float | None:
    investigation = case.investigation
    if investigation.conclusion is Conclusion.UNSETTLED and _may_wait(ctx, incident, case.rule):
        return _UNSETTLED_SECONDS
    detail = {"investigation": investigation.id, "conclusion": investigation.conclusion.value}
    if investigation.conclusion is Conclusion.RECOVERED and await others_suffer(ctx, incident):
        told = moved(incident, Move.ESCALATE, outcome=Outcome.REPORTED, summary=case.summary)
        await commit(ctx, Step(incident=told, event="reported", detail=detail, also=(case.record,)))
        return None
    if investigation.conclusion is Conclusion.RECOVERED:
        done = moved(incident, Move.RESOLVE, outcome=Outcome.RECOVERED, summary=case.summary)
        await commit(ctx, Step(incident=done, event="recovered", detail=detail, also=(case.record,)))
        return None
    quiet = _QUIET_OUTCOMES.get(investigation.conclusion)
    if quiet is None and (case.mode is Mode.REPORT or not investigation.proposals):
        quiet = Outcome.REPORTED
    if quiet is not None:
        told = moved(incident, Move.ESCALATE, outcome=quiet, summary=case.summary)
        await commit(ctx, Step(incident=told, event="reported", detail=detail, also=(case.record,)))
        return None
    incident = replace(incident, summary=case.summary)
    incident = await commit(ctx, Step(incident=incident, event="investigated", detail=detail, also=(case.record,)))
    return await _propose(ctx, incident, case)


def _may_wait(ctx: Context, incident: Incident, rule: Rule) -> bool:
    return (ctx.now() - incident.updated_at).total_seconds() < rule.deadline_seconds


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    proposal: Proposal
    checks: tuple[Check, ...]


async def _propose(ctx: Context, incident: Incident, case: _Case) -> float | None:
    limit = await _limits(ctx, incident)
    if limit:
        return await escalate(ctx, incident, Outcome.REFUSED, limit, event="plan_refused")
    if not incident.attempts and not await ctx.store.read(lambda con: alerts.firing_count(con, incident.id)):
        # Between two changes of one incident the alerts of pods that were replaced may well be quiet: that is no end.
        over = moved(incident, Move.RESOLVE, outcome=Outcome.ALERT_RESOLVED)
        await commit(ctx, Step(incident=over, event="resolved_by_alert"))
        return None
    async with ctx.deciding:
        return await _choose(ctx, incident, case)


async def _choose(ctx: Context, incident: Incident, case: _Case) -> float | None:
    rule, snapshot, investigation = case.rule, case.snapshot, case.investigation
    mode = effective_mode(ctx, rule, incident).lowered_to(case.mode)
    if mode is Mode.REPORT:
        return await escalate(ctx, incident, Outcome.REPORTED, incident.summary, event="reported")
    tried = await _tried(ctx, incident)
    burnt = await _burnt(ctx, incident)
    facts = await policy_facts(ctx, incident, snapshot.root, rule)
    judged = [
        (proposal, _once_burnt(judge(proposal, rule=rule, mode=mode, snapshot=snapshot, facts=facts), proposal, burnt))
        for proposal in investigation.proposals
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
                investigation_id=investigation.id,
                rule=rule,
                now=ctx.now(),
                mint=ctx.mint,
            )
        except (PolicyViolation, PlanInvalid, PlanStale, ObjectGone, FieldConflict, Forbidden) as exc:
            refusals.append(_Refusal(proposal=proposal, checks=(_as_check(exc),)))
            continue
        return await _submit(ctx, incident, plan, verdict, mode)
    return await _refused(ctx, incident, refusals, tried_before=len(judged) < len(investigation.proposals))


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
