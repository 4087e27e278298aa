"""One consistent look at an incident's root object and what explains it. Reading it is `analyzer.collect`'s work.

Detectors and the verifier decide on a snapshot alone, so that the same answer can be had again from the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from responder.domain.investigation import Unchecked
from responder.domain.manifest import LiveObject
from responder.domain.refs import ObjectRef
from responder.domain.versions import ObjectVersion
from responder.domain.workload import EventRecord, Pod, Revision, Workload


@dataclass(frozen=True, kw_only=True)
class LogExcerpt:
    """The tail of one container's log. Redacted."""

    pod: ObjectRef
    container: str
    previous: bool
    text: str
    truncated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """Addresses of a Service, over all its EndpointSlices."""

    ready: int = 0
    not_ready: int = 0


@dataclass(frozen=True, kw_only=True)
class ServiceView:
    """A Service whose selector picks the workload's pods."""

    ref: ObjectRef
    ports: Mapping[int, int | str] = field(default_factory=dict)
    """Service port -> target port, number or name."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    taken_at: datetime
    root: ObjectRef
    gone: bool = False
    """The root object does not exist any more."""
    workload: Workload | None = None
    """None for bare pods, Jobs and other roots."""
    live: LiveObject | None = field(default=None, repr=False)
    """The root object itself."""
    pods: tuple[Pod, ...] = ()
    """Of the root object, newest first."""
    revisions: tuple[Revision, ...] = ()
    """Newest first."""
    events: tuple[EventRecord, ...] = ()
    """About the root, its ReplicaSets and its pods, newest first."""
    logs: tuple[LogExcerpt, ...] = ()
    config_maps: Mapping[str, tuple[str, ...]] | None = None
    """Names in the namespace -> their keys; None where they may not be read."""
    secrets_in_use: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Secrets are never read: names (and keys) that ready pods of the namespace refer to, so they must exist."""
    namespace_labels: Mapping[str, str] | None = None
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)
    healthy_images: Mapping[str, ObjectRef] = field(default_factory=dict)
    """Image references that a ready pod runs now -> that pod. Of all namespaces that may be read."""
    services: tuple[ServiceView, ...] = ()
    endpoints: Endpoints | None = None
    """Of the root, where it is a Service and they may be read."""
    changes: tuple[ObjectVersion, ...] = ()
    """Recorded changes that may explain, newest first. Only the look that an investigation is made of has them."""
    unchecked: tuple[Unchecked, ...] = ()
    """What could not be read, and why. Absence from the snapshot proves nothing for these."""

    @property
    def pod_security(self) -> str:
        """The namespace's enforced Pod Security level: privileged, baseline or restricted; '' when unknown."""
        if self.namespace_labels is None:
            return ""
        return self.namespace_labels.get("pod-security.kubernetes.io/enforce", "privileged")

    @property
    def current_pods(self) -> tuple[Pod, ...]:
        """Pods of the current revision that are not being deleted; all of them where there are no revisions."""
        hashes = {revision.hash for revision in self.revisions if revision.current}
        living = tuple(pod for pod in self.pods if pod.deleted_at is None)
        return tuple(pod for pod in living if pod.revision_hash in hashes) if hashes else living
