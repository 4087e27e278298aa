"""Objects without pods: what their own status says, and when that ends an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from responder.analyzer.heuristics.stated import JUDGED_KINDS
from responder.conditions.model import Endpoints
from responder.domain.investigation import Conclusion
from responder.domain.manifest import LiveObject
from responder.domain.refs import CLUSTER_SCOPED, ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.workload import EventRecord

SELECTOR = {"selector": {"app": "web"}}


def condition(kind: str, status: str, **words: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, **words}]}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "HorizontalPodAutoscaler": (
        "HpaNotScaling",
        {"status": condition("ScalingActive", "False", reason="FailedGetResourceMetric", message="no metrics")},
        {"status": condition("ScalingActive", "True")},
    ),
    "Namespace": (
        "NamespaceTerminatingStuck",
        {"metadata": {"deletionTimestamp": "2026-03-01T10:00:00Z"}, "status": {"phase": "Terminating"}},
        {"status": {"phase": "Active"}},
    ),
    "Node": (
        "NodeNotReady",
        {"status": condition("Ready", "False", reason="KubeletNotReady", message="container runtime is down")},
        {"status": condition("Ready", "True")},
    ),
    "PersistentVolumeClaim": ("ClaimLost", {"status": {"phase": "Lost"}}, {"status": {"phase": "Bound"}}),
    "PodDisruptionBudget": (
        "BudgetUnmet",
        {"spec": {"selector": {}}, "status": {"expectedPods": 3, "currentHealthy": 1, "desiredHealthy": 2}},
        {"spec": {"selector": {}}, "status": {"expectedPods": 3, "currentHealthy": 3, "desiredHealthy": 2}},
    ),
    "ResourceQuota": (
        "QuotaExhausted",
        {"status": {"hard": {"pods": "2"}, "used": {"pods": "2"}}},
        {"status": {"hard": {"pods": "2"}, "used": {"pods": "1"}}},
    ),
    "Service": ("ServiceWithoutEndpoints", {"spec": SELECTOR}, {"spec": SELECTOR}),
}
"""Kind -> alert, a body that shows it, and one that does not. A Service is judged by its endpoints."""


def snapshot(now: datetime, kind: str, body: dict[str, Any], *, ready: int | None = None, **fields: Any) -> Snapshot:
    root = ObjectRef(kind=kind, namespace="" if kind in CLUSTER_SCOPED else "shop", name="it", uid="u-it")
    metadata = {"name": "it", "uid": "u-it", "namespace": root.namespace, **body.get("metadata", {})}
    live = LiveObject(ref=root, resource_version="7", generation=1, body={**body, "kind": kind, "metadata": metadata})
    endpoints = None if ready is None else Endpoints(ready=ready)
    return Snapshot(taken_at=now, root=root, live=live, endpoints=endpoints, **fields)


def test_every_kind_has_a_case_here() -> None:
    assert set(CASES) == JUDGED_KINDS


@pytest.mark.parametrize("kind", sorted(JUDGED_KINDS))
def test_what_the_status_says_is_found_with_evidence_and_nothing_is_proposed(build: Any, kind: str) -> None:
    name, wrong, _ = CASES[kind]
    found = build.diagnose(snapshot(build.now, kind, wrong, ready=0), alertname=name)
    assert found.conclusion is Conclusion.FAULT_FOUND
    (finding,) = found.findings
    assert finding.signature == f"stated.{name}"
    assert set(finding.evidence) <= {item.id for item in found.evidence}
    assert finding.evidence
    assert found.proposals == ()


@pytest.mark.parametrize("kind", sorted(JUDGED_KINDS))
def test_a_clean_status_ends_an_alert_that_was_about_the_status(build: Any, kind: str) -> None:
    name, _, clean = CASES[kind]
    found = build.diagnose(snapshot(build.now, kind, clean, ready=1), alertname=name)
    assert (found.conclusion, found.findings, found.proposals) == (Conclusion.RECOVERED, (), ())


@pytest.mark.parametrize(
    ("kind", "alertname"),
    [
        ("PersistentVolumeClaim", "KubePersistentVolumeFillingUp"),
        ("HorizontalPodAutoscaler", "KubeHpaMaxedOut"),
        ("Node", "NodeFilesystemAlmostOutOfSpace"),
        ("ResourceQuota", "KubeQuotaAlmostFull"),
        ("Service", "TargetDown"),
    ],
)
def test_a_clean_status_does_not_end_an_alert_computed_from_metrics(build: Any, kind: str, alertname: str) -> None:
    found = build.diagnose(snapshot(build.now, kind, CASES[kind][2], ready=1), alertname=alertname)
    assert found.conclusion is Conclusion.UNEXPLAINED


def test_a_service_whose_endpoints_could_not_be_read_has_not_recovered(build: Any) -> None:
    found = build.diagnose(snapshot(build.now, "Service", CASES["Service"][2]), alertname="ServiceWithoutEndpoints")
    assert found.conclusion is Conclusion.UNEXPLAINED


def test_the_controllers_newest_words_are_told_beside_it(build: Any) -> None:
    name, wrong, _ = CASES["PersistentVolumeClaim"]
    case = snapshot(build.now, "PersistentVolumeClaim", wrong)
    words = EventRecord(
        type="Warning", reason="VolumeGone", message="pv-7 was deleted", subject=case.root, count=1, last_at=build.now
    )
    found = build.diagnose(replace(case, events=(words,)), alertname=name)
    assert "VolumeGone: pv-7 was deleted" in found.summary
    assert len(found.findings[0].evidence) == 2


def test_a_workload_has_signatures_of_its_own(build: Any) -> None:
    found = build.diagnose(build.broken(build.crashing()), alertname="CrashLoopBackOff")
    assert not [finding for finding in found.findings if finding.signature.startswith("stated.")]
