"""Every action against the sandbox and a real API server: its patch is accepted, stands, and is undone to the byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rig.api import Api

from responder.analyzer.collect import collect
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.action import (
    Action,
    AddScratchVolume,
    ProbeKind,
    ReferenceKind,
    ReplaceConfigReference,
    RestartRollout,
    SetImage,
    SetPorts,
    SetProbe,
    SetResources,
    UndoRollout,
)
from responder.domain.errors import PlanStale
from responder.domain.manifest import LiveObject, base_hash, dig
from responder.domain.plan import Change
from responder.domain.refs import ObjectRef
from responder.fixer.actions import handler_for
from responder.fixer.diff import render_diff

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
UNSET = ObjectRef(kind="Deployment", name="web")
CONTAINER: dict[str, Any] = {
    "name": "web",
    "image": "registry.example/shop/web:2",
    "ports": [{"name": "http", "containerPort": 8080}],
    "env": [{"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "web-config", "key": "url"}}}],
    "envFrom": [{"configMapRef": {"name": "web-config"}}],
    "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "0.1"}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
}
ACTIONS: list[Action] = [
    SetImage(target=UNSET, container="web", image="registry.example/shop/web:1"),
    SetImage(target=UNSET, container="migrate", image="registry.example/shop/migrate:2"),
    RestartRollout(target=UNSET),
    SetResources(target=UNSET, container="web", memory_limit="256Mi", memory_request="0.125Gi", cpu_limit="1000m"),
    SetResources(target=UNSET, container="bare", memory_limit="65536Ki"),
    ReplaceConfigReference(
        target=UNSET, reference=ReferenceKind.CONFIG_MAP, from_name="web-config", to_name="web-config-2"
    ),
    SetProbe(target=UNSET, container="web", probe=ProbeKind.READINESS, path="/healthz", port=8081, timeout_seconds=3),
    SetPorts(target=UNSET, container="web", from_port=8080, to_port=8081),
    AddScratchVolume(target=UNSET, container="web", path="/var/cache/nginx", size_limit="1024Ki"),
    AddScratchVolume(target=UNSET, container="bare", path="/tmp"),
]


def workload(kind: str) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "initContainers": [{"name": "migrate", "image": "registry.example/shop/migrate:1"}],
            "containers": [CONTAINER, {"name": "bare", "image": "registry.example/shop/bare:1"}],
            "volumes": [{"name": "config", "configMap": {"name": "web-config"}}],
        },
    }
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
    if kind != "DaemonSet":
        spec["replicas"] = 0
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}


async def created(api: Api, cluster: KubernetesCluster, kind: str) -> LiveObject:
    path = f"/apis/apps/v1/namespaces/{api.namespace}/{kind.lower()}s"
    await api.expect("POST", path, workload(kind))
    await api.until(f"{path}/web", lambda body: dig(body, "status", "observedGeneration") == 1)
    return await cluster.get(ObjectRef(kind=kind, namespace=api.namespace, name="web"))


async def sent(cluster: KubernetesCluster, change: Change, execution_id: str) -> LiveObject:
    """The change at the object's present version, first as a dry run; both answers have to agree."""
    for _ in range(50):
        live = await cluster.get(change.target)
        present = replace(change, resource_version=live.resource_version)
        try:
            tried = await cluster.apply(present, execution_id=execution_id, dry_run=True)
            done = await cluster.apply(present, execution_id=execution_id, dry_run=False)
        except PlanStale:  # a controller's status report came in between
            continue
        assert base_hash(tried.body) == base_hash(done.body)
        assert render_diff(live.body, tried.body, live.ref) == render_diff(live.body, done.body, live.ref) != ""
        return done
    raise AssertionError(f"{change.target} never stood still")


async def planned(cluster: KubernetesCluster, action: Action, live: LiveObject) -> tuple[Action, Change]:
    snapshot = await collect(cluster, live.ref, now=NOW, namespaces=())
    aimed = replace(action, target=live.ref)
    return aimed, handler_for(aimed).change(aimed, live, snapshot, now=NOW)


@pytest.mark.inv(25, 33)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action.kind}-{getattr(action, 'container', '')}")
async def test_a_change_stands_and_its_inverse_leaves_no_trace(
    api: Api, cluster: KubernetesCluster, action: Action, kind: str
) -> None:
    before = await created(api, cluster, kind)
    aimed, change = await planned(cluster, action, before)
    handler = handler_for(aimed)
    after = await sent(cluster, change, "exe-1")
    assert handler.in_place(aimed, change, after.body)
    restored = await sent(cluster, replace(change, patch=change.inverse, inverse=change.patch), "exe-2")
    assert not handler.in_place(aimed, change, restored.body)
    assert dig(restored.body, "spec") == dig(before.body, "spec")
    assert base_hash(restored.body) == change.base_hash


@pytest.mark.inv(33)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_an_undo_puts_the_earlier_template_back(api: Api, cluster: KubernetesCluster, kind: str) -> None:
    first = await created(api, cluster, kind)
    _, change = await planned(cluster, ACTIONS[0], first)
    await sent(cluster, change, "exe-1")
    path = f"/apis/apps/v1/namespaces/{api.namespace}/{kind.lower()}s/web"
    await api.until(path, lambda body: dig(body, "status", "observedGeneration") == 2)
    broken = await cluster.get(first.ref)
    aimed, undo = await planned(cluster, UndoRollout(target=UNSET, to_revision=1), broken)
    undone = await sent(cluster, undo, "exe-2")
    assert dig(undone.body, "spec") == dig(first.body, "spec")
    assert handler_for(aimed).in_place(aimed, undo, undone.body)
    again = await sent(cluster, replace(undo, patch=undo.inverse, inverse=undo.patch), "exe-3")
    assert dig(again.body, "spec") == dig(broken.body, "spec")
