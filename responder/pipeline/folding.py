"""One batch of located alerts in one transaction: each opens an incident, joins one, or resolves.

Which episode an alert belongs to is `detector.grouping`'s decision, which workloads share an incident
`detector.causes`'s; here is what follows for the incidents and their record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from responder.detector.causes import (
    Limits,
    Newcomer,
    Standing,
    assign,
    headline,
    is_storm,
    root_of_cause,
    shared_key,
    storm_cause,
)
from responder.detector.grouping import Fold, KnownAlert, KnownEpisode, fold
from responder.domain.alert import Alert, AlertStatus, is_proactive
from responder.domain.incident import CLOSED_STATES, IN_FLIGHT_STATES, Incident, Outcome, State
from responder.domain.incident import Event as Move
from responder.domain.manifest import Json
from responder.domain.plan import PlanState
from responder.domain.refs import ObjectRef
from responder.pipeline.context import Context, moved, replace_times
from responder.pipeline.sharing import SOURCE_LABEL, summary_of
from responder.store import audit, incidents, plans
from responder.store.batch import Batch, Entry
from responder.store.rows import from_timestamp
from responder.store.store import Connection

_HEARTBEAT_SEVERITY = "none"
"""kube-prometheus gives it to Watchdog and InfoInhibitor, which fire while all is well."""

_LOOK_AGAIN = frozenset(
    {
        Outcome.REPORTED,
        Outcome.UNFIXABLE,
        Outcome.UNEXPLAINED,
        Outcome.EXPIRED,
        Outcome.REFUSED,
        Outcome.STALE,
        Outcome.FAILED,
    }
)


@dataclass(frozen=True, kw_only=True)
class Located(Entry):
    causes: tuple[str, ...] = ()
    """What its object may have in common with others, most telling first."""


@dataclass(kw_only=True)
class Folded:
    opened: int = 0
    touched: dict[str, None] = field(default_factory=dict)
    """Incidents that have work to do now."""


@dataclass(kw_only=True)
class _Gathered:
    """What one batch brought to one shared incident: told in one record, however many they are."""

    members: list[ObjectRef] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    """Rows of the alerts; likewise below."""
    resolved: list[int] = field(default_factory=list)


def fold_batch(con: Connection, ctx: Context, located: Sequence[Located]) -> Folded:
    folding = _Folding(con, ctx, located)
    for item in located:
        folding.fold(item)
    folding.finish()
    return folding.result


class _Folding:
    """One batch in one transaction."""

    def __init__(self, con: Connection, ctx: Context, located: Sequence[Located]) -> None:
        self.result = Folded()
        self._con, self._ctx, self._at = con, ctx, ctx.now()
        self._batch = Batch(con, located)
        self._shared = self._assigned(located)
        self._by_cause: dict[str, str] = {}
        """Cause -> id of its incident."""
        self._gathered: dict[str, _Gathered] = {}

    def fold(self, item: Located) -> None:
        if item.alert.severity == _HEARTBEAT_SEVERITY:
            self._batch.record(item, None, "heartbeat")
            return
        current = self._batch.home(item)
        verdict = self._verdict(item, current)
        if verdict not in (Fold.OPENS, Fold.JOINS):
            self._batch.record(item, current, verdict.value, last_word=verdict is not Fold.LATE)
            if verdict is Fold.RESOLVES and current is not None:
                self._resolved(item, current)
        elif current is not None:
            self._join(item, current)
        elif cause := self._shared.get(item.member, ""):
            self._share(item, cause)
        else:
            self._open(item)

    def finish(self) -> None:
        self._batch.flush()
        for incident_id, gathered in self._gathered.items():
            self._tell(incident_id, gathered)

    def _assigned(self, located: Sequence[Located]) -> dict[str, str]:
        """Root key -> the cause that it shares with others."""
        newcomers = _newcomers(item for item in located if self._is_new(item))
        if not newcomers:
            return {}
        options, since = self._ctx.options, self._at - timedelta(seconds=self._ctx.options.storm_seconds)
        causes = list({cause for n in newcomers for cause in (*n.causes, *map(storm_cause, n.alert_names))})
        shared = incidents.shared_causes(self._con, causes)
        return assign(
            newcomers,
            Standing(
                alone=incidents.alone_by_cause(self._con, causes, since),
                shared={
                    cause: namespaces
                    for cause, (last, namespaces) in shared.items()
                    if not is_storm(cause) or from_timestamp(last) >= since
                },
            ),
            Limits(shared_cause_workloads=options.shared_cause_workloads, storm_workloads=options.storm_workloads),
        )

    def _is_new(self, item: Located) -> bool:
        fires = item.alert.status is AlertStatus.FIRING and item.alert.severity != _HEARTBEAT_SEVERITY
        return (
            fires
            and item.root is not None
            and self._batch.home(item) is None
            and self._verdict(item, None) is Fold.OPENS
        )

    def _verdict(self, item: Located, current: Incident | None) -> Fold:
        word, ended = self._batch.last_word(item), None if current is not None else self._batch.ended_at(item)
        known = None
        if current is not None or ended is not None or word is not None:
            last = (
                None if word is None else KnownAlert(status=word.status, starts_at=word.starts_at, ends_at=word.ends_at)
            )
            known = KnownEpisode(open=current is not None, resolved_at=ended, alert=last)
        return fold(item.alert, known, now=self._at, grace_seconds=self._ctx.options.grace_seconds)

    def _open(self, item: Located) -> None:
        incident = self._opened(item, item.key)
        self._insert(item, incident)
        incidents.note_causes(self._con, incident.id, (*item.causes, storm_cause(item.alert.name)))
        self._batch.record(item, incident, Fold.OPENS.value)

    def _share(self, item: Located, cause: str) -> None:
        """Join the shared incident of `cause`; it is opened where there is none."""
        found = self._open_shared(cause)
        if found is None:
            root = root_of_cause(cause) or item.root
            told = headline(cause, 1, (item.root,) if item.root else ())
            found = replace(self._opened(item, shared_key(cause)), root=root, cause=cause, summary=told)
            found = replace(found, namespace=root.namespace if root is not None else found.namespace)
            self._insert(item, found)
        elif not found.cause:  # the lost node's own incident: from now on it has members
            found = replace_times(replace(found, cause=cause), self._at)
            incidents.update(self._con, found)
        self._batch.adopt(found)
        self._by_cause[cause] = found.id
        self._join(item, found)

    def _open_shared(self, cause: str) -> Incident | None:
        seen = self._batch.get(self._by_cause.get(cause, ""))
        if seen is not None and seen.state not in CLOSED_STATES:
            return seen
        return incidents.find_open_by_cause(self._con, cause) or incidents.find_open(self._con, shared_key(cause))

    def _insert(self, item: Located, incident: Incident) -> None:
        incidents.insert(self._con, incident)
        self._batch.put(incident)
        self._audit(
            "incident_opened", incident, _told(item.alert) | ({"cause": incident.cause} if incident.cause else {})
        )
        self.result.opened += 1
        self.result.touched[incident.id] = None

    def _opened(self, item: Located, key: str) -> Incident:
        alert = item.alert
        return Incident(
            id=self._ctx.mint("inc"),
            key=key,
            root=item.root,
            summary=alert.annotations.get("summary", "") or f"{alert.name} on {key}",
            severity=alert.severity,
            namespace=item.root.namespace if item.root is not None else alert.namespace,
            labels=_labels(alert),
            opened_at=self._at,
            updated_at=self._at,
            truncated_alerts=item.pending.truncated_alerts,
        )

    def _join(self, item: Located, current: Incident) -> None:
        quiet = not self._batch.firing(current)
        self._batch.record(item, current, Fold.JOINS.value)
        joined = replace(current, truncated_alerts=max(current.truncated_alerts, item.pending.truncated_alerts))
        newly = self._gather(item, current)
        again = self._worth_another_look(current, quiet=quiet, newly=newly)
        if is_proactive(current.labels) and not is_proactive(item.alert.labels):
            joined = _taken_over(joined, item.alert)
            again = again or current.state is State.ESCALATED
        if again:
            joined = moved(joined, Move.INVESTIGATE, outcome=Outcome.NONE)
            self.result.touched[current.id] = None
        if joined != current:
            joined = replace_times(joined, self._at)
            incidents.update(self._con, joined)
            self._batch.put(joined)
        if not current.cause:
            self._audit("alert_joined", current, _told(item.alert))

    def _gather(self, item: Located, current: Incident) -> bool:
        """True where the object is a new member of the incident. What answers for a cause itself is none."""
        if not current.cause:
            return False
        gathered = self._gathered.setdefault(current.id, _Gathered())
        gathered.joined.append(item.pending.seq)
        if item.root is None or item.key == current.key or self._batch.is_member(item, current):
            return False
        gathered.members.append(item.root)
        self._batch.add_member(item, current)
        return True

    def _worth_another_look(self, current: Incident, *, quiet: bool, newly: bool) -> bool:
        """An incident that was handed to a human over what could be seen then, not over a change or a decision. That
        more workloads suffer from a known cause is no news of it."""
        if current.state is not State.ESCALATED or current.outcome not in _LOOK_AGAIN:
            return False
        age = (self._at - current.updated_at).total_seconds()
        return quiet or (not newly and age >= self._ctx.options.grace_seconds)

    def _resolved(self, item: Located, current: Incident) -> None:
        if current.cause:
            self._gathered.setdefault(current.id, _Gathered()).resolved.append(item.pending.seq)
        else:
            self._audit("alert_resolved", current, _told(item.alert))
        if self._batch.firing(current):
            return
        ended = all_resolved(self._con, current, self._at)
        if ended is None:
            self.result.touched[current.id] = None
        else:
            self._batch.put(ended)

    def _tell(self, incident_id: str, gathered: _Gathered) -> None:
        """Record what joined and what resolved; bring the summary up to date as long as nobody has looked."""
        new = incidents.add_members(self._con, incident_id, gathered.members, self._at)
        incident = incidents.get(self._con, incident_id)
        if gathered.joined:
            self._audit("alerts_joined", incident, _rows(gathered.joined) | {"new": new, "members": incident.members})
        if gathered.resolved:
            self._audit("alerts_resolved", incident, _rows(gathered.resolved))
        if new and not incident.mode:
            incidents.set_summary(self._con, incident_id, summary_of(self._con, incident))

    def _audit(self, event: str, incident: Incident, detail: dict[str, Json]) -> None:
        audit.append(
            self._con,
            at=self._at,
            actor="clopus",
            event=event,
            incident_id=incident.id,
            subject=incident.key,
            detail=detail,
        )


def _newcomers(items: Iterable[Located]) -> list[Newcomer]:
    """One for each root object, with what all of its alerts say."""
    found: dict[str, Newcomer] = {}
    for item in items:
        before = found.get(item.member) or Newcomer(key=item.member)
        found[item.member] = Newcomer(
            key=item.member,
            causes=tuple(dict.fromkeys((*before.causes, *item.causes))),
            alert_names=tuple(dict.fromkeys((*before.alert_names, item.alert.name))),
        )
    return list(found.values())


def _taken_over(incident: Incident, alert: Alert) -> Incident:
    """Real trouble takes the place of a warning of what may come: rules match it from now on."""
    summary = alert.annotations.get("summary", "") or f"{alert.name} on {incident.key}"
    return replace(incident, labels=_labels(alert), severity=alert.severity, summary=summary)


def _labels(alert: Alert) -> dict[str, str]:
    return {**alert.labels, SOURCE_LABEL: alert.source.value}


def _told(alert: Alert) -> dict[str, Json]:
    return {"alertname": alert.name, "fingerprint": alert.fingerprint, "starts_at": alert.starts_at.isoformat()}


def _rows(seqs: Sequence[int]) -> dict[str, Json]:
    return {"alerts": len(seqs), "first": seqs[0], "last": seqs[-1]}


def all_resolved(con: Connection, incident: Incident, at: datetime) -> Incident | None:
    """The incident, closed because its last alert has resolved; None where a change is half done: that still runs to
    its own end."""
    if incident.state in IN_FLIGHT_STATES or incident.state is State.RESOLVED:
        return None
    waiting = plans.latest_open(con, incident.id)
    if waiting is not None:
        plans.set_state(con, waiting.id, PlanState.CANCELLED)
    outcome = Outcome.ALERT_RESOLVED if incident.outcome is Outcome.NONE else incident.outcome
    ended = replace_times(moved(incident, Move.RESOLVE, outcome=outcome), at)
    incidents.update(con, ended)
    audit.append(
        con,
        at=at,
        actor="clopus",
        event="resolved_by_alert",
        incident_id=incident.id,
        subject=incident.key,
        detail={"state": ended.state.value, "cancelled_plan": waiting.id if waiting else ""},
    )
    return ended
