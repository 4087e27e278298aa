"""Pods as the kubelet and the scheduler describe them, and what is wrong with each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.conditions import NAMES, conditions_of
from responder.conditions.containers import ENDS, WAITING
from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.pods import FAILURES, REJECTIONS, conditions

Json = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
AROUND = Surroundings(now=NOW, node_ready=True)


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def container(state: Json, name: str = "web", *, restarts: int = 0, ready: bool = False, **more: Any) -> Json:
    return {"name": name, "restartCount": restarts, "ready": ready, "state": state, "lastState": {}, **more}


def waiting(reason: str, message: str = "", *, last: Json | None = None, **more: Any) -> Json:
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return container(state, lastState=last or {}, **more)


def end(code: int, reason: str = "Error", *, ran: float = 5.0, finished: float = 60.0, **more: Any) -> Json:
    times = {"startedAt": at(finished + ran), "finishedAt": at(finished)}
    return {"terminated": {"exitCode": code, "reason": reason, **times, **more}}


def ended(code: int, reason: str = "Error", *, ran: float = 5.0, finished: float = 60.0, **more: Any) -> Json:
    return container(end(code, reason, ran=ran, finished=finished), **more)


def running(since: float = 3000.0, *, ready: bool = True, last: Json | None = None, **more: Any) -> Json:
    return container({"running": {"startedAt": at(since)}}, ready=ready, lastState=last or {}, **more)


def condition(kind: str, status: str, since: float, reason: str = "", message: str = "") -> Json:
    told = {"type": kind, "status": status, "lastTransitionTime": at(since)}
    return told | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def pod(
    *containers: Json,
    init: tuple[Json, ...] = (),
    ephemeral: tuple[Json, ...] = (),
    sidecars: tuple[str, ...] = (),
    phase: str = "Running",
    policy: str = "Always",
    owner: str = "ReplicaSet",
    told: tuple[Json, ...] = (condition("PodScheduled", "True", 3600),),
    metadata: Json | None = None,
    spec: Json | None = None,
    status: Json | None = None,
) -> Json:
    """`owner` is the kind of the pod's controller, '' for none."""
    owners = [{"kind": owner, "name": "web-6d4b75cb6d", "uid": "u-owner", "controller": True}] if owner else []
    always = {"restartPolicy": "Always"}
    names = {"name": "web-6d4b75cb6d-hq2xl", "namespace": "shop", "uid": "u-pod", "creationTimestamp": at(3600)}
    return {
        "metadata": {**names, "ownerReferences": owners, **(metadata or {})},
        "spec": {
            "nodeName": "worker-1",
            "restartPolicy": policy,
            "containers": [{"name": c["name"], "image": f"shop/{c['name']}:1.9"} for c in containers],
            "initContainers": [
                {"name": c["name"], "image": "shop/init:1", **(always if c["name"] in sidecars else {})} for c in init
            ],
            "ephemeralContainers": [{"name": c["name"], "image": "shop/debug:1"} for c in ephemeral],
            **(spec or {}),
        },
        "status": {
            "phase": phase,
            "startTime": at(3600),
            "conditions": list(told),
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            "ephemeralContainerStatuses": list(ephemeral),
            **(status or {}),
        },
    }


def seen(body: Json, around: Surroundings = AROUND) -> list[tuple[str, str]]:
    return [(found.name, found.container) for found in conditions(body, around)]


def only(body: Json, around: Surroundings = AROUND) -> Condition:
    (found,) = conditions(body, around)
    return found


