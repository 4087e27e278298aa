"""A cluster for many cases at once, the sandbox or a real control plane: namespaces and simulated nodes of their own.

Nodes come and go with the case that needs them; one serves all other pods. What a case leaves behind is cleared at the
end, because the control plane goes on to the next file.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from responder.cluster.resources import RESOURCES, collection_path
from responder.sandbox import Sandbox
from responder.sandbox.kubelet import Kubelet
from rig.api import Api, unique
from rig.controlplane import ControlPlane

SPEED = 20.0
"""How much faster than a real kubelet the simulated one backs off."""
_OTHERS = {
    "Secret": "/api/v1/namespaces/{}/secrets",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}
"""Kinds that Clopus never reads."""


@dataclass(kw_only=True)
class Ground:
    """Where provocations take place."""

    name: str
    """`sandbox` or `control plane`."""
    api: Api
    token: str
    """Of the responder, whose rights `grant` gives."""
    user: Mapping[str, str]
    """The responder as the subject of a role binding."""
    own_namespace: str
    new_namespace: Callable[[str, Mapping[str, str]], Awaitable[str]]
    audit: Callable[[], list[Any]]
    """The responder's requests so far, oldest first, as the ground's own audit events."""
    node: str = ""
    """The node for everyone."""
    _kubelets: dict[str, Kubelet] = field(default_factory=dict)
    _namespaces: list[str] = field(default_factory=list)
    _cluster_objects: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ca_file(self) -> Path | None:
        return self.api.ca_file

    def path(self, kind: str, namespace: str, name: str = "") -> str:
        collection = collection_path(kind, namespace) if kind in RESOURCES else _OTHERS[kind].format(namespace)
        return f"{collection}/{name}" if name else collection

    async def namespace(self, prefix: str, labels: Mapping[str, str]) -> str:
        name = await self.new_namespace(prefix, labels)
        self._namespaces.append(name)
        return name

    async def create(self, kind: str, namespace: str, body: Mapping[str, Any]) -> Any:
        made = await self.api.expect("POST", self.path(kind, namespace), body)
        if not namespace:
            self._cluster_objects.append((kind, made["metadata"]["name"]))
        return made

    async def list(self, kind: str, namespace: str) -> list[Any]:
        listed = await self.api.expect("GET", self.path(kind, namespace))
        return [{**item, "kind": kind} for item in listed["items"]]

    async def add_node(self, prefix: str, *, private: bool = False) -> str:
        """A node that reports ready. A private one is labelled and tainted `for=<its name>`."""
        name = unique(prefix)
        body: dict[str, Any] = {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
        if private:
            body["metadata"]["labels"]["for"] = name
            body["spec"] = {"taints": [{"key": "for", "value": name, "effect": "NoSchedule"}]}
        await self.create("Node", "", body)
        await self.start_kubelet(name)
        return name

    async def start_kubelet(self, node: str) -> None:
        """Of a new node, or of one that fell silent."""
        context = ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else True
        kubelet = Kubelet(api_url=self.api.url, token=self.api.token, node_name=node, ssl=context, speed=SPEED)
        await kubelet.start()
        self._kubelets[node] = kubelet

    async def stop_kubelet(self, node: str) -> None:
        """The machine loses power: its objects stay, and nobody reports on them any more."""
        await self._kubelets.pop(node).stop()

    def kubelet(self, node: str) -> Kubelet:
        return self._kubelets[node]

    async def close(self) -> None:
        await asyncio.gather(*map(self._clear, self._namespaces))
        for kubelet in self._kubelets.values():
            await kubelet.stop()
        for kind, name in reversed(self._cluster_objects):
            await self._release(kind, "", name)
            await self.api.request("DELETE", self.path(kind, "", name))
        gone = (self.api.request("DELETE", self.path("Namespace", "", name)) for name in self._namespaces)
        await asyncio.gather(*gone)

    async def _clear(self, namespace: str) -> None:
        for kind in ("CronJob", "Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ConfigMap"):
            for item in await self.list(kind, namespace):
                if item["metadata"].get("finalizers"):
                    await self._release(kind, namespace, item["metadata"]["name"])
            await self.api.request("DELETE", self.path(kind, namespace))
        for pod in await self.list("Pod", namespace):
            await self._release("Pod", namespace, pod["metadata"]["name"])
        await self.api.request("DELETE", f"{self.path('Pod', namespace)}?gracePeriodSeconds=0")

    async def _release(self, kind: str, namespace: str, name: str) -> None:
        """Whatever a finalizer waits for, it waits no longer."""
        released = {"metadata": {"finalizers": None}}
        path = self.path(kind, namespace, name)
        await self.api.request("PATCH", path, released, content_type="application/merge-patch+json")


@asynccontextmanager
async def sandbox_ground() -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(nodes=0))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        api = Api(url=sandbox.url, token=sandbox.token, ca_file=None, namespace="", session=session)

        async def new_namespace(prefix: str, labels: Mapping[str, str]) -> str:
            name = unique(prefix)
            await api.expect("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
            await api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda _: True)
            return name

        ground = Ground(
            name="sandbox",
            api=api,
            token=sandbox.add_token("system:serviceaccount:clopus:clopus"),
            user={"kind": "ServiceAccount", "name": "clopus", "namespace": "clopus"},
            own_namespace="clopus",
            new_namespace=new_namespace,
            audit=lambda: [e for e in sandbox.audit if e.user == "system:serviceaccount:clopus:clopus"],
        )
        stack.push_async_callback(ground.close)
        ground.node = await ground.add_node("node")
        yield ground


@asynccontextmanager
async def real_ground(control_plane: ControlPlane) -> AsyncIterator[Ground]:
    async with AsyncExitStack() as stack:
        own = control_plane.create_namespace("clopus")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        api = Api(
            url=control_plane.url,
            token=control_plane.admin_token,
            ca_file=control_plane.ca_file,
            namespace="",
            session=session,
        )

        async def new_namespace(prefix: str, labels: Mapping[str, str]) -> str:
            return await asyncio.to_thread(lambda: control_plane.create_namespace(prefix, labels=dict(labels)))

        ground = Ground(
            name="control plane",
            api=api,
            token=control_plane.service_account_token(own, "clopus"),
            user={"kind": "ServiceAccount", "name": "clopus", "namespace": own},
            own_namespace=own,
            new_namespace=new_namespace,
            audit=lambda: control_plane.audit(user=f"system:serviceaccount:{own}:clopus"),
        )
        stack.push_async_callback(ground.close)
        ground.node = await ground.add_node("node")
        yield ground
