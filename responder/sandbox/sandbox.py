"""The sandbox: an API server, its controllers and simulated nodes, in one process, on loopback, without persistence."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

import yaml

from responder.sandbox.access import MASTERS, User
from responder.sandbox.apiserver import ApiServer
from responder.sandbox.audit import AuditEvent
from responder.sandbox.controllers import CONTROLLERS, namespaces
from responder.sandbox.controllers.loop import run
from responder.sandbox.images import Catalogue
from responder.sandbox.objects import Object, Store
from responder.sandbox.registry import FieldValidation, PatchType, Registry, Write
from responder.sandbox.resources import BY_KIND, NAMESPACE, Resource

_SYSTEM_NAMESPACES = ("kube-system", "kube-node-lease")
_ADMIN = Write(
    user=User(name="sandbox-admin", groups=frozenset({MASTERS})),
    manager="kubectl",
    validation=FieldValidation.STRICT,
)
_PLACES = {"Namespace": 0, "ServiceAccount": 1, "ConfigMap": 1, "Secret": 1}


class _Node(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Sandbox:
    """A cluster for the length of an `async with`.

    Namespaces and nodes are there on entry; nodes come from simulated kubelets, so without those there are none.
    """

    def __init__(
        self,
        *,
        namespaces: Sequence[str] = ("default",),
        nodes: int = 1,
        kubelet: bool = True,
        controllers: bool = True,
        speed: float = 1.0,
        catalogue: Catalogue | None = None,
        history: int = 5000,
    ) -> None:
        self.store = Store(history=history)
        self.registry = Registry(self.store, now=lambda: datetime.now(UTC))
        self.server = ApiServer(self.registry)
        self._namespaces = tuple(dict.fromkeys((*_SYSTEM_NAMESPACES, "default", *namespaces)))
        self._node_count = nodes if kubelet else 0
        self._with_controllers = controllers
        self._speed = speed
        self._catalogue = catalogue
        self._nodes: list[_Node] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        return self.server.token

    @property
    def audit(self) -> list[AuditEvent]:
        """Every request so far, oldest first."""
        return self.server.audit

    def mutations(self, user: str | None = None) -> list[AuditEvent]:
        """The writes over HTTP that took effect, of one user or of all."""
        return [event for event in self.audit if event.changed and user in (None, event.user)]

    def add_token(self, user: str, groups: Sequence[str] = ()) -> str:
        """A bearer token for a user, who may do what Roles and bindings say."""
        return self.server.add_token(user, tuple(groups))

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        try:
            await self._start(self._tasks)
        except BaseException:
            await self._stop()
            raise
        return self

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        for controller in CONTROLLERS if self._with_controllers else ():
            self._running.append(tasks.create_task(run(controller, self.registry), name=controller.name))
        # One turn of the loop, so that every controller has subscribed before the first object.
        await asyncio.sleep(0)
        for name in self._namespaces:
            self.registry.create(NAMESPACE, "", {"metadata": {"name": name}}, _ADMIN)
            namespaces.furnish(self.registry, name)
        await self.server.start()
        for number in range(self._node_count):
            await self._start_node(f"node-{number + 1}")

    async def _start_node(self, name: str) -> None:
        # The kubelet is a client like any other; a sandbox without nodes does not need it.
        from responder.sandbox.catalogue import DEFAULT_CATALOGUE
        from responder.sandbox.kubelet import Kubelet

        images = self._catalogue or DEFAULT_CATALOGUE
        node = Kubelet(api_url=self.url, token=self.token, node_name=name, speed=self._speed, catalogue=images)
        self._nodes.append(node)
        await node.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()
        if self._tasks is not None:
            # The group must see its own cancellation, after a controller failed, but not wrap the errors of the body.
            if isinstance(error, asyncio.CancelledError):
                await self._tasks.__aexit__(kind, error, trace)
            else:
                await self._tasks.__aexit__(None, None, None)

    async def _stop(self) -> None:
        for node in self._nodes:
            await node.stop()
        for task in self._running:
            task.cancel()
        await self.server.stop()

    async def create(self, manifest: Object) -> Object:
        """Create an object as the administrator. Raises `ApiFailure`."""
        resource, namespace = _address(manifest)
        return self.registry.create(resource, namespace, manifest, _ADMIN).obj

    async def apply_yaml(self, text: str) -> list[Object]:
        """Apply every document of a YAML text, what others refer to first. Raises `ApiFailure`."""
        documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
        documents.sort(key=lambda document: _PLACES.get(document["kind"], 2))
        return [self._apply(document) for document in documents]

    def _apply(self, manifest: Object) -> Object:
        resource, namespace = _address(manifest)
        name = manifest["metadata"]["name"]
        write = Write(user=_ADMIN.user, manager=_ADMIN.manager, validation=_ADMIN.validation, force=True)
        outcome = self.registry.patch(resource, namespace, name, PatchType.APPLY, manifest, write)
        if outcome.created and resource is NAMESPACE:
            namespaces.furnish(self.registry, name)
        return outcome.obj

    def get(self, kind: str, namespace: str, name: str, *, api_version: str = "v1") -> Any:
        """A stored object or None, without a request: for tests and scenarios."""
        return self.store.get(BY_KIND[(api_version, kind)], namespace, name)


def _address(manifest: Object) -> tuple[Resource, str]:
    resource = BY_KIND[(manifest["apiVersion"], manifest["kind"])]
    namespace = manifest["metadata"].get("namespace", "default") if resource.namespaced else ""
    return resource, namespace
