"""Drives one PodMachine: waits for what comes next, fetches references, writes status and events.

Decides: when to look again and that a status is written only when it changed. A deleted pod is stopped and its object
removed, which is a kubelet's duty. Leaves all judgement to `podmachine`.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from responder.sandbox.apiclient import ApiClient, ApiFailure
from responder.sandbox.containerconfig import ObjectName, Objects, Place, referenced, texts
from responder.sandbox.eventrecorder import EventRecorder
from responder.sandbox.images import Catalogue
from responder.sandbox.podmachine import PodMachine
from responder.sandbox.podstatus import OWN_CONDITIONS

Json = dict[str, Any]
_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 10.0
_COLLECTIONS: Final = {"ConfigMap": "configmaps", "Secret": "secrets"}
_log = structlog.get_logger(__name__)


class SimulatedClock:
    """The loop's clock, sped up, with the dates that belong to it."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._date = datetime.now(UTC)

    def now(self) -> float:
        """Simulated seconds since the clock was made."""
        return (self._loop.time() - self._zero) * self.speed

    def date(self, at: float) -> datetime:
        return self._date + timedelta(seconds=at / self.speed)

    def real(self, until: float) -> float:
        """Real seconds from now until a simulated time."""
        return max(0.0, (until - self.now()) / self.speed)


@dataclass(frozen=True, kw_only=True)
class Node:
    """What all pods of a node share."""

    client: ApiClient
    events: EventRecorder
    clock: SimulatedClock
    catalogue: Catalogue
    image_cache: set[str]


class PodWorker:
    def __init__(self, pod: Json, place: Place, node: Node) -> None:
        self._node = node
        self._pod = pod
        self._changed = asyncio.Event()
        self._written: Json = {}
        self.gone = False
        self.machine = PodMachine(
            pod,
            catalogue=node.catalogue,
            place=place,
            calendar=node.clock.date,
            cache=node.image_cache,
            now=node.clock.now(),
        )

    @property
    def path(self) -> str:
        meta = self._pod["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    def update(self, pod: Json) -> None:
        """A newer version of the object arrived."""
        self._pod = pod
        self.machine.update(pod, self._node.clock.now())
        self._changed.set()

    def vanish(self) -> None:
        """The object is gone: nothing is left to report on."""
        self.gone = True
        self._changed.set()

    async def run(self) -> None:
        """Until the pod is gone. An unreachable API server is waited out."""
        delay = _RETRY_SECONDS
        while not self.gone:
            try:
                await self._round()
                delay = _RETRY_SECONDS
            except ApiFailure as failure:
                _log.debug("pod round failed", pod=self.path, error=str(failure))
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_RETRY_SECONDS)

    async def _round(self) -> None:
        self._changed.clear()
        if self._pod["metadata"].get("deletionTimestamp"):
            await self._remove()
            return
        clock = self._node.clock
        objects = await self._objects() if self.machine.needs_objects(clock.now()) else None
        self.machine.sync(clock.now(), objects)
        await self._report()
        await self._wait()

    async def _wait(self) -> None:
        until = self.machine.next_wake()
        seconds = None if until == math.inf else self._node.clock.real(until)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _objects(self) -> Objects:
        namespace = self._pod["metadata"]["namespace"]
        found: dict[ObjectName, dict[str, str]] = {}
        for name in sorted(referenced(self._pod), key=lambda n: (n.kind, n.name)):
            path = f"/api/v1/namespaces/{namespace}/{_COLLECTIONS[name.kind]}/{name.name}"
            manifest = await self._node.client.find(path)
            if manifest is not None:
                found[name] = texts(name.kind, manifest)
        return Objects(found=found)

    async def _report(self) -> None:
        now = self._node.clock.now()
        status = self.machine.status(self._conditions(), now)
        if status != self._written:
            uid = self._pod["metadata"]["uid"]
            try:
                answer = await self._node.client.merge(
                    f"{self.path}/status", {"metadata": {"uid": uid}, "status": status}
                )
            except ApiFailure as failure:
                if failure.status not in (404, 409, 422):
                    raise
                self.gone = failure.status == 404
                _log.debug("status refused", pod=self.path, error=str(failure))
            else:
                self._pod["status"] = answer["status"]
                self._written = status
        for event in self.machine.take_events():
            await self._node.events.record(self._pod, event, self._node.clock.date(now))

    def _conditions(self) -> tuple[Json, ...]:
        """Others' conditions as last seen, the kubelet's own as last written: a watch may lag behind a write."""
        seen = {c["type"]: c for c in (self._pod.get("status") or {}).get("conditions") or ()}
        own = {c["type"]: c for c in self._written.get("conditions", ()) if c["type"] in OWN_CONDITIONS}
        return tuple((seen | own).values())

    async def _remove(self) -> None:
        self.machine.stop(self._node.clock.now())
        await self._report()
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod["metadata"]["uid"]}}
        try:
            await self._node.client.delete(self.path, {"apiVersion": "v1", "kind": "DeleteOptions", **body})
        except ApiFailure as failure:
            if failure.status not in (404, 409):
                raise
        # Finalizers may keep the object; it is no business of this node any more.
        self.gone = True
