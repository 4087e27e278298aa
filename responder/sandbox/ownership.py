"""Who owns which field: `managedFields`, and server-side apply on top of it. Pure.

A set of fields is written as in `fieldsV1`: `{"f:spec": {"f:replicas": {}}}`, list items as `k:{"name":"web"}`.
Kept simpler than the real one: a list without merge keys is one field.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from responder.sandbox import schema
from responder.sandbox.failures import Cause, apply_conflict
from responder.sandbox.objects import Object, clone

Fields = dict[str, Any]

# What identifies an object or is written by the server belongs to nobody.
_UNOWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


_KEY_DEFAULTS = {"protocol": "TCP"}  # a key that an item may leave out
_SELF = "."  # that the map or the list item exists at all


@dataclass(frozen=True, kw_only=True)
class Writer:
    """One writer of a request."""

    manager: str
    operation: str
    """`Update` or `Apply`."""
    api_version: str
    subresource: str
    time: str

    def entry(self, fields: Fields) -> Object:
        entry = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        return {**entry, "subresource": self.subresource} if self.subresource else entry

    def wrote(self, entry: Object) -> bool:
        mine = (self.manager, self.operation, self.api_version, self.subresource)
        theirs = tuple(entry.get(key, "") for key in ("manager", "operation", "apiVersion", "subresource"))
        return mine == theirs


def fields_of(kind: str, obj: Object) -> Fields:
    """Every field that has a value."""
    fields = _fields(kind, {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")})
    for name in _UNOWNED_METADATA:
        fields.get("f:metadata", {}).pop(f"f:{name}", None)
    if not fields.get("f:metadata", True):
        del fields["f:metadata"]
    return fields


def _fields(type_name: str, value: Any) -> Fields:
    if type_name in schema.ATOMIC_TYPES:
        return {}
    if isinstance(value, dict):
        exists: Fields = {_SELF: {}} if type_name.startswith("{") and value else {}
        return exists | {f"f:{key}": _fields(schema.field_type(type_name, key), item) for key, item in value.items()}
    keys = schema.merge_keys(type_name)
    if isinstance(value, list) and keys:
        item_type = schema.item_type(type_name)
        return {item_key(item, keys): {_SELF: {}, **_fields(item_type, item)} for item in value}
    return {}


def item_key(item: Object, keys: tuple[str, ...]) -> str:
    """`k:{"containerPort":80,"protocol":"TCP"}`"""
    named = {**_KEY_DEFAULTS, **item}
    return "k:" + orjson.dumps({key: named[key] for key in keys if key in named}).decode()


def changed_fields(kind: str, old: Object, new: Object) -> Fields:
    """The fields of `new` whose value is not that of `old`."""
    return _select(fields_of(kind, new), lambda path: lookup(kind, old, path) != lookup(kind, new, path))


def _leaves(fields: Fields, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, children in fields.items():
        path = (*prefix, key)
        if children:
            yield from _leaves(children, path)
        else:
            yield path


def _from_paths(paths: Iterator[tuple[str, ...]]) -> Fields:
    fields: Fields = {}
    for path in paths:
        node = fields
        for part in path:
            node = node.setdefault(part, {})
    return fields


def _select(fields: Fields, wanted: Any) -> Fields:
    return _from_paths(path for path in _leaves(fields) if wanted(path))


_MISSING = object()


def lookup(kind: str, obj: Any, path: tuple[str, ...]) -> Any:
    """The value at a field path; a sentinel equal to nothing else where there is none."""
    type_name, value = kind, obj
    for part in path:
        if part == _SELF:
            return True
        if part.startswith("f:"):
            if not isinstance(value, dict) or part[2:] not in value:
                return _MISSING
            type_name, value = schema.field_type(type_name, part[2:]), value[part[2:]]
        else:
            keys = schema.merge_keys(type_name)
            value = next((item for item in value or () if item_key(item, keys) == part), _MISSING)
            if value is _MISSING:
                return _MISSING
            type_name = schema.item_type(type_name)
    return value


def _owned(entry: Object, path: tuple[str, ...]) -> bool:
    node = entry.get("fieldsV1") or {}
    for part in path:
        if part not in node:
            return False
        node = node[part]
    return True


def record_update(kind: str, old: Object | None, new: Object, writer: Writer) -> list[Object]:
    """The `managedFields` after a create, update or patch: what changed is now the writer's alone."""
    entries: list[Object] = clone({"e": (old or {}).get("metadata", {}).get("managedFields") or []})["e"]
    changed = changed_fields(kind, old or {}, new)
    result: list[Object] = []
    mine: Fields = {}
    for entry in entries:
        # The server forgets a field that is gone, and whoever changes a value takes it from the others.
        kept = _select(
            entry.get("fieldsV1") or {},
            lambda path, entry=entry: (
                lookup(kind, new, path) is not _MISSING
                and (writer.wrote(entry) or not _owned({"fieldsV1": changed}, path))
            ),
        )
        if writer.wrote(entry):
            mine = kept
        elif kept:
            result.append({**entry, "fieldsV1": kept})
    if changed:
        mine = _from_paths(iter((*_leaves(mine), *_leaves(changed))))
        result.append(writer.entry(mine))
    elif mine:
        previous: Object = next(entry for entry in entries if writer.wrote(entry))
        result.append({**previous, "fieldsV1": mine})
    return result