IMAGE = ("image/shop/web:1.9",)
WAITS = [
    ("ErrImagePull", "failed to pull and unpack image: not found", "ImagePullBackOff", IMAGE),
    ("ImagePullBackOff", 'Back-off pulling image "shop/web:1.9"', "ImagePullBackOff", IMAGE),
    ("RegistryUnavailable", "", "ImagePullBackOff", IMAGE),
    ("ImageInspectError", "", "ImagePullBackOff", IMAGE),
    ("InvalidImageName", "couldn't parse image reference", "InvalidImageName", IMAGE),
    ("ErrImageNeverPull", "", "ErrImageNeverPull", IMAGE),
    ("SignatureValidationFailed", "", "SignatureValidationFailed", IMAGE),
    ("CreateContainerConfigError", 'configmap "app" not found', "CreateContainerConfigError", ("ConfigMap/shop/app",)),
    ("CreateContainerConfigError", 'secret "db" not found', "CreateContainerConfigError", ("Secret/shop/db",)),
    (
        "CreateContainerConfigError",
        "couldn't find key LEVEL in ConfigMap shop/app",
        "CreateContainerConfigError",
        ("ConfigMap/shop/app",),
    ),
    (
        "CreateContainerConfigError",
        "couldn't find key url in Secret shop/db",
        "CreateContainerConfigError",
        ("Secret/shop/db",),
    ),
    ("CreateContainerConfigError", "container has runAsNonRoot", "CreateContainerConfigError", ()),
    ("CreateContainerError", "failed to reserve container name", "CreateContainerError", ()),
    ("RunContainerError", 'exec: "wbe": executable file not found in $PATH', "RunContainerError", ()),
    ("PreCreateHookError", "", "PreCreateHookError", ()),
    ("PreStartHookError", "", "PreStartHookError", ()),
    ("PostStartHookError", "", "PostStartHookError", ()),
    ("CreatePodSandboxError", "", "FailedCreatePodSandBox", ("Node/worker-1",)),
    ("ConfigPodSandboxError", "", "FailedCreatePodSandBox", ("Node/worker-1",)),
    ("KillContainerError", "", "FailedKillPod", ("Node/worker-1",)),
    ("KillPodSandboxError", "", "FailedKillPod", ("Node/worker-1",)),
    ("RemoveContainerError", "", "ContainerWaiting", ()),
    ("ResizePodInPlaceError", "", "ContainerWaiting", ()),
    ("SomethingOfALaterRelease", "", "ContainerWaiting", ()),
]


@pytest.mark.parametrize(("reason", "message", "name", "causes"), WAITS, ids=[f"{w[0]}-{w[1][:24]}" for w in WAITS])
def test_a_waiting_container_has_the_condition_of_its_reason(
    reason: str, message: str, name: str, causes: tuple[str, ...]
) -> None:
    found = only(pod(waiting(reason, message), phase="Pending"))

    assert (found.name, found.container, found.causes) == (name, "web", causes)
    assert found.about.key == "Pod/shop/web-6d4b75cb6d-hq2xl"
    assert found.about.uid == "u-pod"
    assert reason in found.summary
    assert message in found.summary


def test_every_waiting_reason_that_is_known_has_a_case() -> None:
    assert set(WAITING) <= {reason for reason, *_ in WAITS}


@pytest.mark.parametrize("where", ["init", "sidecar", "main", "ephemeral"])
def test_every_sort_of_container_can_lack_its_image(where: str) -> None:
    stuck = waiting("ImagePullBackOff", name="it")
    body = {
        "init": lambda: pod(waiting("PodInitializing"), init=(stuck,), phase="Pending"),
        "sidecar": lambda: pod(waiting("PodInitializing"), init=(stuck,), sidecars=("it",), phase="Pending"),
        "main": lambda: pod(stuck, phase="Pending"),
        "ephemeral": lambda: pod(running(), ephemeral=(stuck,)),
    }[where]()

    found = only(body)

    assert (found.name, found.container) == ("ImagePullBackOff", "it")
    assert found.severity is (Severity.INFO if where == "ephemeral" else Severity.WARNING)


