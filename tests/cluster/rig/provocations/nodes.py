"""Failures of nodes. Each has its own, so that no other case's pods are on it."""

from __future__ import annotations

from typing import Any

from rig.provocations.model import STRATEGIC, Place, Provocation, available, condition, deploy

_TOLERATES = [{"key": "for", "operator": "Exists"}]


async def _runs_on_it(place: Place, *names: str) -> None:
    for name in names:
        await deploy(place, name, nodeSelector={"for": place.notes["node"]}, tolerations=_TOLERATES)
    for name in names:
        await place.until("Deployment", name, available())


async def _falls_silent(place: Place) -> None:
    node = place.notes["node"] = await place.private_node()
    await _runs_on_it(place, "web", "shop")
    await place.ground.stop_kubelet(node)
    await place.until("Node", node, condition("Ready", "Unknown"))
    for name in ("web", "shop"):
        await place.until_any("Pod", lambda p, n=name: p["metadata"]["labels"]["app"] == n and _is_not_ready(p))


def _is_not_ready(pod: Any) -> bool:
    return condition("Ready", "False")(pod)


async def _comes_back(place: Place) -> None:
    await place.ground.start_kubelet(place.notes["node"])


async def _is_short_of_memory(place: Place) -> None:
    node = place.notes["node"] = await place.private_node()
    place.ground.kubelet(node).short_of.add("memory")
    await place.until("Node", node, condition("MemoryPressure", "True"))


async def _has_memory_again(place: Place) -> None:
    place.ground.kubelet(place.notes["node"]).short_of.discard("memory")


async def _is_cordoned(place: Place) -> None:
    node = place.notes["node"] = await place.private_node()
    await place.patch("Node", node, {"spec": {"unschedulable": True}}, content_type=STRATEGIC)
    await deploy(place, "web", nodeSelector={"for": node}, tolerations=_TOLERATES)
    await place.until_any("Pod", condition("PodScheduled", "False", "Unschedulable"))


async def _is_uncordoned(place: Place) -> None:
    await place.patch("Node", place.notes["node"], {"spec": {"unschedulable": False}}, content_type=STRATEGIC)


NODES = (
    Provocation(
        name="node that falls silent",
        provoke=_falls_silent,
        root="Node/{node}",
        alert="NodeNotReady",
        members=2,
        repair=_comes_back,
    ),
    Provocation(
        name="node short of memory",
        provoke=_is_short_of_memory,
        root="Node/{node}",
        alert="NodePressure",
        repair=_has_memory_again,
    ),
    Provocation(
        name="cordoned node that pods wait for",
        provoke=_is_cordoned,
        root="Node/{node}",
        alert="CordonedWithPendingPods",
        members=1,
        repair=_is_uncordoned,
    ),
)
