"""The whole sandbox with its simulated node: from a manifest to a ready pod, its log and its end."""

import pytest

from responder.sandbox import Sandbox
from responder.sandbox.failures import ApiFailure
from responder.sandbox.resources import POD

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


def status(sandbox):
    return sandbox.get("Deployment", "shop", "web", api_version="apps/v1")["status"]


@pytest.fixture
async def running():
    async with Sandbox(nodes=1) as sandbox:
        yield sandbox


async def test_a_manifest_becomes_ready_pods(running, eventually):
    await running.apply_yaml(MANIFEST)
    await eventually(running.store, lambda: status(running).get("availableReplicas") == 2)


async def test_a_new_image_replaces_the_pods(running, eventually):
    await running.apply_yaml(MANIFEST)
    await eventually(running.store, lambda: status(running).get("availableReplicas") == 2)
    await running.apply_yaml(MANIFEST.replace("1.27", "1.28"))

    def images():
        return {pod["spec"]["containers"][0]["image"] for pod in running.store.list(POD, "shop")}

    await eventually(running.store, lambda: images() == {"nginx:1.28"})


async def test_logs_come_from_the_kubelet(running, session, eventually):
    await running.apply_yaml(MANIFEST)
    await eventually(running.store, lambda: status(running).get("availableReplicas") == 2)
    pod = next(running.store.list(POD, "shop"))["metadata"]["name"]
    url = f"{running.url}/api/v1/namespaces/shop/pods/{pod}/log?tailLines=5"
    async with session.get(url, headers={"Authorization": f"Bearer {running.token}"}) as response:
        assert response.status == 200
        assert await response.read()


async def test_a_faulty_manifest_is_refused_with_the_words_of_the_server(running):
    with pytest.raises(ApiFailure, match=r"spec\.replicas: Invalid value: -1"):
        await running.apply_yaml(MANIFEST.replace("replicas: 2", "replicas: -1"))


async def test_an_error_in_the_body_reaches_the_caller_as_it_is():
    with pytest.raises(ZeroDivisionError):
        async with Sandbox(kubelet=False):
            _ = 1 / 0
