"""What is on record about the alerts of one batch: read in a few statements, kept up while it is folded, written back.

Ten thousand alerts on ten thousand objects cost as many statements as two hundred on one: a few per batch. What an
alert does to an incident is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.domain.alert import Alert, AlertStatus, is_proactive
from responder.domain.incident import CLOSED_STATES, Incident
from responder.domain.refs import ObjectRef
from responder.store import alerts, incidents
from responder.store.alerts import Firing, Joining, PendingAlert, Word
from responder.store.connection import Connection
from responder.store.rows import from_timestamp


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One pending alert, located."""

    pending: PendingAlert
    root: ObjectRef | None
    key: str
    """Of an incident of its own."""

    @property
    def alert(self) -> Alert:
        return self.pending.alert

    @property
    def word(self) -> Word:
        return self.alert.source.value, self.alert.fingerprint

    @property
    def member(self) -> str:
        return self.root.key if self.root is not None else ""


class Batch:
    """One transaction's view. Made in the transaction that `flush` ends."""

    def __init__(self, con: Connection, entries: Sequence[Entry]) -> None:
        self._con = con
        self._joining: list[Joining] = []
        words = list({entry.word for entry in entries})
        keys = list({entry.key for entry in entries})
        members = list({entry.member for entry in entries if entry.member})
        first = min((entry.pending.seq for entry in entries), default=0)
        self._words = dict(alerts.last_words(con, words, first))
        self._homes = dict(alerts.homes(con, words))
        self._by_key = dict(incidents.open_of_keys(con, keys))
        self._by_member = dict(incidents.open_of_members(con, members))
        known = {*self._by_key.values(), *self._by_member.values(), *(home for home, _ in self._homes.values())}
        self._incidents = {incident.id: incident for incident in incidents.find(con, sorted(known))}
        self._firing = dict(alerts.firing_counts(con, sorted(known)))
        self._ended = {key: from_timestamp(at) for key, at in incidents.resolved_at(con, keys).items()}

    def home(self, entry: Entry) -> Incident | None:
        """The open incident that the alert belongs to: where it was last heard of, its object's own, or the shared one
        that its object is a member of. A shared warning of what may come takes no real trouble in."""
        known = self._homes.get(entry.word)
        if known is not None:
            return self._incidents[known[0]]
        own = self._by_key.get(entry.key)
        if own is not None:
            return self._incidents[own]
        shared = self._incidents.get(self._by_member.get(entry.member, ""))
        if shared is not None and is_proactive(shared.labels) and not is_proactive(entry.alert.labels):
            return None
        return shared

    def last_word(self, entry: Entry) -> Alert | None:
        return self._words.get(entry.word)

    def ended_at(self, entry: Entry) -> datetime | None:
        """When the last incident about the object was resolved."""
        return self._ended.get(entry.key)

    def firing(self, incident: Incident) -> int:
        """Distinct alerts for whose sake the incident is open and that fire, as far as the batch is folded."""
        firing = self._firing.get(incident.id, Firing())
        return firing.troubles + (firing.warnings if is_proactive(incident.labels) else 0)

    def get(self, incident_id: str) -> Incident | None:
        """As last put, or as read."""
        return self._incidents.get(incident_id)

    def adopt(self, incident: Incident) -> None:
        """An incident that no alert of the batch was known to belong to comes into view."""
        if incident.id not in self._firing:
            self._firing |= {incident.id: Firing(), **alerts.firing_counts(self._con, [incident.id])}
        self.put(incident)

    def is_member(self, entry: Entry, incident: Incident) -> bool:
        return self._by_member.get(entry.member) == incident.id

    def put(self, incident: Incident) -> None:
        """The incident was opened or changed."""
        self._incidents[incident.id] = incident
        if incident.state not in CLOSED_STATES:
            self._by_key[incident.key] = incident.id
            return
        ended = incident.resolved_at or incident.updated_at
        gone = [key for key, home in (*self._by_key.items(), *self._by_member.items()) if home == incident.id]
        self._ended |= dict.fromkeys((incident.key, *gone), ended)
        self._by_key = {key: home for key, home in self._by_key.items() if home != incident.id}
        self._by_member = {key: home for key, home in self._by_member.items() if home != incident.id}
        self._homes = {word: known for word, known in self._homes.items() if known[0] != incident.id}

    def add_member(self, entry: Entry, incident: Incident) -> None:
        if entry.member:
            self._by_member[entry.member] = incident.id

    def record(self, entry: Entry, incident: Incident | None, reason: str, *, last_word: bool = True) -> None:
        """The alert is processed. `last_word` False: a late copy, which says nothing about now."""
        home = incident.id if incident is not None else ""
        self._joining.append(Joining(seq=entry.pending.seq, reason=reason, incident_id=home, member=entry.member))
        if not last_word:
            return
        fires = entry.alert.status is AlertStatus.FIRING
        self._words[entry.word] = entry.alert
        if incident is not None:
            before = self._homes.get(entry.word, ("", False))
            did = before[0] == home and before[1]
            troubles, warnings = self._firing.get(home, Firing())
            if is_proactive(entry.alert.labels):
                self._firing[home] = Firing(troubles, warnings + fires - did)
            else:
                self._firing[home] = Firing(troubles + fires - did, warnings)
            self._homes[entry.word] = (home, fires)

    def flush(self) -> None:
        alerts.join(self._con, self._joining)
        self._joining = []
