"""Runs on one snapshot side by side: those on record and one that was replayed. Pure; used by the command line.

How far they agree is told by what code can compare: the same fault at the same place, the same action with the same
scalars, evidence that exists. Whose words are better is for people to judge. Every string passes `visible`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from responder.domain.action import Action
from responder.domain.investigation import HEURISTIC, Attempt, Finding, Investigation, Proposal, StepKind
from responder.domain.views import InvestigationSummary, Recording
from responder.domain.visible import visible
from responder.reporter.costs import told_cost, told_usage
from responder.reporter.terminal import DEFAULT_WIDTH, told_action

_LABEL = 12
_GAP = 3
_LEAST_COLUMN = 36
"""Columns of the terminal for one run; where there are fewer for each, runs stand one below the other."""
_PROMPT = "system prompt "
"""With these words a model's run begins its first step."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One proposal of a run, in the order of `run.proposals`."""

    supported: bool
    """It cites evidence, all of it exists, and so does what its finding cites."""
    as_detectors: bool
    """The detectors suggest the very same action. Always False in their own column."""
    tried: str
    """What became of the very same action in this incident: `applied, passed`; '' where it was not planned."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One run."""

    run: InvestigationSummary
    replayed: bool = False
    problem: str = ""
    """Why it gave no answer."""
    prompt: str = ""
    """Which system prompt a model had, by name and digest; '' for the detectors."""
    seconds: float | None = None
    """None where it has not ended."""
    turns: int = 0
    looks_answered: int = 0
    looks_unanswered: int = 0
    """Refused, or not to be read."""
    looks_missing: tuple[str, ...] = ()
    """Of those, looks that the record holds no answer to."""
    same_faults: tuple[bool, ...] = ()
    """Of each of `run.findings`: the detectors name the same fault at the same place. In their own column all False."""
    judged: tuple[Judged, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    incident_id: str
    taken_at: datetime | None
    """When the snapshot was taken that all of them are about."""
    runs: tuple[Compared, ...]
    """Those on record first."""
    attempts: tuple[Attempt, ...]
    """Every change that the incident had, oldest first."""
    other_looks: int
    """Runs on record that were about other snapshots."""


def compare(
    recording: Recording, replayed: Investigation, *, missing: Sequence[str] = (), problem: str = ""
) -> Comparison:
    """`missing` and `problem` are of the replayed run."""
    recorded = recording.look
    detected = next((run for run in recorded if run.analyzer == HEURISTIC), None)
    attempts = recording.attempts
    return Comparison(
        incident_id=recording.incident.id,
        taken_at=recording.snapshot.taken_at if recording.snapshot is not None else None,
        runs=(
            *(_compared(run, detected if run is not detected else None, attempts) for run in recorded),
            _compared(replayed, detected, attempts, replayed=True, missing=tuple(missing), problem=problem),
        ),
        attempts=attempts,
        other_looks=len(recording.investigations) - len(recorded),
    )


def _compared(
    run: Investigation,
    detected: Investigation | None,
    attempts: tuple[Attempt, ...],
    *,
    replayed: bool = False,
    missing: tuple[str, ...] = (),
    problem: str = "",
) -> Compared:
    looks = [step for step in run.steps if step.kind is StepKind.TOOL_RESULT and step.tool]
    answered = sum(1 for step in looks if step.evidence)
    faults = {_place(finding) for finding in detected.findings} if detected is not None else set()
    actions = [proposal.action for proposal in detected.proposals] if detected is not None else []
    return Compared(
        run=InvestigationSummary.of(run, evidence_count=len(run.evidence), step_count=len(run.steps)),
        replayed=replayed,
        problem=problem,
        prompt=_prompt(run),
        seconds=(run.ended_at - run.started_at).total_seconds() if run.ended_at is not None else None,
        turns=sum(1 for step in run.steps if step.kind is StepKind.TURN),
        looks_answered=answered,
        looks_unanswered=len(looks) - answered,
        looks_missing=missing,
        same_faults=tuple(_place(finding) in faults for finding in run.findings),
        judged=tuple(_judged(proposal, run, actions, attempts) for proposal in run.proposals),
    )


def _prompt(run: Investigation) -> str:
    """As the first step of a model's run names it."""
    first = next((step.text for step in run.steps if step.kind is StepKind.PROMPT), "")
    return first.partition(",")[0].removeprefix(_PROMPT) if first.startswith(_PROMPT) else ""


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.fault, finding.subject.key, finding.container


def _judged(proposal: Proposal, run: Investigation, actions: Sequence[Action], attempts: Sequence[Attempt]) -> Judged:
    known = {item.id for item in run.evidence}
    claims = {finding.fault for finding in run.findings if finding.unsupported or not finding.evidence}
    supported = bool(proposal.evidence) and known.issuperset(proposal.evidence) and proposal.finding not in claims
    tried = next((attempt for attempt in reversed(attempts) if attempt.action == proposal.action), None)
    return Judged(
        supported=supported,
        as_detectors=proposal.action in actions,
        tried=_came_of_it(tried) if tried is not None else "",
    )


def _came_of_it(attempt: Attempt) -> str:
    if not attempt.outcome:
        return f"plan {attempt.state}"
    return f"{attempt.outcome}, {attempt.verdict or 'no verdict'}"


def render_comparison(comparison: Comparison, *, width: int = DEFAULT_WIDTH) -> str:
    """Runs beside each other where each has room enough, else one below the other."""
    runs = comparison.runs
    column = (width - _LABEL) // max(1, len(runs)) - _GAP
    groups = [runs] if column >= _LEAST_COLUMN else [(run,) for run in runs]
    room = column if len(groups) == 1 else width - _LABEL
    lines = _line("incident", _about(comparison), width)
    for group in groups:
        lines += ["", *_table(group, room)]
    lines += ["", *_changes(comparison.attempts, width)]
    note = "Replayed from the record alone: nothing was looked at, written or proposed."
    return "\n".join([*lines, *_line("note", note, width)])


def _about(comparison: Comparison) -> str:
    taken = f", as it was looked at {_time(comparison.taken_at)}" if comparison.taken_at is not None else ""
    others = comparison.other_looks
    more = f"; {others} run{'s' * (others > 1)} about other looks left out" if others else ""
    return f"{comparison.incident_id}{taken}{more}"


_Row = tuple[str, Callable[[Compared], Sequence[str]]]


def _table(runs: Sequence[Compared], column: int) -> Iterator[str]:
    for label, told in _ROWS:
        cells = [[line for text in told(run) for line in _wrapped(text, column)] for run in runs]
        for number, parts in enumerate(zip_longest(*cells, fillvalue="")):
            head = label if number == 0 else ""
            padded = (" " * _GAP).join(part.ljust(column) for part in parts)
            yield f"{head:<{_LABEL}}{padded}".rstrip()


def _who(one: Compared) -> Sequence[str]:
    by = f"{one.run.analyzer} ({one.run.model})" if one.run.model else one.run.analyzer
    return (f"REPLAY: {by}" if one.replayed else f"ON RECORD: {by}",)


def _concluded(one: Compared) -> Sequence[str]:
    return (f"NO ANSWER: {one.problem}",) if one.problem else (one.run.conclusion.value,)


def _findings(one: Compared) -> Sequence[str]:
    told = []
    for finding, same in zip(one.run.findings, one.same_faults, strict=True):
        place = f" in container {finding.container}" if finding.container else ""
        marks = [f"[{', '.join(finding.evidence)}]" if finding.evidence else "[no evidence]"]
        marks += ["[UNSUPPORTED]"] * finding.unsupported + ["[= detectors]"] * same
        # Before the cause, which is a model's free text and could end in a mark of its own making.
        told.append(f"- {finding.confidence:.0%} {finding.fault}{place} {' '.join(marks)}: {finding.cause}")
    return told or ("none",)


def _proposals(one: Compared) -> Sequence[str]:
    told = []
    for proposal, judged in zip(one.run.proposals, one.judged, strict=True):
        marks = [] if judged.supported else ["[UNSUPPORTED]"]
        marks += ["[= detectors]"] * judged.as_detectors
        marks += [f"[= {judged.tried}]"] if judged.tried else []
        told.append(" ".join([f"- {told_action(proposal.action)}", *marks]))
    return told or ("none",)


def _looks(one: Compared) -> Sequence[str]:
    if not one.turns and not one.looks_answered and not one.looks_unanswered:
        return ("-",)
    missing, other = len(one.looks_missing), one.looks_unanswered - len(one.looks_missing)
    parts = [f"{one.looks_answered} answered"]
    parts += [f"{missing} not in the record"] if one.replayed else []
    parts += [f"{other} refused or failed"] if other > 0 else []
    return (", ".join(parts), *(f"- missing: {look}" for look in dict.fromkeys(one.looks_missing)))


def _seconds(one: Compared) -> Sequence[str]:
    if one.seconds is None:
        return ("has not ended",)
    own = f", {one.run.provider_seconds:.1f} s of them the provider's" if one.turns else ""
    return (f"{one.seconds:.1f} s{own}",)


_ROWS: tuple[_Row, ...] = (
    ("", _who),
    ("when", lambda one: (_time(one.run.started_at),)),
    ("prompt", lambda one: (one.prompt or "-",)),
    ("conclusion", _concluded),
    ("summary", lambda one: (one.run.summary,)),
    ("findings", _findings),
    ("proposals", _proposals),
    ("ruled out", lambda one: tuple(f"- {fact.hypothesis}" for fact in one.run.ruled_out) or ("none",)),
    ("unchecked", lambda one: (str(len(one.run.unchecked)),)),
    ("turns", lambda one: (str(one.turns) if one.turns else "-",)),
    ("looks", _looks),
    ("tokens", lambda one: (told_usage(one.run.usage) if one.run.usage is not None else "-",)),
    ("cost", lambda one: (told_cost(one.run.cost_usd),)),
    ("time", _seconds),
)


def _changes(attempts: Sequence[Attempt], width: int) -> Iterator[str]:
    told = [f"{told_action(attempt.action)}: {_came_of_it(attempt)}" for attempt in attempts]
    for place, text in enumerate(told or ["none was planned"]):
        yield from _line("changes" if place == 0 else "", text, width)


def _line(label: str, text: str, width: int) -> list[str]:
    lines = _wrapped(text, width - _LABEL)
    return [f"{label if place == 0 else '':<{_LABEL}}{line}".rstrip() for place, line in enumerate(lines)]


def _wrapped(text: str, width: int) -> list[str]:
    """Longer words are broken, so that a cell keeps to its column; line breaks go, since they could draw a row."""
    line = " ".join(visible(text).split())
    indent = "  " if line.startswith("- ") else ""
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
