"""What all workload controllers share: owners and their pods, readiness, template hashes, revisions, events.

Source: https://kubernetes.io/docs/concepts/architecture/controller/
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from responder.sandbox.admission import NAME_ALPHABET
from responder.sandbox.controllers.loop import Key
from responder.sandbox.failures import ApiFailure
from responder.sandbox.objects import Object, Store, StoreEvent, clone
from responder.sandbox.quota import is_live
from responder.sandbox.registry import CONTROLLER, Registry, Write, timestamp
from responder.sandbox.resources import EVENT, KINDS, POD, Resource
from responder.sandbox.selectors import selector_predicate

HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"
SCHEDULER = "default-scheduler"
_SIMILAR = 10
_COMBINED = "(combined from similar events): "


def controller_of(obj: Object) -> Object | None:
    """The owner reference that controls the object."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def owner_reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned(store: Store, resource: Resource, owner: Object) -> list[Object]:
    """The objects that the owner controls."""
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in store.list(resource, owner["metadata"]["namespace"])
        if (controller_of(obj) or {}).get("uid") == uid
    ]


def owned_pods(store: Store, owner: Object) -> list[Object]:
    """Controlled pods that still carry the selected labels; others have been released."""
    selected = selector_predicate(owner["spec"].get("selector"))
    return [pod for pod in owned(store, POD, owner) if selected(pod["metadata"].get("labels") or {})]


def keys_of(kind: str, owns: str) -> Any:
    """A `Controller.keys`: the object itself, and the owner of what it owns."""

    def keys(_registry: Registry, event: StoreEvent) -> Iterator[Key]:
        metadata = event.obj["metadata"]
        if event.resource.kind == kind:
            yield metadata["namespace"], metadata["name"]
        elif event.resource.kind == owns:
            reference = controller_of(event.obj)
            if reference is not None and reference["kind"] == kind:
                yield metadata["namespace"], reference["name"]

    return keys


def is_active(pod: Object) -> bool:
    return is_live(pod) and not pod["metadata"].get("deletionTimestamp")


def condition(obj: Mapping[str, Any], kind: str) -> Object | None:
    entries = (obj.get("status") or {}).get("conditions") or ()
    return next((entry for entry in entries if entry["type"] == kind), None)


def is_ready(pod: Object) -> bool:
    return (condition(pod, "Ready") or {}).get("status") == "True"


