"""A simulated kubelet: a node that runs no containers but reports on its pods as if it did.

Decides: registration and heartbeats of the node, which pods are its own, and their addresses. Each pod is driven by a
`PodWorker`; what happens in it follows from its spec (`podmachine`). It speaks plain Kubernetes HTTP API, so the
in-process sandbox and a real kube-apiserver are the same to it. A lost watch or a restarted API server is waited out.

https://kubernetes.io/docs/reference/node/node-status/ , https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import itertools
import ssl as tls
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from responder.sandbox.apiclient import ApiClient, ApiFailure
from responder.sandbox.catalogue import DEFAULT_CATALOGUE
from responder.sandbox.containerconfig import Place
from responder.sandbox.containerlog import ContainerLog
from responder.sandbox.containerrecord import stamp
from responder.sandbox.eventrecorder import EventRecorder
from responder.sandbox.images import Catalogue
from responder.sandbox.logserver import LogServer, LogUnavailable
from responder.sandbox.podstatus import Waiting
from responder.sandbox.podworker import Node, PodWorker, SimulatedClock

Json = dict[str, Any]
_HEARTBEAT_SECONDS: Final = 3.0
"""Real seconds, whatever the speed: the node controller's patience is real too."""
_LEASE_SECONDS: Final = 40
_FIRST_RETRY_SECONDS: Final = 0.2
_LONGEST_RETRY_SECONDS: Final = 5.0
_ROOM: Final = {"cpu": "16", "memory": "64Gi", "pods": "250", "ephemeral-storage": "200Gi"}
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_UNSTARTED: Final = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}
"""The log endpoint's words for waiting reasons that have words of their own."""
_log = structlog.get_logger(__name__)


