"""Executions as rows, and one of them with what taking it back would write. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from console.lines import diffs
from console.lines.formatting import Line, Span, Tone, age, clock, fit, flat, labelled, line, moment, short_key
from console.lines.grid import Cell, Column, header, row
from console.queue import RISK_TONES
from console.reasoning import told_action
from console.story import tell_undo
from console.story.terms import VERDICT_TONES
from responder.domain.execution import ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.plan import Plan
from responder.domain.views import ExecutionDetail, ExecutionRow, ExecutionView

_LABEL = 10
_say = partial(labelled, cells=_LABEL)

UNDO = "undo"
"""The word that takes an execution back."""
COLUMNS = (
    Column(title="AGE", width=4, right=True),
    Column(title="WHAT", width=5),
    Column(title="OBJECT", weight=6),
    Column(title="ACTION", weight=4),
    Column(title="RISK", width=6, from_columns=110),
    Column(title="RULE", weight=3, from_columns=130),
    Column(title="VERDICT", width=11),
    Column(title="BY", weight=2, most=12),
    Column(title="UNDO", width=4),
)

_UNDO_NOTE = "as far as the record tells; whether somebody changed the object since shows when it is tried"


def head(width: int) -> Line:
    return header(COLUMNS, width)


def execution_row(write: ExecutionRow, width: int, now: datetime) -> Line:
    verdict, tone = _verdict(write.outcome, write.verdict)
    cells: Sequence[Cell | str] = (
        Cell(age((now - write.intent_at).total_seconds()), Tone.DIM),
        "undo" if write.kind is ExecutionKind.ROLLBACK else "apply",
        short_key(write.action.target.key),
        told_action(write.action),
        Cell(write.risk.value, RISK_TONES[write.risk]),
        write.rule,
        Cell(verdict, tone),
        write.requested_by,
        Cell("no", Tone.DIM) if write.keeps else Cell("can", Tone.GOOD),
    )
    return row(COLUMNS, cells, width, key=write.execution_id)


def preview(write: ExecutionRow, width: int) -> str:
    """The row under the cursor, on two lines."""
    why = f": {flat(write.reason)}" if write.reason else ""
    first = f"{write.execution_id} {_verdict(write.outcome, write.verdict)[0]}{why}"
    second = f"stays: {flat(write.keeps)}" if write.keeps else "can be taken back: Enter shows how"
    return "\n".join(fit(text, width).rstrip() for text in (first, second))


def tell_execution(detail: ExecutionDetail, *, width: int) -> tuple[Line, ...]:
    """What was written, what came of it, and what taking it back would write."""
    execution = detail.view.execution
    undone = execution.kind is ExecutionKind.ROLLBACK
    verdict, tone = _verdict(execution.outcome, _last_verdict(detail))
    lines = [
        Line((Span(f"{'EXECUTION':<{_LABEL}}", Tone.SECTION), Span(flat(execution.id)))),
        *_say("object", execution.change.target.key, width, Tone.STRONG),
        *_say("action", f"{'takes back ' if undone else ''}{told_action(detail.plan.action)}", width, Tone.STRONG),
        *_say("by", f"{execution.requested_by} at {moment(execution.intent_at)}", width),
        *_say("outcome", f"{execution.outcome}{f': {execution.detail}' if execution.detail else ''}", width),
        *_say("verdict", verdict + _why(detail), width, tone),
        *_say("incident", f"{detail.incident.id} {detail.incident.state.replace('_', ' ')}", width),
    ]
    for look in detail.view.verifications:
        told = f"{look.verdict.kind}: {look.verdict.reason}, {look.ready} of {look.desired} ready"
        lines += _say(clock(look.at), told, width, Tone.DIM)
    lines += [Line(), line("DIFF that was approved", Tone.SECTION)]
    lines += diffs.lines(inverted(detail.plan.diff) if undone else detail.plan.diff, width, sides=False, indent=2)
    if not undone:
        lines += _way_back(detail, width)
    return tuple(lines)


def tell_way_back(view: ExecutionView, plan: Plan | None, *, width: int) -> tuple[Line, ...]:
    """What is asked about before it is taken back: every operation, and the diff turned round."""
    told = tell_undo(view, plan, width=width)
    if plan is None:
        return told
    turned = diffs.lines(inverted(plan.diff), width, sides=False, indent=2)
    return (*told, Line(), line("DIFF turned round", Tone.SECTION), *turned)


def inverted(diff: str) -> str:
    """A unified diff the other way: what it adds is removed. Within a run of changed lines what goes comes first."""
    return "\n".join(_inverted_lines(diff.split("\n")))


def _inverted_lines(lines: Sequence[str]) -> Iterator[str]:
    gone: list[str] = []
    back: list[str] = []
    for text in lines:
        if text.startswith("+") and not text.startswith("+++"):
            gone.append(f"-{text[1:]}")
        elif text.startswith("-") and not text.startswith("---"):
            back.append(f"+{text[1:]}")
        else:
            yield from (*gone, *back)
            gone, back = [], []
            yield _turned_hunk(text)
    yield from (*gone, *back)


def _turned_hunk(text: str) -> str:
    match text.split(" "):
        case ["@@", before, after, *rest] if before.startswith("-") and after.startswith("+"):
            return " ".join(("@@", f"-{after[1:]}", f"+{before[1:]}", *rest))
    return text


def _way_back(detail: ExecutionDetail, width: int) -> Iterator[Line]:
    yield Line()
    yield line("TAKING IT BACK would write", Tone.SECTION)
    if detail.keeps:
        yield from _say("not now", detail.keeps, width, Tone.WAITS)
    else:
        yield from _say("possible", _UNDO_NOTE, width, Tone.GOOD)
    if detail.view.execution.change.inverse:
        yield from tell_way_back(detail.view, detail.plan, width=width)


def _verdict(outcome: ExecutionOutcome, verdict: VerdictKind | None) -> tuple[str, Tone]:
    """An outcome that is not applied comes first: there is nothing to judge."""
    if outcome is not ExecutionOutcome.APPLIED:
        return outcome.replace("_", " "), Tone.BUSY if outcome is ExecutionOutcome.PENDING else Tone.BAD
    if verdict is None:
        return "not yet", Tone.DIM
    return verdict.value, VERDICT_TONES.get(verdict, Tone.BAD)


def _last_verdict(detail: ExecutionDetail) -> VerdictKind | None:
    looks = detail.view.verifications
    return looks[-1].verdict.kind if looks else None


def _why(detail: ExecutionDetail) -> str:
    looks = detail.view.verifications
    return f": {looks[-1].verdict.reason}" if looks else ""


def prompt_of_undo(*, is_killed: bool) -> str:
    return f"type {UNDO} to write this{', which waits until the kill switch is released' if is_killed else ''}"
