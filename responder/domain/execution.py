"""Executions: one attempt at a plan or at its undoing, journaled before the write and judged after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.domain.plan import Change


class ExecutionKind(StrEnum):
    APPLY = "apply"
    ROLLBACK = "rollback"


class ExecutionOutcome(StrEnum):
    PENDING = "pending"
    """Intent committed, answer not yet recorded. After a crash only the cluster can tell what became of it."""
    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"
    """Never retried by itself; a human looks."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How the workload was just before the change: what "not worse" is measured against."""

    ready: int = 0
    desired: int = 0
    restarts: int = 0
    """Sum over the containers of all living pods."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """`change` is frozen with every timestamp and random value: replaying it is byte-identical."""

    id: str
    """`exe-` and 12 characters; also the value of the annotation that the write carries."""
    plan_id: str
    incident_id: str
    kind: ExecutionKind
    change: Change
    requested_by: str
    """Approver's name, `policy`, or `verification` for an automatic rollback."""
    intent_at: datetime
    baseline: Baseline = Baseline()
    outcome: ExecutionOutcome = ExecutionOutcome.PENDING
    outcome_at: datetime | None = None
    detail: str = ""
    resource_version_after: str = ""
    generation_after: int = 0
    base_hash_after: str = ""
    """Hash of the object as the server answered the write; a rollback goes ahead only while it still holds."""


class VerdictKind(StrEnum):
    PENDING = "pending"
    """Too early to say; look again."""
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Not verified: read errors, missing signals, time over. Treated as failed."""
    REVERTED = "reverted"
    """Someone else took the change back; `other_manager` says who."""
    PROGRESSED = "progressed"
    """The fault that the plan answered is gone and another one, hidden by it, shows."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    kind: VerdictKind
    reason: str
    other_manager: str = ""
    healthy: bool = False
    """All is well at this look; PENDING until it has held for the soak time."""
    regression: bool = False
    """True when things are worse than before the change: no need to wait for the deadline."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """One look at the object after a change. The last one of an execution is its verdict."""

    execution_id: str
    number: int
    at: datetime
    elapsed_seconds: float
    """Since the write, by the monotonic clock; time in which Clopus was down does not count."""
    verdict: Verdict
    ready: int
    desired: int
    restarts: int
