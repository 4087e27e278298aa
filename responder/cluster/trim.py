"""What is kept of an object: what conditions and the search for owners read, and nothing that could be secret.

Values of environment variables, contents of ConfigMaps and annotations stay out, so the cache needs no redaction and a
large cluster fits. The layout stays that of Kubernetes: who reads a trimmed object reads a whole one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeAlias

from responder.domain.manifest import Json, Manifest, flag, items, mapping
from responder.redact import redact

MESSAGE = 500  # characters kept of a message in a status
LAST_MESSAGE = 200  # ... of how a container ended the time before
EVENT_MESSAGE = 1000
MAX_LABELS = 256
"""The API server sets no limit: one object may bring a megabyte of them."""

_EVERY_POD_TOLERATES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

_Body: TypeAlias = dict[str, Json]

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "labels",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "generation",
)
_OWNER = ("apiVersion", "kind", "name", "uid", "controller")
_ANNOTATIONS = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "kubernetes.io/config.mirror",  # a pod that the kubelet made from a file
        "storageclass.kubernetes.io/is-default-class",
        "volume.beta.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/selected-node",
        "volume.kubernetes.io/storage-provisioner",
    }
)
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")


def trim(kind: str, raw: Manifest) -> Manifest:
    """A new object that shares what it keeps with `raw`. Of kinds that no condition reads only metadata is kept."""
    body: _Body = {"kind": kind, "metadata": _metadata(mapping(raw, "metadata"))}
    keep = _KINDS.get(kind)
    return {**body, **keep(raw)} if keep else body


def _metadata(metadata: Manifest) -> _Body:
    kept = _only(metadata, _METADATA)
    labels = mapping(metadata, "labels")
    if len(labels) > MAX_LABELS:
        kept["labels"] = dict(islice(labels.items(), MAX_LABELS))
    owners = [_only(owner, _OWNER) for owner in items(metadata, "ownerReferences") if flag(owner, "controller")]
    if owners:
        kept["ownerReferences"] = owners
    annotations = {key: value for key, value in mapping(metadata, "annotations").items() if key in _ANNOTATIONS}
    if annotations:
        kept["annotations"] = annotations
    return kept


# -- pods -----------------------------------------------------------------------------------------------------------


def _pod(raw: Manifest) -> _Body:
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    kept = _only(spec, ("nodeName", "nodeSelector", "schedulingGates", "restartPolicy"))
    if tolerations := [t for t in items(spec, "tolerations") if t.get("key") not in _EVERY_POD_TOLERATES]:
        kept["tolerations"] = tolerations
    kept |= _each(spec, ("containers", "initContainers"), _container)
    kept |= _each(spec, ("volumes",), _volume)
    reported = _cut(_only(status, ("phase", "reason", "message", "startTime")), MESSAGE)
    reported |= _each(status, ("conditions",), _condition)
    statuses = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return {"spec": kept, "status": reported | _each(status, statuses, _container_status)}


def _container(container: Manifest) -> _Body:
    kept = _only(container, ("name", "image", "restartPolicy"))
    return kept | _each(container, ("env",), _variable) | _each(container, ("envFrom",), _variables)


def _variable(variable: Manifest) -> _Body:
    """One that takes its value from elsewhere; a value itself never stays."""
    source = _only(mapping(variable, "valueFrom"), ("configMapKeyRef", "secretKeyRef"))
    return {"name": variable.get("name"), "valueFrom": source} if source else {}


def _variables(source: Manifest) -> _Body:
    return _only(source, ("configMapRef", "secretRef"))


def _volume(volume: Manifest) -> _Body:
    kept: _Body = {}
    for source, fields in (
        ("configMap", ("name", "optional")),
        ("secret", ("secretName", "optional")),
        ("persistentVolumeClaim", ("claimName",)),
    ):
        if named := _only(mapping(volume, source), fields):
            kept[source] = named
    parts = [_projection(part) for part in items(volume, "projected", "sources")]
    if found := [part for part in parts if part]:
        kept["projected"] = {"sources": found}
    return {"name": volume.get("name"), **kept} if kept else {}


def _projection(part: Manifest) -> _Body:
    # Every pod has kube-root-ca.crt, made by the cluster for it.
    named = {source: _only(mapping(part, source), ("name", "optional")) for source in ("configMap", "secret")}
    return {source: ref for source, ref in named.items() if ref and ref.get("name") != "kube-root-ca.crt"}


def _container_status(status: Manifest) -> _Body:
    kept = _only(status, ("name", "ready", "started", "restartCount"))
    if state := {key: _cut(value, MESSAGE) for key, value in _states(status, "state")}:
        kept["state"] = state
    last = {
        key: _cut(_only(value, ("reason", "exitCode", "signal", "finishedAt", "message")), LAST_MESSAGE)
        for key, value in _states(status, "lastState")
        if key == "terminated"
    }
    return kept | {"lastState": last} if last else kept


def _states(status: Manifest, which: str) -> Iterable[tuple[str, _Body]]:
    for key, value in mapping(status, which).items():
        if isinstance(value, Mapping):
            yield key, {name: entry for name, entry in value.items() if name != "containerID"}


# -- other kinds ----------------------------------------------------------------------------------------------------


def _workload(raw: Manifest) -> _Body:
    spec = mapping(raw, "spec")
    fields = ("replicas", "paused", "selector", "progressDeadlineSeconds", "minReadySeconds", "strategy")
    kept = _only(spec, (*fields, "updateStrategy", "serviceName"))
    containers = _each(mapping(spec, "template", "spec"), ("containers", "initContainers"), _named_image)
    labels = mapping(spec, "template", "metadata", "labels")
    if containers:
        kept["template"] = {"spec": containers, **({"metadata": {"labels": labels}} if labels else {})}
    return {"spec": kept, "status": _status(raw)}


def _named_image(container: Manifest) -> _Body:
    return _only(container, ("name", "image"))


def _service(raw: Manifest) -> _Body:
    fields = ("type", "selector", "ports", "clusterIP", "externalName", "publishNotReadyAddresses")
    return {
        "spec": _only(mapping(raw, "spec"), fields),
        "status": _only(mapping(raw, "status"), ("loadBalancer", "conditions")),
    }


def _slice(raw: Manifest) -> _Body:
    return {**_only(raw, ("addressType",)), **_each(raw, ("endpoints",), _endpoint)}


def _endpoint(endpoint: Manifest) -> _Body:
    kept: _Body = {"conditions": mapping(endpoint, "conditions")}
    if target := _only(mapping(endpoint, "targetRef"), ("kind", "name")):
        kept["targetRef"] = target
    return kept


def _node(raw: Manifest) -> _Body:
    status = mapping(raw, "status")
    return {
        "spec": _only(mapping(raw, "spec"), ("unschedulable", "taints")),
        "status": _each(status, ("conditions",), _condition),
    }


def _event(raw: Manifest) -> _Body:
    fields = ("type", "reason", "message", "involvedObject", "regarding", "count", "series", "firstTimestamp")
    more = ("lastTimestamp", "eventTime", "reportingComponent", "reportingInstance", "source", "action", "related")
    return _cut(_only(raw, (*fields, *more)), EVENT_MESSAGE)


def _status_only(raw: Manifest) -> _Body:
    return {"status": _status(raw)}


def _spec(*fields: str) -> Callable[[Manifest], _Body]:
    """These fields of the spec, and the status."""

    def keep(raw: Manifest) -> _Body:
        return {"spec": _only(mapping(raw, "spec"), fields), "status": _status(raw)}

    return keep


def _status(raw: Manifest) -> _Body:
    status = {key: value for key, value in mapping(raw, "status").items() if key != "uncountedTerminatedPods"}
    if "conditions" in status:
        status["conditions"] = [_condition(condition) for condition in items(status, "conditions")]
    return status


# -- parts ----------------------------------------------------------------------------------------------------------


def _condition(condition: Manifest) -> _Body:
    return _cut(_only(condition, _CONDITION), MESSAGE)


def _only(body: Manifest, fields: Iterable[str]) -> _Body:
    """Null counts as absent, as the API server sees it; an empty selector does not: it selects everything."""
    return {name: body[name] for name in fields if body.get(name) is not None}


def _each(body: Manifest, lists: Iterable[str], keep: Callable[[Manifest], _Body]) -> _Body:
    """The lists with what `keep` leaves of their objects; of an object of which nothing is left, nothing."""
    kept = {name: [entry for item in items(body, name) if (entry := keep(item))] for name in lists}
    return {name: entries for name, entries in kept.items() if entries}


def _cut(body: _Body, longest: int) -> _Body:
    message = body.get("message")
    if isinstance(message, str) and len(message) > longest:
        # Half a secret has no form any more by which it could be told.
        body["message"] = redact(message[: 4 * longest])[:longest] + "…"
    return body


_JOB = ("suspend", "backoffLimit", "activeDeadlineSeconds", "completions", "parallelism", "completionMode", "managedBy")
_CRON_JOB = ("schedule", "suspend", "timeZone", "startingDeadlineSeconds", "concurrencyPolicy")

_KINDS: Mapping[str, Callable[[Manifest], _Body]] = {
    "Certificate": _spec("secretName", "dnsNames", "renewBefore", "duration"),
    "CronJob": _spec(*_CRON_JOB),
    "DaemonSet": _workload,
    "Deployment": _workload,
    "EndpointSlice": _slice,
    "Event": _event,
    "HorizontalPodAutoscaler": _spec("scaleTargetRef", "minReplicas", "maxReplicas"),
    "Job": _spec(*_JOB),
    "Namespace": _status_only,
    "Node": _node,
    "PersistentVolumeClaim": _spec("storageClassName", "volumeName", "accessModes", "resources"),
    "Pod": _pod,
    "PodDisruptionBudget": _spec("selector", "minAvailable", "maxUnavailable"),
    "ReplicaSet": _workload,
    "ResourceQuota": _spec("hard"),
    "Service": _service,
    "StatefulSet": _workload,
}