CRASHES = [
    ("back-off", waiting("CrashLoopBackOff", restarts=4, last=end(1)), "CrashLoopBackOff"),
    ("back-off-of-a-clean-exit", waiting("CrashLoopBackOff", restarts=4, last=end(0, "Completed")), "CrashLoopBackOff"),
    ("just-ended-again", ended(1, finished=2, restarts=3), "CrashLoopBackOff"),
    ("just-ended-cleanly-again", ended(0, "Completed", finished=2, restarts=3), "CrashLoopBackOff"),
    ("a-short-run", running(10, restarts=2, last=end(1)), "CrashLoopBackOff"),
    ("a-short-run-not-ready", running(10, ready=False, restarts=2, last=end(1)), "CrashLoopBackOff"),
    ("minutes-not-ready", running(300, ready=False, restarts=2, last=end(137, finished=301)), "CrashLoopBackOff"),
    ("back-off-for-memory", waiting("CrashLoopBackOff", restarts=4, last=end(137, "OOMKilled")), "OOMKilled"),
    ("killed-for-memory", ended(137, "OOMKilled", finished=1), "OOMKilled"),
    ("started-again-after-memory", running(300, restarts=1, last=end(137, "OOMKilled", finished=301)), "OOMKilled"),
    ("no-such-program", waiting("CrashLoopBackOff", restarts=3, last=end(128, "StartError")), "RunContainerError"),
    ("start-error", ended(128, "StartError", finished=1), "RunContainerError"),
    ("cannot-run", ended(127, "ContainerCannotRun", finished=1), "RunContainerError"),
    ("deadline", ended(137, "DeadlineExceeded"), "DeadlineExceeded"),
    ("evicted", ended(137, "Evicted"), "Evicted"),
    ("unknown", ended(137, "ContainerStatusUnknown"), "ContainerStatusUnknown"),
]


@pytest.mark.parametrize(("status", "name"), [c[1:] for c in CRASHES], ids=[c[0] for c in CRASHES])
def test_a_container_that_ended_has_the_condition_of_its_end(status: Json, name: str) -> None:
    assert seen(pod(status)) == [(name, "web")]


def test_every_telling_reason_of_an_end_has_a_case() -> None:
    told = [(status["state"], status["lastState"]) for _, status, _ in CRASHES]

    assert set(ENDS) <= {state.get("terminated", {}).get("reason") for pair in told for state in pair}


def test_the_summary_of_a_crash_tells_code_signal_reason_and_message() -> None:
    last = end(139, message="segmentation\n  fault")

    found = only(pod(waiting("CrashLoopBackOff", restarts=7, last=last)))

    assert found.summary == (
        "Container web: it ends again and again: 7 restarts; "
        "last ended with exit code 139, SIGSEGV (Error): segmentation fault"
    )
    assert found.since == NOW - timedelta(seconds=60)


def test_the_flap_between_back_off_run_and_end_is_one_condition() -> None:
    flap = (
        waiting("CrashLoopBackOff", restarts=3, last=end(1)),
        running(1, restarts=4, last=end(1)),
        ended(1, finished=0, restarts=4),
    )

    assert {tuple(seen(pod(status))) for status in flap} == {(("CrashLoopBackOff", "web"),)}


@pytest.mark.parametrize("reasons", [("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")])
def test_the_flap_of_a_failing_pull_is_one_condition(reasons: tuple[str, ...]) -> None:
    assert len({tuple(seen(pod(waiting(reason), phase="Pending"))) for reason in reasons}) == 1


