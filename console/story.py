"""One incident as lines: what happened, why, what changes, what was done, how to take it back. Pure.

The same order as on paper after an outage. What is needed less often is shut and opens in place: `opened` names what is
open. Diffs are never cut.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime

from console.formatting import (
    Line,
    Span,
    Tone,
    age,
    chop,
    clock,
    diff_lines,
    flat,
    line,
    moment,
    state_tone,
    wrap,
)
from responder.domain.audit import AuditRecord
from responder.domain.execution import ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import State
from responder.domain.investigation import Evidence, Finding, Investigation, Step
from responder.domain.manifest import Json
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.versions import difference_told, headline
from responder.domain.views import ExecutionView, IncidentDetail, InvestigationSummary, PlanView, Reasoning

_LABEL = 10
_BEFORE = 5
_STEP_HEAD = 120
"""Characters of a reasoning step that show while it is shut."""
_SHUT, _OPEN = "▸ ", "▾ "

_VERDICT_TONES = {
    VerdictKind.PENDING: Tone.BUSY,
    VerdictKind.PASSED: Tone.GOOD,
    VerdictKind.PROGRESSED: Tone.WAITS,
}
_PLAN_TONES = {PlanState.PROPOSED: Tone.WAITS, PlanState.APPROVED: Tone.BUSY, PlanState.APPLIED: Tone.GOOD}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the API said of one incident."""

    detail: IncidentDetail
    reasoning: Reasoning | None = None
    """Absent until it has been read."""


class _Page:
    """Lines in the making."""

    def __init__(self, width: int, opened: frozenset[str] = frozenset()) -> None:
        self.lines: list[Line] = []
        self._width = width
        self._opened = opened

    def section(self, title: str, rest: str = "") -> None:
        if self.lines:
            self.lines.append(Line())
        told = wrap(rest, self._width - _LABEL) if rest else [""]
        self.lines.append(Line((Span(f"{title:<{_LABEL}}", Tone.SECTION), Span(told[0]))))
        self.lines += [line(" " * _LABEL + part) for part in told[1:]]

    def say(self, label: str, text: str, tone: Tone = Tone.PLAIN) -> None:
        """`text`, wrapped, under a hanging label."""
        for number, part in enumerate(wrap(text, self._width - _LABEL)):
            head = f"{label if number == 0 else '':<{_LABEL}}"
            self.lines.append(Line((Span(head, Tone.DIM), Span(part, tone))))

    def diff(self, text: str) -> None:
        self.lines += diff_lines(text, self._width, indent=2)

    def fold(self, key: str, head: str, body: Iterable[str], *, tone: Tone = Tone.PLAIN) -> None:
        """A line that Enter opens; `body` keeps its own line breaks and spaces."""
        is_open = key in self._opened
        room = self._width - _LABEL - 2
        first, *rest = wrap(head, room)
        pad = " " * _LABEL
        self.lines.append(Line((Span(pad), Span(_OPEN if is_open else _SHUT, Tone.BUSY), Span(first, tone)), key))
        self.lines += [line(f"{pad}  {part}", tone) for part in rest]
        if is_open:
            for text in body:
                self.lines += [line(f"{pad}  │ {part}", Tone.DIM) for part in chop(text, room - 2)]


def tell(known: Known, *, width: int, opened: frozenset[str], now: datetime) -> tuple[Line, ...]:
    """What happened, why, what changes, what was done."""
    page = _Page(width, opened)
    _happened(page, known.detail, now)
    _why(page, known)
    _changed_before(page, known.detail)
    views = known.detail.plans
    for view in views:
        _change(page, view, known.detail.executions, newest=view is views[-1])
        for execution in known.detail.executions:
            if execution.execution.plan_id == view.plan.id:
                _done(page, execution)
    return tuple(page.lines)


def tell_record(known: Known, *, width: int, opened: frozenset[str]) -> tuple[Line, ...]:
    """The timeline, then every step of every analyzer."""
    page = _Page(width, opened)
    page.section("TIMELINE")
    for entry in known.detail.timeline:
        page.say(clock(entry.at), f"{entry.actor}: {entry.event}{_told(entry)}")
    for run in known.reasoning.investigations if known.reasoning else ():
        spent = f", {run.cost_usd:.4f} USD" if run.cost_usd else ""
        page.section("REASONING", f"run {run.number} by {run.analyzer}: {run.conclusion.replace('_', ' ')}{spent}")
        for step in run.steps:
            _step(page, run, step)
    return tuple(page.lines)


