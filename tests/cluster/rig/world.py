"""A whole responder on a cluster, the sandbox or a real control plane: deploy, alert, wait, ask the audit log.

On a real control plane the responder has a service account with exactly the rights that `clopus rbac` prints.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from console.remote.client import Client, path_of
from responder.app import Responder
from responder.cluster.client import Client as ClusterClient
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.resources import collection_path, object_path
from responder.domain.action import ACTION_KINDS
from responder.domain.incident import ACTIVE_STATES, Incident
from responder.domain.refs import ObjectRef
from responder.domain.views import IncidentDetail, IncidentPage
from responder.fixer.actions import permissions_of
from responder.rbac import manifest
from responder.sandbox import Sandbox
from responder.sandbox.kubelet import Kubelet
from responder.settings import Settings, load_settings
from rig.api import Api, unique
from rig.controlplane import ControlPlane

WEBHOOK_TOKEN = "webhook-token-of-the-tests"
OPERATOR_TOKEN = "operator-token-of-the-tests"
SECOND_OPERATOR_TOKEN = "another-operator-of-the-tests"
SPEED = 20.0
"""How much faster than a real kubelet the simulated one backs off."""
DEADLINE = 60.0


@dataclass(frozen=True, kw_only=True)
class Write:
    """One write of the responder, as the API server recorded it."""

    verb: str
    resource: str
    name: str
    dry_run: bool
    code: int
    body: Any
    received: datetime
    """By the server."""

    @property
    def effective(self) -> bool:
        return not self.dry_run and 200 <= self.code < 300


@dataclass(kw_only=True)
class World:
    """One namespace of one cluster, and the responder that watches over it."""

    namespace: str
    api: Api
    folder: Path
    cluster_url: str
    cluster_token: str
    ca_file: Path | None
    read_writes: Callable[[], list[Write]]
    deny_from: list[str] = field(default_factory=list)
    _responder: Responder | None = None
    _cluster: KubernetesCluster | None = None

    @property
    def url(self) -> str:
        assert self._responder is not None
        return self._responder.url

    @property
    def responder(self) -> Responder:
        assert self._responder is not None
        return self._responder

    def operator(self, token: str = OPERATOR_TOKEN) -> Client:
        return Client(self.url, token=token)

    async def ask(self, call: Callable[[Client], Any], *, token: str = OPERATOR_TOKEN) -> Any:
        return await asyncio.to_thread(call, self.operator(token))

    # -- the cluster's side -----------------------------------------------------------------------------------------

    async def deploy(self, text: str) -> None:
        """Create every document of a YAML text in the world's namespace."""
        for document in yaml.safe_load_all(text):
            path = collection_path(document["kind"], self.namespace)
            await self.api.expect("POST", path, document)

    async def get(self, kind: str, name: str) -> Any:
        return await self.api.expect("GET", object_path(ObjectRef(kind=kind, namespace=self.namespace, name=name)))

    async def patch(self, kind: str, name: str, body: Any) -> Any:
        path = object_path(ObjectRef(kind=kind, namespace=self.namespace, name=name))
        return await self.api.expect("PATCH", path, body, content_type="application/strategic-merge-patch+json")

    async def until(self, kind: str, name: str, holds: Callable[[Any], bool]) -> Any:
        path = object_path(ObjectRef(kind=kind, namespace=self.namespace, name=name))
        return await self.api.until(path, holds)

    async def pod_of(self, app: str, holds: Callable[[Any], bool]) -> str:
        """The name of a pod labelled `app` once one is as wished."""
        path = f"{collection_path('Pod', self.namespace)}?labelSelector=app%3D{app}"
        found: list[str] = []

        def condition(listed: Any) -> bool:
            found[:] = [item["metadata"]["name"] for item in listed["items"] if holds(item)]
            return bool(found)

        await self.api.until(path, condition)
        return found[0]

    def writes(self) -> list[Write]:
        """Everything the responder wrote or tried to, dry runs included, oldest first."""
        return self.read_writes()

    def effective_writes(self) -> list[Write]:
        return [write for write in self.writes() if write.effective]

    # -- the responder's side ---------------------------------------------------------------------------------------

    async def start(self, rules: str, **sections: Mapping[str, Any]) -> None:
        """Start the responder with these rules; settings sections may be given over the defaults."""
        settings = self.settings(rules, **sections)
        client = ClusterClient.from_token(url=self.cluster_url, token=self.cluster_token, ca_file=self.ca_file)
        self._cluster = KubernetesCluster(client)
        self._responder = await Responder.start(settings, cluster=self._cluster)

    def settings(self, rules: str, **sections: Mapping[str, Any]) -> Settings:
        (self.folder / "rules").mkdir(exist_ok=True)
        (self.folder / "rules" / "rules.yaml").write_text(rules, encoding="utf-8")
        (self.folder / "webhook").write_text(f"alertmanager:{WEBHOOK_TOKEN}\n", encoding="utf-8")
        (self.folder / "operators").write_text(f"ann:{OPERATOR_TOKEN}\nbob:{SECOND_OPERATOR_TOKEN}\n", encoding="utf-8")
        (self.folder / "cluster-token").write_text(self.cluster_token, encoding="utf-8")
        config: dict[str, dict[str, Any]] = {
            "server": {"host": "127.0.0.1", "port": 0},
            "auth": {
                "webhook_token_file": str(self.folder / "webhook"),
                "operator_tokens_file": str(self.folder / "operators"),
            },
            "store": {"path": str(self.folder / "clopus.duckdb")},
            "cluster": {
                "api_url": self.cluster_url,
                "token_file": str(self.folder / "cluster-token"),
                "namespaces": [self.namespace],
                "own_namespace": "clopus",
                "late_write_seconds": 1.5,
                **({"ca_file": str(self.ca_file)} if self.ca_file else {}),
            },
            "rules": {"paths": [str(self.folder / "rules")]},
            "watch": {"enabled": False},
        }
        for name, section in sections.items():
            config.setdefault(name, {}).update(section)
        path = self.folder / "clopus.yaml"
        path.write_text(json.dumps(config), encoding="utf-8")
        return load_settings(path, {})

    async def stop(self) -> None:
        if self._responder is not None:
            await self._responder.stop()
            self._responder = None

    async def post(self, *alerts: Mapping[str, Any]) -> dict[str, Any]:
        body = {"version": "4", "receiver": "clopus", "status": "firing", "alerts": list(alerts)}
        sender = Client(self.url, token=WEBHOOK_TOKEN)
        answer: dict[str, Any] = await asyncio.to_thread(sender.send, dict, "POST", "/webhook/alertmanager", body)
        return answer

    def alert(self, name: str, *, status: str = "firing", minutes_ago: float = 5, **labels: str) -> dict[str, Any]:
        starts_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        return {
            "status": status,
            "labels": {"alertname": name, "namespace": self.namespace, "severity": "warning", **labels},
            "annotations": {},
            "startsAt": starts_at.isoformat(),
            "endsAt": datetime.now(UTC).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
        }

    async def incidents(self) -> tuple[Incident, ...]:
        page: IncidentPage = await self.ask(lambda client: client.get(IncidentPage, path_of("incidents"), limit=500))
        return page.incidents

    async def detail(self, key: str) -> IncidentDetail | None:
        found = next((i for i in await self.incidents() if i.key == key), None)
        if found is None:
            return None
        detail: IncidentDetail = await self.ask(
            lambda client: client.get(IncidentDetail, path_of("incidents", found.id))
        )
        return detail

    async def incident(
        self, name: str, holds: Callable[[Incident], bool] | None = None, *, kind: str = "Deployment"
    ) -> IncidentDetail:
        """The incident on the object once it is as wished; without a wish, once Clopus is done with it."""
        key = f"{kind}/{self.namespace}/{name}"
        wish = holds or (lambda incident: incident.state not in ACTIVE_STATES)
        deadline, detail = time.monotonic() + DEADLINE, None
        while time.monotonic() < deadline:
            detail = await self.detail(key)
            if detail is not None and wish(detail.incident):
                return detail
            await asyncio.sleep(0.1)
        seen = [(i.key, i.state.value, i.outcome.value, i.summary) for i in await self.incidents()]
        raise AssertionError(f"{key} did not get there within {DEADLINE:.0f} s: {seen}")


