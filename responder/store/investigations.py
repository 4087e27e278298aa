"""Investigations with their evidence, steps and findings.

A run that takes long is on record from its beginning: `begin`, then `add` for what it sees and says, then `finish`. One
that was over at once is an `insert`. Steps and evidence are only ever added, and what has ended does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.investigation import Conclusion, Evidence, Finding, Investigation, Step, StepKind, Usage
from responder.domain.views import StepEvent
from responder.store.connection import Connection
from responder.store.rows import RecordTable

_TABLE = RecordTable("investigations", Investigation, omit=("evidence", "steps", "findings"))
_EVIDENCE = RecordTable("evidence", Evidence, extra=("investigation_id", "position"))
_STEPS = RecordTable("steps", Step, extra=("investigation_id", "seq"))
_FINDINGS = RecordTable("findings", Finding, extra=("investigation_id", "position"))

CUT = "cut: the process ended"
"""Summary of a run whose process ended before it did."""


class Outline(NamedTuple):
    """An investigation with its findings, and how much more there is of it."""

    investigation: Investigation
    """Without evidence and steps."""
    evidence_count: int
    step_count: int


def insert(con: Connection, investigation: Investigation) -> None:
    """A run that is over. Raises IllegalTransition where the id is taken."""
    begin(con, investigation)
    add(con, investigation.id, investigation.steps, investigation.evidence)
    _FINDINGS.insert_all(con, investigation.findings, investigation_id=investigation.id)


def begin(con: Connection, investigation: Investigation) -> None:
    """A run that goes on: its row alone. Raises IllegalTransition where the id is taken."""
    if _TABLE.knows(con, investigation.id):
        raise IllegalTransition(f"{investigation.id} exists already")
    _TABLE.insert(con, investigation)


def add(con: Connection, investigation_id: str, steps: Sequence[Step], evidence: Sequence[Evidence]) -> None:
    """Append, in this order, what is not there yet: a step is known by its number, an observation by its id."""
    known_evidence = _known(con, "SELECT id FROM evidence WHERE investigation_id = ?", investigation_id)
    position = len(known_evidence)
    for item in evidence:
        if item.id not in known_evidence:
            position += 1
            known_evidence.add(item.id)
            _EVIDENCE.insert(con, item, investigation_id=investigation_id, position=position)
    known_steps = _known(con, "SELECT number FROM steps WHERE investigation_id = ?", investigation_id)
    seq = last_step(con)
    for step in steps:
        if step.number not in known_steps:
            seq += 1
            known_steps.add(step.number)
            _STEPS.insert(con, step, investigation_id=investigation_id, seq=seq)


def finish(con: Connection, investigation: Investigation) -> None:
    """The run is over: its row, what is missing of its steps and evidence, its findings. The first end stands.

    A run that does not say what it cost, because it came to nothing, costs what its steps do. Raises NotFound.
    """
    if _ended(con, investigation.id):
        return
    add(con, investigation.id, investigation.steps, investigation.evidence)
    _TABLE.replace(con, _with_costs(con, investigation))
    _FINDINGS.insert_all(con, investigation.findings, investigation_id=investigation.id)


def cut_short(con: Connection, at: datetime, *, incident_id: str = "") -> int:
    """End what runs on record and does not run any more: all at the start of a process, else those of one incident.
    How many there were."""
    running = _TABLE.select(con, "WHERE ended_at IS NULL AND ? IN ('', incident_id)", [incident_id])
    for run in running:
        cut = replace(run, ended_at=max(at, run.started_at), conclusion=Conclusion.UNFINISHED, summary=CUT)
        _TABLE.replace(con, _with_costs(con, cut))
    return len(running)


def get(con: Connection, investigation_id: str) -> Investigation:
    """Raises NotFound."""
    found = _TABLE.select(con, "WHERE id = ?", [investigation_id])
    if not found:
        raise NotFound(f"no investigation {investigation_id}")
    return _whole(con, found[0])


def of_incident(con: Connection, incident_id: str) -> tuple[Investigation, ...]:
    """Oldest first, with evidence, steps and findings."""
    found = _TABLE.select(con, "WHERE incident_id = ? ORDER BY number, id", [incident_id])
    return tuple(_whole(con, investigation) for investigation in found)


def summaries_of_incident(con: Connection, incident_id: str) -> tuple[Outline, ...]:
    """Oldest first."""
    found = _TABLE.select(con, "WHERE incident_id = ? ORDER BY number, id", [incident_id])
    return tuple(
        Outline(
            investigation=replace(run, findings=_findings(con, run.id)),
            evidence_count=_count(con, "evidence", run.id),
            step_count=_count(con, "steps", run.id),
        )
        for run in found
    )


def latest(con: Connection, incident_id: str) -> Investigation | None:
    found = _TABLE.select(con, "WHERE incident_id = ? ORDER BY number DESC, id DESC LIMIT 1", [incident_id])
    return _whole(con, found[0]) if found else None


def count(con: Connection, incident_id: str) -> int:
    """Runs on the incident so far, those that go on included."""
    row = con.execute("SELECT count(*) FROM investigations WHERE incident_id = ?", [incident_id]).fetchone()
    return int(row[0]) if row else 0


def last_step(con: Connection) -> int:
    """Number of the newest step over all investigations; 0 before the first."""
    row = con.execute("SELECT coalesce(max(seq), 0) FROM steps").fetchone()
    return int(row[0]) if row else 0


def steps_after(
    con: Connection, seq: int, *, incident_id: str = "", limit: int = 500
) -> tuple[tuple[int, StepEvent], ...]:
    """The steps that follow `seq`, oldest first, each with its own number; of one incident where that is given."""
    columns = ", ".join(f"steps.{column}" for column in _STEPS.columns[2:])
    rows = con.execute(
        f"SELECT steps.seq, v.incident_id, v.id, v.analyzer, {columns} FROM steps "
        "JOIN investigations v ON v.id = steps.investigation_id "
        f"WHERE steps.seq > ? AND (? = '' OR v.incident_id = ?) ORDER BY steps.seq LIMIT {max(1, min(limit, 1000))}",
        [seq, incident_id, incident_id],
    ).fetchall()
    return tuple(
        (number, StepEvent(incident_id=incident, investigation_id=run, analyzer=analyzer, step=_STEPS.record(step)))
        for number, incident, run, analyzer, *step in rows
    )


def _ended(con: Connection, investigation_id: str) -> bool:
    row = con.execute("SELECT ended_at IS NOT NULL FROM investigations WHERE id = ?", [investigation_id]).fetchone()
    if row is None:
        raise NotFound(f"no investigation {investigation_id}")
    return bool(row[0])


def _with_costs(con: Connection, investigation: Investigation) -> Investigation:
    if investigation.usage is not None:
        return investigation
    steps = _steps(con, investigation.id)
    counted = [step.usage for step in steps if step.usage is not None]
    return replace(
        investigation,
        model=investigation.model or _model(con, investigation.id),
        usage=sum(counted, Usage()) if counted else None,
        cost_usd=investigation.cost_usd or sum(step.cost_usd for step in steps),
        provider_seconds=investigation.provider_seconds
        or sum(step.seconds for step in steps if step.kind is StepKind.TURN),
    )


def _model(con: Connection, investigation_id: str) -> str:
    """The model that the run last asked, as its requests were paid for."""
    row = con.execute(
        "SELECT model FROM model_spending WHERE investigation_id = ? ORDER BY recorded_at DESC LIMIT 1",
        [investigation_id],
    ).fetchone()
    return str(row[0]) if row else ""


def _known(con: Connection, query: str, investigation_id: str) -> set[object]:
    return {value for (value,) in con.execute(query, [investigation_id]).fetchall()}


def _count(con: Connection, table: str, investigation_id: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table} WHERE investigation_id = ?", [investigation_id]).fetchone()
    return int(row[0]) if row else 0


def _whole(con: Connection, investigation: Investigation) -> Investigation:
    return replace(
        investigation,
        evidence=_EVIDENCE.select(con, "WHERE investigation_id = ? ORDER BY position", [investigation.id]),
        steps=_steps(con, investigation.id),
        findings=_findings(con, investigation.id),
    )


def _steps(con: Connection, investigation_id: str) -> tuple[Step, ...]:
    return _STEPS.select(con, "WHERE investigation_id = ? ORDER BY number", [investigation_id])


def _findings(con: Connection, investigation_id: str) -> tuple[Finding, ...]:
    return _FINDINGS.select(con, "WHERE investigation_id = ? ORDER BY position", [investigation_id])
