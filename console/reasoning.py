"""The reasoning of one incident as a tree: investigations, their turns and steps, the changes between them. Pure.

What stands in a tree is text from outside, as it came; `console.lines.folding` makes it safe and cuts it into lines
when it is looked at. The words are those of the command line. What a model said is marked as such: its thinking is its
provider's summary and proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import groupby

from console.lines.formatting import Tone, flat
from responder.domain.action import Action
from responder.domain.investigation import (
    HEURISTIC,
    Attempt,
    Consulted,
    Evidence,
    Finding,
    Investigation,
    Step,
    StepKind,
    Usage,
)
from responder.domain.views import DecisionView, Reasoning

_LABEL = 11
_STEP = 16
_GIST = 1000
"""Characters of a text that its own line may show while it is shut, on the widest of screens."""
_SHORT_DIFF = 20
"""Lines of a diff that stand open from the start."""

_SEPARATORS = ((",", ":"), (", ", ": "))
"""Of JSON on one line."""

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
_STEP_TONES = {StepKind.THINKING: Tone.DIM, StepKind.FAILURE: Tone.BAD, StepKind.VERDICT: Tone.STRONG}


class Form(StrEnum):
    OWN = "own"
    """Our words: no bar at their side."""
    TEXT = "text"
    JSON = "json"
    """Drawn with a line for every value where it is JSON, else as text."""
    DIFF = "diff"
    SIDES = "sides"
    """A diff, what is now beside what is planned."""


@dataclass(frozen=True, kw_only=True)
class Body:
    text: str
    form: Form = Form.TEXT


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing that can be looked at: a line or a few, and below them what opens."""

    key: str
    """Stays the same while the record grows."""
    label: str = ""
    """Before the first line; the others stand under its end."""
    note: str = ""
    """On its line, open or shut."""
    gist: str = ""
    """After the note while it is shut: the beginning of what opens."""
    tone: Tone = Tone.PLAIN
    label_tone: Tone | None = None
    """None: as the node's, where that is one that has to be seen."""
    is_tight: bool = False
    """At the top, without an empty row before it."""
    is_wrapped: bool = False
    """The note takes as many lines as it needs; otherwise one, cut at the width."""
    is_open: bool = False
    """As long as nobody opened or shut it."""
    bodies: tuple[Body, ...] = ()
    children: tuple[Node, ...] = ()
    cites: tuple[Evidence, ...] = ()
    """What Enter opens in full."""

    @property
    def folds(self) -> bool:
        return bool(self.bodies or self.children)


def chain(reasoning: Reasoning, decisions: Iterable[DecisionView] = ()) -> tuple[Node, ...]:
    """Every investigation in its order, each followed by the changes that were planned on it."""
    nodes, above = list[Node](), set[tuple[str, str]]()
    runs = reasoning.investigations
    asked = _asked_in(runs, decisions)
    for run in runs:
        nodes.append(_run(run, asked.get(run.id, ()), above))
        above |= {(item.id, item.text) for item in run.evidence}
        nodes += [_attempt(item) for item in reasoning.attempts if item.investigation_id == run.id]
    known = {run.id for run in runs}
    nodes += [_attempt(item) for item in reasoning.attempts if item.investigation_id not in known]
    return tuple(nodes)


def observations(found: Iterable[Evidence]) -> tuple[Node, ...]:
    """Evidence in full."""
    return tuple(_observation(item, key="full", is_open=True) for item in found)


def goes_on(reasoning: Reasoning) -> bool:
    return any(run.ended_at is None for run in reasoning.investigations)


def told_total(reasoning: Reasoning) -> str:
    """How much there is, and what it took."""
    runs = reasoning.investigations
    counted = f"{len(runs)} investigation{'' if len(runs) == 1 else 's'}"
    usages = [run.usage for run in runs if run.usage is not None]
    if not usages:
        return counted
    return f"{counted}, {told_cost(sum(run.cost_usd for run in runs))}, {told_usage(sum(usages, Usage()))}"


def told_usage(usage: Usage) -> str:
    """`41,230 tokens in (82% from cache), 2,104 out`."""
    everything = usage.all_input_tokens
    cached = f" ({usage.cache_read_tokens / everything:.0%} from cache)" if everything else ""
    return f"{everything:,} tokens in{cached}, {usage.output_tokens:,} out"


def told_cost(usd: float) -> str:
    return f"{usd:.4f} USD"


def pretty(text: str) -> str:
    """JSON with a line for every value; what would not come out the same otherwise stays as it is."""
    try:
        read = json.loads(text)
        same = any(json.dumps(read, separators=marks, ensure_ascii=False) == text for marks in _SEPARATORS)
    except (ValueError, RecursionError):
        return text
    return json.dumps(read, ensure_ascii=False, indent=2) if same and isinstance(read, dict | list) else text


