"""What can be said of an incident in a few words, wherever it is said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.lines.formatting import Tone, age, count
from console.reasoning import told_action
from responder.domain.execution import Baseline, ExecutionKind, ExecutionOutcome, VerdictKind, Verification
from responder.domain.incident import Incident, State
from responder.domain.investigation import HEURISTIC, Finding, Investigation
from responder.domain.manifest import Json
from responder.domain.plan import PatchOp, Plan, PlanState
from responder.domain.undoing import newest_undoable
from responder.domain.views import ExecutionView, IncidentDetail, InvestigationSummary, PlanView, Reasoning

VERDICT_TONES = {
    VerdictKind.PENDING: Tone.BUSY,
    VerdictKind.PASSED: Tone.GOOD,
    VerdictKind.PROGRESSED: Tone.WAITS,
}
PLAN_TONES = {PlanState.PROPOSED: Tone.WAITS, PlanState.APPROVED: Tone.BUSY, PlanState.APPLIED: Tone.GOOD}


LONGEST = 240
"""Characters of a text where all is told in short; its section has the whole of it."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the API said of one incident."""

    detail: IncidentDetail
    reasoning: Reasoning | None = None
    """Absent until it has been read."""


def what_next(detail: IncidentDetail, now: datetime) -> str:
    """What the operator can do, and the key that does it."""
    told = []
    waiting = plan_that_waits(detail)
    if waiting is not None:
        left = age((waiting.plan.expires_at - now).total_seconds())
        whom = "another person" if waiting.approvals else "you"
        told.append(f"waits for {whom}, {left} left: a approves, x rejects")
    if newest_undoable(detail) is not None:
        told.append("u takes the change back")
    if detail.incident.state is State.ESCALATED:
        told.append("nothing more is done by itself: i looks again")
    elif detail.incident.state is State.SUPPRESSED:
        told.append("i looks again")
    return "  ·  ".join(told) or "nothing to decide"


def plan_that_waits(detail: IncidentDetail) -> PlanView | None:
    if detail.incident.state is not State.AWAITING_APPROVAL:
        return None
    return next((view for view in reversed(detail.plans) if view.plan.state is PlanState.PROPOSED), None)


def uninvestigated(incident: Incident) -> str:
    """Of one whose investigations are none."""
    return "not investigated yet" if incident.state in (State.OPEN, State.INVESTIGATING) else "not investigated"


def action_of(plan: Plan) -> str:
    """The action with its scalars, as its dataclass names them."""
    return told_action(plan.action)


def terms_of(plan: Plan) -> str:
    return f"{plan.risk} risk, {'can' if plan.reversible else 'CANNOT'} be taken back"


def standing(plan: Plan, executions: Iterable[ExecutionView]) -> str:
    """The plan's state, and whether it was taken back."""
    undone = any(
        view.execution.plan_id == plan.id
        and view.execution.kind is ExecutionKind.ROLLBACK
        and view.execution.outcome is ExecutionOutcome.APPLIED
        for view in executions
    )
    return f"{plan.state}, then taken back" if undone else plan.state.value


def last_look(runs: Sequence[InvestigationSummary]) -> Sequence[InvestigationSummary]:
    """The newest run of the detectors and those that followed it; the newest run where the detectors made none."""
    for place in range(len(runs) - 1, -1, -1):
        if runs[place].analyzer == HEURISTIC:
            return runs[place:]
    return runs[-1:]


def main_finding(detail: IncidentDetail) -> tuple[InvestigationSummary, Finding] | None:
    """What the newest plan answers, else the first finding of the last look."""
    found = [(run, finding) for run in last_look(detail.investigations) for finding in run.findings]
    plan = detail.plans[-1].plan if detail.plans else None
    for run, finding in found:
        if plan is not None and (run.id, finding.fault) == (plan.investigation_id, plan.finding):
            return run, finding
    return found[0] if found else None


def cause_of(finding: Finding) -> str:
    return f"container {finding.container}: {finding.cause}" if finding.container else finding.cause


def full_run(reasoning: Reasoning | None, run_id: str) -> Investigation | None:
    runs = reasoning.investigations if reasoning else ()
    return next((run for run in runs if run.id == run_id), None)


def by_whom(run: InvestigationSummary) -> str:
    return f"{run.analyzer} ({run.model})" if run.model else run.analyzer


def conclusion_of(run: InvestigationSummary) -> str:
    return run.conclusion.replace("_", " ") if run.ended_at is not None else "goes on"


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}.."


def ready_told(at: Baseline | Verification) -> str:
    return f"{at.ready} of {at.desired} ready, {count(at.restarts, 'restart')}"


def inverse_told(operation: PatchOp) -> tuple[str, str, Tone]:
    """What one operation of an inverse does: verb, field and value, tone."""
    field = operation.path.replace("~1", "/").replace("~0", "~")
    if operation.op == "remove":
        return "removes", field, Tone.REMOVED
    if operation.op == "test":
        return "while", f"{field} is {_scalar(operation.value)}", Tone.DIM
    return "sets", f"{field} to {_scalar(operation.value)}", Tone.ADDED


def _scalar(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
