"""One snapshot, every analyzer that the rule wants: the detectors first, others in turn, each run kept as it goes on.

Who is asked, and what stands of the answers, is decided by `analyzer.chain`. Here is what surrounds it: the record of a
run from its first step, places for runs that take minutes, and the answer of a run that was overtaken by an alert.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from responder.analyzer.chain import Answer, Asked, combined, to_ask
from responder.analyzer.kept import pack
from responder.analyzer.protocol import Assignment
from responder.domain.errors import AnalyzerUnavailable, QueueFull, ReplyInvalid, StoreUnavailable
from responder.domain.incident import Incident
from responder.domain.investigation import HEURISTIC, Conclusion, Consulted, Evidence, Investigation, Step
from responder.domain.rule import Rule
from responder.domain.snapshot import Snapshot
from responder.pipeline.context import Context
from responder.redact.placeholders import Placeholders
from responder.store import alerts, attempts, incidents, investigations, snapshots
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

TURN_SECONDS = 5.0
"""Pause, at most, before an incident that waits for a place asks for one again."""

_WAITING_SHARE = 0.5
"""Of a rule's deadline, at most, an incident waits for a place. A run has what is left, so both end within it."""

_FORGOTTEN_SECONDS = 3600.0

_GRACE_SECONDS = 2.0
"""An analyzer ends by itself in time; this much later it is ended."""

_GOOD_SECONDS = 600.0
"""How long an answer that nothing was done on yet stays good."""

_RENEWED = frozenset({"investigation_requested", "plan_proposed", "approved_by_policy"})
"""Records after which the question is a new one."""


@dataclass(frozen=True, kw_only=True)
class Consultation:
    answer: Answer
    answered: Investigation
    """The run that told most: another analyzer's, or the detectors'."""
    consulted: tuple[Consulted, ...]
    detected: Investigation
    packed: bytes | None
    """What the detectors looked at, to be kept with their run; None where it is too large."""
    keep_days: float
    is_kept: bool = False
    """The detectors' run is committed already, because another analyzer was asked after it."""

    def keep(self, con: Connection) -> None:
        if self.is_kept:
            return
        investigations.insert(con, self.detected)
        if self.packed is not None:
            at, days = self.detected.started_at, self.keep_days
            snapshots.put(con, self.detected.id, self.packed, at=at, keep_days=days)


async def consult(ctx: Context, incident: Incident, rule: Rule, snapshot: Snapshot) -> Consultation | None:
    """Ask all that the rule wants asked, within its deadline. None: another analyzer's turn has not come yet.

    Raises:
        StoreUnavailable: a step could not be kept, so the run did not go on.
    """
    waited = _waited(ctx, incident, rule)
    consultation = await _consulted(ctx, incident, rule, snapshot, waited)
    if consultation is None:
        _now_waits(ctx, incident)
    else:
        ctx.waiting.pop(incident.id, None)
    return consultation


def _now_waits(ctx: Context, incident: Incident) -> None:
    """Also forgets those that ended while they waited: nobody asks for them any more."""
    now = ctx.monotonic()
    for known in [known for known, since in ctx.waiting.items() if now - since > _FORGOTTEN_SECONDS]:
        del ctx.waiting[known]
    ctx.waiting.setdefault(incident.id, now)


def still_waits(ctx: Context, incident: Incident, rule: Rule) -> bool:
    """Its turn has not come since it last asked, so there is no use in looking at its object again yet."""
    waits = incident.id in ctx.waiting and ctx.places.locked()
    return waits and _waited(ctx, incident, rule) < rule.deadline_seconds * _WAITING_SHARE


