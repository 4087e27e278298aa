"""The only module that writes to the cluster: once per intent, under preconditions, after the intent is on disk.

Before: the object is as it was approved, neither it nor its namespace has opted out, the server still makes the
approved diff of the change, approvals count and are used up in the transaction that commits the intent. The brakes are
asked before the first request, before the intent, and when the write is about to go out. After: the outcome is
recorded. A write whose answer is lost is never sent again; `recovery` reads the object instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from responder.cluster.protocol import Cluster
from responder.domain.errors import (
    ClusterUnavailable,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
    WriteOutcomeUnknown,
)
from responder.domain.execution import Baseline, Execution, ExecutionKind, ExecutionOutcome
from responder.domain.manifest import Json, LiveObject, base_hash
from responder.domain.plan import OPT_OUT_ANNOTATION, Change, Plan
from responder.domain.refs import ObjectRef
from responder.fixer.approval import require_approval
from responder.fixer.failpoints import failpoint
from responder.fixer.guard import opted_out
from responder.fixer.ownership import last_other_writer
from responder.fixer.recovery import LATE_WRITE_SECONDS, applied, recover, settled
from responder.fixer.rehearsal import rehearse
from responder.store import audit, executions, plans
from responder.store.connection import Connection
from responder.store.store import Store

_CHANGED = "{} changed since it was planned"


async def execute(
    cluster: Cluster,
    store: Store,
    plan: Plan,
    *,
    requested_by: str,
    baseline: Baseline,
    now: Callable[[], datetime],
    mint: Callable[[str], str],
    may_write: Callable[[], None],
    late_write_seconds: float = LATE_WRITE_SECONDS,
) -> Execution:
    """Make the plan's change, once. `may_write` raises PolicyViolation when the brakes are on.

    Returns the execution with its outcome: applied, or (the answer lost) what reading the object tells. Where that is
    pending, the write may still take effect within `late_write_seconds` of the intent: `settle` it later.

    Raises:
        PlanStale: the object or the server's answer is not what was approved, or the write came too late.
        ApprovalMismatch: no approval counts any more.
        PolicyViolation: the brakes are on, or the object or its namespace has opted out.
        PlanInvalid, FieldConflict, ObjectGone, Forbidden, ClusterUnavailable: nothing was written, or the answer was
            lost and the object cannot be read now: then the intent stays open for `settle`.
    """
    may_write()
    planned = _only_change(plan)
    execution_id = mint("exe")
    compute = _as_approved(planned, stale=_CHANGED.format(planned.target))
    rehearsal = await rehearse(cluster, planned.target, compute, execution_id=execution_id)
    if rehearsal.diff() != plan.diff:
        raise PlanStale(f"the API server would make something else of {plan.id} by now than what was approved")
    await _require_no_opt_out(cluster, planned.target.namespace)
    intent = Execution(
        id=execution_id,
        plan_id=plan.id,
        incident_id=plan.incident_id,
        kind=ExecutionKind.APPLY,
        change=rehearsal.change,
        requested_by=requested_by,
        intent_at=now(),
        baseline=baseline,
        generation_after=rehearsal.answer.generation,
        base_hash_after=rehearsal.hash_after,
    )

    def journal(con: Connection) -> None:
        require_approval(plan, plans.approvals(con, plan.id), now=intent.intent_at)
        plans.consume_approvals(con, plan.id)
        _insert_intent(con, intent, plan)

    may_write()
    failpoint("before_intent")
    await store.write(journal)
    failpoint("after_intent")
    return await _write_once(
        cluster, store, intent, now=now, may_write=may_write, late_write_seconds=late_write_seconds, stage=""
    )


async def roll_back(
    cluster: Cluster,
    store: Store,
    plan: Plan,
    execution: Execution,
    *,
    requested_by: str,
    now: Callable[[], datetime],
    mint: Callable[[str], str],
    may_write: Callable[[], None],
    late_write_seconds: float = LATE_WRITE_SECONDS,
) -> Execution:
    """Apply the recorded inverse of an applied execution, with an intent of its own.

    An outcome of `not_applied` is returned where the object's version moved under the write: it may be tried again.
    One of `pending` means the same as of `execute`.

    Raises:
        PlanInvalid: it was not applied, or has no inverse.
        PlanStale: someone else changed the object since; the text names who.
        PolicyViolation, FieldConflict, ObjectGone, Forbidden, ClusterUnavailable: as for `execute`.
    """
    may_write()
    undo = _undo_of(execution)
    undo_id = mint("exe")
    compute = _as_approved(undo, stale=f"{undo.target} was changed by someone else since")
    rehearsal = await rehearse(cluster, undo.target, compute, execution_id=undo_id)
    await _require_no_opt_out(cluster, undo.target.namespace)
    intent = Execution(
        id=undo_id,
        plan_id=plan.id,
        incident_id=plan.incident_id,
        kind=ExecutionKind.ROLLBACK,
        change=rehearsal.change,
        requested_by=requested_by,
        intent_at=now(),
        baseline=execution.baseline,
        generation_after=rehearsal.answer.generation,
        base_hash_after=rehearsal.hash_after,
    )
    may_write()
    failpoint("rollback.before_intent")
    await store.write(lambda con: _insert_intent(con, intent, plan))
    failpoint("rollback.after_intent")
    try:
        return await _write_once(
            cluster,
            store,
            intent,
            now=now,
            may_write=may_write,
            late_write_seconds=late_write_seconds,
            stage="rollback.",
        )
    except PlanStale as exc:
        return replace(intent, outcome=ExecutionOutcome.NOT_APPLIED, outcome_at=now(), detail=str(exc))


async def drift(cluster: Cluster, plan: Plan) -> str:
    """Why `execute` would find the plan stale or refused if it ran now, as far as one read tells; '' where nothing
    speaks against it. What a dry run would add is not asked.

    Raises:
        ClusterUnavailable, Forbidden: it cannot be known now.
    """
    planned = _only_change(plan)
    try:
        live = await cluster.get(planned.target)
        _as_approved(planned, stale=_CHANGED.format(planned.target))(live)
    except (ObjectGone, PlanStale, PolicyViolation) as exc:
        return str(exc)
    return ""


async def settle(
    cluster: Cluster,
    store: Store,
    execution: Execution,
    *,
    now: Callable[[], datetime],
    late_write_seconds: float = LATE_WRITE_SECONDS,
) -> Execution:
    """End an intent that was left open, as `recover` finds it, and put that on record; one that is pending stays open.

    Raises:
        ClusterUnavailable: as for `recover`; the intent stays open.
    """
    found = await recover(cluster, execution, now=now(), late_write_seconds=late_write_seconds)
    if found.outcome is ExecutionOutcome.PENDING:
        return found
    return await _record_outcome(store, found, now=now, stage="recovery.")


def _undo_of(execution: Execution) -> Change:
    """The change that takes an applied one back, to the object exactly as that one left it."""
    if execution.kind is not ExecutionKind.APPLY or execution.outcome is not ExecutionOutcome.APPLIED:
        raise PlanInvalid(f"{execution.id} is no applied change: there is nothing to take back")
    if not execution.change.inverse:
        raise PlanInvalid(f"{execution.id} has no inverse: it cannot be taken back")
    return replace(
        execution.change,
        base_hash=execution.base_hash_after,
        patch=execution.change.inverse,
        inverse=execution.change.patch,
    )


def _as_approved(wanted: Change, *, stale: str) -> Callable[[LiveObject], Change]:
    """Computes the change at the present version of an object that is as it was; `stale` is said where it is not."""

    def compute(live: LiveObject) -> Change:
        if opted_out(live.annotations):
            raise PolicyViolation(f"{live.ref} carries {OPT_OUT_ANNOTATION}")
        if base_hash(live.body) != wanted.base_hash:
            manager = last_other_writer(live)
            raise PlanStale(f"{stale}, last by {manager}" if manager else stale)
        return replace(wanted, resource_version=live.resource_version)

    return compute


async def _require_no_opt_out(cluster: Cluster, namespace: str) -> None:
    """Of the namespace, read afresh; its objects' own annotations are part of what was approved."""
    live = await cluster.get(ObjectRef(kind="Namespace", name=namespace))
    if opted_out(live.annotations):
        raise PolicyViolation(f"namespace {namespace} carries {OPT_OUT_ANNOTATION}")


