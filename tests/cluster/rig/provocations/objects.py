"""Failures that no pod shows: Jobs, Services, claims, autoscalers, budgets, quotas, namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rig.api import unique
from rig.provocations.model import (
    MERGE,
    Place,
    Provocation,
    Step,
    available,
    condition,
    container_patch,
    deploy,
    mends,
    removes,
    template,
)


async def _stops_half_way(place: Place) -> None:
    await deploy(place, "web", {"image": "nginx:1.28"}, spec={"replicas": 4})
    await place.until("Deployment", "web", available(4))
    never = {"httpGet": {"path": "/no-such-page", "port": 80}}  # or it would be over before it is paused
    await place.patch("Deployment", "web", container_patch(readinessProbe=never))
    await place.until("Deployment", "web", lambda body: 0 < body["status"].get("updatedReplicas", 0) < 4)
    await place.patch("Deployment", "web", {"spec": {"paused": True}})
    paused = condition("Progressing", "Unknown", "DeploymentPaused")
    await place.until("Deployment", "web", lambda body: paused(body) and _is_observed(body))


def _is_observed(body: Any) -> bool:
    """The controller writes the condition first and tells in a second write that it has seen the change."""
    return bool(body["status"].get("observedGeneration") == body["metadata"]["generation"])


async def _lacks_its_target(place: Place) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gone"}
    await place.create("HorizontalPodAutoscaler", "web", spec={"scaleTargetRef": target, "maxReplicas": 3})
    await place.until("HorizontalPodAutoscaler", "web", condition("AbleToScale", "False", "FailedGetScale"))


async def _names_no_volume(place: Place) -> None:
    spec = _claim(storageClassName="", volumeName=unique("nowhere"))
    await place.create("PersistentVolumeClaim", "data", spec=spec)


async def _waits_for_a_load_balancer(place: Place) -> None:
    """There is no cloud, and so nobody who would give it an address."""
    await deploy(place, "web")
    await place.until("Deployment", "web", available())
    spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}
    await place.create("Service", "web", spec=spec)


async def _is_suspended_while_it_runs(place: Place) -> None:
    pod = template("close", {"command": ["sleep", "20"]}, restartPolicy="Never")
    await place.create("Job", "close", spec={"template": pod, "completions": 3, "parallelism": 1})
    await place.until("Job", "close", lambda job: job["status"].get("succeeded", 0) > 0)
    await place.patch("Job", "close", {"spec": {"suspend": True}})
    await place.until("Job", "close", condition("Suspended", "True"))


async def _uses_up_quota(place: Place) -> None:
    await place.create("ResourceQuota", "few", spec={"hard": {"pods": "1"}})
    await place.until("ResourceQuota", "few", lambda quota: "used" in quota.get("status", {}))
    await deploy(place, "web")
    await place.until("Deployment", "web", available())
    await place.until("ResourceQuota", "few", lambda quota: quota["status"]["used"]["pods"] == "1")


def _job(container: Mapping[str, Any], reason: str, **spec: Any) -> Step:
    async def provoke(place: Place) -> None:
        pod = template("close", container, restartPolicy="Never")
        await place.create("Job", "close", spec={"template": pod, **spec})
        await place.until("Job", "close", condition("Failed", "True", reason))

    return provoke


async def _is_suspended(place: Place) -> None:
    job = {"spec": {"template": template("report", {}, restartPolicy="Never")}}
    await place.create("CronJob", "report", spec={"schedule": "0 3 * * *", "suspend": True, "jobTemplate": job})


async def _selects_nobody(place: Place) -> None:
    await deploy(place, "web")
    await place.until("Deployment", "web", available())
    await place.create("Service", "web", spec={"selector": {"app": "wbe"}, "ports": [{"port": 80}]})
    await place.until_any("EndpointSlice", lambda found: not found.get("endpoints"))


async def _lacks_storage_class(place: Place) -> None:
    await place.create("PersistentVolumeClaim", "data", spec=_claim(storageClassName="fast-tape"))
    await place.event("ProvisioningFailed")


def _claim(**spec: Any) -> dict[str, Any]:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}


async def _loses_its_volume(place: Place) -> None:
    name = place.notes["volume"] = unique("volume")
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/srv/data"},
        "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": place.namespace, "name": "data"},
    }
    await place.create("PersistentVolume", name, spec=volume)
    await place.create("PersistentVolumeClaim", "data", spec=_claim(storageClassName="", volumeName=name))
    await place.until("PersistentVolumeClaim", "data", lambda claim: claim["status"]["phase"] == "Bound")
    await place.delete("PersistentVolume", name)
    unprotected = {"metadata": {"finalizers": None}}
    path = place.path("PersistentVolume", name)
    await place.ground.api.request("PATCH", path, unprotected, content_type=MERGE)
    await place.until("PersistentVolumeClaim", "data", lambda claim: claim["status"]["phase"] == "Lost")


def _budget(selector: str, **spec: Any) -> Step:
    async def provoke(place: Place) -> None:
        await deploy(place, "web")
        await place.until("Deployment", "web", available())
        await place.create("PodDisruptionBudget", "web", spec={"selector": {"matchLabels": {"app": selector}}, **spec})
        await place.until("PodDisruptionBudget", "web", condition("DisruptionAllowed", "False"))

    return provoke


async def _lacks_metrics(place: Place) -> None:
    await deploy(place, "web", {"resources": {"requests": {"cpu": "100m"}}})
    await place.until("Deployment", "web", available())
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": [metric]}
    await place.create("HorizontalPodAutoscaler", "web", spec=spec)
    await place.until("HorizontalPodAutoscaler", "web", condition("ScalingActive", "False", "FailedGetResourceMetric"))


async def _does_not_end(place: Place) -> None:
    await place.create("ConfigMap", "kept", metadata={"finalizers": ["example.com/hold"]})
    await place.delete("Namespace", place.namespace)
    await place.until("Namespace", place.namespace, condition("NamespaceFinalizersRemaining", "True"))


async def _lets_go(place: Place) -> None:
    released = {"metadata": {"finalizers": None}}
    await place.ground.api.expect("PATCH", place.path("ConfigMap", "kept"), released, content_type=MERGE)


_READY_AGAIN = container_patch(readinessProbe={"httpGet": {"path": "/", "port": 80}})

OTHERS = (
    Provocation(
        name="rollout that was paused half way",
        provoke=_stops_half_way,
        root="Deployment/web",
        alert="RolloutPaused",
        repair=mends("web", {"spec": {"paused": False, **_READY_AGAIN["spec"]}}),
    ),
    Provocation(
        name="Job that was suspended while it ran",
        provoke=_is_suspended_while_it_runs,
        root="Job/close",
        alert="JobSuspended",
        repair=mends("close", {"spec": {"suspend": False}}, kind="Job"),
    ),
    Provocation(
        name="Service that waits for a load balancer",
        provoke=_waits_for_a_load_balancer,
        root="Service/web",
        alert="LoadBalancerPending",
        repair=mends("web", {"spec": {"type": "ClusterIP"}}, kind="Service"),
    ),
    Provocation(
        name="claim of a volume that is not there",
        provoke=_names_no_volume,
        root="PersistentVolumeClaim/data",
        alert="ClaimPending",
        repair=removes("PersistentVolumeClaim", "data"),
    ),
    Provocation(
        name="autoscaler of nothing",
        provoke=_lacks_its_target,
        root="HorizontalPodAutoscaler/web",
        alert="HpaNotScaling",
        repair=removes("HorizontalPodAutoscaler", "web"),
    ),
    Provocation(
        name="Job that fails too often",
        provoke=_job({"image": "registry.example/shop/router:1.0"}, "BackoffLimitExceeded", backoffLimit=0),
        root="Job/close",
        alert="JobFailed",
        repair=removes("Job", "close"),
    ),
    Provocation(
        name="Job past its deadline",
        provoke=_job({"command": ["sleep", "100000"]}, "DeadlineExceeded", activeDeadlineSeconds=2),
        root="Job/close",
        alert="JobFailed",
        repair=removes("Job", "close"),
    ),
    Provocation(
        name="suspended CronJob",
        provoke=_is_suspended,
        root="CronJob/report",
        alert="CronJobSuspended",
        repair=mends("report", {"spec": {"suspend": False}}, kind="CronJob"),
    ),
    Provocation(
        name="Service that selects nobody",
        provoke=_selects_nobody,
        root="Service/web",
        alert="ServiceWithoutEndpoints",
        repair=mends("web", {"spec": {"selector": {"app": "web"}}}, kind="Service"),
    ),
    Provocation(
        name="claim of an unknown class",
        provoke=_lacks_storage_class,
        root="PersistentVolumeClaim/data",
        alert="ClaimPending",
        repair=removes("PersistentVolumeClaim", "data"),
    ),
    Provocation(
        name="claim without its volume",
        provoke=_loses_its_volume,
        root="PersistentVolumeClaim/data",
        alert="ClaimLost",
        repair=removes("PersistentVolumeClaim", "data"),
    ),
    Provocation(
        name="budget that selects nothing",
        provoke=_budget("wbe", maxUnavailable=1),
        root="PodDisruptionBudget/web",
        alert="BudgetSelectsNothing",
        repair=removes("PodDisruptionBudget", "web"),
    ),
    Provocation(
        name="budget that is not met",
        provoke=_budget("web", minAvailable=2),
        root="PodDisruptionBudget/web",
        alert="BudgetUnmet",
        repair=mends("web", {"spec": {"replicas": 2}}),
    ),
    Provocation(
        name="autoscaler without metrics",
        provoke=_lacks_metrics,
        root="HorizontalPodAutoscaler/web",
        alert="HpaNotScaling",
        repair=removes("HorizontalPodAutoscaler", "web"),
    ),
    Provocation(
        name="quota that is used up",
        provoke=_uses_up_quota,
        root="ResourceQuota/few",
        alert="QuotaExhausted",
        repair=mends("few", {"spec": {"hard": {"pods": "5"}}}, kind="ResourceQuota"),
    ),
    Provocation(
        name="namespace that does not end",
        provoke=_does_not_end,
        root="Namespace/{namespace}",
        alert="NamespaceTerminatingStuck",
        repair=_lets_go,
    ),
)
