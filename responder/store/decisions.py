"""Which rule spoke for an incident, in which mode, under which rule set, why, and which analyzers were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.domain.investigation import Consulted
from responder.store.connection import Connection
from responder.store.rows import RecordTable


@dataclass(frozen=True, kw_only=True)
class Decision:
    incident_id: str
    decided_at: datetime
    rule: str
    """Name; empty when none matched."""
    rule_mode: str
    """What the rule says."""
    mode: str
    """What is left of it under the ceilings."""
    rule_set: str
    """Digest."""
    why: tuple[str, ...] = ()
    consulted: tuple[Consulted, ...] = ()
    """Analyzers beside the detectors."""


_TABLE = RecordTable("decisions", Decision)


def insert(
    con: Connection,
    *,
    incident_id: str,
    at: datetime,
    rule: str,
    mode: str,
    rule_set: str,
    rule_mode: str = "",
    why: Sequence[str] = (),
    consulted: Sequence[Consulted] = (),
) -> None:
    decision = Decision(
        incident_id=incident_id,
        decided_at=at,
        rule=rule,
        rule_mode=rule_mode or mode,
        mode=mode,
        rule_set=rule_set,
        why=tuple(why),
        consulted=tuple(consulted),
    )
    _TABLE.insert(con, decision)


def of_incident(con: Connection, incident_id: str) -> tuple[Decision, ...]:
    """Oldest first."""
    return _TABLE.select(con, "WHERE incident_id = ? ORDER BY decided_at", [incident_id])
