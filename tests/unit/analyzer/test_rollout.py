"""Workloads as a whole: rollouts, scheduling, admission, and several faults at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from responder.domain.action import DeletePod
from responder.domain.investigation import Conclusion
from responder.domain.refs import ObjectRef
from responder.domain.workload import Condition, EventRecord

OVERDUE = Condition(type="Progressing", status="False", reason="ProgressDeadlineExceeded")


def unscheduled(build, message, **fields):
    conditions = (Condition(type="PodScheduled", status="False", reason="Unschedulable", message=message),)
    pod = build.pod(phase="Pending", node="", conditions=conditions)
    return build.snapshot(replace(pod, statuses=()), **fields)


def test_an_overdue_rollout_of_pods_that_say_nothing_goes_back(build):
    snapshot = build.broken(
        build.running(seconds=900, ready=False),
        before=build.container(image="nginx:1.26"),
        workload={"conditions": (OVERDUE,)},
    )
    found = build.diagnose(snapshot)
    assert found.proposals[0].action.kind == "undo_rollout"
    assert "rollout.deadline_exceeded" in {finding.signature for finding in found.findings}


def test_an_overdue_rollout_without_history_is_unexplained(build):
    snapshot = build.broken(build.running(seconds=900, ready=False), workload={"conditions": (OVERDUE,)})
    found = build.diagnose(snapshot)
    assert (found.conclusion, found.proposals) == (Conclusion.UNEXPLAINED, ())


def test_a_rollout_in_progress_is_not_taken_back(build):
    pod = build.pod(build.running(seconds=20, ready=False))
    earlier = build.revision(8, build.template(build.container(image="nginx:1.26")), ready=1)
    found = build.diagnose(build.snapshot(pod, earlier=earlier, workload={"total": 2}))
    assert (found.conclusion, found.proposals) == (Conclusion.UNEXPLAINED, ())


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu.", "scheduling.insufficient_resources"),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "scheduling.insufficient_resources"),
        ("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", "scheduling.node_selector"),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {a: b}.", "scheduling.taints"),
        ('0/3 nodes are available: persistentvolumeclaim "data" not found.', "scheduling.claim"),
    ],
)
def test_an_unschedulable_pod_is_reported_in_the_schedulers_words(build, message, signature):
    found = build.diagnose(unscheduled(build, message))
    assert (found.findings[0].signature, found.proposals) == (signature, ())
    assert message.split(": ")[1][:20] in found.findings[0].cause


def test_a_node_selector_that_came_with_the_revision_goes_back(build):
    earlier = build.revision(8, build.template(), ready=1, nodeSelector={"disk": "ssd"})
    found = build.diagnose(
        unscheduled(build, "0/3: 3 node(s) didn't match Pod's node affinity/selector.", earlier=earlier)
    )
    assert found.proposals[0].action.kind == "undo_rollout"


def test_scarce_capacity_is_not_blamed_on_a_revision_that_asks_for_the_same(build):
    earlier = build.revision(8, build.template(), ready=1, serviceAccountName="other")
    found = build.diagnose(unscheduled(build, "0/3 nodes are available: 3 Insufficient memory.", earlier=earlier))
    assert found.proposals == ()


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ('pods "web-x" is forbidden: exceeded quota: q, requested: requests.cpu=10m, used: 20m', "admission.quota"),
        (
            'pods "web-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "admission.pod_security",
        ),
        ('error looking up service account shop/app: serviceaccount "app" not found', "admission.service_account"),
        ('admission webhook "v.io" denied the request: no', "admission.webhook"),
    ],
)
def test_pods_that_are_refused_are_reported_in_the_servers_words(build, message, signature):
    condition = Condition(type="ReplicaFailure", status="True", reason="FailedCreate", message=message)
    found = build.diagnose(build.snapshot(desired=2, workload={"conditions": (condition,)}))
    assert (found.findings[0].signature, found.proposals) == (signature, ())
    assert message in found.findings[0].cause


def test_an_old_refusal_of_a_deployment_that_creates_pods_again_is_the_past(build):
    event = EventRecord(
        type="Warning",
        reason="FailedCreate",
        message="exceeded quota",
        subject=ObjectRef(kind="ReplicaSet", namespace="shop", name="web-b", uid="u-rs-9"),
        last_at=build.now,
    )
    snapshot = build.broken(build.crashing(), logs=["panic: boom"], events=(event,))
    found = build.diagnose(replace(snapshot, workload=replace(snapshot.workload, desired=2)))
    assert "admission.quota" not in {finding.signature for finding in found.findings}


def test_a_stateful_set_stuck_behind_its_broken_pod_gets_the_pod_deleted(build):
    root = ObjectRef(kind="StatefulSet", namespace="shop", name="db", uid="u-db")
    stuck = build.pod(build.waiting("ImagePullBackOff"), name="db-0", hash_="a8")
    snapshot = build.snapshot(stuck, earlier=build.revision(8, stuck.template), desired=1)
    snapshot = replace(snapshot, root=root, workload=replace(snapshot.workload, ref=root, updated=0))
    found = build.diagnose(snapshot)
    assert found.findings[0].signature == "rollout.blocked_by_old_pod"
    assert found.proposals[0].action == DeletePod(target=stuck.ref)


def test_of_several_faults_the_one_that_blocks_first_is_answered(build):
    template = build.template(
        build.container("setup", "busybx:1", init=True), build.container(image="nignx:1"), build.container("side")
    )
    denied = "pull access denied, repository does not exist or may require authorization"
    pod = build.pod(
        build.waiting("ImagePullBackOff", denied, "setup", init=True),
        build.waiting("ImagePullBackOff", denied),
        build.crashing("side"),
        template=template,
    )
    logs = (build.log("panic: boom", container="side"),)
    found = build.diagnose(build.snapshot(pod, logs=logs, healthy=["nginx:1", "busybox:1"]))
    assert {finding.container for finding in found.findings} == {"setup", "web", "side"}
    assert {proposal.action.container for proposal in found.proposals} == {"setup"}


def test_nothing_is_proposed_behind_a_fault_that_cannot_be_mended(build):
    conditions = (Condition(type="PodScheduled", status="False", message="0/3: 3 Insufficient cpu."),)
    waiting = replace(build.pod(phase="Pending", node="", conditions=conditions), statuses=())
    oom = build.pod(
        build.crashing(ended=build.ended(137, "OOMKilled")),
        name="web-b-2",
        template=build.template(build.container(memory_limit="64Mi")),
    )
    found = build.diagnose(build.snapshot(waiting, oom))
    assert {finding.signature for finding in found.findings} >= {
        "scheduling.insufficient_resources",
        "memory.oom_killed",
    }
    assert found.proposals == ()


def test_a_sandbox_that_the_node_cannot_make_is_the_nodes_fault(build):
    pod = build.pod(build.waiting("ContainerCreating"), phase="Pending")
    event = build.event("FailedCreatePodSandBox", "failed to setup network: plugin not initialized")
    found = build.diagnose(build.snapshot(pod, events=(event,)))
    assert (found.findings[0].signature, found.proposals) == ("node.sandbox", ())


def test_an_init_container_that_waits_for_long_is_told(build):
    template = build.template(build.container("wait", init=True), build.container())
    pod = build.pod(
        build.running("wait", seconds=900, ready=False, init=True),
        build.waiting("PodInitializing"),
        template=template,
        phase="Pending",
    )
    found = build.diagnose(build.snapshot(pod))
    assert (found.findings[0].signature, found.findings[0].container) == ("init.waiting", "wait")


def test_what_was_not_looked_at_is_listed(build):
    found = build.diagnose(build.broken(build.crashing(), logs=["boom"], unchecked=(build.unread("events"),)))
    assert {"events", "metrics and traces"} <= {item.what for item in found.unchecked}


def test_a_pod_on_a_node_that_is_not_ready_is_the_nodes_fault(build):
    pod = build.pod(conditions=(Condition(type="Ready", status="False"),))
    event = build.event("NodeNotReady", "Node is not ready")
    found = build.diagnose(build.snapshot(pod, events=(event,)))
    assert (found.findings[0].signature, found.proposals) == ("node.not_ready", ())


def test_a_crash_goes_back_to_a_revision_that_served_until_the_rollout_replaced_it(build):
    snapshot = build.broken(
        build.crashing(), before=build.container(image="nginx:1.26"), before_ready=0, logs=("ValueError: bad",)
    )
    assert build.diagnose(snapshot).conclusion is Conclusion.UNFIXABLE
    current, before = snapshot.revisions
    served = replace(snapshot, revisions=(current, replace(before, served_until=build.now)))
    found = build.diagnose(served)
    assert found.proposals[0].action.to_revision == before.number
    assert "was well until it was replaced" in found.proposals[0].reason
