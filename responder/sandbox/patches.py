"""The three patch formats that change a given object: JSON patch, merge patch, strategic merge patch.

All are pure: object and patch in, new object out. Apply patches need to know who owns what: see `ownership`.
Sources: RFC 6902, RFC 7386, and
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from typing import Any

import jsonpatch
import jsonpointer

from responder.sandbox import schema
from responder.sandbox.failures import bad_request, unprocessable_patch
from responder.sandbox.objects import Object, clone


def json_patch(obj: Object, patch: Any) -> Object:
    """Raises `ApiFailure`: 400 for what is no JSON patch, 422 for one that does not fit."""
    if not isinstance(patch, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        patched: Object = jsonpatch.JsonPatch(patch).apply(obj, in_place=False)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as exc:
        raise unprocessable_patch() from exc
    return patched


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge_patch(kind: str, obj: Object, patch: Object) -> Object:
    """As `merge_patch`, but the lists that have a merge key are merged item by item."""
    merged: Object = _merge_map(kind, clone(obj), patch)
    return merged


def _merge_map(type_name: str, obj: Object, patch: Object) -> Object:
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    retained = patch.get("$retainKeys")
    merged = {key: value for key, value in obj.items() if retained is None or key in retained}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            _delete_primitives(merged, key.partition("/")[2], value)
        elif key.startswith("$"):
            continue
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(schema.field_type(type_name, key), key, merged.get(key), value)
    return merged


def _delete_primitives(merged: Object, key: str, values: list[Any]) -> None:
    if key in merged:
        merged[key] = [item for item in merged[key] if item not in values]


def _merge_value(type_name: str, field: str, old: Any, patch: Any) -> Any:
    if isinstance(patch, dict):
        return _merge_map(type_name, old if isinstance(old, dict) else {}, patch)
    if isinstance(patch, list) and field == "finalizers":
        return [*(old or ()), *(item for item in patch if item not in (old or ()))]
    keys = schema.merge_keys(type_name)
    if isinstance(patch, list) and keys:
        return _merge_list(schema.item_type(type_name), keys[0], old or [], patch)
    return patch


def _merge_list(item_type: str, key: str, old: list[Object], patch: list[Object]) -> list[Object]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    present = {item.get(key): item for item in old}
    changed: list[Object] = []
    deleted: list[Any] = []
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        if item.get("$patch") == "delete":
            deleted.append(item[key])
        else:
            changed.append(_merge_map(item_type, present.get(item[key], {}), item))
    named = {item[key] for item in changed}
    untouched = [item for item in old if item.get(key) not in named and item.get(key) not in deleted]
    return _in_server_order(untouched, changed, [item.get(key) for item in old], key)


def _in_server_order(untouched: list[Object], changed: list[Object], order: list[Any], key: str) -> list[Object]:
    """Old items keep their order; new ones come before the untouched, as the server puts them."""
    merged: list[Object] = []
    left, right = list(untouched), list(changed)
    while left and right:
        known = right[0][key] in order
        first = known and order.index(left[0][key]) < order.index(right[0][key])
        merged.append((left if first else right).pop(0))
    return [*merged, *left, *right]
