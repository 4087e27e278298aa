"""Only positive signs that hold count as help; anything that could not be seen does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.action import DeletePod, SetResources
from responder.domain.execution import Baseline, ExecutionKind, Verdict, VerdictKind
from responder.domain.investigation import Unchecked
from responder.domain.manifest import FieldOwner
from responder.domain.refs import ObjectRef
from responder.domain.rule import VerifyPolicy
from responder.domain.workload import Terminated
from responder.fixer.verifier import baseline_before, baseline_of, judge, judge_rollback

POLICY = VerifyPolicy(settle_seconds=30, within_seconds=300)
POD = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="uid-web-1")
K = VerdictKind
Given = Callable[[Any], dict[str, Any]]


def after_change(make: Any, **changes: Any) -> dict[str, Any]:
    """The Deployment with the new image, at the generation that the server answered, seen by its controller."""
    given_changes = {"metadata__generation": 3, "status__observedGeneration": 3, **changes}
    body: dict[str, Any] = make.deployment(**given_changes)
    make.container(body)["image"] = "registry.local/web:1"
    return body


def well(make: Any, *, pods: tuple[Any, ...] | None = None, **changes: Any) -> Any:
    pods = pods if pods is not None else (make.pod("web-3", age=90), make.pod("web-4", age=90))
    return make.snapshot(after_change(make, **changes), pods=pods)


def ill(make: Any, *, waiting: str = "ImagePullBackOff", ready: int = 0, age: float = 90, **changes: Any) -> Any:
    """The new revision's pods do not start; `ready` old ones are left."""
    pods = (
        make.pod("web-3", ready=False, waiting=waiting, age=age),
        *(make.pod(f"old-{i}", hash="h1") for i in range(ready)),
    )
    status = {
        "status__readyReplicas": ready,
        "status__availableReplicas": ready,
        "status__updatedReplicas": 1,
        "status__replicas": 1 + ready,
    }
    return well(make, pods=pods, **{**status, **changes})


def verdict(make: Any, snapshot: Any, elapsed: float, **given_: Any) -> Verdict:
    plan = given_.pop("plan", None) or make.plan()
    execution = given_.pop("execution", None) or make.execution(plan)
    return judge(
        plan=plan,
        execution=execution,
        snapshot=snapshot,
        findings=given_.get("findings", ()),
        has_next=given_.get("has_next", False),
        answered=given_.get("answered", frozenset({"image.not_found"})),
        alerts_firing=given_.get("alerts_firing", 0),
        policy=given_.get("policy", POLICY),
        history=given_.get("history", ()),
        elapsed_seconds=elapsed,
    )


# The good way.


@pytest.mark.inv(34)
@pytest.mark.parametrize(
    ("elapsed", "looks", "kind", "healthy"),
    [
        pytest.param(5, [], K.PENDING, False, id="before the first look counts"),
        pytest.param(29, [(5, True), (20, True)], K.PENDING, False, id="however good it looks"),
        pytest.param(35, [], K.PENDING, True, id="first healthy look"),
        pytest.param(600, [], K.UNKNOWN, True, id="first healthy look after the deadline"),
        pytest.param(50, [(35, True)], K.PENDING, True, id="held for 15 s"),
        pytest.param(65, [(35, True), (50, True)], K.PASSED, True, id="held for 30 s"),
        pytest.param(65, [(35, True)], K.PASSED, True, id="two looks are enough"),
        pytest.param(80, [(35, True), (50, False), (65, True)], K.PENDING, True, id="a break starts it again"),
        pytest.param(95, [(35, True), (50, False), (65, True)], K.PASSED, True, id="held since the break"),
        pytest.param(301, [(290, True)], K.UNKNOWN, True, id="time over before it has held"),
        pytest.param(320, [(290, True)], K.PASSED, True, id="held across the deadline"),
    ],
)
def test_health_counts_once_it_has_held(
    make: Any, elapsed: float, looks: list[tuple[float, bool]], kind: VerdictKind, healthy: bool
) -> None:
    history = tuple(make.look(at, healthy=good) for at, good in looks)
    found = verdict(make, well(make), elapsed, history=history)
    assert (found.kind, found.healthy) == (kind, healthy)


