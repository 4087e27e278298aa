"""The simulated kubelet against the in-process API server: nodes, pods, logs, and a watch that breaks."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from responder.sandbox import Sandbox
from responder.sandbox.apiclient import ApiClient, ApiFailure
from responder.sandbox.kubelet import Kubelet

Json = dict[str, Any]
DEADLINE = 20.0
POD = "/api/v1/namespaces/default/pods/web"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(kubelet=False, controllers=False) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[ApiClient]:
    api = ApiClient(sandbox.url, sandbox.token, tls=True)
    await api.open()
    yield api
    await api.close()


@pytest.fixture
async def kubelet(sandbox: Sandbox) -> AsyncIterator[Kubelet]:
    node = Kubelet(api_url=sandbox.url, token=sandbox.token, node_name="node-a", speed=50)
    await node.start()
    yield node
    await node.stop()


async def eventually(look: Callable[[], Awaitable[Json | None]], holds: Callable[[Json], Any]) -> Json:
    """The object as soon as it is as wished."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = await look()
            if found is not None and holds(found):
                return found
            await asyncio.sleep(0.02)


def pod(image: str, **fields: Any) -> Json:
    spec = {"nodeName": "node-a", "containers": [{"name": "app", "image": image, **fields}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}


async def put(client: ApiClient, manifest: Json) -> None:
    await client.create("/api/v1/namespaces/default/pods", manifest)


def main(found: Json) -> Json:
    statuses = (found.get("status") or {}).get("containerStatuses") or [{}]
    first: Json = statuses[0]
    return first


def waiting_for(reason: str) -> Callable[[Json], bool]:
    return lambda found: main(found).get("state", {}).get("waiting", {}).get("reason") == reason


async def test_the_node_is_ready_and_says_where_its_logs_are(client: ApiClient, kubelet: Kubelet) -> None:
    node = await client.get("/api/v1/nodes/node-a")
    ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"
    assert {"type": "InternalIP", "address": "127.0.0.1"} in node["status"]["addresses"]
    assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] > 0


async def test_a_pod_of_the_node_becomes_ready(client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("nginx:1.27"))
    found = await eventually(lambda: client.find(POD), lambda p: main(p).get("ready"))
    assert found["status"]["phase"] == "Running"
    assert found["status"]["podIP"].startswith("10.")


async def test_a_pod_of_another_node_is_left_alone(client: ApiClient, kubelet: Kubelet) -> None:
    other = pod("nginx:1.27")
    other["metadata"]["name"], other["spec"]["nodeName"] = "other", "node-b"
    await put(client, other)
    await put(client, pod("nginx:1.27"))
    await eventually(lambda: client.find(POD), lambda p: main(p).get("ready"))
    untouched = await client.get("/api/v1/namespaces/default/pods/other")
    assert "containerStatuses" not in untouched.get("status", {})


async def test_repeated_events_are_counted_in_one_object(client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("nignx:1.27"))

    async def back_off() -> Json | None:
        listed = await client.get("/api/v1/namespaces/default/events")
        found = [item for item in listed["items"] if item["reason"] == "BackOff"]
        assert len(found) <= 1
        return found[0] if found else None

    event = await eventually(back_off, lambda e: e["count"] >= 2)
    assert event["message"] == 'Back-off pulling image "nignx:1.27"'
    assert event["involvedObject"]["fieldPath"] == "spec.containers{app}"


async def test_a_config_map_made_later_heals_the_pod(client: ApiClient, kubelet: Kubelet) -> None:
    source = {"configMapKeyRef": {"name": "late", "key": "url"}}
    await put(client, pod("registry.example/shop/api:1.0", env=[{"name": "DATABASE_URL", "valueFrom": source}]))
    await eventually(lambda: client.find(POD), waiting_for("CreateContainerConfigError"))
    late = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"url": "postgres://db"}}
    await client.create("/api/v1/namespaces/default/configmaps", late)
    await eventually(lambda: client.find(POD), lambda p: main(p).get("ready"))


