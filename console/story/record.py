"""The record: what happened when, and who reasoned how, at what cost."""

from __future__ import annotations

from collections.abc import Iterator

from console.lines.formatting import Tone, clock, count
from console.reasoning import Node, chain, told_cost, told_total, told_usage
from console.story.parts import fact, section
from console.story.terms import Known, by_whom, conclusion_of, uninvestigated
from responder.domain.audit import AuditRecord
from responder.domain.views import IncidentDetail, InvestigationSummary

_SAID_ELSEWHERE = frozenset(
    {"digest", "fingerprint", "starts_at", "uid", "verb", "resource_version", "resource_version_after"}
)


def timeline(detail: IncidentDetail, number: int) -> Node:
    told = count(len(detail.timeline), "record") if detail.timeline else "nothing yet"
    children = [
        fact(f"record:{entry.seq}", clock(entry.at), f"{entry.actor}: {entry.event}{_told(entry)}")
        for entry in detail.timeline
    ]
    return section(number, "TIMELINE", told, children)


def _told(entry: AuditRecord) -> str:
    if not isinstance(entry.detail, dict):
        return ""
    told = [
        f"{name} {value}"
        for name, value in entry.detail.items()
        if name not in _SAID_ELSEWHERE and value not in ("", None) and not isinstance(value, list | dict)
    ]
    return f", {', '.join(told)}" if told else ""


def reasoning(known: Known, number: int) -> Node:
    """Who reasoned, how long and at what cost; each run opens to its steps."""
    total = told_total(known.reasoning) if known.reasoning else count(len(known.detail.investigations), "investigation")
    rest = f"{total}; t: step by step" if known.detail.investigations else uninvestigated(known.detail.incident)
    return section(number, "REASONING", rest, _runs(known))


def _runs(known: Known) -> Iterator[Node]:
    nodes = chain(known.reasoning, known.detail.decisions) if known.reasoning else ()
    full = {node.key: node for node in nodes}
    for run in known.detail.investigations:
        node = full.get(f"run:{run.id}")
        yield Node(
            key=f"reasoning:{run.id}",
            note=_run_told(run),
            tone=Tone.BUSY if run.ended_at is None else Tone.PLAIN,
            is_wrapped=True,
            children=node.children if node else (),
        )


def _run_told(run: InvestigationSummary) -> str:
    told = [
        f"run {run.number} by {by_whom(run)}: {conclusion_of(run)}",
        count(run.step_count, "step"),
        count(run.evidence_count, "observation"),
    ]
    if run.ended_at is not None:
        told.append(f"{(run.ended_at - run.started_at).total_seconds():.1f} s")
    if run.usage is not None:
        told += [told_usage(run.usage), told_cost(run.cost_usd)]
    return ", ".join(told)