HELD = (35.0, 50.0)


def without_workload(make: Any, *pods: Any, replicas: int | None = None) -> Any:
    """A look at an object that is no workload, with the change in place."""
    snapshot = replace(well(make, pods=pods), workload=None, revisions=())
    spec = {key: value for key, value in snapshot.live.body["spec"].items() if key != "replicas"}
    spec = spec if replicas is None else {**spec, "replicas": replicas}
    return replace(snapshot, live=replace(snapshot.live, body={**snapshot.live.body, "spec": spec}))


def fresh_start(make: Any) -> dict[str, Any]:
    """The execution was made when nothing was ready."""
    return {"execution": make.execution(make.plan(), baseline=Baseline(ready=0, desired=1, restarts=0))}


NOT_WELL: list[tuple[str, Given]] = [
    ("controller has not seen it", lambda m: {"snapshot": well(m, status__observedGeneration=2)}),
    ("not all updated", lambda m: {"snapshot": well(m, status__updatedReplicas=1)}),
    ("not all ready", lambda m: {"snapshot": well(m, status__readyReplicas=1)}),
    ("not all available", lambda m: {"snapshot": well(m, status__availableReplicas=1)}),
    ("old pods left", lambda m: {"snapshot": well(m, status__replicas=3)}),
    ("pod not ready", lambda m: {"snapshot": well(m, pods=(m.pod("a"), m.pod("b", ready=False)))}),
    ("no pods seen", lambda m: {"snapshot": well(m, pods=())}),
    ("only old pods seen", lambda m: {"snapshot": well(m, pods=(m.pod("a", hash="h1"),))}),
    ("pod waits in error", lambda m: {"snapshot": well(m, pods=(m.pod("a", waiting="CrashLoopBackOff"),))}),
    ("container ended", lambda m: {"snapshot": well(m, pods=(m.pod("a", exit_code=1),))}),
    ("restarted since", lambda m: {"snapshot": well(m, pods=(m.pod("a", restarts=1), m.pod("b")))}),
    (
        "fewer than before",
        lambda m: {
            "snapshot": without_workload(m, m.pod("a"), m.pod("b")),
            "execution": m.execution(m.plan(), baseline=Baseline(ready=3, desired=3, restarts=0)),
        },
    ),
    ("no pods of a root that is no workload", lambda m: {"snapshot": without_workload(m), **fresh_start(m)}),
    (
        "a ReplicaSet with fewer pods than it asks for",
        lambda m: {"snapshot": without_workload(m, m.pod("a"), replicas=2), **fresh_start(m)},
    ),
]


@pytest.mark.inv(34)
@pytest.mark.parametrize("given_", [n[1] for n in NOT_WELL], ids=[n[0] for n in NOT_WELL])
def test_one_sign_that_is_not_good_breaks_the_soak(make: Any, given_: Given) -> None:
    history = tuple(make.look(at, healthy=True) for at in HELD)
    found = verdict(make, elapsed=65, history=history, **given_(make))
    assert found.kind is VerdictKind.PENDING
    assert not found.healthy
    assert found.reason


def test_restarts_of_before_do_not_count_against_the_pods_of_now(make: Any) -> None:
    snapshot = well(make, pods=(make.pod("a", restarts=4), make.pod("b")))
    history = tuple(make.look(at, healthy=True, restarts=4) for at in HELD)
    assert verdict(make, snapshot, 65, history=history).kind is VerdictKind.PASSED


