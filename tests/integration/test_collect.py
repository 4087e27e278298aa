"""From a running sandbox to a diagnosis: what the simulated kubelet writes is what the signatures read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from responder.analyzer.collect import collect, resolve_root
from responder.analyzer.heuristics import Diagnosis, diagnose
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.investigation import Conclusion
from responder.domain.refs import ObjectRef
from responder.sandbox.sandbox import Sandbox

PATIENCE_SECONDS = 40.0
CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: app-configuration, namespace: shop}
data: {LEVEL: info}
"""


def deployment(name: str, spec: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {spec}
"""


class Shop:
    def __init__(self, sandbox: Sandbox, cluster: KubernetesCluster) -> None:
        self._sandbox = sandbox
        self._cluster = cluster

    async def apply(self, *documents: str) -> None:
        await self._sandbox.apply_yaml("---".join(documents))

    async def diagnosis(self, name: str, until: Callable[[Diagnosis], bool]) -> Diagnosis:
        """Look again and again until the diagnosis is the one that is waited for."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.look(name)
                if until(found):
                    return found
                await asyncio.sleep(0.1)

    async def look(self, name: str) -> Diagnosis:
        root = await resolve_root(self._cluster, ObjectRef(kind="Deployment", namespace="shop", name=name))
        snapshot = await collect(self._cluster, root, now=datetime.now(UTC), namespaces=("shop",))
        return diagnose(snapshot, alert_labels={"alertname": "KubePodNotReady"})

    async def pod(self, prefix: str) -> ObjectRef:
        pods = await self._cluster.list("Pod", "shop")
        return next(pod.ref for pod in pods if pod.ref.name.startswith(prefix))

    async def root_of(self, ref: ObjectRef) -> ObjectRef:
        return await resolve_root(self._cluster, ref)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with Sandbox(namespaces=("shop",), speed=10.0) as sandbox:
        cluster = KubernetesCluster(Client.from_token(url=sandbox.url, token=sandbox.token))
        try:
            yield Shop(sandbox, cluster)
        finally:
            await cluster.close()


def signed(signature: str) -> Callable[[Diagnosis], bool]:
    return lambda found: signature in {finding.signature for finding in found.findings}


@pytest.mark.parametrize(
    ("spec", "signature", "action"),
    [
        ("{containers: [{name: web, image: 'nignx:1.27'}]}", "image.not_found", "set_image"),
        ("{containers: [{name: web, image: 'nginx:99.99-nope'}]}", "image.tag_missing", ""),
        (
            "{securityContext: {runAsUser: 1000}, containers: [{name: web, image: 'nginx:1.27', "
            "ports: [{containerPort: 80}]}]}",
            "permission.unwritable_dir",
            "add_scratch_volume",
        ),
        (
            "{containers: [{name: web, image: 'nginx:1.27', envFrom: [{configMapRef: {name: app-config}}]}]}",
            "references.missing_configmap",
            "replace_config_reference",
        ),
        (
            "{containers: [{name: web, image: 'nginx:1.27'}], volumes: [{name: c, configMap: {name: app-config}}]}",
            "references.missing_configmap",
            "replace_config_reference",
        ),
        (
            "{containers: [{name: web, image: 'nginx:1.27', ports: [{containerPort: 80}], "
            "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}]}",
            "probe.wrong_port",
            "set_probe",
        ),
        (
            "{containers: [{name: web, image: 'registry.example/tools/memory-eater:1.0', "
            "resources: {limits: {memory: 64Mi}}}]}",
            "memory.oom_killed",
            "set_resources",
        ),
        ("{containers: [{name: web, image: 'postgres:16'}]}", "config.missing_env", ""),
        ("{containers: [{name: web, image: 'busybox:1.36', command: [wge]}]}", "crash.command_not_found", ""),
        ("{nodeSelector: {disk: ssd}, containers: [{name: web, image: 'nginx:1.27'}]}", "scheduling.node_selector", ""),
    ],
)
async def test_a_fault_is_found_and_answered(shop: Shop, spec: str, signature: str, action: str) -> None:
    await shop.apply(CONFIG_MAP, deployment("web", spec))
    found = await shop.diagnosis("web", lambda seen: signed(signature)(seen) and bool(seen.proposals) is bool(action))
    assert [proposal.action.kind for proposal in found.proposals] == ([action] if action else [])
    assert found.conclusion is Conclusion.FAULT_FOUND


async def test_an_intentional_crash_is_unfixable(shop: Shop) -> None:
    spec = "{containers: [{name: web, image: 'busybox:1.36', command: [sh, -c, 'echo boom; exit 1']}]}"
    await shop.apply(deployment("web", spec))
    found = await shop.diagnosis("web", signed("crash.unfixable"))
    assert (found.conclusion, found.proposals) == (Conclusion.UNFIXABLE, ())


async def test_a_bad_revision_of_a_serving_workload_goes_back(shop: Shop) -> None:
    await shop.apply(deployment("web", "{containers: [{name: web, image: 'nginx:1.27'}]}"))
    await shop.diagnosis("web", lambda found: not found.findings and "runs for" in found.summary)
    await shop.apply(deployment("web", "{containers: [{name: web, image: 'nginx:99.99-nope'}]}"))
    found = await shop.diagnosis("web", signed("image.tag_missing"))
    assert [proposal.action.kind for proposal in found.proposals] == ["undo_rollout", "set_image"]
    assert found.proposals[0].action.to_revision == 1  # type: ignore[union-attr]


async def test_a_pod_is_traced_to_its_deployment_while_it_lives_and_after(shop: Shop) -> None:
    await shop.apply(deployment("web", "{containers: [{name: web, image: 'nginx:1.27'}]}"))
    await shop.diagnosis("web", lambda found: "runs for" in found.summary)
    pod = await shop.pod("web-")
    gone = ObjectRef(kind="Pod", namespace="shop", name=f"{pod.name[:-5]}zzzzz")
    assert (await shop.root_of(pod)).kind == "Deployment"
    assert (await shop.root_of(gone)).same_name(ObjectRef(kind="Deployment", namespace="shop", name="web"))
