"""The values the API server refuses, in its own words: metadata, workloads, Services; updates of what is immutable.

The pod template has a module of its own, `podvalidation`. Field names and JSON types are `schema`'s.
Source: https://github.com/kubernetes/kubernetes/tree/master/pkg/apis/core/validation and .../apps/validation
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from responder.sandbox import podvalidation
from responder.sandbox.failures import ApiFailure, Cause, invalid
from responder.sandbox.faults import duplicate, forbidden, invalid_value, required, unsupported
from responder.sandbox.objects import Object
from responder.sandbox.resources import Resource
from responder.sandbox.selectors import selector_predicate

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_ANNOTATIONS_LIMIT = 262144  # bytes, keys and values together
_DATA_LIMIT = 1048576  # bytes, ConfigMap and Secret
_RBAC_KINDS = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
_STATEFUL_SET_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def validate_create(resource: Resource, obj: Object) -> None:
    """Raises `ApiFailure` 422 with every fault."""
    _refuse(resource, obj, [*_metadata(resource, obj["metadata"]), *_kind_faults(obj)])


def validate_update(resource: Resource, obj: Object, old: Object) -> None:
    """Raises `ApiFailure` 422 with every fault, immutable fields included."""
    faults = [*_metadata(resource, obj["metadata"]), *_immutable_metadata(obj["metadata"], old["metadata"])]
    if resource.kind == "Pod":
        faults += podvalidation.update_faults(obj["spec"], old["spec"])
    else:
        faults += [*_kind_faults(obj), *_immutable(obj, old)]
    _refuse(resource, obj, faults)


def _refuse(resource: Resource, obj: Object, faults: list[Cause]) -> None:
    if faults:
        raise invalid(resource, obj["metadata"].get("name", ""), faults)


def _metadata(resource: Resource, metadata: Object) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if resource.kind not in _RBAC_KINDS and not (_SUBDOMAIN.match(name) and len(name) <= 253):
        yield invalid_value("metadata.name", name, _SUBDOMAIN_RULE)
    yield from label_faults(metadata.get("labels") or {}, "metadata.labels")
    size = sum(len(k.encode()) + len(v.encode()) for k, v in (metadata.get("annotations") or {}).items())
    if size > _ANNOTATIONS_LIMIT:
        yield Cause(
            reason="FieldValueTooLong",
            field="metadata.annotations",
            message=f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes",
        )


def label_faults(labels: Mapping[str, str], path: str) -> Iterator[Cause]:
    for value in labels.values():
        if not _LABEL_VALUE.match(value):
            yield invalid_value(path, value, _LABEL_VALUE_RULE)
        elif len(value) > 63:
            yield invalid_value(path, value, "must be no more than 63 bytes")


def _immutable_metadata(new: Object, old: Object) -> Iterator[Cause]:
    for key in ("name", "namespace", "uid", "creationTimestamp"):
        if new.get(key) != old.get(key):
            yield invalid_value(f"metadata.{key}", new.get(key), "field is immutable")


def _kind_faults(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    match obj["kind"]:
        case "Pod":
            yield from podvalidation.pod_faults(spec, "spec")
            yield from podvalidation.image_space_faults(spec)
        case "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet":
            yield from _workload_faults(obj["kind"], spec)
        case "Job":
            yield from _job_faults(spec, "spec")
        case "CronJob":
            yield from _cron_job_faults(spec)
        case _:
            yield from _other_faults(obj, spec)


def _other_faults(obj: Object, spec: Object) -> Iterator[Cause]:
    """Kinds that run nothing."""
    match obj["kind"]:
        case "Service":
            yield from _service_faults(spec)
        case "ConfigMap" | "Secret":
            yield from _data_faults(obj)
        case "PersistentVolumeClaim":
            yield from _claim_faults(spec)
        case "RoleBinding" | "ClusterRoleBinding" if not (obj.get("roleRef") or {}).get("name"):
            yield required("roleRef.name")
        case "Event":
            yield from _event_faults(obj)
        case "HorizontalPodAutoscaler":
            yield from _autoscaler_faults(spec)
        case "PodDisruptionBudget" if "minAvailable" in spec and "maxUnavailable" in spec:
            yield invalid_value("spec", spec, "minAvailable and maxUnavailable cannot be both set")
        case _:
            pass


def _non_negative(spec: Mapping[str, Any], path: str, *keys: str) -> Iterator[Cause]:
    for key in keys:
        if isinstance(spec.get(key), int) and spec[key] < 0:
            yield invalid_value(f"{path}.{key}", spec[key], "must be greater than or equal to 0")


def _workload_faults(kind: str, spec: Object) -> Iterator[Cause]:
    yield from _non_negative(
        spec, "spec", "replicas", "minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit"
    )
    template = spec.get("template") or {}
    selector = spec.get("selector")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid_value("spec.selector", selector, f"empty selector is invalid for {kind.lower()}")
    elif not selector_predicate(selector)(labels):
        yield invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from label_faults(labels, "spec.template.metadata.labels")
    if kind == "Deployment":
        yield from _strategy_faults(spec)
    template_spec = template.get("spec") or {}
    yield from podvalidation.pod_faults(_with_claims(template_spec, spec), "spec.template.spec")
    if template_spec.get("restartPolicy") != "Always":
        yield unsupported("spec.template.spec.restartPolicy", template_spec.get("restartPolicy"), ("Always",))


def _with_claims(template_spec: Object, spec: Object) -> Object:
    """The pod that a StatefulSet will make of its template: each claim template is a volume of its name."""
    names = [(claim.get("metadata") or {}).get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    if not names:
        return template_spec
    claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    return {**template_spec, "volumes": [*(template_spec.get("volumes") or ()), *claims]}


def _strategy_faults(spec: Object) -> Iterator[Cause]:
    deadline, ready = spec.get("progressDeadlineSeconds", 600), spec.get("minReadySeconds", 0)
    if 0 <= deadline <= ready:
        yield invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    strategy = spec["strategy"]
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        yield unsupported("spec.strategy.type", strategy["type"], ("Recreate", "RollingUpdate"))
    elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
        yield forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    rolling = strategy.get("rollingUpdate") or {}
    if all(str(rolling.get(key, "1")) in ("0", "0%") for key in ("maxSurge", "maxUnavailable")):
        yield invalid_value(
            "spec.strategy.rollingUpdate.maxUnavailable",
            rolling.get("maxUnavailable"),
            "may not be 0 when `maxSurge` is 0",
        )


def _job_faults(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from _non_negative(spec, path, "parallelism", "completions", "backoffLimit", "activeDeadlineSeconds")
    template_spec = (spec.get("template") or {}).get("spec") or {}
    yield from podvalidation.pod_faults(template_spec, f"{path}.template.spec")
    if template_spec.get("restartPolicy") == "Always":
        field = f"{path}.template.spec.restartPolicy"
        yield required(field, 'valid values: "OnFailure", "Never"')


def _cron_job_faults(spec: Object) -> Iterator[Cause]:
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        count = len(schedule.split())
        yield invalid_value("spec.schedule", schedule, f"expected exactly 5 fields, found {count}: [{schedule}]")
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        yield unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"))


def _service_faults(spec: Object) -> Iterator[Cause]:
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    names = [port.get("name", "") for port in ports]
    for i, port in enumerate(ports):
        path = f"spec.ports[{i}]"
        if not port.get("name") and len(ports) > 1:
            yield required(f"{path}.name")
        elif port.get("name") in names[:i]:
            yield duplicate(f"{path}.name", port["name"])
        yield from podvalidation.port_faults(port.get("port"), f"{path}.port")
        if isinstance(port.get("targetPort"), int):
            yield from podvalidation.port_faults(port["targetPort"], f"{path}.targetPort")


def _data_faults(obj: Object) -> Iterator[Cause]:
    size = sum(len(str(v)) for key in ("data", "binaryData") for v in (obj.get(key) or {}).values())
    if size > _DATA_LIMIT:
        yield Cause(reason="FieldValueTooLong", field="", message=f"Too long: may not be more than {_DATA_LIMIT} bytes")


def _event_faults(event: Object) -> Iterator[Cause]:
    about = (event.get("involvedObject") or {}).get("namespace", "")
    # Events about cluster-wide objects are kept in the default namespace.
    namespace = event["metadata"].get("namespace", "")
    if about != namespace and (about or namespace != "default"):
        yield invalid_value("involvedObject.namespace", about, "does not match event.namespace")


def _claim_faults(spec: Object) -> Iterator[Cause]:
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        yield required("spec.resources[storage]")


def _autoscaler_faults(spec: Object) -> Iterator[Cause]:
    lowest, highest = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if lowest < 1:
        yield invalid_value("spec.minReplicas", lowest, "must be greater than or equal to 1")
    if highest < 1:
        yield invalid_value("spec.maxReplicas", highest, "must be greater than 0")
    elif highest < lowest:
        yield invalid_value("spec.maxReplicas", highest, "must be greater than or equal to `minReplicas`")


def _immutable(obj: Object, old: Object) -> Iterator[Cause]:
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    match obj["kind"]:
        case "Deployment" | "ReplicaSet" | "DaemonSet":
            yield from _immutable_fields(new_spec, old_spec, "selector")
        case "StatefulSet":
            fixed = (new_spec.keys() | old_spec.keys()) - set(_STATEFUL_SET_MUTABLE)
            if any(new_spec.get(key) != old_spec.get(key) for key in fixed):
                allowed = ", ".join(f"'{key}'" for key in _STATEFUL_SET_MUTABLE[:-1])
                yield forbidden(
                    "spec",
                    "updates to statefulset spec for fields other than "
                    f"{allowed} and '{_STATEFUL_SET_MUTABLE[-1]}' are forbidden",
                )
        case "PersistentVolumeClaim":
            yield from _immutable_claim(new_spec, old_spec)
        case "Job":
            yield from _immutable_fields(new_spec, old_spec, "selector", "template", "completions")
        case "Service":
            yield from _immutable_fields(new_spec, old_spec, "clusterIP")
        case _:
            yield from _immutable_content(obj, old)


def _immutable_content(obj: Object, old: Object) -> Iterator[Cause]:
    """Kinds whose content stands beside `spec`."""
    match obj["kind"]:
        case "ConfigMap" | "Secret" if old.get("immutable"):
            for key in ("data", "binaryData"):
                if obj.get(key) != old.get(key):
                    yield forbidden(key, "field is immutable when `immutable` is set")
        case "RoleBinding" | "ClusterRoleBinding" if obj.get("roleRef") != old.get("roleRef"):
            yield invalid_value("roleRef", obj.get("roleRef"), "cannot change roleRef")
        case _:
            pass


def _immutable_claim(new: Object, old: Object) -> Iterator[Cause]:
    mutable = {"resources", "volumeAttributesClassName"} | (set() if old.get("volumeName") else {"volumeName"})
    if any(new.get(key) != old.get(key) for key in (new.keys() | old.keys()) - mutable):
        rule = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield forbidden("spec", rule)


def _immutable_fields(new: Object, old: Object, *keys: str) -> Iterator[Cause]:
    for key in keys:
        if new.get(key) != old.get(key):
            yield invalid_value(f"spec.{key}", new.get(key), "field is immutable")


def unnamed(resource: Resource) -> ApiFailure:
    """The refusal of a create request with neither name nor generateName."""
    return invalid(resource, "", [required("metadata.name", "name or generateName is required")])
