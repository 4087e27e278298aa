"""What changes: each attempt in its order, with its diff, what policy said, what was done and how it went; the undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from console.lines.formatting import Tone, clock, count, moment
from console.reasoning import Body, Form, Node
from console.story.parts import fact, facts, section
from console.story.terms import (
    PLAN_TONES,
    VERDICT_TONES,
    action_of,
    inverse_told,
    plan_that_waits,
    ready_told,
    standing,
    terms_of,
)
from responder.domain.execution import ExecutionKind, ExecutionOutcome, VerdictKind, Verification
from responder.domain.plan import Check, Plan, PlanState
from responder.domain.undoing import kept, newest_undoable
from responder.domain.views import ExecutionView, IncidentDetail, PlanView

Executions = Sequence[ExecutionView]


def changes(detail: IncidentDetail, number: int, form: Form) -> Node:
    views = detail.plans
    if not views:
        return section(number, "CHANGE", "none is planned", [])
    newest = views[-1]
    if len(views) == 1:
        told = f"{newest.plan.id}: {standing(newest.plan, detail.executions)}"
        return section(number, "CHANGE", told, _attempt(newest, detail.executions, form))
    children = [
        Node(
            key=f"plan:{view.plan.id}",
            label=f"attempt {place} ",
            note=f"{view.plan.id}: {_verdict_in_short(view.plan, detail.executions)}",
            gist=action_of(view.plan),
            tone=PLAN_TONES.get(view.plan.state, Tone.PLAIN),
            is_open=view is newest,
            children=tuple(_attempt(view, detail.executions, form)),
        )
        for place, view in enumerate(views, start=1)
    ]
    return section(number, "CHANGE", f"{len(views)} attempts, the newest last", children)


def _verdict_in_short(plan: Plan, executions: Executions) -> str:
    looks = [look for view in _applied(plan, executions) for look in view.verifications]
    verdict = f", {looks[-1].verdict.kind}" if looks else ""
    return f"{standing(plan, executions)}{verdict}"


def _applied(plan: Plan, executions: Executions) -> list[ExecutionView]:
    return [
        view for view in executions if view.execution.plan_id == plan.id and view.execution.kind is ExecutionKind.APPLY
    ]


def _attempt(view: PlanView, executions: Executions, form: Form) -> Iterator[Node]:
    plan = view.plan
    key = f"change:{plan.id}"
    yield fact(f"{key}:action", "action", action_of(plan), Tone.STRONG)
    yield from facts(f"{key}:on", "on", (change.target.key for change in plan.changes))
    yield fact(f"{key}:because", "because", plan.reason)
    yield fact(f"{key}:terms", "terms", terms_of(plan), Tone.PLAIN if plan.reversible else Tone.BAD)
    yield from facts(f"{key}:warning", "warning", plan.warnings, Tone.WAITS)
    yield Node(
        key=f"{key}:diff",
        label="diff      ",
        note=f"{_size(plan.diff)}, {'unified' if form is Form.DIFF else 'side by side'}, d: the other form",
        tone=Tone.DIM,
        is_open=True,
        bodies=(Body(text=plan.diff, form=form),) if plan.diff else (),
    )
    yield from _policy(plan, key)
    yield from _approvals(view, key)
    for execution in executions:
        if execution.execution.plan_id == plan.id:
            yield from _execution(execution)


def _size(diff: str) -> str:
    lines = [line for line in diff.split("\n") if not line.startswith(("---", "+++"))]
    added = sum(line.startswith("+") for line in lines)
    return f"{count(added, 'line')} added, {sum(line.startswith('-') for line in lines)} removed"


def _policy(plan: Plan, key: str) -> Iterator[Node]:
    """Check by check. What did not pass stands there without being opened."""
    failed = [check for check in plan.checks if not check.passed]
    yield from facts(f"{key}:policy", "policy NO", (f"{check.name}: {check.detail}" for check in failed), Tone.WAITS)
    if plan.checks:
        yield Node(
            key=f"{key}:checks",
            label="checks    ",
            note=f"{len(plan.checks) - len(failed)} of {len(plan.checks)} passed",
            tone=Tone.PLAIN if failed else Tone.GOOD,
            children=tuple(_check(check, f"{key}:check:{place}") for place, check in enumerate(plan.checks)),
        )


def _check(check: Check, key: str) -> Node:
    tone = Tone.GOOD if check.passed else Tone.WAITS
    return fact(key, "passed" if check.passed else "NOT", f"{check.name}: {check.detail}", tone)


def _approvals(view: PlanView, key: str) -> Iterator[Node]:
    plan = view.plan
    for place, approval in enumerate(view.approvals):
        by = "policy" if approval.kind == "policy" else f"{approval.approver} ({approval.kind})"
        yield fact(f"{key}:approved:{place}", "approved", f"by {by} at {moment(approval.decided_at)}", Tone.GOOD)
    if plan.state is PlanState.PROPOSED:
        left = f"{plan.approvers_needed} needed, {len(view.approvals)} so far, before {moment(plan.expires_at)}"
        yield fact(f"{key}:needs", "approvals", left, Tone.WAITS)
    yield fact(f"{key}:digest", "digest", plan.digest, Tone.DIM)


def _execution(view: ExecutionView) -> Iterator[Node]:
    execution = view.execution
    key = f"execution:{execution.id}"
    label = "taken back" if execution.kind is ExecutionKind.ROLLBACK else "applied"
    is_applied = execution.outcome is ExecutionOutcome.APPLIED
    outcome = "" if is_applied else f", outcome {execution.outcome.upper()}"
    by = f"by {execution.requested_by} at {clock(execution.intent_at)}"
    yield fact(key, f"{label} ", f"{execution.id} {by}{outcome}", Tone.PLAIN if is_applied else Tone.BAD)
    if execution.detail:
        yield fact(f"{key}:detail", "", execution.detail)
    if execution.outcome is ExecutionOutcome.NOT_APPLIED:
        return
    before = execution.baseline
    yield fact(f"{key}:before", "before", ready_told(before))
    if not view.verifications:
        return
    last = view.verifications[-1]
    after = f"{ready_told(last)}, {last.elapsed_seconds:.1f} s after the write"
    yield fact(f"{key}:after", "after", after)
    reverted = f", by {last.verdict.other_manager}" if last.verdict.other_manager else ""
    told = f"{last.verdict.kind}: {last.verdict.reason}{reverted}"
    yield fact(f"{key}:verdict", "verified", told, VERDICT_TONES.get(last.verdict.kind, Tone.BAD))
    yield Node(
        key=f"{key}:looks",
        label="looks     ",
        note=f"{len(view.verifications)}, the last at {clock(last.at)}",
        is_open=last.verdict.kind is VerdictKind.PENDING,
        children=tuple(_look(look, key) for look in view.verifications),
    )


def _look(look: Verification, key: str) -> Node:
    told = f"{look.verdict.kind}: {look.verdict.reason}, {ready_told(look)}"
    tone = VERDICT_TONES.get(look.verdict.kind, Tone.BAD)
    return Node(
        key=f"{key}:look:{look.number}",
        label=f"{look.elapsed_seconds:6.1f} s  ",
        note=told,
        tone=tone,
        is_wrapped=True,
    )


def undo(detail: IncidentDetail, number: int) -> Node:
    """How to take it back, or why that cannot be."""
    undoable = newest_undoable(detail)
    waiting = plan_that_waits(detail)
    if undoable is not None:
        plan = next((item.plan for item in detail.plans if item.plan.id == undoable.execution.plan_id), None)
        inverse = _inverse(undoable.execution.id, undoable, plan)
        return section(number, "UNDO", f"u takes {undoable.execution.id} back by writing this", inverse)
    if waiting is not None:
        return section(number, "UNDO", _undo_of_plan(waiting.plan), _inverse_of_plan(waiting.plan))
    if detail.executions:
        return section(number, "UNDO", "nothing to take back", list(_why_not(detail)))
    return section(number, "UNDO", "nothing was written", [])


def _inverse(key: str, view: ExecutionView, plan: Plan | None) -> Iterator[Node]:
    for place, operation in enumerate(view.execution.change.inverse):
        label, text, tone = inverse_told(operation)
        yield fact(f"undo:{key}:{place}", label, text, tone)
    yield from facts(f"undo:{key}:not", "but not", plan.restores_not if plan else (), Tone.WAITS)
    told = "nobody changed the object since; otherwise the server refuses"
    yield fact(f"undo:{key}:if", "only if", told, Tone.DIM)


def _undo_of_plan(plan: Plan) -> str:
    if not plan.reversible:
        return "once applied, this CANNOT be taken back"
    return "once applied, u takes it back by writing this"


def _inverse_of_plan(plan: Plan) -> Iterator[Node]:
    for number, change in enumerate(plan.changes):
        for place, operation in enumerate(change.inverse):
            label, text, tone = inverse_told(operation)
            yield fact(f"undo:{plan.id}:{number}:{place}", label, text, tone)
    yield from facts(f"undo:{plan.id}:not", "but not", plan.restores_not, Tone.WAITS)


def _why_not(detail: IncidentDetail) -> Iterator[Node]:
    why = kept(detail)
    for execution in (view.execution for view in detail.executions):
        if execution.kind is ExecutionKind.APPLY:
            yield fact(f"undo:{execution.id}:stays", "", why[execution.id])
