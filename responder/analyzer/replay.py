"""An incident from the record, for an analyzer to work on once more: no cluster, no store, nothing kept.

A look is answered with what the same look gave when it was made, or by the tools themselves where the snapshot holds
all that they read for it. Anything else is an error that says so: what is not in the record is unknown, and never
absent. What a run says and costs comes back as an investigation that nobody stores; comparing it with those on record
is the reporter's work.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from responder.analyzer.collect import LOG_LINES
from responder.analyzer.llm.turn import Given, Observation, ToolSpec
from responder.analyzer.protocol import Analyzer, Assignment
from responder.analyzer.remembered import RememberedCluster
from responder.analyzer.tools.arguments import Refused, parse
from responder.analyzer.tools.logs import Logs
from responder.analyzer.tools.look import ToolOptions
from responder.analyzer.tools.scope import Scope
from responder.analyzer.tools.table import SPECS, TOOLS
from responder.analyzer.tools.toolbox import Toolbox
from responder.domain.errors import AnalyzerUnavailable, NotFound, ReplyInvalid
from responder.domain.investigation import (
    HEURISTIC,
    Conclusion,
    Evidence,
    EvidenceKind,
    Investigation,
    Step,
    StepKind,
    Usage,
)
from responder.domain.manifest import Json, Manifest
from responder.domain.snapshot import LogExcerpt, Snapshot
from responder.domain.views import Recording
from responder.domain.visible import visible
from responder.redact import cut
from responder.redact.placeholders import Placeholders

NOT_RECORDED = "not in the record: this replay cannot look at the cluster; nothing is known"

_GRACE_SECONDS = 2.0
"""An analyzer ends by itself in time; this much later it is ended."""


class RecordedTools:
    """Implements `turn.Tools` on a recording. Of one run."""

    specs: tuple[ToolSpec, ...] = SPECS

    def __init__(self, recording: Recording, assignment: Assignment) -> None:
        self._seen = dict(_seen(recording.investigations))
        self._assignment = assignment
        self.missing: list[str] = []
        """Looks that the record holds no answer to, as the model spelt them; the same one may stand there twice."""

    async def call(self, name: str, arguments: Manifest) -> Observation:
        try:
            wanted = _look(name, arguments)
        except Refused as exc:
            return Observation(given=Given.REFUSED, text=f"refused: {visible(str(exc))}")
        evidence = self._seen.get((name, wanted))
        if evidence is not None:
            return _told(evidence)
        snapshot = self._assignment.snapshot
        found = await self._remembered(snapshot, wanted, name, arguments) if snapshot is not None else None
        if found is not None:
            return found
        self.missing.append(visible(f"{name} {json.dumps(arguments, sort_keys=True)}"))
        return Observation(given=Given.ERROR, text=NOT_RECORDED)

    async def _remembered(
        self, snapshot: Snapshot, wanted: Hashable, name: str, arguments: Manifest
    ) -> Observation | None:
        """None where any part of the answer is not in the snapshot."""
        if isinstance(wanted, Logs) and not wanted.grep:
            excerpt = next((item for item in snapshot.logs if _is_of(item, wanted, snapshot)), None)
            return _tail(excerpt, wanted.tail_lines) if excerpt is not None else None
        cluster = RememberedCluster(snapshot)
        toolbox = Toolbox(
            cluster=cluster,
            datasource=None,
            store=None,
            scope=Scope.of(self._assignment),
            secrets=self._assignment.secrets,
            options=ToolOptions(),
            now=lambda: snapshot.taken_at,
        )
        found = await toolbox.call(name, arguments)
        return None if cluster.unknown or found.given is Given.ERROR else found


def _seen(runs: tuple[Investigation, ...]) -> Iterator[tuple[tuple[str, Hashable], Evidence]]:
    """Looks that were answered, and what they gave. Oldest first, so that of the same look the newest answer counts."""
    for run in runs:
        evidence = {item.id: item for item in run.evidence}
        calls = {step.call: step for step in run.steps if step.kind is StepKind.TOOL_CALL and step.call}
        for result in run.steps:
            call = calls.get(result.call) if result.kind is StepKind.TOOL_RESULT else None
            if call is None or not result.evidence or result.evidence[0] not in evidence:
                continue
            try:
                yield (call.tool, _look(call.tool, json.loads(call.text))), evidence[result.evidence[0]]
            except (Refused, ValueError):
                continue  # cut on its way into the record, or of a release whose tools took other arguments


def _look(name: str, arguments: Json) -> Hashable:
    """The arguments with their defaults: equal for equal looks, however they are spelt. Raises Refused."""
    tool = TOOLS.get(name)
    if tool is None:
        raise Refused(f"there is no tool of that name. The tools: {', '.join(TOOLS)}")
    wanted: Hashable = parse(tool.arguments, arguments)
    return wanted


def _told(evidence: Evidence) -> Observation:
    return Observation(
        given=Given.SEEN,
        text=evidence.text,
        kind=evidence.kind,
        source=evidence.source,
        subject=evidence.subject,
        truncated=evidence.truncated,
    )


def _is_of(excerpt: LogExcerpt, wanted: Logs, snapshot: Snapshot) -> bool:
    if (excerpt.pod.name, excerpt.previous) != (wanted.pod, wanted.previous):
        return False
    return excerpt.container == (wanted.container or _only_container(snapshot, wanted.pod))


def _only_container(snapshot: Snapshot, pod_name: str) -> str:
    """'' where it would have to be named."""
    pod = next((pod for pod in snapshot.pods if pod.ref.name == pod_name), None)
    names = [one.name for one in pod.template.containers if not one.init] if pod is not None else []
    return names[0] if len(names) == 1 else ""


def _tail(excerpt: LogExcerpt, lines: int) -> Observation | None:
    """The last lines; None where the excerpt may hold fewer of them than the log did."""
    kept = excerpt.text.splitlines()
    whole = not excerpt.truncated and len(kept) < LOG_LINES
    if not whole and len(kept) - excerpt.truncated < lines:  # the first line of a cut excerpt may be half of one
        return None
    source = f"{excerpt.pod.key} container {excerpt.container}, {'previous' if excerpt.previous else 'current'} log"
    told, truncated = cut(visible("\n".join(kept[-lines:])), ToolOptions().max_result_bytes)
    return Observation(
        given=Given.SEEN,
        text=f"{source}:\n{told}" if told else f"{source}: empty (the log was read)",
        kind=EvidenceKind.LOG,
        source=source,
        subject=excerpt.pod,
        truncated=truncated,
    )


def assignment_of(recording: Recording, *, id: str, analyzer: str, seconds: float) -> Assignment:  # noqa: A002 - the field is called so
    """The incident as it was when the snapshot was taken: with what the detectors found then, unless they are asked
    themselves, and the changes it had had by then.

    Raises:
        NotFound: there is no snapshot to work on.
    """
    if recording.snapshot is None:
        raise NotFound(
            f"{recording.incident.id} cannot be replayed: {recording.problem or 'no snapshot of it is kept'}"
        )
    taken_at = recording.snapshot.taken_at
    return Assignment(
        id=id,
        number=max((run.number for run in recording.investigations), default=0) + 1,
        incident=recording.incident,
        snapshot=recording.snapshot,
        seconds=seconds,
        detected=_detected(recording) if analyzer != HEURISTIC else None,
        attempts=tuple(attempt for attempt in recording.attempts if attempt.at <= taken_at),
        annotations=recording.annotations,
        secrets=Placeholders(),
    )


def _detected(recording: Recording) -> Investigation | None:
    runs = recording.look or recording.investigations
    return next((run for run in reversed(runs) if run.analyzer == HEURISTIC and run.ended_at is not None), None)


@dataclass(kw_only=True)
class _Notes:
    """What a run told on its way, for the case that it comes to nothing."""

    steps: list[Step] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    async def record(self, steps: tuple[Step, ...], evidence: tuple[Evidence, ...]) -> None:
        self.steps += steps
        self.evidence += evidence


async def replayed(
    analyzer: Analyzer, assignment: Assignment, *, now: Callable[[], datetime]
) -> tuple[Investigation, str]:
    """The run, and why it gave no answer; '' where it did. One without an answer has what it said and cost."""
    notes, began = _Notes(), now()
    try:
        async with asyncio.timeout(assignment.seconds + _GRACE_SECONDS):
            return await analyzer.investigate(replace(assignment, record=notes.record)), ""
    except (AnalyzerUnavailable, ReplyInvalid, TimeoutError) as exc:
        why = assignment.secrets.redact(str(exc)) or f"did not answer within {assignment.seconds:g} s"
    counted = [step.usage for step in notes.steps if step.usage is not None]
    detected = assignment.detected.evidence if assignment.detected is not None else ()
    return Investigation(
        id=assignment.id,
        incident_id=assignment.incident.id,
        number=assignment.number,
        analyzer=analyzer.name,
        started_at=began,
        ended_at=now(),
        conclusion=Conclusion.NO_ANSWER,
        summary=why,
        evidence=(*detected, *notes.evidence),
        steps=tuple(notes.steps),
        usage=sum(counted, Usage()) if counted else None,
        cost_usd=sum(step.cost_usd for step in notes.steps),
        provider_seconds=sum(step.seconds for step in notes.steps if step.kind is StepKind.TURN),
    ), why
