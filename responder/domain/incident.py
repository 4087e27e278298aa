"""Incidents: the unit of work, its states, and the one function that knows the legal moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from responder.domain.errors import IllegalTransition
from responder.domain.refs import ObjectRef


class State(StrEnum):
    OPEN = "open"
    INVESTIGATING = "investigating"
    AWAITING_APPROVAL = "awaiting_approval"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    SUPPRESSED = "suppressed"


CLOSED_STATES = frozenset({State.RESOLVED})
"""A firing alert on the same object opens a new incident only once the last one is closed."""

ACTIVE_STATES = frozenset(
    {
        State.OPEN,
        State.INVESTIGATING,
        State.AWAITING_APPROVAL,
        State.EXECUTING,
        State.VERIFYING,
        State.ROLLING_BACK,
    }
)
"""States in which the next step is Clopus's (or an approver's): a restart enqueues them."""

IN_FLIGHT_STATES = frozenset({State.EXECUTING, State.VERIFYING, State.ROLLING_BACK})
"""A change may be half done: nothing but its own outcome ends these."""


class Outcome(StrEnum):
    """Why the incident stands where it stands: the one word an operator reads first."""

    NONE = ""
    FIXED = "fixed"
    RECOVERED = "recovered"
    ALERT_RESOLVED = "alert_resolved"
    REPORTED = "reported"
    UNFIXABLE = "unfixable"
    UNEXPLAINED = "unexplained"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STALE = "stale"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    REVERTED_BY_OTHERS = "reverted_by_others"
    OUTCOME_UNKNOWN = "outcome_unknown"
    VERIFICATION_FAILED = "verification_failed"
    NO_RULE = "no_rule"
    SILENCED = "silenced"
    FAILED = "failed"


class Event(StrEnum):
    """What can happen to an incident."""

    INVESTIGATE = "investigate"
    AWAIT_APPROVAL = "await_approval"
    EXECUTE = "execute"
    VERIFY = "verify"
    ROLL_BACK = "roll_back"
    RESOLVE = "resolve"
    ESCALATE = "escalate"
    SUPPRESS = "suppress"


_S, _E = State, Event
_MOVES: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (_S.OPEN, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.OPEN, _E.SUPPRESS): _S.SUPPRESSED,
        (_S.OPEN, _E.RESOLVE): _S.RESOLVED,
        (_S.OPEN, _E.ESCALATE): _S.ESCALATED,
        (_S.INVESTIGATING, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.INVESTIGATING, _E.AWAIT_APPROVAL): _S.AWAITING_APPROVAL,
        (_S.INVESTIGATING, _E.EXECUTE): _S.EXECUTING,
        (_S.INVESTIGATING, _E.RESOLVE): _S.RESOLVED,
        (_S.INVESTIGATING, _E.ESCALATE): _S.ESCALATED,
        (_S.AWAITING_APPROVAL, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.AWAITING_APPROVAL, _E.EXECUTE): _S.EXECUTING,
        (_S.AWAITING_APPROVAL, _E.RESOLVE): _S.RESOLVED,
        (_S.AWAITING_APPROVAL, _E.ESCALATE): _S.ESCALATED,
        (_S.EXECUTING, _E.VERIFY): _S.VERIFYING,
        (_S.EXECUTING, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.EXECUTING, _E.ESCALATE): _S.ESCALATED,
        (_S.EXECUTING, _E.RESOLVE): _S.RESOLVED,  # the alert resolved before anything was written
        (_S.VERIFYING, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.VERIFYING, _E.RESOLVE): _S.RESOLVED,
        (_S.VERIFYING, _E.ROLL_BACK): _S.ROLLING_BACK,
        (_S.VERIFYING, _E.ESCALATE): _S.ESCALATED,
        (_S.ROLLING_BACK, _E.ESCALATE): _S.ESCALATED,
        (_S.ROLLING_BACK, _E.RESOLVE): _S.RESOLVED,
        (_S.ESCALATED, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.ESCALATED, _E.ROLL_BACK): _S.ROLLING_BACK,
        (_S.ESCALATED, _E.RESOLVE): _S.RESOLVED,
        (_S.RESOLVED, _E.ROLL_BACK): _S.ROLLING_BACK,
        (_S.SUPPRESSED, _E.INVESTIGATE): _S.INVESTIGATING,
        (_S.SUPPRESSED, _E.RESOLVE): _S.RESOLVED,
    }
)


def transition(state: State, event: Event) -> State:
    """Where `event` moves an incident in `state`.

    Raises:
        IllegalTransition: the state does not know the move, for example a resolve while a change is half done.
    """
    try:
        return _MOVES[state, event]
    except KeyError as exc:
        raise IllegalTransition(f"an incident that is {state} cannot {event}") from exc


@dataclass(frozen=True, kw_only=True)
class Incident:
    """The alerts of one episode of one problem on one root object."""

    id: str
    """`inc-` and 12 characters; sorts by time of birth."""
    key: str
    """What the episode is about: the root object's key, or `alert/<namespace>/<alertname>` where there is no object.
    At most one incident that is not resolved exists per key."""
    root: ObjectRef | None
    """The owner at the top (Deployment, not its pod); None where the alert names no object."""
    state: State = State.OPEN
    outcome: Outcome = Outcome.NONE
    summary: str = ""
    """One line for people: what is wrong, or what was done."""
    severity: str = ""
    namespace: str = ""
    rule: str = ""
    """Name of the rule that decided; empty before the match."""
    mode: str = ""
    """Effective `Mode` after ceilings; empty before the match."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the alert that opened it; matching reads these."""
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    attempts: int = 0
    """Executions of apply kind so far."""
    truncated_alerts: int = 0
    """Alerts that the sender left out of the group."""
    cause: str = ""
    """Key of what its workloads have in common, `image/shop/web:1.9` or `alertname/KubePodCrashLooping`; empty where
    the incident is about one root object alone. A change for all of them is a human's decision."""
    members: int = 0
    """Workloads that suffer from the cause, the root among them; 0 where there is no common cause."""

    @property
    def workloads(self) -> str:
        """`7 workloads`; empty where there is no common cause."""
        return "" if not self.members else "1 workload" if self.members == 1 else f"{self.members} workloads"
