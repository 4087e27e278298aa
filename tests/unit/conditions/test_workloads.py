"""What workloads say about themselves, as their controllers write it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.workloads import NAMES, conditions

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AROUND = Surroundings(now=NOW)
STAMP = "2026-11-23T11:40:00Z"
THEN = datetime(2026, 11, 23, 11, 40, tzinfo=UTC)

AVAILABLE = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
UNAVAILABLE = {
    "type": "Available",
    "status": "False",
    "reason": "MinimumReplicasUnavailable",
    "message": "Deployment does not have minimum availability.",
    "lastTransitionTime": STAMP,
}
DONE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
ROLLING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
LATE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "web-7d4" has timed out progressing.',
    "lastTransitionTime": STAMP,
}
PAUSED = {"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "lastTransitionTime": STAMP}


def refused(message: str, *, reason: str = "FailedCreate", kind: str = "ReplicaFailure") -> dict[str, Any]:
    status = "True" if kind == "ReplicaFailure" else "False"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": STAMP}


def workload(kind: str, *, spec: dict[str, Any] | None = None, observed: int = 3, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "generation": 3},
        "spec": {"replicas": 3, **(spec or {})},
        "status": {"observedGeneration": observed, **status},
    }


def deployment(*listed: dict[str, Any], ready: int = 3, updated: int = 3, **spec: Any) -> dict[str, Any]:
    return workload(
        "Deployment",
        spec=spec,
        replicas=3,
        readyReplicas=ready,
        updatedReplicas=updated,
        availableReplicas=ready,
        conditions=list(listed),
    )


def stateful_set(*, ready: int, updated: int = 3, revisions: str = "aa", **spec: Any) -> dict[str, Any]:
    current, update = revisions
    return workload(
        "StatefulSet",
        spec=spec,
        readyReplicas=ready,
        updatedReplicas=updated,
        currentRevision=f"web-{current}",
        updateRevision=f"web-{update}",
    )


def daemon_set(*, ready: int, updated: int = 5, misplaced: int = 0, **spec: Any) -> dict[str, Any]:
    return workload(
        "DaemonSet",
        spec=spec,
        desiredNumberScheduled=5,
        numberReady=ready,
        updatedNumberScheduled=updated,
        numberMisscheduled=misplaced,
    )


def names(found: tuple[Condition, ...]) -> list[str]:
    return [condition.name for condition in found]


ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}

TOLD = [
    pytest.param(deployment(LATE, AVAILABLE, ready=2, updated=1), ["DeploymentNotProgressing"], id="deadline"),
    pytest.param(deployment(LATE, UNAVAILABLE, ready=0, updated=3), ["DeploymentNotProgressing"], id="deadline, none"),
    pytest.param(
        deployment(refused("no", kind="Progressing", reason="ReplicaSetCreateError")),
        ["ReplicaSetCreateError"],
        id="no ReplicaSet",
    ),
    pytest.param(deployment(ROLLING, refused("quota"), ready=2, updated=1), ["ReplicaFailure"], id="refused"),
    pytest.param(deployment(DONE, AVAILABLE, ready=2), ["ReplicasUnavailable"], id="one pod broke later"),
    pytest.param(deployment(DONE, UNAVAILABLE, ready=0), ["ReplicasUnavailable"], id="all pods broke later"),
    pytest.param(deployment(AVAILABLE, ready=2), ["ReplicasUnavailable"], id="without a deadline, rollout over"),
    pytest.param(
        deployment(UNAVAILABLE, ready=1, updated=1), ["ReplicasUnavailable"], id="without a deadline, too few"
    ),
    pytest.param(deployment(PAUSED, updated=1, paused=True), ["RolloutPaused"], id="paused half-way"),
    pytest.param(workload("Deployment", observed=2), ["ChangeNotObserved"], id="nobody looks at it"),
    pytest.param(stateful_set(ready=2), ["ReplicasUnavailable"], id="StatefulSet"),
    pytest.param(stateful_set(ready=2, updated=1, revisions="ab"), ["RolloutStuck"], id="StatefulSet in an update"),
    pytest.param(stateful_set(ready=2, updated=1, revisions="ab", **ON_DELETE), ["ReplicasUnavailable"], id="OnDelete"),
    pytest.param(
        stateful_set(ready=2, updated=1, revisions="ab", **PARTITION), ["ReplicasUnavailable"], id="partition"
    ),
    pytest.param(daemon_set(ready=4), ["ReplicasUnavailable"], id="DaemonSet"),
    pytest.param(daemon_set(ready=4, updated=2), ["RolloutStuck"], id="DaemonSet in an update"),
    pytest.param(daemon_set(ready=4, updated=2, **ON_DELETE), ["ReplicasUnavailable"], id="DaemonSet, OnDelete"),
    pytest.param(daemon_set(ready=5, misplaced=2), ["PodsMisscheduled"], id="misscheduled"),
    pytest.param(
        workload("ReplicaSet", conditions=[refused("no")], readyReplicas=3), ["ReplicaFailure"], id="RS refused"
    ),
    pytest.param(workload("ReplicaSet", readyReplicas=1), ["ReplicasUnavailable"], id="ReplicaSet of its own"),
]

QUIET = [
    pytest.param(deployment(DONE, AVAILABLE), id="healthy"),
    pytest.param(deployment(ROLLING, AVAILABLE, ready=2, updated=1), id="a rollout on its way"),
    pytest.param(deployment(ROLLING, UNAVAILABLE, ready=0, updated=3), id="the first rollout on its way"),
    pytest.param(deployment(AVAILABLE, ready=2, updated=1), id="a rollout without a deadline"),
    pytest.param(deployment(UNAVAILABLE, ready=0, updated=0, replicas=0), id="scaled to nothing"),
    pytest.param(deployment(PAUSED, AVAILABLE, paused=True), id="paused with nothing to roll out"),
    pytest.param(deployment(DONE, {**refused("no"), "status": "False"}), id="no longer refused"),
    pytest.param(stateful_set(ready=3, updated=1, revisions="ab"), id="StatefulSet updates with all ready"),
    pytest.param(daemon_set(ready=5, updated=1), id="DaemonSet updates with all ready"),
    pytest.param(workload("DaemonSet", desiredNumberScheduled=0, numberReady=0), id="DaemonSet without nodes"),
    pytest.param(workload("Pod"), id="another kind"),
    pytest.param({}, id="nothing"),
]


@pytest.mark.parametrize(("body", "told"), TOLD)
def test_a_fault_is_told_under_its_name(body: dict[str, Any], told: list[str]) -> None:
    assert names(conditions(body, AROUND)) == told
    assert set(told) <= set(NAMES)


@pytest.mark.parametrize("body", QUIET)
def test_what_is_as_it_should_be_is_not_told(body: dict[str, Any]) -> None:
    assert conditions(body, AROUND) == ()


@pytest.mark.parametrize(("body", "told"), TOLD)
def test_what_is_being_deleted_is_not_told(body: dict[str, Any], told: list[str]) -> None:
    body = {**body, "metadata": {"name": "web", "deletionTimestamp": STAMP}}
    assert conditions(body, AROUND) == (), told


def test_a_replica_set_of_a_deployment_leaves_missing_pods_to_it() -> None:
    owner = {"kind": "Deployment", "name": "web", "uid": "u-0", "controller": True}
    body = workload("ReplicaSet", readyReplicas=1)
    assert conditions({**body, "metadata": {**body["metadata"], "ownerReferences": [owner]}}, AROUND) == ()


def test_a_status_of_an_older_spec_is_not_believed() -> None:
    body = workload("Deployment", observed=2, conditions=[LATE, UNAVAILABLE], readyReplicas=0)
    assert names(conditions(body, AROUND)) == ["ChangeNotObserved"]


@pytest.mark.parametrize(
    ("body", "since", "age_seconds"),
    [
        pytest.param(deployment(LATE), THEN, 0, id="the deadline has passed already"),
        pytest.param(deployment(ROLLING, refused("no")), THEN, 30, id="refused"),
        pytest.param(deployment(DONE, UNAVAILABLE, ready=0), THEN, 600, id="unavailable"),
        pytest.param(deployment(DONE, AVAILABLE, ready=2), None, 600, id="one missing"),
        pytest.param(deployment(PAUSED, updated=1, paused=True), THEN, 3600, id="paused"),
        pytest.param(stateful_set(ready=2, updated=1, revisions="ab"), None, 1800, id="stuck"),
        pytest.param(workload("Deployment", observed=2), None, 300, id="not observed"),
    ],
)
def test_it_counts_from_its_beginning_after_its_age(body: Any, since: datetime | None, age_seconds: float) -> None:
    (found,) = conditions(body, AROUND)
    assert (found.since, found.age_seconds) == (since, age_seconds)


@pytest.mark.parametrize(
    ("message", "causes"),
    [
        pytest.param(
            'pods "web-7d4-" is forbidden: exceeded quota: compute, requested: cpu=2, used: cpu=9, limited: cpu=10',
            ("ResourceQuota/shop/compute",),
            id="quota",
        ),
        pytest.param(
            'pods "web-7d4-" is forbidden: failed quota: compute: must specify limits.cpu for: web',
            ("ResourceQuota/shop/compute",),
            id="quota without limits",
        ),
        pytest.param(
            'pods "web-7d4-" is forbidden: error looking up service account shop/web: serviceaccount "web" not found',
            ("ServiceAccount/shop/web",),
            id="service account",
        ),
        pytest.param(
            'pods "web-7d4-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            ("PodSecurity/shop/restricted",),
            id="Pod Security",
        ),
        pytest.param(
            'admission webhook "policy.example.com" denied the request: no owner label',
            ("webhook/policy.example.com",),
            id="webhook says no",
        ),
        pytest.param(
            'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "..."',
            ("webhook/policy.example.com",),
            id="webhook away",
        ),
        pytest.param(
            'pods "web-7d4-" is forbidden: no PriorityClass with name urgent was found',
            ("PriorityClass/urgent",),
            id="priority class",
        ),
        pytest.param(
            'pods "web-" is forbidden: unable to create new content in namespace shop because it is being terminated',
            ("Namespace/shop",),
            id="namespace",
        ),
        pytest.param(
            'pods "web-7d4-" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
            (),
            id="LimitRange",
        ),
        pytest.param("", (), id="no words"),
    ],
)
def test_who_refused_the_pods_is_a_cause(message: str, causes: tuple[str, ...]) -> None:
    (found,) = conditions(deployment(ROLLING, refused(message)), AROUND)
    assert found.causes == causes


def test_a_refusal_is_told_in_the_servers_words() -> None:
    (found,) = conditions(deployment(ROLLING, refused('exceeded quota: compute,\n requested: cpu="2"')), AROUND)
    assert found.summary == 'Deployment web cannot create its pods: exceeded quota: compute, requested: cpu="2"'


def test_a_refusal_without_words_is_told_by_its_reason() -> None:
    (found,) = conditions(deployment(ROLLING, refused("", reason="FailedDelete")), AROUND)
    assert found.summary == "Deployment web cannot delete its pods: FailedDelete"


def test_missing_replicas_are_counted() -> None:
    (found,) = conditions(deployment(DONE, AVAILABLE, ready=2), AROUND)
    assert found.summary == "Deployment web has 2 of 3 replicas ready"


def test_the_object_is_named_with_its_uid() -> None:
    (found,) = conditions(deployment(LATE), AROUND)
    assert (found.about.key, found.about.uid) == ("Deployment/shop/web", "u-1")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(deployment(PAUSED, updated=1, paused=True), id="paused"),
        pytest.param(daemon_set(ready=5, misplaced=1), id="misscheduled"),
    ],
)
def test_what_harms_nobody_yet_is_information(body: dict[str, Any]) -> None:
    assert [found.severity for found in conditions(body, AROUND)] == [Severity.INFO]