async def _write_once(
    cluster: Cluster,
    store: Store,
    intent: Execution,
    *,
    now: Callable[[], datetime],
    may_write: Callable[[], None],
    late_write_seconds: float,
    stage: str,
) -> Execution:
    try:
        answer = await cluster.apply(intent.change, execution_id=intent.id, dry_run=False, before_write=may_write)
    except WriteOutcomeUnknown as exc:
        failpoint(f"{stage}after_write")
        found = await recover(cluster, intent, now=now(), late_write_seconds=late_write_seconds)
        done = replace(found, detail=f"{found.detail} ({exc})")
    except (PermanentError, ClusterUnavailable) as exc:
        refused = settled(intent, ExecutionOutcome.NOT_APPLIED, str(exc))
        await _record_outcome(store, refused, now=now, stage=stage)
        raise
    else:
        failpoint(f"{stage}after_write")
        done = applied(intent, answer, "")
    if done.outcome is ExecutionOutcome.PENDING:
        return done
    return await _record_outcome(store, done, now=now, stage=stage)


async def _record_outcome(store: Store, execution: Execution, *, now: Callable[[], datetime], stage: str) -> Execution:
    done = replace(execution, outcome_at=now())

    def job(con: Connection) -> None:
        executions.record_outcome(con, done)
        audit.append(
            con,
            at=done.outcome_at or done.intent_at,
            actor=done.requested_by,
            event="outcome",
            incident_id=done.incident_id,
            subject=done.change.target.key,
            detail={
                "execution": done.id,
                "kind": done.kind.value,
                "outcome": done.outcome.value,
                "detail": done.detail,
                "resource_version_after": done.resource_version_after,
            },
        )

    failpoint(f"{stage}before_outcome")
    await store.write(job)
    failpoint(f"{stage}after_outcome")
    return done


def _insert_intent(con: Connection, intent: Execution, plan: Plan) -> None:
    executions.insert_intent(con, intent)
    detail: Mapping[str, Json] = {
        "execution": intent.id,
        "kind": intent.kind.value,
        "plan": plan.id,
        "action": plan.action.kind,
        "digest": plan.digest,
        "uid": intent.change.target.uid,
        "resource_version": intent.change.resource_version,
        "verb": intent.change.verb.value,
        "paths": [op.path for op in intent.change.patch if op.op != "test"],
    }
    audit.append(
        con,
        at=intent.intent_at,
        actor=intent.requested_by,
        event="intent",
        incident_id=intent.incident_id,
        subject=intent.change.target.key,
        detail=detail,
    )


def _only_change(plan: Plan) -> Change:
    if len(plan.changes) != 1:
        raise PlanInvalid(f"{plan.id} has {len(plan.changes)} changes: exactly one object is written at a time")
    return plan.changes[0]
