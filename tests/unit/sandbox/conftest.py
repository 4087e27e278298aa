"""A sandbox without nodes, and a small HTTP client for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from responder.sandbox import Sandbox

PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True)
class Answer:
    code: int
    body: Any
    warnings: tuple[str, ...]


class Api:
    """Requests to one sandbox as one user."""

    def __init__(self, session: ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def request(self, method: str, path: str, body: Any = None, *, patch: str = "") -> Answer:
        headers = {**self._headers, "Content-Type": PATCHES.get(patch, "application/json")}
        data = BytesIO(orjson.dumps(body)) if body is not None else None
        async with self._session.request(method, self._url + path, data=data, headers=headers) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json" and not path.partition("?")[2].startswith("watch")
            parsed = orjson.loads(raw) if is_json else raw
            return Answer(response.status, parsed, tuple(response.headers.getall("Warning", [])))

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path)

    async def post(self, path: str, body: Any) -> Answer:
        return await self.request("POST", path, body)

    async def put(self, path: str, body: Any) -> Answer:
        return await self.request("PUT", path, body)

    async def delete(self, path: str, body: Any = None) -> Answer:
        return await self.request("DELETE", path, body)

    async def patch(self, path: str, body: Any, kind: str = "merge") -> Answer:
        return await self.request("PATCH", path, body, patch=kind)

    async def watch(self, path: str) -> list[Any]:
        """The events of a watch that ends by its own timeout."""
        separator = "&" if "?" in path else "?"
        async with self._session.get(f"{self._url}{path}{separator}watch=1", headers=self._headers) as response:
            return [orjson.loads(line) for line in (await response.read()).splitlines()]


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as opened:
        yield opened


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """No controllers and no nodes: what is stored stays as it was written."""
    async with Sandbox(namespaces=("shop",), kubelet=False, controllers=False) as started:
        yield started


@pytest.fixture
async def cluster() -> AsyncIterator[Sandbox]:
    """With controllers, without nodes: tests write pod statuses themselves."""
    async with Sandbox(namespaces=("shop",), kubelet=False) as started:
        yield started


@pytest.fixture
def api(sandbox: Sandbox, session: ClientSession) -> Api:
    return Api(session, sandbox.url, sandbox.token)


@pytest.fixture
def cluster_api(cluster: Sandbox, session: ClientSession) -> Api:
    return Api(session, cluster.url, cluster.token)


@pytest.fixture
def as_user(sandbox: Sandbox, session: ClientSession) -> Callable[[str], Api]:
    return lambda token: Api(session, sandbox.url, token)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    async def wait(store: Any, look: Callable[[], Any], seconds: float = 10.0) -> Any:
        """What `look` finds, looked at after every change of the store."""
        changed = asyncio.Event()
        unsubscribe = store.subscribe(lambda _event: changed.set())
        try:
            async with asyncio.timeout(seconds):
                while not (found := look()):
                    await changed.wait()
                    changed.clear()
                return found
        finally:
            unsubscribe()

    return wait


@pytest.fixture
def deployment() -> Callable[..., Any]:
    def make(name: str = "web", image: str = "nginx:1.27", replicas: int = 1, **spec: Any) -> Any:
        container = {"name": "web", "image": image}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": template,
                **spec,
            },
        }

    return make


@pytest.fixture
def pod() -> Callable[..., Any]:
    def make(name: str = "one", labels: Any = None, **spec: Any) -> Any:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": labels or {}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}], **spec},
        }

    return make