@asynccontextmanager
async def sandbox_world(folder: Path, labels: Mapping[str, str]) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(speed=SPEED))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        namespace = unique("test")
        api = Api(url=sandbox.url, token=sandbox.token, ca_file=None, namespace=namespace, session=session)
        await api.expect("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": dict(labels)}})
        token = sandbox.add_token("system:serviceaccount:clopus:clopus")
        for document in _roles(namespace):
            await sandbox.create(document)

        def writes() -> list[Write]:
            return [
                Write(
                    verb=e.verb,
                    resource=e.resource,
                    name=e.name,
                    dry_run=e.dry_run,
                    code=e.code,
                    body=e.body,
                    received=e.received,
                )
                for e in sandbox.audit
                if e.is_write and e.user == "system:serviceaccount:clopus:clopus"
            ]

        world = World(
            namespace=namespace,
            api=api,
            folder=folder,
            cluster_url=sandbox.url,
            cluster_token=token,
            ca_file=None,
            read_writes=writes,
        )
        stack.push_async_callback(world.stop)
        yield world


@asynccontextmanager
async def real_world(control_plane: ControlPlane, folder: Path, labels: Mapping[str, str]) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        namespace = control_plane.create_namespace(labels=dict(labels))
        own = control_plane.create_namespace("clopus")
        token = control_plane.service_account_token(own, "clopus")
        user = f"system:serviceaccount:{own}:clopus"
        for document in _roles(namespace, own):
            path = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{}s".format(
                document["metadata"]["namespace"], document["kind"].lower()
            )
            control_plane.expect("POST", path, document)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        api = Api(
            url=control_plane.url,
            token=control_plane.admin_token,
            ca_file=control_plane.ca_file,
            namespace=namespace,
            session=session,
        )
        await stack.enter_async_context(_node(control_plane, namespace))

        def writes() -> list[Write]:
            return [
                Write(
                    verb=e.verb,
                    resource=e.resource,
                    name=e.name,
                    dry_run=e.dry_run,
                    code=e.code,
                    body=e.request,
                    received=datetime.fromisoformat(e.received_at),
                )
                for e in control_plane.audit(user=user, mutating=True)
            ]

        world = World(
            namespace=namespace,
            api=api,
            folder=folder,
            cluster_url=control_plane.url,
            cluster_token=token,
            ca_file=control_plane.ca_file,
            read_writes=writes,
        )
        stack.push_async_callback(world.stop)
        yield world


