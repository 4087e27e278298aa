"""The versioned object store: what etcd and the watch cache are to a real cluster.

Every change takes the next value of one global resource version and is kept in a bounded history for watches; a
watcher that asks for a version before that history gets `HistoryLost`. Stored objects are never changed in place:
readers may keep what they got, writers hand over a new object. What may be stored is decided by `registry`.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from responder.sandbox.resources import Resource

Object = dict[str, Any]
"""One Kubernetes object as JSON."""


def clone(obj: Object) -> Object:
    """A copy that shares nothing with `obj`; through JSON, which is faster than `deepcopy`."""
    copy: Object = orjson.loads(orjson.dumps(obj))
    return copy


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, kw_only=True)
class StoreEvent:
    """One change. For a deletion `obj` is the last state at the version of the deletion."""

    version: int
    type: EventType
    resource: Resource
    obj: Object
    before: Object | None


class HistoryLost(Exception):
    """The history no longer reaches back to the version asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


class Store:
    """Objects by type, namespace and name. Not thread-safe: it lives on one event loop."""

    def __init__(self, *, history: int = 5000) -> None:
        self._objects: dict[Resource, dict[tuple[str, str], Object]] = {}
        self._history: deque[StoreEvent] = deque(maxlen=history)
        self._subscribers: list[Callable[[StoreEvent], None]] = []
        self._compacted = 0
        self.version = 0

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def list(self, resource: Resource, namespace: str = "") -> Iterator[Object]:
        """Objects in name order; all namespaces when `namespace` is empty."""
        objects = self._objects.get(resource, {})
        for key in sorted(objects):
            if not namespace or key[0] == namespace:
                yield objects[key]

    def all(self) -> Iterator[tuple[Resource, Object]]:
        for resource, objects in list(self._objects.items()):
            for obj in list(objects.values()):
                yield resource, obj

    def put(self, resource: Resource, obj: Object) -> Object:
        """Store a new or changed object under the next version."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self._objects.setdefault(resource, {}).get(key)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self._objects[resource][key] = obj
        self._record(resource, EventType.MODIFIED if before else EventType.ADDED, obj, before)
        return obj

    def remove(self, resource: Resource, namespace: str, name: str, *, last: Object | None = None) -> Object:
        """Delete an object that exists. Returns its last state, as given or as stored, at the deletion's version."""
        before = self._objects[resource].pop((namespace, name))
        self.version += 1
        shown = last or before
        gone = {**shown, "metadata": {**shown["metadata"], "resourceVersion": str(self.version)}}
        self._record(resource, EventType.DELETED, gone, before)
        return gone

    def _record(self, resource: Resource, kind: EventType, obj: Object, before: Object | None) -> None:
        if self._history.maxlen and len(self._history) == self._history.maxlen:
            self._compacted = self._history[0].version
        event = StoreEvent(version=self.version, type=kind, resource=resource, obj=obj, before=before)
        self._history.append(event)
        for subscriber in tuple(self._subscribers):
            subscriber(event)

    def since(self, version: int) -> tuple[StoreEvent, ...]:
        """Every change after `version`, oldest first. Raises `HistoryLost`."""
        if version < self._compacted:
            raise HistoryLost(version, self._compacted)
        missing = self.version - version
        if missing <= 0:
            return ()
        # Versions are dense, so the last `missing` entries are exactly the later ones.
        return tuple(self._history[-back] for back in range(min(missing, len(self._history)), 0, -1))

    def compact(self) -> None:
        """Forget the history, as etcd does from time to time: older watches and continue tokens expire."""
        self._history.clear()
        self._compacted = self.version

    def subscribe(self, subscriber: Callable[[StoreEvent], None]) -> Callable[[], None]:
        """Call `subscriber` after every change, until the returned function is called."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)