def apply(kind: str, live: Object | None, config: Object, writer: Writer, *, force: bool) -> Object:
    """The object after a server-side apply, `managedFields` included.

    Raises `ApiFailure` 409 naming the manager and the field, unless `force`.
    """
    if live is None:
        created = clone(config)
        created["metadata"]["managedFields"] = [writer.entry(fields_of(kind, config))]
        return created
    entries = live["metadata"].get("managedFields") or []
    wanted = fields_of(kind, config)
    conflicts = [
        (entry, path)
        for entry in sorted(entries, key=lambda entry: str(entry["manager"]))
        if not writer.wrote(entry)
        for path in _leaves(wanted)
        if _owned(entry, path) and lookup(kind, live, path) != lookup(kind, config, path)
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    taken = {path for _, path in conflicts}
    previous: Object = next((entry for entry in entries if writer.wrote(entry)), {})
    merged = _without_dropped(kind, live, wanted, previous, entries)
    merged = dict(_overlay(kind, merged, config))
    others: list[Object] = []
    for entry in entries:
        kept = _select(entry.get("fieldsV1") or {}, lambda path: path not in taken)
        if not writer.wrote(entry) and kept:
            others.append({**entry, "fieldsV1": kept})
    merged["metadata"]["managedFields"] = [*others, writer.entry(wanted)]
    return merged


def _conflict(conflicts: list[tuple[Object, tuple[str, ...]]]) -> Exception:
    causes = [
        Cause(reason="FieldManagerConflict", message=f"conflict with {_named(entry)}", field=dotted(path))
        for entry, path in conflicts
    ]
    if len(causes) == 1:
        entry, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {_named(entry)}: {dotted(path)}"
        return apply_conflict(causes, message)
    lines: list[str] = []
    for name in sorted({_named(entry) for entry, _ in conflicts}):
        lines.append(f"conflicts with {name}:")
        lines += [f"- {dotted(path)}" for entry, path in conflicts if _named(entry) == name]
    return apply_conflict(causes, f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines))


def _named(entry: Object) -> str:
    name = f'"{entry["manager"]}"'
    if entry.get("subresource"):
        name = f'{name} with subresource "{entry["subresource"]}"'
    return f"{name} using {entry['apiVersion']}" if entry["operation"] == "Update" else name


def dotted(path: tuple[str, ...]) -> str:
    """`.spec.template.spec.containers[name="web"].image`"""
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        elif part != _SELF:
            keys = orjson.loads(part[2:])
            text += "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys.items()) + "]"
    return text


def _without_dropped(kind: str, live: Object, wanted: Fields, previous: Object, entries: list[Object]) -> Object:
    """The live object without what this manager applied before, applies no longer, and nobody else owns."""
    others = [entry for entry in entries if entry is not previous]
    merged = clone(live)
    for path in _leaves(previous.get("fieldsV1") or {}):
        if not _owned({"fieldsV1": wanted}, path) and not any(_owned(entry, path) for entry in others):
            _remove(kind, merged, path)
    return merged


def _remove(kind: str, obj: Object, path: tuple[str, ...]) -> None:
    if path[-1] != _SELF:
        parent = lookup(kind, obj, path[:-1])
        if isinstance(parent, dict):
            parent.pop(path[-1][2:], None)
    elif path[-2].startswith("k:"):
        items, item = lookup(kind, obj, path[:-2]), lookup(kind, obj, path[:-1])
        if isinstance(items, list) and item in items:
            items.remove(item)


def _overlay(type_name: str, live: Any, config: Any) -> Any:
    """`config` laid over `live`: maps and keyed lists are merged, everything else replaces."""
    if isinstance(config, dict) and isinstance(live, dict):
        merged = dict(live)
        for key, value in config.items():
            merged[key] = _overlay(schema.field_type(type_name, key), live.get(key), value)
        return merged
    keys = schema.merge_keys(type_name)
    if isinstance(config, list) and isinstance(live, list) and keys:
        items = {item_key(item, keys): item for item in live}
        for item in config:
            name = item_key(item, keys)
            items[name] = _overlay(schema.item_type(type_name), items.get(name), item)
        return list(items.values())
    return clone({"v": config})["v"]