@asynccontextmanager
async def _node(control_plane: ControlPlane, namespace: str) -> AsyncIterator[None]:
    """A simulated node for the time of one world; what ran on it goes with it, so that the next one starts empty."""
    import ssl

    name = unique("node")
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    kubelet = Kubelet(
        api_url=control_plane.url, token=control_plane.admin_token, node_name=name, ssl=context, speed=SPEED
    )
    await kubelet.start()
    try:
        yield
    finally:
        await asyncio.to_thread(_clear, control_plane, namespace)
        await kubelet.stop()
        await asyncio.to_thread(control_plane.request, "DELETE", f"/api/v1/nodes/{name}")


def _clear(control_plane: ControlPlane, namespace: str) -> None:
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"):
        control_plane.request("DELETE", collection_path(kind, namespace))
    control_plane.request("DELETE", f"{collection_path('Pod', namespace)}?gracePeriodSeconds=0")


def _roles(namespace: str, own: str = "clopus") -> list[dict[str, Any]]:
    documents = manifest(
        kinds=ACTION_KINDS,
        namespaces=[namespace],
        service_account="clopus",
        own_namespace=own,
        permissions=permissions_of(ACTION_KINDS),
    )
    return [document for document in documents if document["kind"] in ("Role", "RoleBinding")]
