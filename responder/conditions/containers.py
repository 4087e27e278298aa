"""What is wrong with one container of a pod, as its status tells.

Decides from the state and the one before it. A failing container changes between back-off, a short run and the next end
within seconds; all three are one condition here. What concerns the pod as a whole is left to `pods`.

Reasons: pkg/kubelet/container/sync_result.go, pkg/kubelet/images/types.go, pkg/kubelet/kubelet_pods.go and
pkg/kubelet/kuberuntime/kuberuntime_container.go of Kubernetes 1.36; ends are reported by the container runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.conditions.messages import causes_in, image_key, keys, moment, node_key
from responder.conditions.model import Condition, Severity
from responder.conditions.statusconditions import sentence
from responder.domain.manifest import Manifest, dig, flag, items, mapping, number, text
from responder.domain.refs import ObjectRef

CRASH_RESTARTS = 2
"""A container that has been restarted so often is looping; once is an accident that the kubelet has mended."""

STEADY_SECONDS = 120.0
"""A container that is ready and has run so long has got over its last end, as far as can be seen."""

RESET_SECONDS = 600.0
"""The kubelet forgets its back-off after a run of this length: an end after it starts a new count."""

UNREADY_SECONDS = 180.0
UNSTARTED_SECONDS = 300.0
"""Startup probes are there to give slow programs time."""

_CRASH_SOAK_SECONDS = 180.0


class Role(StrEnum):
    INIT = "init container"
    SIDECAR = "sidecar container"
    """An init container with restartPolicy Always."""
    MAIN = "container"
    EPHEMERAL = "ephemeral container"


class RestartPolicy(StrEnum):
    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """What spec and status tell of one container."""

    name: str
    role: Role
    image: str
    """As the spec writes it."""
    policy: RestartPolicy
    """Whether it is started again when it ends; init containers that succeed never are."""
    restarts: int
    ready: bool
    unstarted: bool
    """Its startup probe has not passed yet."""
    waiting: Manifest | None
    running: Manifest | None
    ended: Manifest | None
    last_end: Manifest
    """The end before the present state; empty where there was none."""

    @property
    def title(self) -> str:
        return f"{self.role.capitalize()} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """What of its pod matters for a container."""

    ref: ObjectRef
    node: str
    of_job: bool
    """A Job counts failures itself and speaks of them when it gives up."""
    unready_since: datetime | None
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A way for a container to fail."""

    name: str
    says: str
    age_seconds: float = 30.0
    soak_seconds: float = 60.0
    severity: Severity = Severity.WARNING
    blames_image: bool = False
    blames_node: bool = False


_IMAGE_PULL = Fault(name="ImagePullBackOff", says="its image cannot be pulled", blames_image=True)
_RUN = Fault(name="RunContainerError", says="its program cannot be started", soak_seconds=_CRASH_SOAK_SECONDS)
_CRASH = Fault(
    name="CrashLoopBackOff", says="it ends again and again", age_seconds=0.0, soak_seconds=_CRASH_SOAK_SECONDS
)
_MEMORY = Fault(
    name="OOMKilled",
    says="it was killed for using more memory than it may",
    age_seconds=0.0,
    soak_seconds=_CRASH_SOAK_SECONDS,
)
_FAILED = Fault(name="ContainerFailed", says="it failed and is not started again", age_seconds=0.0)
_UNREADY = Fault(name="ContainerNotReady", says="it runs but is not ready", age_seconds=UNREADY_SECONDS)
_OTHER_WAIT = Fault(name="ContainerWaiting", says="it waits", age_seconds=300.0)
_SANDBOX = Fault(
    name="FailedCreatePodSandBox", says="its pod's sandbox cannot be made", age_seconds=60.0, blames_node=True
)
_KILL = Fault(name="FailedKillPod", says="it cannot be stopped", age_seconds=60.0, blames_node=True)

WAITING: Mapping[str, Fault] = {
    # These come and go in turns while one image cannot be had.
    "ErrImagePull": _IMAGE_PULL,
    "ImagePullBackOff": _IMAGE_PULL,
    "RegistryUnavailable": _IMAGE_PULL,
    "ImageInspectError": _IMAGE_PULL,
    "InvalidImageName": Fault(
        name="InvalidImageName", says="its image's name is not one", age_seconds=0.0, blames_image=True
    ),
    "ErrImageNeverPull": Fault(
        name="ErrImageNeverPull", says="its image is not on the node and may not be pulled", blames_image=True
    ),
    "SignatureValidationFailed": Fault(
        name="SignatureValidationFailed", says="its image's signature is not accepted", blames_image=True
    ),
    "CreateContainerConfigError": Fault(
        name="CreateContainerConfigError", says="its configuration cannot be put together"
    ),
    "CreateContainerError": Fault(name="CreateContainerError", says="it cannot be created"),
    "RunContainerError": _RUN,
    "PreCreateHookError": Fault(name="PreCreateHookError", says="the runtime's hook before its creation failed"),
    "PreStartHookError": Fault(name="PreStartHookError", says="the runtime's hook before its start failed"),
    "PostStartHookError": Fault(
        name="PostStartHookError", says="its postStart hook failed", soak_seconds=_CRASH_SOAK_SECONDS
    ),
    "CreatePodSandboxError": _SANDBOX,
    "ConfigPodSandboxError": _SANDBOX,
    "KillContainerError": _KILL,
    "KillPodSandboxError": _KILL,
    "RemoveContainerError": Fault(name="ContainerWaiting", says="its predecessor cannot be removed", age_seconds=300.0),
    "ResizePodInPlaceError": Fault(name="ContainerWaiting", says="its pod cannot be resized", age_seconds=300.0),
}
"""Waiting reasons other than CrashLoopBackOff, and those of a pod that is being set up."""