async def test_a_deleted_pod_is_stopped_and_removed(client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("nginx:1.27"))
    await eventually(lambda: client.find(POD), lambda p: main(p).get("ready"))
    await client.delete(POD, {})

    async def gone() -> Json:
        return {"gone": await client.find(POD) is None}

    await eventually(gone, lambda answer: answer["gone"])


async def read_log(client: ApiClient, query: str) -> tuple[int, str]:
    node = await client.get("/api/v1/nodes/node-a")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    url = f"https://127.0.0.1:{port}/containerLogs/default/web/app?{query}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
        return response.status, await response.text()


async def test_logs_are_served_within_what_was_asked_for(client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("busybox:1.36", command=["sh", "-c", "echo one; echo two; exit 1"]))
    await eventually(lambda: client.find(POD), waiting_for("CrashLoopBackOff"))
    assert await read_log(client, "previous=true") == (200, "one\ntwo\n")
    assert await read_log(client, "tailLines=1") == (200, "two\n")
    assert await read_log(client, "limitBytes=5") == (200, "one\nt")
    stamped = await read_log(client, "timestamps=true&tailLines=1")
    assert stamped[1].endswith("Z two\n")
    assert (await read_log(client, "tailLines=x"))[0] == 400


async def test_a_container_that_never_started_has_no_log_but_a_reason(client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("nignx:1.27"))
    await eventually(lambda: client.find(POD), waiting_for("ImagePullBackOff"))
    text = 'container "app" in pod "web" is waiting to start: trying and failing to pull image'
    assert await read_log(client, "") == (400, text)


async def test_a_refused_kubelet_does_not_start(sandbox: Sandbox) -> None:
    with pytest.raises(ApiFailure) as refused:
        await Kubelet(api_url=sandbox.url, token="wrong", node_name="node-a").start()
    assert refused.value.status == 401


async def test_a_whole_sandbox_rolls_a_deployment_out() -> None:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "nginx:1.27"}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    async with Sandbox(speed=50) as sandbox:
        api = ApiClient(sandbox.url, sandbox.token, tls=True)
        await api.open()
        deployments = "/apis/apps/v1/namespaces/default/deployments"
        await api.create(deployments, {"metadata": {"name": "web"}, "spec": spec})
        path = f"{deployments}/web"
        await eventually(lambda: api.find(path), lambda d: d.get("status", {}).get("availableReplicas") == 2)
        await api.close()


async def test_without_an_earlier_instance_there_is_no_previous_log(client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("nginx:1.27"))
    await eventually(lambda: client.find(POD), lambda p: main(p).get("ready"))
    assert (await read_log(client, "previous=true"))[0] == 400


def test_the_log_certificate_is_good_for_loopback_only() -> None:
    from importlib import resources

    context = ssl.create_default_context()
    with resources.as_file(resources.files("responder.sandbox") / "simulation_only_tls.pem") as path:
        context.load_verify_locations(path)
    (certificate,) = (c for c in context.get_ca_certs() if "simulation only" in str(c["subject"]))
    assert certificate["subjectAltName"] == (("IP Address", "127.0.0.1"), ("DNS", "localhost"))


async def test_a_quiet_pod_causes_no_writes(sandbox: Sandbox, client: ApiClient, kubelet: Kubelet) -> None:
    await put(client, pod("nginx:1.27", readinessProbe={"httpGet": {"path": "/", "port": 80}}))
    await eventually(lambda: client.find(POD), lambda p: main(p).get("ready"))
    before = (await client.get(POD))["metadata"]["resourceVersion"]
    listed = await client.get("/api/v1/nodes")

    async def node() -> Json:
        return await client.get("/api/v1/nodes/node-a")

    await eventually(
        node, lambda n: n["metadata"]["resourceVersion"] != listed["items"][0]["metadata"]["resourceVersion"]
    )
    assert (await client.get(POD))["metadata"]["resourceVersion"] == before
