"""Writes a node's events, folding repetitions into one Event object with a count, as the kubelet's recorder does.

Decides: what counts as the same event and how it is written. Leaves the wording to `podmachine`.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from responder.sandbox.apiclient import ApiClient, ApiFailure
from responder.sandbox.containerrecord import PodEvent, stamp

Json = dict[str, Any]
_REMEMBERED: Final = 4096


@dataclass(kw_only=True)
class _Written:
    path: str
    count: int


class EventRecorder:
    def __init__(self, client: ApiClient, node_name: str) -> None:
        self._client = client
        self._node = node_name
        self._written: OrderedDict[tuple[str, ...], _Written] = OrderedDict()
        self._numbers = itertools.count(1)

    async def record(self, pod: Json, event: PodEvent, at: datetime) -> None:
        """Raises ApiFailure, except where the event may not be written any more (its namespace goes away)."""
        key = (pod["metadata"]["uid"], event.reason, event.message, event.field_path)
        known = self._written.get(key)
        try:
            if known is not None and await self._repeat(known, at):
                return
            self._written[key] = await self._create(pod, event, at)
        except ApiFailure as failure:
            if failure.status not in (403, 404, 409):
                raise
        while len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    async def _repeat(self, known: _Written, at: datetime) -> bool:
        """False when the Event object is gone (they live for an hour)."""
        try:
            await self._client.merge(known.path, {"count": known.count + 1, "lastTimestamp": stamp(at)})
        except ApiFailure as failure:
            if failure.status != 404:
                raise
            return False
        known.count += 1
        return True

    async def _create(self, pod: Json, event: PodEvent, at: datetime) -> _Written:
        namespace, name = pod["metadata"]["namespace"], self._name(pod, at)
        collection = f"/api/v1/namespaces/{namespace}/events"
        await self._client.create(collection, self._manifest(pod, event, name, stamp(at)))
        return _Written(path=f"{collection}/{name}", count=1)

    def _name(self, pod: Json, at: datetime) -> str:
        number = (int(at.timestamp() * 1_000_000) << 16) + next(self._numbers) % 65536
        return f"{pod['metadata']['name']}.{number:x}"

    def _manifest(self, pod: Json, event: PodEvent, name: str, at: str) -> Json:
        meta = pod["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "resourceVersion": meta.get("resourceVersion", ""),
                **({"fieldPath": event.field_path} if event.field_path else {}),
            },
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "message": event.message,
            "source": {"component": "kubelet", "host": self._node},
            "reportingComponent": "kubelet",
            "reportingInstance": self._node,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