async def _consulted(
    ctx: Context, incident: Incident, rule: Rule, snapshot: Snapshot, waited: float
) -> Consultation | None:
    ends = ctx.monotonic() + rule.deadline_seconds - waited
    alone = await _detect(ctx, incident, snapshot, rule.deadline_seconds)
    wanted = to_ask(rule.analyzers, alone.detected)
    before = await _before(ctx, incident, wanted, alone.detected)
    if before.answer is not None:
        told = Consulted(analyzer=before.answer.analyzer, answered=True, why="answered the same findings already")
        return _with(alone, before.answer, (*before.failed, told))
    left = tuple(asked for asked in wanted if asked.name not in {one.analyzer for one in before.failed})
    known = tuple(asked for asked in left if asked.name in ctx.analyzers)
    missing = (*before.failed, *(_absent(asked) for asked in left if asked.name not in ctx.analyzers))
    if not known:
        return replace(alone, consulted=missing)
    if ctx.places.locked():
        if waited < rule.deadline_seconds * _WAITING_SHARE:
            return None
        busy = tuple(Consulted(analyzer=a.name, answered=False, why="every place was taken until now") for a in known)
        return replace(alone, consulted=(*missing, *busy))
    async with ctx.places:
        with ctx.metrics.model_places_taken.track_inprogress():
            await ctx.store.write(alone.keep)
            alone = replace(alone, consulted=missing, is_kept=True)
            return await _ask_in_turn(ctx, incident, snapshot, alone, known, ends)


async def _detect(ctx: Context, incident: Incident, snapshot: Snapshot, seconds: float) -> Consultation:
    earlier = await ctx.store.read(lambda con: investigations.count(con, incident.id))
    secrets = ctx.secrets.of(incident.id)
    assignment = Assignment(
        id=ctx.mint("inv"),
        number=earlier + 1,
        incident=incident,
        snapshot=snapshot,
        seconds=seconds,
        secrets=secrets,
    )
    detected = await _run(ctx, HEURISTIC, assignment)
    return Consultation(
        answer=combined(detected, None),
        answered=detected,
        consulted=(),
        detected=detected,
        packed=await _packed(snapshot, secrets, detected),
        keep_days=ctx.options.keep_snapshot_days,
    )


async def _packed(snapshot: Snapshot, secrets: Placeholders, detected: Investigation) -> bytes | None:
    """Not of an object that is looked at again in a moment."""
    if detected.conclusion is Conclusion.UNSETTLED:
        return None
    return await asyncio.to_thread(pack, snapshot, secrets)


async def _ask_in_turn(
    ctx: Context, incident: Incident, snapshot: Snapshot, alone: Consultation, wanted: tuple[Asked, ...], ends: float
) -> Consultation:
    made = await ctx.store.read(lambda con: attempts.of_incident(con, incident.id))
    annotations = await ctx.store.read(lambda con: alerts.last_annotations(con, incident.id))
    consulted = list(alone.consulted)
    for place, asked in enumerate(wanted, start=1):
        remaining = ends - ctx.monotonic()
        if remaining <= 0:
            consulted.append(Consulted(analyzer=asked.name, answered=False, why="no time was left for it"))
            continue
        assignment = Assignment(
            id=ctx.mint("inv"),
            number=alone.detected.number + place,
            incident=incident,
            snapshot=snapshot,
            seconds=remaining,
            detected=alone.detected,
            annotations=annotations,
            attempts=made,
            secrets=ctx.secrets.of(incident.id),
        )
        answer, why = await _recorded(ctx, asked.name, assignment)
        consulted.append(Consulted(analyzer=asked.name, answered=answer is not None, why=why or asked.why))
        if answer is not None:
            return _with(alone, answer, tuple(consulted))
    return replace(alone, consulted=tuple(consulted))


