"""What the signatures reason about: one snapshot, seen from the containers that are not well.

A signature is a pure function `detect(case) -> Iterator[Claim]`. It reads the case, never the cluster, and what it
takes from foreign text is checked against the spec before it becomes part of an action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import cached_property

from responder.analyzer.heuristics.evidence import Exhibit, of_log, of_status
from responder.analyzer.heuristics.steady import calm_seconds, seconds_between
from responder.domain.action import Action
from responder.domain.manifest import dig
from responder.domain.refs import WORKLOAD_KINDS, ObjectRef
from responder.domain.snapshot import LogExcerpt, Snapshot
from responder.domain.workload import Container, ContainerStatus, EventRecord, Pod, PodTemplate, Revision, Terminated
from responder.patterns import last_lines

_NOT_STARTED = frozenset({"", "ContainerCreating", "PodInitializing"})
EVENT_LIFE_SECONDS = 3600.0
"""Events older than this are history; the API server's own default is to forget them after an hour."""


class Stage(IntEnum):
    """The order of a pod's life: what stands first keeps all the rest from happening."""

    ADMISSION = 0
    SCHEDULING = 1
    VOLUMES = 2
    SANDBOX = 3
    INIT = 4
    MAIN = 5
    ROLLOUT = 6


class Step(IntEnum):
    """The order of one container's life."""

    PULL = 0
    CONFIGURE = 1
    START = 2
    RUN = 3
    SERVE = 4


