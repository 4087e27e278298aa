"""What one watch knows: for each object its uid, its version, and as JSON what was kept of it.

The cache decides what is news. A connection may deliver an event twice, late, or in the wrong order; versions of one
collection are comparable (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions), so an event
that is no newer than what is known changes nothing, and an object that was deleted does not come back by an old event.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from responder.domain.manifest import Json, Manifest

REMEMBERED_DELETIONS = 1024


@dataclass(slots=True)
class Cached:
    uid: str
    version: int | None
    """None: not a number, so that nothing is older; or not to be relied on."""
    body: bytes
    """JSON of the trimmed object."""

    def manifest(self) -> Manifest:
        body: Json = orjson.loads(self.body)
        return body  # type: ignore[no-any-return]  # JSON of a mapping, written by `ObjectCache.put`


class ObjectCache:
    """Objects of one kind. Small: bodies are kept as JSON and decoded each time they are asked for."""

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, Cached]] = {}
        self._deleted: dict[str, int] = {}
        self._listed: int | None = None

    def __len__(self) -> int:
        return sum(len(objects) for objects in self._namespaces.values())

    @property
    def body_bytes(self) -> int:
        """Size of all bodies."""
        return sum(len(cached.body) for _, cached in self.entries())

    def get(self, namespace: str, name: str) -> Manifest | None:
        cached = self.entry(namespace, name)
        return cached.manifest() if cached is not None else None

    def entry(self, namespace: str, name: str) -> Cached | None:
        return self._namespaces.get(namespace, {}).get(name)

    def entries(self, namespace: str | None = None) -> Iterator[tuple[tuple[str, str], Cached]]:
        """(namespace, name) and what is cached; as of now, however the cache changes meanwhile."""
        for found in tuple(self._namespaces) if namespace is None else (namespace,):
            for name, cached in tuple(self._namespaces.get(found, {}).items()):
                yield (found, name), cached

    def items(self, namespace: str | None = None) -> Iterator[tuple[tuple[str, str], Manifest]]:
        """(namespace, name) and the trimmed object; of one namespace or of all."""
        for place, cached in self.entries(namespace):
            yield place, cached.manifest()

    def put(self, namespace: str, name: str, *, uid: str, version: int | None, body: Manifest) -> None:
        self._deleted.pop(uid, None)
        objects = self._namespaces.setdefault(sys.intern(namespace), {})
        # A copy, because the encoder's own bytes object keeps its whole buffer: 4 KiB for a pod of 1.6.
        encoded = bytes(memoryview(orjson.dumps(body)))
        objects[name] = Cached(uid=uid, version=version, body=encoded)

    def remove(self, namespace: str, name: str) -> Cached | None:
        objects = self._namespaces.get(namespace, {})
        cached = objects.pop(name, None)
        if not objects:
            self._namespaces.pop(namespace, None)
        return cached

    def bury(self, uid: str, version: int | None) -> None:
        """The object was deleted at this version, as an event told: nothing older brings it back."""
        if version is None:
            return
        self._deleted[uid] = version
        if len(self._deleted) > REMEMBERED_DELETIONS:
            del self._deleted[next(iter(self._deleted))]

    def drop(self, namespace: str) -> None:
        """Forget a whole namespace, without a word to anyone."""
        self._namespaces.pop(namespace, None)

    def doubt(self, namespace: str, name: str) -> None:
        """The next list tells this object anew, changed or not."""
        cached = self.entry(namespace, name)
        if cached is not None:
            cached.version = None

    def complete(self, version: int | None) -> None:
        """A whole list has been taken over: what it lacked is known to be gone at its version."""
        self._listed = version
        self._deleted.clear()

    def outdated(self, namespace: str, name: str, *, uid: str, version: int | None) -> bool:
        """Whether an event that shows or deletes this object tells nothing new."""
        if version is None:
            return False
        cached = self.entry(namespace, name)
        if cached is None:
            return version <= self._deleted.get(uid, -1) or (self._listed is not None and version <= self._listed)
        return cached.version is not None and version <= cached.version
