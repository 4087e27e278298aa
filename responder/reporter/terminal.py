"""One incident as plain text for a terminal. Pure; used by the command line.

The first screen answers in this order: what happened, why, what changes, how to take it back. What is needed less often
is left to `full`. Text from the cluster can never drive the terminal: every string passes `visible` first. Diffs are
never wrapped or cut, because they are what is approved.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime

from responder.domain.action import Action
from responder.domain.audit import AuditRecord
from responder.domain.execution import ExecutionKind, ExecutionOutcome
from responder.domain.incident import Incident, State
from responder.domain.investigation import HEURISTIC, Consulted, Finding, Usage
from responder.domain.plan import Plan, PlanState
from responder.domain.undoing import newest_undoable
from responder.domain.versions import told
from responder.domain.views import ExecutionView, IncidentDetail, InvestigationSummary, PlanView
from responder.domain.visible import visible
from responder.reporter.costs import told_cost, told_usage

DEFAULT_WIDTH = 100
"""Columns, where no terminal says otherwise."""

_LABEL = 9
_FINDINGS = 3
_BEFORE = 5
_NOT_TOLD = frozenset({"state", "outcome", "digest", "fingerprint", "starts_at", "resource_version_after"})
"""Parts of a record that the rest of the screen says already."""


def render_detail(detail: IncidentDetail, *, width: int = DEFAULT_WIDTH, full: bool = False) -> str:
    """What happened, why, what changes, how to take it back; with `full` also every check and the timeline."""
    blocks = [
        [_title(detail.incident)],
        _what(detail, width),
        _why(detail, width, full=full),
        _before(detail, width, full=full),
        *_changes(detail, width, full=full),
        _next(detail, width),
    ]
    if full:
        blocks.append(["", "TIMELINE", *(line for entry in detail.timeline for line in _audit(entry, width))])
    return "\n".join(line for block in blocks for line in block)


def render_plan(plan: Plan, *, width: int = DEFAULT_WIDTH) -> str:
    """Everything a person needs to say yes or no: the action, its risk, the whole diff, what speaks against it."""
    return "\n".join(_plan(PlanView(plan=plan), width, full=False))


def wrapped(label: str, text: str, width: int, *, indent: int = _LABEL) -> list[str]:
    """`text` under a hanging `label`. Lines of the text stay lines; words longer than a line stay whole."""
    lines: list[str] = []
    for part in visible(text).split("\n"):
        head = f"{'' if lines else label:<{indent}}"
        found = textwrap.wrap(
            part,
            width,
            initial_indent=head,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += found or [head.rstrip()]
    return lines


def _title(incident: Incident) -> str:
    ended = f", resolved {_time(incident.resolved_at)}" if incident.resolved_at else ""
    state = ": ".join(word for word in (incident.state.value.upper(), incident.outcome.value) if word)
    return f"{incident.id}  {state}  (opened {_time(incident.opened_at)}{ended})"


def _what(detail: IncidentDetail, width: int) -> list[str]:
    incident = detail.incident
    names = ", ".join(sorted({view.alert.name for view in detail.alerts})) or "none"
    lines = [
        *wrapped("object", incident.key, width),
        *(wrapped("members", _members(detail), width) if incident.cause else []),
        *wrapped("alerts", names, width),
        *wrapped("what", incident.summary or "nothing is known yet", width),
        *wrapped("rule", _rule(detail), width),
    ]
    if incident.truncated_alerts:
        lines += wrapped("note", f"the sender left out {incident.truncated_alerts} alerts of the group", width)
    return lines


def _members(detail: IncidentDetail) -> str:
    """How many workloads share the cause, and which; as many as the answer holds."""
    named, count = detail.members, detail.incident.members
    more = f", and {count - len(named)} more" if count > len(named) else ""
    return f"{detail.incident.workloads} with {detail.incident.cause}: {', '.join(ref.key for ref in named)}{more}"


def _rule(detail: IncidentDetail) -> str:
    if not detail.decisions:
        return "not matched yet"
    last = detail.decisions[-1]
    lowered = f" (the rule says {last.rule_mode})" if last.rule_mode != last.mode else ""
    return f"{last.rule or 'none matched'}, mode {last.mode}{lowered}"


def _why(detail: IncidentDetail, width: int, *, full: bool) -> list[str]:
    if not detail.investigations:
        return wrapped("why", "not investigated yet", width)
    run, *others = last_look(detail.investigations)
    shown = run.findings if full else run.findings[:_FINDINGS]
    lines = _listed("why", [_finding(finding) for finding in shown] or [run.summary], width)
    if len(shown) < len(run.findings):
        lines += wrapped("", f"and {len(run.findings) - len(shown)} more findings", width)
    lines += _listed("opinion", [text for other in others for text in _opinion(other, full=full)], width)
    lines += _asked(detail, width)
    if full:
        lines += _listed("ruled out", [f"{fact.hypothesis}: {fact.because}" for fact in run.ruled_out], width)
    holes = [f"{hole.what}: {hole.why}" if full else hole.what for hole in run.unchecked]
    return lines + _listed("unseen", holes if full or not holes else ["; ".join(holes)], width)


def last_look(runs: Sequence[InvestigationSummary]) -> Sequence[InvestigationSummary]:
    """The newest run of the detectors and those that followed it; the newest run where the detectors made none."""
    for place in range(len(runs) - 1, -1, -1):
        if runs[place].analyzer == HEURISTIC:
            return runs[place:]
    return runs[-1:]


def _opinion(run: InvestigationSummary, *, full: bool) -> Iterator[str]:
    """What another analyzer adds: its word, marked as its own."""
    by = f"{run.analyzer} ({run.model})" if run.model else run.analyzer
    if run.ended_at is None:
        yield f"{by} is looking since {_time(run.started_at)}: {run.step_count} steps so far"
    elif not run.findings:
        yield f"{by}: {run.summary}"
    for finding in run.findings if full else run.findings[:1]:
        yield f"{by}: {_finding(finding)}"


def _asked(detail: IncidentDetail, width: int) -> list[str]:
    """Who was asked besides the detectors, why the others did not answer, and what all of it has cost."""
    consulted = detail.decisions[-1].consulted if detail.decisions else ()
    lines = _listed("asked", [_consulted(item) for item in consulted], width)
    counted = [run.usage for run in detail.investigations if run.usage is not None]
    if counted:
        usd = sum(run.cost_usd for run in detail.investigations)
        runs = f"{len(counted)} run{'s' * (len(counted) > 1)}"
        lines += wrapped("cost", f"{told_cost(usd)} for {runs}: {told_usage(sum(counted, Usage()))}", width)
    return lines


def _consulted(item: Consulted) -> str:
    return f"{item.analyzer} {'answered' if item.answered else 'did not answer'}: {item.why}"


def _finding(finding: Finding) -> str:
    place = f"container {finding.container}: " if finding.container else ""
    cites = ", ".join(finding.evidence) or "no evidence"
    if finding.unsupported:
        cites = f"UNSUPPORTED: {cites}"
    return f"{finding.confidence:.0%} {place}{finding.cause} [{cites}]"


def _before(detail: IncidentDetail, width: int, *, full: bool) -> list[str]:
    """What others changed before the incident, newest first; with `full` what came after it was opened, too."""
    opened = detail.incident.opened_at
    known = [version for version in detail.changes if full or version.at <= opened]
    shown = known if full else known[:_BEFORE]
    if not shown:
        return []
    lines = [told(version, since=opened).replace("\n", " ") for version in shown]
    more = [f"and {len(known) - len(shown)} more: clopus changes --incident {detail.incident.id}"]
    return ["", "WHAT CHANGED BEFORE", *_listed("", [*lines, *(more if len(shown) < len(known) else [])], width)]


def _changes(detail: IncidentDetail, width: int, *, full: bool) -> Iterator[list[str]]:
    """Plans in order, each with its executions; only the newest is told at length."""
    for number, view in enumerate(detail.plans, start=1):
        newest = number == len(detail.plans)
        if newest or full:
            yield ["", *_plan(view, width, full=full)]
        else:
            yield [
                "",
                *wrapped("change", f"{view.plan.id} {view.plan.state.value}: {told_action(view.plan.action)}", width),
            ]
        for execution in detail.executions:
            if execution.execution.plan_id == view.plan.id:
                yield _execution(execution, width)[: None if newest or full else 1]


def _plan(view: PlanView, width: int, *, full: bool) -> list[str]:
    plan = view.plan
    undo = "can be taken back" if plan.reversible else "CANNOT be taken back"
    lines = wrapped("change", f"{plan.id} {plan.state.value}: {told_action(plan.action)}", width)
    lines += wrapped("", f"because {plan.reason}", width)
    lines += wrapped("", f"risk {plan.risk.value}, {undo}, digest {plan.digest[:12]}", width)
    lines += _listed("warning", plan.warnings, width)
    lines += [f"  {line}" for line in plan.diff.split("\n")]
    lines += _listed("keeps", [f"undoing does not restore {missing}" for missing in plan.restores_not], width)
    lines += _checks(plan, width, full=full)
    for approval in view.approvals:
        by = "policy" if approval.kind == "policy" else f"{approval.approver} ({approval.kind})"
        lines += wrapped("approved", f"by {by} at {_time(approval.decided_at)}", width)
    return lines


def told_action(action: Action) -> str:
    """The action with its scalars, as its dataclass names them; the target is the object above."""
    scalars = {item.name: getattr(action, item.name) for item in fields(action) if item.name != "target"}
    said = ", ".join(f"{name} {value}" for name, value in scalars.items() if value not in ("", 0, -1))
    on = "" if action.target.kind != "Pod" else f" {action.target.name}"
    return f"{action.kind}{on}: {said}" if said else f"{action.kind}{on}"


def _checks(plan: Plan, width: int, *, full: bool) -> list[str]:
    failed = [check for check in plan.checks if not check.passed]
    if full:
        told = [f"{'pass' if check.passed else 'NO  '} {check.name}: {check.detail}" for check in plan.checks]
        return _listed("checks", told, width)
    if not failed:
        return wrapped("policy", f"all {len(plan.checks)} checks passed", width)
    told = [f"{check.name}: {check.detail}" for check in failed]
    return _listed("policy", [f"{len(failed)} of {len(plan.checks)} checks leave it to a person:", *told], width)


def _execution(view: ExecutionView, width: int) -> list[str]:
    execution = view.execution
    label = "undone" if execution.kind is ExecutionKind.ROLLBACK else "applied"
    outcome = "" if execution.outcome is ExecutionOutcome.APPLIED else f", outcome {execution.outcome.value.upper()}"
    lines = wrapped(
        label, f"{execution.id} by {execution.requested_by} at {_time(execution.intent_at)}{outcome}", width
    )
    if execution.detail:
        lines += wrapped("", execution.detail, width)
    if view.verifications:
        look = view.verifications[-1]
        ready = f"{look.ready} of {look.desired} pods ready"
        seconds = f"{look.verdict.kind.value} after {look.elapsed_seconds:.1f} s"
        lines += wrapped("verify", f"{seconds}: {look.verdict.reason} ({ready})", width)
    return lines


def _next(detail: IncidentDetail, width: int) -> list[str]:
    """Commands last, where the eye is when the screen stands still. Commands are not wrapped: they are copied."""
    incident = detail.incident
    lines = [""]
    for view in detail.plans:
        plan = view.plan
        if plan.state is PlanState.PROPOSED and incident.state is State.AWAITING_APPROVAL:
            needed = "" if plan.approvers_needed == 1 else f", {plan.approvers_needed} people have to"
            lines += wrapped("decide", f"before {_time(plan.expires_at)}{needed}", width)
            lines.append(f"  clopus approve {plan.id} --digest {plan.digest[:12]}")
            lines.append(f"  clopus reject {plan.id} --reason '...'")
    undo = newest_undoable(detail)
    if undo is not None:
        lines += ["take it back", f"  clopus rollback {undo.execution.id}"]
    if incident.state in (State.ESCALATED, State.SUPPRESSED):
        lines += ["look again", f"  clopus investigate {incident.id}"]
    return [*lines, "more", f"  clopus show {incident.id} --full       checks, timeline", *_reasoning_hint(detail)]


def _reasoning_hint(detail: IncidentDetail) -> list[str]:
    if not detail.investigations:
        return []
    count = sum(run.evidence_count for run in detail.investigations)
    return [f"  clopus show {detail.incident.id} --reasoning  every step and observation ({count})"]


def _audit(entry: AuditRecord, width: int) -> list[str]:
    head = f"{_time(entry.at)}  {visible(entry.actor)}: {entry.event}"
    return wrapped("", f"{head}  {_told(entry)}".rstrip(), width, indent=2)


def _told(entry: AuditRecord) -> str:
    if not isinstance(entry.detail, dict):
        return str(entry.detail or "")
    told = [(name, value) for name, value in entry.detail.items() if name not in _NOT_TOLD and value not in ("", None)]
    return ", ".join(f"{name} {value}" for name, value in told if not isinstance(value, list | dict))


def _listed(label: str, texts: Iterable[str], width: int) -> list[str]:
    """Each text wrapped for itself; the label stands before the first."""
    lines: list[str] = []
    for text in texts:
        lines += wrapped("" if lines else label, text, width)
    return lines


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
