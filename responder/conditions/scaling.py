"""What keeps a HorizontalPodAutoscaler from scaling, and a PodDisruptionBudget from protecting.

An autoscaler at its maximum is no fault yet and is told by `proactive`.
Fields: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/ and
https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import (
    StatusCondition,
    is_deleted,
    is_observed,
    sentence,
    status_condition,
)
from responder.domain.manifest import Manifest, dig, number, ref_of, text

NAMES: Mapping[str, str] = {
    "BudgetSelectsNothing": "A PodDisruptionBudget selects no pod",
    "BudgetSyncFailed": "The state of a PodDisruptionBudget cannot be worked out, so it allows no disruption",
    "BudgetUnmet": "Fewer pods are healthy than a PodDisruptionBudget asks for",
    "HpaNotScaling": "A HorizontalPodAutoscaler cannot read its metrics or cannot scale its target",
}

NOT_SCALING_SECONDS = 300.0
UNMET_SECONDS = 600.0
SYNC_FAILED_SECONDS = 300.0
SELECTS_NOTHING_SECONDS = 900.0

_METRICS_API = re.compile(r"(?:custom\.|external\.)?metrics\.k8s\.io")


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    if is_deleted(body):
        return ()
    match text(body, "kind"):
        case "HorizontalPodAutoscaler":
            return tuple(_not_scaling(body))
        case "PodDisruptionBudget":
            return tuple(_budget(body))
        case _:
            return ()


def _not_scaling(body: Manifest) -> Iterator[Condition]:
    found = next((each for each in _hindrances(body)), None)
    if found is None:
        return
    # Whoever serves the metrics API serves it to every autoscaler.
    group = _METRICS_API.search(found.message)
    yield Condition(
        name="HpaNotScaling",
        about=ref_of(body),
        summary=sentence(f"HorizontalPodAutoscaler {text(body, 'metadata', 'name')} does not scale", found.words),
        since=found.since,
        age_seconds=NOT_SCALING_SECONDS,
        causes=(f"APIGroup/{group[0]}",) if group else (),
    )


def _hindrances(body: Manifest) -> Iterator[StatusCondition]:
    for kind in ("AbleToScale", "ScalingActive"):
        found = status_condition(body, kind)
        # ScalingDisabled: somebody scaled the target to 0, which turns the autoscaler off.
        if found.denied and found.reason != "ScalingDisabled":
            yield found


def _budget(body: Manifest) -> Iterator[Condition]:
    name, allowed = text(body, "metadata", "name"), status_condition(body, "DisruptionAllowed")
    if allowed.denied and allowed.reason == "SyncFailed":
        yield Condition(
            name="BudgetSyncFailed",
            about=ref_of(body),
            summary=sentence(f"PodDisruptionBudget {name} cannot be worked out and allows nothing", allowed.message),
            since=allowed.since,
            age_seconds=SYNC_FAILED_SECONDS,
        )
        return
    if not is_observed(body) or not isinstance(dig(body, "status", "expectedPods"), int):
        return
    if number(body, "status", "expectedPods") == 0:
        yield from _selects_nothing(body)
        return
    healthy, wanted = number(body, "status", "currentHealthy"), number(body, "status", "desiredHealthy")
    if healthy < wanted:
        yield Condition(
            name="BudgetUnmet",
            about=ref_of(body),
            summary=f"PodDisruptionBudget {name} asks for {wanted} healthy pods and has {healthy}",
            since=allowed.since if allowed.denied else None,
            age_seconds=UNMET_SECONDS,
        )


def _selects_nothing(body: Manifest) -> Iterator[Condition]:
    # A budget without a selector protects nothing on purpose.
    if not isinstance(dig(body, "spec", "selector"), Mapping):
        return
    yield Condition(
        name="BudgetSelectsNothing",
        about=ref_of(body),
        severity=Severity.INFO,
        summary=f"PodDisruptionBudget {text(body, 'metadata', 'name')} selects no pod",
        age_seconds=SELECTS_NOTHING_SECONDS,
    )
