"""What a `Change` looks like on the wire. Nothing is sent from here.

The precondition of a patch is a `replace` of `/metadata/resourceVersion`, not a `test`: the server answers a stale one
with 409 before it validates anything, while a failed `test` is a 422 like any invalid change. An eviction carries its
preconditions in `deleteOptions`.
Sources: RFC 6902, https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply,
https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from responder.domain.manifest import EXECUTION_ANNOTATION, Json, LiveObject, dig
from responder.domain.plan import Change, PatchOp

FIELD_MANAGER = "clopus"

_ANNOTATIONS = "/metadata/annotations"


def write_parameters(*, dry_run: bool) -> dict[str, str]:
    """Query parameters of every write: an unknown field is refused instead of dropped."""
    parameters = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
    return {**parameters, "dryRun": "All"} if dry_run else parameters


def patch_body(change: Change, live: LiveObject, *, execution_id: str) -> list[Json]:
    """The JSON patch: preconditions, the change itself, and the annotation that tells after a crash that it was made.

    `live` is the object at the version that the change was computed from.
    """
    annotation = PatchOp(op="add", path=f"{_ANNOTATIONS}/{_escaped(EXECUTION_ANNOTATION)}", value=execution_id)
    operations = [
        PatchOp(op="replace", path="/metadata/uid", value=change.target.uid),
        PatchOp(op="replace", path="/metadata/resourceVersion", value=change.resource_version),
        *change.patch,
    ]
    if not _has_annotations_after(change.patch, live):
        operations.append(PatchOp(op="add", path=_ANNOTATIONS, value={}))
    return [_operation(op) for op in (*operations, annotation)]


def eviction_body(change: Change) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": change.target.name, "namespace": change.target.namespace},
        "deleteOptions": {
            "preconditions": {"uid": change.target.uid, "resourceVersion": change.resource_version},
        },
    }


def _has_annotations_after(patch: tuple[PatchOp, ...], live: LiveObject) -> bool:
    # JSON patch cannot add a key to a map that is not there, and adding the map would empty one that is.
    present = dig(live.body, "metadata", "annotations") is not None
    for op in patch:
        if op.path == _ANNOTATIONS:
            present = op.op != "remove" if op.op != "test" else present
    return present


def _operation(op: PatchOp) -> Json:
    if op.op == "remove":
        return {"op": op.op, "path": op.path}
    return {"op": op.op, "path": op.path, "value": op.value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
