"""The reasoning of one incident as plain text for a terminal. Pure; used by the command line.

Runs in the order in which they were made, each turn of a model under a heading with what it took, and between the runs
the changes that were planned on them. What a model said is marked as such: its thinking is its provider's summary and
proves nothing. Every string passes `visible`, in `wrapped`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

from responder.domain.investigation import Attempt, Evidence, Investigation, Step, StepKind
from responder.domain.views import Reasoning
from responder.domain.visible import visible
from responder.reporter.costs import told_cost, told_usage
from responder.reporter.terminal import DEFAULT_WIDTH, told_action, wrapped

_INDENT = 16
_SHORT = 40
"""Characters of evidence that is not worth a reference in its place."""
_NAMES = {
    StepKind.PROMPT: "prompt",
    StepKind.THINKING: "thinking",
    StepKind.TEXT: "says",
    StepKind.TOOL_CALL: "call",
    StepKind.TOOL_RESULT: "result",
    StepKind.TURN: "turn",
    StepKind.FAILURE: "FAILED",
    StepKind.VERDICT: "verdict",
}


def render_reasoning(reasoning: Reasoning, *, width: int = DEFAULT_WIDTH) -> str:
    """Every investigation: its steps in order, then the evidence that they cite, then what was done on it."""
    blocks, shown = list[str](), set[tuple[str, str]]()
    for run in reasoning.investigations:
        blocks.append("\n".join(_run(run, width, shown)))
        shown |= {(item.id, item.text) for item in run.evidence}
        blocks += ["\n".join(_attempt(item, width)) for item in reasoning.attempts if item.investigation_id == run.id]
    return "\n\n".join(blocks) or "not investigated yet"


def _run(run: Investigation, width: int, shown: Collection[tuple[str, str]]) -> Iterator[str]:
    """`shown`: id and text of what stands on the screen already, because the run was given it to start from."""
    by = f"{run.analyzer} ({run.model})" if run.model else run.analyzer
    conclusion = run.conclusion.value if run.ended_at is not None else "has not ended"
    title = f"INVESTIGATION {run.number} by {by}: {conclusion}"
    yield from wrapped("", " ".join(title.split()), width, indent=0)  # on one line: no other heading is in it
    yield from wrapped("summary", " ".join(run.summary.split()), width, indent=_INDENT)
    cost = _cost(run)
    if cost:
        yield from wrapped("cost", cost, width, indent=_INDENT)
    for turn, steps in groupby(run.steps, key=lambda step: step.turn):
        yield from _turn(turn, tuple(steps), width, shown)
    new = [item for item in run.evidence if (item.id, item.text) not in shown]
    if len(new) < len(run.evidence):
        above = f"({len(run.evidence) - len(new)} of its {len(run.evidence)} observations stand above)"
        yield from wrapped("", above, width, indent=6)
    for evidence in new:
        yield from _evidence(evidence, width)


def _cost(run: Investigation) -> str:
    """What the run took; '' for one without a model."""
    if run.usage is None and not run.cost_usd:
        return ""
    spent = [told_usage(run.usage)] if run.usage is not None else []
    spent.append(told_cost(run.cost_usd))
    if run.ended_at is not None:
        seconds = (run.ended_at - run.started_at).total_seconds()
        spent.append(f"{seconds:.1f} s, {run.provider_seconds:.1f} s of them the provider's")
    return "; ".join(spent)


def _turn(number: int, steps: tuple[Step, ...], width: int, shown: Collection[tuple[str, str]]) -> Iterator[str]:
    if number:
        end = next((step for step in steps if step.kind is StepKind.TURN), None)
        yield from wrapped(f"TURN {number}", _turn_took(end), width, indent=_INDENT)
    for step in steps:
        yield from _step(step, width, shown)


def _turn_took(end: Step | None) -> str:
    if end is None:
        return "came to no end"
    spent = [told_usage(end.usage)] if end.usage is not None else []
    spent += [told_cost(end.cost_usd), f"{end.seconds:.1f} s", f"stopped: {end.stop_reason or 'no reason given'}"]
    return ", ".join(spent)


def _step(step: Step, width: int, shown: Collection[tuple[str, str]]) -> Iterator[str]:
    label = f"{step.number:>4} {_NAMES[step.kind]} {visible(step.call[:8])}".rstrip()
    yield from wrapped(label.ljust(_INDENT - 1) + " ", _told(step, shown), width, indent=_INDENT)


def _told(step: Step, shown: Collection[tuple[str, str]]) -> str:
    match step.kind:
        case StepKind.PROMPT:
            return _without_shown(step.text, shown)
        case StepKind.THINKING:
            return f"(the provider's summary, no proof) {step.text}"
        case StepKind.TOOL_CALL:
            return f"{step.tool} {_spaced(step.text)}".strip()
        case StepKind.TOOL_RESULT if step.tool:
            return f"{step.text} ({step.seconds:.1f} s)"
        case StepKind.FAILURE if step.usage is not None or step.cost_usd:
            charged = told_usage(step.usage) if step.usage is not None else ""
            return f"{step.text} [charged: {', '.join(part for part in (charged, told_cost(step.cost_usd)) if part)}]"
        case StepKind.VERDICT if step.evidence:
            return f"{step.text} [{', '.join(step.evidence)}]"
        case _:
            return step.text


def _without_shown(prompt: str, shown: Collection[tuple[str, str]]) -> str:
    """A first prompt repeats the detectors' evidence, which a person has read a screen before."""
    for id_, text in sorted(shown, key=lambda item: -len(item[1])):
        if len(text) > _SHORT:
            prompt = prompt.replace(text, f"({id_}, as above)")
    return prompt


def _spaced(arguments: str) -> str:
    """JSON with blanks in it, so that it can be wrapped; what would not come out the same otherwise stays as it is."""
    try:
        read = json.loads(arguments)
        same = json.dumps(read, separators=(",", ":"), ensure_ascii=False) == arguments
    except (ValueError, RecursionError):
        return arguments
    return json.dumps(read, ensure_ascii=False) if same else arguments


def _attempt(attempt: Attempt, width: int) -> Iterator[str]:
    """Diffs are never wrapped or cut, because they are what was approved."""
    came_of_it = " ".join(part for part in (attempt.outcome or "nothing was written", attempt.verdict) if part)
    title = f"CHANGE {attempt.plan_id} {attempt.state}: {told_action(attempt.action)}"
    yield from wrapped("", title, width, indent=0)
    yield from (f"  {line}" for line in visible(attempt.diff).split("\n"))
    because = f": {attempt.reason}" if attempt.reason else ""
    yield from wrapped("came of it", f"{came_of_it}{because}", width, indent=_INDENT)


def _evidence(evidence: Evidence, width: int) -> Iterable[str]:
    cut = " (cut)" if evidence.truncated else ""
    head = wrapped(f"[{visible(evidence.id)}]", f"{evidence.kind.value}: {evidence.source}{cut}", width, indent=6)
    return [*head, *wrapped("", evidence.text, width, indent=6)]