@pytest.mark.parametrize(
    ("wanted", "firing", "elapsed", "kind"),
    [
        (False, 3, 65, K.PASSED),
        (True, 0, 65, K.PASSED),
        (True, 1, 65, K.PENDING),
        (True, 1, 310, K.UNKNOWN),
    ],
)
def test_a_rule_may_wait_for_the_alerts_to_resolve(
    make: Any, wanted: bool, firing: int, elapsed: float, kind: VerdictKind
) -> None:
    history = tuple(make.look(at, healthy=True) for at in HELD)
    policy = replace(POLICY, alert_resolved=wanted)
    assert verdict(make, well(make), elapsed, history=history, policy=policy, alerts_firing=firing).kind is kind


def test_resolved_alerts_do_not_credit_a_change_that_did_not_help(make: Any) -> None:
    policy = replace(POLICY, alert_resolved=True)
    assert verdict(make, ill(make), 310, policy=policy, alerts_firing=0).kind is not VerdictKind.PASSED


# Missing data.


@pytest.mark.inv(34)
@pytest.mark.parametrize(
    ("what", "hole"),
    [
        ("Pod objects of namespace shop", True),
        ("ReplicaSet objects of namespace shop", True),
        ("ControllerRevision objects of namespace shop", True),
        ("Deployment objects of namespace shop", True),
        ("pods", True),
        ("Pod objects of namespace other", False),
        ("last log of container web of Pod/shop/web-1", False),
        ("pod log", False),
        ("ConfigMap objects of namespace shop", False),
        ("Event objects of namespace shop", False),
        ("", False),
    ],
)
def test_what_could_not_be_read_is_not_verified(make: Any, what: str, hole: bool) -> None:
    snapshot = replace(well(make), unchecked=(Unchecked(what=what, why="403"),))
    history = tuple(make.look(at, healthy=True) for at in HELD)
    found = verdict(make, snapshot, 65, history=history)
    assert (found.kind is VerdictKind.PENDING) is hole
    assert (found.kind is VerdictKind.PASSED) is not hole
    late = verdict(make, snapshot, 310, history=history)
    assert (late.kind is VerdictKind.UNKNOWN) is hole


@pytest.mark.inv(34)
def test_an_object_that_was_not_read_is_not_verified(make: Any) -> None:
    snapshot = replace(well(make), live=None, workload=None)
    assert verdict(make, snapshot, 65).kind is VerdictKind.PENDING
    assert verdict(make, snapshot, 310).kind is VerdictKind.UNKNOWN


@pytest.mark.inv(34)
def test_time_over_is_not_verified(make: Any) -> None:
    slow = well(make, pods=(make.pod("a", ready=False),), status__readyReplicas=1)
    assert verdict(make, slow, 299).kind is VerdictKind.PENDING
    assert verdict(make, slow, 300).kind is VerdictKind.UNKNOWN


# Worse than before.


LOST: list[tuple[str, Given]] = [
    ("deleted", lambda m: {"snapshot": replace(well(m), gone=True, live=None, workload=None)}),
    (
        "made anew",
        lambda m: {"snapshot": replace(well(m), root=replace(m.target, uid="uid-new"))},
    ),
    ("scaled to zero", lambda m: {"snapshot": well(m, spec__replicas=0)}),
]


@pytest.mark.inv(36)
@pytest.mark.parametrize("given_", [n[1] for n in LOST], ids=[n[0] for n in LOST])
@pytest.mark.parametrize("elapsed", [1, 65, 310])
def test_a_workload_that_is_lost_is_a_regression_at_once(make: Any, given_: Given, elapsed: float) -> None:
    history = tuple(make.look(at, healthy=True) for at in HELD)
    found = verdict(make, elapsed=elapsed, history=history, **given_(make))
    assert (found.kind, found.regression) == (VerdictKind.FAILED, True)


@pytest.mark.inv(36)
@pytest.mark.parametrize(
    ("looks", "ready", "regression"),
    [
        pytest.param([(35, 0), (50, 0)], 0, False, id="for 30 s only now"),
        pytest.param([(30, 0), (35, 0), (50, 0)], 0, True, id="for 35 s"),
        pytest.param([(30, 0), (50, 2)], 0, False, id="not all the time"),
        pytest.param([(30, 2), (35, 2), (50, 2)], 2, False, id="as many as before"),
    ],
)
def test_fewer_ready_pods_for_longer_than_the_settle_time_are_a_regression(
    make: Any, looks: list[tuple[float, int]], ready: int, regression: bool
) -> None:
    history = tuple(make.look(at, healthy=False, ready=count) for at, count in looks)
    found = verdict(make, ill(make, waiting="CrashLoopBackOff", ready=ready), 64, history=history)
    assert found.regression is regression