def what_next(detail: IncidentDetail, now: datetime) -> str:
    """What the operator can do, and the key that does it."""
    told = []
    waiting = plan_that_waits(detail)
    if waiting is not None:
        left = age((waiting.plan.expires_at - now).total_seconds())
        told.append(f"waits for you, {left} left: a approves, x rejects")
    if newest_undoable(detail.executions):
        told.append("u takes the change back")
    if detail.incident.state in (State.ESCALATED, State.SUPPRESSED):
        told.append("i looks again")
    return "  ·  ".join(told) or "nothing to decide"


def plan_that_waits(detail: IncidentDetail) -> PlanView | None:
    if detail.incident.state is not State.AWAITING_APPROVAL:
        return None
    return next((view for view in reversed(detail.plans) if view.plan.state is PlanState.PROPOSED), None)


def newest_undoable(executions: Iterable[ExecutionView]) -> ExecutionView | None:
    """The newest applied change that nothing has taken back."""
    views = tuple(executions)
    undone = {view.execution.plan_id for view in views if view.execution.kind is ExecutionKind.ROLLBACK}
    for view in reversed(views):
        execution = view.execution
        applied = execution.kind is ExecutionKind.APPLY and execution.outcome is ExecutionOutcome.APPLIED
        if applied and execution.plan_id not in undone and execution.change.inverse:
            return view
    return None


def tell_plan(view: PlanView, *, width: int) -> tuple[Line, ...]:
    """All that a person says yes or no to, the digest last."""
    plan = view.plan
    page = _Page(width)
    page.section("CHANGE", f"{plan.changes[0].target.key if plan.changes else ''}")
    _terms(page, plan)
    for check in plan.checks:
        if not check.passed:
            page.say("policy", f"{check.name}: {check.detail}", Tone.WAITS)
    page.section("DIFF")
    page.diff(plan.diff)
    page.section("DIGEST")
    for part in chop(plan.digest, width):
        page.lines.append(line(part, Tone.STRONG))
    _approvals(page, plan, view.approvals)
    return tuple(page.lines)


def tell_undo(view: ExecutionView, plan: Plan | None, *, width: int) -> tuple[Line, ...]:
    """What taking the change back writes."""
    page = _Page(width)
    change = view.execution.change
    page.section("OBJECT", change.target.key)
    if plan is not None:
        page.say("was", action_of(plan))
    for operation in change.inverse:
        page.say(*_inverse(operation.op, operation.path, operation.value))
    for missing in plan.restores_not if plan else ():
        page.say("but not", missing, Tone.WAITS)
    page.say("only if", "nobody changed the object since; otherwise the server refuses")
    return tuple(page.lines)


def _inverse(op: str, path: str, value: Json) -> tuple[str, str, Tone]:
    field = path.replace("~1", "/").replace("~0", "~")
    if op == "remove":
        return "removes", field, Tone.REMOVED
    if op == "test":
        return "while", f"{field} is {_scalar(value)}", Tone.DIM
    return "sets", f"{field} to {_scalar(value)}", Tone.ADDED


