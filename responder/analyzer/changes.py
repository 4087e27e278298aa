"""Which recorded changes may explain an incident, and which of them touches a fault that was found. Pure.

A change explains where it is of the root object, of what its pods mount, name or run on, of what selects them, or of
what the namespace admits and limits. Secrets are not recorded: a change of one is never seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.domain.action import ReferenceKind
from responder.domain.manifest import Manifest, mapping, text
from responder.domain.refs import ObjectRef
from responder.domain.selector import picks
from responder.domain.snapshot import Snapshot
from responder.domain.versions import ObjectVersion, VersionEvent
from responder.domain.workload import PodTemplate

MAX_CHANGES = 20
WINDOW = timedelta(hours=24)
"""How long before the incident a change may lie to be weighed."""

NEAR = timedelta(hours=1)
"""How long before the incident a change of the object counts that does not touch the very field."""

LATE = timedelta(seconds=30)
"""What came later than this after the incident was opened did not cause it."""

_OF_NAMESPACE = ("ResourceQuota", "LimitRange", "Role", "RoleBinding")
"""Kinds that concern every pod of their namespace."""

_BY_SELECTOR = ("Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy")
"""Kinds that concern the pods that they pick."""

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "admission": ("labels", "securityContext", "hard", "limits", "serviceAccount"),
    "scheduling": ("nodeSelector", "affinity", "tolerations", "resources", "topologySpread", "taints", "unschedulable",
                   "hard", "volumeClaimTemplates", "labels"),
    "references": (".env", "volumes", "data", "valueFrom"),
    "image": (".image", "imagePullSecrets"),
    "permission": ("securityContext", "volume", ".mount", ".image"),
    "memory": ("resources", ".args", ".command", "data", ".env"),
    "probes": ("Probe", "ports", ".args", ".command"),
    "crash": (".image", ".args", ".command", ".env", "data", "volume"),
    "rollout": ("spec.",),
    "node": ("status.", "taints", "unschedulable"),
}  # fmt: skip
"""Family of a signature -> what the path of a field holds that can bring such a fault about."""


@dataclass(frozen=True, kw_only=True)
class Related:
    """Where to look for changes that may explain."""

    refs: tuple[ObjectRef, ...]
    """The root object, and what it and its pods name."""
    kinds: tuple[tuple[str, str], ...]
    """Kind and namespace: every object of it concerns the root, or may."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a claim says is wrong, and where: see `Finding`."""

    signature: str
    subject: ObjectRef
    container: str = ""
    about: str = ""

    @property
    def family(self) -> str:
        return self.signature.partition(".")[0]


def related(snapshot: Snapshot) -> Related:
    root = snapshot.root.without_uid()
    refs = [root, *_named(snapshot)]
    namespace = root.namespace
    kinds = tuple((kind, namespace) for kind in (*_OF_NAMESPACE, *_BY_SELECTOR)) if namespace else ()
    return Related(refs=tuple(dict.fromkeys(refs)), kinds=kinds)


def concerns(snapshot: Snapshot, kind: str, bodies: Sequence[Manifest]) -> bool:
    """Whether an object of a related kind has to do with the root; `bodies` are it now and before the change."""
    if kind not in _BY_SELECTOR or not bodies:
        return True
    return any(_picks(snapshot, kind, body) for body in bodies)


def chosen(direct: Iterable[ObjectVersion], wide: Iterable[ObjectVersion]) -> tuple[ObjectVersion, ...]:
    """At most `MAX_CHANGES`, newest first. Where there are more, those of the namespace at large stand back."""
    kept = list(_newest_first(direct))[:MAX_CHANGES]
    kept += [version for version in _newest_first(wide) if version not in kept][: MAX_CHANGES - len(kept)]
    return tuple(_newest_first(kept))


