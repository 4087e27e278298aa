"""What every step of the pipeline works with, built once by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from responder.analyzer.protocol import Analyzer
from responder.cluster.protocol import Cluster
from responder.domain.errors import Superseded
from responder.domain.incident import Event as Move
from responder.domain.incident import Incident, Outcome, State, transition
from responder.domain.manifest import Json
from responder.domain.mode import ModeSettings
from responder.domain.plan import PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Mode, Rule
from responder.redact.placeholders import PlaceholderBook
from responder.reporter.protocol import Notifier
from responder.rules.reload import LiveRules
from responder.store import audit, incidents, plans
from responder.store.store import Connection, Store
from responder.telemetry import Metrics
from responder.workqueue import WorkQueue

DEFAULT_RULE = Rule(name="")
"""Speaks where no rule does: report mode, nothing else."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of the pipeline. Units in the names."""

    namespaces: tuple[str, ...] = ()
    """Namespaces that may be read; images that are healthy there can vouch for `set_image`."""
    own_namespace: str = ""
    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})
    grace_seconds: float = 300.0
    """A firing copy this long after its resolve is late, not new."""
    workers: int = 4
    concurrent_consultations: int = 2
    """Incidents that may wait for other analyzers than the detectors at once: fewer than workers, or nothing else would
    be worked on."""
    max_plans_per_incident: int = 5
    keep_snapshot_days: float = 14.0
    """What investigations looked at is kept this long, so that another analyzer can be tried on it."""
    resolve_patience_seconds: float = 60.0
    """How long alerts wait for an unreachable API server to tell their owner, before their labels must do."""
    late_write_seconds: float = 60.0
    """A write whose answer was lost may still take effect for this long after its intent."""
    shared_cause_workloads: int = 3
    """So many root objects with one known cause share an incident; 0: never. Likewise below, for one alert name."""
    storm_workloads: int = 5
    storm_seconds: float = 300.0
    """Only what was opened this long ago counts towards both."""


def _no_causes(root: ObjectRef) -> tuple[str, ...]:
    return ()


def _no_owner(target: ObjectRef) -> ObjectRef | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Sightings:
    """What the Kubernetes watch knows by itself, without a question to the API server. Asked on the event loop only;
    by default it knows nothing."""

    causes: Callable[[ObjectRef], tuple[str, ...]] = _no_causes
    """Keys of what a root object suffers from at present, most telling first."""
    owner: Callable[[ObjectRef], ObjectRef | None] = _no_owner
    """The root object of a pod, ReplicaSet or Job, with uid; None where it is not known."""


_ENDED = frozenset({State.RESOLVED, State.ESCALATED})


class Brakes:
    """The mode settings in force, in memory, so that a pulled kill switch is seen by the very next write.

    The store has the durable copy. `changing` is held from reading the settings to having stored the new ones.
    """

    def __init__(self, settings: ModeSettings, *, limit: Mode = Mode.AUTONOMOUS) -> None:
        self.settings = settings
        self.limit = limit
        """From the configuration: nothing that is set at run time goes above it."""
        self.changing = asyncio.Lock()

    def effective(self, rule_mode: Mode, namespace: str) -> Mode:
        return self.settings.effective(rule_mode, namespace).lowered_to(self.limit)


@dataclass(frozen=True, kw_only=True)
class Context:
    store: Store
    cluster: Cluster
    queue: WorkQueue
    rules: LiveRules
    brakes: Brakes
    analyzers: Mapping[str, Analyzer]
    notifiers: Sequence[Notifier]
    metrics: Metrics
    options: Options
    now: Callable[[], datetime]
    """UTC, for records."""
    monotonic: Callable[[], float]
    """For durations."""
    mint: Callable[[str], str]
    sightings: Sightings = Sightings()
    places: asyncio.Semaphore = field(init=False)
    """Taken by an incident while it consults other analyzers than the detectors."""
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from counting a budget to committing what uses it, so that two incidents cannot spend the same rest."""
    secrets: PlaceholderBook = field(default_factory=PlaceholderBook)
    """Per incident, what each secret is called."""
    waiting: dict[str, float] = field(default_factory=dict)
    """Incident id -> monotonic time since which it waits for one of the `places`."""
    elapsed_bases: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Execution id -> (monotonic time of the first look of this process, seconds verified before it)."""

    def __post_init__(self) -> None:
        free = max(1, min(self.options.concurrent_consultations, self.options.workers - 1))
        object.__setattr__(self, "places", asyncio.Semaphore(free))

    def rule_named(self, name: str) -> Rule:
        """The rule as it stands now; one that was removed since falls back to report mode."""
        return next((rule for rule in self.rules.rule_set.rules if rule.name == name), DEFAULT_RULE)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Changes that one step commits at once: the incident, its audit record, and what belongs to them."""

    incident: Incident
    event: str
    """Word of the audit record."""
    actor: str = "clopus"
    detail: Mapping[str, Json] = field(default_factory=dict)
    also: tuple[Callable[[Connection], object], ...] = ()


async def commit(ctx: Context, step: Step) -> Incident:
    """Write incident, audit record and companions in one transaction.

    Raises:
        Superseded: the incident is not what it was when the step read it: an operator, an alert or another step moved
            it. Nothing is written; what the step decided may no longer be right.
    """
    at = ctx.now()
    incident = replace_times(step.incident, at)

    def job(con: Connection) -> None:
        stored = incidents.get(con, incident.id)
        if stored.updated_at != step.incident.updated_at:
            raise Superseded(f"{incident.id} moved to {stored.state} meanwhile", delay_seconds=0.0)
        incidents.update(con, incident)
        if incident.state in _ENDED:
            _withdraw(con, incident.id)
        for companion in step.also:
            companion(con)
        audit.append(
            con,
            at=at,
            actor=step.actor,
            event=step.event,
            incident_id=incident.id,
            subject=incident.key,
            detail={"state": incident.state.value, "outcome": incident.outcome.value, **step.detail},
        )

    await ctx.store.write(job)
    return incident


def _withdraw(con: Connection, incident_id: str) -> None:
    """No plan of an incident that has ended waits for anything: it would hold a budget, or be approved in vain."""
    for plan in plans.of_incident(con, incident_id):
        if plan.state in (PlanState.PROPOSED, PlanState.APPROVED):
            plans.set_state(con, plan.id, PlanState.CANCELLED)


def replace_times(incident: Incident, at: datetime) -> Incident:
    """`updated_at` moves with every commit, `resolved_at` with the state."""
    resolved = incident.state is State.RESOLVED
    return replace(incident, updated_at=at, resolved_at=(incident.resolved_at or at) if resolved else None)


def moved(
    incident: Incident, move: Move, *, outcome: Outcome | None = None, summary: str | None = None, **changes: object
) -> Incident:
    """The incident after a legal move.

    Raises:
        IllegalTransition: the state does not allow it.
    """
    return replace(
        incident,
        state=transition(incident.state, move),
        outcome=incident.outcome if outcome is None else outcome,
        summary=incident.summary if summary is None else summary,
        **changes,  # type: ignore[arg-type]
    )


async def escalate(
    ctx: Context,
    incident: Incident,
    outcome: Outcome,
    summary: str,
    *,
    event: str,
    detail: Mapping[str, Json] | None = None,
    also: tuple[Callable[[Connection], object], ...] = (),
) -> float | None:
    """Hand the incident to a human and commit; there is no next step."""
    ended = moved(incident, Move.ESCALATE, outcome=outcome, summary=summary)
    await commit(ctx, Step(incident=ended, event=event, detail=detail or {}, also=also))
    return None
