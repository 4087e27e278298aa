"""What a person reads before a decision, as lines of a document: a plan, and the inverse of a change.

Diffs are never cut.
"""

from __future__ import annotations

from console.lines import diffs
from console.lines.formatting import Line, Span, Tone, chop, clock, line, wrap
from console.story.terms import action_of, inverse_told, terms_of
from responder.domain.plan import Approval, Plan, PlanState
from responder.domain.views import ExecutionView, PlanView

_LABEL = 10


class _Page:
    """Lines in the making."""

    def __init__(self, width: int) -> None:
        self.lines: list[Line] = []
        self._width = width

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

    def diff(self, text: str, *, sides: bool) -> None:
        self.lines += diffs.lines(text, self._width, sides=sides, indent=2)


def tell_plan(view: PlanView, *, width: int, sides: bool = False) -> tuple[Line, ...]:
    """All that a person says yes or no to, the digest last. `sides`: what is planned beside what is now."""
    plan = view.plan
    page = _Page(width)
    page.section("CHANGE", f"{plan.changes[0].target.key if plan.changes else ''}")
    _terms(page, plan)
    for check in plan.checks:
        if not check.passed:
            page.say("policy", f"{check.name}: {check.detail}", Tone.WAITS)
    page.section("DIFF")
    page.diff(plan.diff, sides=sides)
    page.section("DIGEST")
    for part in chop(plan.digest, width):
        page.lines.append(line(part, Tone.STRONG))
    _approvals(page, plan, view.approvals)
    return tuple(page.lines)


def _terms(page: _Page, plan: Plan) -> None:
    page.say("action", action_of(plan), Tone.STRONG)
    page.say("because", plan.reason)
    page.say("terms", terms_of(plan), Tone.PLAIN if plan.reversible else Tone.BAD)
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


def tell_undo(view: ExecutionView, plan: Plan | None, *, width: int) -> tuple[Line, ...]:
    """What taking the change back writes."""
    page = _Page(width)
    change = view.execution.change
    page.section("OBJECT", change.target.key)
    if plan is not None:
        page.say("was", action_of(plan))
    for operation in change.inverse:
        page.say(*inverse_told(operation))
    for missing in plan.restores_not if plan else ():
        page.say("but not", missing, Tone.WAITS)
    page.say("only if", "nobody changed the object since; otherwise the server refuses")
    return tuple(page.lines)
