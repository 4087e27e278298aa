"""Objects come from many writers: whatever their shape, the conditions are told or not, and nothing is raised."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder.conditions import (
    jobs,
    namespaces,
    nodes,
    proactive,
    scaling,
    services,
    storage,
    workloads,
)
from responder.conditions.model import Endpoints, Surroundings
from responder.settings import Check

KINDS: Mapping[str, Any] = {
    "Deployment": workloads,
    "StatefulSet": workloads,
    "DaemonSet": workloads,
    "ReplicaSet": workloads,
    "Job": jobs,
    "CronJob": jobs,
    "Service": services,
    "PersistentVolumeClaim": storage,
    "HorizontalPodAutoscaler": scaling,
    "PodDisruptionBudget": scaling,
    "Node": nodes,
    "Namespace": namespaces,
    "ResourceQuota": namespaces,
}
CHECKED = ("HorizontalPodAutoscaler", "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Certificate")

WORDS = st.sampled_from(
    [
        *("True", "False", "Unknown", "Pending", "Lost", "Terminating", "LoadBalancer", "ExternalName", "OnDelete"),
        *("Ready", "Available", "Progressing", "ReplicaFailure", "Failed", "AbleToScale", "ScalingActive", "Suspended"),
        *("MemoryPressure", "NetworkUnavailable", "FileSystemResizePending", "DisruptionAllowed", "SyncFailed"),
        *("ScalingLimited", "TooManyReplicas", "ReplicaSetCreateError", "10", "1Gi", "0", "-1", "@daily", "x\ud800"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-23T11:40:00Z", "2026-13-99T99:99:99Z"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


STAMP = "2026-11-23T11:40:00Z"
METADATA = {
    "name": "web",
    "namespace": "shop",
    "uid": "u-1",
    "generation": 2,
    "creationTimestamp": "2026-11-01T00:00:00Z",
}
CONTAINERS = {
    "initContainers": [{"name": "prepare", "image": "busybox"}],
    "containers": [{"name": "c", "image": "web"}],
}


def entry(kind: str, status: str, reason: str = "Because", message: str = "words") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": STAMP}


def body(spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {**METADATA, **metadata}, "spec": spec, "status": {"observedGeneration": 2, **status}}


def workload(*listed: dict[str, Any], **status: Any) -> dict[str, Any]:
    spec = {"replicas": 3, "paused": True, "updateStrategy": {"type": "x", "rollingUpdate": {"partition": 1}}}
    counts = {"readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
    return body({**spec, "template": {"spec": CONTAINERS}}, {**counts, **status, "conditions": list(listed)})


REFUSED = entry("ReplicaFailure", "True", "FailedCreate", 'exceeded quota: compute, serviceaccount "web" not found')
SAMPLES: Mapping[str, dict[str, Any]] = {
    "Deployment": workload(entry("Progressing", "False"), entry("Available", "False"), REFUSED),
    "StatefulSet": workload(),
    "DaemonSet": workload(desiredNumberScheduled=3, numberReady=1, updatedNumberScheduled=1, numberMisscheduled=1),
    "ReplicaSet": workload(REFUSED),
    "Job": body({"suspend": True}, {"conditions": [entry("Failed", "True")], "startTime": STAMP, "failed": 1}),
    "CronJob": body(
        {"schedule": "TZ=UTC 0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": CONTAINERS}}}},
        {"lastScheduleTime": STAMP, "lastSuccessfulTime": "2026-11-01T00:00:00Z", "active": [{}, {}, {}]},
    ),
    "Service": body(
        {"type": "LoadBalancer", "selector": {"app": "web", "tier": "x"}}, {"loadBalancer": {"ingress": []}}
    ),
    "PersistentVolumeClaim": body(
        {"storageClassName": "fast", "volumeName": "pv-7"},
        {
            "phase": "Pending",
            "conditions": [entry(kind, "True") for kind in ("NodeResizeError", "FileSystemResizePending")],
        },
        annotations={"volume.kubernetes.io/selected-node": "worker-1"},
    ),
    "HorizontalPodAutoscaler": body(
        {"minReplicas": 1, "maxReplicas": 5},
        {
            "currentReplicas": 5,
            "desiredReplicas": 5,
            "conditions": [entry("ScalingActive", "False"), entry("ScalingLimited", "True", "TooManyReplicas")],
        },
    ),
    "PodDisruptionBudget": body(
        {"selector": {}},
        {
            "expectedPods": 3,
            "currentHealthy": 1,
            "desiredHealthy": 2,
            "conditions": [entry("DisruptionAllowed", "False")],
        },
    ),
    "Node": body(
        {"unschedulable": True},
        {
            "conditions": [entry(kind, "True") for kind in ("MemoryPressure", "NetworkUnavailable")]
            + [entry("Ready", "x")]
        },
    ),
    "Namespace": body({}, {"phase": "Terminating", "conditions": [entry("NamespaceContentRemaining", "True")]}),
    "ResourceQuota": body({}, {"used": {"pods": "10", "cpu": 2}, "hard": {"pods": "10", "cpu": "2000m"}}),
    "Certificate": body(
        {"secretName": "web-tls"}, {"notAfter": STAMP, "renewalTime": STAMP, "conditions": [entry("Ready", "False")]}
    ),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


@st.composite
def damaged(draw: st.DrawFn, sample: dict[str, Any]) -> dict[str, Any]:
    """The sample with something else at up to three of its places."""
    found = copy.deepcopy(sample)
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        *way, last = draw(st.sampled_from([path for path in places(found) if path]))
        holder: Any = found
        for key in way:
            holder = holder[key]
        holder[last] = draw(ANYTHING)
    return found


COUNT = st.integers(min_value=-1, max_value=4)
AROUND = st.builds(
    Surroundings,
    now=st.just(datetime(2026, 11, 23, 12, 0, tzinfo=UTC)),
    endpoints=st.none() | st.builds(Endpoints, ready=COUNT, not_ready=COUNT),
    unschedulable_pods=st.none() | COUNT,
    budgeted=st.none() | st.booleans(),
)
CHECKS = frozenset(get_args(Check))

fuzz = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


@pytest.mark.parametrize("kind", KINDS)
@fuzz
@given(data=st.data(), around=AROUND)
def test_conditions_are_total(kind: str, data: st.DataObject, around: Surroundings) -> None:
    module, damage = KINDS[kind], data.draw(damaged(SAMPLES[kind]))
    for found in module.conditions({**damage, "kind": kind}, around):
        assert found.name in module.NAMES
        assert found.summary
        assert not found.proactive


@pytest.mark.parametrize("kind", CHECKED)
@fuzz
@given(data=st.data(), around=AROUND)
def test_checks_are_total(kind: str, data: st.DataObject, around: Surroundings) -> None:
    for found in proactive.checks(kind, data.draw(damaged(SAMPLES[kind])), around, CHECKS):
        assert found.name in proactive.NAMES
        assert found.proactive


@pytest.mark.parametrize("kind", KINDS)
@fuzz
@given(parts=st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), ANYTHING), around=AROUND)
def test_what_is_no_object_raises_nothing(kind: str, parts: dict[str, Any], around: Surroundings) -> None:
    KINDS[kind].conditions({**parts, "kind": kind}, around)
    proactive.checks(kind, parts, around, CHECKS)
