"""Deterministic diagnosis: signatures of known faults over one snapshot, without a model and without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from responder.analyzer.heuristics.diagnose import Diagnosis, diagnose
from responder.analyzer.protocol import Assignment
from responder.domain.investigation import HEURISTIC, Conclusion, Investigation, Step, StepKind
from responder.domain.snapshot import Snapshot

__all__ = ["Diagnosis", "HeuristicAnalyzer", "diagnose"]


class HeuristicAnalyzer:
    """Always available and always in time: it is what remains when every other analyzer fails."""

    name = HEURISTIC

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now

    async def investigate(self, assignment: Assignment) -> Investigation:
        incident, snapshot = assignment.incident, assignment.snapshot
        started_at = self._now()
        diagnosis = (
            diagnose(snapshot, alert_labels=incident.labels, opened_at=incident.opened_at)
            if snapshot is not None
            else Diagnosis(conclusion=Conclusion.NOT_APPLICABLE, summary="the alert names no object to look at")
        )
        ended_at = self._now()
        return Investigation(
            id=assignment.id,
            incident_id=incident.id,
            number=assignment.number,
            analyzer=self.name,
            started_at=started_at,
            ended_at=ended_at,
            conclusion=diagnosis.conclusion,
            summary=diagnosis.summary,
            evidence=diagnosis.evidence,
            steps=tuple(_steps(snapshot, diagnosis, ended_at)),
            findings=diagnosis.findings,
            ruled_out=diagnosis.ruled_out,
            unchecked=diagnosis.unchecked,
            proposals=diagnosis.proposals,
        )


def _steps(snapshot: Snapshot | None, diagnosis: Diagnosis, at: datetime) -> Iterator[Step]:
    texts: list[tuple[StepKind, str, tuple[str, ...]]] = []
    if snapshot is not None:
        texts.append((StepKind.TOOL_RESULT, _looked_at(snapshot), tuple(item.id for item in diagnosis.evidence)))
    texts += [(StepKind.VERDICT, f"{v.name}: {v.text}", v.evidence) for v in diagnosis.verdicts]
    cited = diagnosis.findings[0].evidence if diagnosis.findings else ()
    texts.append((StepKind.VERDICT, f"{diagnosis.conclusion}: {diagnosis.summary}", cited))
    for index, (kind, text, evidence) in enumerate(texts, start=1):
        yield Step(number=index, kind=kind, at=at, text=text, evidence=evidence)


def _looked_at(snapshot: Snapshot) -> str:
    missing = f"; not read: {', '.join(item.what for item in snapshot.unchecked)}" if snapshot.unchecked else ""
    return (
        f"looked at {snapshot.root}: {len(snapshot.pods)} pods, {len(snapshot.revisions)} revisions, "
        f"{len(snapshot.events)} events, {len(snapshot.logs)} logs, {len(snapshot.services)} Services, "
        f"{len(snapshot.healthy_images)} images that ready pods run, {len(snapshot.changes)} recorded changes{missing}"
    )
