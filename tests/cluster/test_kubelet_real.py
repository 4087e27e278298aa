"""The simulated kubelet drives a real control plane: rollouts, failures that heal, logs, a restarted API server."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from rig.controlplane import ControlPlane

from responder.sandbox.apiclient import ApiClient, ApiFailure
from responder.sandbox.kubelet import Kubelet

pytestmark = pytest.mark.cluster

Json = dict[str, Any]
DEADLINE = 40.0


class Bench:
    """One simulated node of a real cluster, and Deployments that run on it only."""

    def __init__(self, client: ApiClient, namespace: str, node: str) -> None:
        self.client = client
        self.namespace = namespace
        self.node = node

    def path(self, plural: str, name: str = "") -> str:
        root = "/apis/apps/v1" if plural == "deployments" else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def deploy(self, name: str, container: Json, **spec: Any) -> None:
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {
                **spec,
                "nodeSelector": {"kubernetes.io/hostname": self.node},
                "containers": [{"name": "app", **container}],
            },
        }
        body = {"selector": {"matchLabels": {"app": name}}, "template": template}
        manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}
        await self.client.create(self.path("deployments"), manifest)

    async def change(self, name: str, **pod_spec: Any) -> None:
        patch = {"spec": {"template": {"spec": pod_spec}}}
        await self.client.merge(self.path("deployments", name), patch)

    async def pod(self, name: str, holds: Callable[[Json], bool]) -> Json:
        """A pod of the Deployment, as soon as one is as wished."""
        found: list[Json] = []
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    listed = await self.client.get(self.path("pods"), {"labelSelector": f"app={name}"})
                    found = [item for item in listed["items"] if holds(item)]
                    if found:
                        return found[0]
                    await asyncio.sleep(0.1)
        except TimeoutError as exc:
            raise AssertionError(f"no pod of {name} got there: {[item['status'] for item in listed['items']]}") from exc

    async def available(self, name: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while True:
                found = await self.client.get(self.path("deployments", name))
                status, generation = found["status"], found["metadata"]["generation"]
                updated = (
                    status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == 1
                )
                if status.get("observedGeneration") == generation and updated:
                    return
                await asyncio.sleep(0.1)


@pytest.fixture
async def bench(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Bench]:
    tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
    name = f"node-{uuid.uuid4().hex[:6]}"
    client = ApiClient(control_plane.url, control_plane.admin_token, tls=tls)
    await client.open()
    kubelet = Kubelet(api_url=control_plane.url, token=control_plane.admin_token, node_name=name, ssl=tls, speed=20)
    await kubelet.start()
    yield Bench(client, namespace, name)
    await kubelet.stop()
    # A node that nobody speaks for would still be offered to the scheduler for a while.
    await client.delete(f"/api/v1/nodes/{name}", {})
    await client.close()


def container_status(pod: Json) -> Json:
    statuses: list[Json] = pod["status"].get("containerStatuses") or [{}]
    return statuses[0]


def waits(reason: str) -> Callable[[Json], bool]:
    return lambda pod: container_status(pod).get("state", {}).get("waiting", {}).get("reason") == reason


def mounts_cache(pod: Json) -> bool:
    return any(volume["name"] == "cache" for volume in pod["spec"].get("volumes") or ())


async def logs(control_plane: ControlPlane, *arguments: str) -> str:
    return str(await asyncio.to_thread(control_plane.kubectl, "logs", *arguments))


async def test_a_deployment_of_nginx_becomes_available(bench: Bench) -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    await bench.deploy("web", {"image": "nginx:1.27", "ports": [{"containerPort": 80}], "readinessProbe": probe})
    await bench.available("web")


async def test_a_mistyped_image_waits_and_its_correction_rolls_out(bench: Bench) -> None:
    await bench.deploy("typo", {"image": "nignx:1.27"})
    pod = await bench.pod("typo", waits("ImagePullBackOff"))
    assert pod["status"]["phase"] == "Pending"
    await bench.change("typo", containers=[{"name": "app", "image": "nginx:1.27"}])
    await bench.available("typo")


async def test_a_rootless_nginx_needs_room_and_a_port_and_heals_with_both(
    control_plane: ControlPlane, bench: Bench
) -> None:
    rootless = {"runAsNonRoot": True, "runAsUser": 101}
    await bench.deploy("rootless", {"image": "nginx:1.27"}, securityContext=rootless)
    pod = await bench.pod("rootless", waits("CrashLoopBackOff"))
    text = await logs(control_plane, "-n", bench.namespace, pod["metadata"]["name"], "--previous")
    assert text.rstrip().endswith('mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)')
    names = {"cache": "/var/cache/nginx", "run": "/var/run"}
    mounts = [{"name": name, "mountPath": path} for name, path in names.items()]
    volumes = [{"name": name, "emptyDir": {}} for name in names]
    half = {"name": "app", "image": "nginx:1.27", "volumeMounts": mounts}
    await bench.change("rootless", volumes=volumes, containers=[half])
    second = await bench.pod("rootless", lambda p: mounts_cache(p) and waits("CrashLoopBackOff")(p))
    text = await logs(control_plane, "-n", bench.namespace, second["metadata"]["name"], "--previous", "--tail=1")
    assert text.strip() == "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)"
    await bench.change("rootless", containers=[{**half, "ports": [{"containerPort": 8080}]}])
    await bench.available("rootless")


async def test_a_config_map_made_later_heals_a_volume_and_a_variable(bench: Bench) -> None:
    source = {"configMapKeyRef": {"name": "late", "key": "url"}}
    mount = {"name": "conf", "mountPath": "/etc/shop"}
    await bench.deploy(
        "api",
        {
            "image": "registry.example/shop/api:1.0",
            "env": [{"name": "DATABASE_URL", "valueFrom": source}],
            "volumeMounts": [mount],
        },
        volumes=[{"name": "conf", "configMap": {"name": "late"}}],
    )
    await bench.pod("api", waits("ContainerCreating"))
    late = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"url": "postgres://db"}}
    await bench.client.create(bench.path("configmaps"), late)
    await bench.available("api")


async def test_an_out_of_memory_end_is_reported_as_such(bench: Bench) -> None:
    limits = {"limits": {"memory": "128Mi"}}
    await bench.deploy("greedy", {"image": "registry.example/shop/reports:1.0", "resources": limits})
    pod = await bench.pod("greedy", waits("CrashLoopBackOff"))
    last = container_status(pod)["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)


async def test_deleted_pods_go_away(bench: Bench) -> None:
    await bench.deploy("brief", {"image": "nginx:1.27"})
    await bench.available("brief")
    await bench.client.delete(bench.path("deployments", "brief"), {"propagationPolicy": "Background"})
    async with asyncio.timeout(DEADLINE):
        while True:
            if not (await bench.client.get(bench.path("pods")))["items"]:
                return
            await asyncio.sleep(0.1)


async def test_a_restarted_api_server_is_waited_out(control_plane: ControlPlane, bench: Bench) -> None:
    await bench.deploy("before", {"image": "nginx:1.27"})
    await bench.available("before")
    # Not in a thread: the server is tied to the life of the thread that starts it.
    control_plane.stop_program("kube-apiserver")
    with pytest.raises((ApiFailure, OSError)):
        await bench.deploy("meanwhile", {"image": "nginx:1.27"})
    control_plane.restart_program("kube-apiserver")
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await bench.deploy("after", {"image": "nginx:1.27"})
                break
            except ApiFailure:
                await asyncio.sleep(0.2)
    await bench.available("after")