def test_pods_that_are_only_slow_to_start_are_no_regression(make: Any) -> None:
    history = tuple(make.look(at, healthy=False, ready=0) for at in (30, 35, 50))
    found = verdict(make, ill(make, waiting="ContainerCreating"), 65, history=history)
    assert found.kind is VerdictKind.PENDING


# Not helped.


@pytest.mark.parametrize(
    ("snapshot", "signature", "container", "kind"),
    [
        pytest.param({}, "image.not_found", "web", K.FAILED, id="still there"),
        pytest.param({}, "image.not_found", "", K.FAILED, id="of the whole object"),
        pytest.param({}, "image.not_found", "metrics", K.PENDING, id="of another container"),
        pytest.param({}, "crash.permission", "web", K.PENDING, id="another fault"),
        pytest.param({"age": 10}, "image.not_found", "web", K.PENDING, id="pod too young"),
        pytest.param({"waiting": "ContainerCreating"}, "image.not_found", "web", K.PENDING, id="pod still starting"),
        pytest.param({"status__observedGeneration": 2}, "image.not_found", "web", K.PENDING, id="not yet rolled out"),
    ],
)
def test_the_answered_fault_that_shows_again_ends_the_wait(
    make: Any, snapshot: dict[str, Any], signature: str, container: str, kind: VerdictKind
) -> None:
    findings = (make.finding(signature, container=container),)
    found = verdict(make, ill(make, ready=2, **snapshot), 65, findings=findings)
    assert found.kind is kind


def test_before_it_has_settled_the_answered_fault_proves_nothing(make: Any) -> None:
    found = verdict(make, ill(make, ready=2), 20, findings=(make.finding(),))
    assert found.kind is VerdictKind.PENDING


@pytest.mark.parametrize(
    ("seconds", "kind"), [(-90, K.PENDING), (-30, K.FAILED)], ids=["before the write", "after the write"]
)
def test_a_rollout_that_exceeded_its_deadline_has_failed(make: Any, seconds: float, kind: VerdictKind) -> None:
    at = (make.now + timedelta(seconds=seconds)).isoformat()
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "lastTransitionTime": at,
    }
    snapshot = ill(make, waiting="ContainerCreating", ready=2, status__conditions=[condition])
    assert verdict(make, snapshot, 65).kind is kind


# One layer of several.


@pytest.mark.parametrize(
    ("given_", "kind"),
    [
        pytest.param({}, K.PROGRESSED, id="another fault shows"),
        pytest.param({"has_next": False}, K.PENDING, id="nothing to propose for it"),
        pytest.param({"answered": frozenset({"crash.permission"})}, K.PENDING, id="answered before: no ping-pong"),
        pytest.param({"signatures": ("crash.permission", "image.not_found")}, K.FAILED, id="the first is still there"),
        pytest.param({"signatures": ()}, K.PENDING, id="no fault shows"),
        pytest.param({"fixable": False}, K.PENDING, id="unfixable"),
        pytest.param({"ready": 1}, K.PENDING, id="fewer ready than before"),
        pytest.param({"elapsed": 20}, K.PENDING, id="too early"),
        pytest.param({"status__observedGeneration": 2}, K.PENDING, id="not yet rolled out"),
        pytest.param({"waiting": "ContainerCreating", "elapsed": 35}, K.PENDING, id="perhaps only slow"),
        pytest.param({"waiting": "ContainerCreating", "elapsed": 61}, K.PROGRESSED, id="too slow to be only that"),
        pytest.param({"elapsed": 310}, K.PROGRESSED, id="seen only at the deadline"),
    ],
)
def test_progress_is_another_fault_in_the_place_of_the_answered_one(
    make: Any, given_: dict[str, Any], kind: VerdictKind
) -> None:
    given_ = dict(given_)
    signatures = given_.pop("signatures", ("crash.permission",))
    fixable = given_.pop("fixable", True)
    elapsed = given_.pop("elapsed", 65)
    has_next, answered = given_.pop("has_next", True), given_.pop("answered", frozenset({"image.not_found"}))
    snapshot = ill(make, **{"waiting": "CrashLoopBackOff", "ready": 2, **given_})
    findings = tuple(make.finding(signature, fixable=fixable) for signature in signatures)
    found = verdict(make, snapshot, elapsed, findings=findings, has_next=has_next, answered=answered)
    assert found.kind is kind


