"""What keeps an autoscaler from scaling and a budget from protecting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.model import Severity, Surroundings
from responder.conditions.scaling import NAMES, conditions

AROUND = Surroundings(now=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
STAMP = "2026-11-23T11:40:00Z"
THEN = datetime(2026, 11, 23, 11, 40, tzinfo=UTC)


def entry(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": STAMP}


def autoscaler(*listed: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", "uid": "u-1"}
    return {"kind": "HorizontalPodAutoscaler", "metadata": metadata, "status": {"conditions": list(listed)}}


def budget(*listed: dict[str, Any], selector: Any = None, **status: Any) -> dict[str, Any]:
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}} if selector is None else selector},
        "status": {"observedGeneration": 1, "conditions": list(listed), **status},
    }


READY = entry("AbleToScale", "True", "ReadyForNewScale")
NO_METRICS = entry(
    "ScalingActive",
    "False",
    "FailedGetResourceMetric",
    "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource"
    " cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get"
    " pods.metrics.k8s.io)",
)
NO_REQUEST = entry("ScalingActive", "False", "FailedGetResourceMetric", "missing request for cpu in container web")
NO_TARGET = entry("AbleToScale", "False", "FailedGetScale", 'deployments.apps "web" not found')


@pytest.mark.parametrize(
    ("body", "causes"),
    [
        pytest.param(autoscaler(READY, NO_METRICS), ("APIGroup/metrics.k8s.io",), id="no metrics API"),
        pytest.param(autoscaler(READY, NO_REQUEST), (), id="no request"),
        pytest.param(autoscaler(NO_TARGET), (), id="no target"),
        pytest.param(autoscaler(NO_METRICS, NO_TARGET), (), id="both: the target first"),
    ],
)
def test_an_autoscaler_that_cannot_scale_is_told(body: dict[str, Any], causes: tuple[str, ...]) -> None:
    (found,) = conditions(body, AROUND)
    assert (found.name, found.age_seconds, found.since) == ("HpaNotScaling", 300, THEN)
    assert found.causes == causes


def test_an_autoscaler_is_told_in_the_servers_words() -> None:
    (found,) = conditions(autoscaler(NO_TARGET), AROUND)
    assert found.summary == 'HorizontalPodAutoscaler web does not scale: deployments.apps "web" not found'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(budget(expectedPods=3, currentHealthy=1, desiredHealthy=2), {"BudgetUnmet": 600}, id="unmet"),
        pytest.param(budget(expectedPods=0, desiredHealthy=1), {"BudgetSelectsNothing": 900}, id="selects nothing"),
        pytest.param(budget(selector={}, expectedPods=0), {"BudgetSelectsNothing": 900}, id="an empty namespace"),
        pytest.param(
            budget(entry("DisruptionAllowed", "False", "SyncFailed", "found no controllers for pod"), expectedPods=0),
            {"BudgetSyncFailed": 300},
            id="cannot be worked out",
        ),
    ],
)
def test_a_budget_that_does_not_protect_is_told(body: dict[str, Any], told: dict[str, float]) -> None:
    found = conditions(body, AROUND)
    assert {each.name: each.age_seconds for each in found} == told
    assert {*told, "HpaNotScaling"} <= set(NAMES)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(autoscaler(READY, entry("ScalingActive", "True", "ValidMetricFound")), id="scales"),
        pytest.param(
            autoscaler(READY, entry("ScalingActive", "False", "ScalingDisabled")), id="target scaled to nothing"
        ),
        pytest.param(autoscaler(entry("ScalingLimited", "True", "TooManyReplicas")), id="at its maximum"),
        pytest.param(autoscaler(), id="new"),
        pytest.param(budget(expectedPods=3, currentHealthy=2, desiredHealthy=2), id="just met"),
        pytest.param(budget(), id="not looked at yet"),
        pytest.param(budget(selector=[], expectedPods=0), id="no selector"),
        pytest.param(budget(expectedPods=3, desiredHealthy=2, observedGeneration=0), id="status of an older spec"),
        pytest.param(
            budget(entry("DisruptionAllowed", "False", "InsufficientPods"), expectedPods=2, currentHealthy=2),
            id="no room",
        ),
        pytest.param({**autoscaler(NO_TARGET), "metadata": {"deletionTimestamp": STAMP}}, id="being deleted"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_is_as_it_should_be_is_not_told(body: dict[str, Any]) -> None:
    assert conditions(body, AROUND) == ()


def test_a_budget_that_selects_nothing_is_information() -> None:
    (found,) = conditions(budget(expectedPods=0), AROUND)
    assert found.severity is Severity.INFO


def test_an_unmet_budget_gives_its_numbers() -> None:
    body = budget(
        entry("DisruptionAllowed", "False", "InsufficientPods"), expectedPods=3, currentHealthy=1, desiredHealthy=2
    )
    (found,) = conditions(body, AROUND)
    assert found.summary == "PodDisruptionBudget web asks for 2 healthy pods and has 1"
