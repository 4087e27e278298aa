"""What the HTTP API answers: the records of the domain, put together for one screen each.

The server encodes these and the console and the command line decode them, so a shape exists once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Self

from responder.domain.action import Action
from responder.domain.alert import Alert
from responder.domain.audit import AuditHead, AuditRecord
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, VerdictKind, Verification
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
from responder.domain.manifest import Json
from responder.domain.mode import ModeSettings
from responder.domain.plan import Approval, Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import ApprovalPolicy, Budget, Match, Mode, Risk, VerifyPolicy
from responder.domain.snapshot import Snapshot
from responder.domain.versions import ObjectVersion


@dataclass(frozen=True, kw_only=True)
class IncidentPage:
    incidents: tuple[Incident, ...]
    """In the order that was asked for; newest first where none was."""
    next_cursor: str = ""
    """Give it back as `cursor` for the following page; empty on the last one, and in every other order than newest
    first: there `offset` leads on."""
    offset: int = 0
    """How many matching incidents come before the first of these."""
    total: int = 0
    """How many match."""


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
class Viewer:
    """Somebody who has a plan on a screen at this moment. It is told, and decides nothing."""

    name: str
    session: str
    """Of one screen: the same person may look twice."""
    since: datetime
    deciding: bool = False
    """The whole diff was seen, and the first of the two keys pressed."""


@dataclass(frozen=True, kw_only=True)
class PlanView:
    plan: Plan
    approvals: tuple[Approval, ...] = ()
    viewers: tuple[Viewer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanPage:
    plans: tuple[PlanView, ...]


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Who looks at a plan, whoever asks among them."""

    viewers: tuple[Viewer, ...]
    may_decide: bool = True
    """Whoever asks has an operator's credential."""
    drift: str = ""
    """Why the plan would not be made any more, as its object stands now; '' as far as is known."""