def available_in(pod: Object, min_ready: int, now: datetime) -> float | None:
    """Seconds until the pod counts as available, 0 when it does; None while it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    since = parse_time(ready.get("lastTransitionTime") or timestamp(now))
    return max(0.0, min_ready - (now - since).total_seconds()) if min_ready else 0.0


def parse_time(text: str) -> datetime:
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def template_hash(template: Object) -> str:
    """Ten characters that name a pod template."""
    number = int.from_bytes(hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).digest()[:8])
    letters = ""
    while len(letters) < 10:
        number, digit = divmod(number, len(NAME_ALPHABET))
        letters += NAME_ALPHABET[digit]
    return letters


def share(value: Any, total: int, *, round_up: bool) -> int:
    """`25%` of a total, or the number itself."""
    if isinstance(value, str) and value.endswith("%"):
        part = total * int(value[:-1]) / 100
        return math.ceil(part) if round_up else math.floor(part)
    return int(value)


def pod_from(owner: Object, template: Object, *, labels: Mapping[str, str] | None = None) -> Object:
    """A new pod of a template, named by the server."""
    metadata = clone(template.get("metadata") or {})
    metadata["generateName"] = f"{owner['metadata']['name']}-"
    metadata["labels"] = {**(metadata.get("labels") or {}), **(labels or {})}
    metadata["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": clone(template["spec"])}


def create_pod(registry: Registry, source: str, owner: Object, pod: Object, *, why: str = "") -> Object:
    """The pod as stored. Raises `ApiFailure`, after an event on the owner, where it is refused."""
    try:
        return registry.create(POD, owner["metadata"]["namespace"], pod, CONTROLLER).obj
    except ApiFailure as failure:
        emit(registry, source, owner, "Warning", "FailedCreate", f"{why or 'Error creating'}: {failure.message}")
        raise


def is_refused(step: Callable[[], None]) -> bool:
    """Take the step. True: the API refused a part of it; the status is written all the same."""
    try:
        step()
    except ApiFailure:
        return True
    return False


def set_conditions(present: Iterable[Object], changes: Iterable[Object], now: str) -> list[Object]:
    """Conditions with some replaced; a transition time moves only with the status."""
    entries = {entry["type"]: entry for entry in present}
    for change in changes:
        before = entries.get(change["type"])
        moved = before is None or before["status"] != change["status"]
        since = now if moved or before is None else before.get("lastTransitionTime", now)
        entries[change["type"]] = {**change, "lastTransitionTime": since}
    return list(entries.values())


def revision_for(registry: Registry, owner: Object) -> tuple[str, Object]:
    """The ControllerRevision of the owner's present template, made if need be, and its hash."""
    resource = KINDS["ControllerRevision"]
    data = {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}
    revisions = owned(registry.store, resource, owner)
    newest = max((revision["revision"] for revision in revisions), default=0)
    for revision in revisions:
        if revision["data"] == data:
            if revision["revision"] < newest:
                raised = {**revision, "revision": newest + 1}
                revision = registry.replace(resource, revision, raised, CONTROLLER).obj
            return revision["metadata"]["labels"][REVISION_LABEL], revision
    name = template_hash(owner["spec"]["template"])
    labels = {**(owner["spec"]["template"].get("metadata") or {}).get("labels", {}), REVISION_LABEL: name}
    body = {
        "metadata": {
            "name": f"{owner['metadata']['name']}-{name}",
            "labels": labels,
            "ownerReferences": [owner_reference(owner)],
        },
        "data": data,
        "revision": newest + 1,
    }
    return name, registry.create(resource, owner["metadata"]["namespace"], body, CONTROLLER).obj


def emit(registry: Registry, source: str, obj: Object, kind: str, reason: str, message: str) -> None:
    """Record a core/v1 Event; the same one again only counts, and so do many that differ only in their words.

    Source: client-go, tools/record/events_cache.go (EventAggregator)
    """
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "default")
    now = timestamp(registry.now())
    known = [
        event
        for event in registry.store.list(EVENT, namespace)
        if ((event.get("involvedObject") or {}).get("uid"), event.get("reason")) == (metadata["uid"], reason)
    ]
    same = next((event for event in known if event.get("message") == message), None)
    if source == SCHEDULER and same is not None:
        return
    if same is None and source != SCHEDULER and len(known) >= _SIMILAR:
        message = _COMBINED + message
        same = next((event for event in known if event["message"].startswith(_COMBINED)), None)
    if same is not None:
        again = {**same, "message": message, "count": same.get("count", 1) + 1, "lastTimestamp": now}
        registry.replace(EVENT, same, again, _event_writer(source))
        return
    body = {
        "metadata": {"name": f"{metadata['name']}.{registry.store.version:016x}"},
        "involvedObject": {
            "kind": obj["kind"],
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": obj["apiVersion"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason,
        "message": message,
        "source": {"component": source},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": kind,
        "eventTime": None,
        "reportingComponent": source,
        "reportingInstance": "",
    }
    if source == SCHEDULER:
        body |= _new_style(registry.now(), reason)
    registry.create(EVENT, namespace, body, _event_writer(source))


def _new_style(now: datetime, reason: str) -> Object:
    """The scheduler reports through events.k8s.io: its events have `eventTime` and none of the older times."""
    return {
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "count": None,
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "action": "Binding" if reason == "Scheduled" else "Scheduling",
        "reportingInstance": f"{SCHEDULER}-sandbox",
    }


def _event_writer(source: str) -> Write:
    return Write(user=CONTROLLER.user, manager=source)
