"""Events as kubelets and controllers write them, in both forms, and which of them are trouble of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.conditions import (
    NAMES,
    events,
    jobs,
    namespaces,
    nodes,
    pods,
    proactive,
    scaling,
    services,
    storage,
    workloads,
)
from responder.conditions.events import (
    EVENT_SECONDS,
    SHARED_NAMES,
    TRIGGERS,
    EventType,
    condition_of_event,
    occurred_at,
)
from responder.conditions.model import Condition, Severity

Json = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def about(kind: str) -> Json:
    """The object that an event is about. A kubelet gives the name of its node as the uid."""
    if kind == "Node":
        return {"kind": "Node", "name": "worker-1", "uid": "worker-1"}
    where = {} if kind == "PersistentVolume" else {"namespace": "shop"}
    return {"kind": kind, "name": "web", "uid": "u-web", **where}


def event(
    reason: str, kind: str = "Pod", message: str = "", *, of_type: str = "Warning", first: float = 500.0, **more: Any
) -> Json:
    """core/v1, last seen a minute ago."""
    return {
        "kind": "Event",
        "metadata": {"name": "web.17a", "namespace": "shop", "creationTimestamp": at(first)},
        "type": of_type,
        "reason": reason,
        "message": message,
        "involvedObject": about(kind),
        "source": {"component": "kubelet", "host": "worker-1"},
        "firstTimestamp": at(first),
        "lastTimestamp": at(60),
        "eventTime": None,
        "count": 12,
        **more,
    }


def newer_event(reason: str, kind: str = "Pod", message: str = "", *, of_type: str = "Warning", **more: Any) -> Json:
    """events.k8s.io/v1: the old times are null."""
    return {
        "kind": "Event",
        "metadata": {"name": "web.17a", "namespace": "shop", "creationTimestamp": at(300)},
        "type": of_type,
        "reason": reason,
        "note": message,
        "regarding": about(kind),
        "deprecatedFirstTimestamp": None,
        "deprecatedLastTimestamp": None,
        "eventTime": (NOW - timedelta(seconds=300)).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "series": {"count": 4, "lastObservedTime": at(30)},
        "reportingController": "kubelet",
        **more,
    }


def triggered(body: Json) -> Condition:
    found = condition_of_event(body, NOW)
    assert found is not None
    return found


EVERY_TRIGGER = [
    (reason, kind, "Normal" if trigger.type is EventType.NORMAL else "Warning")
    for reason, trigger in TRIGGERS.items()
    for kind in sorted(trigger.kinds)
]


@pytest.mark.parametrize(("reason", "kind", "of_type"), EVERY_TRIGGER, ids=[f"{r}-{k}" for r, k, _ in EVERY_TRIGGER])
@pytest.mark.parametrize("form", [event, newer_event], ids=["core", "events.k8s.io"])
def test_a_trigger_in_either_form_is_a_condition_of_its_object(form: Any, reason: str, kind: str, of_type: str) -> None:
    body = form(reason, kind, "the server's words", of_type=of_type)
    if reason == "NoPods":
        body["eventTime" if form is newer_event else "firstTimestamp"] = at(580)

    found = triggered(body)

    assert found.name == TRIGGERS[reason].name
    assert (found.about.kind, found.about.name) == (kind, about(kind)["name"])
    assert found.about.namespace == about(kind).get("namespace", "")
    assert found.summary.endswith(": the server's words")


EVIDENCE = [
    ("Failed", "Pod", "Warning"),
    ("BackOff", "Pod", "Warning"),
    ("BackOff", "Pod", "Normal"),
    ("Unhealthy", "Pod", "Warning"),
    ("InspectFailed", "Pod", "Warning"),
    ("ErrImageNeverPull", "Pod", "Warning"),
    ("Evicted", "Pod", "Warning"),
    ("Killing", "Pod", "Normal"),
    ("Pulled", "Pod", "Normal"),
    ("Started", "Pod", "Normal"),
    ("FailedScheduling", "Pod", "Warning"),
    ("Scheduled", "Pod", "Normal"),
    ("NodeNotReady", "Pod", "Warning"),
    ("NodeNotReady", "Node", "Normal"),
    ("NodeReady", "Node", "Normal"),
    ("RegisteredNode", "Node", "Normal"),
    ("RemovingNode", "Node", "Normal"),
    ("DeletingAllPods", "Node", "Normal"),
    ("DNSConfigForming", "Pod", "Warning"),
    ("ExceededGracePeriod", "Pod", "Warning"),
    ("ProbeWarning", "Pod", "Warning"),
    ("ScalingReplicaSet", "Deployment", "Normal"),
    ("BackoffLimitExceeded", "Job", "Warning"),
    ("DeadlineExceeded", "Job", "Warning"),
    ("PodFailurePolicy", "Job", "Warning"),
    ("MaxFailedIndexesExceeded", "Job", "Warning"),
    ("FailedIndexes", "Job", "Warning"),
    ("Completed", "Job", "Normal"),
    ("FailedGetResourceMetric", "HorizontalPodAutoscaler", "Warning"),
    ("FailedComputeMetricsReplicas", "HorizontalPodAutoscaler", "Warning"),
    ("FailedGetScale", "HorizontalPodAutoscaler", "Warning"),
    ("AmbiguousSelector", "HorizontalPodAutoscaler", "Warning"),
    ("SuccessfulRescale", "HorizontalPodAutoscaler", "Normal"),
    ("ClaimLost", "PersistentVolumeClaim", "Warning"),
    ("WaitForFirstConsumer", "PersistentVolumeClaim", "Normal"),
    ("ExternalProvisioning", "PersistentVolumeClaim", "Normal"),
    ("ProvisioningSucceeded", "PersistentVolumeClaim", "Normal"),
    ("FailedToUpdateEndpointSlices", "Service", "Warning"),
    ("PortAlreadyAllocated", "Service", "Warning"),
    ("OwnerRefInvalidNamespace", "ConfigMap", "Warning"),
    ("", "Pod", "Warning"),
]


@pytest.mark.parametrize(("reason", "kind", "of_type"), EVIDENCE, ids=["-".join(case) for case in EVIDENCE])
def test_what_a_status_tells_as_well_is_evidence_only(reason: str, kind: str, of_type: str) -> None:
    assert condition_of_event(event(reason, kind, "x", of_type=of_type), NOW) is None


@pytest.mark.parametrize(
    ("reason", "kind", "of_type"),
    [("FailedMount", "Pod", "Normal"), ("Preempted", "Pod", "Warning"), ("FailedCreate", "Gadget", "Warning")],
    ids=["normal-where-warnings-count", "warning-where-normal-counts", "another-kind"],
)
def test_a_reason_with_another_type_or_kind_is_another_thing(reason: str, kind: str, of_type: str) -> None:
    assert condition_of_event(event(reason, kind, of_type=of_type), NOW) is None


@pytest.mark.parametrize("of_type", ["Normal", "Warning"])
def test_a_claim_that_cannot_be_bound_is_told_by_either_type(of_type: str) -> None:
    message = "no persistent volumes available for this claim and no storage class is set"

    assert triggered(event("FailedBinding", "PersistentVolumeClaim", message, of_type=of_type)).name == "FailedBinding"


def test_an_eviction_that_is_called_off_is_none() -> None:
    message = "Cancelling deletion of Pod shop/web"

    assert condition_of_event(event("TaintManagerEviction", message=message, of_type="Normal"), NOW) is None


# --- times ---


def test_an_event_counts_until_ten_minutes_after_its_last_occurrence() -> None:
    body = event("FailedMount")
    last = NOW - timedelta(seconds=60)

    assert condition_of_event(body, last + timedelta(seconds=EVENT_SECONDS)) is not None
    assert condition_of_event(body, last + timedelta(seconds=EVENT_SECONDS + 1)) is None


def test_an_event_that_happened_once_may_have_been_too_early_by_a_second() -> None:
    once = event("FailedMount", first=60, count=1)

    assert condition_of_event(once, NOW) is None
    assert condition_of_event(once | {"lastTimestamp": at(10)}, NOW) is not None


def test_what_is_not_tried_again_counts_at_once() -> None:
    assert triggered(event("SystemOOM", "Node", first=60, count=1)).since == NOW - timedelta(seconds=60)


def test_occurrences_within_ten_minutes_are_one_thing_and_far_apart_ones_are_not() -> None:
    assert triggered(event("FailedMount", first=500)).since == NOW - timedelta(seconds=500)
    assert triggered(event("FailedMount", first=50_000)).since == NOW - timedelta(seconds=60)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"firstTimestamp": at(90), "lastTimestamp": at(10)}, 10),
        ({"firstTimestamp": None, "lastTimestamp": None, "eventTime": at(40)}, 40),
        ({"eventTime": at(40), "series": {"count": 3, "lastObservedTime": at(20)}}, 20),
        ({"eventTime": at(40), "series": None}, 40),
        ({"deprecatedFirstTimestamp": at(90), "deprecatedLastTimestamp": at(30)}, 30),
        ({"firstTimestamp": "0001-01-01T00:00:00Z", "metadata": {"creationTimestamp": at(70)}}, 70),
    ],
    ids=["core", "event-time", "series", "null-series", "deprecated", "zero-time"],
)
def test_the_last_occurrence_is_found_in_every_form(body: Json, expected: float) -> None:
    assert occurred_at(body) == NOW - timedelta(seconds=expected)


def test_an_event_without_any_time_has_not_occurred() -> None:
    assert occurred_at({"metadata": {}}) is None
    assert condition_of_event({"reason": "SystemOOM", "type": "Warning", "involvedObject": about("Node")}, NOW) is None


def test_a_reporter_whose_clock_is_ahead_is_not_believed() -> None:
    ahead = event("SystemOOM", "Node", lastTimestamp="2099-01-01T00:00:00Z", eventTime=None)

    assert triggered(ahead).since == NOW - timedelta(seconds=500)
    assert condition_of_event(ahead, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize("count", [2**31, -1, None, "many"])
def test_a_count_of_any_sort_is_no_matter(count: Any) -> None:
    assert triggered(event("FailedMount", count=count)).name == "FailedMount"


# --- what it is about, and what is to blame ---

BLAMED = [
    (
        "FailedMount",
        "Pod",
        'MountVolume.SetUp failed for volume "c" : configmap "app" not found',
        ("ConfigMap/shop/app",),
    ),
    ("FailedMount", "Pod", 'MountVolume.SetUp failed for volume "s" : secret "tls" not found', ("Secret/shop/tls",)),
    ("FailedMount", "Pod", 'persistentvolumeclaim "data" not found', ("PersistentVolumeClaim/shop/data",)),
    ("FailedAttachVolume", "Pod", 'Multi-Attach error for volume "pvc-1" Volume is used', ("PersistentVolume/pvc-1",)),
    (
        "FailedCreate",
        "ReplicaSet",
        'Error creating: pods "web-" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=2',
        ("ResourceQuota/shop/compute",),
    ),
    (
        "FailedCreate",
        "StatefulSet",
        'error looking up service account shop/robot: serviceaccount "robot" not found',
        ("ServiceAccount/shop/robot",),
    ),
    ("FailedCreate", "Job", 'failed calling webhook "policy.example.com": timeout', ("webhook/policy.example.com",)),
    ("FailedCreatePodSandBox", "Pod", "plugin type calico failed", ("Node/worker-1",)),
    ("SystemOOM", "Node", "System OOM encountered, victim process: java", ("Node/worker-1",)),
    (
        "ProvisioningFailed",
        "PersistentVolumeClaim",
        'storageclass.storage.k8s.io "fast" not found',
        ("StorageClass/fast", "PersistentVolumeClaim/shop/web"),
    ),
    (
        "FailedToRetrieveImagePullSecret",
        "Pod",
        "Unable to retrieve some image pull secrets (regcred, other); attempting to pull the image may not succeed.",
        ("Secret/shop/regcred", "Secret/shop/other"),
    ),
    ("FailedMount", "Pod", "timed out waiting for the condition", ()),
]


@pytest.mark.parametrize(("reason", "kind", "message", "causes"), BLAMED, ids=[f"{b[0]}-{b[3]}" for b in BLAMED])
def test_the_message_names_the_causes(reason: str, kind: str, message: str, causes: tuple[str, ...]) -> None:
    assert triggered(event(reason, kind, message)).causes == causes


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"])
def test_pods_that_are_refused_have_the_name_that_the_workload_gives_it(kind: str) -> None:
    found = triggered(event("FailedCreate", kind))

    assert (found.name, found.about.uid) == ("ReplicaFailure", "u-web")
    assert found.name in workloads.NAMES


def test_the_uid_of_a_node_that_is_its_name_is_no_uid() -> None:
    assert triggered(event("Rebooted", "Node")).about.uid == ""


def test_the_node_of_an_event_is_not_taken_from_another_component() -> None:
    body = newer_event("NetworkNotReady", reportingComponent="cni-operator", reportingInstance="cni-operator-0")

    assert triggered(body).causes == ()


def test_the_container_is_read_from_the_field_path() -> None:
    body = event("FailedPostStartHook")
    body["involvedObject"]["fieldPath"] = "spec.containers{web}"

    assert (triggered(body).name, triggered(body).container) == ("PostStartHookError", "web")


def test_a_left_out_run_of_a_cron_job_is_a_word_and_no_alarm() -> None:
    body = event("JobAlreadyActive", "CronJob", "Not starting job because prior execution is running", of_type="Normal")

    assert triggered(body).severity is Severity.INFO


# --- names ---


def test_every_trigger_has_its_name_in_the_list() -> None:
    assert {trigger.name for trigger in TRIGGERS.values()} <= set(NAMES)


def test_a_name_is_described_once() -> None:
    rooms = (pods, workloads, jobs, services, storage, scaling, nodes, namespaces, events, proactive)
    described = [name for room in rooms for name in room.NAMES]

    assert sorted(described) == sorted(set(described))


def test_names_that_an_event_shares_with_a_status_are_described_there() -> None:
    assert {trigger.name for trigger in TRIGGERS.values()} >= SHARED_NAMES
    assert set(NAMES) - set(events.NAMES) >= SHARED_NAMES


# --- any JSON ---

KEYS = st.sampled_from(sorted({*event("x"), *newer_event("x"), *about("Pod"), "lastObservedTime", "fieldPath", "host"}))
TIMES = [at(5), at(-5), at(900), "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "2026-13-99T99:99:99Z"]
WORDS = st.sampled_from([*TRIGGERS, "Warning", "Normal", "Pod", "Node", "ReplicaSet", "x\ud800", *TIMES])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
EVENTS = st.fixed_dictionaries(
    {"reason": st.sampled_from(list(TRIGGERS)), "type": WORDS, "involvedObject": JSON},
    optional=dict.fromkeys(("message", "eventTime", "series", "firstTimestamp", "lastTimestamp", "metadata"), JSON),
)


@given(body=EVENTS | JSON)
def test_no_json_in_the_place_of_an_event_makes_it_fail(body: Any) -> None:
    occurred_at(body)
    found = condition_of_event(body, NOW)
    assert found is None or found.name in NAMES


@given(change=st.fixed_dictionaries({}, optional=dict.fromkeys(event("x"), JSON)))
def test_no_field_of_an_event_makes_it_fail(change: Json) -> None:
    found = condition_of_event(event("FailedMount") | change, NOW)
    assert found is None or found.about.kind