@dataclass(frozen=True, kw_only=True)
class QueuedPlan:
    """A plan that waits, as a row: all that tells which one to look at first."""

    plan_id: str
    incident_id: str
    key: str
    """Of the incident."""
    namespace: str
    severity: str
    rule: str
    action: Action
    risk: Risk
    reversible: bool
    created_at: datetime
    expires_at: datetime
    approvers_needed: int
    approvers: tuple[str, ...] = ()
    """Who has approved it so far."""
    warnings: int = 0
    objections: tuple[str, ...] = ()
    """Names of the checks that did not pass: why policy did not approve it by itself."""
    viewers: tuple[Viewer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanQueue:
    """Everything that waits for a human."""

    plans: tuple[QueuedPlan, ...]
    """Riskiest first, and of one risk the oldest."""


@dataclass(frozen=True, kw_only=True)
class ExecutionView:
    execution: Execution
    verifications: tuple[Verification, ...] = ()
    """In the order in which they were made; the last one is the verdict."""


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """One write, as a row."""

    execution_id: str
    plan_id: str
    incident_id: str
    key: str
    """Of the incident."""
    rule: str
    kind: ExecutionKind
    outcome: ExecutionOutcome
    action: Action
    risk: Risk
    requested_by: str
    intent_at: datetime
    verdict: VerdictKind | None = None
    """None: not looked at yet."""
    reason: str = ""
    """Of the verdict."""
    keeps: str = ""
    """Why it cannot be taken back; '' where it can."""


@dataclass(frozen=True, kw_only=True)
class ExecutionPage:
    executions: tuple[ExecutionRow, ...]
    """Newest first."""
    next_cursor: str = ""


@dataclass(frozen=True, kw_only=True)
class ExecutionDetail:
    """One write with the plan that it carried out: what taking it back would write is in its change."""

    view: ExecutionView
    plan: Plan
    incident: Incident
    keeps: str = ""
    """Why it cannot be taken back; '' where it can."""


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
class RuleRecord:
    """What became of a rule's decisions, as far back as the record goes."""

    incidents: int = 0
    """That it decided."""
    proposed: int = 0
    """Of these, how many an investigation proposed a change for, whatever the mode."""
    incidents_day: int = 0
    """Opened within the last 24 hours."""
    last_at: datetime | None = None
    last_incident: str = ""
    """Id of the incident that it decided last."""
    last_outcome: str = ""
    """State of that incident, and its outcome where it has one."""
    plans: int = 0
    approved_by_people: int = 0
    rejected: int = 0
    applied: int = 0
    """Changes written; those that took one back are not counted."""
    passed: int = 0
    failed: int = 0
    """Judged and not passed, whatever the verdict is called."""
    taken_back: int = 0
    passed_in_a_row: int = 0
    """Newest first, until a change that did not pass or was taken back."""
    rejected_since: int = 0
    """Plans that were rejected since the oldest change of that row was planned; ever, while there is no such row."""
    recent: int = 0
    """The newest changes that are judged, at most five."""
    recent_bad: int = 0
    """Of these, how many did not pass or were taken back."""


@dataclass(frozen=True, kw_only=True)
class RuleView:
    name: str
    mode: Mode
    actions: tuple[str, ...]
    alerts: tuple[str, ...]
    """Exact alert names; empty means every name."""
    matchers: tuple[str, ...]
    max_risk: str
    file: str
    line: int
    sources: tuple[str, ...] = ()
    """Empty means every source."""
    exclude: Match | None = None
    images: tuple[str, ...] = ()
    approval: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    budget: Budget = field(default_factory=Budget)
    analyzers: tuple[str, ...] = ()
    deadline_seconds: float = 0.0
    verify: VerifyPolicy = field(default_factory=VerifyPolicy)
    notify: tuple[str, ...] = ()
    record: RuleRecord = RuleRecord()
    trust: str = ""
    """Whether the record would bear a higher mode, in a sentence. A human raises it, in the rule file."""


@dataclass(frozen=True, kw_only=True)
class RulePage:
    digest: str
    rules: tuple[RuleView, ...]
    """In order of precedence."""


@dataclass(frozen=True, kw_only=True)
class RuleAnswer:
    """One rule's answer to one alert."""

    rule: str
    mode: str
    file: str
    line: int
    matches: bool
    reason: str
    """What made it match, or the first condition that does not hold."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    rule: str
    """Empty where no rule matches."""
    mode: str
    effective_mode: str
    """After the ceilings and breakers."""
    why: tuple[str, ...]
    asked: tuple[RuleAnswer, ...] = ()
    """In order of precedence, up to the one that speaks; all of them where none does."""


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
class AuditState:
    """The two ends of the chain that have to agree."""

    database: AuditHead
    """Of the chain in the database."""
    outside: AuditHead
    """As it was written beside the database after the last commit."""
    problem: str = ""
    """Why they do not agree; '' where they do."""


@dataclass(frozen=True, kw_only=True)
class BackendStatus:
    """An analyzer that asks a language model."""

    name: str
    model: str
    breaker: str
    """closed, open or half_open."""
    problem: str = ""
    """Why the provider refused last."""


@dataclass(frozen=True, kw_only=True)
class BudgetStatus:
    name: str
    """`money_hour`, `money_day`, `tokens_day`, or `writes_cluster_hour`."""
    used: float
    """Of money and tokens, also what is set aside for requests under way."""
    limit: float
    """For writes: of the strictest rule in force."""
    unit: str
    """`USD`, `tokens` or `writes`."""


@dataclass(frozen=True, kw_only=True)
class StoreStatus:
    path: str
    """Empty: in memory."""
    bytes: int | None
    """Of the file and its write-ahead log; None where nobody can tell."""
    commits: int
    """Since the start."""
    waiting: int
    """Jobs and deliveries that wait for the next commit."""
    problem: str = ""
    quarantined: str = ""
    """Where a damaged database was moved to at the start."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How the responder itself is."""

    version: str
    started_at: datetime
    leader: str
    """Which process does the work."""
    not_ready: tuple[str, ...]
    states: Mapping[str, int]
    """State -> number of incidents in it; every state, or none at all while the database cannot be read."""
    pending_alerts: int | None
    """Committed and not folded into incidents yet. None, here and below: not known, see `unknown`."""
    quarantined_alerts: int | None
    """Kept with the reason why they could not be read."""
    queued: int
    """Incidents that wait for a worker."""
    working: int
    workers: int
    timed: int
    """Incidents that will be looked at when their time has come."""
    streams: int
    store: StoreStatus
    mode: ModeSettings
    mode_limit: Mode = Mode.AUTONOMOUS
    """From the configuration: no ceiling that is set at run time goes above it."""
    backends: tuple[BackendStatus, ...] = ()
    budgets: tuple[BudgetStatus, ...] = ()
    """Without those that cannot be counted at the moment."""
    watches: WatchPage
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Field that could not be told this time -> why."""


@dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    type: str
    """As DuckDB names it."""


@dataclass(frozen=True, kw_only=True)
class QueryAnswer:
    """Rows of one SELECT on a copy of the record."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Json, ...], ...]
    """Times are RFC 3339 in UTC, numbers are numbers, everything that JSON does not know is text."""
    truncated: str = ""
    """Which limit cut it off; '' where these are all rows."""
    seconds: float
    """What the statement took, without the copy."""
    as_of: datetime
    """When the copy was taken."""


@dataclass(frozen=True, kw_only=True)
class CatalogueTable:
    name: str
    kind: str
    """view, or table. The columns of a view change only with a note in the changelog."""
    about: str
    columns: tuple[Column, ...]


WITHHELD_COLUMNS: Mapping[str, tuple[str, ...]] = {"object_versions": ("digest", "hidden")}
"""By table: columns that no statement sees. They are made of values before those were redacted, and a short value could
be found by trying."""


@dataclass(frozen=True, kw_only=True)
class QueryCatalogue:
    """What a statement may select from, views first."""

    tables: tuple[CatalogueTable, ...]


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
