"""A cluster view that a test fills by hand: the caches are real, nobody watches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.cluster.cache import ObjectCache
from responder.conditions.model import Surroundings
from responder.detector.kinds import is_namespaced
from responder.detector.view import ClusterView

T0 = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


class Filled:
    """Objects go the way that a watch takes them: into the cache of their kind, then to `note` or `forget`."""

    def __init__(self, **options: Any) -> None:
        self.view = ClusterView(**options)
        self._caches: dict[tuple[str, str], ObjectCache] = {}

    def watch(self, kind: str, namespace: str = "") -> ObjectCache:
        cache = self._caches[kind, namespace] = ObjectCache()
        self.view.add(kind, namespace, cache)
        return cache

    def put(
        self, kind: str, name: str, body: Mapping[str, Any] | None = None, *, now: datetime = T0, **meta: Any
    ) -> Any:
        """An object in namespace `shop` unless `meta` names another; its uid is `u-<name>`. Returns it."""
        place = {"namespace": "shop"} if is_namespaced(kind) else {}
        whole = {**(body or {}), "metadata": {"name": name, "uid": f"u-{name}", **place, **meta}}
        namespace = whole["metadata"].get("namespace", "")
        if (kind, "") not in self._caches and (kind, namespace) not in self._caches:
            self.watch(kind)
        cache = self._caches[kind, namespace if (kind, namespace) in self._caches else ""]
        cache.put(namespace, name, uid=whole["metadata"]["uid"], version=None, body=whole)
        self.matters = self.view.note(kind, whole, now=now)
        return whole

    def delete(self, kind: str, name: str, *, namespace: str = "shop") -> None:
        self._caches[kind, ""].remove(namespace if is_namespaced(kind) else "", name)
        self.view.forget(kind, namespace, name, f"u-{name}")

    def endpoint_slice(self, name: str, service: str, *ready: bool | None) -> None:
        endpoints = [{"conditions": {} if each is None else {"ready": each}} for each in ready]
        labels = {"kubernetes.io/service-name": service} if service else {}
        self.put("EndpointSlice", name, {"endpoints": endpoints}, labels=labels)

    def around(self, kind: str, body: Any, *, live: bool = True, now: datetime = T0) -> Surroundings:
        return self.view.surroundings(kind, body, now=now, live=live)


def statuses(*found: tuple[str, str]) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status} for kind, status in found]}}


@pytest.fixture
def filled() -> Filled:
    return Filled()


@pytest.fixture
def fill() -> type[Filled]:
    return Filled


@pytest.fixture(name="statuses")
def _statuses() -> Any:
    return statuses
