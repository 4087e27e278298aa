"""Typed views of workloads and pods: what detectors, guard and verifier read.

Parsing is total: a field that is absent or of another shape becomes its empty value, because objects come from many
writers. Fields: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from responder.domain.action import ProbeKind, ReferenceKind
from responder.domain.manifest import (
    FieldOwner,
    Json,
    LiveObject,
    Manifest,
    controller_of,
    dig,
    flag,
    instant,
    items,
    mapping,
    number,
    ref_of,
    strings,
    text,
)
from responder.domain.refs import ObjectRef


@dataclass(frozen=True, kw_only=True)
class ConfigReference:
    """One place of a pod template that needs a ConfigMap or a Secret."""

    kind: ReferenceKind
    name: str
    key: str = ""
    """Empty: the whole object (envFrom, volume)."""
    optional: bool = False
    place: str
    """`env DATABASE_URL`, `envFrom` or `volume config`."""
    container: str = ""
    """Empty for volumes, which the pod has in common."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    kind: ProbeKind
    mechanism: str
    """httpGet, tcpSocket, exec or grpc."""
    path: str = ""
    port: int = 0
    """0 where the probe names a port by name that the container does not declare, or has none."""
    port_name: str = ""
    scheme: str = ""
    command: tuple[str, ...] = ()
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, kw_only=True)
class Container:
    name: str
    init: bool = False
    sidecar: bool = False
    """An init container with restartPolicy Always."""
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ports: Mapping[int, str] = field(default_factory=dict)
    """Container port -> its name, '' without."""
    env: Mapping[str, str | None] = field(default_factory=dict)
    """None: the value comes from a reference."""
    references: tuple[ConfigReference, ...] = ()
    probes: tuple[Probe, ...] = ()
    memory_limit: str = ""
    memory_request: str = ""
    cpu_limit: str = ""
    cpu_request: str = ""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Path -> volume name."""
    run_as_user: int | None = None
    """The container's own, else the pod's."""
    run_as_non_root: bool = False
    read_only_root: bool = False
    capabilities_added: tuple[str, ...] = ()

    def probe(self, kind: ProbeKind) -> Probe | None:
        return next((probe for probe in self.probes if probe.kind is kind), None)


@dataclass(frozen=True, kw_only=True)
class PodTemplate:
    containers: tuple[Container, ...]
    """Init containers first, in the order in which they run."""
    volumes: Mapping[str, str]
    """Volume name -> its source: `configMap/app-config`, `secret/tls`, `persistentVolumeClaim/data`, `emptyDir` ..."""
    references: tuple[ConfigReference, ...]
    """Of all containers and volumes."""
    labels: Mapping[str, str]

    def container(self, name: str) -> Container | None:
        return next((container for container in self.containers if container.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Condition:
    type: str
    status: str
    reason: str = ""
    message: str = ""
    at: datetime | None = None
    """lastTransitionTime."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet."""

    ref: ObjectRef
    resource_version: str
    generation: int
    observed_generation: int
    desired: int
    updated: int
    """Pods of the current revision."""
    ready: int
    available: int
    total: int
    paused: bool = False
    strategy: str = ""
    """RollingUpdate, Recreate or OnDelete."""
    progress_deadline_seconds: int = 600
    conditions: tuple[Condition, ...] = ()
    template: PodTemplate
    selector: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    owners: tuple[FieldOwner, ...] = ()

    @property
    def rolled_out(self) -> bool:
        """The controller has seen the spec, every replica is of it, ready and available, and no old one is left."""
        return (
            self.observed_generation >= self.generation
            and self.updated >= self.desired
            and self.ready >= self.desired
            and self.available >= self.desired
            and self.total <= self.desired
        )

    def condition(self, type_: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == type_), None)


