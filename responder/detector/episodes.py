"""Conditions over time: when one becomes an alert, and when that alert is over. Without I/O and without a clock.

A watch shows states; an alert has a beginning and an end. Between them stand three times, all on the monotonic clock:

- The age. A condition counts once it has lasted `age_seconds * age_factor`. What the object says about its beginning is
  credited, but never less than nothing and never more than the whole age: a wall clock that jumps makes a condition
  count at once or from its first sight, never never. An absence shorter than both the soak and the age does not begin
  the age anew, so what shows and hides every few seconds counts in the end. What was old enough when it went still
  makes its alert.
- The soak. An alert is over once nothing has shown its condition for `soak_seconds`, and for as long the watches that
  showed it have been live: where nobody looks, nothing is over.
- The calm. An alert that fires again within ten soaks after its end doubles its soak, up to a quarter of an hour.

One alert is one name at one root object (and container), whichever pods show it; so it survives their replacement.
What is wrong with an object is `conditions`' word, who its root is `owners`', what an alert does to incidents
`grouping`'s. What was seen last stands while a watch is broken: a pending condition may still become old enough.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from responder.conditions.model import Condition, Severity
from responder.detector.causes import CAUSES_ANNOTATION
from responder.detector.condition_alert import alert_of, common_causes, public_causes
from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.refs import ObjectRef

LONGEST_SOAK = 900.0
"""Seconds; flapping doubles a soak up to here."""
CALM_SOAKS = 10
REMEMBERED_SECONDS = 600.0
"""So long, at the least, an end is remembered: what fires again begins after it, whatever the object says."""
MOST_AT_ONCE = 200
"""Alerts from one call: some 0.25 ms of work each."""
HELD_SECONDS = 1.0
"""So often, at the most, an alert is looked at again that cannot end because a watch is not live."""
_MOST_FLAPS = 16

_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class _Identity(NamedTuple):
    """What makes two conditions the same alert."""

    root: ObjectRef
    """Without uid: another object of that name goes on where the former ended."""
    name: str
    container: str
    proactive: bool


@dataclass(slots=True, kw_only=True)
class _Episode:
    identity: _Identity
    soak: float
    """Seconds, before doubling: the longest that a condition of this episode asked for."""
    shown: dict[ObjectRef, Condition] = field(default_factory=dict)
    """By source."""
    last: Condition | None = None
    """The one that went last."""
    watches: dict[str, ObjectRef] = field(default_factory=dict)
    """By kind, one source that showed the condition: its watch must be live for the alert to end."""
    starts_at: datetime | None = None
    ripe_at: float = math.inf
    """Old enough from here on."""
    ripe: bool = False
    """It was old enough when it went, and its alert has not been sent yet."""
    bridge: float = 0.0
    """Seconds; a shorter absence does not begin the age anew."""
    gone_at: float = -math.inf
    soaks_from: float = -math.inf
    held_until: float = -math.inf
    alert: Alert | None = None
    """As it was sent; None while it does not fire."""
    settled: bool = True
    flaps: int = 0
    ended_at: datetime | None = None
    """End of the alert before."""
    calm_at: float = -math.inf
    forget_at: float = -math.inf
    wake: float | None = None
    """Its earliest valid entry in the heap."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(self.shown.values()) or ((self.last,) if self.last is not None else ())

    @property
    def causes(self) -> list[tuple[str, ...]]:
        """Of each condition; of a restored alert that nothing has shown yet, as it was sent."""
        if self.conditions or self.alert is None:
            return [condition.causes for condition in self.conditions]
        return [tuple(self.alert.annotations.get(CAUSES_ANNOTATION, "").split())]

    @property
    def whole_soak(self) -> float:
        return min(self.soak * 2.0**self.flaps, max(self.soak, LONGEST_SOAK))

    def due_at(self) -> float | None:
        """When time alone changes something; None: only an observation can."""
        if self.alert is not None:
            waits = self.shown or not self.settled
            return None if waits else max(self.soaks_from + self.whole_soak, self.held_until)
        if self.ripe:
            return self.gone_at
        return self.ripe_at if self.shown else max(self.gone_at + self.bridge, self.forget_at)

    def grow(self, condition: Condition, *, age: float, now: datetime, at: float) -> None:
        """One more sight of a condition that does not fire yet."""
        if not self.shown and at - self.gone_at >= self.bridge:
            self.starts_at, self.ripe_at, self.bridge = None, math.inf, 0.0
            self.watches.clear()
        lasted = 0.0 if condition.since is None else (now - condition.since).total_seconds()
        self.ripe_at = min(self.ripe_at, at + age - min(max(lasted, 0.0), age))
        self.bridge = max(self.bridge, min(age, self.soak))
        began = self._began(condition, now)
        self.starts_at = began if self.starts_at is None else min(self.starts_at, began)

    def _began(self, condition: Condition, now: datetime) -> datetime:
        since = condition.since
        if since is None or since > now or (self.ended_at is not None and since <= self.ended_at):
            return now
        return since


