"""Failures that a pod shows. The simulated kubelet brings them about from the pod's own specification.

Source of the reasons: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rig.provocations.model import (
    Place,
    Provocation,
    Step,
    available,
    condition,
    container_patch,
    deploy,
    mends,
    removes,
    waits,
)

_NEVER_READY = {"httpGet": {"path": "/no-such-page", "port": 80}, "periodSeconds": 10, "failureThreshold": 2}
_READY = {"httpGet": {"path": "/", "port": 80}}


def _waiting(*reasons: str, container: Mapping[str, Any], init: bool = False, **pod: Any) -> Step:
    async def provoke(place: Place) -> None:
        await deploy(place, "web", container, **pod)
        await place.until_any("Pod", waits(*reasons, init=init))

    return provoke


async def _runs_out_of_memory(place: Place) -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    await deploy(place, "web", {"image": "registry.example/tools/memory-eater:1.0", **limits})

    def killed(pod: Any) -> bool:
        statuses = pod["status"].get("containerStatuses") or ()
        ends = [((s.get(when) or {}).get("terminated") or {}) for s in statuses for when in ("state", "lastState")]
        return any(end.get("reason") == "OOMKilled" for end in ends)

    await place.until_any("Pod", killed)


async def _adds_config_map(place: Place) -> None:
    await place.create("ConfigMap", "settings", data={"MODE": "production"})


async def _lacks_secret_key(place: Place) -> None:
    await place.create("Secret", "login", stringData={"user": "shop"})
    reference = {"secretKeyRef": {"name": "login", "key": "password"}}
    await deploy(place, "web", {"env": [{"name": "PASSWORD", "valueFrom": reference}]})
    await place.until_any("Pod", waits("CreateContainerConfigError"))


async def _adds_secret_key(place: Place) -> None:
    await place.patch("Secret", "login", {"stringData": {"password": "simulated"}})


async def _lacks_mounted_config_map(place: Place) -> None:
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    mounts = [{"name": "settings", "mountPath": "/etc/settings"}]
    await deploy(place, "web", {"volumeMounts": mounts}, volumes=volumes)
    await place.event("FailedMount")


def _not_ready(kind: str, **spec: Any) -> Step:
    async def provoke(place: Place) -> None:
        pod = {"nodeSelector": {"kubernetes.io/hostname": place.ground.node}} if kind == "DaemonSet" else {}
        await deploy(place, "web", {"readinessProbe": _NEVER_READY}, kind=kind, spec=spec, **pod)
        await place.until_any("Pod", condition("Ready", "False", "ContainersNotReady"))
        await place.event("Unhealthy")

    return provoke


async def _flaps(place: Place) -> None:
    """Every probe but one of two fails."""
    command = ["sh", "-c", "test -e /tmp/up && rm /tmp/up || { touch /tmp/up; false; }"]
    probe = {"exec": {"command": command}, "periodSeconds": 15, "failureThreshold": 1}
    await deploy(place, "web", {"readinessProbe": probe})
    await place.until_any("Pod", condition("Ready", "True"))
    await place.until_any("Pod", condition("Ready", "False"))


def _unschedulable(**pod: Any) -> Step:
    async def provoke(place: Place) -> None:
        container = pod.get("container", {})
        await deploy(place, "web", container, **{key: value for key, value in pod.items() if key != "container"})
        await place.until_any("Pod", condition("PodScheduled", "False", "Unschedulable"))

    return provoke


async def _meets_a_taint(place: Place) -> None:
    node = place.notes["node"] = await place.private_node()
    await deploy(place, "web", nodeSelector={"for": node})
    await place.until_any("Pod", condition("PodScheduled", "False", "Unschedulable"))


async def _tolerates(place: Place) -> None:
    tolerations = [{"key": "for", "operator": "Exists"}]
    await place.patch("Deployment", "web", {"spec": {"template": {"spec": {"tolerations": tolerations}}}})


async def _is_gated(place: Place) -> None:
    await deploy(place, "web", schedulingGates=[{"name": "example.com/approval"}])
    await place.until_any("Pod", condition("PodScheduled", "False", "SchedulingGated"))


async def _opens_gates(place: Place) -> None:
    for pod in await place.ground.list("Pod", place.namespace):
        body = {"spec": {"schedulingGates": []}}
        path = place.path("Pod", pod["metadata"]["name"])
        await place.ground.api.expect("PATCH", path, body, content_type="application/merge-patch+json")


def _evicted(message: str) -> Step:
    """No kubelet runs short of anything here: the status is written as one would that does."""

    async def provoke(place: Place) -> None:
        node = place.notes["node"] = await place.private_node()
        await deploy(place, "web", nodeSelector={"for": node}, tolerations=[{"key": "for", "operator": "Exists"}])
        await place.until("Deployment", "web", available())
        pod = await place.until_any("Pod", condition("Ready", "True"))
        place.notes["pod"] = pod["metadata"]["name"]
        status = {"phase": "Failed", "reason": "Evicted", "message": message}
        await place.write_status("Pod", place.notes["pod"], status)
        await place.until_any("Pod", lambda found: found["status"].get("reason") == "Evicted")

    return provoke


async def _removes_pod(place: Place) -> None:
    await place.delete("Pod", place.notes["pod"])


async def _crashes_alone(place: Place) -> None:
    container = {"name": "app", "image": "python:3.12", "command": ["python3", "-c", "raise SystemExit(3)"]}
    await place.create("Pod", "alone", spec={"containers": [container], "terminationGracePeriodSeconds": 1})
    await place.until("Pod", "alone", waits("CrashLoopBackOff"))


async def _never_ends(place: Place) -> None:
    spec = {"containers": [{"name": "app", "image": "nginx:1.27"}], "terminationGracePeriodSeconds": 1}
    await place.create("Pod", "alone", metadata={"finalizers": ["example.com/hold"]}, spec=spec)
    await place.until("Pod", "alone", condition("Ready", "True"))
    await place.delete("Pod", "alone")
    await place.until("Pod", "alone", lambda pod: "deletionTimestamp" in pod["metadata"])


async def _lets_go(place: Place) -> None:
    released = {"metadata": {"finalizers": None}}
    path = place.path("Pod", "alone")
    await place.ground.api.expect("PATCH", path, released, content_type="application/merge-patch+json")


def _several(count: int, container: Mapping[str, Any], *reasons: str) -> Step:
    async def provoke(place: Place) -> None:
        names = [f"web-{number}" for number in range(1, count + 1)]
        await asyncio.gather(*(deploy(place, name, container) for name in names))
        for name in names:
            await place.until_any("Pod", lambda p, n=name: p["metadata"]["labels"]["app"] == n and waits(*reasons)(p))

    return provoke


_INIT = [{"name": "prepare", "image": "busybox:1.36", "command": ["false"]}]
_FIXED_INIT = {"spec": {"template": {"spec": {"initContainers": [{"name": "prepare", "command": ["true"]}]}}}}
_SIDECAR = [{"name": "proxy", "image": "registry.example/tools/crash:1.0", "restartPolicy": "Always"}]
_FIXED_SIDECAR = {"spec": {"template": {"spec": {"initContainers": [{"name": "proxy", "image": "nginx:1.25"}]}}}}
_FROM_SETTINGS = {"envFrom": [{"configMapRef": {"name": "settings"}}]}
_PULL = ("ImagePullBackOff", "ErrImagePull")

PODS = (
    Provocation(
        name="image that does not exist",
        provoke=_waiting(*_PULL, container={"image": "nignx:1.27"}),
        root="Deployment/web",
        alert="ImagePullBackOff",
        shown_by="Pod",
        repair=mends("web", container_patch(image="nginx:1.27")),
    ),
    Provocation(
        name="image that may not be pulled without a secret",
        provoke=_waiting(*_PULL, container={"image": "registry.example/shop/vault:1.0"}),
        root="Deployment/web",
        alert="ImagePullBackOff",
        shown_by="Pod",
    ),
    Provocation(
        name="image that is not there and may not be pulled",
        provoke=_waiting("ErrImageNeverPull", container={"image": "httpd:2.4", "imagePullPolicy": "Never"}),
        root="Deployment/web",
        alert="ErrImageNeverPull",
        shown_by="Pod",
        repair=mends("web", container_patch(imagePullPolicy="IfNotPresent")),
    ),
    Provocation(
        name="image name that is none",
        provoke=_waiting("InvalidImageName", container={"image": "nginx:1.27:broken"}),
        root="Deployment/web",
        alert="InvalidImageName",
        shown_by="Pod",
        repair=mends("web", container_patch(image="nginx:1.27")),
    ),
    Provocation(
        name="crash loop",
        provoke=_waiting("CrashLoopBackOff", container={"image": "registry.example/shop/ledger:1.0"}),
        root="Deployment/web",
        alert="CrashLoopBackOff",
        shown_by="Pod",
        repair=mends("web", container_patch(image="nginx:1.27")),
    ),
    Provocation(
        name="out of memory",
        provoke=_runs_out_of_memory,
        root="Deployment/web",
        alert="OOMKilled",
        shown_by="Pod",
        repair=mends("web", container_patch(resources={"limits": {"memory": "512Mi"}})),
    ),
    Provocation(
        name="program that cannot start",
        provoke=_waiting("RunContainerError", "CrashLoopBackOff", container={"command": ["/no/such/program"]}),
        root="Deployment/web",
        alert="RunContainerError",
        shown_by="Pod",
        repair=mends("web", container_patch(command=None)),
    ),
    Provocation(
        name="missing ConfigMap",
        provoke=_waiting("CreateContainerConfigError", container=_FROM_SETTINGS),
        root="Deployment/web",
        alert="CreateContainerConfigError",
        shown_by="Pod",
        repair=_adds_config_map,
    ),
    Provocation(
        name="missing key of a Secret",
        provoke=_lacks_secret_key,
        root="Deployment/web",
        alert="CreateContainerConfigError",
        shown_by="Pod",
        repair=_adds_secret_key,
    ),
    Provocation(
        name="missing ConfigMap to mount",
        provoke=_lacks_mounted_config_map,
        root="Deployment/web",
        alert="ContainerCreatingStuck",
        shown_by="Pod",
        repair=_adds_config_map,
    ),
    Provocation(
        name="init container that fails",
        provoke=_waiting("CrashLoopBackOff", init=True, container={}, initContainers=_INIT),
        root="Deployment/web",
        alert="CrashLoopBackOff",
        shown_by="Pod",
        repair=mends("web", _FIXED_INIT),
    ),
    Provocation(
        name="sidecar that fails",
        provoke=_waiting("CrashLoopBackOff", init=True, container={}, initContainers=_SIDECAR),
        root="Deployment/web",
        alert="CrashLoopBackOff",
        shown_by="Pod",
        repair=mends("web", _FIXED_SIDECAR),
    ),
    Provocation(
        name="container that never gets ready",
        provoke=_not_ready("Deployment"),
        root="Deployment/web",
        alert="ContainerNotReady",
        shown_by="Pod",
        repair=mends("web", container_patch(readinessProbe=_READY)),
    ),
    Provocation(
        name="readiness that comes and goes",
        provoke=_flaps,
        root="Deployment/web",
        alert="ReadinessFlapping",
        shown_by="Pod",
    ),
    Provocation(
        name="StatefulSet that is not ready",
        provoke=_not_ready("StatefulSet"),
        root="StatefulSet/web",
        alert="ReplicasUnavailable",
        # A pod that never was ready stops an ordered rollout for good: the repair is to delete it.
    ),
    Provocation(
        name="DaemonSet that is not ready",
        provoke=_not_ready("DaemonSet"),
        root="DaemonSet/web",
        alert="ReplicasUnavailable",
        repair=mends("web", container_patch(readinessProbe=_READY), kind="DaemonSet"),
    ),
    Provocation(
        name="more than any node has",
        provoke=_unschedulable(container={"resources": {"requests": {"cpu": "900"}}}),
        root="Deployment/web",
        alert="Unschedulable",
        shown_by="Pod",
        repair=mends("web", container_patch(resources={"requests": {"cpu": "100m"}})),
    ),
    Provocation(
        name="no node with the label",
        provoke=_unschedulable(nodeSelector={"disk": "tape"}),
        root="Deployment/web",
        alert="Unschedulable",
        shown_by="Pod",
        repair=mends("web", {"spec": {"template": {"spec": {"nodeSelector": {"disk": None}}}}}),
    ),
    Provocation(
        name="taint that is not tolerated",
        provoke=_meets_a_taint,
        root="Deployment/web",
        alert="Unschedulable",
        shown_by="Pod",
        repair=_tolerates,
    ),
    Provocation(
        name="scheduling gate",
        provoke=_is_gated,
        root="Deployment/web",
        alert="SchedulingGated",
        shown_by="Pod",
        repair=_opens_gates,
    ),
    Provocation(
        name="pod evicted for what it used itself",
        provoke=_evicted("Pod ephemeral local storage usage exceeds the total limit of containers 64Mi. "),
        root="Deployment/web",
        alert="Evicted",
        shown_by="Pod",
        repair=_removes_pod,
    ),
    Provocation(
        name="pod evicted for what its node lacks",
        provoke=_evicted("The node was low on resource: memory. Threshold quantity: 100Mi, available: 84Mi."),
        root="Node/{node}",
        alert="Evicted",
        shown_by="Pod",
        repair=_removes_pod,
        members=1,
    ),
    Provocation(
        name="pod on its own that crashes",
        provoke=_crashes_alone,
        root="Pod/alone",
        alert="CrashLoopBackOff",
        repair=removes("Pod", "alone"),
    ),
    Provocation(
        name="pod that does not end",
        provoke=_never_ends,
        root="Pod/alone",
        alert="TerminatingStuck",
        repair=_lets_go,
    ),
    Provocation(
        name="one missing ConfigMap, five Deployments",
        provoke=_several(5, _FROM_SETTINGS, "CreateContainerConfigError"),
        root="Deployment/web-?",
        alert="CreateContainerConfigError",
        shown_by="Pod",
        repair=_adds_config_map,
        members=5,
    ),
    Provocation(
        name="one bad image, four Deployments",
        provoke=_several(4, {"image": "registry.example/shop/wbe:1.0"}, *_PULL),
        root="Deployment/web-?",
        alert="ImagePullBackOff",
        shown_by="Pod",
        members=4,
    ),
)
