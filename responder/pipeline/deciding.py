"""From an incident to what is known of it: match the rule, look, ask the analyzers; proposals go on to `proposing`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from responder.analyzer.chain import Answer
from responder.analyzer.collect import collect, resolve_root
from responder.domain.alert import AlertSource, is_proactive
from responder.domain.errors import ClusterUnavailable, Forbidden
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome
from responder.domain.investigation import Conclusion, Consulted
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Rule
from responder.domain.snapshot import Snapshot
from responder.pipeline.changes import with_changes
from responder.pipeline.consulting import TURN_SECONDS, Consultation, consult, still_waits
from responder.pipeline.context import DEFAULT_RULE, Context, Step, commit, escalate, moved
from responder.pipeline.policy import effective_mode, open_breakers, own_ceiling
from responder.pipeline.proposing import propose
from responder.pipeline.sharing import SOURCE_LABEL, on_waiting_member, others_suffer, told_with_members
from responder.rules.matcher import MatchResult
from responder.store import decisions, versions
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

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
    if still_waits(ctx, incident, rule):
        return _turn_seconds(rule)
    snapshot = await _look(ctx, incident, incident.root, rule.deadline_seconds)
    if isinstance(snapshot, str):
        return await escalate(ctx, incident, Outcome.REPORTED, snapshot, event="reported", also=(decision,))
    incident = replace(incident, root=snapshot.root)
    snapshot = await with_changes(ctx, incident, snapshot)
    consultation = await consult(ctx, incident, rule, snapshot)
    if consultation is None:
        return _turn_seconds(rule)
    case = _Case(
        rule=rule,
        mode=mode,
        snapshot=snapshot,
        consultation=consultation,
        decision=replace(decision, consulted=consultation.consulted),
        summary=await told_with_members(ctx, incident, _told(incident, consultation.answer)),
    )
    return await _decide(ctx, incident, case)


def _turn_seconds(rule: Rule) -> float:
    return min(TURN_SECONDS, rule.deadline_seconds / 4)


def _told(incident: Incident, answer: Answer) -> str:
    """What the watch saw says more than that nothing explains it."""
    seen = incident.labels.get(SOURCE_LABEL) == AlertSource.KUBERNETES and not answer.findings
    if not seen or answer.conclusion is not Conclusion.UNEXPLAINED or incident.cause:
        return answer.summary
    return f"{answer.summary}{_SEEN}{incident.summary.rpartition(_SEEN)[2]}"


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
    consulted: tuple[Consulted, ...] = ()

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
            consulted=self.consulted,
        )


async def _look(ctx: Context, incident: Incident, root: ObjectRef, deadline_seconds: float) -> Snapshot | str:
    """The snapshot, or why there is none."""
    secrets = ctx.secrets.of(incident.id)
    try:
        async with asyncio.timeout(deadline_seconds):
            resolved = await resolve_root(ctx.cluster, root)
            return await collect(
                ctx.cluster, resolved, now=ctx.now(), namespaces=ctx.options.namespaces, hide=secrets.redact
            )
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
    consultation: Consultation
    decision: _Decision
    summary: str
    """What people are told of it."""

    def record(self, con: Connection) -> None:
        self.decision(con)
        self.consultation.keep(con)
        versions.link(con, self.consultation.detected.incident_id, self.snapshot.changes)


async def _decide(ctx: Context, incident: Incident, case: _Case) -> float | None:
    answer = case.consultation.answer
    if answer.conclusion is Conclusion.UNSETTLED and _may_wait(ctx, incident, case.rule):
        return _UNSETTLED_SECONDS
    answered = case.consultation.answered
    detail = {"investigation": answered.id, "analyzer": answered.analyzer, "conclusion": answer.conclusion.value}
    if answer.conclusion is Conclusion.RECOVERED and await others_suffer(ctx, incident):
        told = moved(incident, Move.ESCALATE, outcome=Outcome.REPORTED, summary=case.summary)
        await commit(ctx, Step(incident=told, event="reported", detail=detail, also=(case.record,)))
        return None
    if answer.conclusion is Conclusion.RECOVERED:
        done = moved(incident, Move.RESOLVE, outcome=Outcome.RECOVERED, summary=case.summary)
        await commit(ctx, Step(incident=done, event="recovered", detail=detail, also=(case.record,)))
        return None
    quiet = _QUIET_OUTCOMES.get(answer.conclusion)
    if quiet is None and (case.mode is Mode.REPORT or not answer.suggestions):
        quiet = Outcome.REPORTED
    if quiet is not None:
        told = moved(incident, Move.ESCALATE, outcome=quiet, summary=case.summary)
        await commit(ctx, Step(incident=told, event="reported", detail=detail, also=(case.record,)))
        return None
    incident = replace(incident, summary=case.summary)
    incident = await commit(ctx, Step(incident=incident, event="investigated", detail=detail, also=(case.record,)))
    return await propose(
        ctx, incident, rule=case.rule, mode=case.mode, snapshot=case.snapshot, suggestions=answer.suggestions
    )


def _may_wait(ctx: Context, incident: Incident, rule: Rule) -> bool:
    return (ctx.now() - incident.updated_at).total_seconds() < rule.deadline_seconds
