"""The resource types the sandbox serves, and how their names and paths relate.

Only naming is decided here; what the objects may contain stands in `schema`. One served version per type.
Source: https://kubernetes.io/docs/reference/kubernetes-api/
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One served resource type."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    has_status: bool
    """`/status` exists, writes to the main resource leave `status` alone, and `generation` counts spec changes."""
    has_scale: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in messages: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """The kind in messages: `Pod`, `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


# group/version: `plural Kind flags`; n = namespaced, s = status subresource, c = scale subresource.
_TABLE = {
    "/v1": """pods Pod ns|services Service ns|configmaps ConfigMap n|secrets Secret n|events Event n
        namespaces Namespace s
        nodes Node s|persistentvolumeclaims PersistentVolumeClaim ns|persistentvolumes PersistentVolume s
        resourcequotas ResourceQuota ns|limitranges LimitRange n|serviceaccounts ServiceAccount n""",
    "apps/v1": """deployments Deployment nsc|replicasets ReplicaSet nsc|statefulsets StatefulSet nsc
        daemonsets DaemonSet ns|controllerrevisions ControllerRevision n""",
    "batch/v1": "jobs Job ns|cronjobs CronJob ns",
    "autoscaling/v2": "horizontalpodautoscalers HorizontalPodAutoscaler ns",
    "policy/v1": "poddisruptionbudgets PodDisruptionBudget ns",
    "discovery.k8s.io/v1": "endpointslices EndpointSlice n",
    "coordination.k8s.io/v1": "leases Lease n",
    "networking.k8s.io/v1": "ingresses Ingress ns|networkpolicies NetworkPolicy n",
    "rbac.authorization.k8s.io/v1": """roles Role n|rolebindings RoleBinding n|clusterroles ClusterRole -
        clusterrolebindings ClusterRoleBinding -""",
    "storage.k8s.io/v1": "storageclasses StorageClass -",
    "scheduling.k8s.io/v1": "priorityclasses PriorityClass -",
}


def _rows() -> tuple[Resource, ...]:
    rows: list[Resource] = []
    for group_version, text in _TABLE.items():
        group, version = group_version.split("/")
        for entry in text.replace("\n", "|").split("|"):
            plural, kind, flags = entry.split()
            rows.append(
                Resource(
                    group=group,
                    version=version,
                    plural=plural,
                    kind=kind,
                    namespaced="n" in flags,
                    has_status="s" in flags,
                    has_scale="c" in flags,
                )
            )
    return tuple(rows)


RESOURCES: tuple[Resource, ...] = _rows()
BY_PLURAL: dict[tuple[str, str, str], Resource] = {(r.group, r.version, r.plural): r for r in RESOURCES}
BY_KIND: dict[tuple[str, str], Resource] = {(r.api_version, r.kind): r for r in RESOURCES}
KINDS: dict[str, Resource] = {r.kind: r for r in RESOURCES}
"""By bare kind: no two served types share one."""

WORKLOAD_KINDS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"})
POD = KINDS["Pod"]
EVENT = KINDS["Event"]
NAMESPACE = KINDS["Namespace"]
