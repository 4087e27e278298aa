"""Proactive checks: nothing is wrong yet, and a person should know. Reported only, and only where asked for.

Each check has the name that the settings list under `watch.checks`. Metrics and the API server's certificate come
from outside the watch, so their checks take what was read as arguments.
Fields of a Certificate: https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateStatus
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.conditions.messages import keys, moment
from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import is_deleted, sentence, status_condition
from responder.domain.manifest import Manifest, items, number, ref_of, text
from responder.domain.refs import ObjectRef, is_namespace_name, is_object_name

NAMES: Mapping[str, str] = {
    "CertificateExpiry": "A certificate ends soon, or has ended",
    "CertificateNotReady": "A certificate of cert-manager is not ready",
    "HpaAtMaximum": "A HorizontalPodAutoscaler has been at its maximum for long",
    "ImageLatest": "A container's image has no fixed version",
    "NoDisruptionBudget": "A workload of several replicas has no PodDisruptionBudget",
    "SingleReplica": "A workload has one replica, which a disruption takes away",
    "VolumeNearlyFull": "A claim's volume is nearly full",
}

AT_MAXIMUM_SECONDS = 900.0
HABIT_SECONDS = 900.0  # replicas, budgets and images: a rollout or a scaling in progress is none of them
RENEWAL_SECONDS = 3600.0
CERTIFICATE_NOT_READY_SECONDS = 900.0
VOLUME_SECONDS = 300.0

# The last one that has been reached decides.
_EXPIRY = (
    (timedelta(days=30), Severity.INFO),
    (timedelta(days=7), Severity.WARNING),
    (timedelta(hours=24), Severity.CRITICAL),
)
_FULLNESS = ((0.85, Severity.INFO), (0.95, Severity.WARNING))

VOLUMES_QUERY = (
    "max by (namespace, persistentvolumeclaim) "
    "(1 - kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes)"
)
"""PromQL for the used ratio of every mounted claim, by the metrics of the kubelet."""
LONGEST_SAMPLE_AGE = timedelta(minutes=15)

_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeSample:
    """How full the volume of a claim was."""

    namespace: str
    claim: str
    used_ratio: float
    """0 to 1."""
    at: datetime | None = None


def checks(kind: str, body: Manifest, around: Surroundings, enabled: frozenset[str]) -> tuple[Condition, ...]:
    """What the enabled checks say about one object; checks of other kinds, and unknown names, say nothing."""
    if is_deleted(body):
        return ()
    return tuple(_checks(kind, body, around, enabled))


def _checks(kind: str, body: Manifest, around: Surroundings, enabled: frozenset[str]) -> Iterator[Condition]:
    if kind == "HorizontalPodAutoscaler" and "hpa_at_maximum" in enabled:
        yield from _at_maximum(body)
    if kind in ("Deployment", "StatefulSet") and "single_replica" in enabled:
        yield from _few_replicas(kind, body, around)
    if kind in _TEMPLATES and "image_latest" in enabled:
        yield from _floating_images(kind, body, around)
    if kind == "Certificate" and "certificate_expiry" in enabled and _is_cert_manager(body):
        yield from _certificate(body, around.now)


def _at_maximum(body: Manifest) -> Iterator[Condition]:
    most = number(body, "spec", "maxReplicas")
    current, desired = number(body, "status", "currentReplicas"), number(body, "status", "desiredReplicas")
    limited = status_condition(body, "ScalingLimited")
    wants_more = limited.holds and limited.reason == "TooManyReplicas"
    # With both bounds equal somebody has fixed the number.
    if most <= 0 or number(body, "spec", "minReplicas", default=1) >= most:
        return
    if current < most or (desired < most and not wants_more):
        return
    yield Condition(
        name="HpaAtMaximum",
        about=ref_of(body, kind="HorizontalPodAutoscaler"),
        severity=Severity.INFO,
        summary=sentence(
            f"HorizontalPodAutoscaler {text(body, 'metadata', 'name')} is at its maximum of {most} replicas",
            limited.message if wants_more else "",
        ),
        since=limited.since if wants_more else None,
        age_seconds=AT_MAXIMUM_SECONDS,
        proactive=True,
    )


def _few_replicas(kind: str, body: Manifest, around: Surroundings) -> Iterator[Condition]:
    replicas, title = number(body, "spec", "replicas", default=1), f"{kind} {text(body, 'metadata', 'name')}"
    if replicas == 1:
        name, summary = "SingleReplica", f"{title} has one replica, and a disruption takes it away"
    elif replicas > 1 and around.budgeted is False:
        name, summary = "NoDisruptionBudget", f"{title} has {replicas} replicas and no PodDisruptionBudget keeps any"
    else:
        return
    yield Condition(
        name=name,
        about=ref_of(body, kind=kind),
        severity=Severity.INFO,
        summary=summary,
        age_seconds=HABIT_SECONDS,
        proactive=True,
    )


def _floating_images(kind: str, body: Manifest, around: Surroundings) -> Iterator[Condition]:
    for section in ("initContainers", "containers"):
        for container in items(body, *_TEMPLATES[kind], section):
            name, image = text(container, "name"), text(container, "image")
            if not has_no_version(image) or name in around.excluded_containers:
                continue
            yield Condition(
                name="ImageLatest",
                about=ref_of(body, kind=kind),
                container=name,
                severity=Severity.INFO,
                summary=f"Image {image} of container {name} has no fixed version: the next pod may run another one",
                age_seconds=HABIT_SECONDS,
                proactive=True,
            )


def has_no_version(image: str) -> bool:
    """True for `nginx`, `registry:5000/shop/web` and `web:latest`; a digest fixes the version whatever the tag says."""
    if not image or "@" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def _is_cert_manager(body: Manifest) -> bool:
    """Other API groups have a kind of this name too; an object that does not tell its group was asked for by group."""
    version = text(body, "apiVersion")
    return not version or version.startswith("cert-manager.io/")


def _certificate(body: Manifest, now: datetime) -> Iterator[Condition]:
    about, name = ref_of(body, kind="Certificate"), text(body, "metadata", "name")
    secret, ready = text(body, "spec", "secretName"), status_condition(body, "Ready")
    causes = keys((f"Secret/{about.namespace}/{secret}",)) if secret else ()
    if ready.denied:
        yield Condition(
            name="CertificateNotReady",
            about=about,
            summary=sentence(f"Certificate {name} is not ready", ready.words),
            since=ready.since,
            age_seconds=CERTIFICATE_NOT_READY_SECONDS,
            causes=causes,
            proactive=True,
        )
    ends, renewal = moment(body, "status", "notAfter"), moment(body, "status", "renewalTime")
    # Short-lived certificates are always near their end; what counts is that the renewal is late.
    if ends is not None and (renewal is None or renewal <= now):
        yield from _expiry(about, f"Certificate {name}", ends, now, not_before=renewal, causes=causes)


def certificate_of_server(not_after: datetime, host: str, now: datetime) -> tuple[Condition, ...]:
    """The certificate that the API server at `host` showed. Its object is of no Kubernetes kind: `APIServer/host`."""
    about = ObjectRef(kind="APIServer", name=host)
    return tuple(_expiry(about, f"The certificate of the API server at {host}", not_after, now))


def _expiry(
    about: ObjectRef,
    title: str,
    ends: datetime,
    now: datetime,
    *,
    not_before: datetime | None = None,
    causes: tuple[str, ...] = (),
) -> Iterator[Condition]:
    remaining = ends - now
    reached = [(span, severity) for span, severity in _EXPIRY if remaining <= span]
    if not reached:
        return
    begins = ends - _EXPIRY[0][0]
    yield Condition(
        name="CertificateExpiry",
        about=about,
        severity=reached[-1][1],
        summary=f"{title} {'ended' if remaining <= timedelta(0) else 'ends'} on {ends:%Y-%m-%d %H:%M} UTC",
        since=max(begins, not_before or begins),
        age_seconds=RENEWAL_SECONDS,
        causes=causes,
        proactive=True,
    )


def volume_sample(labels: Mapping[str, str], value: float, at: datetime) -> VolumeSample | None:
    """One sample of `VOLUMES_QUERY`; None where it names no claim, or none that there could be."""
    namespace, claim = labels.get("namespace", ""), labels.get("persistentvolumeclaim", "")
    named = is_namespace_name(namespace) and is_object_name(claim)
    return VolumeSample(namespace=namespace, claim=claim, used_ratio=value, at=at) if named else None


def volume_conditions(samples: Sequence[VolumeSample], now: datetime) -> tuple[Condition, ...]:
    """One condition per claim that is nearly full; samples that are old say nothing about now."""
    fullest: dict[tuple[str, str], VolumeSample] = {}
    for sample in samples:
        if not math.isfinite(sample.used_ratio) or (sample.at is not None and now - sample.at > LONGEST_SAMPLE_AGE):
            continue
        place = sample.namespace, sample.claim
        if place not in fullest or fullest[place].used_ratio < sample.used_ratio:
            fullest[place] = sample
    return tuple(found for sample in fullest.values() for found in _nearly_full(sample))


def _nearly_full(sample: VolumeSample) -> Iterator[Condition]:
    reached = [severity for ratio, severity in _FULLNESS if sample.used_ratio >= ratio]
    if not reached:
        return
    about = ObjectRef(kind="PersistentVolumeClaim", namespace=sample.namespace, name=sample.claim)
    yield Condition(
        name="VolumeNearlyFull",
        about=about,
        severity=reached[-1],
        # Rounded down: 100 % means full.
        summary=f"The volume of PersistentVolumeClaim {sample.claim} is {math.floor(sample.used_ratio * 100)} % full",
        age_seconds=VOLUME_SECONDS,
        causes=(about.key,),
        proactive=True,
    )