def _scalar(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _happened(page: _Page, detail: IncidentDetail, now: datetime) -> None:
    incident = detail.incident
    words = (incident.state.replace("_", " ").upper(), incident.outcome.replace("_", " "))
    state = ": ".join(word for word in words if word)
    ended = f", resolved {clock(incident.resolved_at)}" if incident.resolved_at else ""
    since = f"opened {age((now - incident.opened_at).total_seconds())} ago, {moment(incident.opened_at)}{ended}"
    page.lines.append(Line((Span(state, state_tone(incident.state)), Span(f"  {incident.id}", Tone.DIM))))
    page.say("object", incident.key, Tone.STRONG)
    if incident.cause:
        more = f" and {incident.members - len(detail.members)} more" if incident.members > len(detail.members) else ""
        named = ", ".join(ref.key for ref in detail.members)
        page.say("members", f"{incident.workloads} with {incident.cause}: {named}{more}")
    page.say("what", incident.summary or "nothing is known yet")
    page.say("alerts", _alert_names(detail) + (f", severity {incident.severity}" if incident.severity else ""))
    page.say("when", since)
    page.say("rule", _rule(detail))
    if detail.plans:
        plan = detail.plans[-1].plan
        page.say(
            "change",
            f"{_standing(plan, detail.executions)}: {action_of(plan)} ({_terms_in_short(plan)})",
            _plan_tone(plan),
        )
    if incident.truncated_alerts:
        page.say("note", f"the sender left out {incident.truncated_alerts} alerts of the group", Tone.WAITS)


def _alert_names(detail: IncidentDetail) -> str:
    counted = Counter(view.alert.name for view in detail.alerts)
    return ", ".join(name if count == 1 else f"{name} (x{count})" for name, count in counted.items()) or "none"


def _rule(detail: IncidentDetail) -> str:
    if not detail.decisions:
        return "not matched yet"
    last = detail.decisions[-1]
    lowered = f" (the rule says {last.rule_mode})" if last.rule_mode != last.mode else ""
    return f"{last.rule or 'none matched'}, mode {last.mode}{lowered}"


def _why(page: _Page, known: Known) -> None:
    runs = known.detail.investigations
    if not runs:
        page.section("WHY", "not investigated yet")
        return
    run = runs[-1]
    page.section("WHY", f"run {run.number} by {run.analyzer}: {run.conclusion.replace('_', ' ')}")
    full = _full_run(known.reasoning, run.id)
    evidence = {item.id: item for item in full.evidence} if full else {}
    for finding in run.findings:
        _finding(page, run, finding, evidence, told=known.detail.incident.summary)
    if not run.findings:
        page.say("", run.summary)
    for fact in run.ruled_out:
        page.say("ruled out", f"{fact.hypothesis}: {fact.because}", Tone.DIM)
    for hole in run.unchecked:
        page.say("unchecked", f"{hole.what}: {hole.why}", Tone.WAITS)


def _changed_before(page: _Page, detail: IncidentDetail) -> None:
    opened = detail.incident.opened_at
    before = [version for version in detail.changes if version.at <= opened][:_BEFORE]
    if not before:
        return
    page.section("BEFORE", "what others changed, newest first")
    for version in before:
        head = flat(f"{version.ref} {headline(version, since=opened)}")
        page.fold(f"version:{version.seq}", head, [difference_told(item) for item in version.differences])


def _full_run(reasoning: Reasoning | None, run_id: str) -> Investigation | None:
    runs = reasoning.investigations if reasoning else ()
    return next((run for run in runs if run.id == run_id), None)


def _finding(
    page: _Page, run: InvestigationSummary, finding: Finding, evidence: dict[str, Evidence], *, told: str
) -> None:
    """`told` is the summary above, which need not be said twice."""
    cause = f"container {finding.container}: {finding.cause}" if finding.container else finding.cause
    mendable = "" if finding.fixable else " (nothing outside the program mends it)"
    said = "what is said above" if told.endswith(cause) else cause
    page.say(f"{finding.confidence:>6.0%}", f"{said}{mendable}", Tone.STRONG)
    if not finding.evidence:
        page.say("", "cites no evidence", Tone.WAITS)
    for cited in finding.evidence:
        found = evidence.get(cited)
        if found is None:
            page.say("", f"{cited}: not read yet", Tone.DIM)
            continue
        page.fold(f"evidence:{run.id}:{finding.fault}:{cited}", _evidence_head(found), [found.text])


def _evidence_head(evidence: Evidence) -> str:
    cut = " (cut)" if evidence.truncated else ""
    return f"{evidence.id} {evidence.kind}: {evidence.source}{cut}"


def _standing(plan: Plan, executions: Iterable[ExecutionView]) -> str:
    """The plan's state, and whether it was taken back."""
    undone = any(
        view.execution.plan_id == plan.id
        and view.execution.kind is ExecutionKind.ROLLBACK
        and view.execution.outcome is ExecutionOutcome.APPLIED
        for view in executions
    )
    return f"{plan.state}, then taken back" if undone else plan.state.value


def _change(page: _Page, view: PlanView, executions: tuple[ExecutionView, ...], *, newest: bool) -> None:
    plan = view.plan
    page.section("CHANGE", f"{plan.id}: {_standing(plan, executions)}")
    if not newest:
        page.fold(f"plan:{plan.id}", action_of(plan), [plan.diff])
        return
    _terms(page, plan)
    page.diff(plan.diff)
    failed = [check for check in plan.checks if not check.passed]
    for check in failed:
        page.say("policy", f"{check.name}: {check.detail}", Tone.WAITS)
    told = [f"{'pass' if check.passed else 'NO  '} {check.name}: {check.detail}" for check in plan.checks]
    passed = len(plan.checks) - len(failed)
    page.fold(f"checks:{plan.id}", f"{passed} of {len(plan.checks)} checks passed", told)
    _approvals(page, plan, view.approvals)


def _terms_in_short(plan: Plan) -> str:
    return f"{plan.risk} risk, {'can' if plan.reversible else 'CANNOT'} be taken back"


def _plan_tone(plan: Plan) -> Tone:
    return _PLAN_TONES.get(plan.state, Tone.PLAIN)


def _terms(page: _Page, plan: Plan) -> None:
    page.say("action", action_of(plan), Tone.STRONG)
    page.say("because", plan.reason)
    page.say("terms", _terms_in_short(plan), Tone.PLAIN if plan.reversible else Tone.BAD)
    for warning in plan.warnings:
        page.say("warning", warning, Tone.WAITS)
    for missing in plan.restores_not:
        page.say("keeps", f"undoing does not restore {missing}", Tone.WAITS)


def _approvals(page: _Page, plan: Plan, approvals: tuple[Approval, ...]) -> None:
    for approval in approvals:
        by = "policy" if approval.kind == "policy" else f"{approval.approver} ({approval.kind})"
        page.say("approved", f"by {by} at {clock(approval.decided_at)}", Tone.GOOD)
    if plan.state is PlanState.PROPOSED and plan.approvers_needed > 1:
        page.say("needs", f"{plan.approvers_needed} people, {len(approvals)} so far", Tone.WAITS)


def action_of(plan: Plan) -> str:
    """The action with its scalars, as its dataclass names them."""
    action = plan.action
    scalars = {item.name: getattr(action, item.name) for item in fields(action) if item.name != "target"}
    said = ", ".join(f"{name} {value}" for name, value in scalars.items() if value not in ("", 0, -1))
    on = f" {action.target.name}" if action.target.kind == "Pod" else ""
    return f"{action.kind}{on}: {said}" if said else f"{action.kind}{on}"


def _done(page: _Page, view: ExecutionView) -> None:
    execution = view.execution
    label = "undone" if execution.kind is ExecutionKind.ROLLBACK else "applied"
    applied = execution.outcome is ExecutionOutcome.APPLIED
    outcome = "" if applied else f", outcome {execution.outcome.upper()}"
    by = f"by {execution.requested_by} at {clock(execution.intent_at)}"
    page.say(label, f"{execution.id} {by}{outcome}", Tone.PLAIN if applied else Tone.BAD)
    if execution.detail:
        page.say("", execution.detail)
    if not view.verifications:
        return
    told = [
        f"{look.elapsed_seconds:6.1f} s  {look.verdict.kind}: {look.verdict.reason}, "
        f"{look.ready} of {look.desired} ready, {look.restarts} restarts"
        for look in view.verifications
    ]
    last = view.verifications[-1]
    head = f"{last.verdict.kind}: {last.verdict.reason} ({last.ready} of {last.desired} pods ready)"
    page.say("verified", head, _VERDICT_TONES.get(last.verdict.kind, Tone.BAD))
    page.fold(f"looks:{execution.id}", f"looks at it: {len(told)}", told)


def _step(page: _Page, run: Investigation, step: Step) -> None:
    head = f"{step.number} {step.kind.replace('_', ' ')}: {flat(step.text)}"
    short = head if len(head) <= _STEP_HEAD else f"{head[:_STEP_HEAD]}.."
    cited = {item.id: item for item in run.evidence if item.id in step.evidence}
    body = [step.text, *(f"[{_evidence_head(item)}]\n{item.text}" for item in cited.values())]
    page.fold(f"step:{run.id}:{step.number}", short, body)


_SAID_ELSEWHERE = frozenset(
    {"digest", "fingerprint", "starts_at", "uid", "verb", "resource_version", "resource_version_after"}
)


def _told(entry: AuditRecord) -> str:
    if not isinstance(entry.detail, dict):
        return ""
    told = [
        f"{name} {value}"
        for name, value in entry.detail.items()
        if name not in _SAID_ELSEWHERE and value not in ("", None) and not isinstance(value, list | dict)
    ]
    return f", {', '.join(told)}" if told else ""
