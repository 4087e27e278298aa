"""The objects of a large cluster, as an API server stores them: all that real ones have, managedFields included.

A hundred namespaces with ten Deployments each, and for each of these ten pods, two ReplicaSets, a Service and its
EndpointSlice. All is well with every one of them. Shapes: https://kubernetes.io/docs/reference/kubernetes-api/
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]

NAMESPACES = 100
NODES = 100
APPS = (
    "orders",
    "payments",
    "catalog",
    "search",
    "inventory",
    "checkout",
    "accounts",
    "shipping",
    "reviews",
    "gateway",
)
DEPLOYMENTS = NAMESPACES * len(APPS)
PODS_EACH = 10
PODS = DEPLOYMENTS * PODS_EACH
CONFIG_MAPS_EACH = 5
CREATED = "2026-01-12T09:14:05Z"
READY = "2026-01-12T09:14:22Z"
IMAGE = "registry.example.com/team/{app}:1.42.{patch}"
_VARIABLES = ("LOG_LEVEL", "HTTP_PORT", "METRICS_PORT", "REGION", "FEATURE_FLAGS", "CACHE_TTL", "POOL_SIZE")
_IDLE = {"exec": {"command": ["/bin/sh", "-c", "sleep 5"]}}


def place(number: int) -> tuple[str, str]:
    """Namespace and name of a Deployment, and of all that is named after it."""
    return f"team-{number // len(APPS):02}", APPS[number % len(APPS)]


def everything() -> Iterator[tuple[str, Body]]:
    """Plural and object."""
    for number in range(NAMESPACES):
        yield "namespaces", namespace(number)
        for index in range(CONFIG_MAPS_EACH):
            yield "configmaps", config_map(number, index)
    for number in range(NODES):
        yield "nodes", node(number)
    for number in range(DEPLOYMENTS):
        yield "deployments", deployment(number)
        yield "replicasets", replica_set(number, old=False)
        yield "replicasets", replica_set(number, old=True)
        yield "services", service(number)
        yield "endpointslices", endpoint_slice(number)
    for number in range(PODS):
        yield "pods", pod(number)


def uid(*parts: object) -> str:
    text = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def namespace(number: int) -> Body:
    name = f"team-{number:02}"
    labels = {"kubernetes.io/metadata.name": name, "pod-security.kubernetes.io/enforce": "baseline"}
    return {
        "metadata": _metadata("", name, "Namespace", labels),
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def node(number: int, *, heartbeat: str = CREATED) -> Body:
    name = f"node-{number:02}"
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "b"}
    quiet = [
        {"type": kind, "status": "False", "reason": f"KubeletHasNo{kind}", "message": f"kubelet has no {kind}"}
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    conditions = [{**each, "lastHeartbeatTime": heartbeat, "lastTransitionTime": CREATED} for each in (*quiet, ready)]
    images = [
        {"names": [IMAGE.format(app=app, patch=patch)], "sizeBytes": 91_000_000} for patch, app in enumerate(APPS)
    ]
    resources = {"cpu": "64", "memory": "263757492Ki", "pods": "250", "ephemeral-storage": "515000000Ki"}
    return {
        "metadata": _metadata("", name, "Node", labels),
        "spec": {"podCIDR": f"10.{number}.0.0/24", "providerID": f"example:///b/{name}"},
        "status": {"capacity": resources, "allocatable": resources, "conditions": conditions, "images": images},
    }


def config_map(number: int, index: int) -> Body:
    home, name = f"team-{number:02}", f"{APPS[index]}-config"
    text = "\n".join(f"section.{line}.setting = value-{line}" for line in range(40))
    return {"metadata": _metadata(home, name, "ConfigMap", {"app": APPS[index]}), "data": {"app.properties": text}}


def deployment(number: int, *, image: str = "", level: str = "info", probed: str = READY) -> Body:
    """`image` and `level` (an environment variable) are decided, `probed` moves in the status alone."""
    home, name = place(number)
    conditions = [
        _condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        _condition("Progressing", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'),
    ]
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), PODS_EACH)
    metadata = _metadata(home, name, "Deployment", _labels(name))
    metadata |= {"generation": 7, "annotations": {"deployment.kubernetes.io/revision": "7"}}
    metadata["managedFields"] = [
        _managed("helm", "Update", _fields(f"f:{field}" for field in ("replicas", "selector", "strategy", "template"))),
        _managed("kube-controller-manager", "Update", _fields(f"f:{field}" for field in counts), "status"),
    ]
    return {
        "metadata": metadata,
        "spec": {
            "replicas": PODS_EACH,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "template": {"metadata": {"labels": _labels(name)}, "spec": _pod_spec(name, image=image, level=level)},
        },
        "status": {
            **counts,
            "observedGeneration": 7,
            "conditions": [{**condition, "lastUpdateTime": probed} for condition in conditions],
        },
    }


def replica_set(number: int, *, old: bool) -> Body:
    home, name = place(number)
    template_hash = _hash(home, name, old=old)
    labels = {**_labels(name), "pod-template-hash": template_hash}
    replicas = 0 if old else PODS_EACH
    metadata = _metadata(home, f"{name}-{template_hash}", "ReplicaSet", labels)
    metadata["ownerReferences"] = [_owner("Deployment", home, name)]
    metadata["managedFields"] = [_managed("kube-controller-manager", "Update", _fields(["f:replicas", "f:template"]))]
    return {
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name, "pod-template-hash": template_hash}},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(name)},
        },
        "status": {"replicas": replicas, "readyReplicas": replicas, "observedGeneration": 1},
    }


def service(number: int) -> Body:
    home, name = place(number)
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "metadata": _metadata(home, name, "Service", _labels(name)),
        "spec": {"type": "ClusterIP", "clusterIP": _address(number), "selector": {"app": name}, "ports": ports},
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(number: int) -> Body:
    home, name = place(number)
    metadata = _metadata(home, f"{name}-x7k2p", "EndpointSlice", {"kubernetes.io/service-name": name})
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [_endpoint(number * PODS_EACH + index) for index in range(PODS_EACH)],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def _endpoint(number: int) -> Body:
    home, name = pod_place(number)
    return {
        "addresses": [_address(number)],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{number % NODES:02}",
        "targetRef": {"kind": "Pod", "namespace": home, "name": name, "uid": uid("Pod", home, name)},
        "zone": "b",
    }


def pod_place(number: int) -> tuple[str, str]:
    home, name = place(number // PODS_EACH)
    return home, f"{name}-{_hash(home, name)}-{uid(number)[:5]}"


def pod(number: int, *, crashing: bool = False) -> Body:
    """About 5.8 KB of JSON."""
    home, name = pod_place(number)
    app = place(number // PODS_EACH)[1]
    template_hash = _hash(home, app)
    metadata = _metadata(home, name, "Pod", {**_labels(app), "pod-template-hash": template_hash})
    metadata |= {
        "generateName": f"{app}-{template_hash}-",
        "annotations": {
            "checksum/config": hashlib.sha256(app.encode()).hexdigest(),
            "kubectl.kubernetes.io/restartedAt": CREATED,
            "prometheus.io/scrape": "true",
            "prometheus.io/port": "9090",
        },
        "ownerReferences": [_owner("ReplicaSet", home, f"{app}-{template_hash}")],
        "managedFields": _pod_managed(),
    }
    spec = {**_pod_spec(app), "nodeName": f"node-{number % NODES:02}", "serviceAccountName": app, "priority": 0}
    spec["tolerations"] = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    return {"metadata": metadata, "spec": spec, "status": _pod_status(number, app, crashing=crashing)}


def _pod_status(number: int, app: str, *, crashing: bool) -> Body:
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    unready = {"Ready", "ContainersReady"} if crashing else set()
    image = IMAGE.format(app=app, patch=0)
    digest = hashlib.sha256(image.encode()).hexdigest()
    ended = {"exitCode": 1, "reason": "Error", "startedAt": READY, "finishedAt": READY}
    message = f"back-off 5m0s restarting failed container=app pod={app}"
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
    container = {
        "name": "app",
        "image": image,
        "imageID": f"registry.example.com/team/{app}@sha256:{digest}",
        "containerID": f"containerd://{hashlib.sha256(str(number).encode()).hexdigest()}",
        "ready": not crashing,
        "started": not crashing,
        "restartCount": 7 if crashing else 0,
        "state": waiting if crashing else {"running": {"startedAt": READY}},
        "lastState": {"terminated": ended} if crashing else {},
    }
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "False" if kind in unready else "True", "lastTransitionTime": READY}
            | {"lastProbeTime": None, "observedGeneration": 1}
            for kind in kinds
        ],
        "hostIP": f"10.255.0.{number % NODES}",
        "podIP": _address(number),
        "podIPs": [{"ip": _address(number)}],
        "startTime": CREATED,
        "qosClass": "Burstable",
        "containerStatuses": [container],
    }


def _pod_spec(app: str, *, image: str = "", level: str = "info") -> Body:
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1}
    mounts = [("config", "/etc/app"), ("kube-api-access-7xk2p", "/var/run/secrets/kubernetes.io/serviceaccount")]
    values = [{"name": name, "value": level if name == "LOG_LEVEL" else f"value-of-{name}"} for name in _VARIABLES]
    secret = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": f"{app}-db", "key": "url"}}}
    container = {
        "name": "app",
        "image": image or IMAGE.format(app=app, patch=0),
        "args": ["serve", "--config=/etc/app/app.properties"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [*values, secret],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": name, "mountPath": path, "readOnly": True} for name, path in mounts],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "lifecycle": {"preStop": _IDLE},
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    token = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    return {
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420}},
            {"name": "kube-api-access-7xk2p", "projected": {"sources": token, "defaultMode": 420}},
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {"runAsNonRoot": True, "fsGroup": 1000},
        "schedulerName": "default-scheduler",
    }


def _pod_managed() -> list[Body]:
    decided = ("image", "imagePullPolicy", "name", "ports", "resources", "livenessProbe", "readinessProbe", "args")
    variables: Body = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in _VARIABLES}
    container = {**{f"f:{field}": {} for field in decided}, "f:env": {".": {}, **variables}}
    spec = _fields(("f:dnsPolicy", "f:restartPolicy", "f:schedulerName", "f:securityContext", "f:volumes"))
    spec["f:spec"]["f:containers"] = {'k:{"name":"app"}': container}
    kinds = ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")
    fields = (".", "f:lastProbeTime", "f:lastTransitionTime", "f:status", "f:type")
    reported: Body = {f'k:{{"type":"{kind}"}}': {field: {} for field in fields} for kind in kinds}
    rest = ("f:containerStatuses", "f:hostIP", "f:phase", "f:podIP", "f:podIPs", "f:startTime")
    status = {"f:status": {"f:conditions": reported, **{field: {} for field in rest}}}
    return [
        _managed("kube-controller-manager", "Update", spec),
        _managed("kubelet", "Update", status, "status"),
    ]


# -- parts ----------------------------------------------------------------------------------------------------------


def _metadata(home: str, name: str, kind: str, labels: Body) -> Body:
    found = {"name": name, "uid": uid(kind, home, name), "creationTimestamp": CREATED, "labels": labels}
    return {**found, "namespace": home} if home else found


def _labels(app: str) -> Body:
    return {
        "app": app,
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{app}-production",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/part-of": "shop",
    }


def _owner(kind: str, home: str, name: str) -> Body:
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid(kind, home, name)}
    return {**owner, "controller": True, "blockOwnerDeletion": True}


def _condition(kind: str, reason: str, message: str) -> Body:
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": READY}


def _managed(manager: str, operation: str, fields: Body, subresource: str = "") -> Body:
    entry = {"manager": manager, "operation": operation, "apiVersion": "v1", "time": READY, "fieldsType": "FieldsV1"}
    return {**entry, "fieldsV1": fields, **({"subresource": subresource} if subresource else {})}


def _fields(names: Any) -> Body:
    labels: Body = {f"f:{label}": {} for label in ("app", "app.kubernetes.io/name", "app.kubernetes.io/instance")}
    return {"f:metadata": {"f:labels": {".": {}, **labels}}, "f:spec": {name: {} for name in names}}


def _address(number: int) -> str:
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def _hash(home: str, name: str, *, old: bool = False) -> str:
    return uid("template", home, name, old).replace("-", "")[:10]
