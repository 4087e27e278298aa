"""From the API server's JSON to a `LiveObject`: managedFields become the list of who owns which path.

Format of fieldsV1: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ and
https://github.com/kubernetes-sigs/structured-merge-diff (fieldpath): `f:name` is a field, `k:{...}` a list item by
its merge keys, `v:...` an item of a set, `i:n` an item by position, `.` the element itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import orjson

from responder.domain.manifest import (
    FieldOwner,
    Json,
    LiveObject,
    Manifest,
    instant,
    items,
    mapping,
    number,
    ref_of,
    text,
)

# Whoever reports status owns many paths that no change of ours touches.
_NOT_OWNED_BY_PEOPLE = "f:status"


def live_object(body: Manifest, *, kind: str = "") -> LiveObject:
    """`kind` names the kind of a list item, which carries none."""
    metadata = {key: value for key, value in mapping(body, "metadata").items() if key != "managedFields"}
    return LiveObject(
        ref=ref_of(body, kind=kind),
        resource_version=text(metadata, "resourceVersion"),
        generation=number(metadata, "generation"),
        body={**body, "metadata": metadata},
        owners=tuple(_owner(entry) for entry in items(body, "metadata", "managedFields")),
    )


def _owner(entry: Manifest) -> FieldOwner:
    fields = mapping(entry, "fieldsV1")
    return FieldOwner(
        manager=text(entry, "manager"),
        operation=text(entry, "operation"),
        subresource=text(entry, "subresource"),
        at=instant(entry, "time"),
        paths=frozenset(
            path for key, below in fields.items() if key != _NOT_OWNED_BY_PEOPLE for path in _paths(_step(key), below)
        ),
    )


def _paths(prefix: str, fields: Json) -> Iterator[str]:
    if not isinstance(fields, Mapping) or not fields:
        yield prefix
        return
    for key, below in fields.items():
        if key == ".":
            yield prefix
        else:
            yield from _paths(prefix + _step(key), below)


def _step(key: str) -> str:
    form, _, rest = key.partition(":")
    match form:
        case "f":
            return "/" + rest.replace("~", "~0").replace("/", "~1")
        case "k":
            return f"[{','.join(str(value) for value in _merge_keys(rest).values())}]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


def _merge_keys(encoded: str) -> Mapping[str, Json]:
    try:
        decoded = orjson.loads(encoded)
    except orjson.JSONDecodeError:
        return {"": encoded}
    return cast("Mapping[str, Json]", decoded) if isinstance(decoded, dict) else {"": encoded}