@dataclass(frozen=True, kw_only=True)
class Remedy:
    action: Action
    reason: str
    exhibits: tuple[Exhibit, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One signature's word on one container, or on the object."""

    signature: str
    stage: Stage
    index: int = 0
    """Of init containers: they run one after the other."""
    step: Step = Step.PULL
    subject: ObjectRef
    container: str = ""
    about: str = ""
    """Tells claims of one signature on one container apart: the missing name, the probe."""
    cause: str
    confidence: float
    exhibits: tuple[Exhibit, ...]
    remedies: tuple[Remedy, ...] = ()
    """Precise changes, best first. Going back a revision is the composer's to add, where `undo` allows it."""
    undo: bool = True
    """Whether going back to a ready revision can end this fault."""
    undo_first: bool = False
    fixable: bool = True
    symptom: bool = False
    """Says that something is wrong, not why."""
    general: bool = False
    """Holds only while no other signature explains the container."""

    @property
    def fault(self) -> str:
        """As `Finding.fault`."""
        return f"{self.signature}:{self.about}" if self.about else self.signature

    @property
    def position(self) -> tuple[int, int, int]:
        return self.stage, self.index, self.step


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One container that is not well now, or was not until a moment ago."""

    pod: Pod
    container: Container
    status: ContainerStatus
    index: int = 0

    @property
    def stage(self) -> Stage:
        return Stage.INIT if self.container.init else Stage.MAIN

    @property
    def ended(self) -> Terminated | None:
        """How the last instance that ended did so."""
        return self.status.terminated or self.status.last_terminated

    @property
    def crashed(self) -> bool:
        """The container has run and ended; a pull or a configuration that fails is no crash."""
        return self.ended is not None and not self.blocked_before_start

    @property
    def blocked_before_start(self) -> bool:
        return self.status.waiting_reason not in _NOT_STARTED and self.status.waiting_reason not in (
            "CrashLoopBackOff",
            "RunContainerError",
            "CreateContainerError",
        )

    @property
    def running(self) -> bool:
        return self.status.running_since is not None


@dataclass(frozen=True, kw_only=True)
class Case:
    snapshot: Snapshot
    alert_labels: Mapping[str, str] = field(default_factory=dict)
    opened_at: datetime | None = None
    """When the incident was; None where the look belongs to none."""

    @property
    def now(self) -> datetime:
        return self.snapshot.taken_at

    @property
    def root(self) -> ObjectRef:
        return self.snapshot.root

    @property
    def target(self) -> ObjectRef | None:
        """The workload whose template an action may change; bare pods and Jobs have an immutable one."""
        return self.root if self.snapshot.workload is not None and self.root.kind in WORKLOAD_KINDS else None

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """Living pods of the current revision; for a workload, those that have not ended for good."""
        pods = self.snapshot.current_pods
        if self.snapshot.workload is None:
            return pods
        return tuple(pod for pod in pods if pod.phase not in ("Failed", "Succeeded"))

    @property
    def template(self) -> PodTemplate | None:
        if self.snapshot.workload is not None:
            return self.snapshot.workload.template
        return self.snapshot.pods[0].template if self.snapshot.pods else None

    @cached_property
    def troubles(self) -> tuple[Trouble, ...]:
        return tuple(trouble for pod in self.pods for trouble in self._of_pod(pod))

    def _of_pod(self, pod: Pod) -> Iterator[Trouble]:
        for index, container in enumerate(pod.template.containers):
            status = pod.status(container.name)
            if status is not None and self._unwell(pod, container, status):
                yield Trouble(pod=pod, container=container, status=status, index=index if container.init else 0)

    def _unwell(self, pod: Pod, container: Container, status: ContainerStatus) -> bool:
        if status.waiting_reason not in _NOT_STARTED:
            return True
        if container.init and not container.sidecar:
            return self._init_unwell(status)
        if status.terminated is not None:
            return status.terminated.exit_code != 0 or self.snapshot.workload is not None
        if status.running_since is None:
            return status.last_terminated is not None
        return not status.ready or self._just_restarted(status)

    def _init_unwell(self, status: ContainerStatus) -> bool:
        ended = status.terminated or status.last_terminated
        finished_well = status.terminated is not None and status.terminated.exit_code == 0
        return ended is not None and ended.exit_code != 0 and not finished_well and not status.ready

    def _just_restarted(self, status: ContainerStatus) -> bool:
        if not status.restarts or status.last_terminated is None or status.running_since is None:
            return False
        return seconds_between(status.running_since, self.now) < calm_seconds(status)

    def sibling_ready(self, trouble: Trouble) -> Pod | None:
        """A ready pod of the same revision in which the same container is well: the template can't be all wrong."""
        unwell = {(other.pod.ref, other.container.name) for other in self.troubles}
        for pod in self.pods:
            if pod.ready and pod.ref != trouble.pod.ref and (pod.ref, trouble.container.name) not in unwell:
                return pod
        return None

    @cached_property
    def current(self) -> Revision | None:
        return next((revision for revision in self.snapshot.revisions if revision.current), None)

    @cached_property
    def earlier(self) -> tuple[Revision, ...]:
        """Revisions before the current one, newest first."""
        newest = self.current.number if self.current is not None else 0
        revisions = [r for r in self.snapshot.revisions if not r.current and (r.number < newest or not newest)]
        return tuple(sorted(revisions, key=lambda revision: revision.number, reverse=True))

    @cached_property
    def ready_before(self) -> Revision | None:
        """The newest earlier revision that serves right now; else the newest that did until it was replaced."""
        serving = next((revision for revision in self.earlier if revision.ready > 0), None)
        return serving or next((revision for revision in self.earlier if revision.has_served), None)

    def changed_since(self, revision: Revision, *keys: str) -> bool:
        """Whether the pod spec (or only `keys` of it) differs between the current revision and an earlier one."""
        now, then = self._spec(self.current), self._spec(revision)
        if keys:
            return any(dig(now, key) != dig(then, key) for key in keys)
        return bool(now != then)

    @staticmethod
    def _spec(revision: Revision | None) -> object:
        return dig(revision.raw_template, "spec") if revision is not None else None

    def events_of(self, pod: Pod, *reasons: str) -> tuple[EventRecord, ...]:
        return tuple(event for event in self.recent_events(*reasons) if _about(event.subject, pod.ref))

    def recent_events(self, *reasons: str) -> tuple[EventRecord, ...]:
        return tuple(
            event
            for event in self.snapshot.events
            if (not reasons or event.reason in reasons)
            and (event.last_at is None or seconds_between(event.last_at, self.now) <= EVENT_LIFE_SECONDS)
        )

    def log_of(self, trouble: Trouble) -> LogExcerpt | None:
        """The log of the instance that ended, where there is one; else of the one that runs."""
        logs = [
            excerpt
            for excerpt in self.snapshot.logs
            if _about(excerpt.pod, trouble.pod.ref) and excerpt.container == trouble.container.name
        ]
        ended_now = trouble.status.terminated is not None
        wanted_previous = trouble.status.last_terminated is not None and not ended_now
        ranked = sorted(logs, key=lambda excerpt: (excerpt.previous != wanted_previous, not excerpt.text.strip()))
        spoken = (excerpt for excerpt in ranked if excerpt.text.strip())
        return next(spoken, ranked[0] if ranked else None)

    def last_words(self, trouble: Trouble) -> tuple[str, ...]:
        """What the container said before it ended, oldest line first: log, then termination message."""
        excerpt = self.log_of(trouble)
        ended = trouble.ended
        message = ended.message if ended is not None else ""
        return (*last_lines(excerpt.text if excerpt else "", 100), *last_lines(message, 20))

    def exhibits_of(self, trouble: Trouble) -> tuple[Exhibit, ...]:
        """The container's state and log: what most claims about it rest on."""
        excerpt = self.log_of(trouble)
        return (of_status(trouble.pod, trouble.status), *((of_log(excerpt),) if excerpt is not None else ()))


def standing(revision: Revision) -> str:
    """`is ready` or what else is known of an earlier revision, to follow on `which`."""
    return "is ready" if revision.ready else "was well until it was replaced"


def _about(subject: ObjectRef, ref: ObjectRef) -> bool:
    if subject.uid and ref.uid:
        return subject.uid == ref.uid
    return subject.same_name(ref)
