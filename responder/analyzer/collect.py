"""One look at an incident's root object and at what explains it.

Decides what is worth reading and how much of it; `Snapshot` says what came back. A read that fails becomes an
`Unchecked` with its reason, never silence: what was not seen must not look like what is not there. Only the root object
itself has to be readable. Secrets are never read, values of ConfigMaps are not kept, logs are redacted at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from responder.analyzer.history import revisions_of, with_service
from responder.analyzer.roots import resolve_root
from responder.cluster.protocol import Cluster
from responder.conditions.services import endpoints_in
from responder.domain.action import ReferenceKind
from responder.domain.errors import ClusterUnavailable, ObjectGone, PermanentError
from responder.domain.investigation import Unchecked
from responder.domain.manifest import LiveObject, controller_of, dig, items, mapping, number, text
from responder.domain.refs import WORKLOAD_KINDS, ObjectRef
from responder.domain.snapshot import Endpoints, LogExcerpt, ServiceView, Snapshot
from responder.domain.workload import (
    ContainerStatus,
    EventRecord,
    Pod,
    Revision,
    Workload,
    parse_event,
    parse_pod,
    parse_workload,
)
from responder.redact import cut, redact

__all__ = ["collect", "resolve_root"]

T = TypeVar("T")

LOG_LINES = 100
LOG_BYTES = 32 * 1024
MAX_LOG_PODS = 4
MAX_OTHER_LOG_PODS = 2
MAX_PODS = 100
MAX_EVENTS = 200
MAX_NAMESPACES = 50
MAX_IMAGES = 500
_EPOCH = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """The cluster through the eyes of one collection: reads that fail are noted."""

    cluster: Cluster
    hide: Callable[[str], str]
    unchecked: list[Unchecked] = field(default_factory=list)

    async def attempt(self, what: str, read: Awaitable[T], otherwise: T) -> T:
        try:
            return await read
        except (PermanentError, ClusterUnavailable) as exc:
            self.unchecked.append(Unchecked(what=what, why=f"{type(exc).__name__}: {self.hide(str(exc))}"))
            return otherwise

    async def list(self, kind: str, namespace: str, *, label_selector: str = "") -> tuple[LiveObject, ...] | None:
        """None where it may not or cannot be read now."""
        what = f"{kind} objects of namespace {namespace}"
        return await self.attempt(what, self.cluster.list(kind, namespace, label_selector=label_selector), None)


async def collect(
    cluster: Cluster,
    root: ObjectRef,
    *,
    now: datetime,
    namespaces: Collection[str],
    hide: Callable[[str], str] = redact,
) -> Snapshot:
    """`namespaces` are those whose ready pods may vouch for images; `hide` takes secrets out of texts.

    Raises:
        ClusterUnavailable, Forbidden: the root object itself could not be read.
    """
    try:
        live = await cluster.get(root)
    except ObjectGone:
        return Snapshot(taken_at=now, root=root, gone=True)
    look = _Look(cluster=cluster, hide=hide)
    workload = parse_workload(live) if live.ref.kind in WORKLOAD_KINDS else None
    if not live.ref.namespace:
        return Snapshot(taken_at=now, root=live.ref, live=live)
    own, around = await asyncio.gather(_own(look, live), _around(look, live, workload, namespaces))
    revisions = with_service(own.revisions, (parse_event(item.body) for item in around.events))
    logs = await _logs(look, own.pods, revisions)
    return Snapshot(
        taken_at=now,
        root=live.ref,
        workload=workload,
        live=live,
        pods=own.pods,
        revisions=revisions,
        events=_about(around.events, {live.ref, *own.owners, *(pod.ref for pod in own.pods)}),
        logs=logs,
        config_maps=around.config_maps,
        secrets_in_use=_secrets_in_use(around.neighbours),
        namespace_labels=mapping(around.namespace.body, "metadata", "labels") if around.namespace else None,
        namespace_annotations=mapping(around.namespace.body, "metadata", "annotations") if around.namespace else {},
        healthy_images=_healthy_images(around.neighbours),
        services=_services(around.services, own.pods, workload),
        endpoints=own.endpoints,
        unchecked=tuple(sorted(look.unchecked, key=lambda item: item.what)),
    )


@dataclass(frozen=True, kw_only=True)
class _Own:
    """What belongs to the root object."""

    pods: tuple[Pod, ...]
    revisions: tuple[Revision, ...] = ()
    owners: tuple[ObjectRef, ...] = ()
    """Objects between the root and its pods."""
    endpoints: Endpoints | None = None


@dataclass(frozen=True, kw_only=True)
class _Around:
    """What lives in the same namespace, and the ready pods of all that may be read."""

    events: tuple[LiveObject, ...]
    config_maps: Mapping[str, tuple[str, ...]] | None
    namespace: LiveObject | None
    services: tuple[LiveObject, ...]
    neighbours: tuple[Pod, ...]
    """Ready pods, those of the root's own namespace first."""


