"""One pod template turned into another by operations on what differs, and whether such a change stands.

A value that both templates share is in no operation, wherever the item around it moved to: a change is kept, shown and
sent, and what it does not touch is nobody's business. List items are matched by name, in the order in which both lists
have them. In each list the removals come first, from its end, then the additions in order, then the edits of what
stayed: so every path of an addition or an edit is the path in the outcome. Operations: add, remove, replace, test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

import jsonpatch
import jsonpointer

from responder.domain.manifest import Json, Manifest, base_hash, dig
from responder.domain.plan import Change, PatchOp
from responder.fixer.actions.operations import Path, patched, tokens
from responder.fixer.actions.template import TemplateEdit, covers

_NAMES = ("name", "mountPath")
"""What tells the items of a list apart: containers, variables and volumes by name, mounts of one volume by path."""


def bring_to(edit: TemplateEdit, path: Path, wanted: Json) -> None:
    """Have `edit` make what is at `path` equal to `wanted`. A null is the same as nothing, as it is to the server."""
    present = edit.value(path)
    if isinstance(present, Mapping) and isinstance(wanted, Mapping):
        _bring_map(edit, path, present, wanted)
    elif isinstance(present, list) and isinstance(wanted, list):
        _bring_list(edit, path, present, wanted)
    else:
        edit.put(path, _without_nulls(wanted))


def stands(change: Change, body: Manifest) -> bool:
    """True while `body` holds what the change wrote; what else changed since, defaults included, does not matter.

    Of list items without a name that were removed, only a `body` that is wholly as before tells that they are back.
    """
    if base_hash(body) == change.base_hash:
        return False
    forward, backward = _writes(change.patch), _writes(reversed(change.inverse))
    if _taken_back(change, body) == change.base_hash:
        return True
    added = {op.path.rpartition("/")[0] for op in forward if op.op == "add"}
    return all(
        not _is_back(body, op.path, undo.value, added) if op.op == "remove" else covers(_at(body, op.path), op.value)
        for op, undo in zip(forward, backward, strict=True)
    )


def _bring_map(edit: TemplateEdit, path: Path, present: Manifest, wanted: Manifest) -> None:
    for key in sorted({*present, *wanted}):
        if wanted.get(key) is not None:
            bring_to(edit, (*path, key), wanted[key])
        elif present.get(key) is not None:
            edit.remove((*path, key))


def _bring_list(edit: TemplateEdit, path: Path, present: Sequence[Json], wanted: Sequence[Json]) -> None:
    blocks = SequenceMatcher(None, *_labels(present, wanted), autojunk=False).get_matching_blocks()
    stays = {block.a + step for block in blocks for step in range(block.size)}
    kept = {block.b + step for block in blocks for step in range(block.size)}
    for index in reversed(range(len(present))):
        if index not in stays:
            edit.remove((*path, index))
    for index, item in enumerate(wanted):
        if index not in kept:
            edit.insert((*path, index), _without_nulls(item))
    for index in sorted(kept):
        with edit.named((*path, index)):
            bring_to(edit, (*path, index), wanted[index])


def _labels(one: Sequence[Json], other: Sequence[Json]) -> tuple[list[str], list[str]]:
    """What each item is matched by: a field that names every item of both lists, else the item as a whole.

    Items with different names are never matched: the value of a variable stays with its name.
    """
    for field in _NAMES:
        names = [[dig(item, field) for item in entries] for entries in (one, other)]
        if all(all(isinstance(name, str) for name in each) and len(set(each)) == len(each) for each in names):
            return names[0], names[1]
    return [_canonical(item) for item in one], [_canonical(item) for item in other]


def _canonical(item: Json) -> str:
    return json.dumps(_without_nulls(item), sort_keys=True)


def _without_nulls(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _writes(ops: Iterable[PatchOp]) -> tuple[PatchOp, ...]:
    return tuple(op for op in ops if op.op != "test")


def _taken_back(change: Change, body: Manifest) -> str:
    """`base_hash` of the object without the change; '' where it cannot be taken back."""
    try:
        return base_hash(patched(body, change.inverse))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        return ""


def _is_back(body: Manifest, path: str, taken: Json, added: set[str]) -> bool:
    above, _, _ = path.rpartition("/")
    holder = _at(body, above)
    if isinstance(holder, Mapping):
        return covers(_at(body, path), taken)
    if not isinstance(holder, list) or above in added or not isinstance(taken, Mapping):
        return False
    return any(covers(item, taken) for item in holder)


def _at(body: Manifest, path: str) -> Json:
    return dig(body, *tokens(body, path))