def _asked_in(runs: Iterable[Investigation], decisions: Iterable[DecisionView]) -> Mapping[str, tuple[Consulted, ...]]:
    """Who was asked, by the id of the detectors' run that opened the look: a decision bears the time right before."""
    asked: dict[str, tuple[Consulted, ...]] = {}
    detected = [run for run in runs if run.analyzer == HEURISTIC]
    for decision in decisions:
        opened = next((run for run in detected if run.started_at >= decision.at), detected[-1] if detected else None)
        if opened is not None and decision.consulted:
            asked[opened.id] = decision.consulted
    return asked


def _run(run: Investigation, asked: tuple[Consulted, ...], above: set[tuple[str, str]]) -> Node:
    """`above`: id and text of the observations of the runs before, which this one was given to start from."""
    by = f"{run.analyzer} ({run.model})" if run.model else run.analyzer
    conclusion = run.conclusion.value.replace("_", " ") if run.ended_at is not None else "has not ended"
    cost = _cost(run)
    children = [
        *([_said(f"summary:{run.id}", "summary", run.summary)] if run.summary else []),
        *([_said(f"cost:{run.id}", "cost", cost)] if cost else []),
        *(_consulted(run, item) for item in asked),
        *(_finding(run, number, finding) for number, finding in enumerate(run.findings)),
        *_facts(run),
        *_steps(run),
        *_evidence(run, above),
    ]
    return Node(
        key=f"run:{run.id}",
        note=f"INVESTIGATION {run.number} by {by}: {conclusion}",
        tone=Tone.SECTION,
        is_wrapped=True,
        is_open=True,
        children=tuple(children),
    )


def _said(key: str, label: str, text: str, tone: Tone = Tone.PLAIN) -> Node:
    return Node(key=key, label=f"{label:<{_LABEL}}", note=text, tone=tone, is_wrapped=True)


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


def _consulted(run: Investigation, item: Consulted) -> Node:
    told = f"{item.analyzer} {'answered' if item.answered else 'did not answer'}: {item.why}"
    tone = Tone.PLAIN if item.answered else Tone.WAITS
    return _said(f"asked:{run.id}:{item.analyzer}", "asked", told, tone)


def _finding(run: Investigation, number: int, finding: Finding) -> Node:
    place = f"container {finding.container}: " if finding.container else ""
    ids = ", ".join(finding.evidence) or "no evidence"
    key = f"finding:{run.id}:{number}"
    return Node(
        key=key,
        label=f"{finding.confidence:<{_LABEL}.0%}",
        note=f"{place}{finding.cause} [{f'UNSUPPORTED: {ids}' if finding.unsupported else ids}]",
        tone=Tone.BAD if finding.unsupported else Tone.STRONG,
        is_wrapped=True,
        is_open=True,
        children=citations(run.evidence, finding.evidence, key),
        cites=tuple(item for item in run.evidence if item.id in finding.evidence),
    )


def _facts(run: Investigation) -> Iterator[Node]:
    for number, fact in enumerate(run.ruled_out):
        yield _said(f"ruled-out:{run.id}:{number}", "ruled out", f"{fact.hypothesis}: {fact.because}", Tone.DIM)
    for number, hole in enumerate(run.unchecked):
        yield _said(f"unchecked:{run.id}:{number}", "unchecked", f"{hole.what}: {hole.why}", Tone.WAITS)


def citations(evidence: Iterable[Evidence], ids: Iterable[str], key: str) -> tuple[Node, ...]:
    """What is cited, each leading to its text. `key` is that of the node that they stand in."""
    known = {item.id: item for item in evidence}
    return tuple(_citation(id_, known.get(id_), f"{key}:{id_}") for id_ in dict.fromkeys(ids))


def _citation(id_: str, found: Evidence | None, key: str) -> Node:
    label = f"[{flat(id_)}] "
    if found is None:
        return Node(key=key, label=label, note="there is no such observation", tone=Tone.BAD)
    return Node(key=key, label=label, note=evidence_head(found), cites=(found,))


def evidence_head(item: Evidence) -> str:
    return f"{item.kind.value}: {item.source}{' (cut)' if item.truncated else ''}"


def _steps(run: Investigation) -> Iterator[Node]:
    if not run.steps:
        yield _said(f"steps:{run.id}", "steps", "none on record" if run.ended_at else "none yet", Tone.DIM)
    for number, grouped in groupby(run.steps, key=lambda step: step.turn):
        steps = tuple(grouped)
        if number:
            yield _turn(run, number, steps)
        else:
            yield from (_step(run, step) for step in steps)


def _turn(run: Investigation, number: int, steps: tuple[Step, ...]) -> Node:
    end = next((step for step in steps if step.kind is StepKind.TURN), None)
    is_last = steps[-1].number == run.steps[-1].number
    runs = run.ended_at is None and is_last
    took = "goes on" if runs and end is None else _turn_took(end)
    failed = any(step.kind is StepKind.FAILURE for step in steps)
    return Node(
        key=f"turn:{run.id}:{steps[0].number}",
        label=f"TURN {number} ".ljust(_LABEL - 2),
        gist="; ".join(part for part in (_done(steps), took) if part),
        tone=Tone.BAD if failed else Tone.PLAIN,
        is_open=runs,
        bodies=(Body(text=took, form=Form.OWN),),
        children=tuple(_step(run, step) for step in steps if step is not end),
    )


