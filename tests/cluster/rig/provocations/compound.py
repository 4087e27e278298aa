"""One fault that shows in several places: still one incident, on the object that is to blame."""

from __future__ import annotations

from typing import Any

from rig.provocations.model import (
    Place,
    Provocation,
    available,
    condition,
    container_patch,
    deploy,
    mends,
    template,
    waits,
)


async def _crashes_behind_a_service(place: Place) -> None:
    await place.create("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 8080}]})
    budget = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 1}
    await place.create("PodDisruptionBudget", "web", spec=budget)
    await deploy(place, "web", {"image": "registry.example/shop/web:1.3"})
    await place.until_any("Pod", waits("CrashLoopBackOff"))
    await place.until_any("EndpointSlice", lambda found: bool(found.get("endpoints")))


async def _waits_for_its_claim(place: Place) -> None:
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast-tape",
    }
    templates = {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}
    mounts = [{"name": "data", "mountPath": "/data"}]
    await deploy(place, "web", {"volumeMounts": mounts}, kind="StatefulSet", spec=templates)
    await place.until_any("Pod", condition("PodScheduled", "False", "Unschedulable"))
    await place.event("ProvisioningFailed")


async def _fills_its_quota(place: Place) -> None:
    await place.create("ResourceQuota", "few", spec={"hard": {"pods": "1"}})
    await place.until("ResourceQuota", "few", lambda quota: "used" in quota.get("status", {}))
    await deploy(place, "web", spec={"replicas": 2})
    await place.until("Deployment", "web", condition("ReplicaFailure", "True", "FailedCreate"))
    await place.until("ResourceQuota", "few", lambda quota: quota["status"]["used"]["pods"] == "1")


async def _runs_a_job_that_fails(place: Place) -> None:
    """Schedules come round once a minute: the Job is made as the controller would make it."""
    pod = template("report", {"image": "registry.example/tools/crash:latest"}, restartPolicy="Never")
    job: dict[str, Any] = {"template": pod, "backoffLimit": 0}
    made = await place.create("CronJob", "report", spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": job}})
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "report", "uid": made["metadata"]["uid"]}
    await place.create("Job", "report-1", metadata={"ownerReferences": [{**owner, "controller": True}]}, spec=job)
    await place.until("Job", "report-1", condition("Failed", "True", "BackoffLimitExceeded"))


async def _rolls_out_a_bad_image(place: Place) -> None:
    """The old pods serve on: only the new ones fail."""
    await place.create("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    await deploy(place, "web", {"image": "nginx:1.26"}, spec={"replicas": 3})
    await place.until("Deployment", "web", available(3))
    await place.patch("Deployment", "web", container_patch(image="nginx:1.62"))
    await place.until_any("Pod", waits("ImagePullBackOff", "ErrImagePull"))


COMPOUND = (
    Provocation(
        name="crash loop behind a Service and a budget",
        provoke=_crashes_behind_a_service,
        root="Deployment/web",
        alert="CrashLoopBackOff",
        shown_by="Pod",
        repair=mends("web", container_patch(image="registry.example/shop/web:1.4")),
    ),
    Provocation(
        name="rollout of a bad image",
        provoke=_rolls_out_a_bad_image,
        root="Deployment/web",
        alert="ImagePullBackOff",
        shown_by="Pod",
        repair=mends("web", container_patch(image="nginx:1.27")),
    ),
    Provocation(
        name="StatefulSet whose claim has no class",
        provoke=_waits_for_its_claim,
        root="StatefulSet/web",
        alert="Unschedulable",
        shown_by="Pod",
    ),
    Provocation(
        name="Deployment that fills its quota",
        provoke=_fills_its_quota,
        root="Deployment/web",
        alert="ReplicaFailure",
        repair=mends("few", {"spec": {"hard": {"pods": "5"}}}, kind="ResourceQuota"),
    ),
    Provocation(
        name="CronJob whose run fails",
        provoke=_runs_a_job_that_fails,
        root="CronJob/report",
        alert="JobFailed",
        shown_by="Job",
    ),
)