HEALTHY = [
    ("running", pod(running())),
    ("no-status-yet", {"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}),
    ("succeeded", pod(ended(0, "Completed"), phase="Succeeded", policy="OnFailure", owner="Job")),
    ("succeeded-after-failures", pod(ended(0, restarts=3, lastState=end(1)), phase="Succeeded", policy="OnFailure")),
    ("ended-for-the-first-time", pod(ended(1, finished=1))),
    ("restarted-once", pod(running(5, restarts=1, last=end(1, finished=6)))),
    ("recovered-hours-ago", pod(running(7200, restarts=9, last=end(1, finished=7201)))),
    ("recovered-three-minutes-ago", pod(running(180, restarts=9, last=end(1, finished=181)))),
    ("recovered-from-memory-hours-ago", pod(running(7200, restarts=1, last=end(137, "OOMKilled", finished=7201)))),
    ("restarted-after-a-long-run", pod(running(5, restarts=9, last=end(0, "Completed", ran=86400, finished=6)))),
    ("init-containers-done", pod(running(), init=(ended(0, "Completed", name="init"),))),
    ("init-container-done-after-failures", pod(running(), init=(ended(0, name="init", restarts=3, lastState=end(1)),))),
    ("sidecar-runs", pod(running(), init=(running(name="proxy"),), sidecars=("proxy",))),
    ("ephemeral-ended", pod(running(), ephemeral=(ended(137, name="debugger"),))),
    ("ephemeral-never-ready", pod(running(), ephemeral=(running(ready=False, name="debugger"),))),
    ("one-part-done-others-run", pod(running(), ended(0, "Completed", name="task"), policy="OnFailure")),
    ("part-of-a-bare-pod-done", pod(running(), ended(0, "Completed", name="task"), policy="Never", owner="")),
    ("a-failed-pod-of-a-job", pod(ended(1), phase="Failed", policy="Never", owner="Job")),
    ("an-evicted-pod-of-a-job", pod(phase="Failed", owner="Job", status={"reason": "Evicted"})),
    ("a-job-pod-that-tries-again", pod(ended(1, finished=1, restarts=1), policy="OnFailure", owner="Job")),
    ("part-of-a-job-pod-failed", pod(running(), ended(1, name="task"), policy="Never", owner="Job")),
    ("a-job-pod-is-not-ready", pod(running(ready=False), policy="Never", owner="Job")),
    ("container-without-state", pod(container({}))),
    ("unfinished-deletion-time", pod(ended(1), metadata={"deletionTimestamp": "soon"})),
]


@pytest.mark.parametrize("body", [case[1] for case in HEALTHY], ids=[case[0] for case in HEALTHY])
def test_nothing_is_wrong_with_a_pod_that_is(body: Json) -> None:
    assert seen(body) == []


STARTING = [
    ("creating", pod(waiting("ContainerCreating"), phase="Pending"), "ContainerCreatingStuck"),
    ("initializing", pod(waiting("PodInitializing"), init=(running(name="i", ready=False),)), "PodInitializingStuck"),
    ("not-taken-up", pod(phase="Pending", told=(condition("PodScheduled", "True", 20),)), "ContainerCreatingStuck"),
    ("not-ready", pod(running(10, ready=False)), "ContainerNotReady"),
    ("not-started", pod(running(10, ready=False, started=False)), "ContainerNotReady"),
    ("not-scheduled", pod(phase="Pending", told=(), spec={"nodeName": ""}), "PodPending"),
]


@pytest.mark.parametrize(("body", "name"), [case[1:] for case in STARTING], ids=[case[0] for case in STARTING])
def test_what_every_pod_goes_through_counts_after_minutes_only(body: Json, name: str) -> None:
    found = only(body)

    assert found.name == name
    assert found.age_seconds >= 180.0


@pytest.mark.parametrize(
    "body",
    [
        pod(waiting("PodInitializing"), init=(waiting("CrashLoopBackOff", name="i", restarts=3, last=end(1)),)),
        pod(waiting("PodInitializing"), init=(waiting("ImagePullBackOff", name="i"),)),
        pod(waiting("PodInitializing"), init=(running(ready=False, started=False, name="i"),), sidecars=("i",)),
    ],
    ids=["crash", "image", "sidecar-not-started"],
)
def test_an_init_container_that_is_in_trouble_speaks_for_the_initialization(body: Json) -> None:
    assert [container for _, container in seen(body)] == ["i"]


def test_a_start_is_stuck_since_the_last_step() -> None:
    told = (condition("PodScheduled", "True", 900), condition("Initialized", "True", 400))

    found = only(
        pod(
            waiting("ContainerCreating"),
            waiting("ContainerCreating", name="b"),
            phase="Pending",
            told=told,
            status={"startTime": at(899)},
        )
    )

    assert found.since == NOW - timedelta(seconds=400)
    assert found.summary == "The pod does not get ahead: still to be created: web, b; node worker-1"


def test_a_container_is_unready_since_it_started_or_stopped_being_ready() -> None:
    body = pod(running(3000, ready=False), told=(condition("Ready", "False", 200, "ContainersNotReady"),))

    assert only(body).since == NOW - timedelta(seconds=200)


def test_a_crash_loop_of_an_init_container_is_one() -> None:
    body = pod(waiting("PodInitializing"), init=(ended(1, name="migrate", restarts=3),), phase="Pending")

    assert seen(body) == [("CrashLoopBackOff", "migrate")]


def test_a_sidecar_that_ends_cleanly_again_and_again_is_a_crash_loop() -> None:
    body = pod(running(), init=(ended(0, "Completed", name="proxy", restarts=3),), sidecars=("proxy",))

    assert seen(body) == [("CrashLoopBackOff", "proxy")]


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerConfigError", "CrashLoopBackOff"])
def test_a_pod_of_a_job_that_cannot_begin_is_in_trouble(reason: str) -> None:
    body = pod(waiting(reason, restarts=3, last=end(1)), policy="OnFailure", owner="Job", phase="Pending")

    assert seen(body) == [(reason, "web")]


def test_containers_left_out_are_passed_over() -> None:
    body = pod(waiting("PodInitializing"), init=(waiting("ImagePullBackOff", name="i"),), phase="Pending")

    assert seen(body, replace(AROUND, excluded_containers=frozenset({"i"}))) == []


# --- scheduling ---

UNSCHEDULABLE = [
    ("0/3 nodes are available: 3 Insufficient cpu.", ()),
    ('persistentvolumeclaim "data" not found', ("PersistentVolumeClaim/shop/data",)),
    (
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        ("PersistentVolumeClaim/shop/mine",),
    ),
]


@pytest.mark.parametrize(("message", "causes"), UNSCHEDULABLE, ids=["resources", "missing-claim", "unbound-claim"])
def test_a_pod_that_no_node_can_take_is_unschedulable(message: str, causes: tuple[str, ...]) -> None:
    told = (condition("PodScheduled", "False", 90, "Unschedulable", message),)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}, {"name": "tmp", "emptyDir": {}}]

    found = only(pod(phase="Pending", told=told, spec={"nodeName": "", "volumes": volumes}))

    assert (found.name, found.causes, found.age_seconds) == ("Unschedulable", causes, 60.0)
    assert found.since == NOW - timedelta(seconds=90)
    assert found.summary == f"No node can take the pod: {message}"


