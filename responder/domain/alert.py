"""Alerts: what Alertmanager posts, and what a Kubernetes watch turns into one.

Format of the first: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

PROACTIVE_LABEL = "proactive"
"""`"true"` on an alert: nothing is wrong yet, so it is only ever reported."""


def is_proactive(labels: Mapping[str, str]) -> bool:
    return labels.get(PROACTIVE_LABEL) == "true"


class AlertSource(StrEnum):
    ALERTMANAGER = "alertmanager"
    KUBERNETES = "kubernetes"


class AlertStatus(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert as received. Its texts come from outside: they are evidence, never instructions."""

    fingerprint: str
    """Hash of the labels: 16 hex digits from Alertmanager, computed by the detector where the sender gave none."""
    source: AlertSource = AlertSource.ALERTMANAGER
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: datetime
    """UTC. May move earlier within one episode."""
    ends_at: datetime | None = None
    """UTC; None while the alert fires."""
    generator_url: str = ""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def namespace(self) -> str:
        return self.labels.get("namespace", "")

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "")


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The good alerts of one webhook body, and what all of them share."""

    alerts: tuple[Alert, ...]
    quarantined: tuple[QuarantinedAlert, ...] = ()
    receiver: str = ""
    group_key: str = ""
    truncated_alerts: int = 0
    """How many alerts of the group the sender left out: above 0, "no other alerts" cannot be concluded."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class QuarantinedAlert:
    """One alert that could not be read. Kept with its reason, so that nothing accepted is lost."""

    reason: str
    raw: str
    """JSON of the alert as it came, cut to the size cap."""