class Kubelet:
    def __init__(
        self,
        *,
        api_url: str,
        token: str,
        node_name: str,
        ssl: tls.SSLContext | bool = True,
        speed: float = 1.0,
        catalogue: Catalogue = DEFAULT_CATALOGUE,
    ) -> None:
        """`speed` divides every simulated time (back-offs, probe periods, sleeps), not the node's heartbeat."""
        self._client = ApiClient(api_url, token, tls=ssl)
        self._node_name = node_name
        self._speed = speed
        self._catalogue = catalogue
        self.short_of: set[str] = set()
        """Words of `PRESSURES`: what the node reports to lack. It only says so; it evicts nobody."""
        self._workers: dict[str, PodWorker] = {}
        self._server = LogServer(self._find_log)
        self._addresses = itertools.count(2)
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the node is registered. Raises ApiFailure when the API server refuses it or is not there."""
        await self._client.open()
        await self._server.start()
        try:
            await self._register()
            # Before any pod is reported on: the node controller would take back what a silent node says.
            await self._renew_lease()
        except ApiFailure:
            await self.stop()
            raise
        self._main = asyncio.create_task(self._run(), name=f"kubelet {self._node_name}")
        self._main.add_done_callback(_tell_of_death)

    async def stop(self) -> None:
        """The node falls silent; its objects stay, as those of a machine that lost power."""
        main, self._main = self._main, None
        if main is not None:
            main.cancel()
            await asyncio.wait((main,))
        await self._server.stop()
        await self._client.close()
        if main is not None and not main.cancelled() and (error := main.exception()) is not None:
            raise error

    async def _run(self) -> None:
        clock = SimulatedClock(self._speed)
        node = Node(
            client=self._client,
            events=EventRecorder(self._client, self._node_name),
            clock=clock,
            catalogue=self._catalogue,
            image_cache=set(),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(_persist(self._beat))
            group.create_task(_persist(lambda: self._follow_pods(group, node)))

    async def _beat(self) -> None:
        await self._register()  # again, should someone have deleted the node
        while True:
            await self._renew_lease()
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            await self._write_node_status()

    async def _register(self) -> None:
        manifest: Json = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self._node_name,
                "labels": {
                    "kubernetes.io/hostname": self._node_name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                },
            },
            "spec": {},
        }
        try:
            await self._client.create("/api/v1/nodes", manifest)
        except ApiFailure as failure:
            if failure.status != 409:
                raise
        await self._write_node_status()

    async def _write_node_status(self) -> None:
        path = f"/api/v1/nodes/{self._node_name}"
        current = await self._client.get(path)
        status = self._node_status((current.get("status") or {}).get("conditions") or [])
        await self._client.merge(f"{path}/status", {"status": status})

    def _node_status(self, previous: list[Json]) -> Json:
        now = stamp(datetime.now(UTC))
        return {
            "capacity": _ROOM,
            "allocatable": _ROOM,
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": self._node_name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.port}},
            "nodeInfo": _NODE_INFO,
            "conditions": _node_conditions(previous, now, self.short_of),
        }

    async def _renew_lease(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self._node_name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": now}
        try:
            await self._client.merge(f"{_LEASES}/{self._node_name}", {"spec": spec})
        except ApiFailure as failure:
            if failure.status != 404:
                raise
            await self._create_lease(spec)

    async def _create_lease(self, spec: Json) -> None:
        meta = {"name": self._node_name, "namespace": "kube-node-lease"}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        try:
            await self._client.create(_LEASES, lease)
        except ApiFailure as failure:
            # The namespace is made by a controller, perhaps a moment later; the next beat tries again.
            if failure.status not in (404, 409):
                raise

    async def _follow_pods(self, group: asyncio.TaskGroup, node: Node) -> None:
        query = {"fieldSelector": f"spec.nodeName={self._node_name}"}
        listed = await self._client.get("/api/v1/pods", query)
        self._take_all(listed.get("items") or [], group, node)
        version = listed["metadata"]["resourceVersion"]
        while True:
            async for event in self._client.watch("/api/v1/pods", version, query):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(event["type"], event["object"], group, node)
            await asyncio.sleep(_FIRST_RETRY_SECONDS)

    def _take_all(self, pods: list[Json], group: asyncio.TaskGroup, node: Node) -> None:
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in self._workers.keys() - present:
            self._workers.pop(uid).vanish()
        for pod in pods:
            self._take("ADDED", pod, group, node)

    def _take(self, change: str, pod: Json, group: asyncio.TaskGroup, node: Node) -> None:
        uid = pod["metadata"]["uid"]
        if change == "DELETED":
            if uid in self._workers:
                self._workers.pop(uid).vanish()
        elif uid in self._workers:
            self._workers[uid].update(pod)
        elif (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            worker = PodWorker(pod, Place(pod_ip=self._next_address()), node)
            self._workers[uid] = worker
            group.create_task(worker.run(), name=f"pod {worker.path}")

    def _next_address(self) -> str:
        number = next(self._addresses)
        return f"10.244.{number // 250 % 250}.{number % 250 + 2}"

    def _find_log(self, namespace: str, pod: str, container: str) -> ContainerLog:
        """Raises LogUnavailable."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        machines = (worker.machine for worker in self._workers.values() if worker.path == path)
        found = next((c for machine in machines for c in machine.containers if c.name == container), None)
        if found is None:
            raise LogUnavailable(f'container "{container}" in pod "{pod}" is not available', status=404)
        if not found.created and isinstance(found.state, Waiting):
            reason = _UNSTARTED.get(found.state.reason, found.state.reason)
            raise LogUnavailable(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
        return found.log


def _tell_of_death(task: asyncio.Task[None]) -> None:
    """A defect of the simulation ends the node; `stop` raises it, but who watches a silent node should see it now."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("simulated kubelet died", task=task.get_name(), exc_info=error)


async def _persist(work: Callable[[], Awaitable[None]]) -> None:
    """Repeats work that an API failure interrupts, with back-off."""
    delay = _FIRST_RETRY_SECONDS
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await work()
        except ApiFailure as failure:
            _log.debug("kubelet loop interrupted", error=str(failure))
        delay = _FIRST_RETRY_SECONDS if loop.time() - began > _LONGEST_RETRY_SECONDS else delay
        await asyncio.sleep(delay)
        delay = min(delay * 2, _LONGEST_RETRY_SECONDS)


_NODE_INFO: Final = {
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "containerd://2.1.4",
    "kernelVersion": "6.12.0",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.37.2",
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "simulated by clopus",
    "systemUUID": "",
}
PRESSURES: Final = {
    "memory": ("MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "disk": ("DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure"),
    "pids": ("PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}
_HEALTHY: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def _node_conditions(previous: list[Json], now: str, short_of: Collection[str]) -> list[Json]:
    """The kubelet's own conditions as of now; others' are kept."""
    pressed = {kind: (kind, "True", reason, text) for kind, reason, text in (PRESSURES[word] for word in short_of)}
    known = {condition["type"]: condition for condition in previous}
    written: list[Json] = []
    for healthy in _HEALTHY:
        kind, status, reason, message = pressed.get(healthy[0], healthy)
        before = known.pop(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else now
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        written.append({**condition, "lastHeartbeatTime": now, "lastTransitionTime": since or now})
    return written + list(known.values())
