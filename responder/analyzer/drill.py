"""An analyzer for game days and the demo: it suggests one given action, whatever the evidence says.

It shows what a wrong suggestion comes to when a human waves it through: everything after the analyzer is the real
thing. A rule has to name it, and `clopus serve` never installs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from responder.analyzer.protocol import Assignment
from responder.domain.action import Action
from responder.domain.investigation import (
    Conclusion,
    Evidence,
    EvidenceKind,
    Finding,
    Investigation,
    Proposal,
    Step,
    StepKind,
)
from responder.domain.snapshot import Snapshot

SIGNATURE = "drill.exercise"


class DrillAnalyzer:
    """`actions`: incident key -> what to suggest; the target gets the uid of the live object."""

    name = "drill"

    def __init__(
        self,
        actions: Mapping[str, Callable[[Snapshot], Action]],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._actions = actions
        self._now = now

    async def investigate(self, assignment: Assignment) -> Investigation:
        incident, snapshot = assignment.incident, assignment.snapshot
        at = self._now()
        build = self._actions.get(incident.key)
        proposals: tuple[Proposal, ...] = ()
        findings: tuple[Finding, ...] = ()
        seen = Evidence(
            id="e1", kind=EvidenceKind.ALERT, source="drill", observed_at=at, text="this is an exercise, not a fault"
        )
        if build is not None and snapshot is not None:
            findings = (
                Finding(
                    signature=SIGNATURE,
                    subject=snapshot.root,
                    cause="exercise: a plausible cause that is wrong",
                    confidence=0.5,
                    evidence=("e1",),
                ),
            )
            proposals = (
                Proposal(action=build(snapshot), reason="exercise: a wrong fix", finding=SIGNATURE, evidence=("e1",)),
            )
        return Investigation(
            id=assignment.id,
            incident_id=incident.id,
            number=assignment.number,
            analyzer=self.name,
            started_at=at,
            ended_at=self._now(),
            conclusion=Conclusion.FAULT_FOUND if proposals else Conclusion.UNEXPLAINED,
            summary="exercise: the analyzer suggests a wrong fix" if proposals else "exercise: nothing to suggest",
            evidence=(seen,),
            steps=(Step(number=1, kind=StepKind.VERDICT, at=at, text="an exercise", evidence=("e1",)),),
            findings=findings,
            proposals=proposals,
        )