SETTING_UP = ("ContainerCreating", "PodInitializing")
"""Said of every container until it is its turn: judged for the pod as a whole."""

ENDS: Mapping[str, Fault] = {
    "OOMKilled": _MEMORY,
    "StartError": _RUN,
    "ContainerCannotRun": _RUN,
    "DeadlineExceeded": Fault(name="DeadlineExceeded", says="it ran longer than it may", age_seconds=0.0),
    "Evicted": Fault(name="Evicted", says="it was evicted from its node", age_seconds=0.0),
    "ContainerStatusUnknown": Fault(
        name="ContainerStatusUnknown", says="its node lost track of it", age_seconds=120.0, blames_node=True
    ),
}
"""Reasons of an end that say more than that it failed: `Error`, or `Completed` where it should have gone on."""

_LASTING_ENDS = frozenset({"OOMKilled", "StartError", "ContainerCannotRun"})
"""Those that class a loop: the next start will end in the same way."""

_EXIT_CODES = {
    126: "the command cannot be executed",
    127: "the command was not found",
    134: "SIGABRT",
    137: "SIGKILL",
    139: "SIGSEGV",
    143: "SIGTERM",
}

NAMES: Mapping[str, str] = {
    "ImagePullBackOff": "An image cannot be pulled, or its registry does not answer",
    "InvalidImageName": "The name of an image is not one",
    "ErrImageNeverPull": "An image is not on the node and its pull policy is Never",
    "SignatureValidationFailed": "The signature of an image is not accepted by the runtime's policy",
    "CreateContainerConfigError": "A container's configuration cannot be put together: a ConfigMap, Secret or key is "
    "missing, or its user is not allowed",
    "CreateContainerError": "The runtime cannot create a container",
    "RunContainerError": "The program of a container cannot be started: not found, not executable, wrong format",
    "PreCreateHookError": "The runtime's hook before the creation of a container failed",
    "PreStartHookError": "The runtime's hook before the start of a container failed",
    "PostStartHookError": "A container's postStart hook failed",
    "CrashLoopBackOff": "A container ends again and again",
    "OOMKilled": "A container was killed for using more memory than it may",
    "ContainerFailed": "A container that is not started again ended with a failure",
    "ContainerNotReady": "A container runs but does not become ready",
    "ContainerStatusUnknown": "A node lost track of a container",
    "ContainerWaiting": "A container waits for a reason that has no condition of its own",
    "DeadlineExceeded": "It ran longer than it may",
    "Evicted": "A pod was evicted from its node, as a rule for want of memory or disk space",
    "FailedCreatePodSandBox": "A node cannot set up the sandbox of a pod: network plugin or container runtime",
    "FailedKillPod": "A node cannot stop a pod",
}


def containers_of(pod: Manifest) -> Iterator[Container]:
    """Those that have a status, in the order in which they are started."""
    always = text(pod, "spec", "restartPolicy")
    pod_policy = RestartPolicy(always) if always in tuple(RestartPolicy) else RestartPolicy.ALWAYS
    for specs, statuses, plain in (
        ("initContainers", "initContainerStatuses", Role.INIT),
        ("containers", "containerStatuses", Role.MAIN),
        ("ephemeralContainers", "ephemeralContainerStatuses", Role.EPHEMERAL),
    ):
        by_name = {text(spec, "name"): spec for spec in items(pod, "spec", specs)}
        for status in items(pod, "status", statuses):
            spec = by_name.get(text(status, "name"), {})
            own = text(spec, "restartPolicy")
            policy = RestartPolicy(own) if own in tuple(RestartPolicy) else pod_policy
            role = Role.SIDECAR if plain is Role.INIT and own == RestartPolicy.ALWAYS else plain
            if role is Role.INIT and policy is RestartPolicy.ALWAYS:
                policy = RestartPolicy.ON_FAILURE
            yield _container(status, role=role, policy=policy, image=text(spec, "image") or text(status, "image"))


def _container(status: Manifest, *, role: Role, policy: RestartPolicy, image: str) -> Container:
    return Container(
        name=text(status, "name"),
        role=role,
        image=image,
        policy=policy,
        restarts=number(status, "restartCount"),
        ready=flag(status, "ready"),
        unstarted=status.get("started") is False,
        waiting=_state(status, "waiting"),
        running=_state(status, "running"),
        ended=_state(status, "terminated"),
        last_end=mapping(status, "lastState", "terminated"),
    )