async def _own(look: _Look, live: LiveObject) -> _Own:
    match live.ref.kind:
        case "Pod":
            return _Own(pods=(parse_pod(live.body),))
        case "Deployment":
            return await _of_deployment(look, live)
        case "StatefulSet" | "DaemonSet":
            return await _of_set(look, live)
        case "CronJob":
            return await _of_cron_job(look, live)
        case "Service":
            return _Own(pods=(), endpoints=await _endpoints(look, live))
        case "ReplicaSet" | "Job":
            return _Own(pods=await _pods(look, live, {live.ref.uid}))
        case _:
            return _Own(pods=())


async def _of_deployment(look: _Look, live: LiveObject) -> _Own:
    listed, candidates = await asyncio.gather(
        look.list("ReplicaSet", live.ref.namespace, label_selector=_selector(live)),
        look.list("Pod", live.ref.namespace, label_selector=_selector(live)),
    )
    replica_sets = tuple(item for item in listed or () if _controlled_by(item, {live.ref.uid}))
    pods = _newest_first(candidates or (), {item.ref.uid for item in replica_sets})
    return _Own(
        pods=pods,
        revisions=revisions_of(live, replica_sets, pods),
        owners=tuple(item.ref for item in replica_sets),
    )


async def _of_set(look: _Look, live: LiveObject) -> _Own:
    listed, pods = await asyncio.gather(
        look.list("ControllerRevision", live.ref.namespace, label_selector=_selector(live)),
        _pods(look, live, {live.ref.uid}),
    )
    kept = tuple(item for item in listed or () if _controlled_by(item, {live.ref.uid}))
    return _Own(pods=pods, revisions=revisions_of(live, kept, pods))


async def _of_cron_job(look: _Look, live: LiveObject) -> _Own:
    listed, candidates = await asyncio.gather(
        look.list("Job", live.ref.namespace),
        look.list("Pod", live.ref.namespace, label_selector="batch.kubernetes.io/job-name"),
    )
    jobs = tuple(item for item in listed or () if _controlled_by(item, {live.ref.uid}))
    pods = _newest_first(candidates or (), {job.ref.uid for job in jobs})
    return _Own(pods=pods, owners=tuple(job.ref for job in jobs))


async def _endpoints(look: _Look, live: LiveObject) -> Endpoints | None:
    selector = f"kubernetes.io/service-name={live.ref.name}"
    slices = await look.list("EndpointSlice", live.ref.namespace, label_selector=selector)
    if slices is None:
        return None
    return endpoints_in(found.body for found in slices)


async def _pods(look: _Look, live: LiveObject, controllers: set[str]) -> tuple[Pod, ...]:
    listed = await look.list("Pod", live.ref.namespace, label_selector=_selector(live))
    return _newest_first(listed or (), controllers)


def _newest_first(listed: Iterable[LiveObject], controllers: set[str]) -> tuple[Pod, ...]:
    """Only pods that the controllers really own: labels can be put on any pod."""
    pods = [parse_pod(item.body) for item in listed if _controlled_by(item, controllers)]
    pods.sort(key=lambda pod: (pod.created_at or _EPOCH, pod.ref.name), reverse=True)
    return tuple(pods[:MAX_PODS])


def _controlled_by(item: LiveObject, controllers: set[str]) -> bool:
    owner = controller_of(item.body)
    return owner is not None and bool(owner.uid) and owner.uid in controllers


def _selector(live: LiveObject) -> str:
    """The object's own selector in the form of a query."""
    selector = mapping(live.body, "spec", "selector")
    terms = [f"{name}={value}" for name, value in sorted(mapping(selector, "matchLabels").items())]
    for expression in items(selector, "matchExpressions"):
        terms.append(_expression(text(expression, "key"), text(expression, "operator"), dig(expression, "values")))
    return ",".join(term for term in terms if term)


def _expression(key: str, operator: str, values: object) -> str:
    listed = ",".join(str(value) for value in values) if isinstance(values, Sequence) else ""
    match operator:
        case "In":
            return f"{key} in ({listed})"
        case "NotIn":
            return f"{key} notin ({listed})"
        case "DoesNotExist":
            return f"!{key}"
        case _:
            return key


async def _around(look: _Look, live: LiveObject, workload: Workload | None, namespaces: Collection[str]) -> _Around:
    home = live.ref.namespace
    others = [name for name in sorted(namespaces) if name != home][: MAX_NAMESPACES - 1]
    (events, config_maps, services, *pods), namespace = await asyncio.gather(
        asyncio.gather(
            look.list("Event", home),
            look.list("ConfigMap", home),
            look.list("Service", home),
            *(look.list("Pod", name) for name in (home, *others)),
        ),
        look.attempt(f"namespace {home}", _namespace(look.cluster, home), None),
    )
    return _Around(
        events=events or (),
        config_maps=None if config_maps is None else dict(map(_keys, config_maps)),
        namespace=namespace,
        services=services or (),
        neighbours=tuple(pod for listed in pods for pod in _ready(listed or ())),
    )


async def _namespace(cluster: Cluster, name: str) -> LiveObject | None:
    return await cluster.get(ObjectRef(kind="Namespace", name=name))


def _keys(config_map: LiveObject) -> tuple[str, tuple[str, ...]]:
    keys = (*mapping(config_map.body, "data"), *mapping(config_map.body, "binaryData"))
    return config_map.ref.name, tuple(sorted(keys))


