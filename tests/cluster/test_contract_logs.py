"""Logs through the API server, from a simulated kubelet that is a node of the sandbox and of a real control plane."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from rig.api import Api, unique

from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.errors import ObjectGone
from responder.domain.manifest import dig, text
from responder.domain.refs import ObjectRef
from responder.sandbox.kubelet import Kubelet

SAYS = ["sh", "-c", "echo one; echo two; echo three; sleep 3600"]
SAYS_AND_FAILS = ["sh", "-c", "echo last words; exit 3"]


@pytest.fixture
async def node(api: Api) -> AsyncIterator[str]:
    name = unique("node")
    tls = ssl.create_default_context(cafile=str(api.ca_file)) if api.ca_file else True
    kubelet = Kubelet(api_url=api.url, token=api.token, node_name=name, ssl=tls, speed=20)
    await kubelet.start()
    yield name
    await kubelet.stop()
    await api.expect("DELETE", f"/api/v1/nodes/{name}")  # the scheduler would go on offering it


async def start(api: Api, node: str, command: list[str], *, image: str = "busybox:1.36") -> ObjectRef:
    container = {"name": "main", "image": image, "command": command}
    body = {"metadata": {"name": "p1"}, "spec": {"nodeName": node, "containers": [container]}}
    await api.create("api/v1/pods", body)
    return ObjectRef(kind="Pod", namespace=api.namespace, name="p1")


async def until_state(api: Api, *path: str | int, value: str = "") -> Any:
    """Waits for something at `path` in the container's status, or for that very text."""

    def there(body: Any) -> bool:
        status = dig(body, "status", "containerStatuses", 0)
        return text(status, *path) == value if value else dig(status, *path) is not None

    return await api.until(f"/api/v1/namespaces/{api.namespace}/pods/p1", there)


async def test_a_log_is_read_whole(api: Api, cluster: KubernetesCluster, node: str) -> None:
    pod = await start(api, node, SAYS)
    await until_state(api, "state", "running")
    log = await cluster.logs(pod, "main", previous=False, tail_lines=100, limit_bytes=10_000)
    assert (log.text, log.truncated) == ("one\ntwo\nthree\n", False)


async def test_the_last_lines_are_read(api: Api, cluster: KubernetesCluster, node: str) -> None:
    pod = await start(api, node, SAYS)
    await until_state(api, "state", "running")
    assert (await cluster.logs(pod, "main", previous=False, tail_lines=2, limit_bytes=10_000)).text == "two\nthree\n"


async def test_the_last_bytes_are_kept(api: Api, cluster: KubernetesCluster, node: str) -> None:
    pod = await start(api, node, SAYS)
    await until_state(api, "state", "running")
    log = await cluster.logs(pod, "main", previous=False, tail_lines=100, limit_bytes=6)
    assert (log.text, log.truncated) == ("three\n", True)


async def test_the_instance_before_has_a_log_of_its_own(api: Api, cluster: KubernetesCluster, node: str) -> None:
    pod = await start(api, node, SAYS_AND_FAILS)
    await until_state(api, "lastState", "terminated")
    log = await cluster.logs(pod, "main", previous=True, tail_lines=100, limit_bytes=10_000)
    assert log.text == "last words\n"


async def test_without_an_earlier_instance_there_is_no_log_of_it(
    api: Api, cluster: KubernetesCluster, node: str
) -> None:
    pod = await start(api, node, SAYS)
    await until_state(api, "state", "running")
    with pytest.raises(ObjectGone, match="previous terminated container"):
        await cluster.logs(pod, "main", previous=True, tail_lines=100, limit_bytes=10_000)


async def test_a_container_whose_image_cannot_be_pulled_has_no_log(
    api: Api, cluster: KubernetesCluster, node: str
) -> None:
    pod = await start(api, node, SAYS, image="bsuybox:1.36")
    await until_state(api, "state", "waiting", "reason", value="ImagePullBackOff")
    with pytest.raises(ObjectGone, match="waiting to start"):
        await cluster.logs(pod, "main", previous=False, tail_lines=100, limit_bytes=10_000)