def _state(status: Manifest, name: str) -> Manifest | None:
    value = dig(status, "state", name)
    return value if isinstance(value, Mapping) else None


def condition_of(container: Container, home: Home) -> Condition | None:
    """The one thing that is wrong with the container; None where nothing is, or the pod as a whole tells."""
    if container.waiting is not None:
        return _of_waiting(container, container.waiting, home)
    if container.role is Role.EPHEMERAL:
        return None  # made by a person to look around: how it ends is theirs to see
    if container.ended is not None:
        return _of_end(container, container.ended, home)
    if container.running is not None:
        return _of_run(container, container.running, home)
    return None


def _of_waiting(container: Container, waiting: Manifest, home: Home) -> Condition | None:
    reason = text(waiting, "reason")
    if not reason or reason in SETTING_UP:
        return None
    if reason == "CrashLoopBackOff":
        return _of_loop(container, container.last_end, home)
    fault = WAITING.get(reason, _OTHER_WAIT)
    words = f"{reason}: {text(waiting, 'message')}" if text(waiting, "message") else reason
    return _condition(fault, container, home, words=words, causes=causes_in(words, home.ref.namespace))


def _of_end(container: Container, end: Manifest, home: Home) -> Condition | None:
    again = container.policy is not RestartPolicy.NEVER
    if number(end, "exitCode") == 0 and container.policy is not RestartPolicy.ALWAYS:
        return None
    if home.of_job:
        return _of_loop(container, end, home) if again and container.restarts >= CRASH_RESTARTS else None
    fault = ENDS.get(text(end, "reason"))
    if fault is not None:
        return _condition(fault, container, home, words=_ending(end), since=moment(end, "finishedAt"))
    if not again:
        return _condition(_FAILED, container, home, words=_ending(end), since=moment(end, "finishedAt"))
    return _of_loop(container, end, home) if container.restarts >= CRASH_RESTARTS else None


def _of_run(container: Container, running: Manifest, home: Home) -> Condition | None:
    started = moment(running, "startedAt")
    end = container.last_end
    if end and not _is_over(container, started or moment(end, "finishedAt"), home.now):
        return _of_loop(container, end, home)
    if container.ready or container.role is Role.INIT or home.of_job:
        return None
    if container.unstarted:
        words = "its startup probe has not passed"
        return _condition(_UNREADY, container, home, words=words, since=started, age_seconds=UNSTARTED_SECONDS)
    since = max((time for time in (started, home.unready_since) if time is not None), default=None)
    return _condition(_UNREADY, container, home, words="", since=since)


def _is_over(container: Container, started: datetime | None, now: datetime) -> bool:
    """True where the present run of the container has outlived what its last end tells."""
    if started is None:
        return True
    lasted = (now - started).total_seconds()
    end = container.last_end
    if text(end, "reason") == "OOMKilled":
        return lasted >= RESET_SECONDS
    if container.restarts < CRASH_RESTARTS or _ran_long(end):
        return True
    well = container.ready or container.role is Role.INIT
    return lasted >= (STEADY_SECONDS if well else RESET_SECONDS)


def _ran_long(end: Manifest) -> bool:
    started, finished = moment(end, "startedAt"), moment(end, "finishedAt")
    return started is not None and finished is not None and (finished - started).total_seconds() >= RESET_SECONDS


def _of_loop(container: Container, end: Manifest, home: Home) -> Condition:
    """A loop is named by its ends where they tell why."""
    reason = text(end, "reason")
    fault = ENDS[reason] if reason in _LASTING_ENDS else _CRASH
    words = f"{container.restarts} restarts; last {_ending(end)}" if end else f"{container.restarts} restarts"
    return _condition(fault, container, home, words=words, since=moment(end, "finishedAt"))


def _ending(end: Manifest) -> str:
    """`ended with exit code 137, SIGKILL (OOMKilled): message`."""
    code = number(end, "exitCode")
    meaning = f", {_EXIT_CODES[code]}" if code in _EXIT_CODES else ""
    reason = f" ({text(end, 'reason')})" if text(end, "reason") else ""
    message = f": {text(end, 'message')}" if text(end, "message") else ""
    return f"ended with exit code {code}{meaning}{reason}{message}"


def _condition(
    fault: Fault,
    container: Container,
    home: Home,
    *,
    words: str,
    since: datetime | None = None,
    age_seconds: float | None = None,
    causes: tuple[str, ...] = (),
) -> Condition:
    image = f" {container.image}" if fault.blames_image and container.image else ""
    blamed = (
        *causes,
        image_key(container.image) if fault.blames_image else "",
        node_key(home.node) if fault.blames_node else "",
    )
    return Condition(
        name=fault.name,
        about=home.ref,
        container=container.name,
        severity=Severity.INFO if container.role is Role.EPHEMERAL else fault.severity,
        summary=sentence(f"{container.title}{image}: {fault.says}", words),
        since=since,
        age_seconds=fault.age_seconds if age_seconds is None else age_seconds,
        soak_seconds=fault.soak_seconds,
        causes=keys(blamed),
    )
