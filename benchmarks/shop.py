"""The workloads and alerts that `plan` and `memory` use, written through the API as any client would."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.clusters import Access
from responder.sandbox.apiclient import ApiClient

NAMESPACE = "shop"
PATIENCE_SECONDS = 60.0


class Shop:
    """Deployments of one cluster. `open` first, `close` at the end."""

    def __init__(self, access: Access) -> None:
        tls = ssl.create_default_context(cafile=access.ca_file) if access.ca_file else True
        self.client = ApiClient(access.url, access.token, tls=tls)

    async def open(self) -> None:
        await self.client.open()
        await self.client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.client.find(path) is None:  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await self.client.close()

    async def deploy(self, name: str, container: Mapping[str, Any], *, replicas: int = 1) -> None:
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", **container}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        spec["strategy"] = {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
        await self.client.create(deployments(), manifest)

    async def pod(self, name: str, holds: Callable[[Mapping[str, Any]], bool]) -> str:
        """The name of a pod of the Deployment, as soon as one is as wished."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                path = f"/api/v1/namespaces/{NAMESPACE}/pods"
                for pod in (await self.client.get(path, {"labelSelector": f"app={name}"}))["items"]:
                    if holds(pod):
                        return str(pod["metadata"]["name"])
                await asyncio.sleep(0.1)


def deployments(name: str = "") -> str:
    return f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments" + (f"/{name}" if name else "")


def waits(reason: str) -> Callable[[Mapping[str, Any]], bool]:
    def holds(pod: Mapping[str, Any]) -> bool:
        statuses = pod["status"].get("containerStatuses") or ()
        return any(status.get("state", {}).get("waiting", {}).get("reason") == reason for status in statuses)

    return holds


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def body(alertname: str, **labels: str) -> dict[str, Any]:
    """A webhook body with one firing alert."""
    everything = {"alertname": alertname, "namespace": NAMESPACE, "severity": "warning", **labels}
    starts_at = datetime.now(UTC).isoformat()
    return {"version": "4", "status": "firing", "alerts": [{"labels": everything, "startsAt": starts_at}]}
