"""Namespaces that do not go away, and quotas that are used up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.model import Severity, Surroundings
from responder.conditions.namespaces import NAMES, conditions

AROUND = Surroundings(now=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
CONTENT = ("NamespaceContentRemaining", "Some resources are remaining: widgets.example.com has 1 resource instances")
FINALIZERS = (
    "NamespaceFinalizersRemaining",
    "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances",
)
DISCOVERY = (
    "NamespaceDeletionDiscoveryFailure",
    "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs:"
    " metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1",
)


def namespace(*listed: tuple[str, str], phase: str = "Terminating", deleted: bool = True) -> dict[str, Any]:
    stamp = {"deletionTimestamp": "2026-11-23T11:40:00Z"} if deleted else {}
    entries = [{"type": kind, "status": "True", "message": message} for kind, message in listed]
    return {
        "kind": "Namespace",
        "metadata": {"name": "shop", "uid": "u-1", **stamp},
        "status": {"phase": phase, "conditions": entries},
    }


def quota(used: dict[str, Any], hard: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "compute", "namespace": "shop", "uid": "u-1"}
    return {"kind": "ResourceQuota", "metadata": metadata, "status": {"used": used, "hard": hard}}


def test_a_terminating_namespace_counts_from_its_deletion() -> None:
    (found,) = conditions(namespace(CONTENT), AROUND)
    assert (found.name, found.age_seconds) == ("NamespaceTerminatingStuck", 300)
    assert found.since == datetime(2026, 11, 23, 11, 40, tzinfo=UTC)
    assert found.causes == ("Namespace/shop",)


def test_a_terminating_namespace_says_what_keeps_it() -> None:
    (found,) = conditions(namespace(CONTENT, FINALIZERS), AROUND)
    assert found.summary == f"Namespace shop does not go away: {FINALIZERS[1]}; {CONTENT[1]}"


def test_a_broken_api_that_keeps_a_namespace_is_its_cause() -> None:
    (found,) = conditions(namespace(CONTENT, DISCOVERY), AROUND)
    assert found.causes == ("APIGroup/metrics.k8s.io", "Namespace/shop")


def test_a_deletion_time_without_the_phase_is_enough() -> None:
    assert len(conditions(namespace(phase="Active"), AROUND)) == 1


@pytest.mark.parametrize(
    ("used", "hard", "full"),
    [
        pytest.param({"pods": "10"}, {"pods": "10"}, "pods 10 of 10", id="full"),
        pytest.param({"pods": 10}, {"pods": 10}, "pods 10 of 10", id="numbers"),
        pytest.param({"limits.memory": "2Gi"}, {"limits.memory": "1024Mi"}, "limits.memory 2Gi of 1024Mi", id="over"),
        pytest.param(
            {"cpu": "2", "pods": "3", "secrets": "1"},
            {"cpu": "2000m", "pods": "3", "secrets": "2"},
            "cpu 2 of 2000m, pods 3 of 3",
            id="two of three",
        ),
        pytest.param(
            {str(n): "1" for n in range(7)},
            {str(n): "1" for n in range(7)},
            "0 1 of 1, 1 1 of 1, 2 1 of 1, 3 1 of 1, 4 1 of 1 and 2 more",
            id="many",
        ),
    ],
)
def test_a_used_up_quota_names_what_is_full(used: dict[str, Any], hard: dict[str, Any], full: str) -> None:
    (found,) = conditions(quota(used, hard), AROUND)
    assert (found.name, found.severity, found.age_seconds) == ("QuotaExhausted", Severity.INFO, 300)
    assert found.summary == f"ResourceQuota compute is used up: {full}"
    assert found.causes == ("ResourceQuota/shop/compute",)
    assert {found.name, "NamespaceTerminatingStuck"} == set(NAMES)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(namespace(phase="Active", deleted=False), id="active namespace"),
        pytest.param(quota({"pods": "9"}, {"pods": "10"}), id="room left"),
        pytest.param(
            quota({"services.loadbalancers": "0"}, {"services.loadbalancers": "0"}), id="forbidden on purpose"
        ),
        pytest.param(quota({}, {"pods": "10"}), id="not counted yet"),
        pytest.param(quota({"pods": "many"}, {"pods": "10"}), id="no quantity"),
        pytest.param(quota({"pods": True}, {"pods": 1}), id="another shape"),
        pytest.param({}, id="nothing"),
    ],
)
def test_nothing_else_is_told(body: dict[str, Any]) -> None:
    assert conditions(body, AROUND) == ()
