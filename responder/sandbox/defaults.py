"""The values the API server fills in, so that a dry run and a stored object look like the real ones.

Every function changes the object it gets, which the caller owns.
Source: https://github.com/kubernetes/kubernetes/tree/master/pkg/apis (the zz_generated.defaults of each group)
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from responder.sandbox import schema
from responder.sandbox.objects import Object

_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_POD_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
_FILE_MODE_SOURCES = ("configMap", "secret", "downwardAPI", "projected")
_TOKEN_VOLUME_MODE = 420  # 0644


def _fill(obj: Object, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        obj.setdefault(key, value)


def apply_defaults(obj: Object) -> None:
    """Fill in the defaults of the object's kind."""
    if "spec" in schema.types()[obj["kind"]]:
        obj.setdefault("spec", {})
    spec = obj.get("spec")
    match obj["kind"]:
        case "Pod":
            pod_spec(obj.setdefault("spec", {}), is_pod=True)
            obj.setdefault("status", {}).setdefault("phase", "Pending")
            obj["status"].setdefault("qosClass", qos_class(obj["spec"]))
        case "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet":
            _workload(obj["kind"], obj.setdefault("spec", {}))
        case "Job" if isinstance(spec, dict):
            _job(spec)
        case "CronJob" if isinstance(spec, dict):
            _cron_job(spec)
        case "Service" if isinstance(spec, dict):
            _service(spec)
        case "PersistentVolumeClaim" if isinstance(spec, dict):
            spec.setdefault("volumeMode", "Filesystem")
            obj.setdefault("status", {}).setdefault("phase", "Pending")
        case _:
            _plain_kind(obj)


def _plain_kind(obj: Object) -> None:
    match obj["kind"]:
        case "Namespace":
            obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            obj.setdefault("status", {}).setdefault("phase", "Active")
            obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
        case "Secret":
            obj.setdefault("type", "Opaque")
            _encode_string_data(obj)
        case "HorizontalPodAutoscaler":
            obj.setdefault("spec", {}).setdefault("minReplicas", 1)
        case "RoleBinding" | "ClusterRoleBinding":
            for subject in obj.get("subjects") or ():
                if subject.get("kind") in ("User", "Group"):
                    subject.setdefault("apiGroup", "rbac.authorization.k8s.io")
        case _:
            pass


def _encode_string_data(secret: Object) -> None:
    for key, value in (secret.pop("stringData", None) or {}).items():
        secret.setdefault("data", {})[key] = b64encode(value.encode()).decode()


def _workload(kind: str, spec: Object) -> None:
    pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    match kind:
        case "Deployment":
            _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
            strategy = spec.setdefault("strategy", {})
            strategy.setdefault("type", "RollingUpdate")
            if strategy["type"] == "RollingUpdate":
                _fill(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": "25%", "maxSurge": "25%"})
        case "ReplicaSet":
            spec.setdefault("replicas", 1)
        case "StatefulSet":
            _stateful_set(spec)
        case _:
            spec.setdefault("revisionHistoryLimit", 10)
            strategy = spec.setdefault("updateStrategy", {})
            strategy.setdefault("type", "RollingUpdate")
            if strategy["type"] == "RollingUpdate":
                _fill(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": 1, "maxSurge": 0})


def _stateful_set(spec: Object) -> None:
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady", "serviceName": ""})
    spec.setdefault("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"})
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), {"partition": 0, "maxUnavailable": 1})
    for claim in spec.get("volumeClaimTemplates") or ():
        _fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def _job(spec: Object) -> None:
    _fill(
        spec,
        {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        },
    )
    pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _cron_job(spec: Object) -> None:
    _fill(
        spec,
        {
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
    )
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    pod_spec(job.setdefault("template", {}).setdefault("spec", {}))


def _service(spec: Object) -> None:
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"})
    if spec["type"] != "ExternalName":
        _fill(spec, {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if "port" in port:
            port.setdefault("targetPort", port["port"])


def pod_spec(spec: Object, *, is_pod: bool = False) -> None:
    """Defaults of a pod or of a pod template."""
    _fill(spec, _POD_SPEC)
    spec.setdefault("securityContext", {})
    if name := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    if is_pod:
        _fill(spec, {"enableServiceLinks": True})
    for container in containers(spec):
        _container(container, requests_from_limits=is_pod)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def containers(spec: Mapping[str, Any]) -> Iterator[Object]:
    """Init containers, then containers, then ephemeral ones: the order of the lists in the pod spec's checks."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            if isinstance(container, dict):
                yield container


def _container(container: Object, *, requests_from_limits: bool) -> None:
    _fill(
        container,
        {
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": pull_policy(str(container.get("image", ""))),
        },
    )
    resources = container.setdefault("resources", {})
    if requests_from_limits and resources.get("limits"):
        resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        if field := (variable.get("valueFrom") or {}).get("fieldRef"):
            field.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(name), dict):
            _fill(container[name], _PROBE)
            _http_get(container[name].get("httpGet"))


def _http_get(action: Object | None) -> None:
    if action is not None:
        _fill(action, {"path": "/", "scheme": "HTTP"})


def pull_policy(image: str) -> str:
    """`Always` for `latest` or no tag, `IfNotPresent` for a tag or digest."""
    if "@" in image:
        return "IfNotPresent"
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _volume(volume: Object) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for source in _FILE_MODE_SOURCES:
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", _TOKEN_VOLUME_MODE)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")


def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, from the containers' cpu and memory."""
    resources = [container.get("resources") or {} for container in containers(spec)]
    if not any(entry.get("limits") or entry.get("requests") for entry in resources):
        return "BestEffort"
    for entry in resources:
        limits, requests = entry.get("limits") or {}, entry.get("requests") or {}
        if any(name not in limits or limits[name] != requests.get(name) for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
