"""What must hold of the whole responder, on the sandbox and on a real control plane, with only the rights it prints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from rig.world import SECOND_OPERATOR_TOKEN, World

from console.remote.client import ApiError, path_of
from responder.domain.execution import ExecutionKind, ExecutionOutcome
from responder.domain.incident import Incident, Outcome, State
from responder.domain.plan import Plan
from responder.domain.views import IncidentDetail

EVERY_ACTION = (
    "[set_image, undo_rollout, restart_rollout, set_resources, replace_config_reference, set_probe, set_ports, "
    "add_scratch_volume, delete_pod]"
)


def rules(mode: str, *, extra: str = "") -> str:
    actions = f"\n    actions: {EVERY_ACTION}" if mode == "autonomous" else ""
    return f"""
rules:
  - name: all
    match: {{}}
    mode: {mode}{actions}
    max_risk: medium
    budget: {{per_workload: 8/30m, per_namespace: 20/1h, per_cluster: 50/1h}}
    verify: {{settle: 2s, within: 40s}}
{extra}"""


def deployment(name: str, container: dict[str, Any], *, replicas: int = 1, **pod: Any) -> str:
    import json

    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", **container}], **pod},
    }
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
        }
    )


def waits(*reasons: str) -> Any:
    def holds(pod: Any) -> bool:
        statuses = pod.get("status", {}).get("containerStatuses", ())
        return any(s.get("state", {}).get("waiting", {}).get("reason") in reasons for s in statuses)

    return holds


def rolled_out(replicas: int = 1) -> Any:
    def holds(body: Any) -> bool:
        status = body.get("status", {})
        seen = status.get("observedGeneration") == body["metadata"]["generation"]
        ready = status.get("readyReplicas") == status.get("updatedReplicas") == status.get("replicas") == replicas
        return bool(seen and ready)

    return holds


def container_of(body: Any) -> Any:
    return body["spec"]["template"]["spec"]["containers"][0]


def applied(detail: IncidentDetail) -> list[ExecutionKind]:
    """What took effect. A status report between read and write keeps an attempt out; it is made anew."""
    done = (view.execution for view in detail.executions)
    return [execution.kind for execution in done if execution.outcome is ExecutionOutcome.APPLIED]


def kinds(detail: IncidentDetail) -> list[str]:
    return [view.plan.action.kind for view in detail.plans]


RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 101,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.inv(32)
async def test_an_intentional_crash_loop_is_unfixable_and_nothing_is_written(world: World) -> None:
    await world.deploy(deployment("ledger", {"image": "registry.example/shop/ledger:1.0"}))
    await world.start(rules("autonomous"))
    pod = await world.pod_of("ledger", waits("CrashLoopBackOff"))
    await world.post(world.alert("KubePodCrashLooping", pod=pod, container="app"))
    detail = await world.incident("ledger")
    assert (detail.incident.state, detail.incident.outcome) == (State.ESCALATED, Outcome.UNFIXABLE)
    assert world.writes() == []


@pytest.mark.inv(25)
async def test_a_mistyped_image_is_mended_by_one_write_after_a_dry_run(world: World) -> None:
    await world.deploy(deployment("assets", {"image": "nginx:1.27"}))
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.until("Deployment", "assets", rolled_out())
    await world.start(rules("autonomous"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app", reason="ImagePullBackOff"))
    detail = await world.incident("web")
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.FIXED), detail.incident.summary
    assert container_of(await world.get("Deployment", "web"))["image"] == "nginx:1.27"
    assert [write.dry_run for write in world.writes()][-1] is False
    assert len(world.effective_writes()) == 1
    assert world.writes()[-2].dry_run


@pytest.mark.namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
async def test_a_rootless_nginx_gets_scratch_directories_and_a_free_port(world: World) -> None:
    container = {"image": "nginx:1.27", "ports": [{"containerPort": 80}], "securityContext": RESTRICTED}
    await world.deploy(deployment("web", container))
    await world.start(rules("autonomous"))
    pod = await world.pod_of("web", waits("CrashLoopBackOff"))
    await world.post(world.alert("KubePodCrashLooping", pod=pod, container="app"))
    detail = await world.incident("web")
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.FIXED), detail.incident.summary
    assert set(kinds(detail)) == {"add_scratch_volume", "set_ports"}
    after = container_of(await world.get("Deployment", "web"))
    assert after["ports"][0]["containerPort"] == 8080
    assert {"/var/cache/nginx"} <= {mount["mountPath"] for mount in after["volumeMounts"]}


@pytest.mark.namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
async def test_faults_that_hide_each_other_are_mended_under_one_incident(world: World) -> None:
    container = {"image": "nignx:1.27", "ports": [{"containerPort": 80}], "securityContext": RESTRICTED}
    await world.deploy(deployment("web", container))
    await world.start(rules("autonomous", extra="    images: ['nginx:*']\n"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    detail = await world.incident("web")
    assert (detail.incident.state, detail.incident.outcome) == (State.RESOLVED, Outcome.FIXED), detail.incident.summary
    assert kinds(detail)[0] == "set_image"
    assert "set_ports" in kinds(detail)
    assert len(await world.incidents()) == 1
    assert len(world.effective_writes()) == len(applied(detail))


@pytest.mark.inv(35)
async def test_a_fix_that_makes_things_worse_is_taken_back_to_the_byte(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.3"}))
    await world.start(rules("dry-run"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    before = await world.get("Deployment", "web")
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    await approve_next(world, "web")
    detail = await world.incident("web")
    assert detail.incident.outcome is Outcome.ROLLED_BACK, detail.incident.summary
    after = await world.get("Deployment", "web")
    assert after["spec"] == before["spec"]
    assert applied(detail) == [ExecutionKind.APPLY, ExecutionKind.ROLLBACK]


@pytest.mark.inv(35)
async def test_a_change_by_someone_else_in_between_stops_the_rollback(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.3"}))
    await world.start(rules("dry-run"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    await approve_next(world, "web")
    await world.incident("web", lambda incident: incident.state is State.VERIFYING)
    await world.patch("Deployment", "web", {"metadata": {"annotations": {"team": "was here"}}})
    detail = await world.incident("web")
    assert detail.incident.outcome is Outcome.ROLLBACK_FAILED, detail.incident.summary
    assert applied(detail) == [ExecutionKind.APPLY]


@pytest.mark.inv(32)
async def test_report_mode_sends_no_write_verb(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.start(rules("report"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    detail = await world.incident("web")
    assert (detail.incident.state, detail.incident.outcome) == (State.ESCALATED, Outcome.REPORTED)
    assert detail.investigations[-1].proposals
    assert world.writes() == []


@pytest.mark.inv(32)
@pytest.mark.inv(24)
async def test_dry_run_mode_writes_nothing_until_the_approval_and_refuses_another_digest(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.start(rules("dry-run"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    waiting = await world.incident("web", awaits)
    assert world.writes()
    assert all(write.dry_run for write in world.writes())
    plan = waiting.plans[-1].plan
    with pytest.raises(ApiError, match="digest"):
        await world.ask(
            lambda client: client.send(Plan, "POST", path_of("plans", plan.id, "approve"), {"digest": "0" * 64})
        )
    await approve_next(world, "web")
    detail = await world.incident("web")
    assert detail.incident.outcome is Outcome.FIXED, detail.incident.summary
    assert len(world.effective_writes()) == 1


@pytest.mark.inv(24)
async def test_an_approval_is_void_once_somebody_changed_the_object(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.start(rules("dry-run"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    first = (await world.incident("web", awaits)).plans[-1].plan
    await world.patch("Deployment", "web", {"metadata": {"annotations": {"team": "was here"}}})
    await approve_next(world, "web")
    detail = await world.incident("web", lambda incident: awaits(incident) and incident.updated_at > first.created_at)
    while detail.plans[-1].plan.id == first.id:
        await asyncio.sleep(0.1)
        detail = await world.incident("web", awaits)
    assert world.effective_writes() == []
    assert detail.plans[0].plan.state.value == "stale"
    assert detail.plans[-1].plan.digest != first.digest


async def test_a_change_that_someone_reverts_is_not_made_a_second_time(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.start(rules("autonomous", extra="    images: ['nginx:*']\n"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    await world.incident("web", lambda incident: incident.state is State.VERIFYING)
    containers = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "nignx:1.27"}]}}}}
    await world.patch("Deployment", "web", containers)
    detail = await world.incident("web")
    assert detail.incident.outcome is Outcome.REVERTED_BY_OTHERS, detail.incident.summary
    assert len(world.effective_writes()) == 1


async def test_an_operator_takes_an_applied_change_back(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.start(rules("autonomous", extra="    images: ['nginx:*']\n"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    fixed = await world.incident("web")
    execution = fixed.executions[-1].execution
    await world.ask(
        lambda client: client.send(Incident, "POST", path_of("executions", execution.id, "rollback")),
        token=SECOND_OPERATOR_TOKEN,
    )
    detail = await world.incident("web", lambda incident: incident.state is State.ESCALATED)
    assert container_of(await world.get("Deployment", "web"))["image"] == "nignx:1.27"
    assert detail.executions[-1].execution.requested_by == "bob"


@pytest.mark.inv(31)
async def test_the_kill_switch_stops_an_approved_change(world: World) -> None:
    await world.deploy(deployment("web", {"image": "nignx:1.27"}))
    await world.start(rules("dry-run"))
    pod = await world.pod_of("web", waits("ImagePullBackOff", "ErrImagePull"))
    await world.post(world.alert("KubeContainerWaiting", pod=pod, container="app"))
    await world.incident("web", awaits)
    await world.ask(lambda client: client.send(dict, "PUT", path_of("mode"), {"kill_switch": True, "reason": "drill"}))
    await approve_next(world, "web")
    detail = await world.incident("web")
    assert detail.incident.outcome is Outcome.REFUSED
    assert world.effective_writes() == []


def awaits(incident: Incident) -> bool:
    return incident.state is State.AWAITING_APPROVAL


async def approve_next(world: World, name: str) -> None:
    plan = (await world.incident(name, awaits)).plans[-1].plan
    await world.ask(
        lambda client: client.send(Plan, "POST", path_of("plans", plan.id, "approve"), {"digest": plan.digest})
    )
