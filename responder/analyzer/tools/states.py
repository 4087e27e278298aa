"""The state of an object in one line, for lists. Pure; reads bodies that were redacted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from responder.analyzer.tools.showing import line
from responder.domain.manifest import (
    Json,
    LiveObject,
    Manifest,
    dig,
    flag,
    items,
    mapping,
    number,
    ref_of,
    strings,
    text,
)
from responder.domain.workload import ContainerStatus, Pod, parse_pod, parse_workload

_SHORT = 200  # characters of a message
_LONGEST = 1_000


def state(kind: str, body: Manifest) -> str:
    """Empty where a kind has none to tell."""
    teller = _TELLERS.get(kind)
    return line(teller(body), _LONGEST) if teller is not None else ""


def needed(kind: str, body: Manifest) -> Manifest:
    """What of an object its state is told from: of a long list, nothing else has to be redacted."""
    if kind == "ConfigMap":
        return {key: dict.fromkeys(mapping(body, key), "") for key in ("data", "binaryData")}
    return body if kind in _TELLERS else {}


def container_state(status: ContainerStatus) -> str:
    """`waiting CrashLoopBackOff | ...`, `terminated Error, exit code 1`, `running`."""
    if status.waiting_reason or status.waiting_message:
        return f"waiting {status.waiting_reason} | {line(status.waiting_message, _SHORT)}".rstrip("| ")
    if status.terminated is not None:
        return f"terminated {status.terminated.reason}, exit code {status.terminated.exit_code}"
    return "running" if status.running_since is not None else "not started"


def pairs(labels: Mapping[str, Json]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _pod(body: Manifest) -> str:
    pod = parse_pod(body)
    troubles = [
        f"container {status.name} {container_state(status)}, {status.restarts} restarts"
        for status in pod.statuses
        if not status.ready and not _done(status)
    ]
    where = f" on {pod.node}" if pod.node else ", on no node"
    ready = "ready" if pod.ready else "not ready"
    return "; ".join([f"{pod.phase or 'phase unknown'}, {ready}{where}{_reason(pod)}", *troubles])


def _done(status: ContainerStatus) -> bool:
    return status.init and status.terminated is not None and status.terminated.exit_code == 0


def _reason(pod: Pod) -> str:
    return f", {pod.reason} | {line(pod.message, _SHORT)}" if pod.reason else ""


def _workload(body: Manifest) -> str:
    live = LiveObject(
        ref=ref_of(body), resource_version="", generation=number(body, "metadata", "generation"), body=body
    )
    workload = parse_workload(live)
    counts = f"{workload.ready}/{workload.desired} ready, {workload.updated} updated, {workload.available} available"
    return f"{counts}{', paused' if workload.paused else ''}"


def _replica_set(body: Manifest) -> str:
    revision = text(body, "metadata", "annotations", "deployment.kubernetes.io/revision")
    counts = f"{number(body, 'status', 'readyReplicas')}/{number(body, 'spec', 'replicas')} ready"
    return f"{counts}{f', revision {revision}' if revision else ''}"


def _job(body: Manifest) -> str:
    status = mapping(body, "status")
    counts = ", ".join(f"{number(status, key)} {key}" for key in ("active", "succeeded", "failed"))
    return f"{counts}{', suspended' if flag(body, 'spec', 'suspend') else ''}"


def _cron_job(body: Manifest) -> str:
    suspended = ", suspended" if flag(body, "spec", "suspend") else ""
    last = text(body, "status", "lastScheduleTime") or "never"
    return f"schedule {line(text(body, 'spec', 'schedule'), 80)}, last run {last}{suspended}"


def _service(body: Manifest) -> str:
    ports = ", ".join(f"{dig(port, 'port')}->{dig(port, 'targetPort')}" for port in items(body, "spec", "ports"))
    selector = pairs(mapping(body, "spec", "selector")) or "none"
    return f"{text(body, 'spec', 'type') or 'ClusterIP'}, ports {ports or 'none'}, selector {selector}"


def _claim(body: Manifest) -> str:
    wanted = dig(body, "spec", "resources", "requests", "storage")
    bound = text(body, "spec", "volumeName") or "no volume"
    return (
        f"{text(body, 'status', 'phase')}, {wanted}, class {text(body, 'spec', 'storageClassName') or 'none'}, {bound}"
    )


def _config_map(body: Manifest) -> str:
    keys = sorted([*mapping(body, "data"), *mapping(body, "binaryData")])
    return f"keys {', '.join(keys) or 'none'}"


def _autoscaler(body: Manifest) -> str:
    target = f"{text(body, 'spec', 'scaleTargetRef', 'kind')}/{text(body, 'spec', 'scaleTargetRef', 'name')}"
    bounds = f"{number(body, 'spec', 'minReplicas', default=1)} to {number(body, 'spec', 'maxReplicas')}"
    return f"{target}, {bounds}, now {number(body, 'status', 'currentReplicas')}"


def _endpoint_slice(body: Manifest) -> str:
    ready = [dig(one, "conditions", "ready") is not False for one in items(body, "endpoints")]
    return f"{sum(ready)} ready, {len(ready) - sum(ready)} not ready"


def _budget(body: Manifest) -> str:
    status = mapping(body, "status")
    return f"{number(status, 'disruptionsAllowed')} disruptions allowed, {number(status, 'currentHealthy')} healthy"


def _ingress(body: Manifest) -> str:
    hosts = [text(rule, "host") or "*" for rule in items(body, "spec", "rules")]
    return f"hosts {', '.join(hosts) or 'none'}"


def _binding(body: Manifest) -> str:
    subjects = [f"{text(one, 'kind')}/{text(one, 'name')}" for one in items(body, "subjects")]
    return f"{text(body, 'roleRef', 'kind')}/{text(body, 'roleRef', 'name')} for {', '.join(subjects) or 'nobody'}"


def _role(body: Manifest) -> str:
    return "; ".join(
        f"{' '.join(strings(rule, 'verbs'))} {' '.join(strings(rule, 'resources'))}" for rule in items(body, "rules")
    )


_TELLERS: Mapping[str, Callable[[Manifest], str]] = {
    "Pod": _pod,
    "Deployment": _workload,
    "StatefulSet": _workload,
    "DaemonSet": _workload,
    "ReplicaSet": _replica_set,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "ConfigMap": _config_map,
    "HorizontalPodAutoscaler": _autoscaler,
    "EndpointSlice": _endpoint_slice,
    "PodDisruptionBudget": _budget,
    "Ingress": _ingress,
    "RoleBinding": _binding,
    "Role": _role,
}