@dataclass(frozen=True, kw_only=True)
class Terminated:
    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ContainerStatus:
    name: str
    init: bool = False
    image: str = ""
    image_id: str = ""
    ready: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    running_since: datetime | None = None
    terminated: Terminated | None = None
    """The state now."""
    last_terminated: Terminated | None = None
    """The instance before: evidence of the past."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    ref: ObjectRef
    phase: str
    reason: str = ""
    message: str = ""
    node: str = ""
    created_at: datetime | None = None
    deleted_at: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    statuses: tuple[ContainerStatus, ...] = ()
    """Init containers first."""
    template: PodTemplate
    controller: ObjectRef | None = None
    revision_hash: str = ""
    """pod-template-hash or controller-revision-hash."""
    mirror: bool = False
    """A static pod's image in the API: deleting it does nothing."""

    @property
    def ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.conditions)

    def status(self, container: str) -> ContainerStatus | None:
        return next((status for status in self.statuses if status.name == container), None)


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One entry of the rollout history: a ReplicaSet or a ControllerRevision."""

    ref: ObjectRef
    number: int
    hash: str = ""
    """What its pods carry as `revision_hash`."""
    current: bool
    """True for the revision that the workload asks for now."""
    ready: int = 0
    """Ready pods of it at this moment."""
    served_until: datetime | None = None
    """When the last pod of it that ran without a complaint was stopped, as events tell; None where none do so."""
    created_at: datetime | None = None
    template: PodTemplate
    raw_template: Json = field(repr=False)
    """The pod template as stored, for the undo."""

    @property
    def has_served(self) -> bool:
        return self.ready > 0 or self.served_until is not None


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """A Kubernetes Event, old and new form alike."""

    type: str
    reason: str
    message: str
    subject: ObjectRef
    count: int = 1
    first_at: datetime | None = None
    last_at: datetime | None = None
    component: str = ""


def parse_workload(live: LiveObject) -> Workload:
    body, kind = live.body, live.ref.kind
    spec, status = mapping(body, "spec"), mapping(body, "status")
    if kind == "DaemonSet":
        desired, total = number(status, "desiredNumberScheduled"), number(status, "currentNumberScheduled")
        updated, ready = number(status, "updatedNumberScheduled"), number(status, "numberReady")
        available = number(status, "numberAvailable")
    else:
        desired, total = number(spec, "replicas", default=1), number(status, "replicas")
        updated, ready = number(status, "updatedReplicas"), number(status, "readyReplicas")
        available = number(status, "availableReplicas")
    return Workload(
        ref=live.ref,
        resource_version=live.resource_version,
        generation=live.generation,
        observed_generation=number(status, "observedGeneration"),
        desired=desired,
        updated=updated,
        ready=ready,
        available=available,
        total=total,
        paused=flag(spec, "paused"),
        strategy=text(spec, "strategy", "type") or text(spec, "updateStrategy", "type"),
        progress_deadline_seconds=number(spec, "progressDeadlineSeconds", default=600),
        conditions=_conditions(status),
        template=parse_template(mapping(spec, "template")),
        selector=mapping(spec, "selector", "matchLabels"),
        labels=live.labels,
        annotations=live.annotations,
        created_at=instant(body, "metadata", "creationTimestamp"),
        owners=live.owners,
    )


def parse_pod(body: Manifest) -> Pod:
    labels = mapping(body, "metadata", "labels")
    status = mapping(body, "status")
    return Pod(
        ref=ref_of(body, kind="Pod"),
        phase=text(status, "phase"),
        reason=text(status, "reason"),
        message=text(status, "message"),
        node=text(body, "spec", "nodeName"),
        created_at=instant(body, "metadata", "creationTimestamp"),
        deleted_at=instant(body, "metadata", "deletionTimestamp"),
        conditions=_conditions(status),
        statuses=(
            *(_container_status(s, init=True) for s in items(status, "initContainerStatuses")),
            *(_container_status(s, init=False) for s in items(status, "containerStatuses")),
        ),
        template=parse_template({"metadata": dig(body, "metadata"), "spec": dig(body, "spec")}),
        controller=controller_of(body),
        revision_hash=text(labels, "pod-template-hash") or text(labels, "controller-revision-hash"),
        mirror="kubernetes.io/config.mirror" in mapping(body, "metadata", "annotations"),
    )


def parse_event(body: Manifest) -> EventRecord:
    """The new form keeps its times in `eventTime` and `series`, the old one in `firstTimestamp` and `lastTimestamp`."""
    involved = mapping(body, "involvedObject") or mapping(body, "regarding")
    first = (
        instant(body, "firstTimestamp") or instant(body, "eventTime") or instant(body, "metadata", "creationTimestamp")
    )
    last = instant(body, "series", "lastObservedTime") or instant(body, "lastTimestamp") or first
    return EventRecord(
        type=text(body, "type"),
        reason=text(body, "reason"),
        message=text(body, "message") or text(body, "note"),
        subject=ObjectRef(
            kind=text(involved, "kind"),
            namespace=text(involved, "namespace"),
            name=text(involved, "name"),
            uid=text(involved, "uid"),
        ),
        count=number(body, "series", "count") or number(body, "count", default=1) or 1,
        first_at=first,
        last_at=last,
        component=text(body, "source", "component") or text(body, "reportingComponent"),
    )


def parse_template(template: Manifest) -> PodTemplate:
    spec = mapping(template, "spec")
    pod_security = mapping(spec, "securityContext")
    containers = (
        *(_container(c, pod_security, init=True) for c in items(spec, "initContainers")),
        *(_container(c, pod_security, init=False) for c in items(spec, "containers")),
    )
    volumes = {text(volume, "name"): _volume_source(volume) for volume in items(spec, "volumes")}
    return PodTemplate(
        containers=containers,
        volumes=volumes,
        references=(*(ref for c in containers for ref in c.references), *_volume_references(spec)),
        labels=mapping(template, "metadata", "labels"),
    )


def _container(raw: Manifest, pod_security: Manifest, *, init: bool) -> Container:
    security = mapping(raw, "securityContext")
    ports = {number(port, "containerPort"): text(port, "name") for port in items(raw, "ports")}
    user = dig(security, "runAsUser")
    if not isinstance(user, int):
        user = dig(pod_security, "runAsUser")
    non_root = dig(security, "runAsNonRoot")
    return Container(
        name=text(raw, "name"),
        init=init,
        sidecar=init and text(raw, "restartPolicy") == "Always",
        image=text(raw, "image"),
        command=strings(raw, "command"),
        args=strings(raw, "args"),
        ports=ports,
        env={
            text(env, "name"): None if dig(env, "valueFrom") is not None else text(env, "value")
            for env in items(raw, "env")
        },
        references=tuple(_container_references(raw)),
        probes=tuple(
            _probe(kind, mapping(raw, kind.value), ports)
            for kind in ProbeKind
            if isinstance(dig(raw, kind.value), Mapping)
        ),
        memory_limit=_quantity(raw, "limits", "memory"),
        memory_request=_quantity(raw, "requests", "memory"),
        cpu_limit=_quantity(raw, "limits", "cpu"),
        cpu_request=_quantity(raw, "requests", "cpu"),
        mounts={text(mount, "mountPath"): text(mount, "name") for mount in items(raw, "volumeMounts")},
        run_as_user=user if isinstance(user, int) else None,
        run_as_non_root=bool(non_root) if non_root is not None else flag(pod_security, "runAsNonRoot"),
        read_only_root=flag(security, "readOnlyRootFilesystem"),
        capabilities_added=strings(security, "capabilities", "add"),
    )


def _quantity(raw: Manifest, section: str, resource: str) -> str:
    value = dig(raw, "resources", section, resource)
    return str(value) if isinstance(value, str | int | float) else ""


def _probe(kind: ProbeKind, raw: Manifest, ports: Mapping[int, str]) -> Probe:
    mechanism = next(
        (name for name in ("httpGet", "tcpSocket", "exec", "grpc") if isinstance(dig(raw, name), Mapping)), ""
    )
    port = dig(raw, mechanism, "port")
    named = port if isinstance(port, str) else ""
    by_name = {name: value for value, name in ports.items()}
    return Probe(
        kind=kind,
        mechanism=mechanism,
        path=text(raw, mechanism, "path"),
        port=port if isinstance(port, int) else by_name.get(named, 0),
        port_name=named,
        scheme=text(raw, mechanism, "scheme"),
        command=strings(raw, mechanism, "command"),
        initial_delay_seconds=number(raw, "initialDelaySeconds"),
        period_seconds=number(raw, "periodSeconds", default=10),
        timeout_seconds=number(raw, "timeoutSeconds", default=1),
        failure_threshold=number(raw, "failureThreshold", default=3),
    )


def _container_references(raw: Manifest) -> Iterator[ConfigReference]:
    container = text(raw, "name")
    for env in items(raw, "env"):
        for field_name, kind in (
            ("configMapKeyRef", ReferenceKind.CONFIG_MAP),
            ("secretKeyRef", ReferenceKind.SECRET),
        ):
            source = mapping(env, "valueFrom", field_name)
            if source:
                yield ConfigReference(
                    kind=kind,
                    name=text(source, "name"),
                    key=text(source, "key"),
                    optional=flag(source, "optional"),
                    place=f"env {text(env, 'name')}",
                    container=container,
                )
    for source in items(raw, "envFrom"):
        for field_name, kind in (
            ("configMapRef", ReferenceKind.CONFIG_MAP),
            ("secretRef", ReferenceKind.SECRET),
        ):
            reference = mapping(source, field_name)
            if reference:
                yield ConfigReference(
                    kind=kind,
                    name=text(reference, "name"),
                    optional=flag(reference, "optional"),
                    place="envFrom",
                    container=container,
                )


def _volume_references(spec: Manifest) -> Iterator[ConfigReference]:
    for volume in items(spec, "volumes"):
        place = f"volume {text(volume, 'name')}"
        sources = [volume, *items(volume, "projected", "sources")]
        for source in sources:
            for field_name, name_field, kind in (
                ("configMap", "name", ReferenceKind.CONFIG_MAP),
                ("secret", "secretName" if source is volume else "name", ReferenceKind.SECRET),
            ):
                reference = mapping(source, field_name)
                if not reference:
                    continue
                name, optional = text(reference, name_field), flag(reference, "optional")
                keys = [text(item, "key") for item in items(reference, "items")] or [""]
                for key in keys:
                    yield ConfigReference(kind=kind, name=name, key=key, optional=optional, place=place)


def _volume_source(volume: Manifest) -> str:
    for field_name, name_field in (
        ("configMap", "name"),
        ("secret", "secretName"),
        ("persistentVolumeClaim", "claimName"),
    ):
        source = mapping(volume, field_name)
        if source:
            return f"{field_name}/{text(source, name_field)}"
    return next((key for key in volume if key != "name"), "")


def _conditions(status: Manifest) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=text(raw, "type"),
            status=text(raw, "status"),
            reason=text(raw, "reason"),
            message=text(raw, "message"),
            at=instant(raw, "lastTransitionTime"),
        )
        for raw in items(status, "conditions")
    )


def _container_status(raw: Manifest, *, init: bool) -> ContainerStatus:
    return ContainerStatus(
        name=text(raw, "name"),
        init=init,
        image=text(raw, "image"),
        image_id=text(raw, "imageID"),
        ready=flag(raw, "ready"),
        restarts=number(raw, "restartCount"),
        waiting_reason=text(raw, "state", "waiting", "reason"),
        waiting_message=text(raw, "state", "waiting", "message"),
        running_since=instant(raw, "state", "running", "startedAt"),
        terminated=_terminated(mapping(raw, "state", "terminated")),
        last_terminated=_terminated(mapping(raw, "lastState", "terminated")),
    )


def _terminated(raw: Manifest) -> Terminated | None:
    if not raw:
        return None
    return Terminated(
        exit_code=number(raw, "exitCode"),
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        started_at=instant(raw, "startedAt"),
        finished_at=instant(raw, "finishedAt"),
    )