def _turn_took(end: Step | None) -> str:
    if end is None:
        return "came to no end"
    spent = [told_usage(end.usage)] if end.usage is not None else []
    spent += [told_cost(end.cost_usd), f"{end.seconds:.1f} s", f"stopped: {end.stop_reason or 'no reason given'}"]
    return ", ".join(spent)


def _done(steps: Iterable[Step]) -> str:
    """What a turn did, in a few words: what failed, the tools it called, else what it said first."""
    kinds = {step.kind: step for step in reversed(tuple(steps))}
    told = ["FAILED"] if StepKind.FAILURE in kinds else []
    calls = [step.tool for step in steps if step.kind is StepKind.TOOL_CALL]
    if calls:
        told.append(f"calls {', '.join(dict.fromkeys(calls))}")
    for kind, word in ((StepKind.VERDICT, "verdict"), (StepKind.TEXT, "says")):
        if kind in kinds and not calls:
            told.append(f"{word}: {_head(kinds[kind].text)}")
            break
    return ", ".join(told)


def _head(text: str) -> str:
    return text[:80] + (".." if len(text) > 80 else "")


def _step(run: Investigation, step: Step) -> Node:
    key = f"step:{run.id}:{step.number}"
    return Node(
        key=key,
        label=f"{step.number:>4} {_NAMES[step.kind]} {flat(step.call[:8])}".ljust(_STEP - 1) + " ",
        note=_step_note(step),
        gist=step.text[:_GIST],
        tone=_STEP_TONES.get(step.kind, Tone.PLAIN),
        bodies=(Body(text=step.text, form=_step_form(step)),) if step.text else (),
        children=citations(run.evidence, step.evidence, key),
    )


def _step_form(step: Step) -> Form:
    return Form.JSON if step.kind in (StepKind.TOOL_CALL, StepKind.TOOL_RESULT) else Form.TEXT


def _step_note(step: Step) -> str:
    match step.kind:
        case StepKind.THINKING:
            return "(the provider's summary, no proof)"
        case StepKind.TOOL_CALL:
            return step.tool
        case StepKind.TOOL_RESULT if step.tool:
            return f"{step.tool} ({step.seconds:.1f} s)"
        case StepKind.TURN:
            return _turn_took(step)
        case StepKind.FAILURE if step.usage is not None or step.cost_usd:
            charged = [told_usage(step.usage)] if step.usage is not None else []
            return f"[charged: {', '.join([*charged, told_cost(step.cost_usd)])}]"
        case StepKind.VERDICT if step.evidence:
            return f"[{', '.join(step.evidence)}]"
        case _:
            return ""


def _evidence(run: Investigation, above: set[tuple[str, str]]) -> Iterator[Node]:
    if not run.evidence:
        return
    new = [item for item in run.evidence if (item.id, item.text) not in above]
    old = len(run.evidence) - len(new)
    told = f"{len(new)}" + (f" ({old} of its {len(run.evidence)} observations stand above)" if old else "")
    yield Node(
        key=f"evidence:{run.id}",
        label="observations ",
        note=told,
        children=tuple(_observation(item, key=f"evidence:{run.id}") for item in new),
    )


def _observation(item: Evidence, *, key: str, is_open: bool = False) -> Node:
    return Node(
        key=f"{key}:{item.id}",
        label=f"[{flat(item.id)}] ",
        note=evidence_head(item),
        is_wrapped=is_open,
        is_open=is_open,
        bodies=(Body(text=item.text, form=Form.JSON),),
        cites=() if is_open else (item,),
    )


def _attempt(attempt: Attempt) -> Node:
    came_of_it = " ".join(part for part in (attempt.outcome or "nothing was written", attempt.verdict) if part)
    because = f": {attempt.reason}" if attempt.reason else ""
    lines = attempt.diff.count("\n") + 1
    key = f"change:{attempt.plan_id}"
    diff = Node(
        key=f"{key}:diff",
        label="diff ",
        note=f"of {lines} line{'' if lines == 1 else 's'}",
        is_open=lines <= _SHORT_DIFF,
        bodies=(Body(text=attempt.diff, form=Form.DIFF),),
    )
    return Node(
        key=key,
        note=f"CHANGE {attempt.plan_id} {attempt.state}: {told_action(attempt.action)}",
        tone=Tone.SECTION,
        is_wrapped=True,
        is_open=True,
        children=(_said(f"{key}:outcome", "came of it", f"{came_of_it}{because}"), *([diff] if attempt.diff else [])),
    )


def told_action(action: Action) -> str:
    """The action with its scalars, as its dataclass names them."""
    scalars = {item.name: getattr(action, item.name) for item in fields(action) if item.name != "target"}
    said = ", ".join(f"{name} {value}" for name, value in scalars.items() if value not in ("", 0, -1))
    on = f" {action.target.name}" if action.target.kind == "Pod" else ""
    return f"{action.kind}{on}: {said}" if said else f"{action.kind}{on}"
