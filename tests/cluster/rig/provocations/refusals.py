"""Pods that the API server refuses: there is none to look at, and only their maker tells."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from rig.api import unique
from rig.provocations.model import (
    Place,
    Provocation,
    Step,
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