async def _recorded(ctx: Context, name: str, assignment: Assignment) -> tuple[Investigation | None, str]:
    """One run, in the record from its beginning; its answer, or None and why there is none."""
    begun = Investigation(
        id=assignment.id,
        incident_id=assignment.incident.id,
        number=assignment.number,
        analyzer=name,
        started_at=ctx.now(),
        ended_at=None,
        conclusion=Conclusion.UNFINISHED,
        summary="goes on",
    )

    def begin(con: Connection) -> None:
        # One worker has an incident at a time, so a run of it that still goes on was left behind by a failing store.
        investigations.cut_short(con, begun.started_at, incident_id=begun.incident_id)
        investigations.begin(con, begun)

    await ctx.store.write(begin)

    async def record(steps: tuple[Step, ...], evidence: tuple[Evidence, ...]) -> None:
        await ctx.store.write(lambda con: investigations.add(con, begun.id, steps, evidence))

    try:
        async with asyncio.timeout(assignment.seconds + _GRACE_SECONDS):
            answer = await _run(ctx, name, replace(assignment, record=record))
    except (AnalyzerUnavailable, ReplyInvalid, TimeoutError) as exc:
        why = assignment.secrets.redact(str(exc)) or f"did not answer within {assignment.seconds:.0f} s"
        log.warning("analyzer did not answer", analyzer=name, problem=why)
        ctx.metrics.analyzer_failures.labels(analyzer=name, error=type(exc).__name__).inc()
        ended = replace(begun, ended_at=ctx.now(), conclusion=Conclusion.NO_ANSWER, summary=why)
        await _finish(ctx, ended)
        return None, why
    except asyncio.CancelledError:
        with suppress(StoreUnavailable, QueueFull, TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await _finish(ctx, replace(begun, ended_at=ctx.now(), summary="cut: the process was stopped"))
        raise
    await _finish(ctx, answer)
    return answer, ""


async def _finish(ctx: Context, investigation: Investigation) -> None:
    await ctx.store.write(lambda con: investigations.finish(con, investigation))


async def _run(ctx: Context, name: str, assignment: Assignment) -> Investigation:
    started = ctx.monotonic()
    try:
        answer = await ctx.analyzers[name].investigate(assignment)
    finally:
        ctx.metrics.investigation_seconds.labels(analyzer=name).observe(ctx.monotonic() - started)
    ctx.metrics.investigations.labels(analyzer=name, conclusion=answer.conclusion.value).inc()
    return answer


@dataclass(frozen=True, kw_only=True)
class _Before:
    """What came of the same findings that nothing was done on yet: an alert moved the incident meanwhile, or its change
    waits for its turn. Without it a model would be asked again and again about one thing, a dead one too."""

    answer: Investigation | None = None
    failed: tuple[Consulted, ...] = ()


async def _before(ctx: Context, incident: Incident, wanted: tuple[Asked, ...], detected: Investigation) -> _Before:
    names = {asked.name for asked in wanted}
    if not names:
        return _Before()

    def read(con: Connection) -> _Before:
        timeline = incidents.timeline(con, incident.id)
        renewed = max((record.at for record in timeline if record.event in _RENEWED), default=None)
        earlier: Investigation | None = None
        answer: Investigation | None = None
        failed: dict[str, Consulted] = {}
        for run in investigations.of_incident(con, incident.id):
            if run.analyzer == HEURISTIC:
                earlier = run
            elif run.analyzer in names and earlier is not None and _is_recent(run, renewed, ctx.now()):
                same = _same(earlier, detected)
                if same and run.conclusion is Conclusion.NO_ANSWER:
                    failed[run.analyzer] = Consulted(analyzer=run.analyzer, answered=False, why=run.summary)
                elif run.conclusion not in (Conclusion.NO_ANSWER, Conclusion.UNFINISHED):
                    answer = run if same else None
        return _Before(answer=answer, failed=tuple(failed.values()))

    return await ctx.store.read(read)


def _is_recent(run: Investigation, renewed: datetime | None, now: datetime) -> bool:
    if run.ended_at is None:
        return False
    return (renewed is None or run.started_at >= renewed) and now - run.ended_at < timedelta(seconds=_GOOD_SECONDS)


def _same(earlier: Investigation, detected: Investigation) -> bool:
    def found(run: Investigation) -> tuple[object, ...]:
        return run.conclusion, {(finding.fault, finding.subject) for finding in run.findings}

    return found(earlier) == found(detected)


def _with(alone: Consultation, answered: Investigation, consulted: tuple[Consulted, ...]) -> Consultation:
    return replace(alone, answer=combined(alone.detected, answered), answered=answered, consulted=consulted)


def _waited(ctx: Context, incident: Incident, rule: Rule) -> float:
    """Seconds since it first asked for a place, as far as they count against its deadline."""
    now = ctx.monotonic()
    return min(now - ctx.waiting.get(incident.id, now), rule.deadline_seconds * _WAITING_SHARE)


def _absent(asked: Asked) -> Consulted:
    return Consulted(analyzer=asked.name, answered=False, why=f"no analyzer {asked.name} is set up here")