def _ready(listed: Iterable[LiveObject]) -> Iterator[Pod]:
    for item in listed:
        pod = parse_pod(item.body)
        if pod.ready and pod.deleted_at is None:
            yield pod


def _healthy_images(pods: Iterable[Pod]) -> dict[str, ObjectRef]:
    images: dict[str, ObjectRef] = {}
    for pod in pods:
        for container in pod.template.containers:
            status = pod.status(container.name)
            serves = status is not None and (status.ready or (container.init and not container.sidecar))
            if serves and container.image and len(images) < MAX_IMAGES:
                images.setdefault(container.image, pod.ref)
    return images


def _secrets_in_use(pods: Iterable[Pod]) -> dict[str, tuple[str, ...]]:
    """Of the root's namespace; an optional reference proves nothing."""
    found: dict[str, set[str]] = {}
    home = ""
    for pod in pods:
        home = home or pod.ref.namespace
        for reference in pod.template.references if pod.ref.namespace == home else ():
            if reference.kind is ReferenceKind.SECRET and not reference.optional:
                found.setdefault(reference.name, set()).update({reference.key} - {""})
    return {name: tuple(sorted(keys)) for name, keys in sorted(found.items())}


def _services(
    listed: Iterable[LiveObject], pods: tuple[Pod, ...], workload: Workload | None
) -> tuple[ServiceView, ...]:
    labels = workload.template.labels if workload is not None else pods[0].template.labels if pods else {}
    return tuple(_service(item) for item in listed if _picks(item, labels))


def _picks(service: LiveObject, labels: Mapping[str, str]) -> bool:
    selector = mapping(service.body, "spec", "selector")
    return bool(selector) and all(labels.get(name) == value for name, value in selector.items())


def _service(service: LiveObject) -> ServiceView:
    ports: dict[int, int | str] = {}
    for port in items(service.body, "spec", "ports"):
        target = dig(port, "targetPort")
        ports[number(port, "port")] = target if isinstance(target, int | str) else number(port, "port")
    return ServiceView(ref=service.ref, ports=ports)


def _about(listed: Iterable[LiveObject], subjects: set[ObjectRef]) -> tuple[EventRecord, ...]:
    uids = {subject.uid for subject in subjects}
    names = {subject.key for subject in subjects}
    events = [
        event
        for event in (parse_event(item.body) for item in listed)
        if (event.subject.uid in uids if event.subject.uid else event.subject.key in names)
    ]
    events.sort(key=lambda event: event.last_at or _EPOCH, reverse=True)
    return tuple(events[:MAX_EVENTS])


async def _logs(look: _Look, pods: tuple[Pod, ...], revisions: tuple[Revision, ...]) -> tuple[LogExcerpt, ...]:
    wanted = [
        (pod, status.name, previous)
        for pod in _worth_hearing(pods, revisions)
        for status in pod.statuses
        if _unhappy(pod, status)
        for previous in _instances(status)
    ]
    excerpts = await asyncio.gather(*(_log(look, pod, name, previous=previous) for pod, name, previous in wanted))
    return tuple(excerpt for excerpt in excerpts if excerpt is not None)


def _worth_hearing(pods: tuple[Pod, ...], revisions: tuple[Revision, ...]) -> tuple[Pod, ...]:
    """The newest unhappy pods of the current revision, and a few others: many pods of one fault say the same."""
    current = {revision.hash for revision in revisions if revision.current}
    unhappy = [pod for pod in pods if pod.deleted_at is None and any(_unhappy(pod, status) for status in pod.statuses)]
    first = [pod for pod in unhappy if not current or pod.revision_hash in current][:MAX_LOG_PODS]
    others = [pod for pod in unhappy if current and pod.revision_hash not in current][:MAX_OTHER_LOG_PODS]
    return (*first, *others)


def _unhappy(pod: Pod, status: ContainerStatus) -> bool:
    container = pod.template.container(status.name)
    if status.init and (container is None or not container.sidecar):
        return not (status.terminated is not None and status.terminated.exit_code == 0)
    return not status.ready or status.last_terminated is not None


def _instances(status: ContainerStatus) -> tuple[bool, ...]:
    """Which logs can exist: of the instance before (True), and of the one that runs or has just ended (False)."""
    instances: list[bool] = []
    if status.last_terminated is not None or status.restarts:
        instances.append(True)
    if status.running_since is not None or status.terminated is not None:
        instances.append(False)
    return tuple(instances)


async def _log(look: _Look, pod: Pod, container: str, *, previous: bool) -> LogExcerpt | None:
    which = "previous log" if previous else "log"
    read = look.cluster.logs(pod.ref, container, previous=previous, tail_lines=LOG_LINES, limit_bytes=LOG_BYTES)
    tail = await look.attempt(f"{which} of container {container} of {pod.ref}", read, None)
    if tail is None:
        return None
    kept, shortened = cut(look.hide(tail.text), LOG_BYTES)
    return LogExcerpt(
        pod=pod.ref, container=container, previous=previous, text=kept, truncated=tail.truncated or shortened
    )