@pytest.mark.inv(34)
def test_a_fault_that_only_a_model_named_is_never_seen_to_be_gone(make: Any) -> None:
    plan = replace(make.plan(), finding="model.bad_flag")
    snapshot = ill(make, waiting="CrashLoopBackOff", ready=2)
    found = verdict(
        make, snapshot, 65, plan=plan, findings=(make.finding("crash.permission"),), has_next=True, answered=frozenset()
    )
    assert found.kind is VerdictKind.PENDING


def test_a_healthy_workload_has_not_progressed_but_soaks(make: Any) -> None:
    findings = (make.finding("crash.permission"),)
    assert verdict(make, well(make), 65, findings=findings, has_next=True).kind is VerdictKind.PENDING


# Taken back.


def reverted(make: Any, *managers: tuple[str, int]) -> Any:
    snapshot = make.snapshot(make.deployment(metadata__generation=4, status__observedGeneration=4))
    owners = tuple(
        FieldOwner(
            manager=name,
            operation="Update",
            at=make.now + timedelta(seconds=seconds),
            paths=frozenset({"/spec/template/spec/containers[web]/image"}),
        )
        for name, seconds in managers
    )
    return replace(snapshot, live=replace(snapshot.live, owners=owners))


@pytest.mark.parametrize("elapsed", [1, 65, 310])
def test_a_change_that_someone_took_back_is_reverted_whatever_its_effect(make: Any, elapsed: float) -> None:
    snapshot = reverted(make, ("kubectl-edit", -100), ("argocd-controller", 5), ("clopus", 9))
    found = verdict(make, snapshot, elapsed)
    assert (found.kind, found.other_manager) == (VerdictKind.REVERTED, "argocd-controller")


def test_a_change_that_nobody_admits_to_taking_back_is_reverted_too(make: Any) -> None:
    found = verdict(make, reverted(make), 65)
    assert (found.kind, found.other_manager) == (VerdictKind.REVERTED, "")


def test_another_hand_elsewhere_on_the_object_is_no_revert(make: Any) -> None:
    body = after_change(make)
    make.container(body, 1)["image"] = "registry.local/metrics:2"
    snapshot = make.snapshot(body, pods=(make.pod("web-3"), make.pod("web-4")))
    history = tuple(make.look(at, healthy=True) for at in HELD)
    assert verdict(make, snapshot, 65, history=history).kind is VerdictKind.PASSED


# Deleted pods.


@pytest.mark.parametrize(
    ("pods", "kind"),
    [
        (("web-1", "web-2"), K.PENDING),
        (("web-2", "web-3"), K.PASSED),
    ],
    ids=["still there", "replaced"],
)
def test_a_deleted_pod_has_to_be_gone_and_its_successor_well(
    make: Any, pods: tuple[str, ...], kind: VerdictKind
) -> None:
    plan = make.plan(DeletePod(target=POD), finding="pod.stuck")
    snapshot = make.snapshot(pods=tuple(make.pod(name) for name in pods))
    history = tuple(make.look(at, healthy=True) for at in HELD)
    execution = make.execution(plan, generation_after=0)
    assert verdict(make, snapshot, 65, plan=plan, execution=execution, history=history).kind is kind


