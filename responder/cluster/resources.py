"""The kinds Clopus reads, and where the API serves them. Secrets are left out on purpose: they are never asked for."""

from __future__ import annotations

from dataclasses import dataclass

from responder.domain.errors import ObjectGone, PermanentError
from responder.domain.refs import CLUSTER_SCOPED, ObjectRef, is_namespace_name, is_object_name


@dataclass(frozen=True, kw_only=True)
class Resource:
    group: str
    """Empty for the core API."""
    version: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


# Source: https://kubernetes.io/docs/reference/kubernetes-api/; for certificates
# https://cert-manager.io/docs/reference/api-docs/; for metrics, which an add-on serves, https://github.com/kubernetes/metrics
_PLURALS = {
    "v1": {
        "ConfigMap": "configmaps",
        "Event": "events",
        "LimitRange": "limitranges",
        "Namespace": "namespaces",
        "Node": "nodes",
        "PersistentVolume": "persistentvolumes",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "Pod": "pods",
        "ResourceQuota": "resourcequotas",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps/v1": {
        "ControllerRevision": "controllerrevisions",
        "DaemonSet": "daemonsets",
        "Deployment": "deployments",
        "ReplicaSet": "replicasets",
        "StatefulSet": "statefulsets",
    },
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "batch/v1": {"CronJob": "cronjobs", "Job": "jobs"},
    "cert-manager.io/v1": {"Certificate": "certificates"},
    "coordination.k8s.io/v1": {"Lease": "leases"},
    "discovery.k8s.io/v1": {"EndpointSlice": "endpointslices"},
    "metrics.k8s.io/v1beta1": {"PodMetrics": "pods"},
    "networking.k8s.io/v1": {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "rbac.authorization.k8s.io/v1": {"Role": "roles", "RoleBinding": "rolebindings"},
    "storage.k8s.io/v1": {"StorageClass": "storageclasses"},
}


def _resource(group_version: str, kind: str, plural: str) -> Resource:
    group, _, version = group_version.rpartition("/")
    return Resource(group=group, version=version, plural=plural, namespaced=kind not in CLUSTER_SCOPED)


RESOURCES = {
    kind: _resource(group_version, kind, plural)
    for group_version, plurals in _PLURALS.items()
    for kind, plural in plurals.items()
}


def resource_of(kind: str) -> Resource:
    """Where `kind` is served.

    Raises:
        PermanentError: Clopus does not read this kind.
    """
    try:
        return RESOURCES[kind]
    except KeyError as exc:
        raise PermanentError(f"{kind} is not a kind that Clopus reads") from exc


def collection_path(kind: str, namespace: str) -> str:
    """The path that lists a kind; an empty namespace means all of them.

    Raises:
        PermanentError: as `resource_of`.
        ObjectGone: no namespace can have this name.
    """
    resource = resource_of(kind)
    if not resource.namespaced or not namespace:
        return f"{resource.root}/{resource.plural}"
    if not is_namespace_name(namespace):
        raise ObjectGone(f"no namespace can be called {namespace!r}")
    return f"{resource.root}/namespaces/{namespace}/{resource.plural}"


def object_path(ref: ObjectRef) -> str:
    """The path of one object. Names come from alert labels, so they are checked before they become a path.

    Raises:
        PermanentError: as `resource_of`.
        ObjectGone: no object can have this name.
    """
    resource = resource_of(ref.kind)
    if not is_object_name(ref.name) or (resource.namespaced and not ref.namespace):
        raise ObjectGone(f"no object can be called {ref.key!r}")
    return f"{collection_path(ref.kind, ref.namespace)}/{ref.name}"