class Episodes:
    """Which conditions count. Not safe for threads; every time is given, `at` in seconds of one monotonic clock."""

    def __init__(self, *, soak_seconds: float, age_factor: float) -> None:
        self._soak_seconds = soak_seconds
        self._age_factor = age_factor
        self._sources: dict[ObjectRef, dict[_Identity, Condition]] = {}
        """Only those that show something."""
        self._episodes: dict[_Identity, _Episode] = {}
        self._by_root: dict[ObjectRef, dict[_Identity, _Episode]] = {}
        self._soaking: dict[_Identity, _Episode] = {}
        """Alerts that fire and that nothing shows."""
        self._restored: list[_Episode] = []
        self._heap: list[tuple[float, _Identity]] = []

    def observe(
        self, source: ObjectRef, root: ObjectRef, conditions: tuple[Condition, ...], *, now: datetime, at: float
    ) -> None:
        """`conditions` is all that `source` (with uid) shows now; what it showed before and not now has gone."""
        before = self._sources.get(source)
        if before is None and not conditions:
            return
        shows = _identified(root.without_uid(), conditions)
        if before == shows:
            return
        if shows:
            self._sources[source] = shows
        else:
            self._sources.pop(source, None)
        for identity in before or ():
            if identity not in shows:
                self._vanish(identity, source, at)
        for identity, condition in shows.items():
            self._appear(identity, source, condition, now=now, at=at)

    def gone(self, source: ObjectRef, at: float) -> None:
        """The object was deleted, as an event or a complete list told."""
        for identity in self._sources.pop(source, ()):
            self._vanish(identity, source, at)

    def due(self, now: datetime, at: float, live: Callable[[ObjectRef], bool]) -> tuple[Alert, ...]:
        """The alerts to send: those that fire now and those that are over, at most one of each fingerprint.

        `live` tells whether the watch of a source's kind and namespace is up to date. It is asked with sources that are
        gone, too: others of their kind could show the same. Where nobody means to look any more (the namespace is
        deleted, or out of scope), it has to say True, or what fires there never ends.

        An outage between two calls is not seen: call it every few seconds. Where as many come as `MOST_AT_ONCE`, call
        it again at once.
        """
        self._hold(at, live)
        ready: list[_Episode] = []
        while self._heap and self._heap[0][0] <= at and len(ready) < MOST_AT_ONCE:
            when, identity = heapq.heappop(self._heap)
            episode = self._episodes.get(identity)
            if episode is not None and episode.wake == when:
                episode.wake = None
                ready.append(episode)
        alerts = [self._step(episode, now, at) for episode in ready]
        return tuple(alert for alert in alerts if alert is not None)

    def restore(self, alerts: Iterable[Alert], at: float) -> None:
        """What is on record of the time before this process. A firing alert fires on and is not sent again; it cannot
        end before `settled`. A resolved one only counts for flapping, and for when its next episode began."""
        for alert in alerts:
            if alert.source is not AlertSource.KUBERNETES:
                continue
            episode = self._episode(_identity_of(alert.labels))
            if alert.status is AlertStatus.FIRING:
                self._fire_on(episode, alert, at)
            elif episode.alert is None:
                self._remember_end(episode, alert.ends_at, at)
            self._schedule(episode)

    def settled(self, at: float) -> None:
        """Every watch has told all that there is: what is restored and not shown by now begins its soak."""
        restored, self._restored = self._restored, []
        for episode in restored:
            episode.settled = True
            episode.soaks_from = at
            self._schedule(episode)

    def firing(self) -> tuple[Alert, ...]:
        """Alerts that fire and whose condition is shown now, to be told again as any sender repeats itself: an incident
        may have been closed over one of them."""
        return tuple(
            episode.alert for episode in self._episodes.values() if episode.alert is not None and episode.shown
        )

    def causes(self, root: ObjectRef) -> tuple[str, ...]:
        """What other workloads may suffer from as well, most common first, at most 8."""
        firing = [episode for episode in self._by_root.get(root.without_uid(), {}).values() if episode.alert]
        return public_causes(common_causes([causes for episode in firing for causes in episode.causes]))

    def suffering(self, cause: str) -> frozenset[ObjectRef]:
        """Roots, without uid, of which something names `cause` as its cause now, old enough to count or not."""
        return frozenset(
            identity.root
            for identity, episode in self._episodes.items()
            if any(cause in condition.causes for condition in episode.shown.values())
        )

    def _episode(self, identity: _Identity) -> _Episode:
        episode = self._episodes.get(identity)
        if episode is None:
            episode = self._episodes[identity] = _Episode(identity=identity, soak=self._soak_seconds)
            self._by_root.setdefault(identity.root, {})[identity] = episode
        return episode

    def _appear(
        self, identity: _Identity, source: ObjectRef, condition: Condition, *, now: datetime, at: float
    ) -> None:
        episode = self._episode(identity)
        episode.soak = max(episode.soak, condition.soak_seconds)
        if episode.alert is None and not episode.ripe:
            episode.grow(condition, age=condition.age_seconds * self._age_factor, now=now, at=at)
        episode.shown[source] = condition
        episode.watches[source.kind] = source
        self._soaking.pop(identity, None)
        self._schedule(episode)

    def _vanish(self, identity: _Identity, source: ObjectRef, at: float) -> None:
        episode = self._episodes[identity]
        episode.last = episode.shown.pop(source)
        if episode.shown:
            return
        episode.gone_at = episode.soaks_from = at
        if episode.alert is not None:
            self._soaking[identity] = episode
        else:
            episode.ripe = episode.ripe or at >= episode.ripe_at
        self._schedule(episode)

    def _schedule(self, episode: _Episode) -> None:
        """An entry that comes too early is harmless, so a later time waits for it: one entry each, not one per move."""
        when = episode.due_at()
        if when is not None and (episode.wake is None or when < episode.wake):
            episode.wake = when
            heapq.heappush(self._heap, (when, episode.identity))

    def _hold(self, at: float, live: Callable[[ObjectRef], bool]) -> None:
        """Where nobody looks now, the soak begins anew."""
        for episode in self._soaking.values():
            if not all(live(source) for source in episode.watches.values()):
                episode.soaks_from = at
                episode.held_until = at + HELD_SECONDS

    def _step(self, episode: _Episode, now: datetime, at: float) -> Alert | None:
        when = episode.due_at()
        sent: Alert | None = None
        if when is None or when > at:
            pass
        elif episode.alert is not None:
            sent = self._resolve(episode, now, at)
        elif episode.shown or episode.ripe:
            sent = self._fire(episode, at)
        else:
            self._forget(episode)
            return None
        self._schedule(episode)
        return sent

    def _fire(self, episode: _Episode, at: float) -> Alert:
        assert episode.starts_at is not None
        conditions = episode.conditions
        worst = min(conditions, key=lambda condition: _RANKS[condition.severity])
        alert = alert_of(
            worst, episode.identity.root, starts_at=episode.starts_at, causes=common_causes(episode.causes)
        )
        episode.alert = alert
        episode.flaps = min(episode.flaps + 1, _MOST_FLAPS) if at <= episode.calm_at else 0
        episode.ripe, episode.ripe_at = False, math.inf
        if not episode.shown:
            self._soaking[episode.identity] = episode
        return alert

    def _fire_on(self, episode: _Episode, alert: Alert, at: float) -> None:
        episode.alert = alert
        episode.settled = False
        episode.ripe, episode.ripe_at = False, math.inf
        watched = ObjectRef.of_key(alert.annotations.get("object", ""))
        if watched is not None:
            episode.watches.setdefault(watched.kind, watched)
        if not episode.shown:
            episode.gone_at = episode.soaks_from = at
            self._soaking[episode.identity] = episode
        self._restored.append(episode)

    def _resolve(self, episode: _Episode, now: datetime, at: float) -> Alert:
        assert episode.alert is not None
        went = now - timedelta(seconds=at - episode.gone_at)
        resolved = replace(episode.alert, status=AlertStatus.RESOLVED, ends_at=max(episode.alert.starts_at, went))
        self._remember_end(episode, resolved.ends_at, at)
        episode.alert = None
        episode.soak = self._soak_seconds
        episode.bridge = 0.0
        del self._soaking[episode.identity]
        return resolved

    def _remember_end(self, episode: _Episode, ended_at: datetime | None, at: float) -> None:
        episode.ended_at = ended_at
        episode.calm_at = at + CALM_SOAKS * episode.whole_soak
        episode.forget_at = max(episode.calm_at, at + REMEMBERED_SECONDS)

    def _forget(self, episode: _Episode) -> None:
        identity = episode.identity
        del self._episodes[identity]
        siblings = self._by_root[identity.root]
        del siblings[identity]
        if not siblings:
            del self._by_root[identity.root]


def _identified(root: ObjectRef, conditions: tuple[Condition, ...]) -> dict[_Identity, Condition]:
    found: dict[_Identity, Condition] = {}
    for condition in conditions:
        identity = _Identity(root, condition.name, condition.container, condition.proactive)
        other = found.get(identity)
        if other is None or _RANKS[condition.severity] < _RANKS[other.severity]:
            found[identity] = condition
    return found


def _identity_of(labels: Mapping[str, str]) -> _Identity:
    root = ObjectRef(kind=labels.get("kind", ""), namespace=labels.get("namespace", ""), name=labels.get("name", ""))
    return _Identity(root, labels.get("alertname", ""), labels.get("container", ""), "proactive" in labels)
