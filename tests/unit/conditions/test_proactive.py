"""What may become a fault: told only where asked for, and only reported."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.proactive import (
    NAMES,
    VolumeSample,
    certificate_of_server,
    checks,
    has_no_version,
    volume_conditions,
    volume_sample,
)
from responder.settings import Check

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AROUND = Surroundings(now=NOW)
STAMP = "2026-11-23T11:40:00Z"
THEN = datetime(2026, 11, 23, 11, 40, tzinfo=UTC)
ALL = frozenset(get_args(Check))


def named(kind: str, **parts: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}, **parts}


def autoscaler(*, current: int, desired: int, least: int = 2, limited: str = "") -> dict[str, Any]:
    entry = {
        "type": "ScalingLimited",
        "status": "True",
        "reason": limited,
        "message": "the desired replica count is more than the maximum replica count",
        "lastTransitionTime": STAMP,
    }
    return named(
        "HorizontalPodAutoscaler",
        spec={"minReplicas": least, "maxReplicas": 5},
        status={
            "currentReplicas": current,
            "desiredReplicas": desired,
            "conditions": [entry] if limited else [],
        },
    )


def workload(kind: str = "Deployment", replicas: int | None = 2, *images: str) -> dict[str, Any]:
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return named(kind, spec={"replicas": replicas, "template": {"spec": {"containers": containers}}})


def certificate(
    ends: timedelta | None = None, *, renewal: timedelta | None = None, ready: str = "True"
) -> dict[str, Any]:
    times = {"notAfter": ends, "renewalTime": renewal}
    status = {key: f"{NOW + span:%Y-%m-%dT%H:%M:%SZ}" for key, span in times.items() if span is not None}
    entry = {"type": "Ready", "status": ready, "message": "issuer not found", "lastTransitionTime": STAMP}
    return named(
        "Certificate",
        apiVersion="cert-manager.io/v1",
        spec={"secretName": "web-tls"},
        status={**status, "conditions": [entry]},
    )


def run(body: dict[str, Any], around: Surroundings = AROUND) -> tuple[Condition, ...]:
    return checks(body["kind"], body, around, ALL)


@pytest.mark.parametrize(
    ("body", "since"),
    [
        pytest.param(autoscaler(current=5, desired=5), None, id="wants just as many"),
        pytest.param(autoscaler(current=5, desired=5, limited="TooManyReplicas"), THEN, id="wants more"),
        pytest.param(autoscaler(current=6, desired=5), None, id="more than its maximum"),
    ],
)
def test_an_autoscaler_at_its_maximum_is_told(body: dict[str, Any], since: datetime | None) -> None:
    (found,) = run(body)
    assert (found.name, found.since, found.age_seconds) == ("HpaAtMaximum", since, 900)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(autoscaler(current=4, desired=5, limited="TooManyReplicas"), id="on its way"),
        pytest.param(autoscaler(current=5, desired=4), id="on its way down"),
        pytest.param(autoscaler(current=2, desired=2, limited="TooFewReplicas"), id="at its minimum"),
        pytest.param(autoscaler(current=5, desired=5, least=5), id="a fixed number"),
        pytest.param(named("HorizontalPodAutoscaler"), id="no bounds"),
    ],
)
def test_an_autoscaler_with_room_is_not_told(body: dict[str, Any]) -> None:
    assert run(body) == ()


@pytest.mark.parametrize(
    ("body", "budgeted", "told"),
    [
        pytest.param(workload(replicas=1), None, ["SingleReplica"], id="one"),
        pytest.param(workload(replicas=1), True, ["SingleReplica"], id="one, with a budget"),
        pytest.param(workload("StatefulSet", None), None, ["SingleReplica"], id="one by default"),
        pytest.param(workload(replicas=3), False, ["NoDisruptionBudget"], id="three without a budget"),
        pytest.param(workload(replicas=3), True, [], id="three with a budget"),
        pytest.param(workload(replicas=3), None, [], id="three, budgets not known"),
        pytest.param(workload(replicas=0), False, [], id="none"),
        pytest.param(workload("DaemonSet", 1), False, [], id="DaemonSet"),
        pytest.param(workload("ReplicaSet", 1), False, [], id="ReplicaSet"),
    ],
)
def test_what_one_disruption_takes_away_is_told(body: dict[str, Any], budgeted: bool | None, told: list[str]) -> None:
    assert [found.name for found in run(body, Surroundings(now=NOW, budgeted=budgeted))] == told


@pytest.mark.parametrize(
    ("image", "floats"),
    [
        ("nginx", True),
        ("nginx:latest", True),
        ("registry:5000/shop/web", True),
        ("registry:5000/shop/web:latest", True),
        ("nginx:1.29", False),
        ("registry:5000/shop/web:1.9", False),
        ("nginx@sha256:abc", False),
        ("nginx:latest@sha256:abc", False),
        ("nginx:latest-alpine", False),
        ("", False),
    ],
)
def test_an_image_without_a_version_is_known_by_its_tag(image: str, floats: bool) -> None:
    assert has_no_version(image) is floats


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_each_container_with_a_floating_image_is_told(kind: str) -> None:
    found = checks(kind, workload(kind, 2, "web:1.9", "proxy", "web:latest"), AROUND, frozenset({"image_latest"}))
    assert [(each.name, each.container) for each in found] == [("ImageLatest", "c1"), ("ImageLatest", "c2")]


def test_init_containers_and_cron_jobs_have_images_too() -> None:
    template = {"spec": {"initContainers": [{"name": "prepare", "image": "busybox"}]}}
    body = named("CronJob", spec={"jobTemplate": {"spec": {"template": template}}})
    assert [found.container for found in run(body)] == ["prepare"]


def test_excluded_containers_are_not_looked_at() -> None:
    around = Surroundings(now=NOW, excluded_containers=frozenset({"c0"}))
    assert [found.container for found in run(workload("DaemonSet", 1, "a", "b"), around)] == ["c1"]


EXPIRY = [
    pytest.param(timedelta(days=31), None, id="31 days"),
    pytest.param(timedelta(days=30), Severity.INFO, id="30 days"),
    pytest.param(timedelta(days=7, seconds=1), Severity.INFO, id="more than 7 days"),
    pytest.param(timedelta(days=7), Severity.WARNING, id="7 days"),
    pytest.param(timedelta(hours=24), Severity.CRITICAL, id="24 hours"),
    pytest.param(timedelta(0), Severity.CRITICAL, id="now"),
    pytest.param(timedelta(days=-400), Severity.CRITICAL, id="long ago"),
]


@pytest.mark.parametrize(("remaining", "severity"), EXPIRY)
def test_a_certificate_is_graver_the_nearer_its_end(remaining: timedelta, severity: Severity | None) -> None:
    found = run(certificate(remaining))
    assert [(each.name, each.severity) for each in found] == ([("CertificateExpiry", severity)] if severity else [])


@pytest.mark.parametrize(("remaining", "severity"), EXPIRY)
def test_the_servers_own_certificate_is_judged_alike(remaining: timedelta, severity: Severity | None) -> None:
    found = certificate_of_server(NOW + remaining, "api.example.com:6443", NOW)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all(each.about.key == "APIServer/api.example.com:6443" for each in found)


@pytest.mark.parametrize(
    ("remaining", "words"),
    [(timedelta(hours=2), "ends on 2026-11-23 14:00 UTC"), (timedelta(hours=-2), "ended on 2026-11-23 10:00 UTC")],
    ids=["ahead", "past"],
)
def test_the_end_is_told(remaining: timedelta, words: str) -> None:
    (found,) = run(certificate(remaining))
    assert found.summary == f"Certificate web {words}"
    assert found.causes == ("Secret/shop/web-tls",)


def test_a_certificate_is_not_told_before_its_renewal_is_due() -> None:
    assert run(certificate(timedelta(hours=6), renewal=timedelta(hours=2))) == ()


def test_a_late_renewal_counts_from_when_it_was_due() -> None:
    (found,) = run(certificate(timedelta(hours=6), renewal=timedelta(hours=-2)))
    assert (found.since, found.age_seconds) == (NOW - timedelta(hours=2), 3600)


def test_a_certificate_that_is_not_ready_is_told_in_the_issuers_words() -> None:
    (found,) = run(certificate(ready="False"))
    assert (found.name, found.since, found.age_seconds) == ("CertificateNotReady", THEN, 900)
    assert found.summary == "Certificate web is not ready: issuer not found"


def test_certificates_of_other_groups_are_left_alone() -> None:
    body = {**certificate(timedelta(hours=1), ready="False"), "apiVersion": "networking.internal.knative.dev/v1alpha1"}
    assert run(body) == ()


@pytest.mark.parametrize(
    ("ratio", "severity"),
    [
        (0.849, None),
        (0.85, Severity.INFO),
        (0.9499, Severity.INFO),
        (0.95, Severity.WARNING),
        (1.0, Severity.WARNING),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_a_volume_is_graver_the_fuller_it_is(ratio: float, severity: Severity | None) -> None:
    found = volume_conditions([VolumeSample(namespace="shop", claim="data", used_ratio=ratio)], NOW)
    assert [each.severity for each in found] == ([severity] if severity else [])


def test_the_fullest_sample_of_a_claim_counts() -> None:
    samples = [VolumeSample(namespace="shop", claim="data", used_ratio=ratio) for ratio in (0.2, 0.999, 0.9)]
    (found,) = volume_conditions(samples, NOW)
    assert found.summary == "The volume of PersistentVolumeClaim data is 99 % full"
    assert found.causes == ("PersistentVolumeClaim/shop/data",)


def test_an_old_sample_says_nothing_about_now() -> None:
    old = VolumeSample(namespace="shop", claim="data", used_ratio=0.99, at=NOW - timedelta(minutes=16))
    assert volume_conditions([old], NOW) == ()


def test_a_sample_without_a_claim_is_none() -> None:
    assert volume_sample({"namespace": "shop"}, 0.9, NOW) is None
    assert volume_sample({"namespace": "shop", "persistentvolumeclaim": "data"}, 0.9, NOW) == VolumeSample(
        namespace="shop", claim="data", used_ratio=0.9, at=NOW
    )


TOLD = [
    pytest.param(autoscaler(current=5, desired=5), "hpa_at_maximum", id="hpa_at_maximum"),
    pytest.param(workload(replicas=1), "single_replica", id="single_replica"),
    pytest.param(workload("DaemonSet", 1, "nginx"), "image_latest", id="image_latest"),
    pytest.param(certificate(timedelta(hours=1)), "certificate_expiry", id="certificate_expiry"),
]


@pytest.mark.parametrize(("body", "check"), TOLD)
def test_a_check_runs_only_where_asked_for(body: dict[str, Any], check: str) -> None:
    assert len(checks(body["kind"], body, AROUND, frozenset({check}))) == 1
    assert checks(body["kind"], body, AROUND, ALL - {check}) == ()


@pytest.mark.parametrize(("body", "check"), TOLD)
def test_what_is_being_deleted_is_not_checked(body: dict[str, Any], check: str) -> None:
    assert checks(body["kind"], {**body, "metadata": {"deletionTimestamp": STAMP}}, AROUND, frozenset({check})) == ()


@pytest.mark.parametrize(("body", "check"), TOLD)
def test_every_check_is_proactive_and_has_a_known_name(body: dict[str, Any], check: str) -> None:
    assert all(found.proactive and found.name in NAMES for found in run(body)), check
