"""Two versions of an object, and which fields differ.

Lists are matched as the API server merges them, by the key of their items, so that a container that moved is not a
change of every container behind it. What may be seen of the values is the caller's to decide beforehand: redact, then
compare. Merge keys: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from responder.domain.manifest import Json, Manifest
from responder.domain.versions import Difference

MAX_VALUE = 300
"""Characters of a value that are kept."""

_LEAD = 60
"""Characters that stay before the first one that differs, where a value is too long to be kept whole."""

_MERGE_KEYS = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("mountPath",),
    ("devicePath",),
    ("uid",),
    ("name",),
    ("key", "effect"),
    ("ip",),
    ("type",),
)
"""What names an item, the first that fits: the first field of each has to be in every item, the second may be missing.
Ports come before names because names of ports are optional, mount paths because one volume is mounted at several."""

_ABSENT = object()


def differences(before: Manifest, after: Manifest, *, limit: int = 50) -> tuple[tuple[Difference, ...], int]:
    """The fields that differ, in the order of their paths, and how many more than `limit` there are."""
    found = _of_mappings("", before, after)
    kept = tuple(islice(found, limit))
    return kept, sum(1 for _ in found)


def below(path: str, key: str) -> str:
    """The path of a field of what is at `path`. Keys that are data and not fields (`app.kubernetes.io/name`) stand in
    brackets, like the key of a list item."""
    if not path:
        return key
    return f"{path}.{key}" if key.isidentifier() and key.isascii() else f"{path}[{key}]"


def names_of(entries: Sequence[Json]) -> tuple[str, ...]:
    """How each item of one list is named in a path: by its merge key, else by its position."""
    for fields in _MERGE_KEYS:
        keyed = _keyed(fields, entries, ())
        if keyed is not None:
            return tuple(keyed[0])
    return tuple(str(index) for index in range(len(entries)))


def _of(path: str, before: Json, after: Json) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_mappings(path, before, after)
    elif _is_list(before) and _is_list(after):
        yield from _of_lists(path, before, after)
    elif type(before) is not type(after) or before != after:
        yield _difference(path, before, after)


def _of_mappings(path: str, before: Manifest, after: Manifest) -> Iterator[Difference]:
    for key in sorted({*before, *after}):
        yield from _of(below(path, key), before.get(key, _ABSENT), after.get(key, _ABSENT))


def _of_lists(path: str, before: Sequence[Json], after: Sequence[Json]) -> Iterator[Difference]:
    keys = next((found for fields in _MERGE_KEYS if (found := _keyed(fields, before, after))), None)
    if keys is None:
        for index, (old, new) in enumerate(zip_longest(before, after, fillvalue=_ABSENT)):
            yield from _of(f"{path}[{index}]", old, new)
        return
    old_items, new_items = keys
    for key in dict.fromkeys((*old_items, *new_items)):
        yield from _of(f"{path}[{key}]", old_items.get(key, _ABSENT), new_items.get(key, _ABSENT))
    if list(old_items) != list(new_items) and old_items.keys() == new_items.keys():
        yield _difference(f"{path}[order]", list(old_items), list(new_items))


def _keyed(
    fields: tuple[str, ...], before: Sequence[Json], after: Sequence[Json]
) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """Both lists by key; None where the fields do not name every item, or not each one alone."""
    lists = []
    for entries in (before, after):
        if not all(isinstance(entry, Mapping) and _is_scalar(entry.get(fields[0])) for entry in entries):
            return None
        named = {_key(fields, entry): entry for entry in entries}
        if len(named) != len(entries):
            return None
        lists.append(named)
    return lists[0], lists[1]


def _key(fields: tuple[str, ...], item: Manifest) -> str:
    return ",".join(str(item[name]) for name in fields if _is_scalar(item.get(name)))


def _difference(path: str, before: Json, after: Json) -> Difference:
    old, new = _text(before), _text(after)
    if len(old) <= MAX_VALUE and len(new) <= MAX_VALUE:
        return Difference(path=path, before=old, after=new)
    alike = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, alike - _LEAD) if old and new else 0
    return Difference(path=path, before=_window(old, start), after=_window(new, start))


def _window(value: str, start: int) -> str:
    """At most `MAX_VALUE` characters from `start`, with dots where something was left off."""
    lead = "..." if start and value else ""
    room = MAX_VALUE - len(lead)
    rest = value[start:]
    return f"{lead}{rest}" if len(rest) <= room else f"{lead}{rest[: room - 3]}..."


def _text(value: Json) -> str:
    if value is _ABSENT:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_scalar(value: Json) -> bool:
    return isinstance(value, str | int)
