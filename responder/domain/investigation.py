"""Investigations: what was looked at, what it means, what is suggested. Untrusted until the guard spoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.domain.action import Action
from responder.domain.refs import ObjectRef

HEURISTIC = "heuristic"
"""Name of the detectors among the analyzers. They open every look, and read no text for instructions: nobody can talk
them into anything."""

MODEL_PREFIX = "model."
"""Before a fault that a language model named and no detector: its word never passes for a detector's."""


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
    HISTORY = "history"
    """Earlier incidents, from Clopus's own record: names, dates and outcomes, no text."""


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
    """What was sent to a model, besides what the steps before say already."""
    THINKING = "thinking"
    """A model's own reasoning as its provider shows it: a summary, and no proof."""
    TEXT = "text"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    TURN = "turn"
    """The end of one reply of a model: why it stopped, tokens, cost, time."""
    FAILURE = "failure"
    """A call or a reply that came to nothing, why, and what follows from it."""
    VERDICT = "verdict"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of a model, as counted by its provider or, where that is not believable, by the most they can be."""

    input_tokens: int = 0
    """Neither read from the provider's cache nor written to it."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    """Thinking included."""

    @property
    def all_input_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def all_tokens(self) -> int:
        return self.all_input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One link of the reasoning chain. Redacted before it exists; committed as it happens."""

    number: int
    """From 1 within its investigation."""
    kind: StepKind
    at: datetime
    text: str
    evidence: tuple[str, ...] = ()
    turn: int = 0
    """Which reply of the model it belongs to, from 1; 0 outside of one."""
    tool: str = ""
    """Name of the tool, of a call and of its result."""
    call: str = ""
    """Ties a tool's result to its call: `c1`, `c2` ... within the investigation."""
    usage: Usage | None = None
    """Of a TURN and of a FAILURE that was charged."""
    cost_usd: float = 0.0
    seconds: float = 0.0
    """How long a turn or a tool took."""
    stop_reason: str = ""
    """Of a TURN, in the provider's word."""


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
    unsupported: bool = False
    """It cites evidence that does not exist: a claim and no more, and nothing is done on it by itself."""

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
    suggested_by: tuple[str, ...] = ()
    """Analyzers that suggest this very action. Set by the pipeline, never by an analyzer."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A change that the incident has had already, what it changed and what came of it."""

    plan_id: str
    investigation_id: str
    action: Action
    diff: str
    at: datetime
    """When the plan was made."""
    state: str
    """Of the plan: `PlanState`."""
    outcome: str = ""
    """Of its execution: `ExecutionOutcome`; empty where nothing was written."""
    verdict: str = ""
    """Of its verification: `VerdictKind`; empty where there was none."""
    reason: str = ""
    """Of the verdict."""


@dataclass(frozen=True, kw_only=True)
class Consulted:
    """An analyzer that the rule names beside the detectors, and whether its answer counts."""

    analyzer: str
    answered: bool
    why: str
    """Why it was asked where it answered, else why it did not."""


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
    UNFINISHED = "unfinished"
    """The run goes on, or was cut before it came to a conclusion; what it had is kept."""
    NO_ANSWER = "no_answer"
    """The run came to its end without a conclusion: the provider, a limit or the reply itself stood in the way."""


@dataclass(frozen=True, kw_only=True)
class Investigation:
    """One run of one analyzer on one incident. `number` counts the incident's runs from 1."""

    id: str
    incident_id: str
    number: int
    analyzer: str
    model: str = ""
    """As the provider names it; empty for an analyzer without one."""
    started_at: datetime
    ended_at: datetime | None
    """None while it runs, and where the process ended before it did."""
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
    usage: Usage | None = None
    """None for an analyzer without a model."""
    cost_usd: float = 0.0
    """By the prices in the settings."""
    provider_seconds: float = 0.0
    """Of its time, what was spent waiting for the model's provider."""
