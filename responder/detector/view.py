"""What the watches know of the cluster, looked up by whoever judges one object of it.

Answers come from memory and may be some seconds old: good enough to tell whose trouble something is and to notice it.
Whatever is decided about a change is read afresh from the API server.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from datetime import datetime

from responder.cluster.cache import ObjectCache
from responder.conditions.model import Endpoints, Surroundings
from responder.conditions.services import endpoints_in
from responder.detector.owners import root_of
from responder.detector.placement import could_take, is_cordoned, waits_for_a_cordoned_node
from responder.domain.manifest import Manifest, items, mapping, number, ref_of, text
from responder.domain.refs import ObjectRef
from responder.domain.selector import picks

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
FLIPS_KEPT = 8


class ClusterView:
    """The caches of all watches, and the few facts that follow from changes rather than from states."""

    def __init__(self, *, exclude_init_containers: bool = False) -> None:
        self._caches: dict[tuple[str, str], ObjectCache] = {}
        self._exclude_init_containers = exclude_init_containers
        self._ready: dict[str, bool] = {}
        self._flips: dict[str, deque[datetime]] = {}
        self._unready: dict[str, set[str]] = defaultdict(set)
        """Namespace -> names of its pods that are not ready: few, where all are many."""
        self._waiting: dict[str, tuple[str, str]] = {}
        """Pods that wait for a cordoned node: uid -> namespace and name."""
        self._cordoned: set[str] = set()
        self._slices: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._service_of: dict[tuple[str, str], str] = {}
        self._nodes: dict[str, bool] = {}

    def add(self, kind: str, namespace: str, cache: ObjectCache) -> None:
        """`namespace` is '' for a watch over all of them."""
        self._caches[kind, namespace] = cache

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        cache = self._caches.get((kind, namespace), self._caches.get((kind, "")))
        return None if cache is None else cache.get(namespace, name)

    def of_kind(self, kind: str, namespace: str | None = None) -> Iterator[Manifest]:
        """Objects of a kind; of one namespace where it is given."""
        for (cached_kind, _), cache in self._caches.items():
            if cached_kind == kind:
                yield from (body for _, body in cache.items(namespace))

    def names(self, kind: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of each object of a kind."""
        for (cached_kind, _), cache in self._caches.items():
            if cached_kind == kind:
                yield from (place for place, _ in cache.entries())

    def note(self, kind: str, body: Manifest, *, now: datetime) -> bool:
        """Remember what the new state of an object changes. True: others may have to be judged anew for it."""
        if kind == "Pod":
            self._note_pod(body, now)
        elif kind == "Node":
            name, ready = text(body, "metadata", "name"), _holds(body, "Ready")
            (self._cordoned.add if is_cordoned(body) else self._cordoned.discard)(name)
            changed = self._nodes.get(name) is not ready
            self._nodes[name] = ready
            return changed
        elif kind == "EndpointSlice":
            namespace, name = text(body, "metadata", "namespace"), text(body, "metadata", "name")
            self._leave_service(namespace, name)
            if service := text(body, "metadata", "labels", SERVICE_NAME_LABEL):
                self._slices[namespace, service].add(name)
                self._service_of[namespace, name] = service
            return True
        return False

    def forget(self, kind: str, namespace: str, name: str, uid: str) -> None:
        if kind == "Pod":
            self._ready.pop(uid, None)
            self._unready.get(namespace, set()).discard(name)
            self._flips.pop(uid, None)
            self._waiting.pop(uid, None)
        elif kind == "Node":
            self._nodes.pop(name, None)
            self._cordoned.discard(name)
        elif kind == "EndpointSlice":
            self._leave_service(namespace, name)

    def service_of(self, namespace: str, endpoint_slice: str) -> str:
        """Name of the Service that the slice belongs to, as last noted; '' for none."""
        return self._service_of.get((namespace, endpoint_slice), "")

    def root_of(self, ref: ObjectRef, body: Manifest) -> ObjectRef:
        return root_of(ref, body, self.find)

    def owner_of(self, target: ObjectRef) -> ObjectRef | None:
        """The root of an object that is known here; None where it is not."""
        body = self.find(target.kind, target.namespace, target.name)
        return None if body is None else self.root_of(target, body)

    def node_ready(self, node: str) -> bool | None:
        """None: not known, for want of a node's name or of the right to read nodes."""
        return self._nodes.get(node)

    def unready_roots(self, namespace: str, labels: Mapping[str, str]) -> frozenset[ObjectRef]:
        """Roots of the pods with these labels that are not ready, and ought to be."""
        if not labels:
            return frozenset()
        found = (self.find("Pod", namespace, name) for name in self._unready.get(namespace, ()))
        pods = (pod for pod in found if pod is not None and not _holds(pod, "Ready") and not _is_done(pod))
        chosen = (pod for pod in pods if labels.items() <= mapping(pod, "metadata", "labels").items())
        return frozenset(self.root_of(ref_of(pod, kind="Pod"), pod).without_uid() for pod in chosen)

    def surroundings(self, kind: str, body: Manifest, *, now: datetime, live: bool) -> Surroundings:
        """`live`: the watches that tell of endpoints, budgets and pods are complete and up to date."""
        namespace, name = text(body, "metadata", "namespace"), text(body, "metadata", "name")
        if kind == "Pod":
            return Surroundings(
                now=now,
                node_ready=self.node_ready(text(body, "spec", "nodeName")),
                cordoned_nodes=self._cordoned_for(body),
                ready_flips=tuple(self._flips.get(text(body, "metadata", "uid"), ())),
                excluded_containers=self._left_out(body),
            )
        return Surroundings(
            now=now,
            endpoints=self._endpoints(namespace, name) if kind == "Service" and live else None,
            unschedulable_pods=self._wait_for(body) if kind == "Node" and live else None,
            budgeted=self._budgeted(namespace, body) if kind in ("Deployment", "StatefulSet") and live else None,
        )

    def _leave_service(self, namespace: str, endpoint_slice: str) -> None:
        service = self._service_of.pop((namespace, endpoint_slice), "")
        if service:
            slices = self._slices[namespace, service]
            slices.discard(endpoint_slice)
            if not slices:
                del self._slices[namespace, service]

    def _left_out(self, pod: Manifest) -> frozenset[str]:
        if not self._exclude_init_containers:
            return frozenset()
        return frozenset(
            text(container, "name")
            for container in items(pod, "spec", "initContainers")
            if text(container, "restartPolicy") != "Always"
        )

    def _note_pod(self, body: Manifest, now: datetime) -> None:
        uid = text(body, "metadata", "uid")
        ready = _holds(body, "Ready")
        if self._ready.get(uid, ready) != ready:
            self._flips.setdefault(uid, deque(maxlen=FLIPS_KEPT)).append(now)
        self._ready[uid] = ready
        unready = self._unready[text(body, "metadata", "namespace")]
        (unready.discard if ready else unready.add)(text(body, "metadata", "name"))
        if waits_for_a_cordoned_node(body):
            self._waiting[uid] = text(body, "metadata", "namespace"), text(body, "metadata", "name")
        else:
            self._waiting.pop(uid, None)

    def _cordoned_for(self, pod: Manifest) -> tuple[str, ...]:
        if not self._cordoned or not waits_for_a_cordoned_node(pod):
            return ()
        nodes = ((name, self.find("Node", "", name)) for name in sorted(self._cordoned))
        return tuple(name for name, node in nodes if node is not None and could_take(node, pod))

    def _wait_for(self, node: Manifest) -> int:
        if not is_cordoned(node):
            return 0
        pods = (self.find("Pod", namespace, name) for namespace, name in self._waiting.values())
        return sum(could_take(node, pod) for pod in pods if pod is not None)

    def _endpoints(self, namespace: str, service: str) -> Endpoints:
        slices = (self.find("EndpointSlice", namespace, name) for name in self._slices.get((namespace, service), ()))
        return endpoints_in(one for one in slices if one is not None)

    def _budgeted(self, namespace: str, workload: Manifest) -> bool:
        labels = mapping(workload, "spec", "template", "metadata", "labels") or mapping(
            workload, "spec", "selector", "matchLabels"
        )
        return any(
            picks(mapping(budget, "spec", "selector"), labels)
            for budget in self.of_kind("PodDisruptionBudget", namespace)
        )


def _holds(body: Manifest, condition: str) -> bool:
    return any(
        text(c, "type") == condition and text(c, "status") == "True" for c in items(body, "status", "conditions")
    )


def _is_done(pod: Manifest) -> bool:
    return text(pod, "status", "phase") == "Succeeded"


def is_well(kind: str, body: Manifest) -> bool:
    """Whether the object has all that it is there for, so that what an event told of it is over."""
    match kind:
        case "Pod":
            return _holds(body, "Ready")
        case "Deployment" | "ReplicaSet" | "StatefulSet":
            return number(body, "status", "readyReplicas") >= number(body, "spec", "replicas", default=1)
        case "DaemonSet":
            wanted = number(body, "status", "desiredNumberScheduled", default=-1)
            return 0 <= wanted <= number(body, "status", "numberReady")
        case "Job":
            return _holds(body, "Complete") or number(body, "status", "active") > 0
        case "PersistentVolumeClaim":
            return text(body, "status", "phase") == "Bound"
        case _:
            return False
