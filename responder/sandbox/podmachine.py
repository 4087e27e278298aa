"""The life of one pod on a node, without I/O: told the time and the referenced objects, it says what happened.

Decides: the order in which containers start, what each failure does to a container's state, when it is tried again,
probe verdicts, and the events on the way. Leaves fetching, patching and sleeping to `podworker`.

All times are simulated seconds; `Calendar` turns them into dates. Back-off as in the kubelet: a container that ends is
restarted at once the first time, then after 10 s doubling to 5 min, reset by 10 min of running; pulls likewise.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from responder.sandbox import podstatus
from responder.sandbox.containerconfig import (
    ConfigProblem,
    Objects,
    Place,
    mount_problems,
    pod_title,
    surroundings,
)
from responder.sandbox.containerrecord import Container, PodEvent, go_duration, next_backoff, stamp
from responder.sandbox.images import (
    Catalogue,
    InvalidReference,
    KnownImage,
    PullFailure,
    Reference,
    parse_reference,
)
from responder.sandbox.podstatus import (
    ContainerKind,
    ContainerView,
    PodView,
    Running,
    Terminated,
    Waiting,
)
from responder.sandbox.probes import ProbeKind, ProbeTimer, probe, timers
from responder.sandbox.process import Ended, Process, Said, StartFailure

Json = dict[str, Any]
Calendar = Callable[[float], datetime]
_FORGIVEN_AFTER: Final = 600.0
_CONFIG_RETRY: Final = 10.0
_FIRST_MOUNT_RETRY: Final = 0.5
_LONGEST_MOUNT_RETRY: Final = 122.0
_SHOWN: Final = 1.0
"""How long a fresh failure is visible as itself before it becomes a back-off."""
_MESSAGE_BYTES: Final = 4096
_FALLBACK_LINES: Final = 80
_FALLBACK_BYTES: Final = 2048
_NEVER_STARTED: Final = "1970-01-01T00:00:00Z"


class PodMachine:
    def __init__(
        self, pod: Json, *, catalogue: Catalogue, place: Place, calendar: Calendar, cache: set[str], now: float
    ) -> None:
        """`cache` holds the canonical names of the images that are on the node; it is shared by the node's pods."""
        self.pod = pod
        self._catalogue = catalogue
        self._place = place
        self._calendar = calendar
        self._cache = cache
        self._born = now
        self._mounted = False
        self._mount_at = now
        self._mount_delay = _FIRST_MOUNT_RETRY
        self._events: list[PodEvent] = []
        self.containers = tuple(self._initial())

    def _initial(self) -> Iterator[Container]:
        spec = self.pod["spec"]
        waits = bool(spec.get("initContainers"))
        for container in spec.get("initContainers") or ():
            sidecar = container.get("restartPolicy") == "Always"
            kind = ContainerKind.SIDECAR if sidecar else ContainerKind.INIT
            yield Container(spec=container, kind=kind, state=Waiting(reason="PodInitializing"), retry_at=self._born)
        reason = "PodInitializing" if waits else "ContainerCreating"
        for container in spec["containers"]:
            yield Container(spec=container, kind=ContainerKind.MAIN, state=Waiting(reason=reason), retry_at=self._born)

    def update(self, pod: Json, now: float) -> None:
        """A newer version of the pod's object; of a running pod's spec only images can change."""
        self.pod = pod
        spec = pod["spec"]
        latest = {c["name"]: c for c in (*(spec.get("initContainers") or ()), *spec["containers"])}
        for container in self.containers:
            changed = latest[container.name]["image"] != container.spec["image"]
            container.spec = latest[container.name]
            if not changed:
                continue
            if container.running and container.process is not None:
                text = f"Container {container.name} definition changed, will be restarted"
                self._emit(container, "Killing", text)
                self._finish(container, container.process.stop(now), now)
            if not container.completed:
                container.retry_at, container.turns_at = now, math.inf
                container.pull_delay = 0.0

    def needs_objects(self, now: float) -> bool:
        """Whether `sync` is about to mount or start something and so has to know the referenced objects."""
        return now >= self._mount_at if not self._mounted else any(True for _ in self._due(now))

    def sync(self, now: float, objects: Objects | None) -> None:
        """Brings the pod to `now`. Without `objects` nothing is mounted or started, only what runs goes on."""
        if objects is not None and not self._mounted and now >= self._mount_at:
            self._mount(now, objects)
        for container in self.containers:
            self._advance(container, now)
        if objects is not None and self._mounted:
            for container in self._due(now):
                self._attempt(container, now, objects)

    def _mount(self, now: float, objects: Objects) -> None:
        problems = mount_problems(self.pod, objects)
        for message in problems:
            self._events.append(PodEvent(reason="FailedMount", message=message, warning=True))
        if problems:
            self._mount_at = now + self._mount_delay
            self._mount_delay = min(self._mount_delay * 2, _LONGEST_MOUNT_RETRY)
        self._mounted = not problems

    def _due(self, now: float) -> Iterator[Container]:
        """Containers that may start and whose time has come: init containers one by one, then the others at once."""
        yield from (c for c in self._startable() if not c.running and c.retry_at <= now)

    def _startable(self) -> Iterator[Container]:
        for container in self.containers:
            yield container
            if container.kind is ContainerKind.INIT and not container.completed:
                return
            if container.kind is ContainerKind.SIDECAR and not container.started:
                return

    def _advance(self, container: Container, now: float) -> None:
        if now >= container.turns_at and container.turns_to is not None:
            self._back_off(container, container.turns_to)
        process = container.process
        if process is None or not container.running:
            return
        self._write(container, process.advance(now))
        if process.ended is not None:
            self._finish(container, process.ended, now)
        else:
            self._probe(container, process, now)

    def _write(self, container: Container, said: tuple[Said, ...]) -> None:
        for entry in said:
            at = self._calendar(entry.at)
            prefix = at.strftime(entry.line.dated) if entry.line.dated else ""
            container.log.write(at, prefix + entry.line.text)

    def _back_off(self, container: Container, to: Waiting) -> None:
        self._keep_last(container)
        container.state, container.turns_at, container.turns_to = to, math.inf, None
        if to.reason == "ImagePullBackOff":
            self._emit(container, "BackOff", f'Back-off pulling image "{container.spec["image"]}"')
            self._emit(container, "Failed", "Error: ImagePullBackOff", warning=True)
        else:
            title = f"{container.name} in pod {pod_title(self.pod)}"
            self._emit(container, "BackOff", f"Back-off restarting failed container {title}", warning=True)

    def _attempt(self, container: Container, now: float, objects: Objects) -> None:
        container.turns_at = math.inf
        known = self._image(container, now)
        if known is None:
            return
        container.image, container.pull_delay = known, 0.0
        try:
            around = surroundings(self.pod, container.spec, known.model, objects, self._place)
        except ConfigProblem as problem:
            self._refuse(container, Waiting(reason="CreateContainerConfigError", message=str(problem)), now)
            return
        try:
            process = Process(around, started=now)
        except StartFailure as failure:
            self._start_failed(container, str(failure), now)
            return
        self._begin(container)
        self._emit(container, "Started", f"Started container {container.name}")
        container.process = process
        container.state = Running(started_at=stamp(self._calendar(now)))
        container.probes = timers(container.spec, now)
        container.started = ProbeKind.STARTUP not in container.probes
        container.ready = container.started and ProbeKind.READINESS not in container.probes
        self._advance(container, now)

    def _begin(self, container: Container) -> None:
        if container.created:
            container.log.rotate()
        if isinstance(container.state, Terminated):
            container.last = container.state
        container.created += 1
        container.retry_at = math.inf
        self._emit(container, "Created", f"Created container: {container.name}")

    def _image(self, container: Container, now: float) -> KnownImage | None:
        text = container.spec["image"]
        try:
            reference = parse_reference(text)
        except InvalidReference as error:
            named = f'Failed to apply default image tag "{text}": couldn\'t parse image name "{text}": {error}'
            self._emit(container, "InspectFailed", named, warning=True)
            self._refuse(container, Waiting(reason="InvalidImageName", message=named), now)
            return None
        policy = container.spec.get("imagePullPolicy") or _default_policy(reference)
        present = reference.canonical in self._cache
        if policy == "Never" and not present:
            named = f'Container image "{text}" is not present with pull policy of Never'
            self._emit(container, "ErrImageNeverPull", named, warning=True)
            self._refuse(container, Waiting(reason="ErrImageNeverPull", message=named), now)
            return None
        return self._pull(container, reference, now, present=present and policy != "Always")

    def _pull(self, container: Container, reference: Reference, now: float, *, present: bool) -> KnownImage | None:
        text = container.spec["image"]
        if not present:
            self._emit(container, "Pulling", f'Pulling image "{text}"')
        secret = bool(self.pod["spec"].get("imagePullSecrets"))
        match self._catalogue.pull(reference, with_secret=secret):
            case KnownImage() as known:
                self._cache.add(reference.canonical)
                took = "1.204s (1.204s including waiting)"
                pulled = f'Successfully pulled image "{text}" in {took}. Image size: {known.model.size} bytes.'
                already = f'Container image "{text}" already present on machine'
                self._emit(container, "Pulled", already if present else pulled)
                return known
            case PullFailure(message=message):
                self._pull_failed(container, message, now)
                return None

    def _pull_failed(self, container: Container, message: str, now: float) -> None:
        text = container.spec["image"]
        self._emit(container, "Failed", f'Failed to pull image "{text}": {message}', warning=True)
        self._emit(container, "Failed", "Error: ErrImagePull", warning=True)
        self._keep_last(container)
        container.state = Waiting(reason="ErrImagePull", message=message)
        container.pull_delay = next_backoff(container.pull_delay)
        container.retry_at = now + container.pull_delay
        container.turns_at = now + _SHOWN
        container.turns_to = Waiting(
            reason="ImagePullBackOff", message=f'Back-off pulling image "{text}": ErrImagePull: {message}'
        )

    def _refuse(self, container: Container, waiting: Waiting, now: float) -> None:
        """The kubelet itself cannot make the container; it looks again at its next round."""
        configuration = waiting.reason in ("CreateContainerConfigError", "CreateContainerError")
        text = waiting.message if configuration else waiting.reason
        self._emit(container, "Failed", f"Error: {text}", warning=True)
        self._keep_last(container)
        container.state = waiting
        container.retry_at = now + _CONFIG_RETRY

    def _keep_last(self, container: Container) -> None:
        if isinstance(container.state, Terminated):
            container.last = container.state

    def _start_failed(self, container: Container, message: str, now: float) -> None:
        if message.startswith("failed to generate container spec"):
            self._refuse(container, Waiting(reason="CreateContainerError", message=message), now)
            return
        self._begin(container)
        self._emit(container, "Failed", f"Error: {message}", warning=True)
        container.last = Terminated(
            exit_code=128,
            reason="StartError",
            message=message,
            started_at=_NEVER_STARTED,
            finished_at=stamp(self._calendar(now)),
            container_id=self._container_id(container),
        )
        container.process = None
        if self._restarts(container, 128):
            container.state = Waiting(reason="RunContainerError", message=message)
            self._schedule_restart(container, now, ran=0.0)
        else:
            container.state, container.last, container.retry_at = container.last, None, math.inf

    def _finish(self, container: Container, ended: Ended, now: float) -> None:
        process = container.process
        assert process is not None
        reason = "OOMKilled" if ended.out_of_memory else "Completed" if ended.exit_code == 0 else "Error"
        container.state = Terminated(
            exit_code=ended.exit_code,
            reason=reason,
            message=self._termination_message(container, ended),
            started_at=stamp(self._calendar(process.started)),
            finished_at=stamp(self._calendar(ended.at)),
            container_id=self._container_id(container),
        )
        container.started = container.ready = False
        container.probes = {}
        if self._restarts(container, ended.exit_code):
            self._schedule_restart(container, now, ran=ended.at - process.started)
        else:
            container.retry_at = math.inf

    def _termination_message(self, container: Container, ended: Ended) -> str:
        assert container.process is not None
        path = container.spec.get("terminationMessagePath") or "/dev/termination-log"
        written = container.process.box.created.get(path, "")
        falls_back = container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not written and falls_back and ended.exit_code != 0:
            return container.log.tail(_FALLBACK_LINES, _FALLBACK_BYTES)
        return written[:_MESSAGE_BYTES]

    def _restarts(self, container: Container, exit_code: int) -> bool:
        policy = self.pod["spec"].get("restartPolicy", "Always")
        if container.kind is ContainerKind.SIDECAR:
            return True
        if container.kind is ContainerKind.INIT:
            return exit_code != 0 and policy != "Never"
        return policy == "Always" or (policy == "OnFailure" and exit_code != 0)

    def _schedule_restart(self, container: Container, now: float, *, ran: float) -> None:
        if ran >= _FORGIVEN_AFTER:
            container.crash_delay = 0.0
        delay = container.crash_delay
        container.crash_delay = next_backoff(delay)
        container.retry_at = now + max(delay, _SHOWN)
        container.turns_at = now + _SHOWN if delay else math.inf
        where = f"container={container.name} pod={pod_title(self.pod)}"
        message = f"back-off {go_duration(delay)} restarting failed {where}"
        container.turns_to = Waiting(reason="CrashLoopBackOff", message=message)

    def _probe(self, container: Container, process: Process, now: float) -> None:
        for kind, timer in container.probes.items():
            started = container.started or kind is ProbeKind.STARTUP
            if now < timer.next_at or not started or (kind is ProbeKind.STARTUP and container.started):
                continue
            answer = probe(kind, timer.spec, container.spec, process, self._place.pod_ip)
            timer.record(answer, now)
            if not answer.ok:
                self._emit(container, "Unhealthy", answer.message, warning=True)
            if kind is not ProbeKind.READINESS and timer.exhausted:
                self._kill_unhealthy(container, process, kind, now)
                return
        self._judge(container)

    def _judge(self, container: Container) -> None:
        startup = container.probes.get(ProbeKind.STARTUP)
        container.started = startup is None or startup.passed
        readiness = container.probes.get(ProbeKind.READINESS)
        container.ready = container.started and (readiness is None or readiness.passed)

    def _kill_unhealthy(self, container: Container, process: Process, kind: ProbeKind, now: float) -> None:
        text = f"Container {container.name} failed {kind.value.lower()} probe, will be restarted"
        self._emit(container, "Killing", text)
        self._finish(container, process.stop(now), now)

    def stop(self, now: float) -> None:
        """The pod is being deleted."""
        for container in self.containers:
            container.retry_at = container.turns_at = math.inf
            if container.running and container.process is not None:
                self._emit(container, "Killing", f"Stopping container {container.name}")
                self._finish(container, container.process.stop(now), now)
                container.retry_at = container.turns_at = math.inf

    def next_wake(self) -> float:
        """The time of the next thing that happens by itself; infinity when nothing will."""
        if not self._mounted:
            return self._mount_at
        times = [container.turns_at for container in self.containers]
        times += [container.retry_at for container in self._startable() if not container.running]
        for container in self.containers:
            if container.running and container.process is not None:
                times.append(container.process.next_due)
                times += [timer.next_at for timer in container.probes.values() if self._probing(container, timer)]
        return min(times)

    def _probing(self, container: Container, timer: ProbeTimer) -> bool:
        return container.started != (timer.kind is ProbeKind.STARTUP)

    def take_events(self) -> tuple[PodEvent, ...]:
        events, self._events = tuple(self._events), []
        return events

    def status(self, previous: tuple[Json, ...], now: float) -> Json:
        """The pod's status; `previous` are the conditions it has."""
        view = PodView(
            restart_policy=self.pod["spec"].get("restartPolicy", "Always"),
            containers=tuple(self._view(container) for container in self.containers),
            start_time=stamp(self._calendar(self._born)),
            sandbox_ready=self._mounted,
            pod_ip=self._place.pod_ip if self._mounted else "",
            host_ip=self._place.host_ip,
        )
        return podstatus.render(view, previous, stamp(self._calendar(now)))

    def _view(self, container: Container) -> ContainerView:
        return ContainerView(
            name=container.name,
            image=self._shown_image(container),
            kind=container.kind,
            state=container.state,
            last=container.last,
            restarts=max(0, container.created - 1),
            ready=container.completed if container.kind is ContainerKind.INIT else container.ready,
            started=container.started,
            image_id=container.image.image_id if container.image else "",
            container_id=self._container_id(container) if container.created else "",
        )

    def _shown_image(self, container: Container) -> str:
        """The runtime's full name once it has the image, the spec's text before."""
        if container.image is None or not container.created:
            return str(container.spec["image"])
        return parse_reference(container.spec["image"]).canonical

    def _container_id(self, container: Container) -> str:
        seed = f"{pod_title(self.pod)}/{container.name}/{container.created}"
        return "containerd://" + hashlib.sha256(seed.encode()).hexdigest()

    def _emit(self, container: Container, reason: str, message: str, *, warning: bool = False) -> None:
        path = container.field_path
        self._events.append(PodEvent(reason=reason, message=message, warning=warning, field_path=path))


def _default_policy(reference: Reference) -> str:
    return "Always" if reference.tag == "latest" and not reference.digest else "IfNotPresent"
