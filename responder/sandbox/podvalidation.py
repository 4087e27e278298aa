"""What the API server refuses in a pod spec or pod template, and which fields of a running pod may change.

Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from responder.sandbox.failures import Cause
from responder.sandbox.faults import (
    duplicate,
    forbidden,
    invalid_value,
    required,
    unknown_reference,
    unsupported,
)
from responder.sandbox.objects import Object, clone
from responder.sandbox.quantity import parse_quantity

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_DNS_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', "
    "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_ENV_NAME = re.compile(r"[ -<>-~]+\Z")
_ENV_NAME_RULE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MUTABLE_POD = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_faults(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Every fault of one pod spec that has its defaults."""
    volumes = [volume.get("name", "") for volume in spec.get("volumes") or ()]
    yield from _name_faults(volumes, f"{path}.volumes")
    yield from _claim_faults(spec, path)
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    names: list[str] = []
    for key in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(key) or ()):
            where = f"{path}.{key}[{i}]"
            yield from _container_faults(container, where, frozenset(volumes))
            if container.get("name") in names:
                yield duplicate(f"{where}.name", container["name"])
            names.append(container.get("name", ""))
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        yield unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), ("Always", "OnFailure", "Never"))


def _claim_faults(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for i, volume in enumerate(spec.get("volumes") or ()):
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            yield forbidden(f"{path}.volumes[{i}].{sources[1]}", "may not specify more than 1 volume type")
        claim = volume.get("persistentVolumeClaim")
        if claim is not None and not claim.get("claimName"):
            yield required(f"{path}.volumes[{i}].persistentVolumeClaim.claimName")


def _name_faults(names: list[str], path: str) -> Iterator[Cause]:
    for i, name in enumerate(names):
        if not name:
            yield required(f"{path}[{i}].name")
        elif not _DNS_LABEL.match(name) or len(name) > 63:
            yield invalid_value(f"{path}[{i}].name", name, _DNS_LABEL_RULE)
        elif name in names[:i]:
            yield duplicate(f"{path}[{i}].name", name)


def _container_faults(container: Object, path: str, volumes: frozenset[str]) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif not _DNS_LABEL.match(name) or len(name) > 63:
        yield invalid_value(f"{path}.name", name, _DNS_LABEL_RULE)
    yield from _image_faults(container, path)
    yield from _container_port_faults(container, path)
    yield from _env_faults(container, path)
    yield from _mount_faults(container, path, volumes)
    yield from _resource_faults(container.get("resources") or {}, f"{path}.resources")
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(key) is not None:
            yield from _probe_faults(container[key], f"{path}.{key}", once=key != "readinessProbe")
    yield from _security_faults(container.get("securityContext") or {}, f"{path}.securityContext")


def _image_faults(container: Object, path: str) -> Iterator[Cause]:
    image = container.get("image", "")
    if not image:
        yield required(f"{path}.image")
    if container.get("imagePullPolicy") not in _PULL_POLICIES:
        yield unsupported(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)


def image_space_faults(spec: Mapping[str, Any]) -> Iterator[Cause]:
    """White space around an image name: refused in a new pod, though a pod template may carry it."""
    for key in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(key) or ()):
            image = container.get("image", "")
            if image != image.strip():
                path = f"spec.{key}[{i}].image"
                yield invalid_value(path, image, "must not have leading or trailing whitespace")


def port_faults(port: Any, path: str) -> Iterator[Cause]:
    """Faults of one port number."""
    if not isinstance(port, int) or not 1 <= port <= 65535:
        yield invalid_value(path, port if port is not None else 0, "must be between 1 and 65535, inclusive")


def _container_port_faults(container: Object, path: str) -> Iterator[Cause]:
    names: list[str] = []
    for i, port in enumerate(container.get("ports") or ()):
        where = f"{path}.ports[{i}]"
        if port.get("name") in names:
            yield duplicate(f"{where}.name", port["name"])
        names += [port["name"]] if port.get("name") else []
        if not port.get("containerPort"):
            yield required(f"{where}.containerPort")
        else:
            yield from port_faults(port["containerPort"], f"{where}.containerPort")
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            yield unsupported(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))