@pytest.mark.parametrize(
    ("reason", "name", "severity"),
    [
        ("SchedulingGated", "SchedulingGated", Severity.INFO),
        ("SchedulerError", "SchedulerError", Severity.WARNING),
        ("", "SchedulerError", Severity.WARNING),
    ],
)
def test_a_pod_may_wait_for_its_gates_or_for_the_scheduler(reason: str, name: str, severity: Severity) -> None:
    told = (condition("PodScheduled", "False", 90, reason, "why"),)

    found = only(pod(phase="Pending", told=told, spec={"nodeName": "", "schedulingGates": [{"name": "example.com/q"}]}))

    assert (found.name, found.severity) == (name, severity)


# --- the pod as a whole ---


@pytest.mark.parametrize("reason", sorted(FAILURES))
def test_a_failed_pod_has_the_condition_of_its_reason(reason: str) -> None:
    body = pod(phase="Failed", owner="ReplicaSet", status={"reason": reason, "message": "why", "startTime": at(60)})

    found = only(body)

    assert found.name == FAILURES[reason]
    assert found.summary == f"The pod failed: {reason}; why"


@pytest.mark.parametrize("reason", sorted(REJECTIONS | {"OutOfnvidia.com/gpu"}))
def test_a_pod_that_its_node_did_not_take_was_rejected(reason: str) -> None:
    assert only(pod(phase="Failed", status={"reason": reason, "startTime": at(60)})).name == "PodRejected"


@pytest.mark.parametrize(
    ("message", "causes"),
    [
        ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi.", ("Node/worker-1",)),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.", ()),
    ],
    ids=["the-node's", "the-pod's-own"],
)
def test_an_eviction_blames_the_node_only_where_the_node_was_short(message: str, causes: tuple[str, ...]) -> None:
    body = pod(ended(137), phase="Failed", status={"reason": "Evicted", "message": message})

    assert (only(body).name, only(body).causes) == ("Evicted", causes)