def culprit(snapshot: Snapshot, fault: Fault, *, opened_at: datetime) -> ObjectVersion | None:
    """The newest change that can have brought the fault about: one that touches its field, else its object."""
    own = related(snapshot).refs
    candidates = [
        version
        for version in _newest_first(snapshot.changes)
        if version.at <= opened_at + LATE and _decides(version, fault) and version.ref.without_uid() in own
    ]
    exact = next((version for version in candidates if _touches(version, fault)), None)
    near = (v for v in candidates if opened_at - v.at <= NEAR and v.ref.same_name(snapshot.root))
    return exact or next(near, None)


def _named(snapshot: Snapshot) -> Iterator[ObjectRef]:
    namespace = snapshot.root.namespace
    if namespace:
        yield ObjectRef(kind="Namespace", name=namespace)
    for template in _templates(snapshot):
        for reference in template.references:
            if reference.kind is ReferenceKind.CONFIG_MAP:
                yield ObjectRef(kind="ConfigMap", namespace=namespace, name=reference.name)
        for source in template.volumes.values():
            kind, _, name = source.partition("/")
            if kind == "persistentVolumeClaim" and name:
                yield ObjectRef(kind="PersistentVolumeClaim", namespace=namespace, name=name)
    if snapshot.live is not None and namespace:
        yield ObjectRef(kind="ServiceAccount", namespace=namespace, name=_service_account(snapshot.live.body))
    yield from (service.ref.without_uid() for service in snapshot.services)
    yield from (ObjectRef(kind="Node", name=pod.node) for pod in snapshot.pods if pod.node)


def _templates(snapshot: Snapshot) -> Iterator[PodTemplate]:
    if snapshot.workload is not None:
        yield snapshot.workload.template
    yield from (pod.template for pod in snapshot.pods)
    yield from (revision.template for revision in snapshot.revisions if revision.current)


def _service_account(body: Manifest) -> str:
    spec = mapping(body, "spec")
    pod_spec = mapping(spec, "template", "spec") or mapping(spec, "jobTemplate", "spec", "template", "spec") or spec
    return text(pod_spec, "serviceAccountName") or "default"


def _picks(snapshot: Snapshot, kind: str, body: Manifest) -> bool:
    spec = mapping(body, "spec")
    if kind == "HorizontalPodAutoscaler":
        target = mapping(spec, "scaleTargetRef")
        return (text(target, "kind"), text(target, "name")) == (snapshot.root.kind, snapshot.root.name)
    labels = next((template.labels for template in _templates(snapshot)), None)
    if labels is None:
        return True
    if kind == "Service":
        selector = mapping(spec, "selector")
        return bool(selector) and picks({"matchLabels": selector}, labels)
    selector = mapping(spec, "podSelector" if kind == "NetworkPolicy" else "selector")
    return picks(selector, labels)


def _decides(version: ObjectVersion, fault: Fault) -> bool:
    """A number of replicas that an autoscaler moved, or a label of the object itself, breaks no container."""
    if version.event is not VersionEvent.CHANGED or fault.family == "rollout":
        return True
    paths = [item.path for item in version.differences]
    return not paths or any(path != "spec.replicas" and not _is_label(version, path) for path in paths)


def _is_label(version: ObjectVersion, path: str) -> bool:
    return path.startswith("metadata.") and version.ref.kind not in ("Namespace", "Node")


def _touches(version: ObjectVersion, fault: Fault) -> bool:
    if fault.family == "references" and version.ref.kind in ("ConfigMap", "PersistentVolumeClaim"):
        return fault.about.partition("/")[0] == version.ref.name
    if version.event is not VersionEvent.CHANGED:
        return version.ref.same_name(fault.subject)
    words = _FIELDS.get(fault.family, ())
    return any(_is_of(item.path, fault.container, words) for item in version.differences)


def _is_of(path: str, container: str, words: tuple[str, ...]) -> bool:
    """A field of another container is none of this one's."""
    _, of_container, rest = path.partition("ontainers[")
    if of_container and container and rest.partition("]")[0] not in (container, "order"):
        return False
    return any(word in path for word in words) or (bool(of_container) and rest == f"{container}]")


def _newest_first(versions: Iterable[ObjectVersion]) -> list[ObjectVersion]:
    return sorted(versions, key=lambda version: (version.at, version.seq), reverse=True)
