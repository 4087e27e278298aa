"""From an incident to what is known of it: match the rule, look, diagnose; proposals go on to `proposing`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from responder.analyzer.collect import collect, resolve_root
from responder.domain.alert import AlertSource, is_proactive
from responder.domain.errors import (
    AnalyzerUnavailable,
    ClusterUnavailable,
    Forbidden,
    ReplyInvalid,
)
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome
from responder.domain.investigation import Conclusion, Investigation
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Rule
from responder.domain.snapshot import Snapshot
from responder.pipeline.changes import with_changes
from responder.pipeline.context import DEFAULT_RULE, Context, Step, commit, escalate, moved
from responder.pipeline.policy import effective_mode, open_breakers, own_ceiling
from responder.pipeline.proposing import propose
from responder.pipeline.sharing import SOURCE_LABEL, on_waiting_member, others_suffer, told_with_members
from responder.rules.matcher import MatchResult
from responder.store import decisions, investigations, versions
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

_LAST_RESORT = "heuristic"
"""It needs nothing but the snapshot, so it always answers."""

_UNSETTLED_SECONDS = 10.0
"""Pause before the next look at an object that is well at this moment."""

_SEEN = "; the watch saw: "

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
    return await propose(
        ctx, incident, rule=case.rule, mode=case.mode, snapshot=case.snapshot, investigation=investigation
    )


def _may_wait(ctx: Context, incident: Incident, rule: Rule) -> bool:
    return (ctx.now() - incident.updated_at).total_seconds() < rule.deadline_seconds
