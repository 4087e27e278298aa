"""Investigations: what was looked at, what it means, what is suggested. Untrusted until the guard spoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.domain.action import Action
from responder.domain.refs import ObjectRef


class EvidenceKind(StrEnum):
    ALERT = "alert"
    OBJECT = "object"
    EVENT = "event"
    STATUS = "status"
    LOG = "log"
    ROLLOUT = "rollout"
    POLICY = "policy"
    REFERENCE = "reference"
    METRIC = "metric"
    CHANGE = "change"
    """What others changed, from the record."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One observation. Redacted and cut to the size cap before it exists."""

    id: str
    """`e1`, `e2` ... within its investigation."""
    kind: EvidenceKind
    source: str
    """Where it was read: `Pod/shop/web-1 container web, previous log`."""
    subject: ObjectRef | None = None
    observed_at: datetime
    text: str
    truncated: bool = False


class StepKind(StrEnum):
    PROMPT = "prompt"
    THINKING = "thinking"
    TEXT = "text"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    VERDICT = "verdict"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One link of the reasoning chain."""

    number: int
    """From 1 within its investigation."""
    kind: StepKind
    at: datetime
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One claimed cause."""

    signature: str
    """Stable id of the kind of fault: `image.not_found`, `crash.permission` ... The same fault gives the same word."""
    subject: ObjectRef
    """Where the fault is, which need not be where it was noticed."""
    container: str = ""
    """Container or init container, empty where the fault is the object's."""
    about: str = ""
    """Tells faults of one signature in one container apart: a directory, a port, the name that is missing."""
    cause: str
    """A sentence for people."""
    confidence: float
    """0 to 1."""
    evidence: tuple[str, ...]
    """Ids of what supports it. A finding that cites nothing bars autonomy."""
    fixable: bool = True
    """False: nothing outside the program explains or mends it."""

    @property
    def fault(self) -> str:
        """`signature`, or `signature:about`: what a proposal answers and a verification looks for again."""
        return f"{self.signature}:{self.about}" if self.about else self.signature


@dataclass(frozen=True, kw_only=True)
class RuledOut:
    hypothesis: str
    because: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Unchecked:
    """What could not be looked at: a hole in the evidence, not the absence of a fault."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An action an analyzer suggests. Untrusted."""

    action: Action
    reason: str
    finding: str
    """`Finding.fault` of what it answers."""
    evidence: tuple[str, ...] = ()


class Conclusion(StrEnum):
    FAULT_FOUND = "fault_found"
    """At least one cause is known; proposals may follow."""
    UNFIXABLE = "unfixable"
    """The cause lies inside the program: nothing is proposed."""
    RECOVERED = "recovered"
    """The object is well and steady now: nothing is proposed."""
    UNSETTLED = "unsettled"
    """Well at this moment, and not for long enough to say more: look again soon."""
    UNEXPLAINED = "unexplained"
    """Something is wrong that the evidence does not explain: nothing is proposed."""
    NOT_APPLICABLE = "not_applicable"
    """The alert names no object that can be looked at."""


@dataclass(frozen=True, kw_only=True)
class Investigation:
    """One run of one analyzer on one incident. `number` counts the incident's runs from 1."""

    id: str
    incident_id: str
    number: int
    analyzer: str
    started_at: datetime
    ended_at: datetime
    conclusion: Conclusion
    summary: str
    evidence: tuple[Evidence, ...] = ()
    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Most confident first."""
    ruled_out: tuple[RuledOut, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    """Best first."""
    cost_usd: float = 0.0
