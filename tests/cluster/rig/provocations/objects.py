"""Failures that no pod shows: refused pods, Jobs, Services, claims, autoscalers, budgets, quotas, namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
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

_REFUSED = condition("ReplicaFailure", "True", "FailedCreate")
_RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 101,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _memory(amount: str) -> dict[str, Any]:
    return {"resources": {"requests": {"memory": amount}, "limits": {"memory": amount}}}


async def _until_refused(place: Place) -> None:
    await place.until("Deployment", "web", _REFUSED)
    await place.event("FailedCreate")


async def _exceeds_quota(place: Place) -> None:
    """The quota itself is not used up: one pod alone asks for more than all of it."""
    await place.create("ResourceQuota", "compute", spec={"hard": {"requests.memory": "1Gi"}})
    await place.until("ResourceQuota", "compute", lambda quota: "used" in quota.get("status", {}))
    await deploy(place, "web", _memory("2Gi"))
    await _until_refused(place)


async def _violates_pod_security(place: Place) -> None:
    await deploy(place, "web")
    await _until_refused(place)


async def _obeys_pod_security(place: Place) -> None:
    harmless = {"image": "nginxinc/nginx-unprivileged:1.27", "securityContext": _RESTRICTED}
    await place.patch("Deployment", "web", container_patch(**harmless))


async def _lacks_service_account(place: Place) -> None:
    await deploy(place, "web", serviceAccountName="ghost")
    await _until_refused(place)


async def _adds_service_account(place: Place) -> None:
    await place.create("ServiceAccount", "ghost")


def _lacks_account(kind: str, name: str, *, restart: str = "Always", **spec: Any) -> Step:
    """These kinds have no condition for it: only events tell."""

    async def provoke(place: Place) -> None:
        runs = {"image": "busybox:1.37", "command": ["true"]} if kind == "Job" else {}
        pod = template(name, runs, serviceAccountName="ghost", restartPolicy=restart)
        selector = {} if kind == "Job" else {"selector": {"matchLabels": {"app": name}}}
        await place.create(kind, name, spec={**selector, "template": pod, **spec})
        await place.until_any("Event", lambda event: event["reason"] == "FailedCreate" and _lasts(event))

    return provoke


def _gives_account(kind: str) -> Step:
    """A controller that has been refused often waits for minutes, unless its object changes."""

    async def step(place: Place) -> None:
        await _adds_service_account(place)
        await place.patch(kind, "web", {"metadata": {"annotations": {"example.com/look": "again"}}})

    return step


def _lasts(event: Any) -> bool:
    """One refusal may have come too early by a second: it has to go on."""
    first, last = (datetime.fromisoformat(event[key]) for key in ("firstTimestamp", "lastTimestamp"))
    return (last - first).total_seconds() >= 5


async def _stops_half_way(place: Place) -> None:
    await deploy(place, "web", {"image": "nginx:1.28"}, spec={"replicas": 4})
    await place.until("Deployment", "web", available(4))
    await place.patch("Deployment", "web", container_patch(image="registry.example/shop/search:1.0"))
    await place.until("Deployment", "web", lambda body: 0 < body["status"].get("updatedReplicas", 0) < 4)
    await place.patch("Deployment", "web", {"spec": {"paused": True}})
    await place.until("Deployment", "web", condition("Progressing", "Unknown", "DeploymentPaused"))


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


async def _exceeds_limit_range(place: Place) -> None:
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    await place.create("LimitRange", "ceiling", spec={"limits": limits})
    await deploy(place, "web", _memory("128Mi"))
    await _until_refused(place)


async def _meets_a_dead_webhook(place: Place) -> None:
    name = place.notes["webhook"] = unique("dead-webhook")
    hook = {
        "name": "pods.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    await place.create("ValidatingWebhookConfiguration", name, webhooks=[hook])
    await asyncio.sleep(1)  # the server takes up a configuration within a second, and says nothing when it has
    await deploy(place, "web")
    await _until_refused(place)


async def _removes_webhook(place: Place) -> None:
    await place.delete("ValidatingWebhookConfiguration", place.notes["webhook"])


async def _misses_its_deadline(place: Place) -> None:
    probe = {"httpGet": {"path": "/no-such-page", "port": 80}}
    await deploy(place, "web", {"readinessProbe": probe}, spec={"progressDeadlineSeconds": 2})
    await place.until("Deployment", "web", condition("Progressing", "False", "ProgressDeadlineExceeded"))


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


_FITTING = container_patch(resources={"requests": {"memory": "32Mi"}, "limits": {"memory": "32Mi"}})

REFUSED = (
    Provocation(
        name="pods that exceed the quota",
        provoke=_exceeds_quota,
        root="Deployment/web",
        alert="ReplicaFailure",
        repair=mends("web", _FITTING),
    ),
    Provocation(
        name="pods that violate pod security",
        provoke=_violates_pod_security,
        root="Deployment/web",
        alert="ReplicaFailure",
        labels={"pod-security.kubernetes.io/enforce": "restricted"},
        repair=_obeys_pod_security,
    ),
    Provocation(
        name="pods without their service account",
        provoke=_lacks_service_account,
        root="Deployment/web",
        alert="ReplicaFailure",
        repair=_adds_service_account,
    ),
    Provocation(
        name="StatefulSet without its service account",
        provoke=_lacks_account("StatefulSet", "web", serviceName="web"),
        root="StatefulSet/web",
        alert="ReplicaFailure",
        repair=_gives_account("StatefulSet"),
    ),
    Provocation(
        name="DaemonSet without its service account",
        provoke=_lacks_account("DaemonSet", "web"),
        root="DaemonSet/web",
        alert="ReplicaFailure",
        repair=_gives_account("DaemonSet"),
    ),
    Provocation(
        name="Job without its service account",
        provoke=_lacks_account("Job", "web", restart="Never"),
        root="Job/web",
        alert="ReplicaFailure",
        repair=_gives_account("Job"),
    ),
    Provocation(
        name="pods above the limit range",
        provoke=_exceeds_limit_range,
        root="Deployment/web",
        alert="ReplicaFailure",
        repair=removes("LimitRange", "ceiling"),
    ),
    Provocation(
        name="pods that a dead webhook refuses",
        provoke=_meets_a_dead_webhook,
        root="Deployment/web",
        alert="ReplicaFailure",
        repair=_removes_webhook,
        only_on="control plane",  # the sandbox has no admission webhooks
    ),
    Provocation(
        name="rollout past its deadline",
        provoke=_misses_its_deadline,
        root="Deployment/web",
        alert="DeploymentNotProgressing",
        repair=mends("web", container_patch(readinessProbe={"httpGet": {"path": "/", "port": 80}})),
    ),
)

OTHERS = (
    Provocation(
        name="rollout that was paused half way",
        provoke=_stops_half_way,
        root="Deployment/web",
        alert="RolloutPaused",
        repair=mends("web", {"spec": {"paused": False}}),
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
