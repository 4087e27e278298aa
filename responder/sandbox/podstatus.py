"""The status of a pod as the kubelet writes it.

Decides: phase, conditions and container statuses from the state of each container. Pure.

Source: `getPhase` and `generateAPIPodStatus` in pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/generate.go;
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, assert_never

Json = dict[str, Any]


class ContainerKind(StrEnum):
    INIT = "init"
    SIDECAR = "sidecar"  # an init container with restartPolicy Always
    MAIN = "main"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    reason: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Running:
    started_at: str


@dataclass(frozen=True, kw_only=True)
class Terminated:
    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    message: str = ""
    container_id: str = ""


State = Waiting | Running | Terminated


@dataclass(frozen=True, kw_only=True)
class ContainerView:
    name: str
    image: str
    kind: ContainerKind = ContainerKind.MAIN
    state: State = field(default_factory=lambda: Waiting(reason="ContainerCreating"))
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    image_id: str = ""
    container_id: str = ""


@dataclass(frozen=True, kw_only=True)
class PodView:
    restart_policy: str
    containers: tuple[ContainerView, ...]
    start_time: str
    sandbox_ready: bool = False
    pod_ip: str = ""
    host_ip: str = "127.0.0.1"


def phase(view: PodView) -> str:
    inits = [c for c in view.containers if c.kind is ContainerKind.INIT]
    if view.restart_policy == "Never" and any(_failed(c) for c in inits):
        return "Failed"
    if any(not _succeeded(c) for c in inits):
        return "Pending"
    mains = [c for c in view.containers if c.kind is ContainerKind.MAIN]
    if any(isinstance(c.state, Waiting) and c.last is None for c in mains):
        return "Pending"
    if any(isinstance(c.state, Running) for c in mains) or view.restart_policy == "Always":
        return "Running"
    if all(_succeeded(c) for c in mains):
        return "Succeeded"
    return "Failed" if view.restart_policy == "Never" else "Running"


def _succeeded(container: ContainerView) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code == 0


def _failed(container: ContainerView) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code != 0


def _initialized(view: PodView) -> tuple[str, ...]:
    """Names of the init containers that are not through."""
    return tuple(
        c.name
        for c in view.containers
        if (c.kind is ContainerKind.INIT and not _succeeded(c)) or (c.kind is ContainerKind.SIDECAR and not c.started)
    )


OWN_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_TRUE: Final = ("True", "", "")


def _verdicts(view: PodView) -> dict[str, tuple[str, str, str]]:
    """Condition type -> status, reason, message."""
    incomplete = _initialized(view)
    unready = tuple(c.name for c in view.containers if c.kind is not ContainerKind.INIT and not c.ready)
    done = phase(view)
    if done == "Succeeded":
        ready = ("False", "PodCompleted", "")
    elif done == "Failed":
        ready = ("False", "PodFailed", "")
    elif unready:
        ready = ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    else:
        ready = _TRUE
    initialized = _TRUE
    if done == "Succeeded":
        initialized = ("True", "PodCompleted", "")
    elif incomplete:
        named = f"containers with incomplete status: [{' '.join(incomplete)}]"
        initialized = ("False", "ContainersNotInitialized", named)
    return {
        "PodReadyToStartContainers": _TRUE if view.sandbox_ready else ("False", "", ""),
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": _TRUE,
    }


def conditions(view: PodView, previous: tuple[Json, ...], now: str) -> list[Json]:
    """All conditions of the pod; those that others write are kept. `now` dates the ones whose status changes."""
    known = {condition["type"]: condition for condition in previous}
    written: list[Json] = []
    for kind, (status, reason, message) in _verdicts(view).items():
        before = known.pop(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        condition: Json = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since or now}
        condition |= {"reason": reason} if reason else {}
        condition |= {"message": message} if message else {}
        written.append(condition)
    return written + list(known.values())


def render(view: PodView, previous: tuple[Json, ...], now: str) -> Json:
    """The `status` to patch into the pod. `previous` are the conditions it has."""
    status: Json = {
        "phase": phase(view),
        "conditions": conditions(view, previous, now),
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
        "startTime": view.start_time,
        "containerStatuses": [_container(c) for c in view.containers if c.kind is ContainerKind.MAIN],
    }
    inits = [_container(c) for c in view.containers if c.kind is not ContainerKind.MAIN]
    if inits:
        status["initContainerStatuses"] = inits
    if view.pod_ip:
        status |= {"podIP": view.pod_ip, "podIPs": [{"ip": view.pod_ip}]}
    return status


def _container(view: ContainerView) -> Json:
    status: Json = {
        "name": view.name,
        "image": view.image,
        "imageID": view.image_id,
        "ready": view.ready,
        "restartCount": view.restarts,
        "started": view.started,
        "state": _state(view.state),
        "lastState": _state(view.last) if view.last else {},
    }
    if view.container_id:
        status["containerID"] = view.container_id
    return status


def _state(state: State) -> Json:
    match state:
        case Waiting():
            message = {"message": state.message} if state.message else {}
            return {"waiting": {"reason": state.reason, **message}}
        case Running():
            return {"running": {"startedAt": state.started_at}}
        case Terminated():
            terminated: Json = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": state.started_at,
                "finishedAt": state.finished_at,
            }
            terminated |= {"message": state.message} if state.message else {}
            terminated |= {"containerID": state.container_id} if state.container_id else {}
            return {"terminated": terminated}
        case _:
            assert_never(state)