@pytest.mark.parametrize(
    ("owner", "finished", "expected"),
    [("ReplicaSet", 600, 1), ("ReplicaSet", 1000, 0), ("", 1000, 1), ("", 90_000, 0)],
    ids=["fresh", "history", "bare-and-an-hour-old", "bare-and-a-day-old"],
)
def test_a_failed_pod_is_history_after_a_while(owner: str, finished: float, expected: int) -> None:
    body = pod(ended(137, finished=finished), phase="Failed", owner=owner, status={"reason": "Evicted"})

    assert len(conditions(body, AROUND)) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ended(1), ("ContainerFailed", "web")),
        (ended(137, "OOMKilled"), ("OOMKilled", "web")),
        (ended(128, "StartError"), ("RunContainerError", "web")),
        (ended(0, "Completed"), ("PodFailed", "")),
        (waiting("ContainerCreating"), ("PodFailed", "")),
    ],
    ids=["error", "memory", "start", "clean", "never-began"],
)
def test_a_bare_pod_that_failed_tells_which_container_did(status: Json, expected: tuple[str, str]) -> None:
    assert seen(pod(status, phase="Failed", policy="Never", owner="")) == [expected]


def test_a_failed_container_beside_running_ones_is_told() -> None:
    assert seen(pod(running(), ended(3, name="task"), policy="Never", owner="")) == [("ContainerFailed", "task")]


def test_a_failed_init_container_of_a_bare_pod_is_told() -> None:
    body = pod(waiting("PodInitializing"), init=(ended(1, name="i"),), phase="Failed", policy="Never", owner="")

    assert seen(body) == [("ContainerFailed", "i")]


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("TerminationByKubelet", "Evicted"),
        ("PreemptionByScheduler", "Preempted"),
        ("DeletionByTaintManager", "PodOnLostNode"),
        ("DeletionByPodGC", "PodOnLostNode"),
        ("EvictionByEvictionAPI", "Evicted"),
    ],
)
def test_who_ended_a_pod_is_told_by_its_condition(reason: str, name: str) -> None:
    told = (condition("DisruptionTarget", "True", 60, reason, "why"),)

    assert only(pod(ended(137), phase="Failed", told=told)).name == name


@pytest.mark.parametrize(("deadline", "age"), [(-40.0, 340.0), (60.0, 300.0)], ids=["within-its-grace-period", "late"])
def test_a_pod_that_is_being_deleted_is_stuck_five_minutes_after_its_grace_period(deadline: float, age: float) -> None:
    body = pod(waiting("CrashLoopBackOff", restarts=9), metadata={"deletionTimestamp": at(deadline)})

    found = only(body)

    assert (found.name, found.age_seconds) == ("TerminatingStuck", age)
    assert found.since == NOW - timedelta(seconds=deadline)


@pytest.mark.parametrize(
    ("finalizers", "node_ready", "says", "causes"),
    [
        (["example.com/hold"], False, "its finalizers example.com/hold are not removed", ()),
        ([], True, "its node worker-1 has not stopped it", ()),
        ([], False, "its node worker-1 has not stopped it", ("Node/worker-1",)),
    ],
    ids=["finalizer", "kubelet", "lost-node"],
)
def test_a_pod_that_does_not_go_tells_what_holds_it(
    finalizers: list[str], node_ready: bool, says: str, causes: tuple[str, ...]
) -> None:
    body = pod(running(), metadata={"deletionTimestamp": at(600), "finalizers": finalizers})

    found = only(body, replace(AROUND, node_ready=node_ready))

    assert says in found.summary
    assert found.causes == causes


@pytest.mark.parametrize(
    ("body", "node_ready"),
    [
        (pod(running()), False),
        (pod(running(), phase="Unknown"), None),
        (pod(running(), status={"reason": "NodeLost"}), None),
    ],
    ids=["node-not-ready", "unknown", "node-lost"],
)
def test_a_pod_whose_node_is_lost_blames_the_node(body: Json, node_ready: bool | None) -> None:
    found = only(body, replace(AROUND, node_ready=node_ready))

    assert (found.name, found.causes) == ("PodOnLostNode", ("Node/worker-1",))


def test_what_was_wrong_before_the_node_was_lost_is_still_wrong() -> None:
    body = pod(waiting("ImagePullBackOff"), phase="Pending")

    assert [name for name, _ in seen(body, replace(AROUND, node_ready=False))] == ["ImagePullBackOff", "PodOnLostNode"]


def test_a_node_that_is_not_known_is_not_lost() -> None:
    assert seen(pod(running()), replace(AROUND, node_ready=None)) == []