def test_a_pod_that_is_still_terminating_is_not_gone(make: Any) -> None:
    plan = make.plan(DeletePod(target=POD), finding="pod.stuck")
    snapshot = make.snapshot(pods=(make.pod("web-1", deleting=True), make.pod("web-2"), make.pod("web-3")))
    history = tuple(make.look(at, healthy=True) for at in HELD)
    execution = make.execution(plan, generation_after=0)
    assert verdict(make, snapshot, 65, plan=plan, execution=execution, history=history).kind is VerdictKind.PENDING


# The measure of before.


def test_the_baseline_counts_ready_desired_and_restarts_of_the_living(make: Any) -> None:
    pods = (make.pod("a", restarts=2), make.pod("b", restarts=3), make.pod("c", restarts=9, deleting=True))
    snapshot = make.snapshot(make.deployment(status__readyReplicas=1), pods=pods)
    assert baseline_of(snapshot) == Baseline(ready=1, desired=2, restarts=5)


def test_the_baseline_of_pods_without_a_workload_is_their_own(make: Any) -> None:
    snapshot = make.snapshot(workload=None, pods=(make.pod("a"), make.pod("b", ready=False)))
    assert baseline_of(snapshot) == Baseline(ready=1, desired=2, restarts=0)


@pytest.mark.parametrize(
    ("exit_code", "ago", "ready"),
    [(137, 60, 1), (137, 599, 1), (137, 601, 2), (0, 60, 2)],
    ids=["crashed", "crashed a while ago", "has run since", "ended by itself"],
)
def test_a_pod_that_crashes_over_and_over_is_not_ready_before_a_change(
    make: Any, exit_code: int, ago: int, ready: int
) -> None:
    end = Terminated(exit_code=exit_code, finished_at=make.now - timedelta(seconds=ago))
    pod = make.pod("a", restarts=3)
    flapping = replace(pod, statuses=(replace(pod.statuses[0], last_terminated=end),))
    snapshot = make.snapshot(make.deployment(status__readyReplicas=2), pods=(flapping, make.pod("b")))
    assert baseline_before(snapshot).ready == ready
    assert baseline_of(snapshot).ready == 2


@pytest.mark.inv(34)
@given(
    ready=st.integers(0, 2),
    updated=st.integers(0, 2),
    observed=st.integers(1, 3),
    waiting=st.sampled_from(["", "CrashLoopBackOff", "ContainerCreating"]),
    restarts=st.integers(0, 2),
    looks=st.lists(st.tuples(st.integers(31, 200), st.booleans()), max_size=4),
    elapsed=st.floats(0, 400),
    firing=st.integers(0, 1),
)
def test_passed_is_never_said_without_every_positive_sign(
    ready: int,
    updated: int,
    observed: int,
    waiting: str,
    restarts: int,
    looks: list[tuple[int, bool]],
    elapsed: float,
    firing: int,
    make: Any,
) -> None:
    pods = (make.pod("a", ready=not waiting, waiting=waiting, restarts=restarts), make.pod("b"))
    status = {
        "status__readyReplicas": ready,
        "status__updatedReplicas": updated,
        "status__observedGeneration": observed,
    }
    history = tuple(make.look(at, healthy=good, number=i) for i, (at, good) in enumerate(sorted(looks)))
    policy = replace(POLICY, alert_resolved=True)
    found = verdict(
        make, well(make, pods=pods, **status), elapsed, history=history, policy=policy, alerts_firing=firing
    )
    if found.kind is not VerdictKind.PASSED:
        return
    assert (ready, updated, observed, waiting, restarts, firing) == (2, 2, 3, "", 0, 0)
    assert history
    assert history[-1].verdict.healthy
    assert elapsed >= 2 * POLICY.settle_seconds


