"""Investigations with their evidence, steps and findings. Written once, never changed."""

from __future__ import annotations

from dataclasses import replace

from responder.domain.errors import IllegalTransition, NotFound
from responder.domain.investigation import Evidence, Finding, Investigation, Step
from responder.store.connection import Connection
from responder.store.rows import RecordTable

_TABLE = RecordTable("investigations", Investigation, omit=("evidence", "steps", "findings"))
_EVIDENCE = RecordTable("evidence", Evidence, extra=("investigation_id", "position"))
_STEPS = RecordTable("steps", Step, extra=("investigation_id",))
_FINDINGS = RecordTable("findings", Finding, extra=("investigation_id", "position"))


def insert(con: Connection, investigation: Investigation) -> None:
    """Raises IllegalTransition where the id is taken."""
    if _TABLE.knows(con, investigation.id):
        raise IllegalTransition(f"{investigation.id} exists already")
    _TABLE.insert(con, investigation)
    _EVIDENCE.insert_all(con, investigation.evidence, investigation_id=investigation.id)
    _STEPS.insert_all(con, investigation.steps, investigation_id=investigation.id)
    _FINDINGS.insert_all(con, investigation.findings, investigation_id=investigation.id)


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


def latest(con: Connection, incident_id: str) -> Investigation | None:
    found = _TABLE.select(con, "WHERE incident_id = ? ORDER BY number DESC, id DESC LIMIT 1", [incident_id])
    return _whole(con, found[0]) if found else None


def _whole(con: Connection, investigation: Investigation) -> Investigation:
    mine = [investigation.id]
    return replace(
        investigation,
        evidence=_EVIDENCE.select(con, "WHERE investigation_id = ? ORDER BY position", mine),
        steps=_STEPS.select(con, "WHERE investigation_id = ? ORDER BY number", mine),
        findings=_FINDINGS.select(con, "WHERE investigation_id = ? ORDER BY position", mine),
    )
