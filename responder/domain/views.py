"""What the HTTP API answers: the records of the domain, put together for one screen each.

The server encodes these and the console and the command line decode them, so a shape exists once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Self

from responder.domain.alert import Alert
from responder.domain.audit import AuditRecord
from responder.domain.execution import Execution, Verification
from responder.domain.incident import Incident
from responder.domain.investigation import (
    Attempt,
    Conclusion,
    Consulted,
    Finding,
    Investigation,
    Proposal,
    RuledOut,
    Step,
    Unchecked,
    Usage,
)
from responder.domain.plan import Approval, Plan
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.versions import ObjectVersion


@dataclass(frozen=True, kw_only=True)
class IncidentPage:
    incidents: tuple[Incident, ...]
    """Newest first."""
    next_cursor: str = ""
    """Give it back as `cursor` for the following page; empty on the last one."""


@dataclass(frozen=True, kw_only=True)
class AlertView:
    alert: Alert
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    records: tuple[AuditRecord, ...]
    """Newest first."""
    next_cursor: str = ""


@dataclass(frozen=True, kw_only=True)
class DecisionView:
    """Which rule spoke for the incident, and why."""

    at: datetime
    rule: str
    """Empty where no rule matched."""
    rule_mode: str
    """What the rule says."""
    mode: str
    """What is left of it under the ceilings."""
    rule_set: str
    """Digest of the rule set that was in force."""
    why: tuple[str, ...] = ()
    consulted: tuple[Consulted, ...] = ()
    """Analyzers beside the detectors, in the order in which their turn came."""


@dataclass(frozen=True, kw_only=True)
class InvestigationSummary:
    """An investigation without its evidence and steps; those are in `Reasoning`."""

    id: str
    number: int
    analyzer: str
    model: str = ""
    started_at: datetime
    ended_at: datetime | None
    """None while it runs."""
    conclusion: Conclusion
    summary: str
    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    evidence_count: int = 0
    step_count: int = 0
    usage: Usage | None = None
    cost_usd: float = 0.0
    provider_seconds: float = 0.0

    @classmethod
    def of(cls, run: Investigation, *, evidence_count: int, step_count: int) -> Self:
        """The counts are told apart from `run`, which may have been read without its evidence and steps."""
        return cls(
            id=run.id,
            number=run.number,
            analyzer=run.analyzer,
            model=run.model,
            started_at=run.started_at,
            ended_at=run.ended_at,
            conclusion=run.conclusion,
            summary=run.summary,
            findings=run.findings,
            ruled_out=run.ruled_out,
            unchecked=run.unchecked,
            proposals=run.proposals,
            evidence_count=evidence_count,
            step_count=step_count,
            usage=run.usage,
            cost_usd=run.cost_usd,
            provider_seconds=run.provider_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class PlanView:
    plan: Plan
    approvals: tuple[Approval, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanPage:
    plans: tuple[PlanView, ...]


@dataclass(frozen=True, kw_only=True)
class ExecutionView:
    execution: Execution
    verifications: tuple[Verification, ...] = ()
    """In the order in which they were made; the last one is the verdict."""


@dataclass(frozen=True, kw_only=True)
class IncidentDetail:
    incident: Incident
    members: tuple[ObjectRef, ...] = ()
    """Workloads that share the incident's cause, in the order in which they joined: the first hundred."""
    alerts: tuple[AlertView, ...] = ()
    timeline: tuple[AuditRecord, ...] = ()
    """Oldest first."""
    decisions: tuple[DecisionView, ...] = ()
    investigations: tuple[InvestigationSummary, ...] = ()
    plans: tuple[PlanView, ...] = ()
    executions: tuple[ExecutionView, ...] = ()
    changes: tuple[ObjectVersion, ...] = ()
    """What others changed around it, from a day before it was opened, newest first."""


@dataclass(frozen=True, kw_only=True)
class ChangePage:
    changes: tuple[ObjectVersion, ...]
    """Newest first."""
    next_cursor: str = ""


@dataclass(frozen=True, kw_only=True)
class Reasoning:
    """Everything the analyzers saw and said."""

    incident_id: str
    investigations: tuple[Investigation, ...]
    attempts: tuple[Attempt, ...] = ()
    """The changes that were planned between them, oldest first."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """All that another analyzer needs to work on an incident once more, without its cluster."""

    incident: Incident
    snapshot: Snapshot | None
    """What the detectors looked at last, redacted; None where it is not kept, or not any more."""
    snapshot_of: str = ""
    """Id of the investigation that it was taken for."""
    problem: str = ""
    """Why there is no snapshot."""
    investigations: tuple[Investigation, ...] = ()
    """Oldest first."""
    attempts: tuple[Attempt, ...] = ()
    """Oldest first."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the alert that came last."""

    @property
    def look(self) -> tuple[Investigation, ...]:
        """The run that the snapshot was taken for, and those on the same snapshot after it; empty without one."""
        ids = [run.id for run in self.investigations]
        if self.snapshot_of not in ids:
            return ()
        first, *others = self.investigations[ids.index(self.snapshot_of) :]
        following = takewhile(lambda run: run.analyzer != first.analyzer, others)
        return (first, *following)


@dataclass(frozen=True, kw_only=True)
class StepEvent:
    """One step as the stream tells it, once it is on record."""

    incident_id: str
    investigation_id: str
    analyzer: str
    step: Step


@dataclass(frozen=True, kw_only=True)
class RuleView:
    name: str
    mode: str
    actions: tuple[str, ...]
    alerts: tuple[str, ...]
    """Exact alert names; empty means every name."""
    matchers: tuple[str, ...]
    max_risk: str
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class RulePage:
    digest: str
    rules: tuple[RuleView, ...]
    """In order of precedence."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    rule: str
    """Empty where no rule matches."""
    mode: str
    effective_mode: str
    """After the ceilings and breakers."""
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """Answer to a webhook."""

    accepted: int
    duplicates: int
    quarantined: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WatchView:
    """One watch on the cluster. While it is not live, nothing is concluded from what it does not show."""

    kind: str
    namespace: str
    """Empty: all of them, or a kind without namespaces."""
    state: str
    """starting, live, retrying or forbidden."""
    optional: bool = False
    """The cluster may not know the kind at all: not live is no gap."""
    problem: str = ""
    objects: int = 0
    relists: int = 0
    last_event_seconds: float | None = None
    """Since the newest event; None before the first."""


@dataclass(frozen=True, kw_only=True)
class WatchPage:
    enabled: bool
    watches: tuple[WatchView, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Health:
    status: str
    """ok, or unavailable."""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error as RFC 9457 spells it, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Field of the request -> what is wrong with it."""
