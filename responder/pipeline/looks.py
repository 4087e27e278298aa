"""Looking at what a change did: the object, the time since the write, the pause until the next look, its record."""

from __future__ import annotations

from responder.analyzer.collect import collect
from responder.domain import undoing
from responder.domain.errors import Forbidden, ObjectGone, TemporaryError
from responder.domain.execution import Baseline, Execution, Verdict, Verification
from responder.domain.incident import Incident
from responder.domain.plan import Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import Rule
from responder.domain.snapshot import Snapshot
from responder.fixer import verifier
from responder.pipeline.context import Context
from responder.store import executions, plans
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("pipeline")

_LOOK_SECONDS = 5.0
"""Longest pause between two looks of a verification."""


def root_of(incident: Incident) -> ObjectRef:
    if incident.root is None:
        raise ObjectGone(f"{incident.id} names no object")
    return incident.root


async def look(ctx: Context, incident: Incident) -> Snapshot | None:
    """None where the cluster cannot be read: no look was had, and time runs on."""
    try:
        return await collect(ctx.cluster, root_of(incident), now=ctx.now(), namespaces=ctx.options.namespaces)
    except (TemporaryError, Forbidden) as exc:
        log.warning("could not look at the object", problem=str(exc))
        return None


def in_force(con: Connection, incident_id: str, *, reversible_only: bool) -> tuple[Plan | None, Execution | None]:
    """`undoing.in_force` of the incident as it is on record, with its plan."""
    done = executions.of_incident(con, incident_id)
    found = undoing.in_force(done, executions.last_verdicts(con, [incident_id]), reversible_only=reversible_only)
    return (plans.get(con, found.plan_id), found) if found else (None, None)


def elapsed_since_write(ctx: Context, execution: Execution, history: tuple[Verification, ...]) -> float:
    """Seconds by the monotonic clock; those of an earlier process count as far as its last look recorded them."""
    verified_before = history[-1].elapsed_seconds if history else 0.0
    base, offset = ctx.elapsed_bases.setdefault(execution.id, (ctx.monotonic(), verified_before))
    return offset + ctx.monotonic() - base


def pause_between_looks(rule: Rule, elapsed: float) -> float:
    remaining = max(rule.verify.within_seconds - elapsed, 0.1)
    until_settled = rule.verify.settle_seconds - elapsed
    if until_settled > 0:
        return min(until_settled + 0.05, _LOOK_SECONDS, remaining)
    return min(max(rule.verify.settle_seconds / 3, 0.1), _LOOK_SECONDS, remaining)


def record_of(
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