def _env_faults(container: Object, path: str) -> Iterator[Cause]:
    for i, variable in enumerate(container.get("env") or ()):
        where = f"{path}.env[{i}]"
        if not variable.get("name"):
            yield required(f"{where}.name")
        elif not _ENV_NAME.match(variable["name"]):
            yield invalid_value(f"{where}.name", variable["name"], _ENV_NAME_RULE)
        source = variable.get("valueFrom")
        if source is not None and variable.get("value"):
            yield invalid_value(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
        elif source is not None and len(source) != 1:
            yield invalid_value(f"{where}.valueFrom", "", _source_count_rule(len(source)))


def _source_count_rule(count: int) -> str:
    if count > 1:
        return "may not have more than one field specified at a time"
    return "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"


def _mount_faults(container: Object, path: str, volumes: frozenset[str]) -> Iterator[Cause]:
    paths: list[str] = []
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{i}]"
        if not mount.get("name"):
            yield required(f"{where}.name")
        elif mount["name"] not in volumes:
            yield unknown_reference(f"{where}.name", mount["name"])
        if not mount.get("mountPath"):
            yield required(f"{where}.mountPath")
        elif mount["mountPath"] in paths:
            yield invalid_value(f"{where}.mountPath", mount["mountPath"], "must be unique")
        paths.append(mount.get("mountPath", ""))


def _resource_faults(resources: Object, path: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            if parse_quantity(value) < 0:
                yield invalid_value(f"{path}.{kind}[{name}]", value, "must be greater than or equal to 0")
    for name, value in requests.items():
        if name in limits and parse_quantity(value) > parse_quantity(limits[name]):
            rule = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{path}.requests", value, rule)


def _probe_faults(probe: Object, path: str, *, once: bool) -> Iterator[Cause]:
    handlers = [key for key in _HANDLERS if probe.get(key) is not None]
    if not handlers:
        yield required(path, "must specify a handler type")
    for key in handlers[1:]:
        yield forbidden(f"{path}.{key}", "may not specify more than 1 handler type")
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if isinstance(probe.get(key), int) and probe[key] < 0:
            yield invalid_value(f"{path}.{key}", probe[key], "must be greater than or equal to 0")
    if once and probe.get("successThreshold", 1) != 1:
        yield invalid_value(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    for key in ("httpGet", "tcpSocket"):
        port = (probe.get(key) or {}).get("port")
        if probe.get(key) is not None and not isinstance(port, str):
            yield from port_faults(port, f"{path}.{key}.port")


def _security_faults(context: Object, path: str) -> Iterator[Cause]:
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        yield invalid_value(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    for key in ("runAsUser", "runAsGroup"):
        if isinstance(context.get(key), int) and not 0 <= context[key] <= 2147483647:
            yield invalid_value(f"{path}.{key}", context[key], "must be between 0 and 2147483647, inclusive")


def update_faults(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Cause]:
    """Faults of an update of a pod's spec: nearly all of it is immutable."""
    for key in ("initContainers", "containers"):
        if len(new.get(key) or ()) != len(old.get(key) or ()):
            yield forbidden(f"spec.{key}", "pod updates may not add or remove containers")
            return
        for i, container in enumerate(new.get(key) or ()):
            yield from _image_faults(container, f"spec.{key}[{i}]")
    if _frozen(new) != _frozen(old):
        yield forbidden("spec", _MUTABLE_POD)


def _frozen(spec: Mapping[str, Any]) -> Object:
    copy = clone(dict(spec))
    for key in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"):
        copy.pop(key, None)
    for key in ("initContainers", "containers"):
        for container in copy.get(key) or ():
            container.pop("image", None)
    return copy
