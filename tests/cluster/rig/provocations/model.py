"""What a provocation is: how a class of failure is made to happen, what shows it, and what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rig.api import unique
from rig.ground import Ground

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace of the case's own, and what the case remembers between its cause and its repair."""

    ground: Ground
    namespace: str
    notes: dict[str, str] = field(default_factory=dict)

    def _namespace_of(self, kind: str) -> str:
        return (
            ""
            if kind in ("Node", "PersistentVolume", "Namespace", "ValidatingWebhookConfiguration")
            else self.namespace
        )

    def path(self, kind: str, name: str = "") -> str:
        return self.ground.path(kind, self._namespace_of(kind), name)

    async def create(self, kind: str, name: str, **body: Any) -> Any:
        metadata = {"name": name, **body.pop("metadata", {})}
        return await self.ground.create(kind, self._namespace_of(kind), {**body, "metadata": metadata})

    async def patch(self, kind: str, name: str, body: Any, *, content_type: str = STRATEGIC) -> Any:
        return await self.ground.api.expect("PATCH", self.path(kind, name), body, content_type=content_type)

    async def write_status(self, kind: str, name: str, status: Any) -> None:
        """As the controller would that is responsible for it."""
        path = f"{self.path(kind, name)}/status"
        await self.ground.api.expect("PATCH", path, {"status": status}, content_type=STRATEGIC)

    async def delete(self, kind: str, name: str, *, query: str = "") -> None:
        await self.ground.api.expect("DELETE", self.path(kind, name) + query)

    async def until(self, kind: str, name: str, holds: Callable[[Any], bool]) -> Any:
        return await self.ground.api.until(self.path(kind, name), holds)

    async def until_any(self, kind: str, holds: Callable[[Any], bool]) -> Any:
        """The first object of the kind that is as wished."""
        found: list[Any] = []

        def condition(listed: Any) -> bool:
            found[:] = [item for item in listed["items"] if holds(item)]
            return bool(found)

        await self.ground.api.until(self.path(kind), condition)
        return found[0]

    async def event(self, reason: str) -> Any:
        return await self.until_any("Event", lambda event: event["reason"] == reason)

    async def private_node(self) -> str:
        return await self.ground.add_node(unique("node").rpartition("-")[0], private=True)


Step = Callable[[Place], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Provocation:
    """One class of failure."""

    name: str
    provoke: Step
    """Returns once the cluster itself shows the failure."""
    root: str
    """`Kind/name` of the object that the incident is about, or a pattern of it; `{note}` is what the case noted."""
    alert: str
    """The name it must have among its alerts."""
    shown_by: str = ""
    """Kind of the object whose condition that is, where it is not the root."""
    repair: Step | None = None
    """What an operator would do; None where the case only shows the failure."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the namespace."""
    members: int = 0
    only_on: str = ""
    """The one ground that can do it; empty where both can."""

    def root_key(self, place: Place) -> str:
        kind, _, name = self.root.format(**place.notes, namespace=place.namespace).partition("/")
        return f"{kind}/{name}" if kind in ("Node", "Namespace") else f"{kind}/{place.namespace}/{name}"


def template(app: str, container: Mapping[str, Any], **pod: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "app", "image": "nginx:1.27", **container}], **pod}
    return {"metadata": {"labels": {"app": app}}, "spec": {"terminationGracePeriodSeconds": 1, **spec}}


async def deploy(
    place: Place,
    name: str,
    container: Mapping[str, Any] | None = None,
    *,
    kind: str = "Deployment",
    spec: Mapping[str, Any] | None = None,
    **pod: Any,
) -> None:
    body: dict[str, Any] = {
        "selector": {"matchLabels": {"app": name}},
        "template": template(name, container or {}, **pod),
    }
    if kind == "StatefulSet":
        body["serviceName"] = name
    await place.create(kind, name, spec={**body, **(spec or {})})


def container_patch(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **container}]}}}}


def mends(name: str, body: Any, *, kind: str = "Deployment") -> Step:
    async def step(place: Place) -> None:
        await place.patch(kind, name, body)

    return step


def removes(kind: str, name: str) -> Step:
    async def step(place: Place) -> None:
        await place.delete(kind, name, query="?propagationPolicy=Background")  # a Job's default leaves its pods

    return step


def condition(kind: str, status: str, *reasons: str) -> Callable[[Any], bool]:
    """The object has the condition with this status, for one of these reasons if any are named."""

    def holds(body: Any) -> bool:
        entries = (body.get("status") or {}).get("conditions") or ()
        return any(
            entry["type"] == kind and entry["status"] == status and (not reasons or entry.get("reason") in reasons)
            for entry in entries
        )

    return holds


def waits(*reasons: str, init: bool = False) -> Callable[[Any], bool]:
    def holds(pod: Any) -> bool:
        statuses = pod["status"].get("initContainerStatuses" if init else "containerStatuses") or ()
        return any(((s.get("state") or {}).get("waiting") or {}).get("reason") in reasons for s in statuses)

    return holds


def available(count: int = 1) -> Callable[[Any], bool]:
    return lambda body: (body.get("status") or {}).get("availableReplicas", 0) >= count