@pytest.mark.parametrize(
    ("has_next", "kind"),
    [pytest.param(True, K.PROGRESSED, id="one more step"), pytest.param(False, K.FAILED, id="no further step")],
)
def test_a_raise_that_was_too_little_is_a_step_as_long_as_there_is_a_next(
    make: Any, has_next: bool, kind: VerdictKind
) -> None:
    action = SetResources(target=make.target, container="web", memory_limit="128Mi")
    plan = replace(make.plan(), action=action, finding="memory.oom_killed:64Mi")
    found = verdict(
        make,
        ill(make, waiting="CrashLoopBackOff"),
        65,
        plan=plan,
        execution=make.execution(plan, baseline=Baseline(ready=0, desired=2, restarts=3)),
        findings=(make.finding("memory.oom_killed", about="128Mi"),),
        has_next=has_next,
        answered=frozenset({"memory.oom_killed:64Mi"}),
    )
    assert found.kind is kind


def test_a_rollout_that_an_old_pod_blocks_shows_its_next_fault_without_a_new_pod(make: Any) -> None:
    snapshot = well(make, pods=(make.pod("web-0", hash="h1", waiting="ImagePullBackOff"),), status__readyReplicas=0)
    given_ = {"findings": (make.finding("rollout.blocked_by_old_pod", container=""),), "has_next": True}
    execution = make.execution(make.plan(), baseline=Baseline(ready=0, desired=2, restarts=0))
    assert verdict(make, snapshot, 65, execution=execution, **given_).kind is K.PROGRESSED


# An autoscaler at work meanwhile.


@pytest.mark.inv(36)
@pytest.mark.parametrize(
    ("replicas", "kind"),
    [pytest.param(2, K.PASSED, id="scaled down"), pytest.param(0, K.FAILED, id="scaled to zero")],
)
def test_fewer_pods_because_fewer_are_asked_for_are_no_regression(make: Any, replicas: int, kind: VerdictKind) -> None:
    execution = make.execution(make.plan(), baseline=Baseline(ready=5, desired=5, restarts=0))
    history = tuple(make.look(at, healthy=True) for at in HELD)
    snapshot = well(make, spec__replicas=replicas)
    assert verdict(make, snapshot, 65, execution=execution, history=history).kind is kind


def test_a_replica_set_that_is_scaled_to_zero_is_lost(make: Any) -> None:
    execution = make.execution(make.plan(), baseline=Baseline(ready=2, desired=2, restarts=0))
    assert verdict(make, without_workload(make, replicas=0), 65, execution=execution).regression


# Undone.


def undone(make: Any, **changes: Any) -> Any:
    """The object as it was before the change, seen by its controller at the generation of the undo."""
    return make.snapshot(make.deployment(**{"metadata__generation": 4, "status__observedGeneration": 4, **changes}))


def rollback(make: Any, snapshot: Any, elapsed: float = 65, **given_: Any) -> Verdict:
    plan = make.plan()
    execution = make.execution(plan, baseline=given_.get("baseline", Baseline(ready=2, desired=2, restarts=0)))
    undo = make.execution(
        plan,
        id="exe-2",
        kind=ExecutionKind.ROLLBACK,
        generation_after=4,
        base_hash_after=given_.get("answered", execution.change.base_hash),
    )
    history = tuple(make.look(at, healthy=good) for at, good in given_.get("looks", ((35, True), (50, True))))
    return judge_rollback(
        plan=plan,
        execution=execution,
        undo=undo,
        snapshot=snapshot,
        history=history,
        elapsed_seconds=elapsed,
        policy=POLICY,
    )


@pytest.mark.inv(34, 35)
@pytest.mark.parametrize(
    ("elapsed", "looks", "kind", "healthy"),
    [
        pytest.param(1, (), K.PENDING, True, id="first look"),
        pytest.param(31, ((1, True),), K.PASSED, True, id="held over two looks"),
        pytest.param(29, ((1, True),), K.PENDING, True, id="not held long enough"),
        pytest.param(65, ((1, True), (50, False)), K.PENDING, True, id="a break starts it again"),
        pytest.param(301, (), K.UNKNOWN, True, id="first good look after the deadline"),
    ],
)
def test_an_undo_counts_once_the_object_has_stood_as_it_was(
    make: Any, elapsed: float, looks: Any, kind: VerdictKind, healthy: bool
) -> None:
    found = rollback(make, undone(make), elapsed, looks=looks)
    assert (found.kind, found.healthy) == (kind, healthy)


