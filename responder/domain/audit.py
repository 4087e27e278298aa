"""The audit chain: each record's digest covers the record and the digest before it.

An edit, a deletion or a swap inside the chain breaks a digest; a cut-off tail shows against the head, which is kept
outside the database as well. Whoever can rewrite the whole chain and the head outside is beyond what this finds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from responder.domain.manifest import Json

GENESIS = "0" * 64
"""`previous` of the first record."""


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    seq: int
    """From 1 without gaps: the order of what happened, whatever the clock did."""
    at: datetime
    actor: str
    """Person, `policy`, or `clopus`."""
    event: str
    """Stable word: `approved`, `plan_proposed` ..."""
    incident_id: str = ""
    subject: str = ""
    detail: Json = None
    previous: str
    digest: str
    """SHA-256, hex."""


@dataclass(frozen=True, kw_only=True)
class AuditHead:
    """The end of the chain. `seq` 0 with `GENESIS` is the empty chain."""

    seq: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    ok: bool
    checked: int
    """Records read until the end or the first bad one."""
    first_bad: int | None = None
    """Sequence number at which the chain stops being what was written."""
    problem: str = ""


def record_digest(
    *, seq: int, at: datetime, actor: str, event: str, incident_id: str, subject: str, detail: Json, previous: str
) -> str:
    """SHA-256 over the canonical JSON of the fields; hex."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    material = [seq, moment, actor, event, incident_id, subject, detail, previous]
    text = json.dumps(material, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(record: AuditRecord) -> str:
    """What its digest has to be, from what stands in it."""
    return record_digest(
        seq=record.seq,
        at=record.at,
        actor=record.actor,
        event=record.event,
        incident_id=record.incident_id,
        subject=record.subject,
        detail=record.detail,
        previous=record.previous,
    )


def verify_chain(records: Iterable[AuditRecord], head: AuditHead | None = None) -> AuditReport:
    """Walk the chain from its first record. `head` is the end as remembered outside the database."""
    end, at_head = AuditHead(), head is None or head == AuditHead()
    for record in records:
        problem = _fault(record, end)
        if problem:
            return AuditReport(ok=False, checked=end.seq + 1, first_bad=end.seq + 1, problem=problem)
        end = AuditHead(seq=record.seq, digest=record.digest)
        if head is not None and end.seq == head.seq:
            if end != head:
                problem = "another record stands where the head outside the database points"
                return AuditReport(ok=False, checked=end.seq, first_bad=end.seq, problem=problem)
            at_head = True
    if not at_head and head is not None:
        problem = f"the chain ends at {end.seq}, but record {head.seq} had been written: the tail is missing"
        return AuditReport(ok=False, checked=end.seq, first_bad=end.seq + 1, problem=problem)
    return AuditReport(ok=True, checked=end.seq)


def _fault(record: AuditRecord, end: AuditHead) -> str:
    if record.seq != end.seq + 1:
        return f"record {end.seq + 1} is missing: {record.seq} follows {end.seq}"
    if record.previous != end.digest:
        return f"record {record.seq} does not follow record {end.seq}: its previous digest is another"
    return (
        "" if digest_of(record) == record.digest else f"record {record.seq} is not what was written: its digest differs"
    )