@pytest.mark.parametrize(
    ("flips", "expected"),
    [((500, 400, 300, 100), ["ReadinessFlapping"]), ((500, 400, 300), []), ((1500, 1400, 300, 100), [])],
    ids=["four-within-ten-minutes", "three", "two-long-ago"],
)
def test_readiness_flaps_with_four_changes_within_ten_minutes(flips: tuple[float, ...], expected: list[str]) -> None:
    changed = tuple(NOW - timedelta(seconds=flip) for flip in flips)

    assert [name for name, _ in seen(pod(running()), replace(AROUND, ready_flips=changed))] == expected


def test_readiness_that_changes_with_a_crash_loop_is_no_flapping_of_its_own() -> None:
    changed = tuple(NOW - timedelta(seconds=flip) for flip in (500, 400, 300, 100))
    body = pod(waiting("CrashLoopBackOff", restarts=4, last=end(1)))

    assert seen(body, replace(AROUND, ready_flips=changed)) == [("CrashLoopBackOff", "web")]


def test_a_readiness_gate_that_is_not_true_is_told() -> None:
    told = (condition("Ready", "False", 400, "ReadinessGatesNotReady", 'the status of pod readiness gate "x" is not'),)

    assert only(pod(running(), told=told)).name == "ReadinessGatesNotReady"


def test_a_cause_that_would_not_travel_as_one_word_is_left_out() -> None:
    body = pod(waiting("InvalidImageName"), phase="Pending")
    body["spec"]["containers"][0]["image"] = "shop/web :1"

    assert only(body).causes == ()


def test_a_long_message_is_cut_to_one_line() -> None:
    found = only(pod(waiting("CreateContainerError", "a\n" * 5000)))

    assert "\n" not in found.summary
    assert len(found.summary) < 400


# --- any JSON ---

SAMPLE = pod(
    waiting("CrashLoopBackOff", "message", restarts=3, last=end(1), started=False),
    init=(running(name="init"),),
    told=(condition("Ready", "False", 60, "ContainersNotReady", "message"),),
    metadata={"deletionTimestamp": at(60), "finalizers": ["example.com/hold"]},
    spec={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
    status={"reason": "Evicted", "message": "message"},
)


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


KEYS = st.sampled_from(sorted(keys_of(SAMPLE)))
TIMES = [at(5), at(-5), "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "2026-13-99T99:99:99Z"]
REASONS = {*WAITING, *ENDS, *FAILURES, "CrashLoopBackOff", "ContainerCreating", "PodInitializing", "Unschedulable"}
STATES = ["Failed", "Pending", "Unknown", "PodScheduled", "Ready", "True", "False", "Always", "Never", "Job", "x\ud800"]
WORDS = st.sampled_from([*sorted(REASONS), *STATES, *TIMES])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
STATUSES = st.lists(
    st.fixed_dictionaries(
        {"name": JSON, "restartCount": JSON, "ready": JSON},
        optional={"state": st.dictionaries(KEYS, JSON, max_size=3), "lastState": JSON, "started": JSON},
    ),
    max_size=3,
)
PODS = st.fixed_dictionaries(
    {"metadata": JSON, "spec": JSON},
    optional={
        "status": st.dictionaries(KEYS, JSON, max_size=4)
        | st.fixed_dictionaries({"phase": WORDS, "conditions": JSON, "containerStatuses": STATUSES})
    },
)


@given(body=PODS | JSON)
def test_no_json_in_the_place_of_a_pod_makes_it_fail(body: Any) -> None:
    for found in conditions_of("Pod", body, AROUND):
        assert found.name in NAMES
        assert found.age_seconds >= 0.0


def test_every_condition_of_these_tables_has_its_name_in_the_list() -> None:
    bodies = [
        *[pod(waiting(reason, message), phase="Pending") for reason, message, *_ in WAITS],
        *[pod(status) for _, status, _ in CRASHES],
        *[body for _, body, _ in STARTING],
        *[pod(phase="Failed", status={"reason": reason, "startTime": at(60)}) for reason in (*FAILURES, "Other")],
    ]

    assert {name for body in bodies for name, _ in seen(body)} <= set(NAMES)