NOT_YET: list[tuple[str, Given]] = [
    ("not read", lambda m: {"snapshot": None}),
    ("object not read", lambda m: {"snapshot": replace(undone(m), live=None, workload=None)}),
    (
        "pods not read",
        lambda m: {"snapshot": replace(undone(m), unchecked=(Unchecked(what="pods", why="403"),))},
    ),
    ("controller is behind", lambda m: {"snapshot": undone(m, status__observedGeneration=3)}),
    (
        "controller is behind the undo",
        lambda m: {"snapshot": undone(m, metadata__generation=3, status__observedGeneration=3)},
    ),
    ("fewer ready", lambda m: {"snapshot": undone(m, status__readyReplicas=1)}),
]


@pytest.mark.inv(34, 35)
@pytest.mark.parametrize("given_", [n[1] for n in NOT_YET], ids=[n[0] for n in NOT_YET])
@pytest.mark.parametrize(("elapsed", "kind"), [(65, K.PENDING), (310, K.UNKNOWN)])
def test_an_undo_of_which_a_sign_is_missing_is_not_verified(
    make: Any, given_: Given, elapsed: float, kind: VerdictKind
) -> None:
    found = rollback(make, elapsed=elapsed, **given_(make))
    assert (found.kind, found.healthy) == (kind, False)


@pytest.mark.parametrize(
    ("replicas", "ready", "kind"),
    [
        pytest.param(1, 1, K.PASSED, id="scaled down"),
        pytest.param(1, 0, K.PENDING, id="scaled down and not ready"),
        pytest.param(9, 2, K.PASSED, id="scaled up"),
        pytest.param(0, 0, K.FAILED, id="scaled to zero"),
    ],
)
def test_an_autoscaler_may_move_the_replicas_of_what_was_undone(
    make: Any, replicas: int, ready: int, kind: VerdictKind
) -> None:
    assert rollback(make, undone(make, spec__replicas=replicas, status__readyReplicas=ready)).kind is kind


def test_an_object_that_was_never_ready_has_not_to_be_after_the_undo(make: Any) -> None:
    snapshot = undone(make, status__readyReplicas=0)
    assert rollback(make, snapshot, baseline=Baseline(ready=0, desired=2)).kind is VerdictKind.PASSED


@pytest.mark.inv(35)
@pytest.mark.parametrize("elapsed", [1, 65, 310])
@pytest.mark.parametrize(
    "given_",
    [
        lambda m: {"snapshot": replace(undone(m), gone=True, live=None, workload=None)},
        lambda m: {"snapshot": undone(m, metadata__uid="uid-new")},
        lambda m: {"snapshot": undone(m, metadata__labels={"app": "other"})},
        lambda m: {
            "snapshot": undone(m, metadata__labels={"injected": "yes"}),
            "answered": m.hash_of(m.deployment(metadata__labels={"injected": "yes"})),
        },
    ],
    ids=["gone", "made anew", "changed since", "the server made something else of it"],
)
def test_an_object_that_is_not_what_it_was_fails_the_undo(make: Any, given_: Given, elapsed: float) -> None:
    assert rollback(make, elapsed=elapsed, **given_(make)).kind is VerdictKind.FAILED


def test_who_changed_the_object_after_the_undo_is_named(make: Any) -> None:
    snapshot = undone(make, metadata__labels={"app": "other"})
    owner = FieldOwner(
        manager="argocd-controller", operation="Update", at=make.now, paths=frozenset({"/metadata/labels/app"})
    )
    found = rollback(make, replace(snapshot, live=replace(snapshot.live, owners=(owner,))))
    assert found.other_manager == "argocd-controller"
    assert "argocd-controller" in found.reason
