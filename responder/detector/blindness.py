"""What may not be watched, or cannot be: an alert for each gap, so that silence is never taken for health. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from responder.cluster.watch import WatchState, WatchStatus
from responder.detector.condition_alert import fingerprint_of
from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.redact import redact

ALERT_NAME = "ClopusCannotWatch"
AGE_SECONDS = 60.0
"""A gap that is shorter is the API server's restart."""

SOAK_SECONDS = 30.0


class Blindness:
    """The gaps so far, and which of them have been told."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self._told: dict[tuple[str, str], Alert] = {}
        self._closed: dict[tuple[str, str], float] = {}

    def adopt(self, alert: Alert) -> bool:
        """Take over an alert from before the restart; False where it is not one of these."""
        if alert.name != ALERT_NAME:
            return False
        if alert.status is AlertStatus.FIRING:
            self._told[alert.labels.get("resource", ""), alert.labels.get("namespace", "")] = alert
        return True

    def firing(self) -> tuple[Alert, ...]:
        """What has been told and is not over, to be told again."""
        return tuple(self._told.values())

    def alerts(self, gaps: Iterable[WatchStatus], *, now: datetime, at: float) -> tuple[Alert, ...]:
        """What is to be told now. `at` is monotonic."""
        open_now = {(status.kind, status.namespace): status for status in gaps}
        news = []
        for place, status in open_now.items():
            self._closed.pop(place, None)
            since = self._since.setdefault(place, at)
            if place not in self._told and at - since >= AGE_SECONDS:
                self._told[place] = _alert(status, now)
                news.append(self._told[place])
        for place in [place for place in self._since if place not in open_now]:
            del self._since[place]
        for place in [place for place in self._told if place not in open_now]:
            if at - self._closed.setdefault(place, at) >= SOAK_SECONDS:
                news.append(_ended(self._told.pop(place), now))
                del self._closed[place]
        return tuple(news)


def _alert(status: WatchStatus, now: datetime) -> Alert:
    where = f"namespace {status.namespace}" if status.namespace else "the cluster"
    why = "may not be watched" if status.state is WatchState.FORBIDDEN else "cannot be watched"
    problem = status.problem[:500] or "its first list is not complete"
    summary = redact(f"{status.kind} objects of {where} {why}: {problem}. Trouble there is not seen, and not over.")
    labels = {"alertname": ALERT_NAME, "resource": status.kind, "severity": "critical"}
    if status.namespace:
        labels["namespace"] = status.namespace
    return Alert(
        fingerprint=fingerprint_of(labels),
        source=AlertSource.KUBERNETES,
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={"summary": summary},
        starts_at=now,
    )


def _ended(alert: Alert, now: datetime) -> Alert:
    return Alert(
        fingerprint=alert.fingerprint,
        source=alert.source,
        status=AlertStatus.RESOLVED,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=max(alert.starts_at, now),  # the clock may have been put back meanwhile
    )
